"""Writes tests/core/bad_safetensors/: one small file for every rule of the format that a file can break, each of
them correct apart from that. tests/core/safetensors.cpp says what is thrown for each. Python's standard library only.

    python3 tests/golden/make_bad_safetensors.py
"""

import json
import pathlib
import struct

FOLDER = pathlib.Path(__file__).resolve().parent.parent / "core" / "bad_safetensors"


def tensor(dtype, shape, begin, end):
    return {"dtype": dtype, "shape": shape, "data_offsets": [begin, end]}


def file(header, data_bytes, length=None):
    """header: the JSON text, or a dict for it."""
    text = (header if isinstance(header, str) else json.dumps(header, separators=(",", ":"))).encode("utf-8")
    return struct.pack("<Q", len(text) if length is None else length) + text + bytes(range(data_bytes))


a = tensor("F32", [2, 3], 0, 24)
pair = '{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]},"%s":{"dtype":"F32","shape":[1],"data_offsets":[4,8]}}'

BAD = {
    "empty": b"",
    "seven_bytes": bytes(7),
    "header_past_the_end": file({"a": a}, 24, length=1000),
    "header_one_byte_past_the_end": file("{}", 0, length=3),
    "header_over_100_mb": file({"a": a}, 24, length=100_000_001),
    "header_length_of_64_bits": file({"a": a}, 24, length=2**64 - 1),
    "header_empty": file("", 0),
    "header_begins_with_a_space": file(' {"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}', 4),
    "header_is_a_list": file("[]", 0),
    "json_broken": file('{"a":', 0),
    "json_goes_on": file("{} {}", 0),
    "json_number_too_large": file('{"a":1e999}', 0),
    "json_too_deep": file('{"a":' + "[" * 100 + "]" * 100 + "}", 0),
    "json_not_utf8": struct.pack("<Q", 8) + b'{"\xff": 0}',
    "duplicate_name": file(pair % "a", 8),
    "duplicate_field": file('{"a":{"dtype":"F32","dtype":"I32","shape":[1],"data_offsets":[0,4]}}', 4),
    "metadata_not_an_object": file({"__metadata__": 1}, 0),
    "metadata_not_a_string": file({"__metadata__": {"step": 1}}, 0),
    "tensor_not_an_object": file({"a": [1]}, 0),
    "field_missing": file({"a": {"dtype": "F32", "data_offsets": [0, 4]}}, 4),
    "field_unknown": file({"a": {**a, "stride": [3, 1]}}, 24),
    "dtype_unknown": file({"a": tensor("F33", [1], 0, 4)}, 4),
    "dtype_not_a_string": file({"a": tensor(32, [1], 0, 4)}, 4),
    "shape_negative": file({"a": tensor("F32", [-1, -6], 0, 24)}, 24),
    "shape_fractional": file({"a": tensor("F32", [1.5, 4], 0, 24)}, 24),
    "shape_of_65_bits": file({"a": tensor("F32", [2**65], 0, 24)}, 24),
    "shape_product_overflows": file({"a": tensor("F32", [2**62, 4], 0, 0)}, 0),
    "shape_overflows_beside_a_zero": file({"a": tensor("F32", [2**62, 4, 0], 0, 0)}, 0),
    "shape_larger_than_bytes": file({"a": tensor("F32", [2, 4], 0, 24)}, 24),
    "shape_smaller_than_bytes": file({"a": tensor("F32", [2, 2], 0, 24)}, 24),
    "offsets_reversed": file({"a": tensor("F32", [1], 4, 0)}, 4),
    "offsets_negative": file({"a": tensor("F32", [1], -4, 0)}, 4),
    "offsets_three": file({"a": {"dtype": "F32", "shape": [1], "data_offsets": [0, 4, 8]}}, 8),
    "offsets_past_the_end": file({"a": tensor("F32", [8], 0, 32)}, 24),
    "offsets_overlap": file({"a": tensor("F32", [4], 0, 16), "b": tensor("F32", [4], 12, 28)}, 28),
    "offsets_equal": file({"a": tensor("F32", [4], 0, 16), "b": tensor("F32", [4], 0, 16)}, 16),
    "gap_at_the_front": file({"a": tensor("F32", [1], 4, 8)}, 8),
    "gap_between": file({"a": tensor("F32", [1], 0, 4), "b": tensor("F32", [1], 8, 12)}, 12),
    "trailing_bytes": file({"a": a}, 25),
}

if __name__ == "__main__":
    FOLDER.mkdir(exist_ok=True)
    for old in FOLDER.glob("*.safetensors"):
        old.unlink()
    for name, content in BAD.items():
        (FOLDER / f"{name}.safetensors").write_bytes(content)
    print(f"{len(BAD)} files in {FOLDER}")
