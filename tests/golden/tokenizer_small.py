#!/usr/bin/env python3
"""Writes tokenizer_small.json and tokenizer_small_cases.json: a vocabulary that the `tokenizers` library learns from
generated text, and what the library makes of 200 strings with it. Last run with tokenizers 0.23.3.

    python3 tests/golden/tokenizer_small.py

The vocabulary has all that a published one has: special tokens in front, all bytes of UTF-8, added tokens behind that are
matched before and after the others, Chinese, and merges that cross characters.
"""
import json
import pathlib
import random

import tokenizers
from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers

from tokenizer_fuzz import make_string

HERE = pathlib.Path(__file__).resolve().parent
SPECIAL = ["<｜begin▁of▁sentence｜>", "<｜end▁of▁sentence｜>"]


def letters():
    """The ranges of ref/tokenizer/char_class.cpp as a character set."""
    source = (HERE.parents[1] / "ref/tokenizer/char_class.cpp").read_text()
    source = source[source.index("letter_ranges"):source.index("}};")]
    numbers = [int(word.strip("{},"), 16) for word in source.split() if "0x" in word]
    ranges = zip(numbers[::2], numbers[1::2])
    return "".join(chr(a) if a == b else f"{chr(a)}-{chr(b)}" for a, b in ranges)


def pretokenizer():
    patterns = ["[\r\n]", rf"\s?[{letters()}]+", "\\s?[!-/:-~！-／：-～‘-‟\u3000-。]+", r"\s+$", "[一-龥ࠀ-一가-\ud7ff]+"]
    steps = [pre_tokenizers.Split(Regex(p), "isolated") for p in patterns]
    return pre_tokenizers.Sequence(steps + [pre_tokenizers.Digits(individual_digits=True),
                                            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)])


def generated_text(rng):
    syllables = ["ta", "ke", "ri", "no", "sel", "um", "dor", "ing", "the", "qu", "é", "ß"]
    words = ["".join(rng.choices(syllables, k=rng.randint(1, 4))) for _ in range(150)]
    words += ["".join(chr(rng.randrange(0x4E00, 0x4E60)) for _ in range(rng.randint(1, 4))) for _ in range(60)]
    words += ["if (", "->", "();", "  ", "\n", "。", "，", "2024", "☃", "🙂"]
    weights = [1 / (1 + i % 97) for i in range(len(words))]
    return "".join(rng.choice(["", " ", " "]) + w for w in rng.choices(words, weights, k=6000))


def main():
    rng = random.Random(2401)
    bytes_of_utf8 = [c for c in pre_tokenizers.ByteLevel.alphabet() if c not in "ÀÁõö÷øùúûüýþÿ"]
    small = Tokenizer(models.BPE())
    small.normalizer = normalizers.Sequence([])
    small.pre_tokenizer = pretokenizer()
    small.decoder = decoders.ByteLevel()
    small.train_from_iterator([generated_text(rng)], trainers.BpeTrainer(
        vocab_size=620, special_tokens=SPECIAL, initial_alphabet=bytes_of_utf8, show_progress=False))
    small.add_tokens([AddedToken(c, normalized=True) for c in "öü"] + [AddedToken("kü", normalized=False), "the\u2003end"])
    (HERE / "tokenizer_small.json").write_text(small.to_str(pretty=False) + "\n", newline="")

    pieces = [small.decode([i], skip_special_tokens=False) for i in range(small.get_vocab_size())] + ["kü", "the\u2003end", "sküß"]
    cases = []
    for _ in range(200):
        text = make_string(rng, pieces)
        small.encode_special_tokens = True
        plain = small.encode(text, add_special_tokens=False).ids
        small.encode_special_tokens = False
        ids = small.encode(text, add_special_tokens=False).ids
        cases.append({"text": text, "plain_ids": plain, "ids": ids, "decoded": small.decode(ids, skip_special_tokens=False)})
    lines = ",\n".join(json.dumps(case, ensure_ascii=True, separators=(",", ":")) for case in cases)
    (HERE / "tokenizer_small_cases.json").write_text(f"[\n{lines}\n]\n")
    print(f"tokenizers {tokenizers.__version__}: {small.get_vocab_size()} ids, {len(cases)} cases")


if __name__ == "__main__":
    main()
