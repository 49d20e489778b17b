"""Writes the arrays of this folder: `python make.py` with NumPy 1.26, in this folder.

Every file is what numpy itself writes; tests/npy.rs and tests/npz.rs read them and say what they expect.
"""

import zipfile

import numpy as np
from numpy.lib import format as npy_format

for code in ["?", "u1", "i1", "<u2", "<i2", "<u4", "<i4", "<u8", "<i8", "<f2", "<f4", "<f8"]:
    dtype = np.dtype(code)
    if dtype.kind == "b":
        values = [[True, False, True], [False, False, True]]
    elif dtype.kind == "f":
        values = [[0.0, -0.0, 1.5], [-2.25, np.inf, 2.0**-24]]
    else:
        info = np.iinfo(dtype)
        values = [[0, 1, 2], [info.min, info.max, 77]]
    np.save(dtype.name + ".npy", np.array(values, dtype))

grid = np.arange(24, dtype="<i2").reshape(2, 3, 4)
np.save("fortran.npy", np.asfortranarray(grid))
np.save("scalar.npy", np.float32(-0.1))
np.save("vector.npy", np.arange(1000, dtype="u1") % 251)
np.save("empty.npy", np.zeros((0, 3), "<i8"))
np.save("text.npy", np.array(["conv", "", "größe"]))
np.save("big_endian.npy", np.array([1, 2], ">i4"))
np.save("structured.npy", np.array([(1, 2.0)], [("a", "<i4"), ("b", "<f4")]))
np.save("object.npy", np.array([None]), allow_pickle=True)
np.save("complex.npy", np.array([1j], "<c8"))
for version in [(2, 0), (3, 0)]:
    with open(f"version_{version[0]}.npy", "wb") as file:
        npy_format.write_array(file, np.array([7, -7], "<i4"), version=version)

arrays = {"x": grid, "a/b:0": np.float64(2.5), "name": np.array(["relu6"])}
np.savez("stored.npz", **arrays)
np.savez_compressed("deflated.npz", **arrays)
np.savez("complex.npz", x=np.array([1j], "<c8"))

# The sizes move to the ZIP64 extra field of the directory where they pass this limit.
zipfile.ZIP64_LIMIT = 16
np.savez_compressed("zip64.npz", **arrays)
zipfile.ZIP64_LIMIT = (1 << 31) - 1

with zipfile.ZipFile("bzip2.npz", "w", zipfile.ZIP_BZIP2) as archive:
    archive.write("scalar.npy")
with zipfile.ZipFile("zeros.npz", "w", zipfile.ZIP_DEFLATED) as archive:
    with archive.open("zeros.npy", "w") as entry:
        npy_format.write_array(entry, np.zeros(1 << 20, "u1"))
