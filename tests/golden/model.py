#!/usr/bin/env python3
"""Golden data for ref/model: every component and a tiny Llama-type transformer, with gradients.

An implementation of its own: it is written from the equations of the papers (sources below) with einsum over whole
arrays, never from the C++ code, in float64, and its gradients come from JAX's automatic differentiation. The angles of
RoPE are computed in NumPy's 80-bit long double, so that they are right to the last bit of a double at any position.

    RMSNorm        Zhang and Sennrich 2019         RoPE       Su et al. 2021
    SwiGLU         Shazeer 2020                    attention  Vaswani et al. 2017, Ainslie et al. 2023 (GQA)
    transformer    Touvron et al. 2023 (Llama), names and layouts as in Hugging Face's LlamaForCausalLM

    python3 -m venv venv && venv/bin/pip install jax==0.10.2 numpy==2.4.6 && venv/bin/python tests/golden/model.py

writes tests/golden/model/. The versions that wrote a file are in its metadata. Running it again gives the same bytes
on the same versions; on others, the last digits may differ.
"""

import json
import pathlib
import platform
import struct

import jax
import jax.numpy as jnp
import numpy as np

jax.config.update("jax_enable_x64", True)
assert np.finfo(np.longdouble).nmant >= 63, "needs a machine with 80-bit long double"

OUT = pathlib.Path(__file__).parent / "model"
VERSIONS = f"python {platform.python_version()}, numpy {np.__version__}, jax {jax.__version__}"
IGNORED = -1


# --- the components ---


def rmsnorm(x, weight, eps):
    return x / jnp.sqrt(jnp.mean(x**2, axis=-1, keepdims=True) + eps) * weight


def rope_angles(positions, d_head, theta):
    """cos and sin [position, d_head / 2] of position * theta^(-2i / d_head)."""
    i = np.arange(d_head // 2, dtype=np.longdouble)
    frequency = np.longdouble(theta) ** (-2 * i / np.longdouble(d_head))
    angle = np.asarray(positions, np.longdouble)[:, None] * frequency
    return np.cos(angle).astype(np.float64), np.sin(angle).astype(np.float64)


def rope_interleaved(x, cos, sin):
    """x [batch, seq, heads, d_head]. Elements 2i and 2i + 1 are the real and imaginary part of a number that is
    multiplied by exp(i angle): equation 13 of the RoPE paper."""
    z = jax.lax.complex(x[..., 0::2], x[..., 1::2])
    z = z * jax.lax.complex(jnp.asarray(cos), jnp.asarray(sin))[None, :, None, :]
    return jnp.stack([z.real, z.imag], axis=-1).reshape(x.shape)


def rope_halves(x, cos, sin):
    """x * cos + rotate_half(x) * sin, as Hugging Face's Llama does."""
    first, second = jnp.split(x, 2, axis=-1)
    rotated = jnp.concatenate([-second, first], axis=-1)
    both = lambda a: jnp.concatenate([a, a], axis=-1)[None, :, None, :]
    return x * both(jnp.asarray(cos)) + rotated * both(jnp.asarray(sin))


def attention(q, k, v):
    """q [batch, seq, heads, d_head], k and v [batch, seq, kv_heads, d_head]. Returns y, p and the log-sum-exp."""
    group = q.shape[2] // k.shape[2]
    k, v = jnp.repeat(k, group, axis=2), jnp.repeat(v, group, axis=2)
    scores = jnp.einsum("bihd,bjhd->bhij", q, k) / np.sqrt(q.shape[-1])
    seq = q.shape[1]
    scores = jnp.where(np.tril(np.ones((seq, seq), bool)), scores, -jnp.inf)
    p = jax.nn.softmax(scores, axis=-1)
    return jnp.einsum("bhij,bjhd->bihd", p, v), p, jax.nn.logsumexp(scores, axis=-1)


def swiglu(gate, up):
    return gate / (1 + jnp.exp(-gate)) * up


def cross_entropy(logits, targets):
    """Losses in nats; 0 where the target is ignored."""
    picked = jnp.take_along_axis(logits, np.maximum(targets, 0)[..., None], axis=-1)[..., 0]
    return jnp.where(targets == IGNORED, 0.0, jax.nn.logsumexp(logits, axis=-1) - picked)


# --- the transformer ---

CONFIG = {
    "architectures": ["LlamaForCausalLM"],
    "model_type": "llama",
    "hidden_act": "silu",
    "hidden_size": 24,
    "intermediate_size": 40,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "vocab_size": 67,
    "max_position_embeddings": 32,
    "rms_norm_eps": 1e-6,
    "rope_theta": 10000.0,
    "initializer_range": 0.006,
    "attention_bias": False,
    "tie_word_embeddings": False,
    "torch_dtype": "float32",
}


def transformer(w, tokens):
    """Logits [batch, seq, vocab]. w: arrays under Hugging Face's names; matrices are [out, in]."""
    c = CONFIG
    heads, kv_heads = c["num_attention_heads"], c["num_key_value_heads"]
    d_head = c["hidden_size"] // heads
    batch, seq = tokens.shape
    cos, sin = rope_angles(np.arange(seq), d_head, c["rope_theta"])
    project = lambda x, name: jnp.einsum("bsi,oi->bso", x, w[name + ".weight"])
    split = lambda x, n: x.reshape(batch, seq, n, d_head)

    x = w["model.embed_tokens.weight"][tokens]
    for layer in range(c["num_hidden_layers"]):
        at = f"model.layers.{layer}."
        h = rmsnorm(x, w[at + "input_layernorm.weight"], c["rms_norm_eps"])
        q = rope_halves(split(project(h, at + "self_attn.q_proj"), heads), cos, sin)
        k = rope_halves(split(project(h, at + "self_attn.k_proj"), kv_heads), cos, sin)
        v = split(project(h, at + "self_attn.v_proj"), kv_heads)
        y, _, _ = attention(q, k, v)
        x = x + project(y.reshape(batch, seq, heads * d_head), at + "self_attn.o_proj")
        h = rmsnorm(x, w[at + "post_attention_layernorm.weight"], c["rms_norm_eps"])
        x = x + project(swiglu(project(h, at + "mlp.gate_proj"), project(h, at + "mlp.up_proj")), at + "mlp.down_proj")
    return project(rmsnorm(x, w["model.norm.weight"], c["rms_norm_eps"]), "lm_head")


def transformer_weights(rng):
    """Wide enough (std 0.2, gains around 1) that every term of every gradient matters; exact in float32."""
    c = CONFIG
    d, ff, vocab = c["hidden_size"], c["intermediate_size"], c["vocab_size"]
    kv = d // c["num_attention_heads"] * c["num_key_value_heads"]
    shapes = {"model.embed_tokens.weight": (vocab, d)}
    for layer in range(c["num_hidden_layers"]):
        at = f"model.layers.{layer}."
        shapes[at + "input_layernorm.weight"] = (d,)
        shapes[at + "self_attn.q_proj.weight"] = (d, d)
        shapes[at + "self_attn.k_proj.weight"] = (kv, d)
        shapes[at + "self_attn.v_proj.weight"] = (kv, d)
        shapes[at + "self_attn.o_proj.weight"] = (d, d)
        shapes[at + "post_attention_layernorm.weight"] = (d,)
        shapes[at + "mlp.gate_proj.weight"] = (ff, d)
        shapes[at + "mlp.up_proj.weight"] = (ff, d)
        shapes[at + "mlp.down_proj.weight"] = (d, ff)
    shapes["model.norm.weight"] = (d,)
    shapes["lm_head.weight"] = (vocab, d)
    draw = lambda shape: 0.2 * rng.standard_normal(shape) + (1 if len(shape) == 1 else 0)
    return {name: draw(shape).astype(np.float32) for name, shape in shapes.items()}


# --- files ---


def write_safetensors(path, arrays):
    """Eight bytes with the header's length, the header, the data; 8-byte elements first, so that all are aligned."""
    names = {"float64": "F64", "float32": "F32", "int32": "I32"}
    arrays = {name: np.ascontiguousarray(a) for name, a in arrays.items()}
    arrays = dict(sorted(arrays.items(), key=lambda item: -item[1].itemsize))
    header, offset = {"__metadata__": {"written by": f"tests/golden/model.py, {VERSIONS}"}}, 0
    for name, a in arrays.items():
        header[name] = {"dtype": names[a.dtype.name], "shape": a.shape, "data_offsets": [offset, offset + a.nbytes]}
        offset += a.nbytes
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    path.write_bytes(struct.pack("<Q", len(text)) + text + b"".join(a.tobytes() for a in arrays.values()))
    print(f"{path}: {path.stat().st_size} bytes, {len(arrays)} tensors")


def with_gradients(function, inputs, outputs, rng):
    """Inputs, the output, a random gradient of it, and by automatic differentiation those of the inputs."""
    y, pull = jax.vjp(function, *inputs.values())
    dy = rng.standard_normal(y.shape)
    gradients = {"d" + name: g for name, g in zip(inputs, pull(dy))}
    return {**inputs, outputs: y, "d" + outputs: dy, **gradients}


def components():
    rng = np.random.default_rng(20240105)
    normal = lambda *shape: rng.standard_normal(shape)
    data = {}

    def add(component, arrays):
        for name, a in arrays.items():
            a = np.asarray(a)
            data[f"{component}.{name}"] = a.astype(np.int32 if a.dtype.kind == "i" else np.float64)

    ids = np.array([3, 0, 6, 3, 3, 1])
    embedding = with_gradients(lambda weight: weight[ids], {"weight": normal(7, 5)}, "y", rng)
    add("embedding", {"ids": ids, **embedding})

    add("linear", with_gradients(lambda x, weight: jnp.einsum("ni,oi->no", x, weight),
                                 {"x": normal(6, 7), "weight": normal(5, 7)}, "y", rng))

    # Small inputs in row 0, so that eps = 0.01 matters there.
    x = normal(5, 9) * np.array([0.05, 1, 1, 20, 1])[:, None]
    add("rmsnorm", {"inv_rms": 1 / np.sqrt(np.mean(x**2, axis=-1) + 0.01),
                    **with_gradients(lambda x, weight: rmsnorm(x, weight, 0.01),
                                     {"x": x, "weight": normal(9)}, "y", rng)})

    # From position 100 on, theta = 500.
    cos, sin = rope_angles(np.arange(100, 106), 8, 500)
    for layout, rope in (("interleaved", rope_interleaved), ("halves", rope_halves)):
        add(f"rope.{layout}", with_gradients(lambda x: rope(x, cos, sin), {"x": normal(2, 6, 3, 8)}, "y", rng))
    positions = np.array([0, 1, 2, 4095, 4096, 131071, 131072, 1048576])
    cos, sin = rope_angles(positions, 128, 10000)
    add("rope_angles", {"positions": positions, "cos": cos, "sin": sin})

    for kv_heads in (4, 2, 1):
        inputs = {"q": 1.5 * normal(2, 7, 4, 6), "k": 1.5 * normal(2, 7, kv_heads, 6), "v": normal(2, 7, kv_heads, 6)}
        _, p, lse = attention(*inputs.values())
        add(f"attention.{kv_heads}", {"p": p, "lse": lse,
                                      **with_gradients(lambda q, k, v: attention(q, k, v)[0], inputs, "y", rng)})

    add("swiglu", with_gradients(swiglu, {"gate": 4 * normal(5, 7), "up": normal(5, 7)}, "y", rng))

    logits = 3 * normal(6, 11)
    logits[4] *= 300  # where exp overflows without care
    targets = np.array([0, 10, IGNORED, 4, 7, 4])
    add("cross_entropy", {"logits": logits, "targets": targets, "losses": cross_entropy(logits, targets),
                          "dlogits": 0.25 * jax.grad(lambda z: cross_entropy(z, targets).sum())(logits)})
    return data


def main():
    print(VERSIONS)
    (OUT / "tiny").mkdir(parents=True, exist_ok=True)
    write_safetensors(OUT / "components.safetensors", components())

    rng = np.random.default_rng(2401_02954)
    weights = transformer_weights(rng)
    tokens = rng.integers(0, CONFIG["vocab_size"], (2, 9)).astype(np.int32)
    targets = np.concatenate([tokens[:, 1:], rng.integers(0, CONFIG["vocab_size"], (2, 1))], 1).astype(np.int32)
    targets[1, 3] = IGNORED
    double = {name: jnp.asarray(w, jnp.float64) for name, w in weights.items()}
    loss = lambda w: cross_entropy(transformer(w, tokens), targets).sum()
    gradients = jax.grad(loss)(double)

    # The model as a folder in Hugging Face's form, beside it what it computes: the logits, the sum of the losses over
    # the targets that are not ignored, and that sum's gradients.
    (OUT / "tiny" / "config.json").write_text(json.dumps(CONFIG, indent=2) + "\n")
    write_safetensors(OUT / "tiny" / "model.safetensors", weights)
    expected = {"logits": np.asarray(transformer(double, tokens)), "loss": np.asarray(loss(double))[None],
                **{"gradient." + name: np.asarray(g) for name, g in gradients.items()},
                "tokens": tokens, "targets": targets}
    write_safetensors(OUT / "tiny_expected.safetensors", expected)
    print(f"loss {expected['loss'][0]!r}")


if __name__ == "__main__":
    main()
