"""TFLite's fixed-point arithmetic on Python integers, for expected values where a peer's kernel is broken."""

import math


def quantize_multiplier(real):
    """A real as a Q31 significand and a left shift. Source: TFLite kernels/internal/quantization_util.cc, QuantizeMultiplier."""
    fraction, shift = math.frexp(real)
    significand = math.floor(fraction * 2**31 + 0.5)
    if significand == 2**31:
        significand, shift = 2**30, shift + 1
    return (0, 0) if shift < -31 else (significand, shift)


def multiply(x, multiplier, shift):
    """`x * multiplier / 2^31 * 2^shift` with both roundings. Source: gemmlowp fixedpoint.h, SaturatingRoundingDoublingHighMul
    and RoundingDivideByPOT."""
    product = (x << max(shift, 0)) * multiplier
    high = (product + 2**30) >> 31
    right = max(-shift, 0)
    rounded = (abs(high) + (1 << right >> 1)) >> right
    return rounded if high >= 0 else -rounded
