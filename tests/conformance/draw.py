"""Random shapes, quantization parameters and values, all from one seeded source."""

import zlib

import numpy as np

from model import DTYPES, Model, Quant

RANGES = {
    "int4": (-7, 7), "int8": (-128, 127), "uint8": (0, 255), "int16": (-32768, 32767), "uint16": (0, 65535),
    "int32": (-(2**31), 2**31 - 1), "uint32": (0, 2**32 - 1), "int64": (-(2**63), 2**63 - 1), "uint64": (0, 2**64 - 1),
}
ACTIVATIONS = ("NONE", "RELU", "RELU6", "RELU_N1_TO_1")


class Draw:
    """What a generator draws from; equal seed and case name give equal draws."""

    def __init__(self, seed, name, index):
        self.rng = np.random.default_rng([seed, zlib.crc32(name.encode()), index])
        self.index = index

    def model(self):
        return Model()

    # Choices.

    def chance(self, probability):
        return bool(self.rng.random() < probability)

    def integer(self, low, high):
        """Between `low` and `high`, both included."""
        return int(self.rng.integers(low, high + 1))

    def pick(self, *options):
        return options[self.integer(0, len(options) - 1)]

    def real(self, low, high):
        return float(self.rng.uniform(low, high))

    def magnitude(self, low, high):
        """Between two positive numbers, evenly by order of magnitude, as float32 holds it."""
        return float(np.float32(np.exp(self.rng.uniform(np.log(low), np.log(high)))))

    def activation(self):
        return "NONE" if self.chance(0.4) else self.pick(*ACTIVATIONS)

    def permutation(self, count):
        return [int(i) for i in self.rng.permutation(count)]

    # Shapes.

    def length(self, high=9):
        """An axis: often 1 or odd."""
        return 1 if self.chance(0.15) else self.integer(1, high)

    def shape(self, rank, high=9, most=600, empty=0.0):
        """`rank` axes of up to `high` with at most `most` elements; with probability `empty` one axis is 0.

        `rank` may be a pair: between its members.
        """
        if isinstance(rank, tuple):
            rank = self.integer(*rank)
        shape = [self.length(high) for _ in range(rank)]
        while np.prod(shape, dtype=np.int64) > most:
            axis = int(np.argmax(shape))
            shape[axis] = shape[axis] // 2
        if rank and self.chance(empty):
            shape[self.integer(0, rank - 1)] = 0
        return shape

    def broadcast(self, count, rank, high=6, most=600):
        """`count` shapes that broadcast together, the first of full `rank`, others of this rank or less."""
        full = self.shape(rank, high, most)
        shapes = []
        for number in range(count):
            shape = [1 if self.chance(0.25) else n for n in full]
            if number and self.chance(0.3):
                shape = shape[self.integer(0, len(full)) :]
            shapes.append(full if self.chance(0.3) else shape)
        return shapes

    # Quantization parameters.

    def zero_point(self, ty):
        """Anywhere in the type, its ends and middle among them; 0 for 16 bits and more."""
        if ty not in ("int8", "uint8"):
            return 0
        low, high = RANGES[ty]
        return self.integer(low, high) if self.chance(0.5) else self.pick(low, high, (low + high + 1) // 2, low + 1)

    def scale(self, low=0.002, high=0.5):
        """A power of two in one of ten, so that products meet ties."""
        if self.chance(0.1):
            return float(2.0 ** np.round(np.log2(self.magnitude(low, high))))
        return self.magnitude(low, high)

    def quant(self, ty, scale=None, zero_point=None):
        """Parameters for a tensor, or `None` for types that have none."""
        if ty not in ("int4", "int8", "uint8", "int16"):
            return None
        if scale is None:
            scale = self.scale() / (256.0 if ty == "int16" else 1.0)
        return Quant(scale, self.zero_point(ty) if zero_point is None else zero_point)

    def per_channel(self, count, axis, low=1e-4, high=0.1):
        """Symmetric scales for each channel: alike, or spread over orders of magnitude."""
        scales = self.scale(low, high) * (2.0 ** self.rng.normal(0, self.pick(0.0, 0.5, 4.0), count))
        return Quant(scales, 0, axis)

    def output_scale(self, accumulator_scale, terms, ty="int8"):
        """A scale for a sum of `terms` products: results that fill the range, saturate, or hardly move."""
        width = {"int16": 256.0}.get(ty, 1.0)
        return accumulator_scale * float(np.sqrt(terms)) * self.magnitude(2.0, 600.0) / width

    # Values.

    def values(self, ty, shape, low=None, high=None):
        """Random elements: spread over the range, or near its middle, or its ends alone, or few distinct ones."""
        shape = tuple(shape)
        if ty == "bool":
            return self.rng.random(shape) < 0.5
        if ty.startswith("float"):
            return self._reals(ty, shape, low, high)
        range_low, range_high = RANGES[ty]
        low, high = range_low if low is None else low, range_high if high is None else high
        dtype = DTYPES[ty]
        style = self.integer(0, 9)
        if style == 0:
            return self.rng.choice(np.array([low, high], dtype), shape)
        if style == 1:
            few = self.rng.integers(low, high, 3, dtype, endpoint=True)
            return self.rng.choice(few, shape)
        if style == 2:
            middle, spread = (low + high) // 2, max((high - low) // 16, 1)
            low, high = max(low, middle - spread), min(high, middle + spread)
        return self.rng.integers(low, high, shape, dtype, endpoint=True)

    def _reals(self, ty, shape, low, high):
        dtype = DTYPES[ty]
        if low is not None and high is not None:
            return self.rng.uniform(low, high, shape).astype(dtype)
        style = self.integer(0, 5)
        if style == 0:
            return (np.round(self.rng.normal(0, 4, shape)) / 2).astype(dtype)  # ties and zeros
        return (self.rng.normal(0, 1, shape) * self.magnitude(0.05, 20.0)).astype(dtype)

    def operand(self, model, ty, shape, quant=None, constant=0.25, low=None, high=None):
        """A tensor with random values: a run-time input, or with probability `constant` a constant."""
        data = self.values(ty, shape, low, high)
        if self.chance(constant):
            return model.constant(ty, data, quant)
        return model.input(ty, data, quant)

    def integers(self, model, data, ty="int32", constant=0.5):
        """Given values of a shape-like operand (axes, sizes, paddings), as a run-time input or as a constant."""
        data = np.asarray(data, DTYPES[ty])
        return model.constant(ty, data) if self.chance(constant) else model.input(ty, data)
