#!/usr/bin/env python3
"""Compares dsllm-ref with the `tokenizers` library on random and adversarial strings and on random training corpora.

    python3 tests/golden/tokenizer_fuzz.py --tokenizer tokenizer.json [--count 100000] [--corpora 100] [--seed 1]

Needs `pip install tokenizers` (last run with 0.23.3) and a built program. For every string: the ids with special tokens
read as text and as tokens, the decoded text, and that the repaired decoding is the string. For every corpus: all merges
and ids, with and without special tokens. Prints what it compared; exit code 1 if anything differs.
"""
import argparse
import json
import pathlib
import random
import subprocess
import sys
import tempfile

import tokenizers

ROOT = pathlib.Path(__file__).resolve().parents[2]

# Code points where the rules of the pre-tokenizer meet: in several classes, at the ends of ranges, or only nearly members.
EDGES = [0, 9, 0xA, 0xB, 0xC, 0xD, 0x1C, 0x1F, 0x20, 0x21, 0x2F, 0x30, 0x39, 0x3A, 0x40, 0x41, 0x5A, 0x5B, 0x60, 0x61, 0x7A,
         0x7E, 0x7F, 0x80, 0x85, 0xA0, 0xAA, 0xAD, 0xB2, 0xB5, 0xBA, 0xBD, 0xC0, 0xD7, 0xDF, 0xF7, 0xFC, 0x1BA, 0x1BB,
         0x1BC, 0x294, 0x300, 0x37E, 0x38B, 0x3A9, 0x430, 0x561, 0x5D0, 0x660, 0x7FF, 0x800, 0xE01, 0x10A0, 0x13A0,
         0x1680, 0x180E, 0x1C90, 0x1E00, 0x1FFC, 0x2000, 0x2003, 0x200A, 0x200B, 0x200D, 0x2018, 0x201F, 0x2028, 0x202F,
         0x205F, 0x2126, 0x2160, 0x2183, 0x2460, 0x2C00, 0x3000, 0x3001, 0x3002, 0x3003, 0x3007, 0x3042, 0x4E00, 0x4E8C,
         0x9FA5, 0x9FA6, 0xA640, 0xAB70, 0xABFF, 0xAC00, 0xD7A3, 0xD7FF, 0xE000, 0xFB00, 0xFB13, 0xFE0F, 0xFEFF, 0xFF01,
         0xFF0F, 0xFF10, 0xFF19, 0xFF1A, 0xFF21, 0xFF5C, 0xFF5E, 0xFFFD, 0xFFFF, 0x10000, 0x10107, 0x10400, 0x10450,
         0x118A0, 0x118E0, 0x1D7CE, 0x1E900, 0x1F600, 0x20000, 0x10FFFF]


def make_string(rng, pieces):
    kind = rng.randrange(8)
    if kind == 0:  # edges only
        return "".join(chr(rng.choice(EDGES)) for _ in range(rng.randint(0, 16)))
    if kind == 1:  # few different ones, so that runs occur
        few = [chr(rng.choice(EDGES)) for _ in range(rng.randint(1, 4))]
        return "".join(rng.choice(few) for _ in range(rng.randint(1, 40)))
    if kind == 2:  # pieces of the vocabulary, glued
        return "".join(rng.choice(pieces) for _ in range(rng.randint(1, 12)))
    if kind == 3:  # any code point
        return "".join(chr(rng.choice([rng.randrange(0xD800), rng.randrange(0xE000, 0x110000)]))
                       for _ in range(rng.randint(1, 20)))
    if kind == 4:  # white space around anything
        blank = " \t\n\r\u00a0\u2003\u3000\x1c"
        return "".join(rng.choice([rng.choice(blank), rng.choice(blank) * rng.randint(1, 9), rng.choice(pieces),
                                   chr(rng.choice(EDGES))]) for _ in range(rng.randint(1, 14)))
    if kind == 5:  # Chinese, kana and Hangul beside Latin letters and digits
        return "".join(rng.choice([chr(rng.randrange(0x4E00, 0x9FFF)), chr(rng.randrange(0x3000, 0x3100)),
                                   chr(rng.randrange(0xAC00, 0xD7B0)), rng.choice("aZ 9,.，。")])
                       for _ in range(rng.randint(1, 24)))
    if kind == 6:  # runs that are longer than the encoder's short path
        return rng.choice(["", " "]) + rng.choice(["a", "ab", "-", "=", "中", "중국", "é", "\u0601", " \u2003", "xyz!"]) \
            * rng.randint(1, 120) + rng.choice(["", "\n", " ", "q"])
    parts = ["<｜begin▁of▁sentence｜>", "<｜end▁of▁sentence｜>", "<｜end▁of", "sentence｜>", "ü", "øöúÿ", "ÀÁ", "Führer", "<", " ", "a\n"]
    return "".join(rng.choice(parts) for _ in range(rng.randint(1, 6)))


def run(program, command, tokenizer, lines, *options):
    out = subprocess.run([program, "tokenizer", command, "--tokenizer", tokenizer, "--jsonl", *options],
                         input="".join(json.dumps(line) + "\n" for line in lines), capture_output=True, text=True)
    if out.returncode != 0:
        sys.exit(f"{program} tokenizer {command}: exit code {out.returncode}: {out.stderr}")
    return [json.loads(line) for line in out.stdout.split("\n")[:-1]]


class Comparison:
    def __init__(self):
        self.compared = self.different = 0

    def check(self, what, where, expected, got):
        self.compared += 1
        if expected != got:
            self.different += 1
            if self.different <= 10:
                print(f"{what} differs for {where!r}:\n  library {expected!r}\n  here    {got!r}")


def compare_strings(args, rng, result):
    library = tokenizers.Tokenizer.from_file(args.tokenizer)
    pieces = [library.decode([i], skip_special_tokens=False) for i in range(library.get_vocab_size())]
    strings = [make_string(rng, pieces) for _ in range(args.count)]
    for options, specials_are_text in (([], True), (["--parse-special"], False)):
        library.encode_special_tokens = specials_are_text
        # --drop-unknown matters for a vocabulary that was learned without all bytes; the library drops those.
        ids = run(args.program, "encode", args.tokenizer, strings, "--drop-unknown", *options)
        expected = [e.ids for e in library.encode_batch(strings, add_special_tokens=False)]
        for string, a, b in zip(strings, expected, ids, strict=True):
            result.check("ids " + " ".join(options), string, a, b)
    decoded = run(args.program, "decode", args.tokenizer, ids)
    repaired = run(args.program, "decode", args.tokenizer, ids, "--repair")
    for string, i, a, b in zip(strings, ids, decoded, repaired, strict=True):
        result.check("decoded text", i, library.decode(i, skip_special_tokens=False), a)
        if not args.lossy:
            result.check("repaired text", string, string, b)
    # Ids in any order, which are mostly not valid UTF-8.
    random_ids = [[rng.randrange(len(pieces)) for _ in range(rng.randint(0, 8))] for _ in range(args.count // 10)]
    for i, text in zip(random_ids, run(args.program, "decode", args.tokenizer, random_ids), strict=True):
        result.check("decoded text", i, library.decode(i, skip_special_tokens=False), text)


def compare_training(args, rng, result):
    alphabet = [chr(c) for c in EDGES if c != 0]
    with tempfile.TemporaryDirectory() as folder:
        corpus, out = f"{folder}/corpus.txt", f"{folder}/tokenizer.json"
        for number in range(args.corpora):
            few = "".join(rng.choice(alphabet + list("abc ")) for _ in range(rng.randint(1, 9)))
            words = ["".join(rng.choice(few) for _ in range(rng.randint(1, 12))) for _ in range(rng.randint(1, 30))]
            text = "".join(rng.choice(words) + rng.choice(["", " ", "\n"]) for _ in range(rng.randint(1, 400)))
            pathlib.Path(corpus).write_text(text, newline="")
            specials = rng.choice([[], ["<s>", "</s>"], ["a", "ab"]])
            size, rarest = rng.choice([300, 500, 5000]), rng.choice([0, 2, 5])
            command = [args.program, "tokenizer", "train", "--input", corpus, "--vocab-size", str(size), "--out", out,
                       "--min-frequency", str(rarest)]
            subprocess.run(command + [x for s in specials for x in ("--special", s)], check=True, capture_output=True)
            ours = json.loads(pathlib.Path(out).read_text())
            library = tokenizers.Tokenizer(tokenizers.models.BPE())
            library.pre_tokenizer = tokenizers.Tokenizer.from_file(out).pre_tokenizer
            library.train([corpus], tokenizers.trainers.BpeTrainer(vocab_size=size, min_frequency=rarest,
                                                                   special_tokens=specials, show_progress=False))
            theirs = json.loads(library.to_str())
            for field in ("vocab", "merges"):
                result.check(field, f"corpus {number}", theirs["model"][field], ours["model"][field])
            result.check("added tokens", f"corpus {number}", theirs["added_tokens"], ours["added_tokens"])


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--tokenizer", required=True)
    parser.add_argument("--program", default=str(ROOT / "build/release/bin/dsllm-ref"))
    parser.add_argument("--count", type=int, default=100_000)
    parser.add_argument("--corpora", type=int, default=100)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--lossy", action="store_true", help="the vocabulary lacks bytes: do not ask for the text back")
    args = parser.parse_args()
    rng = random.Random(args.seed)
    result = Comparison()
    compare_strings(args, rng, result)
    compare_training(args, rng, result)
    print(f"tokenizers {tokenizers.__version__}, Python {sys.version.split()[0]}, seed {args.seed}: {args.count} strings and "
          f"{args.corpora} corpora, {result.compared} comparisons, {result.different} different")
    sys.exit(1 if result.different else 0)


if __name__ == "__main__":
    main()
