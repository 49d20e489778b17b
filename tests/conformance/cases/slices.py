"""Parts of tensors taken out, replaced and put together: SLICE, STRIDED_SLICE, SPLIT, SPLIT_V, UNPACK, PACK, CONCATENATION,
DYNAMIC_UPDATE_SLICE."""

from registry import generator

ALL = (
    "float32", "float16", "float64", "int8", "uint8", "int16", "uint16", "int32", "uint32", "int64", "uint64", "bool",
)


@generator("SLICE", types=[(ty, index) for ty in ALL for index in ("int32", "int64")], weight=0.5)
def block(d, types):
    ty, index_type = types
    m = d.model()
    shape = d.shape((1, 8), 5, 300, empty=0.05)
    quant = d.quant(ty)
    x = m.input(ty, d.values(ty, shape), quant)
    begin = [d.integer(0, n) for n in shape]
    size = [-1 if d.chance(0.2) else d.integer(0 if d.chance(0.1) else min(1, n - b), n - b) for n, b in zip(shape, begin)]
    y = m.output(ty, quant=quant)
    # A begin that inference computes needs sizes that do not depend on it.
    b = d.integers(m, begin, index_type, constant=1.0 if -1 in size else 0.5)
    m.operator("SLICE", [x, b, d.integers(m, size, index_type)], [y], "SliceOptions", version=2)
    return m


def bounds(d, n):
    """Begin, end and stride along an axis of `n`, within it and beyond."""
    stride = d.pick(1, 1, 1, 2, 3, -1, -1, -2)
    return d.integer(-n - 2, n + 2), d.integer(-n - 2, n + 2), stride


@generator("STRIDED_SLICE", types=ALL)
def masks(d, ty):
    m = d.model()
    shape = d.shape((1, 5), 6, empty=0.05)
    quant = d.quant(ty)
    x = m.input(ty, d.values(ty, shape), quant)
    begin, end, strides, new_axis, ellipsis, shrink = [], [], [], 0, 0, 0
    given = d.integer(1, len(shape))
    dots = d.integer(0, given) if d.chance(0.3) else None
    axis = 0
    while axis < given or (dots is not None and dots <= given and not ellipsis):
        position = len(begin)
        if position == 5:
            break
        b, e, s = 0, 0, 1
        if dots == axis and not ellipsis:
            ellipsis = 1 << position
        elif d.chance(0.15):
            new_axis |= 1 << position
        else:
            source = axis if not ellipsis else len(shape) - given + axis
            n = shape[source]
            b, e, s = bounds(d, n)
            if n and d.chance(0.2):
                shrink |= 1 << position
                b, s = d.integer(-n, n - 1), 1
                e = b + 1
            axis += 1
        begin.append(b)
        end.append(e)
        strides.append(s)
    y = m.output(ty, quant=quant)
    constant = 1.0 if d.chance(0.6) else 0.0
    operands = [d.integers(m, v, constant=constant) for v in (begin, end, strides)]
    m.operator(
        "STRIDED_SLICE", [x, *operands], [y], "StridedSliceOptions", version=1,
        begin_mask=d.pick(0, d.integer(0, 31)), end_mask=d.pick(0, d.integer(0, 31)), ellipsis_mask=ellipsis,
        new_axis_mask=new_axis, shrink_axis_mask=shrink,
    )
    return m


@generator("STRIDED_SLICE", types=["float32", "int8"])
def offset(d, ty):
    m = d.model()
    shape = d.shape((1, 4), 7)
    quant = d.quant(ty)
    x = m.input(ty, d.values(ty, shape), quant)
    begin = [d.integer(0, n - 1) for n in shape]
    end = [d.integer(1, n - b) for n, b in zip(shape, begin)]
    shrink = d.integer(0, 3) & ((1 << len(shape)) - 1) if d.chance(0.3) else 0
    for axis in range(len(shape)):
        if shrink >> axis & 1:
            end[axis] = 1
    y = m.output(ty, quant=quant)
    operands = [m.constant("int32", v) for v in (begin, end, [1] * len(shape))]
    m.operator("STRIDED_SLICE", [x, *operands], [y], "StridedSliceOptions", version=1, offset=True, shrink_axis_mask=shrink)
    return m


@generator("SPLIT", types=["float32", "int8", "uint8", "int16", "int32", "int64"])
def equal_parts(d, ty):
    m = d.model()
    shape = d.shape((1, 5), 4, 150, empty=0.05)
    axis, parts = d.integer(0, len(shape) - 1), d.integer(1, 4)
    shape[axis] *= parts
    quant = d.quant(ty)
    x = m.input(ty, d.values(ty, shape), quant)
    outputs = [m.output(ty, quant=quant) for _ in range(parts)]
    a = d.integers(m, d.pick([axis], [axis - len(shape)]))
    m.operator("SPLIT", [a, x], outputs, "SplitOptions", num_splits=parts)
    return m


@generator(
    "SPLIT_V", weight=0.5,
    types=[(ty, size) for ty in ("float32", "int8", "uint8", "int16", "int32", "int64") for size in ("int32", "int64")],
)
def parts(d, types):
    ty, size_type = types
    m = d.model()
    shape = d.shape((1, 5), 4, 150, empty=0.05)
    axis = d.integer(0, len(shape) - 1)
    sizes = [d.integer(0 if d.chance(0.2) else 1, 3) for _ in range(d.integer(1, 4))]
    shape[axis] = sum(sizes)
    if d.chance(0.4):
        sizes[d.integer(0, len(sizes) - 1)] = -1
    quant = d.quant(ty)
    x = m.input(ty, d.values(ty, shape), quant)
    outputs = [m.output(ty, quant=quant) for _ in sizes]
    a = d.integers(m, d.pick([axis], [axis - len(shape)]))
    m.operator("SPLIT_V", [x, d.integers(m, sizes, size_type), a], outputs, "SplitVOptions", num_splits=len(sizes))
    return m


@generator("UNPACK", types=["float32", "int8", "uint8", "int16", "int32", "float16", "bool"])
def along_axis(d, ty):
    m = d.model()
    shape = d.shape((1, 5), 5)
    axis = d.integer(0, len(shape) - 1)
    quant = d.quant(ty)
    x = m.input(ty, d.values(ty, shape), quant)
    outputs = [m.output(ty, quant=quant) for _ in range(shape[axis])]
    m.operator("UNPACK", [x], outputs, "UnpackOptions", num=shape[axis], axis=d.pick(axis, axis - len(shape)))
    return m


@generator("PACK", types=["float32", "int8", "uint8", "int16", "int32", "int64", "uint32"])
def side_by_side(d, ty):
    m = d.model()
    shape = d.shape((0, 5), 5, 200, empty=0.05)
    quant = d.quant(ty)
    operands = [d.operand(m, ty, shape, quant, constant=0.2) for _ in range(d.integer(1, 4))]
    axis = d.integer(0, len(shape))
    y = m.output(ty, quant=quant)
    m.operator(
        "PACK", operands, [y], "PackOptions", version=2, values_count=len(operands), axis=d.pick(axis, axis - len(shape) - 1)
    )
    return m


@generator("CONCATENATION", types=["float32", "int8", "uint8", "int16", "int32", "int64", "uint32", "float16", "bool"])
def one_after_the_other(d, ty):
    m = d.model()
    shape = d.shape((1, 6), 4, 150, empty=0.05)
    axis = d.integer(0, len(shape) - 1)
    quant = d.quant(ty)
    operands = []
    for _ in range(d.integer(1, 4)):
        part = list(shape)
        part[axis] = d.integer(0 if d.chance(0.1) else 1, 4)
        operands.append(d.operand(m, ty, part, quant, constant=0.2))
    y = m.output(ty, quant=quant)
    m.operator(
        "CONCATENATION", operands, [y], "ConcatenationOptions", version=2, axis=d.pick(axis, axis - len(shape)),
        fused_activation_function="NONE",
    )
    return m


@generator("CONCATENATION", weight=2)
def rescaled(d):
    m = d.model()
    shape = d.shape((1, 5), 4, 150)
    axis = d.integer(0, len(shape) - 1)
    quant = d.quant("uint8")
    operands = []
    for _ in range(d.integer(1, 4)):
        part = list(shape)
        part[axis] = d.integer(1, 4)
        # Like the result's, or with ties, or anything.
        own = d.pick(quant, d.quant("uint8", scale=quant.scale * d.pick(0.5, 1.5, 2.0)), d.quant("uint8"))
        operands.append(d.operand(m, "uint8", part, own, constant=0.2))
    y = m.output("uint8", quant=quant)
    m.operator("CONCATENATION", operands, [y], "ConcatenationOptions", axis=axis, fused_activation_function="NONE")
    return m


@generator("CONCATENATION", weight=0.5)
def unlike_scales(d):
    m, ty = d.model(), "int8"
    quant = d.quant(ty)
    other = d.quant(ty, scale=quant.scale * 2, zero_point=0)
    x, y = m.input(ty, d.values(ty, [2, 3]), quant), m.input(ty, d.values(ty, [2, 1]), other)
    z = m.output(ty, quant=quant)
    m.operator("CONCATENATION", [x, y], [z], "ConcatenationOptions", version=2, axis=1, fused_activation_function="NONE")
    return m.refused()


@generator("DYNAMIC_UPDATE_SLICE", types=[(ty, index) for ty in ALL for index in ("int32", "int64")], weight=0.5)
def replaced(d, types):
    ty, index_type = types
    m = d.model()
    shape = d.shape((1, 5), 6)
    quant = d.quant(ty)
    x = d.operand(m, ty, shape, quant, constant=0.2)
    u = d.operand(m, ty, [d.integer(0 if d.chance(0.05) else 1, n) for n in shape], quant, constant=0.2)
    start = d.integers(m, [d.integer(-2, n + 1) for n in shape], index_type)
    y = m.output(ty, quant=quant)
    m.operator("DYNAMIC_UPDATE_SLICE", [x, u, start], [y], "DynamicUpdateSliceOptions")
    return m
