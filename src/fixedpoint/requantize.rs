//! Accumulators times a [`QuantizedMultiplier`]: the one step of a quantized kernel that rounds.
//!
//! Source: TFLite `kernels/internal/common.cc` and `common.h`, `MultiplyByQuantizedMultiplier...` (google-ai-edge/LiteRT
//! commit 14906c9; the same arithmetic in TF 2.4 to 2.19).

use super::Rounding;
use super::multiplier::QuantizedMultiplier;
use super::rounding::{rounding_divide_by_pot, saturating_rounding_doubling_high_mul};

impl QuantizedMultiplier {
    /// `x` times this, rounded as `rounding` says (`MultiplyByQuantizedMultiplier` of an int32).
    ///
    /// A left shift wraps: `x * 2^shift` should fit 32 bits. The result of [`Rounding::Single`] is the low 32 bits of the
    /// exact rounded product.
    #[inline(always)]
    pub fn apply(self, x: i32, rounding: Rounding) -> i32 {
        multiply_by_quantized_multiplier(x, self.multiplier, self.shift, rounding)
    }

    /// `x`, a 64-bit accumulator, times this with the significand reduced to 16 bits, rounded once, half up
    /// (`MultiplyByQuantizedMultiplier` of an int64). Used with int16 activations, in every profile.
    ///
    /// `x`: within -2^47 to 2^47 (beyond, the product wraps). Not the same numbers as [`apply`](Self::apply).
    #[inline(always)]
    pub fn apply_i64(self, x: i64) -> i32 {
        let reduced = i64::from(downscale_multiplier_to_i16(self.multiplier));
        let product = x.wrapping_mul(reduced);
        let total_shift = 15i32.wrapping_sub(self.shift);
        let scaled = if total_shift > 0 {
            let half = 1i64.wrapping_shl(total_shift.unsigned_abs() - 1);
            product
                .wrapping_add(half)
                .wrapping_shr(total_shift.unsigned_abs())
        } else {
            // Upstream asserts shift < 8: the exact product, where its shift would be undefined.
            product.wrapping_shl(total_shift.unsigned_abs())
        };
        scaled as i32
    }
}

/// `x * multiplier / 2^31 * 2^shift`, as [`QuantizedMultiplier::apply`].
///
/// `shift`: bits, positive = left, -31 to 31; taken modulo 32 or 64 beyond.
#[inline(always)]
pub fn multiply_by_quantized_multiplier(
    x: i32,
    multiplier: i32,
    shift: i32,
    rounding: Rounding,
) -> i32 {
    match rounding {
        Rounding::Double => {
            let left = shift.max(0).unsigned_abs();
            // At most 31: the mask only tells the compiler.
            let right = shift.min(0).unsigned_abs() & 31;
            rounding_divide_by_pot(
                saturating_rounding_doubling_high_mul(x.wrapping_shl(left), multiplier),
                right,
            )
        }
        Rounding::Single => {
            // 2^62 + 2^61 at most: no 64-bit overflow. At shift 31 nothing is shifted out and nothing rounded.
            let total_shift = 31i32.wrapping_sub(shift).unsigned_abs();
            let half = 1i64.wrapping_shl(total_shift) >> 1;
            let product = i64::from(x) * i64::from(multiplier);
            product.wrapping_add(half).wrapping_shr(total_shift) as i32
        }
    }
}

/// [`multiply_by_quantized_multiplier`] for a multiplier below one: `left_shift` is 0 or negative.
///
/// ```
/// use corallite::fixedpoint::{Rounding, multiply_by_quantized_multiplier_smaller_than_one_exp as scale};
/// assert_eq!(scale(-100, 1 << 30, -1, Rounding::Double), -25); // 1/2 >> 1
/// ```
#[inline(always)]
pub fn multiply_by_quantized_multiplier_smaller_than_one_exp(
    x: i32,
    multiplier: i32,
    left_shift: i32,
    rounding: Rounding,
) -> i32 {
    multiply_by_quantized_multiplier(x, multiplier, left_shift.min(0), rounding)
}

/// [`multiply_by_quantized_multiplier`] for a multiplier above one: `left_shift` is 0 or positive.
#[inline(always)]
pub fn multiply_by_quantized_multiplier_greater_than_one(
    x: i32,
    multiplier: i32,
    left_shift: i32,
    rounding: Rounding,
) -> i32 {
    multiply_by_quantized_multiplier(x, multiplier, left_shift.max(0), rounding)
}

/// A Q31 multiplier rounded to Q15, ties up, at most 0x7FFF (`DownScaleInt32ToInt16Multiplier`).
#[inline(always)]
pub fn downscale_multiplier_to_i16(multiplier: i32) -> i16 {
    if multiplier >= 0x7FFF_0000 {
        return i16::MAX;
    }
    // Below 0x7FFF_0000 + 2^15: fits, and the shift leaves 16 bits.
    ((multiplier + (1 << 15)) >> 16) as i16
}

#[cfg(test)]
mod tests {
    use super::Rounding::{Double, Single};
    use super::*;

    fn quantized(multiplier: i32, shift: i32) -> QuantizedMultiplier {
        QuantizedMultiplier { multiplier, shift }
    }

    #[test]
    fn apply_differs_between_the_roundings_at_ties() {
        struct Case {
            x: i32,
            real: f64,
            double: i32,
            single: i32,
            why: &'static str,
        }
        let cases = [
            Case {
                x: 1,
                real: 0.25,
                double: 1,
                single: 0,
                why: "0.5 up to 1, 0.5 away to 1 | 0.25 to 0",
            },
            Case {
                x: -1,
                real: 0.25,
                double: 0,
                single: 0,
                why: "-0.5 up to 0 | -0.25 to 0",
            },
            Case {
                x: 2,
                real: 0.25,
                double: 1,
                single: 1,
                why: "1, then 0.5 away to 1 | 0.5 up to 1",
            },
            Case {
                x: -2,
                real: 0.25,
                double: -1,
                single: 0,
                why: "-1, then -0.5 away to -1 | -0.5 up to 0",
            },
            Case {
                x: -6,
                real: 0.25,
                double: -2,
                single: -1,
                why: "-3, then -1.5 away to -2 | -1.5 up to -1",
            },
            Case {
                x: -10,
                real: 0.25,
                double: -3,
                single: -2,
                why: "-5, then -2.5 away to -3 | -2.5 up to -2",
            },
            Case {
                x: 5,
                real: 0.25,
                double: 2,
                single: 1,
                why: "2.5 up to 3, 1.5 away to 2 | 1.25 to 1",
            },
            Case {
                x: 3,
                real: 0.1875,
                double: 1,
                single: 1,
                why: "0.75 >> 2: 2.25 to 2, 0.5 away to 1 | 0.5625 to 1",
            },
            Case {
                x: -125,
                real: 0.5,
                double: -62,
                single: -62,
                why: "0.5 >> 0: -62.5 up in both",
            },
            Case {
                x: 125,
                real: 0.5,
                double: 63,
                single: 63,
                why: "62.5 up in both",
            },
            Case {
                x: 100,
                real: 3.0,
                double: 300,
                single: 300,
                why: "100 << 2 x 0.75",
            },
            Case {
                x: 3,
                real: 2f64.powi(-31),
                double: 0,
                single: 0,
                why: "0.5 >> 30: 1.5 up to 2, 2 / 2^30 to 0",
            },
        ];
        for Case {
            x,
            real,
            double,
            single,
            why,
        } in cases
        {
            let multiplier = QuantizedMultiplier::from_real(real).unwrap();
            assert_eq!(
                multiplier.apply(x, Double),
                double,
                "double, {x} x {real}: {why}"
            );
            assert_eq!(
                multiplier.apply(x, Single),
                single,
                "single, {x} x {real}: {why}"
            );
        }
    }

    #[test]
    fn apply_at_the_edges() {
        struct Case {
            x: i32,
            by: QuantizedMultiplier,
            double: i32,
            single: i32,
            why: &'static str,
        }
        let cases = [
            Case {
                x: i32::MIN,
                by: quantized(0, 0),
                double: 0,
                single: 0,
                why: "multiplier 0",
            },
            Case {
                x: i32::MIN,
                by: quantized(1 << 30, -31),
                double: -1,
                single: 0,
                why: "-2^30 / 2^31: away | up",
            },
            Case {
                x: i32::MAX,
                by: quantized(i32::MAX, -31),
                double: 1,
                single: 1,
                why: "2147483646 / 2^31, nearly 1",
            },
            Case {
                x: i32::MIN,
                by: quantized(i32::MIN, 0),
                double: i32::MAX,
                single: i32::MIN,
                why: "2^31 saturates | wraps",
            },
            Case {
                x: 1,
                by: quantized(i32::MAX, 31),
                double: -i32::MAX,
                single: i32::MAX,
                why: "1 << 31 wraps | exact",
            },
            // 2^30 << 2 is 2^32, 0 in 32 bits; in 64 bits the product 2^30 x 3 is exact and its low 32 bits are -2^30.
            Case {
                x: 1 << 30,
                by: quantized(3 << 29, 2),
                double: 0,
                single: -(1 << 30),
                why: "left shift wraps",
            },
            Case {
                x: 3,
                by: quantized(1 << 30, 30),
                double: -(1 << 29),
                single: 3 << 29,
                why: "3 << 30 wraps to -2^30 | 3 x 2^29",
            },
        ];
        for Case {
            x,
            by,
            double,
            single,
            why,
        } in cases
        {
            assert_eq!(by.apply(x, Double), double, "double, {x} by {by:?}: {why}");
            assert_eq!(by.apply(x, Single), single, "single, {x} by {by:?}: {why}");
        }
    }

    #[test]
    fn apply_accepts_any_shift_without_panic() {
        for shift in [i32::MIN, -33, -32, 32, 47, 64, i32::MAX] {
            for x in [i32::MIN, -1, 0, 1, i32::MAX] {
                let by = quantized(i32::MAX, shift);
                let _ = (
                    by.apply(x, Double),
                    by.apply(x, Single),
                    by.apply_i64(i64::from(x) << 31),
                );
            }
        }
    }

    #[test]
    fn smaller_and_greater_forms_are_the_general_one_on_their_side() {
        for (x, multiplier) in [(-12345, 1_431_655_765), (77, 1 << 30), (i32::MAX, i32::MAX)] {
            for rounding in [Double, Single] {
                for shift in [-31, -5, -1, 0] {
                    assert_eq!(
                        multiply_by_quantized_multiplier_smaller_than_one_exp(
                            x, multiplier, shift, rounding
                        ),
                        multiply_by_quantized_multiplier(x, multiplier, shift, rounding)
                    );
                }
                for shift in [0, 1, 7] {
                    assert_eq!(
                        multiply_by_quantized_multiplier_greater_than_one(
                            x, multiplier, shift, rounding
                        ),
                        multiply_by_quantized_multiplier(x, multiplier, shift, rounding)
                    );
                }
            }
        }
    }

    #[test]
    fn apply_i64_uses_16_bits_of_the_multiplier() {
        struct Case {
            x: i64,
            by: QuantizedMultiplier,
            expected: i32,
            why: &'static str,
        }
        let cases = [
            Case {
                x: 3,
                by: quantized(1 << 30, 0),
                expected: 2,
                why: "1.5 up",
            },
            Case {
                x: -3,
                by: quantized(1 << 30, 0),
                expected: -1,
                why: "-1.5 up",
            },
            Case {
                x: 1,
                by: quantized(1 << 30, -1),
                expected: 0,
                why: "0.25: rounded once",
            },
            Case {
                x: -2,
                by: quantized(1 << 30, -1),
                expected: 0,
                why: "-0.5 up",
            },
            // 2/3 in Q15 is 43690.67/2 = 21845.33 -> 21845: 98304 x 21845 / 2^15 = 65535, not 65536.
            Case {
                x: 98304,
                by: quantized(1_431_655_765, 0),
                expected: 65535,
                why: "fewer bits than apply()",
            },
            // 0x7FFE8000 + 0x8000 is the tie between 0x7FFE and 0x7FFF: up. 2^15 x 0x7FFF / 2^15.
            Case {
                x: 1 << 15,
                by: quantized(0x7FFE_8000, 0),
                expected: 0x7FFF,
                why: "reduction rounds up",
            },
            Case {
                x: 1 << 15,
                by: quantized(i32::MAX, 0),
                expected: 0x7FFF,
                why: "reduction capped",
            },
            Case {
                x: 1 << 46,
                by: quantized(1 << 30, -31),
                expected: 1 << 14,
                why: "2^46 x 2^-1 x 2^-31",
            },
            Case {
                x: 5,
                by: quantized(1 << 30, 7),
                expected: 320,
                why: "5 x 64",
            },
            Case {
                x: 5,
                by: quantized(1 << 30, 14),
                expected: 5 << 13,
                why: "total shift 1",
            },
            Case {
                x: 5,
                by: quantized(1 << 30, 16),
                expected: 5 << 15,
                why: "beyond upstream's range: exact",
            },
        ];
        for Case {
            x,
            by,
            expected,
            why,
        } in cases
        {
            assert_eq!(by.apply_i64(x), expected, "{x} by {by:?}: {why}");
        }
    }
}
