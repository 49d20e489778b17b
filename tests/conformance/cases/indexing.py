"""Elements chosen by indices: GATHER, GATHER_ND, SCATTER_ND, ONE_HOT, EMBEDDING_LOOKUP, ARG_MAX, ARG_MIN."""

import numpy as np

from model import Quant
from registry import generator

ALL = (
    "float32", "float16", "float64", "int8", "uint8", "int16", "uint16", "int32", "uint32", "int64", "uint64", "bool",
)
GATHERED = ("float32", "int8", "uint8", "int16", "int32", "int64", "float16", "bool")
INDEX = ("int32", "int64", "int16")


@generator("GATHER", types=[(ty, index) for ty in GATHERED for index in INDEX], weight=0.5)
def slices(d, types):
    ty, index_type = types
    m = d.model()
    shape = d.shape((1, 5), 5, 200)
    axis = d.integer(0, len(shape) - 1)
    batch_dims = d.integer(0, axis) if d.chance(0.5) else 0
    by = shape[:batch_dims] + d.shape((0, 2), 4, empty=0.05)
    quant = d.quant(ty)
    x = d.operand(m, ty, shape, quant, constant=0.3)
    indices = d.operand(m, index_type, by, constant=0.3, low=0, high=shape[axis] - 1)
    y = m.output(ty, quant=quant)
    batches = batch_dims - d.pick(0, len(by)) if 0 < batch_dims < len(by) else batch_dims
    m.operator(
        "GATHER", [x, indices], [y], "GatherOptions", axis=d.pick(axis, axis - len(shape)), batch_dims=batches
    )
    return m


@generator("GATHER_ND", types=[(ty, index) for ty in GATHERED for index in INDEX], weight=0.5)
def tuples(d, types):
    ty, index_type = types
    m = d.model()
    shape = d.shape((1, 5), 5, 200)
    depth = d.integer(1, len(shape))
    positions = d.shape((0, 2), 4, empty=0.05)
    quant = d.quant(ty)
    x = d.operand(m, ty, shape, quant, constant=0.3)
    columns = [d.values(index_type, [*positions, 1], 0, n - 1) for n in shape[:depth]]
    indices = np.concatenate(columns, axis=-1)
    i = m.constant(index_type, indices) if d.chance(0.3) else m.input(index_type, indices)
    y = m.output(ty, quant=quant)
    m.operator("GATHER_ND", [x, i], [y], "GatherNdOptions")
    return m


@generator("GATHER", "GATHER_ND", "EMBEDDING_LOOKUP")
def out_of_range(d, operator):
    m = d.model()
    x = m.input("float32", d.values("float32", [3, 4]))
    wrong = d.pick(-1, 3, -100, 2**31 - 1)
    if operator == "EMBEDDING_LOOKUP":
        i = m.input("int32", np.array([1, wrong]))
        m.operator(operator, [i, x], [m.output("float32")])
    elif operator == "GATHER":
        m.operator(operator, [x, m.input("int32", np.array([0, wrong]))], [m.output("float32")], "GatherOptions", axis=0)
    else:
        m.operator(operator, [x, m.input("int32", np.array([[0], [wrong]]))], [m.output("float32")], "GatherNdOptions")
    return m.refused()


@generator("SCATTER_ND", types=["float32", "int8", "uint8", "int32", "int64", "bool"])
def added(d, ty):
    m = d.model()
    shape = d.shape((1, 5), 5, 200)
    depth = d.integer(1, len(shape))
    positions = d.shape((1, 2), 4)
    columns = [d.values("int32", [*positions, 1], 0, n - 1) for n in shape[:depth]]
    i = d.integers(m, np.concatenate(columns, axis=-1), constant=0.3)
    quant = d.quant(ty)
    u = d.operand(m, ty, [*positions, *shape[depth:]], quant, constant=0.2)
    y = m.output(ty, quant=quant)
    m.operator("SCATTER_ND", [i, u, d.integers(m, shape)], [y], "ScatterNdOptions")
    return m


@generator(
    "ONE_HOT", weight=0.5,
    types=[(ty, index) for ty in ("float32", "int8", "uint8", "int32", "int64", "bool") for index in ("int32", "int64")],
)
def new_axis(d, types):
    ty, index_type = types
    m = d.model()
    shape = d.shape((0, 4), 4, 100, empty=0.05)
    depth = d.integer(0 if d.chance(0.05) else 1, 5)
    quant = d.quant(ty)
    indices = d.operand(m, index_type, shape, constant=0.2, low=-1, high=depth)
    on, off = (d.operand(m, ty, d.pick([], [1]), quant, constant=0.5) for _ in range(2))
    y = m.output(ty, quant=quant)
    m.operator(
        "ONE_HOT", [indices, d.integers(m, d.pick(depth, [depth])), on, off], [y], "OneHotOptions",
        axis=d.integer(-1, len(shape)),
    )
    return m


@generator("EMBEDDING_LOOKUP", types=ALL)
def rows(d, ty):
    m = d.model()
    shape = d.shape((2, 4), 5, 200)
    quant = d.quant(ty)
    table = d.operand(m, ty, shape, quant, constant=0.5)
    lookup = d.operand(m, "int32", [d.integer(0 if d.chance(0.05) else 1, 5)], constant=0.1, low=0, high=shape[0] - 1)
    y = m.output(ty, quant=quant)
    m.operator("EMBEDDING_LOOKUP", [lookup, table], [y])
    return m


@generator("EMBEDDING_LOOKUP", types=["int8", "uint8", "int4"])
def dequantized(d, ty):
    m = d.model()
    shape = d.shape((2, 4), 5, 200)
    if ty == "int4":
        shape[-1] = 2 * shape[-1]
    per_row = shape[0] > 1 and d.chance(0.5)
    quant = d.per_channel(shape[0], 0) if per_row and ty != "uint8" else Quant(d.scale(), 0)
    table = m.constant(ty, d.values(ty, shape), quant)
    lookup = m.input("int32", d.values("int32", [d.integer(1, 5)], 0, shape[0] - 1))
    m.operator("EMBEDDING_LOOKUP", [lookup, table], [m.output("float32")], version=2)
    # tflite-runtime 2.14 knows one scale for all rows.
    return m.only("litert") if len(quant.scales) > 1 else m


@generator(
    "ARG_MAX", "ARG_MIN", weight=0.5,
    types=[(ty, a, o) for ty in ("float32", "int8", "uint8", "int32", "bool") for a in ("int32", "int64") for o in ("int32", "int64")],
)
def position(d, operator, types):
    ty, axis_type, out_type = types
    m = d.model()
    shape = d.shape((1, 5), 6)
    axis = d.integer(0, len(shape) - 1)
    x = m.input(ty, d.values(ty, shape), d.quant(ty))
    a = d.integers(m, d.pick([axis], [axis - len(shape)]), axis_type)
    options = "ArgMaxOptions" if operator == "ARG_MAX" else "ArgMinOptions"
    m.operator(operator, [x, a], [m.output(out_type)], options, output_type=out_type.upper())
    return m


@generator("ARG_MAX", "ARG_MIN", weight=0.5)
def not_a_number(d, operator):
    m = d.model()
    data = d.values("float32", [3, 5])
    data[d.rng.random(data.shape) < 0.4] = np.nan
    x = m.input("float32", data)
    options = "ArgMaxOptions" if operator == "ARG_MAX" else "ArgMinOptions"
    m.operator(operator, [x, m.constant("int32", [1])], [m.output("int32")], options, output_type="INT32")
    # LiteRT's result depends on how many numbers an instruction of its CPU compares.
    return m.only("tflite")
