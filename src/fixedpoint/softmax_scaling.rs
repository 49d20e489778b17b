//! The input scaling of SOFTMAX and LOG_SOFTMAX on 8-bit tensors: differences to the row's maximum in fixed point.
//!
//! Source: TFLite `kernels/internal/quantization_util.cc` (google-ai-edge/LiteRT commit f8d0d79),
//! `PreprocessSoftmaxScaling`, `PreprocessLogSoftmaxScalingExp` and `CalculateInputRadius`.

use super::Rounding;
use super::multiplier::{MultiplierError, QuantizedMultiplier};

/// The multiplier that turns stored differences into a fixed-point number with `input_integer_bits` integer bits.
///
/// It is `beta * input_scale * 2^(31 - input_integer_bits)`, at most 2^31 - 1 (2^30 - 1 with single rounding): larger
/// factors send every other element of the row to zero anyway. `input_integer_bits`: 0 to 31; 5 in SOFTMAX.
///
/// # Errors
/// The product is not over 1 (a scale or beta that is tiny, negative or not a number).
pub fn preprocess_softmax_scaling(
    beta: f64,
    input_scale: f64,
    input_integer_bits: u32,
    rounding: Rounding,
) -> Result<QuantizedMultiplier, MultiplierError> {
    let max_real_multiplier = match rounding {
        Rounding::Double => 2147483647.0,
        Rounding::Single => 1073741823.0,
    };
    let real = beta * input_scale * f64::from(31 - input_integer_bits.min(31)).exp2();
    // A product that is not a number stays one, and is refused.
    let capped = if real > max_real_multiplier {
        max_real_multiplier
    } else {
        real
    };
    QuantizedMultiplier::from_real_greater_than_one(capped)
}

/// The inverse of [`preprocess_softmax_scaling`]'s multiplier, which LOG_SOFTMAX uses to bring its sum back to stored
/// differences.
///
/// # Errors
/// The inverse is not below 1.
pub fn preprocess_log_softmax_reverse_scaling(
    input: QuantizedMultiplier,
) -> Result<QuantizedMultiplier, MultiplierError> {
    // Upstream's 1 << (31 - shift) is 1 << 31 in an int at shift 0: negative, refused below.
    let numerator = f64::from(1i32.wrapping_shl(31u32.wrapping_sub(input.shift.unsigned_abs())));
    QuantizedMultiplier::from_real_smaller_than_one(numerator / f64::from(input.multiplier))
}

/// The largest difference of stored integers whose scaled value still fits `input_integer_bits` integer bits.
///
/// `input_left_shift`: the multiplier's shift, 0 to 31; `total_signed_bits`: 31 for 32-bit numbers, 15 for 16-bit ones.
///
/// ```
/// use corallite::fixedpoint::calculate_input_radius;
/// // (2^5 - 1) * 2^26 / 2^23 = 248: no 8-bit difference beyond it survives exp(-31).
/// assert_eq!(calculate_input_radius(5, 23, 31), 248);
/// ```
pub fn calculate_input_radius(
    input_integer_bits: u32,
    input_left_shift: i32,
    total_signed_bits: u32,
) -> i32 {
    let pot = |bits: f64| bits.exp2();
    let integer_bits = f64::from(input_integer_bits);
    let max_input_rescaled = (pot(integer_bits) - 1.0)
        * pot(f64::from(total_signed_bits) - integer_bits)
        / pot(f64::from(input_left_shift));
    // Saturates; upstream's conversion is undefined there.
    max_input_rescaled.floor() as i32
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn softmax_scaling_is_capped() {
        // 1 x 0.1 x 2^26 = 6710886.4 = 0.8 x 2^23.
        let found = preprocess_softmax_scaling(1.0, 0.1, 5, Rounding::Double).unwrap();
        assert_eq!((found.multiplier, found.shift), (1717986918, 23)); // 0.8 x 2^31 = 1717986918.4
        // 1 x 64 x 2^26 = 2^32 is capped at 2^31 - 1 = (1 - 2^-31) x 2^31, or at 2^30 - 1 = (1 - 2^-30) x 2^30.
        let double = preprocess_softmax_scaling(1.0, 64.0, 5, Rounding::Double).unwrap();
        assert_eq!((double.multiplier, double.shift), (i32::MAX, 31));
        let single = preprocess_softmax_scaling(1.0, 64.0, 5, Rounding::Single).unwrap();
        assert_eq!((single.multiplier, single.shift), (i32::MAX - 1, 30));
        assert_eq!(calculate_input_radius(5, 31, 31), 0); // 31 x 2^26 / 2^31 = 0.97
    }

    #[test]
    fn softmax_scaling_refuses_products_up_to_one() {
        for (beta, scale) in [
            (1.0, 2f64.powi(-26)),
            (0.0, 0.1),
            (-1.0, 0.1),
            (f64::NAN, 0.1),
        ] {
            assert!(
                preprocess_softmax_scaling(beta, scale, 5, Rounding::Double).is_err(),
                "beta {beta}, scale {scale}"
            );
        }
    }

    #[test]
    fn log_softmax_reverse_scaling_inverts() {
        // 2^(31 - 23) / 0.8 x 2^-31 = 2^-23 / 0.8 = 1.25 x 2^-23 = 0.625 x 2^-22.
        let input = preprocess_softmax_scaling(1.0, 0.1, 5, Rounding::Double).unwrap();
        let reverse = preprocess_log_softmax_reverse_scaling(input).unwrap();
        assert_eq!(reverse.shift, -22);
        assert!((reverse.to_real() * input.to_real() - 1.0).abs() < 1e-8);
        let shift_0 = QuantizedMultiplier {
            multiplier: 1 << 30,
            shift: 0,
        };
        assert!(preprocess_log_softmax_reverse_scaling(shift_0).is_err());
    }
}
