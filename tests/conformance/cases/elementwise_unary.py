"""Functions of one element: activations, roots, exponentials, signs."""

import numpy as np

from draw import RANGES
from model import Quant
from registry import generator

QUANTIZED = ["int8", "uint8", "int16"]
SHAPE = (1, 4)


def unary(d, operator, ty, quant=None, out=None, options=None, version=1, low=None, high=None, **fields):
    m = d.model()
    x = m.input(ty, d.values(ty, d.shape(SHAPE, empty=0.03), low, high), quant)
    m.operator(operator, [x], [m.output(ty, quant=out)], options, version=version, **fields)
    return m


@generator("RELU", "RELU6", types=QUANTIZED)
def rectified(d, operator, ty):
    quant = d.quant(ty)
    return unary(d, operator, ty, quant, d.quant(ty, scale=quant.scale * d.magnitude(0.2, 8.0)), version=2)


@generator("RELU_N1_TO_1", "RELU_0_TO_1", types=["int8", "uint8"])
def bounded(d, operator, ty):
    quant = d.quant(ty)
    return unary(d, operator, ty, quant, d.quant(ty, scale=quant.scale * d.magnitude(0.2, 8.0)))


FLOAT = ["float32"]


@generator("RELU", "RELU6", "RELU_N1_TO_1", "RELU_0_TO_1", "HARD_SWISH", "LOGISTIC", "TANH", types=FLOAT)
def activation(d, operator, ty):
    return unary(d, operator, ty)


@generator("ABS", "NEG", "SIGN", "FLOOR", "SQUARE", "EXP", "LOG", "SIN", "COS", "SQRT", "RSQRT", types=FLOAT)
def function(d, operator, ty):
    return unary(d, operator, ty)


@generator("CEIL", "ROUND", "ELU", types=FLOAT)
def function_of_default_kernels(d, operator, ty):
    return unary(d, operator, ty).optimised()


@generator("GELU", types=FLOAT)
def gelu_erfc(d, ty):
    return unary(d, "GELU", ty, None, None, "GeluOptions", approximate=False)


@generator("GELU", types=FLOAT)
def gelu_tanh(d, ty):
    # Further below zero 1 + tanh(x) has hardly a digit left.
    return unary(d, "GELU", ty, None, None, "GeluOptions", approximate=True, low=-1.0, high=8.0)


@generator("ABS", "NEG", "SIGN", types=["int32"])
def plain(d, operator, ty):
    return unary(d, operator, ty, low=-(2**31) + 1, high=2**31 - 1)


@generator("NEG", types=["int64"])
def plain_wide(d, ty):
    return unary(d, "NEG", ty)


@generator("NEG", types=["int8", "int16"])
def mirrored(d, ty):
    # The peer mirrors at 0 whatever the zero point, and wraps the lowest code.
    quant = d.quant(ty, zero_point=0)
    return unary(d, "NEG", ty, quant, quant, low=-127 if ty == "int8" else -32767, high=127 if ty == "int8" else 32767)


@generator("ABS", types=["int8", "int16"])
def magnitude(d, ty):
    quant = d.quant(ty)
    out = quant if d.chance(0.4) else d.quant(ty, scale=quant.scale * d.magnitude(0.2, 8.0))
    return unary(d, "ABS", ty, quant, out, version=2)


@generator("ABS", types=["int16"])
def unquantized(d, ty):
    return unary(d, "ABS", ty, version=3)


@generator("LEAKY_RELU", types=[*QUANTIZED, "float32"])
def leaky(d, ty):
    quant = d.quant(ty)
    out = None if quant is None else d.quant(ty, scale=quant.scale * d.magnitude(0.2, 8.0))
    alpha = d.pick(d.real(-2, 2), d.magnitude(1e-4, 1.0), 0.0, 0.5, 1.0)
    return unary(d, "LEAKY_RELU", ty, quant, out, "LeakyReluOptions", version=2, alpha=alpha)


@generator("HARD_SWISH", types=["int8", "uint8"])
def hard_swish(d, ty):
    quant = d.quant(ty)
    return unary(d, "HARD_SWISH", ty, quant, d.quant(ty, scale=quant.scale * d.magnitude(0.05, 20.0)))


@generator("LOGISTIC", types=["int8", "uint8"])
def logistic(d, ty):
    return unary(d, "LOGISTIC", ty, d.quant(ty), Quant(1 / 256, -128 if ty == "int8" else 0))


@generator("TANH", types=["int8", "uint8"])
def tanh(d, ty):
    return unary(d, "TANH", ty, d.quant(ty), Quant(1 / 128, 0 if ty == "int8" else 128))


@generator("LOGISTIC", "TANH", types=["int16"])
def sigmoid(d, operator, ty):
    # Powers of two around 2^-12 have a path of their own.
    scale = 2.0 ** -d.integer(9, 14) if d.chance(0.5) else d.magnitude(1e-5, 2e-3)
    return unary(d, operator, ty, Quant(scale), Quant(2.0**-15), version=3)


@generator("EXP", "LOG", types=["int8", "int16"])
def table(d, operator, ty):
    quant = d.quant(ty, scale=d.magnitude(0.002, 0.1) / (256 if ty == "int16" else 1))
    out = d.quant(ty, scale=d.magnitude(0.005, 0.5) / (256 if ty == "int16" else 1))
    m = unary(d, operator, ty, quant, out, version=2)
    highest = quant.scale * (RANGES[ty][1] - quant.zero_point)
    if operator == "EXP" and ty == "int8" and np.exp(highest) / out.scale > 2**31:
        m.only("litert")  # undefined in C++: 2.14 takes the lowest code, 2.3 the highest
    return m


@generator("ELU", types=["int8"])
def elu(d, ty):
    quant = d.quant(ty)
    return unary(d, "ELU", ty, quant, d.quant(ty, scale=quant.scale * d.magnitude(0.2, 8.0))).optimised()


@generator("GELU", types=QUANTIZED)
def gelu(d, ty):
    quant = d.quant(ty, scale=d.magnitude(0.002, 0.1) / (256 if ty == "int16" else 1))
    out = d.quant(ty, scale=quant.scale * d.magnitude(0.5, 4.0))
    return unary(d, "GELU", ty, quant, out, "GeluOptions", version=2, approximate=d.chance(0.5))


@generator("SQRT", "RSQRT", types=["int8", "int16"])
def root(d, operator, ty):
    quant = d.quant(ty)
    high = 127 if ty == "int8" else 32767
    largest = np.sqrt(quant.scale * max(high - quant.zero_point, 1))
    widest = largest if operator == "SQRT" else 1 / np.sqrt(quant.scale)
    out = d.quant(ty, scale=float(widest) / high * d.magnitude(0.3, 4.0))
    spoilt = quant.zero_point > -128 and d.chance(0.1)
    low = quant.zero_point - (5 if spoilt and quant.zero_point > -120 else 0)
    m = unary(d, operator, ty, quant, out, version=2, low=low, high=high)
    if operator == "SQRT" or ty == "int16":
        m.only("litert")
    return m.refused()
