"""Sparse encoding of constants: a tree with a level for each axis, as `SparsityParameters` of the schema describes it."""

import numpy as np


def encode(data, compressed, order=None, blocks=None, index="Int32Vector"):
    """The stored elements of `data` and the table that says where they belong.

    `blocks`: sizes of the block by axis; of these axes come two, first all axes counted in blocks, then those within a block.
    `order`: how the axes are stored, first those of the tensor, then those of the block, numbered on from them.
    `compressed`: the axes that keep only what holds something, by number. `index`: the table that holds their numbers.
    """
    rank, blocks = data.ndim, dict(sorted((blocks or {}).items()))
    order = list(range(rank + len(blocks))) if order is None else list(order)
    split, outer, inner = [], [], []
    for axis, extent in enumerate(data.shape):
        block = blocks.get(axis)
        outer.append(len(split))
        split.append(extent if block is None else extent // block)
        if block is not None:
            inner.append(len(split))
            split.append(block)
    places = outer + inner
    nodes = [data.reshape(split).transpose([places[axis] for axis in order])]
    levels = []
    for axis in order:
        extent = split[places[axis]]
        if axis not in compressed:
            levels.append({"format": "DENSE", "dense_size": extent})
            nodes = [node[i] for node in nodes for i in range(extent)]
            continue
        segments, indices, kept = [0], [], []
        for node in nodes:
            here = [i for i in range(extent) if np.any(node[i])]
            indices += here
            kept += [node[i] for i in here]
            segments.append(len(indices))
        vectors = {"array_segments": (index, {"values": segments}), "array_indices": (index, {"values": indices})}
        levels.append({"format": "SPARSE_CSR", **vectors})
        nodes = kept
    table = {"traversal_order": order, "block_map": list(blocks), "dim_metadata": levels}
    return np.array(nodes, data.dtype), table
