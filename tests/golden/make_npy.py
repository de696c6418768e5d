"""Writes tests/core/numpy_files/: small arrays as NumPy writes them, read by tests/core/npy.cpp.

    python3 tests/golden/make_npy.py       # made with NumPy 2.x; any version writes the same files
"""

import pathlib

import numpy as np

FOLDER = pathlib.Path(__file__).resolve().parent.parent / "core" / "numpy_files"
TYPES = ["<f8", "<f4", "<f2", "<i8", "<u8", "<i4", "<u4", "<i2", "<u2", "|i1", "|u1", "|b1"]


def save(name, array, version=None):
    with open(FOLDER / f"{name}.npy", "wb") as f:
        np.lib.format.write_array(f, array, version=version)


if __name__ == "__main__":
    FOLDER.mkdir(exist_ok=True)
    for old in FOLDER.glob("*.npy"):
        old.unlink()
    ramp = np.arange(6).reshape(2, 3)
    for t in TYPES:
        save(t[1:], ramp % 2 == 1 if t == "|b1" else ramp.astype(t))
    save("scalar", np.float32(2.5))
    save("vector", np.arange(5, dtype="<f4"))
    save("empty", np.zeros((0, 3), "<f4"))
    save("four_extents", np.arange(24, dtype="<i4").reshape(1, 2, 3, 4))
    save("version_2", ramp.astype("<f4"), (2, 0))
    save("version_3", ramp.astype("<f4"), (3, 0))
    save("bad_fortran_order", np.asfortranarray(ramp.astype("<f4")))
    save("bad_big_endian", ramp.astype(">f4"))
    save("bad_complex", ramp.astype("<c8"))
    save("bad_record", np.zeros(2, dtype=[("x", "<f4")]))
    print("numpy", np.__version__, sorted(p.name for p in FOLDER.iterdir()))
