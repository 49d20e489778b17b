"""Values put at given places or read as another type: MATRIX_DIAG, MATRIX_SET_DIAG, SPARSE_TO_DENSE, HASHTABLE_LOOKUP, BITCAST."""

import numpy as np

from registry import generator

TYPES = ("float32", "int8", "uint8", "int16", "int32", "int64")
BYTES = {"int8": 1, "uint8": 1, "int16": 2, "uint16": 2, "int32": 4, "uint32": 4, "float32": 4, "int64": 8}


@generator("MATRIX_DIAG", types=TYPES)
def diagonals(d, ty):
    m = d.model()
    quant = d.quant(ty)
    x = d.operand(m, ty, d.shape((1, 4), 5, 60, empty=0.05), quant)
    m.operator("MATRIX_DIAG", [x], [m.output(ty, quant=quant)], "MatrixDiagOptions")
    return m


@generator("MATRIX_SET_DIAG", types=TYPES)
def replaced(d, ty):
    m = d.model()
    quant = d.quant(ty)
    shape = d.shape((2, 4), 5, 100, empty=0.05)
    x = d.operand(m, ty, shape, quant)
    diagonal = d.operand(m, ty, [*shape[:-2], min(shape[-2:])], quant)
    m.operator("MATRIX_SET_DIAG", [x, diagonal], [m.output(ty, quant=quant)], "MatrixSetDiagOptions")
    return m


@generator(
    "SPARSE_TO_DENSE", weight=0.5,
    types=[
        (ty, index, shape)
        for ty in ("float32", "int8", "uint8", "int32", "int64")
        for index in ("int32", "int64")
        for shape in ("int32", "int64")
    ],
)
def scattered(d, types):
    ty, index_type, shape_type = types
    m = d.model()
    quant = d.quant(ty)
    shape = d.shape((1, 4), 5, 200)
    # TFLite wants positions in order and each once, and does not look whether they are.
    places = np.prod(shape)
    count = 1 if len(shape) == 1 and d.chance(0.2) else d.integer(1, min(int(places), 6))
    flat = np.sort(d.rng.choice(int(places), count, replace=False))
    indices = np.stack(np.unravel_index(flat, shape), axis=-1)
    if len(shape) == 1:
        indices = indices.reshape(d.pick([count, 1], [count], [] if count == 1 else [count]))
    i = d.integers(m, indices, index_type, constant=0.3)
    values = d.operand(m, ty, [] if indices.ndim == 0 else d.pick([], [count]), quant)
    default = d.operand(m, ty, [], quant)
    m.operator(
        "SPARSE_TO_DENSE", [i, d.integers(m, shape, shape_type), values, default], [m.output(ty, quant=quant)],
        "SparseToDenseOptions", validate_indices=d.chance(0.5),
    )
    return m


@generator("HASHTABLE_LOOKUP", types=TYPES)
def by_key(d, ty):
    m = d.model()
    quant = d.quant(ty)
    shape = d.shape((1, 3), 6, 100)
    keys = np.sort(d.rng.choice(np.arange(-20, 20), shape[0], replace=False))
    wanted = d.rng.choice(np.concatenate([keys, np.arange(-22, 22)]), d.integer(1, 8))
    lookup = d.integers(m, wanted, constant=0.2)
    table = d.operand(m, ty, shape, quant, constant=0.5)
    results = [m.output(ty, quant=quant), m.output("uint8")]
    m.operator("HASHTABLE_LOOKUP", [lookup, d.integers(m, keys), table], results)
    return m


@generator("BITCAST", types=[(a, b) for a in BYTES for b in BYTES], weight=0.3)
def same_bytes(d, types):
    a, b = types
    m = d.model()
    shape = d.shape((1, 4), 5, 60)
    if BYTES[a] < BYTES[b]:
        shape = [*shape, BYTES[b] // BYTES[a]]
    m.operator("BITCAST", [d.operand(m, a, shape)], [m.output(b)], "BitcastOptions")
    return m
