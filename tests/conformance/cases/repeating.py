"""Tensors repeated, filled or turned around: TILE, BROADCAST_TO, BROADCAST_ARGS, FILL, ZEROS_LIKE, REVERSE_V2,
REVERSE_SEQUENCE."""

from registry import generator

ALL = (
    "float32", "float16", "float64", "int8", "uint8", "int16", "uint16", "int32", "uint32", "int64", "uint64", "bool",
)


@generator("TILE", types=[(ty, times) for ty in ALL for times in ("int32", "int64")], weight=0.5)
def tiles(d, types):
    ty, times_type = types
    m = d.model()
    shape = d.shape((1, 5), 4, 60, empty=0.05)
    quant = d.quant(ty)
    x = m.input(ty, d.values(ty, shape), quant)
    times = [d.pick(1, 1, 2, 3) for _ in shape]
    if d.chance(0.05):
        times[0] = 0
    y = m.output(ty, quant=quant)
    m.operator("TILE", [x, d.integers(m, times, times_type)], [y], "TileOptions")
    return m


@generator("BROADCAST_TO", types=[(ty, index) for ty in ALL for index in ("int32", "int64")], weight=0.5)
def repeated(d, types):
    ty, index_type = types
    m = d.model()
    wanted = d.shape((1, 8), 4, 300)
    shape = [1 if d.chance(0.4) else n for n in wanted][d.integer(0, len(wanted)) if d.chance(0.3) else 0 :]
    quant = d.quant(ty)
    x = m.input(ty, d.values(ty, shape), quant)
    y = m.output(ty, quant=quant)
    m.operator("BROADCAST_TO", [x, d.integers(m, wanted, index_type)], [y], "BroadcastToOptions", version=2)
    return m


@generator("BROADCAST_ARGS", types=["int32", "int64"], weight=2)
def together(d, ty):
    m = d.model()
    left, right = d.broadcast(2, (0, 6))
    left, right = d.pick((left, right), (right, left))
    a, b = (d.integers(m, shape, ty, constant=0.2) for shape in (left, right))
    m.operator("BROADCAST_ARGS", [a, b], [m.output(ty)], "BroadcastToOptions")
    return m


@generator("FILL", types=[(ty, index) for ty in ALL for index in ("int32", "int64")], weight=0.5)
def one_value(d, types):
    ty, index_type = types
    m = d.model()
    quant = d.quant(ty)
    dims = d.integers(m, d.shape((1, 6), 5, 200, empty=0.1), index_type)
    v = d.operand(m, ty, [], quant, constant=0.3)
    y = m.output(ty, quant=quant)
    m.operator("FILL", [dims, v], [y], "FillOptions")
    return m


@generator("ZEROS_LIKE", types=["float32", "int32", "int64"])
def zeros(d, ty):
    m = d.model()
    x = m.input(ty, d.values(ty, d.shape((0, 5), 5, empty=0.1)), d.quant(ty))
    m.operator("ZEROS_LIKE", [x], [m.output(ty)], "ZerosLikeOptions")
    return m


@generator("REVERSE_V2", types=["float32", "int8", "uint8", "int16", "int32", "int64", "float16", "bool"])
def backwards(d, ty):
    m = d.model()
    shape = d.shape((1, 6), 5)
    first, count = d.integer(0, len(shape) - 1), 1
    if d.chance(0.4):
        # LiteRT takes neighbouring axes; tflite-runtime 2.14 reverses the first one alone.
        count = d.integer(1, len(shape) - first)
        if count > 1:
            m.only("litert")
    axes = [first + int(i) - d.pick(0, len(shape)) for i in d.permutation(count)]
    quant = d.quant(ty)
    x = m.input(ty, d.values(ty, shape), quant)
    y = m.output(ty, quant=quant)
    m.operator("REVERSE_V2", [x, d.integers(m, axes)], [y], "ReverseV2Options")
    return m


@generator(
    "REVERSE_SEQUENCE", weight=0.5,
    types=[(ty, index) for ty in ("float32", "uint8", "int16", "int32", "int64") for index in ("int32", "int64")],
)
def beginnings(d, types):
    ty, index_type = types
    m = d.model()
    shape = d.shape((2, 5), 5)
    sequence, batch = d.permutation(len(shape))[:2]
    quant = d.quant(ty)
    x = m.input(ty, d.values(ty, shape), quant)
    lengths = d.operand(m, index_type, [shape[batch]], constant=0.3, low=0, high=shape[sequence])
    y = m.output(ty, quant=quant)
    m.operator("REVERSE_SEQUENCE", [x, lengths], [y], "ReverseSequenceOptions", seq_dim=sequence, batch_dim=batch)
    return m
