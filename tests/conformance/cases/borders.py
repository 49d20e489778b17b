"""Borders and blocks: PAD, PADV2, MIRROR_PAD, SPACE_TO_BATCH_ND, BATCH_TO_SPACE_ND, SPACE_TO_DEPTH, DEPTH_TO_SPACE."""

from registry import generator

ALL = (
    "float32", "float16", "float64", "int8", "uint8", "int16", "uint16", "int32", "uint32", "int64", "uint64", "bool",
)
PADDED = ("float32", "int8", "uint8", "int16", "int32", "int64", "float16", "bool")
INDEX = ("int32", "int64", "int16", "int8")


def paddings(d, shape, most):
    return [[d.pick(0, d.integer(0, most(n))), d.pick(0, d.integer(0, most(n)))] for n in shape]


@generator("PAD", types=[(ty, pads) for ty in PADDED for pads in INDEX], weight=0.5)
def zeros(d, types):
    ty, pad_type = types
    m = d.model()
    shape = d.shape((1, 5), 4, 100, empty=0.05)
    quant = d.quant(ty)
    x = m.input(ty, d.values(ty, shape), quant)
    y = m.output(ty, quant=quant)
    m.operator("PAD", [x, d.integers(m, paddings(d, shape, lambda n: 3), pad_type)], [y], "PadOptions", version=2)
    return m


@generator("PADV2", types=[(ty, pads) for ty in PADDED for pads in INDEX], weight=0.5)
def value(d, types):
    ty, pad_type = types
    m = d.model()
    shape = d.shape((1, 5), 4, 100, empty=0.05)
    quant = d.quant(ty)
    x = m.input(ty, d.values(ty, shape), quant)
    v = d.operand(m, ty, d.pick([], [1]), quant, constant=0.6)
    y = m.output(ty, quant=quant)
    m.operator("PADV2", [x, d.integers(m, paddings(d, shape, lambda n: 3), pad_type), v], [y], "PadV2Options", version=2)
    return m


@generator("MIRROR_PAD", types=[(ty, pads) for ty in ALL for pads in ("int32", "int64")], weight=0.5)
def mirrored(d, types):
    ty, pad_type = types
    m = d.model()
    shape = d.shape((1, 5), 4, 100)
    mode = d.pick("REFLECT", "SYMMETRIC")
    quant = d.quant(ty)
    x = m.input(ty, d.values(ty, shape), quant)
    around = paddings(d, shape, lambda n: n - 1 if mode == "REFLECT" else n)
    y = m.output(ty, quant=quant)
    m.operator("MIRROR_PAD", [x, d.integers(m, around, pad_type)], [y], "MirrorPadOptions", mode=mode)
    return m


@generator("SPACE_TO_BATCH_ND", types=ALL)
def to_batches(d, ty):
    m = d.model()
    axes = d.integer(1, 2)
    blocks = [d.integer(1, 3) for _ in range(axes)]
    parts = [d.integer(1, 4) for _ in range(axes)]
    around = []
    space = []
    for block, part in zip(blocks, parts):
        whole = block * part
        before = d.integer(0, min(2, whole - 1)) if d.chance(0.6) else 0
        after = d.integer(0, min(2, whole - 1 - before)) if d.chance(0.6) else 0
        around.append([before, after])
        space.append(whole - before - after)
    quant = d.quant(ty)
    x = m.input(ty, d.values(ty, [d.integer(1, 3), *space, d.integer(1, 3)]), quant)
    y = m.output(ty, quant=quant)
    m.operator(
        "SPACE_TO_BATCH_ND", [x, d.integers(m, blocks), d.integers(m, around)], [y], "SpaceToBatchNDOptions", version=2
    )
    return m


@generator("BATCH_TO_SPACE_ND", types=ALL)
def to_space(d, ty):
    m = d.model()
    axes = d.integer(1, 2)
    blocks = [d.integer(1, 3) for _ in range(axes)]
    parts = [d.integer(1, 4) for _ in range(axes)]
    crops = []
    batches = d.integer(1, 2)
    for block, part in zip(blocks, parts):
        batches *= block
        before = d.integer(0, min(2, block * part - 1)) if d.chance(0.5) else 0
        crops.append([before, d.integer(0, min(2, block * part - 1 - before)) if d.chance(0.5) else 0])
    quant = d.quant(ty)
    x = m.input(ty, d.values(ty, [batches, *parts, d.integer(1, 3)]), quant)
    y = m.output(ty, quant=quant)
    m.operator(
        "BATCH_TO_SPACE_ND", [x, d.integers(m, blocks), d.integers(m, crops)], [y], "BatchToSpaceNDOptions", version=2
    )
    return m


@generator("SPACE_TO_DEPTH", "DEPTH_TO_SPACE", types=["float32", "int8", "uint8", "int32", "int64"])
def blocks_of_pixels(d, operator, ty):
    m = d.model()
    batches, height, width, depth = d.integer(1, 2), d.integer(1, 4), d.integer(1, 4), d.integer(1, 4)
    block = d.integer(1, 3)
    if operator == "SPACE_TO_DEPTH":
        shape = [batches, height * block, width * block, depth]
    else:
        shape = [batches, height, width, depth * block * block]
    quant = d.quant(ty)
    x = m.input(ty, d.values(ty, shape), quant)
    y = m.output(ty, quant=quant)
    options = "SpaceToDepthOptions" if operator == "SPACE_TO_DEPTH" else "DepthToSpaceOptions"
    m.operator(operator, [x], [y], options, block_size=block)
    return m
