"""Two operands that broadcast: arithmetic with and without a fused activation, powers, bits."""

import numpy as np

from draw import RANGES
from model import Quant
from registry import generator

QUANTIZED = ["int8", "uint8", "int16"]


def finish(d, m, operator, x, y, z, activation=False, version=1, table=None, **fields):
    if activation:
        fields["fused_activation_function"] = d.activation()
    options = table or "".join(word.capitalize() for word in operator.split("_")) + "Options"
    m.operator(operator, [x, y], [z], options, version=version, **fields)
    return m


def operands(d, m, ty, left=None, right=None, low=None, high=None, rank=(1, 6)):
    left_shape, right_shape = d.broadcast(2, rank)
    if d.chance(0.5):
        left_shape, right_shape = right_shape, left_shape
    x = d.operand(m, ty, left_shape, left, constant=0.1, low=low, high=high)
    y = d.operand(m, ty, right_shape, right, constant=0.3, low=low, high=high)
    return x, y


@generator("ADD", "SUB", types=QUANTIZED)
def quantized(d, operator, ty):
    # ADD is defined for an output multiplier below 1 alone: twice the larger input scale must stay below 2^20 output scales.
    m = d.model()
    left, right = d.quant(ty), d.quant(ty)
    x, y = operands(d, m, ty, left, right)
    z = m.output(ty, quant=d.quant(ty, scale=max(left.scale, right.scale) * d.magnitude(0.02, 8.0)))
    return finish(d, m, operator, x, y, z, activation=True, version=2, pot_scale_int16=False)


@generator("ADD", "SUB", types=["int16"])
def shifted(d, operator, ty):
    # Power-of-two scales, the default of the option: one operand has the result's scale. A broadcast ADD ends the peers.
    m = d.model()
    scale = 2.0 ** -d.integer(4, 14)
    shifts = [0, d.integer(0, 8)]
    if d.chance(0.5):
        shifts.reverse()
    left_shape, right_shape = d.broadcast(2, (1, 4))
    if operator == "ADD":
        right_shape = left_shape
    x = m.input(ty, d.values(ty, left_shape), Quant(scale / 2 ** shifts[0]))
    y = m.input(ty, d.values(ty, right_shape), Quant(scale / 2 ** shifts[1]))
    z = m.output(ty, quant=Quant(scale))
    return finish(d, m, operator, x, y, z, activation=True, version=2)


@generator("ADD", "SUB", "MUL", types=["float32", "int32", "int64"])
def plain(d, operator, ty):
    m = d.model()
    x, y = operands(d, m, ty, low=None if ty == "float32" else -10_000, high=None if ty == "float32" else 10_000)
    return finish(d, m, operator, x, y, m.output(ty), activation=True)


@generator("ADD", "MUL", types=["int16"])
def unquantized(d, operator, ty):
    m = d.model()
    x, y = operands(d, m, ty)
    return finish(d, m, operator, x, y, m.output(ty), activation=True)


@generator("MUL", types=QUANTIZED)
def product(d, ty):
    m = d.model()
    left, right = d.quant(ty), d.quant(ty)
    x, y = operands(d, m, ty, left, right)
    # From results that hardly move to multipliers far above 1; the product of differences has 18 bits, 32 with int16.
    scale = left.scale * right.scale * (d.magnitude(0.5, 600.0) if ty != "int16" else d.magnitude(1.0, 1e6))
    z = m.output(ty, quant=d.quant(ty, scale=scale))
    return finish(d, m, "MUL", x, y, z, activation=True, version=2)


@generator("MUL", types=[("int16", "int8"), ("int16", "uint8")])
def fractions(d, types):
    m = d.model()
    ty, result = types
    shape = d.shape((1, 4))
    x = m.input(ty, d.values(ty, shape), Quant(2.0**-15))
    y = m.input(ty, d.values(ty, shape), Quant(2.0**-15))
    z = m.output(result, quant=d.quant(result, scale=2.0**-7))
    return finish(d, m, "MUL", x, y, z, activation=True, version=2)


def divisors(d, ty, shape, zero, spoilt):
    """Values other than `zero`, or with probability `spoilt` some of them."""
    values = d.values(ty, shape)
    if d.chance(spoilt):
        return values, bool((values == zero).any())
    other = zero + 1 if zero < RANGES.get(ty, (0, 1))[1] else zero - 1
    return np.where(values == zero, other, values).astype(values.dtype), False


@generator("DIV", types=QUANTIZED)
def quotient(d, ty):
    m = d.model()
    left, right = d.quant(ty), d.quant(ty)
    left_shape, right_shape = d.broadcast(2, (1, 4))
    dividends = d.values(ty, left_shape)
    values, spoilt = divisors(d, ty, right_shape, right.zero_point, 0.1)
    x, y = m.input(ty, dividends, left), m.input(ty, values, right)
    out = d.quant(ty, scale=left.scale / right.scale * d.magnitude(0.002, 1.0))
    finish(d, m, "DIV", x, y, m.output(ty, quant=out), activation=True, version=2)
    if not spoilt and shifts_too_far(dividends, left, values, right, out):
        return None
    if spoilt or ty != "uint8":
        m.only("litert")  # 2.14 has uint8 alone, and looks for the code 0, whatever it stands for
    return m.refused() if spoilt else m


def shifts_too_far(dividends, left, divisors, right, out):
    """Whether the peer may shift some quotient right by 32 bits, which is undefined in C++: even 0 becomes 1 then."""

    def bits(values, quant):
        return np.frexp(np.abs(values.astype(float) - quant.zero_point))[1]

    factor = np.frexp(left.scale / (right.scale * out.scale))[1]
    return bool((factor - bits(divisors, right) + bits(dividends, left) < 0).any())  # one bit is kept for signs


@generator("DIV", types=["float32", "int32"])
def plain_quotient(d, ty):
    m = d.model()
    left_shape, right_shape = d.broadcast(2, (1, 4))
    x = m.input(ty, d.values(ty, left_shape))
    values, spoilt = divisors(d, ty, right_shape, 0, 0.1)
    finish(d, m, "DIV", x, m.input(ty, values), m.output(ty), activation=True)
    return m.refused() if spoilt and ty == "int32" else m


@generator("FLOOR_DIV", types=["float32", "int8", "int16", "int32"])
def floor_div(d, ty):
    return floored(d, "FLOOR_DIV", ty)


@generator("FLOOR_MOD", types=["float32", "int8", "int16", "int32", "int64"])
def floor_mod(d, ty):
    return floored(d, "FLOOR_MOD", ty)


def floored(d, operator, ty):
    m = d.model()
    left_shape, right_shape = d.broadcast(2, (1, 4))
    # The lowest number by -1 is undefined: in C++ the remainder ends the process.
    low = None if ty == "float32" else RANGES[ty][0] + 1
    x = m.input(ty, d.values(ty, left_shape, low, None if low is None else RANGES[ty][1]))
    values, spoilt = divisors(d, ty, right_shape, 0, 0.1)
    version = {"int8": 3, "int16": 3, "float32": 1, "int32": 2, "int64": 1}[ty] if operator == "FLOOR_DIV" else 1
    finish(d, m, operator, x, m.input(ty, values), m.output(ty), version=version)
    return m.refused() if spoilt and ty != "float32" else m


@generator("MAXIMUM", "MINIMUM", types=[*QUANTIZED, "float32", "int32", "int64"])
def extreme(d, operator, ty):
    m = d.model()
    quant = d.quant(ty)
    x, y = operands(d, m, ty, quant, quant)
    return finish(d, m, operator, x, y, m.output(ty, quant=quant), table="MaximumMinimumOptions")


@generator("SQUARED_DIFFERENCE", types=["int8"])
def squared(d, ty):
    # The output multiplier must stay below 1: (2 s)^2 below 2^14 output scales.
    m = d.model()
    left, right = d.quant(ty), d.quant(ty)
    x, y = operands(d, m, ty, left, right, rank=(1, 4))
    scale = max(left.scale, right.scale) ** 2
    z = m.output(ty, quant=d.quant(ty, scale=scale * d.magnitude(0.001, 300.0)))
    return finish(d, m, "SQUARED_DIFFERENCE", x, y, z, version=2)


@generator("SQUARED_DIFFERENCE", types=["float32", "int32"])
def plain_squared(d, ty):
    m = d.model()
    x, y = operands(d, m, ty, low=None if ty == "float32" else -40_000, high=None if ty == "float32" else 40_000, rank=(1, 4))
    return finish(d, m, "SQUARED_DIFFERENCE", x, y, m.output(ty))


@generator("POW", types=["float32", "int32"])
def power(d, ty):
    m = d.model()
    left_shape, right_shape = d.broadcast(2, (1, 4))
    if ty == "int32":
        x = m.input(ty, d.values(ty, left_shape, -9, 9))
        y = m.input(ty, d.values(ty, right_shape, 0 if d.chance(0.9) else -1, 9))
        return finish(d, m, "POW", x, y, m.output(ty)).refused()
    x = m.input(ty, d.values(ty, left_shape))
    if d.chance(0.5):
        # One exponent for all: whole numbers are multiplied out.
        exponent = d.pick(-2.0, 0.0, 0.5, 1.0, 2.0, 3.0, 7.0, 12.0, 2.000001, 100.0)
        y = m.input(ty, np.full(d.pick((), (1,), (1, 1)), exponent, np.float32))
    else:
        y = m.input(ty, d.values(ty, right_shape, -3, 3))
    return finish(d, m, "POW", x, y, m.output(ty))


@generator("ATAN2", types=["float32"])
def angle(d, ty):
    m = d.model()
    shape = d.shape((1, 4))
    return finish(d, m, "ATAN2", m.input(ty, d.values(ty, shape)), m.input(ty, d.values(ty, shape)), m.output(ty), table="ATan2Options")


BITS = ["uint8", "int8", "uint16", "int16", "uint32", "int32"]


@generator("BITWISE_XOR", types=BITS)
def bitwise(d, ty):
    m = d.model()
    x, y = operands(d, m, ty, rank=(1, 4))
    return finish(d, m, "BITWISE_XOR", x, y, m.output(ty))


@generator("RIGHT_SHIFT", types=BITS)
def shift(d, ty):
    m = d.model()
    left_shape, right_shape = d.broadcast(2, (1, 4))
    x = m.input(ty, d.values(ty, left_shape))
    y = m.input(ty, d.values(ty, right_shape, 0 if ty.startswith("u") else -3, 40))
    return finish(d, m, "RIGHT_SHIFT", x, y, m.output(ty))


@generator("PRELU", types=["int8", "uint8", "int16", "float32"])
def prelu(d, ty):
    m = d.model()
    shape = d.shape((1, 4))
    kept = [n if d.chance(0.6) else 1 for n in shape]
    alpha_shape = kept[d.integer(0, len(kept) - 1) :] if d.chance(0.5) else kept
    alpha_type = "int8" if ty == "int16" else ty
    quant, alpha_quant = d.quant(ty), d.quant(alpha_type)
    x = m.input(ty, d.values(ty, shape), quant)
    alpha = d.operand(m, alpha_type, alpha_shape, alpha_quant, constant=0.6)
    out = None if quant is None else d.quant(ty, scale=quant.scale * d.magnitude(0.2, 8.0))
    m.operator("PRELU", [x, alpha], [m.output(ty, quant=out)])
    return m
