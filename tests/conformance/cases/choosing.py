"""Comparisons, LOGICAL_*, SELECT, SELECT_V2 and CAST."""

from registry import generator

ALL = (
    "float32", "float16", "float64", "int8", "uint8", "int16", "uint16", "int32", "uint32", "int64", "uint64", "bool",
)
COMPARISONS = ("EQUAL", "NOT_EQUAL", "LESS", "LESS_EQUAL", "GREATER", "GREATER_EQUAL")


def camel(operator):
    return "".join(word.capitalize() for word in operator.split("_"))


@generator(*COMPARISONS, types=["float32", "float16", "int8", "uint8", "int16", "int32", "int64", "bool"], weight=0.5)
def compared(d, operator, ty):
    if ty == "bool" and operator not in ("EQUAL", "NOT_EQUAL"):
        return None
    m = d.model()
    shapes = d.broadcast(2, (1, 6))
    # Few distinct numbers, so that some are equal; alike or unlike scales.
    low, high = (None, None) if ty == "bool" or d.chance(0.3) else (0, 3) if ty.startswith("u") else (-2, 2)
    quant = d.quant(ty)
    other = d.pick(quant, d.quant(ty))
    x = d.operand(m, ty, shapes[0], quant, 0.1, low, high)
    y = d.operand(m, ty, shapes[1], other, 0.3, low, high)
    m.operator(operator, [x, y], [m.output("bool")], f"{camel(operator)}Options", version=2 if ty == "int8" else 1)
    return m


@generator("EQUAL", "LESS", "GREATER_EQUAL", weight=0.5)
def unquantized(d, operator):
    # Not NOT_EQUAL: LiteRT multiplies its operands by the scale that is not there.
    m = d.model()
    shapes = d.broadcast(2, (1, 4))
    x, y = (d.operand(m, "int16", shape, None, 0.2, -2, 2) for shape in shapes)
    m.operator(operator, [x, y], [m.output("bool")], f"{camel(operator)}Options")
    return m


@generator("LOGICAL_AND", "LOGICAL_OR", weight=2)
def both(d, operator):
    m = d.model()
    x, y = (d.operand(m, "bool", shape, constant=0.2) for shape in d.broadcast(2, (1, 6)))
    m.operator(operator, [x, y], [m.output("bool")], f"{camel(operator)}Options")
    return m


@generator("LOGICAL_NOT")
def negated(d):
    m = d.model()
    x = m.input("bool", d.values("bool", d.shape((0, 5), empty=0.1)))
    m.operator("LOGICAL_NOT", [x], [m.output("bool")], "LogicalNotOptions")
    return m


@generator("SELECT", types=ALL)
def alike(d, ty):
    m = d.model()
    shape = d.shape((1, 5), 5, empty=0.05)
    condition = d.pick(shape, shape, [], shape[:1])
    quant = d.quant(ty)
    c = d.operand(m, "bool", condition, constant=0.2)
    x, y = (d.operand(m, ty, shape, quant, constant=0.2) for _ in range(2))
    z = m.output(ty, quant=quant)
    m.operator("SELECT", [c, x, y], [z], "SelectOptions")
    return m


@generator("SELECT_V2", types=ALL)
def broadcast(d, ty):
    m = d.model()
    shapes = d.broadcast(3, (1, 5))
    quant = d.quant(ty)
    c = d.operand(m, "bool", shapes[d.pick(0, 1, 2)], constant=0.2)
    x, y = (d.operand(m, ty, shape, quant, constant=0.2) for shape in shapes[1:])
    z = m.output(ty, quant=quant)
    m.operator("SELECT_V2", [c, x, y], [z], "SelectV2Options")
    return m


@generator("CAST", types=[(a, b) for a in ALL if a != "uint64" for b in ALL if b != "uint64"], weight=0.5)
def number(d, types):
    a, b = types
    m = d.model()
    shape = d.shape((0, 4), 6, empty=0.05)
    data = d.values(a, shape)
    if a.startswith("float"):
        # What fits the result: anything else is undefined before LiteRT 2.
        low, high = (0, 200) if b.startswith("u") else (-100, 100)
        data = d.values(a, shape, low, high)
    x = m.input(a, data)
    m.operator("CAST", [x], [m.output(b)], "CastOptions", in_data_type=a.upper(), out_data_type=b.upper())
    return m
