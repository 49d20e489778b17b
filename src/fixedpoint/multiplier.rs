//! Real multipliers as a 32-bit integer and a shift, and their application to accumulators.
//!
//! A requantization needs `x * M` for a real `M` (such as `s_in * s_w / s_out`) without floating point at run time. `M` is
//! written as `multiplier / 2^31 * 2^shift` with `multiplier` in \[2^30, 2^31\): 31 significant bits, computed once.
//!
//! Sources: TFLite `kernels/internal/quantization_util.cc` (`QuantizeMultiplier...`), `kernels/internal/common.cc` and
//! `common.h` (`MultiplyByQuantizedMultiplier...`), google-ai-edge/LiteRT commits f8d0d79 and 14906c9; the same
//! arithmetic as TF 2.4 to 2.19.

use std::fmt;

use super::Rounding;
use super::rounding::{rounding_divide_by_pot, saturating_rounding_doubling_high_mul};

/// A real number as TFLite's kernels multiply by it: `multiplier / 2^31 * 2^shift`.
///
/// ```
/// use corallite::fixedpoint::{QuantizedMultiplier, Rounding};
/// let quarter = QuantizedMultiplier::from_real(0.25)?;
/// assert_eq!((quarter.multiplier, quarter.shift), (1 << 30, -1));
/// assert_eq!(quarter.apply(100, Rounding::Double), 25);
/// assert_eq!(quarter.apply(1, Rounding::Double), 1); // 0.5 -> 1, 0.5 -> 1: rounded twice
/// assert_eq!(quarter.apply(1, Rounding::Single), 0);
/// # Ok::<(), corallite::fixedpoint::MultiplierError>(())
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct QuantizedMultiplier {
    /// The significand in Q31: 0, or of magnitude 2^30 to 2^31.
    pub multiplier: i32,
    /// Bits, positive = left; -31 to 31.
    pub shift: i32,
}

impl QuantizedMultiplier {
    /// The multiplier nearest to `real`, ties away from zero (`QuantizeMultiplier`).
    ///
    /// Below 2^-32 in magnitude (a shift under -31) it is 0 with shift 0, as upstream. From 2^31 on (a shift over 31),
    /// where upstream's shift is undefined, it is the largest: `i32::MAX` with shift 31. Negative reals are represented too.
    ///
    /// # Errors
    /// `real` is infinite or not a number.
    pub fn from_real(real: f64) -> Result<Self, MultiplierError> {
        if !real.is_finite() {
            return Err(MultiplierError::NotFinite { real });
        }
        let (fraction, mut shift) = frexp(real);
        // At most 2^31 in magnitude: `as` is exact.
        let mut significand = (fraction * (1i64 << 31) as f64).round() as i64;
        if significand == 1 << 31 {
            significand /= 2;
            shift += 1;
        }
        if shift < -31 {
            return Ok(QuantizedMultiplier {
                multiplier: 0,
                shift: 0,
            });
        }
        if shift > 31 {
            let multiplier = if real > 0.0 { i32::MAX } else { -i32::MAX };
            return Ok(QuantizedMultiplier {
                multiplier,
                shift: 31,
            });
        }
        // -2^31 to 2^31 - 1 here: `as` cannot lose.
        Ok(QuantizedMultiplier {
            multiplier: significand as i32,
            shift,
        })
    }

    /// As [`from_real`](Self::from_real), for kernels that only shift right (`QuantizeMultiplierSmallerThanOneExp`).
    ///
    /// # Errors
    /// `real` is not a number, below 0, at least 1, or so near 1 that it rounds to 1 in Q31. Upstream aborts the process.
    pub fn from_real_smaller_than_one(real: f64) -> Result<Self, MultiplierError> {
        if (0.0..1.0).contains(&real) {
            let quantized = Self::from_real(real)?;
            if quantized.shift <= 0 {
                return Ok(quantized);
            }
        }
        Err(MultiplierError::NotBelowOne { real })
    }

    /// As [`from_real`](Self::from_real), for kernels that only shift left (`QuantizeMultiplierGreaterThanOne`).
    ///
    /// # Errors
    /// `real` is not a number, infinite, or at most 1. Upstream aborts the process.
    pub fn from_real_greater_than_one(real: f64) -> Result<Self, MultiplierError> {
        if real > 1.0 && real.is_finite() {
            return Self::from_real(real);
        }
        Err(MultiplierError::NotAboveOne { real })
    }

    /// The real number this stands for, exactly.
    pub fn to_real(self) -> f64 {
        f64::from(self.multiplier) * f64::from(self.shift - 31).exp2()
    }

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
            let right = shift.min(0).unsigned_abs();
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

/// C's `frexp` for a finite number: `real = fraction * 2^exponent` with 0.5 <= |fraction| < 1; (0, 0) for zero.
fn frexp(real: f64) -> (f64, i32) {
    const FRACTION_BITS: u32 = 52;
    const EXPONENT_MASK: u64 = 0x7FF << FRACTION_BITS;
    /// The exponent field of numbers in [0.5, 1).
    const HALF: u64 = 1022;

    if real == 0.0 {
        return (0.0, 0);
    }
    let mut bits = real.to_bits();
    let mut below_normal = 0;
    if bits & EXPONENT_MASK == 0 {
        bits = (real * 54f64.exp2()).to_bits();
        below_normal = 54;
    }
    let exponent = ((bits & EXPONENT_MASK) >> FRACTION_BITS) as i32 - HALF as i32 - below_normal;
    (
        f64::from_bits(bits & !EXPONENT_MASK | HALF << FRACTION_BITS),
        exponent,
    )
}

/// A real number that cannot be, or must not be, turned into a [`QuantizedMultiplier`].
///
/// Made from scales, so the remedy is in the model: the caller says which tensors they came from.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub enum MultiplierError {
    /// Infinite or not a number: a scale is 0, infinite or not a number.
    NotFinite {
        /// The number found.
        real: f64,
    },
    /// The kernel shifts right only and needs a multiplier in \[0, 1\).
    NotBelowOne {
        /// The number found.
        real: f64,
    },
    /// The kernel shifts left only and needs a multiplier over 1.
    NotAboveOne {
        /// The number found.
        real: f64,
    },
}

impl fmt::Display for MultiplierError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (found, expected) = match self {
            MultiplierError::NotFinite { real } => (
                real,
                "a finite number: check that every scale is finite and above 0",
            ),
            MultiplierError::NotBelowOne { real } => (
                real,
                "at least 0 and below 1: the output scale is too small",
            ),
            MultiplierError::NotAboveOne { real } => {
                (real, "above 1: the input scale is too small")
            }
        };
        write!(f, "scale multiplier is {found}, expected {expected}")
    }
}

impl std::error::Error for MultiplierError {}

#[cfg(test)]
mod tests {
    use super::Rounding::{Double, Single};
    use super::*;

    fn quantized(multiplier: i32, shift: i32) -> QuantizedMultiplier {
        QuantizedMultiplier { multiplier, shift }
    }

    #[test]
    fn from_real_takes_31_bits_and_an_exponent() {
        struct Case {
            real: f64,
            multiplier: i32,
            shift: i32,
            why: &'static str,
        }
        let cases = [
            Case {
                real: 0.0,
                multiplier: 0,
                shift: 0,
                why: "zero",
            },
            Case {
                real: 1.0,
                multiplier: 1 << 30,
                shift: 1,
                why: "0.5 x 2^1",
            },
            Case {
                real: 0.25,
                multiplier: 1 << 30,
                shift: -1,
                why: "0.5 x 2^-1",
            },
            Case {
                real: 0.75,
                multiplier: 3 << 29,
                shift: 0,
                why: "0.75 x 2^31",
            },
            Case {
                real: 3.0,
                multiplier: 3 << 29,
                shift: 2,
                why: "0.75 x 2^2",
            },
            Case {
                real: -0.75,
                multiplier: -(3 << 29),
                shift: 0,
                why: "negative",
            },
            Case {
                real: 1.0 / 3.0,
                multiplier: 1_431_655_765,
                shift: -1,
                why: "2/3 x 2^31 = 1431655765.33",
            },
            // 1 - 2^-32 is 2^31 - 0.5 in Q31: a tie, away from zero to 2^31, carried into the exponent.
            Case {
                real: 1.0 - 2f64.powi(-32),
                multiplier: 1 << 30,
                shift: 1,
                why: "carry",
            },
            Case {
                real: 1.0 - 2f64.powi(-31),
                multiplier: i32::MAX,
                shift: 0,
                why: "the largest below one",
            },
            // 2^-32 = 0.5 x 2^-31; just below, 0.99.. x 2^-32 flushes to zero, unless it rounds up to 2^-32.
            Case {
                real: 2f64.powi(-32),
                multiplier: 1 << 30,
                shift: -31,
                why: "smallest",
            },
            Case {
                real: 0.75 * 2f64.powi(-32),
                multiplier: 0,
                shift: 0,
                why: "exponent -32: zero",
            },
            Case {
                real: 2f64.powi(-32) * (1.0 - 2f64.powi(-40)),
                multiplier: 1 << 30,
                shift: -31,
                why: "carry first",
            },
            Case {
                real: f64::MIN_POSITIVE / 8.0,
                multiplier: 0,
                shift: 0,
                why: "subnormal",
            },
            Case {
                real: 2147483647.0,
                multiplier: i32::MAX,
                shift: 31,
                why: "SOFTMAX's cap",
            },
            Case {
                real: 2147483648.0,
                multiplier: i32::MAX,
                shift: 31,
                why: "0.5 x 2^32: our cap",
            },
            Case {
                real: -1e300,
                multiplier: -i32::MAX,
                shift: 31,
                why: "our cap, negative",
            },
        ];
        for Case {
            real,
            multiplier,
            shift,
            why,
        } in cases
        {
            assert_eq!(
                QuantizedMultiplier::from_real(real),
                Ok(quantized(multiplier, shift)),
                "{real:e}: {why}"
            );
        }
    }

    #[test]
    fn from_real_is_within_half_a_unit() {
        for real in [
            1e-9,
            0.0023,
            0.1,
            0.9999999,
            1.5,
            37.0,
            1e6,
            f64::from(0.1f32) * f64::from(0.02f32) / f64::from(0.3f32),
        ] {
            let quantized = QuantizedMultiplier::from_real(real).unwrap();
            assert!(
                (quantized.to_real() - real).abs() <= real * 2f64.powi(-31),
                "{real}: {quantized:?}"
            );
            assert!(
                (1 << 30..=i32::MAX).contains(&quantized.multiplier),
                "{real}: {quantized:?}"
            );
        }
    }

    #[test]
    fn frexp_covers_subnormals() {
        let smallest = f64::from_bits(1); // 2^-1074 = 0.5 x 2^-1073
        let cases = [
            (smallest, 0.5, -1073),
            (-3.0 * smallest, -0.75, -1072),
            (f64::MIN_POSITIVE, 0.5, -1021),
            (8.0, 0.5, 4),
        ];
        for (real, fraction, exponent) in cases {
            assert_eq!(frexp(real), (fraction, exponent), "{real:e}");
        }
    }

    #[test]
    fn multipliers_outside_the_kernel_s_range_are_refused() {
        let refused = [
            (
                QuantizedMultiplier::from_real(f64::INFINITY),
                "scale multiplier is inf, expected a finite number: check that every scale is finite and above 0",
            ),
            (
                QuantizedMultiplier::from_real_smaller_than_one(1.0),
                "scale multiplier is 1, expected at least 0 and below 1: the output scale is too small",
            ),
            (
                QuantizedMultiplier::from_real_smaller_than_one(1.0 - 2f64.powi(-32)),
                "scale multiplier is 0.9999999997671694, expected at least 0 and below 1: the output scale is too small",
            ),
            (
                QuantizedMultiplier::from_real_smaller_than_one(-0.5),
                "scale multiplier is -0.5, expected at least 0 and below 1: the output scale is too small",
            ),
            (
                QuantizedMultiplier::from_real_smaller_than_one(f64::NAN),
                "scale multiplier is NaN, expected at least 0 and below 1: the output scale is too small",
            ),
            (
                QuantizedMultiplier::from_real_greater_than_one(1.0),
                "scale multiplier is 1, expected above 1: the input scale is too small",
            ),
            (
                QuantizedMultiplier::from_real_greater_than_one(f64::NAN),
                "scale multiplier is NaN, expected above 1: the input scale is too small",
            ),
        ];
        for (result, message) in refused {
            assert_eq!(result.unwrap_err().to_string(), message);
        }
        assert!(QuantizedMultiplier::from_real(f64::NAN).is_err());
        assert_eq!(
            QuantizedMultiplier::from_real_smaller_than_one(0.0),
            Ok(quantized(0, 0))
        );
        assert_eq!(
            QuantizedMultiplier::from_real_greater_than_one(1.5),
            Ok(quantized(3 << 29, 1))
        );
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
