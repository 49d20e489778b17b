"""ADD, SUB: two operands that broadcast, with a fused activation."""

from registry import generator


@generator("ADD", "SUB", types=["int8", "uint8", "int16"])
def quantized(d, operator, ty):
    # ADD is defined for an output multiplier below 1 alone: twice the larger input scale must stay below 2^20 output scales.
    m = d.model()
    left_shape, right_shape = d.broadcast(2, (1, 5))
    left, right = d.quant(ty), d.quant(ty)
    x = d.operand(m, ty, left_shape, left, constant=0.1)
    y = d.operand(m, ty, right_shape, right, constant=0.3)
    out = d.quant(ty, scale=max(left.scale, right.scale) * d.magnitude(0.2, 8.0))
    z = m.output(ty, quant=out)
    m.operator(
        operator, [x, y], [z], f"{operator.capitalize()}Options",
        version=2 if ty == "int8" else 3 if operator == "SUB" else 2,
        fused_activation_function=d.activation(), pot_scale_int16=False,
    )
    return m


@generator("ADD", "SUB", types=["float32", "int32", "int64"])
def plain(d, operator, ty):
    m = d.model()
    left_shape, right_shape = d.broadcast(2, (1, 5))
    x = d.operand(m, ty, left_shape, constant=0.1, low=-10_000, high=10_000)
    y = d.operand(m, ty, right_shape, constant=0.3, low=-10_000, high=10_000)
    z = m.output(ty)
    m.operator(
        operator, [x, y], [z], f"{operator.capitalize()}Options", fused_activation_function=d.activation(),
    )
    return m
