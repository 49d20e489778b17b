"""Rows along the last axis: SOFTMAX, LOG_SOFTMAX, L2_NORMALIZATION."""

from model import Quant
from registry import generator


def rows(d, operator, ty, result, quant, out, options=None, version=1, **fields):
    m = d.model()
    shape = d.shape((1, 4), high=12)
    x = m.input(ty, d.values(ty, shape), quant)
    m.operator(operator, [x], [m.output(result, quant=out)], options, version=version, **fields)
    return m


SOFTMAX = {
    ("int8", "int8"): (1 / 256, -128), ("uint8", "uint8"): (1 / 256, 0), ("int16", "int16"): (1 / 32768, 0),
    ("int8", "int16"): (1 / 65536, -32768), ("uint8", "int16"): (1 / 65536, -32768),
}


@generator("SOFTMAX", types=list(SOFTMAX))
def softmax(d, types):
    ty, result = types
    beta = 1.0 if d.chance(0.6) else d.magnitude(0.05, 8.0)
    return rows(d, "SOFTMAX", ty, result, d.quant(ty), Quant(*SOFTMAX[types]), "SoftmaxOptions", version=2, beta=beta)


@generator("SOFTMAX", "LOG_SOFTMAX", "L2_NORMALIZATION", types=["float32"])
def floats(d, operator, ty):
    options = {"SOFTMAX": "SoftmaxOptions", "LOG_SOFTMAX": "LogSoftmaxOptions", "L2_NORMALIZATION": "L2NormOptions"}[operator]
    fields = {"beta": d.magnitude(0.05, 8.0)} if operator == "SOFTMAX" else {}
    return rows(d, operator, ty, ty, None, None, options, **fields)


@generator("LOG_SOFTMAX", types=["int8", "uint8"])
def log_softmax(d, ty):
    out = Quant(1 / 16, 127 if ty == "int8" else 255)
    return rows(d, "LOG_SOFTMAX", ty, ty, d.quant(ty), out, "LogSoftmaxOptions", version=2)


@generator("L2_NORMALIZATION", types=["int8", "uint8"])
def l2_normalization(d, ty):
    out = Quant(1 / 128, 0 if ty == "int8" else 128)
    return rows(d, "L2_NORMALIZATION", ty, ty, d.quant(ty), out, "L2NormOptions", version=2)
