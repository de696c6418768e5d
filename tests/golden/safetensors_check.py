"""The `safetensors` library and NumPy against ours, both directions.

    pip install numpy safetensors
    python3 tests/golden/safetensors_check.py build/release/bin/test-core

First it writes tests/core/library.safetensors with the library, which the test "a file that the original library
wrote" reads. Then it lets the test "files for the original library to read" write a file of every type, a sharded
model and an .npy file, and reads those. Last run with safetensors 0.8.0, numpy 2.4.6, Python 3.11.
"""

import ctypes
import json
import os
import pathlib
import subprocess
import sys
import tempfile

import numpy as np
import safetensors

HERE = pathlib.Path(__file__).resolve().parent
TYPES = {"F64": ("float64", 8), "F32": ("float32", 4), "BF16": ("bfloat16", 2), "F16": ("float16", 2),
         "I64": ("int64", 8), "U64": ("uint64", 8), "I32": ("int32", 4), "U32": ("uint32", 4), "I16": ("int16", 2),
         "U16": ("uint16", 2), "I8": ("int8", 1), "U8": ("uint8", 1), "BOOL": ("bool", 1)}
METADATA = {"format": "pt", "step": "12"}


def content():
    """{name: (type, shape, bytes)}, as write_every_type in tests/core/safetensors.cpp."""
    tensors = {t: (t, [2, 3]) for t in TYPES}
    tensors |= {"no rows": ("BOOL", [0, 7]), "scalar": ("U8", []), 'Ünï "code"\n': ("U8", [1])}
    filled = {}
    for name, (t, shape) in tensors.items():
        length = len(name.encode())
        n = TYPES[t][1] * int(np.prod(shape))
        filled[name] = (t, shape, bytes(i % 2 if t == "BOOL" else (i * 37 + length) % 256 for i in range(n)))
    return filled


def write_with_library(path):
    buffers, specs = [], {}
    for name, (t, shape, data) in content().items():
        buffer = ctypes.create_string_buffer(data, max(1, len(data)))
        buffers.append(buffer)  # has to outlive the call
        specs[name] = safetensors.TensorSpec(dtype=TYPES[t][0], shape=shape, data_ptr=ctypes.addressof(buffer),
                                             data_len=len(data))
    path.write_bytes(safetensors.serialize(specs, METADATA))


def check_every_type(path):
    read = dict(safetensors.deserialize(path.read_bytes()))
    expected = content()
    assert read.keys() == expected.keys()
    for name, (t, shape, data) in expected.items():
        assert read[name]["dtype"] == t, (name, read[name]["dtype"])
        assert list(read[name]["shape"]) == shape, name
        assert bytes(read[name]["data"]) == data, name
    with safetensors.safe_open(path, framework="numpy") as file:
        assert file.metadata() == METADATA
        assert np.array_equal(file.get_tensor("I32"), np.frombuffer(expected["I32"][2], "<i4").reshape(2, 3))
    print(f"{path.name}: {len(expected)} tensors as expected")


def check_shards(folder):
    index = json.loads((folder / "model.safetensors.index.json").read_text())
    values = {f"t{i}": np.full([1, 2, 3, 0, 5][i], i, np.float32) for i in range(5)}
    assert index["weight_map"].keys() == values.keys() and index["metadata"]["total_size"] == 4 * 11
    for name, shard in index["weight_map"].items():
        with safetensors.safe_open(folder / shard, framework="numpy") as file:
            assert np.array_equal(file.get_tensor(name), values[name]), name
    print(f"shards: {len(values)} tensors in {len(set(index['weight_map'].values()))} files as expected")


def main():
    print("python", sys.version.split()[0], "numpy", np.__version__, "safetensors", safetensors.__version__)
    write_with_library(HERE.parent / "core" / "library.safetensors")
    if len(sys.argv) < 2:
        return
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        for case in ("*files for the original library to read*", "*a file that the original library wrote*"):
            subprocess.run([sys.argv[1], f"--test-case={case}"], check=True, stdout=subprocess.DEVNULL,
                           env=os.environ | {"DSLLM_CHECK_FOLDER": name})
        print("our reader: library.safetensors as expected")
        check_every_type(folder / "all.safetensors")
        check_shards(folder)
        assert np.array_equal(np.load(folder / "x.npy"), np.frombuffer(content()["I32"][2], "<i4").reshape(2, 3))
        print("x.npy as expected")


if __name__ == "__main__":
    main()
