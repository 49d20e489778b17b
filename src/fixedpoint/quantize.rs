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
/// A quotient outside int32 (also an infinite one, of either sign) and NaN are `i32::MIN` before the zero point is added,
/// and the sum wraps: they give `min` with a zero point of 0 or more and `max` with a negative one. That is what the
/// reference does on x86-64, measured on tflite-runtime 2.14 and ai-edge-litert 2.3; in C it is undefined.
///
/// ```
/// use corallite::fixedpoint::quantize_f32;
/// assert_eq!(quantize_f32(1.25, 0.5, -3, -128, 127), 0); // 2.5 -> 3, - 3
/// assert_eq!(quantize_f32(1e9, 0.5, 3, 0, 255), 255);
/// assert_eq!(quantize_f32(1e10, 0.5, 3, 0, 255), 0); // 2e10 is outside int32
/// ```
#[inline(always)]
pub fn quantize_f32(x: f32, scale: f32, zero_point: i32, min: i32, max: i32) -> i32 {
    float_to_i32(round_half_away(x / scale))
        .wrapping_add(zero_point)
        .min(max)
        .max(min)
}

/// Whole numbers up to this in magnitude are exact as the low bits of a sum with 1.5 times its double.
const FAR: i32 = 1 << 22;

/// Zero points and limits up to this in magnitude suit [`quantize_f32_near`].
pub const NEAR_CODE: i32 = FAR / 2;

/// [`quantize_f32`] for a zero point and limits up to [`NEAR_CODE`] in magnitude, which those of 8 and 16 bits are. Compilers know no
/// vectors for a conversion that saturates; for this they do.
#[inline(always)]
pub fn quantize_f32_near(x: f32, scale: f32, zero_point: i32, min: i32, max: i32) -> i32 {
    const SHIFT: f32 = 3.0 * FAR as f32;
    let rounded = round_half_away(x / scale);
    // What is far is beyond the limits, however far.
    let raised = if rounded < -FAR as f32 {
        -FAR as f32
    } else {
        rounded
    };
    let near = if raised > FAR as f32 {
        FAR as f32
    } else {
        raised
    };
    let whole = (near + SHIFT).to_bits().wrapping_sub(SHIFT.to_bits());
    // A sum that wraps is beyond the same limit as that of the lowest number.
    let low = f64::from(i32::MIN) - f64::from(zero_point.min(0));
    let high = f64::from(i32::MAX) - f64::from(zero_point.max(0));
    // The least and the greatest float of that range, so that vectors compare floats.
    let mut range = [low as f32, high as f32];
    if f64::from(range[0]) < low {
        range[0] = range[0].next_up();
    }
    if f64::from(range[1]) > high {
        range[1] = range[1].next_down();
    }
    let whole = match (range[0]..=range[1]).contains(&rounded) {
        true => whole.cast_signed(),
        false => i32::MIN,
    };
    whole.wrapping_add(zero_point).min(max).max(min)
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

#[cfg(test)]
mod tests {
    use super::*;

    /// One-operator QUANTIZE models with scale 0.5, run on BUILTIN_REF of tflite-runtime 2.14.0 and ai-edge-litert 2.3.0
    /// (x86-64, equal answers).
    #[test]
    fn quantize_f32_answers_as_the_reference() {
        struct Case {
            x: f32,
            /// int8 with zero point -3, int8 with 3, uint8 with 3, int16 with 0.
            expected: [i32; 4],
            why: &'static str,
        }
        let outside = [127, -128, 0, -32768];
        let cases = [
            Case {
                x: 0.25,
                expected: [-2, 4, 4, 1],
                why: "0.5, a tie: away from zero",
            },
            Case {
                x: -0.25,
                expected: [-4, 2, 2, -1],
                why: "-0.5, a tie: away from zero",
            },
            Case {
                x: 1.25,
                expected: [0, 6, 6, 3],
                why: "2.5: not to even",
            },
            Case {
                x: -1.25,
                expected: [-6, 0, 0, -3],
                why: "-2.5",
            },
            Case {
                x: 63.4,
                expected: [124, 127, 130, 127],
                why: "126.8",
            },
            Case {
                x: 64.0,
                expected: [125, 127, 131, 128],
                why: "128",
            },
            Case {
                x: -70.0,
                expected: [-128, -128, 0, -140],
                why: "-140",
            },
            Case {
                x: 1e-30,
                expected: [-3, 3, 3, 0],
                why: "tiny",
            },
            Case {
                x: 1073741696.0,
                expected: [127, 127, 255, 32767],
                why: "2^31 - 256, the last inside int32",
            },
            Case {
                x: 1073741824.0,
                expected: outside,
                why: "2^31",
            },
            Case {
                x: -1073741824.0,
                expected: outside,
                why: "-2^31 is i32::MIN all the same",
            },
            Case {
                x: 1e10,
                expected: outside,
                why: "2e10",
            },
            Case {
                x: -1e10,
                expected: outside,
                why: "-2e10",
            },
            Case {
                x: f32::INFINITY,
                expected: outside,
                why: "infinite",
            },
            Case {
                x: f32::NEG_INFINITY,
                expected: outside,
                why: "infinite",
            },
            Case {
                x: f32::NAN,
                expected: outside,
                why: "not a number",
            },
        ];
        for Case { x, expected, why } in cases {
            let found = [
                quantize_f32(x, 0.5, -3, -128, 127),
                quantize_f32(x, 0.5, 3, -128, 127),
                quantize_f32(x, 0.5, 3, 0, 255),
                quantize_f32(x, 0.5, 0, -32768, 32767),
            ];
            assert_eq!(found, expected, "{x}: {why}");
        }
    }

    #[test]
    fn quantize_f32_divides_instead_of_multiplying_by_the_inverse() {
        // 0.3f32 = 10066330 x 2^-25; 2.25 / 0.3f32 = 75497472 / 10066330 = 7.49999970.., between the float32 neighbours
        // 7.49999952 and 7.5, nearer to the first: 7. The inverse, 3.33333325, would make 7.49999981, nearer to 7.5: 8.
        assert_eq!(quantize_f32(2.25, 0.3, 0, -128, 127), 7);
        assert_eq!((2.25 * (1.0 / 0.3f32)).round(), 8.0);
    }

    #[test]
    fn quantization_is_the_clamped_sum_for_numbers_of_every_size() {
        let mut numbers = vec![0.0, 0.5, 2.5, 1e30, f32::INFINITY, f32::NAN];
        for exponent in 0..40 {
            let power = (exponent as f32).exp2();
            numbers.extend([power.next_down(), power, power.next_up(), power * 1.5]);
        }
        let codes = [(-128, 127), (0, 255), (-32768, 32767), (i32::MIN, i32::MAX)];
        for x in numbers.iter().flat_map(|&x| [x, -x]) {
            // Every float32 is exact in double, where the sum with half is, too.
            let whole = (f64::from(x).abs() + 0.5).floor().copysign(x.into());
            let inside = (-2147483648.0..2147483648.0).contains(&whole);
            let whole = if inside { whole as i32 } else { i32::MIN };
            for zero_point in [-128, -3, 0, 3, 255, -32768, 1 << 21, -1 << 21, 1 << 30] {
                for (min, max) in codes {
                    let expected = whole.wrapping_add(zero_point).clamp(min, max);
                    let found = quantize_f32(x, 1.0, zero_point, min, max);
                    assert_eq!(found, expected, "{x}, {zero_point}, {min}..={max}");
                    if [zero_point, min, max]
                        .iter()
                        .all(|code| (-NEAR_CODE..=NEAR_CODE).contains(code))
                    {
                        let found = quantize_f32_near(x, 1.0, zero_point, min, max);
                        assert_eq!(found, expected, "near {x}, {zero_point}, {min}..={max}");
                    }
                }
            }
        }
    }

    #[test]
    fn dequantize_f32_rounds_once() {
        // 0.1f32 = 13421773 x 2^-27; x 255 = 3422552115 x 2^-27, 32 bits, rounded to 24: spacing 256.
        // 3422552115 / 256 = 13369344.199.. -> 13369344 x 256 x 2^-27 = 25.5 exactly.
        assert_eq!(dequantize_f32(255, 0.1, 0), 25.5);
        assert_eq!(dequantize_f32(-128, 0.1, 127), -25.5);
    }
}
