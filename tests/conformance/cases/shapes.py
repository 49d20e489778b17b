"""Operators that rename or reorder axes: RESHAPE, SQUEEZE, EXPAND_DIMS, TRANSPOSE, SHAPE, RANK."""

from registry import generator

ALL = (
    "float32", "float16", "float64", "int8", "uint8", "int16", "uint16", "int32", "uint32", "int64", "uint64", "bool",
)


@generator("RESHAPE", types=ALL)
def to_shape(d, ty):
    m = d.model()
    shape = d.shape((0, 6), 5, empty=0.1)
    quant = d.quant(ty)
    x = m.input(ty, d.values(ty, shape), quant)
    count = 1
    for n in shape:
        count *= n
    # Another split of the same count.
    dims = []
    rest = count
    for _ in range(d.integer(0, 5)):
        factor = d.pick(1, *[n for n in (2, 3, 4, 5) if rest and rest % n == 0])
        dims.append(factor)
        rest //= factor
    dims.insert(d.integer(0, len(dims)), rest)
    if count == 1 and d.chance(0.3):
        dims = []
    if count and d.chance(0.4) and dims:
        dims[d.integer(0, len(dims) - 1)] = -1
    inputs = [x]
    if dims and d.chance(0.6):
        inputs.append(m.constant("int32", dims))
    y = m.output(ty, quant=quant)
    m.operator("RESHAPE", inputs, [y], "ReshapeOptions", new_shape=dims)
    return m


@generator("SQUEEZE", types=ALL)
def dropped_axes(d, ty):
    m = d.model()
    shape = d.shape((1, 8), 4, 300, empty=0.1)
    shape[d.integer(0, len(shape) - 1)] = 1
    quant = d.quant(ty)
    x = m.input(ty, d.values(ty, shape), quant)
    ones = [axis for axis, n in enumerate(shape) if n == 1]
    axes = [axis - d.pick(0, len(shape)) for axis in ones if d.chance(0.6)]
    y = m.output(ty, quant=quant)
    m.operator("SQUEEZE", [x], [y], "SqueezeOptions", squeeze_dims=axes)
    return m


@generator("EXPAND_DIMS", types=[(ty, axis) for ty in ALL for axis in ("int32", "int64")], weight=0.5)
def new_axis(d, types):
    ty, axis_type = types
    m = d.model()
    shape = d.shape((0, 6), 5, empty=0.1)
    quant = d.quant(ty)
    x = m.input(ty, d.values(ty, shape), quant)
    axis = d.integer(-len(shape) - 1, len(shape))
    y = m.output(ty, quant=quant)
    m.operator("EXPAND_DIMS", [x, m.constant(axis_type, d.pick([axis], axis))], [y], "ExpandDimsOptions")
    return m


@generator("TRANSPOSE", types=ALL)
def permuted(d, ty):
    m = d.model()
    # Of a scalar the peers leave the result unwritten.
    shape = d.shape((1, 8), 5, 300, empty=0.05)
    quant = d.quant(ty)
    x = m.input(ty, d.values(ty, shape), quant)
    perm = [axis - d.pick(0, 0, 0, len(shape)) for axis in d.permutation(len(shape))]
    y = m.output(ty, quant=quant)
    m.operator("TRANSPOSE", [x, d.integers(m, perm)], [y], "TransposeOptions", version=2)
    return m


@generator("SHAPE", types=[(ty, out) for ty in ALL for out in ("int32", "int64")], weight=0.25)
def dimensions(d, types):
    ty, out_type = types
    m = d.model()
    x = m.input(ty, d.values(ty, d.shape((0, 8), 4, 300, empty=0.1)), d.quant(ty))
    y = m.output(out_type)
    m.operator("SHAPE", [x], [y], "ShapeOptions", out_type=out_type.upper())
    return m


@generator("RANK", types=ALL, weight=0.25)
def axes(d, ty):
    m = d.model()
    x = m.input(ty, d.values(ty, d.shape((0, 8), 4, 300, empty=0.1)), d.quant(ty))
    y = m.output("int32")
    m.operator("RANK", [x], [y], "RankOptions")
    return m
