"""AVERAGE_POOL_2D and MAX_POOL_2D."""

from registry import generator


@generator("AVERAGE_POOL_2D", "MAX_POOL_2D", types=["int8", "uint8", "int16", "float32"])
def pool(d, operator, ty):
    m = d.model()
    quant = d.quant(ty)
    height, width = d.integer(1, 9), d.integer(1, 9)
    padding = d.pick("VALID", "SAME")
    most = (min(height, 5), min(width, 5)) if padding == "VALID" else (5, 5)
    x = m.input(ty, d.values(ty, [d.integer(1, 2), height, width, d.integer(1, 5)]), quant)
    m.operator(
        operator, [x], [m.output(ty, quant=quant)], "Pool2DOptions", version=3 if ty == "int16" else 2, padding=padding,
        stride_h=d.integer(1, 3), stride_w=d.integer(1, 3), filter_height=d.integer(1, most[0]),
        filter_width=d.integer(1, most[1]), fused_activation_function=d.activation(),
    )
    return m
