"""QUANTIZE, DEQUANTIZE and FAKE_QUANT."""

import numpy as np

from model import Quant
from registry import generator

SHAPE = (1, 4)


def channels(d, ty, shape):
    """One pair of scale and zero point for each index of some axis."""
    axis = d.integer(0, len(shape) - 1)
    count = max(shape[axis], 1)
    zero_points = [d.zero_point(ty) for _ in range(count)] if ty != "int16" else 0
    return Quant(d.per_channel(count, axis, 0.002, 0.5).scales, zero_points, axis)


def convert(d, operator, ty, result, data, quant=None, out=None, version=1):
    m = d.model()
    x = m.input(ty, data, quant)
    m.operator(operator, [x], [m.output(result, data.shape, out)], f"{operator.capitalize()}Options", version=version)
    return m


def reals(d, shape, scale):
    """Numbers around a range, ties and far outside among them."""
    if d.chance(0.3):
        return (d.rng.integers(-600, 600, shape) * np.float32(scale) / 2).astype(np.float32)
    return d.values("float32", shape)


@generator("QUANTIZE", types=["int8", "uint8", "int16"])
def quantize(d, ty):
    quant = d.quant(ty)
    return convert(d, "QUANTIZE", "float32", ty, reals(d, d.shape(SHAPE, empty=0.03), quant.scale), out=quant, version=2)


@generator("QUANTIZE", types=["int8", "int16"])
def quantize_per_channel(d, ty):
    shape = d.shape((2, 4))
    out = channels(d, ty, shape)
    return convert(d, "QUANTIZE", "float32", ty, reals(d, shape, out.scale), out=out, version=2)


REQUANTIZE = [
    ("uint8", "uint8"), ("uint8", "int8"), ("uint8", "int16"), ("int8", "uint8"), ("int8", "int8"), ("int8", "int16"),
    ("int16", "int8"), ("int16", "int16"), ("int16", "int32"), ("int32", "int8"), ("int32", "int16"),
]


@generator("QUANTIZE", types=REQUANTIZE)
def requantize(d, types):
    ty, result = types
    scale = d.scale() / (256 if ty == "int16" else 1)
    quant = d.quant(ty, scale) or Quant(scale)
    # Equal scales have a path of their own between the two 8-bit types.
    factor = 1.0 if d.chance(0.2) else d.magnitude(0.2, 300.0 if "8" not in ty else 8.0)
    zero_point = d.zero_point(result)
    if factor == 1.0 and {ty, result} == {"int8", "uint8"}:
        zero_point = quant.zero_point + (128 if result == "uint8" else -128)
    out = Quant(quant.scale * factor, zero_point)
    low, high = (-(2**20), 2**20) if ty == "int32" else (None, None)
    data = d.values(ty, d.shape(SHAPE), low, high)
    return convert(d, "QUANTIZE", ty, result, data, quant, out, version=2)


@generator("DEQUANTIZE", types=["int8", "uint8", "int16", "float16"])
def dequantize(d, ty):
    data = d.values(ty, d.shape(SHAPE, empty=0.03))
    return convert(d, "DEQUANTIZE", ty, "float32", data, d.quant(ty), version=3)


@generator("DEQUANTIZE", types=["int8"])
def dequantize_per_channel(d, ty):
    shape = d.shape((2, 4))
    quant = channels(d, ty, shape)
    return convert(d, "DEQUANTIZE", ty, "float32", d.values(ty, shape), quant, version=2)


@generator("DEQUANTIZE", types=["int4"])
def dequantize_packed(d, ty):
    m = d.model()
    shape = d.shape((1, 4))
    axis = d.integer(0, len(shape) - 1)
    quant = d.per_channel(shape[axis], axis) if shape[axis] > 1 and d.chance(0.5) else d.quant(ty, zero_point=0)
    x = m.constant(ty, d.values(ty, shape), quant)
    m.operator("DEQUANTIZE", [x], [m.output("float32", shape)], "DequantizeOptions", version=d.pick(2, 6))
    return m


@generator("FAKE_QUANT", types=["float32"])
def fake_quant(d, ty):
    m = d.model()
    x = m.input(ty, d.values(ty, d.shape(SHAPE)))
    low, high = -d.magnitude(0.01, 10.0), d.magnitude(0.01, 10.0)
    if d.chance(0.2):
        low, high = d.pick((0.0, high), (low, 0.0))
    m.operator(
        "FAKE_QUANT", [x], [m.output(ty)], "FakeQuantOptions", min=low, max=high, num_bits=d.pick(8, 8, 4, 2, 16),
        narrow_range=d.chance(0.05),
    )
    return m.refused()
