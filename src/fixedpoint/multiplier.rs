//! Real multipliers as a 32-bit integer and a shift.
//!
//! A requantization needs `x * M` for a real `M` (such as `s_in * s_w / s_out`) without floating point at run time. `M` is
//! written as `multiplier / 2^31 * 2^shift` with `multiplier` in \[2^30, 2^31\): 31 significant bits, computed once.
//!
//! Source: TFLite `kernels/internal/quantization_util.cc`, `QuantizeMultiplier...` (google-ai-edge/LiteRT commit f8d0d79; the
//! same in TF 2.4 to 2.19).

use std::fmt;

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
}

/// The binary logarithm of a scale that is a power of two, to within 1/1000 of the exponent; all in float32
/// (`CheckedLog2`).
///
/// ```
/// use corallite::fixedpoint::checked_log2;
/// assert_eq!([1.0 / 4096.0, 2.0, 2.001, 2.1, 0.0].map(checked_log2), [Some(-12), Some(1), Some(1), None, None]);
/// ```
pub fn checked_log2(x: f32) -> Option<i32> {
    if x > 0.0 {
        let log2 = x.ln() * (1.0 / 2f32.ln());
        let rounded = log2.round();
        if (log2 - rounded).abs() < 1e-3 {
            // Between -149 and 128: `as` is exact.
            return Some(rounded as i32);
        }
    }
    None
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
}
