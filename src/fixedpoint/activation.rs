//! Fused activations as integer clamps on the output.
//!
//! Source: TFLite `kernels/kernel_util.cc`, `CalculateActivationRangeQuantized` (google-ai-edge/LiteRT commit 1364361).

use std::fmt;

use super::quantize::round_half_away;

/// The activation that TFLite fuses into an operator.
///
/// TANH and SIGN_BIT exist in the schema; no quantized kernel computes them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum FusedActivation {
    /// The identity.
    #[default]
    None,
    /// `max(x, 0)`.
    Relu,
    /// `x` limited to \[-1, 1\].
    ReluN1To1,
    /// `x` limited to \[0, 6\].
    Relu6,
}

impl FusedActivation {
    /// The lowest and the highest real output; `None` where the type's range is the only limit.
    pub const fn bounds(self) -> (Option<f32>, Option<f32>) {
        match self {
            FusedActivation::None => (None, None),
            FusedActivation::Relu => (Some(0.0), None),
            FusedActivation::ReluN1To1 => (Some(-1.0), Some(1.0)),
            FusedActivation::Relu6 => (Some(0.0), Some(6.0)),
        }
    }
}

/// The stored integers to which an output with `activation` is clamped, lowest and highest.
///
/// Each bound is `zero_point + round_half_away(bound / scale)`, the quotient in float32, limited to `type_range`. The sum
/// saturates (upstream's overflow is undefined).
///
/// ```
/// use corallite::fixedpoint::{FusedActivation, quantized_activation_range};
/// // 6 / 0.05 = 120 above the zero point; the type ends at 127.
/// assert_eq!(quantized_activation_range(FusedActivation::Relu6, 0.05, 0, (-128, 127))?, (0, 120));
/// assert_eq!(quantized_activation_range(FusedActivation::Relu6, 0.0235, -128, (-128, 127))?, (-128, 127));
/// # Ok::<(), corallite::fixedpoint::ActivationRangeError>(())
/// ```
///
/// # Errors
/// A bound divided by `scale` is outside int32 (very small, zero or invalid scale), or the range is empty (a zero point
/// outside the type).
pub fn quantized_activation_range(
    activation: FusedActivation,
    scale: f32,
    zero_point: i32,
    type_range: (i32, i32),
) -> Result<(i32, i32), ActivationRangeError> {
    let quantize = |bound: f32| {
        let steps = round_half_away(bound / scale);
        // Upstream also accepts exactly 2^31 (i32::MAX as a float32) and then converts it, which is undefined.
        if !(-2147483648.0..2147483648.0).contains(&steps) {
            return Err(ActivationRangeError::BoundOverflow { bound, scale });
        }
        Ok(zero_point.saturating_add(steps as i32))
    };
    let (bound_low, bound_high) = activation.bounds();
    let (mut low, mut high) = type_range;
    if let Some(bound) = bound_low {
        low = low.max(quantize(bound)?);
    }
    if let Some(bound) = bound_high {
        high = high.min(quantize(bound)?);
    }
    if low > high {
        return Err(ActivationRangeError::Empty {
            low,
            high,
            zero_point,
            type_range,
        });
    }
    Ok((low, high))
}

/// No integer clamp exists for an activation on an output with these quantization parameters.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub enum ActivationRangeError {
    /// The activation's bound divided by the scale does not fit int32.
    BoundOverflow {
        /// The activation's bound, a real.
        bound: f32,
        /// The output's scale.
        scale: f32,
    },
    /// No stored integer lies between the bounds.
    Empty {
        /// The lowest integer allowed.
        low: i32,
        /// The highest integer allowed, below `low`.
        high: i32,
        /// The output's zero point.
        zero_point: i32,
        /// The type's lowest and highest integer.
        type_range: (i32, i32),
    },
}

impl fmt::Display for ActivationRangeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ActivationRangeError::BoundOverflow { bound, scale } => write!(
                f,
                "activation bound {bound} / output scale {scale:e} is outside int32, expected a finite scale above 0 \
                 and not that small"
            ),
            ActivationRangeError::Empty {
                low,
                high,
                zero_point,
                type_range: (min, max),
            } => write!(
                f,
                "activation range {low}..={high} is empty with output zero point {zero_point}, expected a zero point in \
                 {min}..={max}"
            ),
        }
    }
}

impl std::error::Error for ActivationRangeError {}

/// `value` limited to `range` as C++'s `min(max(value, low), high)` does: not-a-number stays what it is.
#[inline(always)]
pub fn limit<T: PartialOrd + Copy>(value: T, range: (T, T)) -> T {
    let raised = if value < range.0 { range.0 } else { value };
    if range.1 < raised { range.1 } else { raised }
}

#[cfg(test)]
mod tests {
    use super::FusedActivation::*;
    use super::*;

    #[test]
    fn activation_range_follows_the_rounded_quotient() {
        struct Case {
            activation: FusedActivation,
            scale: f32,
            zero_point: i32,
            range: (i32, i32),
            expected: (i32, i32),
            why: &'static str,
        }
        let (i8s, u8s, i16s) = ((-128, 127), (0, 255), (-32768, 32767));
        let cases = [
            Case {
                activation: None,
                scale: 0.0,
                zero_point: 3,
                range: i8s,
                expected: i8s,
                why: "scale is not looked at",
            },
            Case {
                activation: Relu,
                scale: 0.1,
                zero_point: -5,
                range: i8s,
                expected: (-5, 127),
                why: "0 is the zero point",
            },
            Case {
                activation: Relu6,
                scale: 0.0235,
                zero_point: 0,
                range: u8s,
                expected: (0, 255),
                why: "6/0.0235 = 255.3",
            },
            Case {
                activation: Relu6,
                scale: 0.05,
                zero_point: 10,
                range: u8s,
                expected: (10, 130),
                why: "6/0.05 = 120",
            },
            Case {
                activation: Relu6,
                scale: 4.0,
                zero_point: 0,
                range: u8s,
                expected: (0, 2),
                why: "1.5 away from zero",
            },
            Case {
                activation: ReluN1To1,
                scale: 0.4,
                zero_point: 0,
                range: i8s,
                expected: (-3, 3),
                why: "2.5: both ends away from zero",
            },
            Case {
                activation: ReluN1To1,
                scale: 2f32.powi(-10),
                zero_point: 0,
                range: i16s,
                expected: (-1024, 1024),
                why: "int16",
            },
            Case {
                activation: ReluN1To1,
                scale: 1e-3,
                zero_point: -128,
                range: i8s,
                expected: (-128, 127),
                why: "limited by the type",
            },
            Case {
                activation: Relu6,
                scale: 2.8e-9,
                zero_point: 127,
                range: i8s,
                expected: (127, 127),
                why: "2142857143 + 127 saturates, then the type's end",
            },
        ];
        for Case {
            activation,
            scale,
            zero_point,
            range,
            expected,
            why,
        } in cases
        {
            let found = quantized_activation_range(activation, scale, zero_point, range);
            assert_eq!(
                found,
                Ok(expected),
                "{activation:?} at scale {scale}, zero point {zero_point}: {why}"
            );
        }
    }

    #[test]
    fn activation_range_refuses_quotients_outside_int32() {
        // 6 / 2^31 = 2.79e-9: a smaller scale pushes the quotient past int32.
        for scale in [2.7e-9, 1e-30, f32::MIN_POSITIVE, 0.0, f32::NAN] {
            let error = quantized_activation_range(Relu6, scale, 0, (-128, 127)).unwrap_err();
            assert!(
                matches!(error, ActivationRangeError::BoundOverflow { .. }),
                "scale {scale}: {error}"
            );
        }
        let error = quantized_activation_range(Relu6, 1e-12, 0, (-128, 127)).unwrap_err();
        assert_eq!(
            error.to_string(),
            "activation bound 6 / output scale 1e-12 is outside int32, expected a finite scale above 0 and not that small"
        );
    }

    #[test]
    fn activation_range_refuses_an_empty_range() {
        let error = quantized_activation_range(Relu, 0.1, 300, (-128, 127)).unwrap_err();
        assert_eq!(
            error.to_string(),
            "activation range 300..=127 is empty with output zero point 300, expected a zero point in -128..=127"
        );
    }
}
