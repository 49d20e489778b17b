//! Between reals and stored integers: rounding, QUANTIZE and DEQUANTIZE of one value.
//!
//! Source: TFLite `kernels/internal/reference/quantize.h` and `dequantize.h` (TF 2.14), `cppmath.h` (`TfLiteRound` is C's
//! `round`); what happens outside int32 was measured on the reference (x86-64).

/// The nearest integer, ties away from zero: C's `roundf`, `TfLiteRound`, Rust's [`f32::round`].
///
/// ```
/// use corallite::fixedpoint::round_half_away;
/// assert_eq!([0.5, 2.5, -0.5, -2.5, 0.49999997].map(round_half_away), [1.0, 3.0, -1.0, -3.0, 0.0]);
/// ```
#[inline(always)]
pub fn round_half_away(x: f32) -> f32 {
    x.round()
}

/// As [`round_half_away`], in double.
#[inline(always)]
pub fn round_half_away_f64(x: f64) -> f64 {
    x.round()
}

/// Truncates toward zero to int32 as the reference on x86-64 does (`cvttss2si`).
///
/// Outside int32, where C leaves the conversion undefined, and for NaN it is `i32::MIN`, also for large positive values.
/// This differs from Rust's saturating `as`.
#[inline(always)]
pub fn float_to_i32(x: f32) -> i32 {
    if (-2147483648.0..2147483648.0).contains(&x) {
        x as i32
    } else {
        i32::MIN
    }
}

/// QUANTIZE of one float: `round_half_away(x / scale) + zero_point`, the quotient in float32, clamped to `min..=max`.
///
/// A quotient outside int32 and NaN give `min`, as measured on the reference (even +infinity).
///
/// ```
/// use corallite::fixedpoint::quantize_f32;
/// assert_eq!(quantize_f32(1.25, 0.5, -3, -128, 127), 0); // 2.5 -> 3, - 3
/// assert_eq!(quantize_f32(1e9, 0.5, -3, -128, 127), 127);
/// assert_eq!(quantize_f32(1e10, 0.5, -3, -128, 127), -128);
/// ```
#[inline(always)]
pub fn quantize_f32(x: f32, scale: f32, zero_point: i32, min: i32, max: i32) -> i32 {
    float_to_i32(round_half_away(x / scale))
        .saturating_add(zero_point)
        .min(max)
        .max(min)
}

/// DEQUANTIZE of one stored integer: `scale * (q - zero_point)`, the exact product rounded once to float32.
///
/// `q - zero_point`: within 24 bits in magnitude (8- and 16-bit types always are); larger differences are rounded in double
/// first.
///
/// ```
/// use corallite::fixedpoint::dequantize_f32;
/// assert_eq!(dequantize_f32(-128, 0.5, 127), -127.5);
/// ```
#[inline(always)]
pub fn dequantize_f32(q: i32, scale: f32, zero_point: i32) -> f32 {
    (f64::from(scale) * f64::from(q.wrapping_sub(zero_point))) as f32
}
