"""WHERE, TOPK_V2, RANGE, UNIQUE: operators whose results' shapes depend on values; and what reads such results."""

import itertools

import numpy as np

from registry import generator

ELEMENTS = ["float32", "int8", "uint8", "int16", "int32", "int64"]


def sparse(d, ty, shape):
    """Values of which about half are zero."""
    return np.where(d.rng.random(tuple(shape)) < d.pick(0.0, 0.5, 0.5, 1.0), 0, d.values(ty, shape))


def given(d, m, ty, data, quant=None, constant=0.2):
    return m.constant(ty, data, quant) if d.chance(constant) else m.input(ty, data, quant)


@generator("WHERE", types=["bool", "float32", "int8", "uint8", "int32", "uint32", "int64"])
def where(d, ty):
    m = d.model()
    shape = d.shape((1, 5), empty=0.1)
    x = given(d, m, ty, sparse(d, ty, shape), d.quant(ty))
    m.operator("WHERE", [x], [m.output("int64", [0, len(shape)])], "WhereOptions")
    return m


@generator("WHERE")
def places_of_large_elements(d):
    """A comparison, the places where it holds, and how many these are."""
    m = d.model()
    shape, quant = d.shape((1, 4)), d.quant("int8")
    x = m.input("int8", d.values("int8", shape), quant)
    limit = m.constant("int8", d.values("int8", []), quant)
    is_large, places = m.inner("bool", shape), m.output("int64", [0, len(shape)])
    m.operator("GREATER", [x, limit], [is_large], "GreaterOptions")
    m.operator("WHERE", [is_large], [places], "WhereOptions")
    m.operator("SHAPE", [places], [m.output("int32", [2])], "ShapeOptions", out_type="INT32")
    moved = m.output("int64", [0, len(shape)])
    m.operator("ADD", [places, m.constant("int64", np.arange(len(shape)))], [moved], "AddOptions")
    return m


@generator("TOPK_V2", types=list(itertools.product(ELEMENTS, ("int32", "int16"), ("int32", "int16"))))
def topk(d, types):
    """Values, the type of k and that of the places."""
    ty, size, place = types
    m = d.model()
    shape, quant = d.shape((1, 4)), d.quant(ty)
    few = d.chance(0.3)
    data = d.values(ty, shape, 0, 3) if few else d.values(ty, shape)
    x = given(d, m, ty, data, quant, constant=0.1)
    k = d.integer(0 if d.chance(0.1) else 1, shape[-1])
    count = given(d, m, size, k, constant=0.5)
    results = [m.output(ty, shape[:-1] + [k], quant), m.output(place, shape[:-1] + [k])]
    m.operator("TOPK_V2", [x, count], results, "TopKV2Options", version=3 if "int16" in types else 2)
    return m


@generator("RANGE", types=["int32", "int64", "float32"])
def count_up(d, ty):
    m = d.model()
    if ty == "float32":
        start, step = d.real(-20, 20), d.pick(-1, 1) * d.magnitude(0.05, 5)
        limit = start + step * d.real(0, 40)
    else:
        start, step = d.integer(-50, 50), d.pick(-1, 1) * d.integer(1, 9)
        limit = start + step * d.integer(0, 30) + d.integer(0, 3) * (1 if step > 0 else -1)
    operands = [given(d, m, ty, value, constant=0.4) for value in (start, limit, step)]
    m.operator("RANGE", operands, [m.output(ty, [1])], "RangeOptions")
    return m


@generator("RANGE")
def count_nowhere(d):
    m = d.model()
    start, limit = d.pick((0, 5), (3, -3))
    step = 0 if d.chance(0.3) else start - limit
    operands = [given(d, m, "int32", value) for value in (start, limit, step)]
    m.operator("RANGE", operands, [m.output("int32", [1])], "RangeOptions")
    return m.refused()


@generator("UNIQUE", types=[(ty, place) for ty in ELEMENTS for place in ("int32", "int64")])
def unique(d, types):
    ty, place = types
    m = d.model()
    length, quant = d.integer(1, 40), d.quant(ty)
    data = d.values(ty, [length], -3, 3) if ty != "uint8" else d.values(ty, [length], 0, 6)
    x = m.input(ty, np.round(data) if ty == "float32" else data, quant)
    results = [m.output(ty, [1], quant), m.output(place, [length])]
    m.operator("UNIQUE", [x], results, "UniqueOptions", idx_out_type=place.upper())
    return m
