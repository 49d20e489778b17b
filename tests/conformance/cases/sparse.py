"""Constants that the file stores sparsely: DENSIFY, and FULLY_CONNECTED with sparse weights."""

import numpy as np

from model import Quant
from registry import generator

INDICES = ("Int32Vector", "Uint16Vector", "Uint8Vector")


def pruned(d, ty, shape, tile=None, low=None):
    """Values of which most are zero: here and there, or whole tiles of this size; at least one is not."""
    data = d.values(ty, shape, low)
    tile = [1] * len(shape) if tile is None else tile
    kept = d.rng.random([n // t for n, t in zip(shape, tile)]) < d.pick(0.1, 0.3, 0.8)
    kept.reshape(-1)[d.integer(0, kept.size - 1)] = True
    for axis, size in enumerate(tile):
        kept = kept.repeat(size, axis)
    data = np.where(kept, data, 0).astype(data.dtype)
    if not np.any(data):
        data.reshape(-1)[np.flatnonzero(kept)[0]] = 1
    return data


def encoding(d, shape):
    """Any encoding that the reference decodes: of three block axes in another order it takes one's size for another's."""
    rank = len(shape)
    blocks = {}
    for axis in range(rank):
        divisors = [n for n in range(1, shape[axis] + 1) if shape[axis] % n == 0]
        if d.chance(0.4):
            blocks[axis] = d.pick(*divisors)
    within = list(range(rank, rank + len(blocks)))
    if len(within) > 1 and d.chance(0.5):
        within[0], within[1] = within[1], within[0]
    compressed = {axis for axis in range(rank) if d.chance(0.6)}
    return dict(order=d.permutation(rank) + within, blocks=blocks, compressed=compressed, index=d.pick(*INDICES))


@generator("DENSIFY", types=["float32", "float16", "int8"], weight=4.0)
def expanded(d, ty):
    m = d.model()
    shape = d.shape((1, 5), 12, 200)
    quant = d.quant(ty)
    how = encoding(d, shape)
    tile = [how["blocks"].get(axis, 1) for axis in range(len(shape))]
    x = m.sparse(ty, pruned(d, ty, shape, tile), quant, **how)
    m.operator("DENSIFY", [x], [m.output(ty, shape, quant)], "DensifyOptions")
    return m


@generator("DENSIFY", types=["float32", "int8"])
def beside_a_kernel(d, ty):
    """The result is what another operator reads."""
    m = d.model()
    shape = d.shape((1, 4), 8, 100)
    quant = d.quant(ty, zero_point=0)
    dense = m.inner(ty, shape, quant)
    m.operator("DENSIFY", [m.sparse(ty, pruned(d, ty, shape), quant, **encoding(d, shape))], [dense], "DensifyOptions")
    x = m.input(ty, d.values(ty, shape), d.quant(ty))
    m.operator("ADD", [x, dense], [m.output(ty, shape, d.quant(ty))], "AddOptions", version=2)
    return m


@generator("DENSIFY")
def not_sparse(d):
    m = d.model()
    shape = d.shape((1, 3), 5)
    quant = d.quant("int8")
    m.operator("DENSIFY", [m.constant("int8", d.values("int8", shape), quant)], [m.output("int8", shape, quant)], "DensifyOptions")
    return m.refused()


@generator("FULLY_CONNECTED", weight=2.0)
def sparse_weights_float32(d):
    """The reference kernel expands any encoding."""
    m = d.model()
    outputs, depth, batch = d.length(12), d.length(24), d.length(4)
    shape = [outputs, depth]
    how = encoding(d, shape)
    tile = [how["blocks"].get(axis, 1) for axis in range(2)]
    operands = [m.input("float32", d.values("float32", [batch, depth]))]
    operands.append(m.sparse("float32", pruned(d, "float32", shape, tile), **how))
    if d.chance(0.7):
        operands.append(m.constant("float32", d.values("float32", [outputs])))
    activation = d.activation()
    m.operator(
        "FULLY_CONNECTED", operands, [m.output("float32", [batch, outputs])], "FullyConnectedOptions", version=8,
        fused_activation_function=activation,
    )
    return m


@generator("FULLY_CONNECTED", weight=2.0)
def sparse_weights_int8(d):
    """The kernel of 8 bits takes blocks of 1 x 16, stored by rows, (TFLite 2.14) one scale and (LiteRT) no -128."""
    m = d.model()
    outputs, depth, batch = d.length(12), 16 * d.integer(1, 3), d.length(4)
    shape = [outputs, depth]
    per_channel = d.chance(0.4)
    if per_channel:
        m.only("litert")
    x_quant = d.quant("int8")
    quant = d.per_channel(outputs, 0) if per_channel else Quant(d.scale())
    weights = pruned(d, "int8", shape, [1, 16], low=-127)
    operands = [m.input("int8", d.values("int8", [batch, depth]), x_quant)]
    operands.append(m.sparse("int8", weights, quant, blocks={1: 16}, compressed={1}, index=d.pick(*INDICES)))
    if d.chance(0.7):
        bias_quant = Quant(x_quant.scale * quant.scales, 0)
        operands.append(m.constant("int32", d.rng.integers(-5000, 5000, outputs), bias_quant))
    scale = d.output_scale(x_quant.scale * float(np.median(quant.scales)), depth)
    result = m.output("int8", [batch, outputs], Quant(scale, d.zero_point("int8")))
    m.operator(
        "FULLY_CONNECTED", operands, [result], "FullyConnectedOptions", version=8,
        fused_activation_function=d.activation(),
    )
    return m
