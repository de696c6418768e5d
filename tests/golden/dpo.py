"""Golden values of the DPO losses: writes tests/golden/dpo.json.

An implementation in 260-digit decimal arithmetic (1 + e^-350 must not become 1), straight from the equations, with
gradients by central differences (step 1e-20, so that they are exact to 1e-30): nothing in common with
ref/align/dpo.cpp, neither its stable forms nor its derivatives.
Ran with Python 3.11.7; needs nothing else.

    python3 tests/golden/dpo.py
"""

import json
import pathlib
from decimal import Decimal, getcontext

getcontext().prec = 260
ONE = Decimal(1)


def log_sigmoid(z):
    return -(ONE + (-z).exp()).ln()


def loss(kind, beta, smoothing, reference_free, pc, pr, rc, rr):
    if reference_free:
        rc = rr = Decimal(0)
    h = pc - pr - rc + rr
    if kind == "sigmoid":
        return -(ONE - smoothing) * log_sigmoid(beta * h) - smoothing * log_sigmoid(-beta * h)
    if kind == "ipo":
        return (h - ONE / (2 * beta)) ** 2
    return max(Decimal(0), ONE - beta * h)


# Log-probabilities: near each other, far apart, the policy better and worse than the reference; exact in float.
PAIRS = [
    ("-12.5", "-14.25", "-12.75", "-13.5"),
    ("-120.375", "-80.5", "-118.25", "-84"),
    ("-3.125", "-3.125", "-3.125", "-3.125"),
    ("-700.5", "-1400.25", "-900", "-1300.75"),
    ("-1400.25", "-700.5", "-1300.75", "-900"),
    ("-0.0625", "-0.125", "-2.5", "-0.03125"),
]
SETTINGS = [
    ("sigmoid", "0.125", "0", False),
    ("sigmoid", "0.5", "0", True),
    ("sigmoid", "0.25", "0.125", False),
    ("sigmoid", "0.125", "0.25", True),
    ("ipo", "0.25", "0", False),
    ("ipo", "0.125", "0", True),
    ("hinge", "0.125", "0", False),
    ("hinge", "0.5", "0", True),
]


def case(kind, beta, smoothing, reference_free):
    rows = []
    for pair in PAIRS:
        at = [Decimal(x) for x in pair]
        options = (kind, Decimal(beta), Decimal(smoothing), reference_free)
        step = Decimal("1e-20")

        def slope(i):
            up, down = list(at), list(at)
            up[i] += step
            down[i] -= step
            return (loss(*options, *up) - loss(*options, *down)) / (2 * step)

        base = [Decimal(0), Decimal(0)] if reference_free else at[2:]
        rewards = [Decimal(beta) * (at[i] - base[i]) for i in range(2)]
        rows.append([float(x) for x in (loss(*options, *at), slope(0), slope(1), *rewards)])
    return {
        "loss": kind,
        "beta": float(beta),
        "label_smoothing": float(smoothing),
        "reference_free": reference_free,
        "expected": rows,
    }


golden = {
    "columns": ["loss", "dchosen", "drejected", "reward_chosen", "reward_rejected"],
    "pairs": [[float(x) for x in pair] for pair in PAIRS],
    "cases": [case(*s) for s in SETTINGS],
}
path = pathlib.Path(__file__).with_name("dpo.json")
path.write_text(json.dumps(golden, indent=1) + "\n")
