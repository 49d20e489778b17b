"""Reductions along any axes, running sums, sums of many tensors."""

import numpy as np

from arithmetic import multiply, quantize_multiplier
from draw import RANGES
from registry import generator


def axes_of(d, rank):
    """Some axes of a shape, now and then twice or counted from the end; rarely none."""
    if rank == 0:
        return d.pick([], [0])  # a scalar's axes do not count
    axes = [axis for axis in range(rank) if d.chance(0.5)]
    if not axes and d.chance(0.8):
        axes = [d.integer(0, rank - 1)]
    if axes and d.chance(0.2):
        axes.append(axes[0])
    return [axis - rank if d.chance(0.3) else axis for axis in axes]


def reduced(d, operator, ty, quant=None, out=None, empty=0.06, version=1, low=None, high=None):
    """The model, the data and what describes the reduction."""
    m = d.model()
    data = d.values(ty, d.shape((0, 5), empty=empty), low, high)
    axes, keep = axes_of(d, data.ndim), d.chance(0.5)
    x = m.input(ty, data, quant)
    m.operator(
        operator, [x, d.integers(m, axes, constant=0.8)], [m.output(ty, quant=out)], "ReducerOptions", version=version,
        keep_dims=keep,
    )
    return m, data, (tuple({axis % data.ndim for axis in axes if data.ndim}), keep)


@generator("MEAN", types=["int8", "uint8", "int16"])
def mean(d, ty):
    quant = d.quant(ty)
    out = quant if d.chance(0.3) else d.quant(ty, scale=quant.scale * d.magnitude(0.05, 8.0))
    return reduced(d, "MEAN", ty, quant, out, version=2)[0]


@generator("MEAN", "SUM", types=["float32", "int32", "int64"])
def plain(d, operator, ty):
    low, high = (None, None) if ty == "float32" else (-(2**20), 2**20)
    return reduced(d, operator, ty, low=low, high=high)[0]


@generator("SUM", types=["uint8", "int8", "int16"])
def total(d, ty):
    quant = d.quant(ty)
    out = d.quant(ty, scale=quant.scale * d.magnitude(0.5, 60.0))
    m, data, (axes, keep) = reduced(d, "SUM", ty, quant, out, version=2, empty=0.06 if ty == "uint8" else 0.0)
    if ty == "uint8":
        return m
    # The reference kernel reads uint8 whatever the type is (kernels/reduce.cc, QuantizedMeanOrSum): its own arithmetic, on
    # the type that is there.
    sums = (data.astype(np.int64) - quant.zero_point).sum(axis=axes, keepdims=keep)
    factor = quantize_multiplier(float(quant.scales[0]) / float(out.scales[0]))
    scaled = np.array([multiply(int(s), *factor) for s in np.ravel(sums)]).reshape(np.shape(sums))
    return m.expect([(ty, np.clip(scaled + out.zero_point, *RANGES[ty]))])


NUMBERS = ["int8", "uint8", "int16", "float32", "int32", "int64"]


@generator("REDUCE_MAX", "REDUCE_MIN", types=NUMBERS)
def extreme(d, operator, ty):
    quant = d.quant(ty)
    return reduced(d, operator, ty, quant, quant, version=2 if quant else 1)[0]


@generator("REDUCE_PROD", types=["float32", "int32", "int64"])
def plain_product(d, ty):
    return reduced(d, "REDUCE_PROD", ty)[0]


@generator("REDUCE_PROD", types=["int8", "uint8", "int16"])
def unquantized_product(d, ty):
    return reduced(d, "REDUCE_PROD", ty, version=2)[0]


@generator("REDUCE_PROD", types=["int8", "int16"])
def product(d, ty):
    # An empty product is left unwritten by the peers.
    quant = d.quant(ty, scale=d.magnitude(0.005, 0.1) / (256 if ty == "int16" else 1))
    out = d.quant(ty, scale=d.magnitude(0.002, 0.5) / (256 if ty == "int16" else 1))
    return reduced(d, "REDUCE_PROD", ty, quant, out, version=2, empty=0.0)[0]


@generator("REDUCE_ANY", "REDUCE_ALL", types=["bool"])
def truth(d, operator, ty):
    m = d.model()
    shape = d.shape((0, 5), empty=0.06)
    data = d.rng.random(shape) < d.pick(0.1, 0.5, 0.9)
    axes = axes_of(d, len(shape))
    x = m.input(ty, data)
    axes = d.integers(m, axes, constant=0.8)
    m.operator(operator, [x, axes], [m.output(ty)], "ReducerOptions", keep_dims=d.chance(0.5))
    return m


@generator("CUMSUM", types=["float32", "int32", "int64"])
def running(d, ty):
    m = d.model()
    data = d.values(ty, d.shape((1, 5), empty=0.03))
    axis = d.integer(-data.ndim, data.ndim - 1)
    x = m.input(ty, data)
    m.operator(
        "CUMSUM", [x, d.integers(m, d.pick(axis, [axis]), constant=0.8)], [m.output(ty)], "CumsumOptions",
        exclusive=d.chance(0.5), reverse=d.chance(0.5),
    )
    return m.optimised()  # the reference resolver of 2.14 has none; the kernel is the same


@generator("ADD_N", types=["float32", "int32"])
def many(d, ty):
    m = d.model()
    shape = d.shape((1, 4), most=60)
    count = d.integer(2, 6) if d.chance(0.8) else 45
    inputs = [d.operand(m, ty, shape, constant=0.2) for _ in range(count)]
    m.operator("ADD_N", inputs, [m.output(ty)], "AddNOptions")
    return m
