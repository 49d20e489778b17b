"""int4 elements, which LiteRT moves in a few operators and the peers hand out in none: cast on the way in and out."""

import numpy as np

from model import Quant
from registry import generator


def cast(m, x, y, a, b):
    m.operator("CAST", [x], [y], "CastOptions", version=6, in_data_type=a, out_data_type=b)


def program(d, operator, options, version, shape, rest, out, **fields):
    """`operator` of an int4 tensor of `shape` and the tensors `rest(model, quant)`, with a result of shape `out`."""
    m, quant = d.model(), Quant(0.5, 0)
    x = m.input("float32", d.values("float32", shape, -10, 10))
    inner, result = m.inner("int4", shape, quant), m.inner("int4", out, quant)
    cast(m, x, inner, "FLOAT32", "INT4")
    m.operator(operator, [inner, *rest(m, quant)], [result], options, version=version, **fields)
    cast(m, result, m.output("float32", out), "INT4", "FLOAT32")
    return m.only("litert")


@generator("CAST")
def int4(d):
    m, shape = d.model(), d.shape((0, 3), 5)
    x = m.input("float32", d.values("float32", shape, -10, 10))
    inner = m.inner("int4", shape, Quant(0.5, 0))
    cast(m, x, inner, "FLOAT32", "INT4")
    cast(m, inner, m.output("float32", shape), "INT4", "FLOAT32")
    return m.only("litert")


@generator("CONCATENATION")
def int4_after(d):
    shape = d.shape((1, 4), 4, 100)
    axis = d.integer(0, len(shape) - 1)
    other = list(shape)
    other[axis] = d.integer(1, 4)
    out = list(shape)
    out[axis] += other[axis]
    return program(
        d, "CONCATENATION", "ConcatenationOptions", 6, shape,
        lambda m, quant: [m.constant("int4", d.values("int4", other), quant)], out, axis=axis, fused_activation_function="NONE",
    )


@generator("SLICE", types=["int32", "int64"], weight=0.5)
def int4_block(d, index):
    shape = d.shape((1, 4), 5, 100)
    begin = [d.integer(0, n - 1) for n in shape]
    size = [d.integer(1, n - b) for n, b in zip(shape, begin)]
    return program(
        d, "SLICE", "SliceOptions", 6, shape,
        lambda m, quant: [m.constant(index, begin), m.constant(index, size)], size,
    )


@generator("GATHER", types=["int16", "int32", "int64"], weight=0.5)
def int4_slices(d, index):
    # The peer needs pairs.
    shape = [*d.shape((1, 3), 4, 50), 2 * d.integer(1, 3)]
    axis = d.integer(0, len(shape) - 2)
    count = d.integer(1, 4)
    indices = d.values(index, [count], 0, shape[axis] - 1)
    out = shape[:axis] + [count] + shape[axis + 1 :]
    return program(
        d, "GATHER", "GatherOptions", 5, shape, lambda m, quant: [m.constant(index, indices)], out, axis=axis
    )


@generator("DYNAMIC_UPDATE_SLICE", types=["int32", "int64"], weight=0.5)
def int4_replaced(d, index):
    shape = d.shape((1, 4), 5, 100)
    update = [d.integer(1, n) for n in shape]
    start = [d.integer(-1, n) for n in shape]
    return program(
        d, "DYNAMIC_UPDATE_SLICE", "DynamicUpdateSliceOptions", 3, shape,
        lambda m, quant: [m.constant("int4", d.values("int4", update), quant), m.constant(index, start)], shape,
    )


@generator("RESHAPE", weight=0.5)
def int4_shape(d):
    shape = d.shape((1, 4), 5, 100)
    count = int(np.prod(shape))
    return program(
        d, "RESHAPE", "ReshapeOptions", 1, shape, lambda m, quant: [m.constant("int32", [count])], [count], new_shape=[count]
    )


@generator("SQUEEZE", weight=0.5)
def int4_dropped(d):
    shape = d.shape((1, 3), 5, 100)
    return program(d, "SQUEEZE", "SqueezeOptions", 1, [1, *shape], lambda m, quant: [], shape, squeeze_dims=[0])


@generator("EXPAND_DIMS", types=["int32", "int64"], weight=0.5)
def int4_new_axis(d, index):
    shape = d.shape((1, 3), 5, 100)
    return program(
        d, "EXPAND_DIMS", "ExpandDimsOptions", 1, shape, lambda m, quant: [m.constant(index, [0])], [1, *shape]
    )
