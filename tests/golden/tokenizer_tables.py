#!/usr/bin/env python3
"""Writes ref/tokenizer/numeric_ranges.inc: the code points that the `tokenizers` library calls numeric.

The library asks Rust's char::is_numeric (Unicode Nd, Nl, No); which code points those are depends on the Unicode version
that it was built with, so the library itself is asked, for every code point. Last run with tokenizers 0.23.3
(Unicode 17).

    python3 tests/golden/tokenizer_tables.py          # compare with the file that is there; exit 1 if it differs
    python3 tests/golden/tokenizer_tables.py --write
"""
import pathlib
import sys

import tokenizers

TARGET = pathlib.Path(__file__).resolve().parents[2] / "ref/tokenizer/numeric_ranges.inc"


def numeric_ranges():
    digits = tokenizers.pre_tokenizers.Digits(individual_digits=True)
    ranges = []
    for c in range(0x110000):
        if 0xD800 <= c <= 0xDFFF or len(digits.pre_tokenize_str("x" + chr(c) + "x")) != 3:
            continue
        if ranges and ranges[-1][1] == c - 1:
            ranges[-1][1] = c
        else:
            ranges.append([c, c])
    return ranges


def main():
    lines = [
        "// Unicode Nd, Nl and No as the `tokenizers` library sees them. Written by tests/golden/tokenizer_tables.py"
    ]
    line = ""
    for first, last in numeric_ranges():
        item = f"{{0x{first:X}, 0x{last:X}}},"
        if len(line) + 1 + len(item) > 108:
            lines.append(line)
            line = ""
        line += " " + item if line else item
    text = "\n".join(lines + [line]) + "\n"
    if "--write" in sys.argv[1:]:
        TARGET.write_text(text)
    elif TARGET.read_text() != text:
        sys.exit(f"{TARGET} differs from what tokenizers {tokenizers.__version__} says")
    print(f"tokenizers {tokenizers.__version__}: {len(text.splitlines())} lines, the same")


if __name__ == "__main__":
    main()
