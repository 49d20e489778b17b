"""RESIZE_BILINEAR and RESIZE_NEAREST_NEIGHBOR."""

from registry import generator

def operands(d, m, ty, quant):
    x = m.input(ty, d.values(ty, [d.integer(1, 2), d.length(7), d.length(7), d.integer(1, 3)]), quant)
    return [x, d.integers(m, [d.length(9), d.length(9)])]


@generator("RESIZE_BILINEAR", types=["float32", "int8", "uint8", "int16"], weight=3)
def means(d, ty):
    m = d.model()
    quant = d.quant(ty)
    inputs = operands(d, m, ty, quant)
    align, half = d.pick((False, False), (True, False), (False, True))
    y = m.output(ty, quant=quant)
    m.operator(
        "RESIZE_BILINEAR", inputs, [y], "ResizeBilinearOptions", version=3, align_corners=align, half_pixel_centers=half
    )
    return m


@generator("RESIZE_NEAREST_NEIGHBOR", types=["float32", "float16", "int8", "uint8", "int16", "uint16", "int32", "uint32", "bool"])
def nearest(d, ty):
    m = d.model()
    quant = d.quant(ty)
    inputs = operands(d, m, ty, quant)
    y = m.output(ty, quant=quant)
    m.operator(
        "RESIZE_NEAREST_NEIGHBOR", inputs, [y], "ResizeNearestNeighborOptions", version=3,
        align_corners=d.chance(0.4), half_pixel_centers=d.chance(0.4),
    )
    return m
