"""Writes the seeds of the fuzzers for safetensors, npy and config under tests/fuzz/corpus/. Python's standard library only.

    python3 tests/golden/make_fuzz_corpus.py
"""

import json
import pathlib
import struct

FOLDER = pathlib.Path(__file__).resolve().parent.parent / "fuzz" / "corpus"


def save(fuzzer, seeds):
    folder = FOLDER / fuzzer
    folder.mkdir(parents=True, exist_ok=True)
    for old in folder.iterdir():
        old.unlink()
    for name, content in seeds.items():
        (folder / name).write_bytes(content)
    print(f"{fuzzer}: {len(seeds)} seeds")


def safetensors(tensors, metadata=None):
    """The header's text and the data of {name: (dtype, bytes per element, shape)}."""
    header, offset = {}, 0
    if metadata:
        header["__metadata__"] = metadata
    for name, (dtype, size, shape) in tensors.items():
        begin = offset
        for extent in shape:
            size *= extent
        offset += size
        header[name] = {"dtype": dtype, "shape": shape, "data_offsets": [begin, offset]}
    return json.dumps(header, separators=(",", ":")).encode(), bytes(range(offset))


def both_forms(name, header, data, prefix):
    """As a file, and as the fuzzers' own form: header, zero byte, data."""
    return {name: prefix(header) + header + data, f"{name}_split": header + b"\0" + data}


def main():
    length = lambda header: struct.pack("<Q", len(header))
    seeds = both_forms("empty", b"{}", b"", length)
    seeds |= both_forms("one", *safetensors({"a": ("F32", 4, [2, 3])}), length)
    mixed = {"x": ("F64", 8, [2]), "y": ("BF16", 2, [3, 2]), "none": ("F16", 2, [0, 9]), "s": ("U8", 1, [])}
    seeds |= both_forms("mixed", *safetensors(mixed, {"format": "pt"}), length)
    save("safetensors", seeds)

    magic = lambda header: b"\x93NUMPY\x01\0" + struct.pack("<H", len(header))
    dicts = {
        "matrix": (b"{'descr': '<f4', 'fortran_order': False, 'shape': (2, 3), }\n", 24),
        "scalar": (b"{'descr': '<f8', 'fortran_order': False, 'shape': (), }\n", 8),
        "vector": (b"{'descr': '|u1', 'fortran_order': False, 'shape': (5,), }\n", 5),
        "quotes": (b'{"shape":(0,7),"fortran_order":False,"descr":"<i2"}', 0),
    }
    seeds = {}
    for name, (header, n) in dicts.items():
        seeds |= both_forms(name, header, bytes(n), magic)
    save("npy", seeds)

    model = {"preset": "tiny", "n_layers": 4, "d_model": 128, "rope_theta": 10000.0}
    train = {"tokens": 1000, "batch": 8, "micro_batch": 4, "seq_len": 64, "schedule": "multi-step",
             "stages": [[0.8, 0.316], [0.9, 0.1]], "lr": 1e-3}
    configs = {"preset": {"preset": "deepseek-llm-67b"}, "model": model, "train": train,
               "cosine": train | {"schedule": "cosine", "min_ratio": 0.1}, "run": {"model": model, "train": train}}
    save("config", {name: json.dumps(c).encode() for name, c in configs.items()})


if __name__ == "__main__":
    main()
