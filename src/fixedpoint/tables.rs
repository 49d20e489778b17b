//! Look-up tables for functions of one 8- or 16-bit tensor.
//!
//! An 8-bit function is a table of its 256 values. A 16-bit one is sampled at 513 points and interpolated linearly between
//! them; each sample is moved by half of the error that interpolation would make at the middle of its interval.
//!
//! Tables are filled in floating point when a kernel is prepared; look-ups are integers. The function passed in is float32
//! (double for the two tables of int16 SOFTMAX), so a value within its last place of a tie depends on the platform's
//! mathematical library, as it does upstream.
//!
//! Source: TFLite `kernels/internal/common.h` (google-ai-edge/LiteRT commit 14906c9), `LUTPopulate` and `LUTLookup`.

use std::ops::{Add, Div, Mul, Sub};

/// Scale and zero point of one side of a table.
///
/// The scale is a float32; a double only for the tables of int16 SOFTMAX.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct TableSide<F = f32> {
    /// Real size of one step.
    pub scale: F,
    /// Stored integer that means 0.
    pub zero_point: i32,
}

/// The 256 outputs of `f` for a uint8 tensor, indexed by the stored input.
///
/// Each is `round_half_away(f(input.scale * (q - input.zero_point)) * (1 / output.scale)) + output.zero_point`, every step
/// in float32, clamped to 0..=255. (What does not fit int32 is undefined in C++: LiteRT 2.3 saturates it as we do, TFLite 2.14
/// makes it the lowest code.)
///
/// ```
/// use corallite::fixedpoint::{TableSide, lut_populate_u8};
/// let (input, output) = (TableSide { scale: 0.1, zero_point: 128 }, TableSide { scale: 1.0 / 256.0, zero_point: 0 });
/// let table = lut_populate_u8(input, output, |x| 1.0 / (1.0 + (-x).exp()));
/// assert_eq!((table[0], table[128], table[255]), (0, 128, 255));
/// ```
pub fn lut_populate_u8(input: TableSide, output: TableSide, f: impl Fn(f32) -> f32) -> [u8; 256] {
    // Clamped to 0..=255: `as` cannot lose.
    let entry = |index: usize| table_entry(index as i32, input, output, (0, 255), &f) as u8;
    std::array::from_fn(entry)
}

/// The 256 outputs of `f` for an int8 tensor, indexed by the stored input as a `u8` (0 to 127, then -128 to -1).
///
/// As [`lut_populate_u8`], clamped to -128..=127; [`lut_lookup_i8`] reads it.
pub fn lut_populate_i8(input: TableSide, output: TableSide, f: impl Fn(f32) -> f32) -> [i8; 256] {
    // The low 8 bits of the index, sign extended; the result is clamped.
    let entry = |index: usize| {
        table_entry(i32::from(index as u8 as i8), input, output, (-128, 127), &f) as i8
    };
    std::array::from_fn(entry)
}

/// One output of an 8-bit table.
fn table_entry(
    q: i32,
    input: TableSide,
    output: TableSide,
    (min, max): (i32, i32),
    f: impl Fn(f32) -> f32,
) -> i32 {
    let inverse_scale = 1.0 / output.scale;
    let dequantized = input.scale * q.wrapping_sub(input.zero_point) as f32;
    let rescaled = (f(dequantized) * inverse_scale).round();
    // The zero point is added in float32, before the conversion.
    // Saturates, and not-a-number is 0.
    ((rescaled + output.zero_point as f32) as i32)
        .min(max)
        .max(min)
}

/// The output of a [`lut_populate_i8`] table for one stored input.
#[inline(always)]
pub fn lut_lookup_i8(value: i8, table: &[i8; 256]) -> i8 {
    table[usize::from(value as u8)]
}

/// Entries of a 16-bit table: 512 intervals and the end of the last.
pub const LUT_I16_LEN: usize = 513;

/// The 513 samples of `f` for an int16 tensor, as [`lut_lookup_i16`] interpolates them.
///
/// ```
/// use corallite::fixedpoint::{TableSide, lut_lookup_i16, lut_populate_i16};
/// let side = TableSide { scale: 1.0 / 32768.0, zero_point: 0 };
/// let halves = lut_populate_i16(side, side, |x| x / 2.0);
/// assert_eq!(lut_lookup_i16(-20_000, &halves), -10_000);
/// ```
pub fn lut_populate_i16(
    input: TableSide,
    output: TableSide,
    f: impl Fn(f32) -> f32,
) -> [i16; LUT_I16_LEN] {
    sample(input, output, f)
}

/// As [`lut_populate_i16`] with every step in double: the two tables of int16 SOFTMAX.
pub fn lut_populate_i16_f64(
    input: TableSide<f64>,
    output: TableSide<f64>,
    f: impl Fn(f64) -> f64,
) -> [i16; LUT_I16_LEN] {
    sample(input, output, f)
}

/// Samples `f` with the midpoint correction, every step rounded to `F`.
fn sample<F: Real>(
    input: TableSide<F>,
    output: TableSide<F>,
    f: impl Fn(F) -> F,
) -> [i16; LUT_I16_LEN] {
    const STEPS: u16 = 512;
    let two = F::from(2);
    let real = |side: TableSide<F>, q: i16| side.scale * F::difference(q, side.zero_point);
    let (input_min, input_max) = (real(input, i16::MIN), real(input, i16::MAX));
    let (output_min, output_max) = (real(output, i16::MIN), real(output, i16::MAX));
    let step = (input_max - input_min) / F::from(STEPS);
    let half_step = step / two;
    // 65536 codes, as twice 2^15: exact.
    let output_scaling_inv = two * F::from(1 << 15) / (output_max - output_min);

    let interval = |i: u16| {
        let start = input_min + F::from(i) * step;
        let val = f(start);
        let val_midpoint = f(start + half_step);
        let val_next = f(input_min + F::from(i + 1) * step);

        let sample_val = (val * output_scaling_inv).round();
        let midpoint_interp_val = ((val_next * output_scaling_inv + sample_val) / two).round();
        let midpoint_val = (val_midpoint * output_scaling_inv).round();
        let midpoint_err = midpoint_interp_val - midpoint_val;
        let bias = (midpoint_err / two).round();
        (sample_val - bias).to_i16()
    };
    let mut table = [0; LUT_I16_LEN];
    for (i, entry) in (0..).zip(&mut table) {
        *entry = if i < STEPS {
            interval(i)
        } else {
            (f(input_max) * output_scaling_inv).round().to_i16()
        };
    }
    table
}

/// The floats that 16-bit tables are computed in.
trait Real:
    Copy + From<u16> + Add<Output = Self> + Sub<Output = Self> + Mul<Output = Self> + Div<Output = Self>
{
    /// `q - zero_point` in 32 bits, then rounded to the float.
    fn difference(q: i16, zero_point: i32) -> Self;
    /// The nearest integer, ties away from zero.
    fn round(self) -> Self;
    /// Saturates, which is the clamp upstream writes out; not-a-number is 0, as on x86-64.
    fn to_i16(self) -> i16;
}

impl Real for f32 {
    fn difference(q: i16, zero_point: i32) -> f32 {
        i32::from(q).wrapping_sub(zero_point) as f32
    }
    fn round(self) -> f32 {
        f32::round(self)
    }
    fn to_i16(self) -> i16 {
        self as i16
    }
}

impl Real for f64 {
    fn difference(q: i16, zero_point: i32) -> f64 {
        f64::from(i32::from(q).wrapping_sub(zero_point))
    }
    fn round(self) -> f64 {
        f64::round(self)
    }
    fn to_i16(self) -> i16 {
        self as i16
    }
}

/// exp over \[-10, 0\] for int16 SOFTMAX: input -32768 is -10, 32767 is 0; output in Q0.15.
///
/// Source: TFLite `kernels/activations.cc`, `SoftmaxPrepare` (google-ai-edge/LiteRT commit 049cdbc).
pub fn softmax_i16_exp_lut() -> [i16; LUT_I16_LEN] {
    let range = 65535.0;
    let input = TableSide {
        scale: 10.0 / range,
        zero_point: 32767,
    };
    lut_populate_i16_f64(
        input,
        TableSide {
            scale: 2.0 / range,
            zero_point: 0,
        },
        f64::exp,
    )
}

/// 1 / (1 + x) over \[0, 1\] for int16 SOFTMAX: input -32768 is 0, 32767 is 1; output in Q0.15.
pub fn softmax_i16_one_over_one_plus_x_lut() -> [i16; LUT_I16_LEN] {
    let range = 65535.0;
    let input = TableSide {
        scale: 1.0 / range,
        zero_point: -32768,
    };
    lut_populate_i16_f64(
        input,
        TableSide {
            scale: 2.0 / range,
            zero_point: 0,
        },
        |x| 1.0 / (1.0 + x),
    )
}

/// The output for one stored input: the entry of its upper 9 bits plus the slope times its lower 7 bits, half up.
#[inline(always)]
pub fn lut_lookup_i16(value: i16, table: &[i16; LUT_I16_LEN]) -> i16 {
    // value >> 7 is -256 to 255: the index is 0 to 511.
    let index = usize::from((256 + (value >> 7)) as u16);
    let offset = i32::from(value & 0x7F);
    let base = table[index];
    // Upstream keeps the slope in 16 bits: it wraps where neighbours are more than 32767 apart.
    let slope = i32::from(table[index + 1].wrapping_sub(base));
    let delta = (slope * offset + 64) >> 7;
    (i32::from(base) + delta) as i16
}

#[cfg(test)]
mod tests {
    use super::*;

    /// One-operator models on BUILTIN_REF of ai-edge-litert 2.3.0 and tflite-runtime 2.14.0 (equal answers): the outputs of
    /// [`Q8`] for an int8 input with the first scale and zero point.
    #[test]
    fn int8_tables_answer_as_the_reference() {
        const Q8: [i8; 13] = [
            -128, -100, -60, -21, -20, -19, 0, 30, 50, 100, 101, 102, 127,
        ];
        struct Case {
            name: &'static str,
            input: (f32, i32),
            output: (f32, i32),
            f: fn(f32) -> f32,
            expected: [i8; 13],
        }
        let logistic = |x: f32| 1.0 / (1.0 + (-x).exp());
        let cases = [
            Case {
                name: "LOGISTIC",
                input: (0.037, -20),
                output: (1.0 / 256.0, -128),
                f: logistic,
                expected: [-123, -115, -81, -2, 0, 2, 45, 93, 110, 125, 125, 125, 127],
            },
            Case {
                name: "LOGISTIC",
                input: (0.5, 100),
                output: (1.0 / 256.0, -128),
                f: logistic,
                expected: [
                    -128, -128, -128, -128, -128, -128, -128, -128, -128, 0, 31, 59, 127,
                ],
            },
            Case {
                name: "TANH",
                input: (0.037, -20),
                output: (0.011, 5),
                f: f32::tanh,
                expected: [-86, -85, -77, 2, 5, 8, 62, 92, 95, 96, 96, 96, 96],
            },
            Case {
                name: "EXP",
                input: (0.037, -20),
                output: (0.3, -10),
                f: f32::exp,
                expected: [-10, -10, -9, -7, -7, -7, -3, 11, 34, 127, 127, 127, 127],
            },
        ];
        for Case {
            name,
            input,
            output,
            f,
            expected,
        } in cases
        {
            let input = TableSide {
                scale: input.0,
                zero_point: input.1,
            };
            let output = TableSide {
                scale: output.0,
                zero_point: output.1,
            };
            let table = lut_populate_i8(input, output, f);
            assert_eq!(
                Q8.map(|q| lut_lookup_i8(q, &table)),
                expected,
                "{name} from {input:?}"
            );
            // uint8 is the same arithmetic with both zero points 128 higher.
            let shifted = |side: TableSide| TableSide {
                zero_point: side.zero_point + 128,
                ..side
            };
            let table = lut_populate_u8(shifted(input), shifted(output), f);
            let outputs = Q8.map(|q| i32::from(table[usize::from(q as u8 ^ 0x80)]) - 128);
            assert_eq!(
                outputs,
                expected.map(i32::from),
                "{name} from {input:?}, as uint8"
            );
        }
    }

    #[test]
    fn eight_bit_tables_saturate_outside_int32() {
        let side = TableSide {
            scale: 1.0,
            zero_point: 1,
        };
        for (value, code) in [(f32::INFINITY, 127), (3e9, 127), (2e9, 127), (-3e9, -128)] {
            let table = lut_populate_i8(side, side, |_| value);
            assert_eq!(table, [code; 256], "{value}");
        }
        assert_eq!(lut_populate_u8(side, side, |_| f32::INFINITY), [255; 256]);
    }

    /// EXP of int16 with output scale 0.1 on the same references.
    #[test]
    fn int16_exp_interpolates_as_the_reference() {
        const Q16: [i16; 11] = [
            -32768, -20000, -4097, -300, -1, 0, 1, 129, 2048, 9999, 32767,
        ];
        let cases: [(f32, [i16; 11]); 2] = [
            (1.0 / 4096.0, [0, 0, 4, 10, 10, 10, 10, 10, 16, 114, 29796]),
            (0.0002, [0, 0, 4, 10, 10, 10, 10, 10, 15, 74, 7015]),
        ];
        for (scale, expected) in cases {
            let input = TableSide {
                scale,
                zero_point: 0,
            };
            let table = lut_populate_i16(
                input,
                TableSide {
                    scale: 0.1,
                    zero_point: 0,
                },
                f32::exp,
            );
            assert_eq!(
                Q16.map(|q| lut_lookup_i16(q, &table)),
                expected,
                "scale {scale}"
            );
        }
    }

    /// Made by TFLite's own `LUTPopulate<int16_t>` (tflite-micro's copy of common.h, commit 90b983c, g++).
    #[test]
    fn softmax_tables_are_tflite_s() {
        let (exp, one_over_one_plus_x) =
            (softmax_i16_exp_lut(), softmax_i16_one_over_one_plus_x_lut());
        let cases = [
            (0, 2, 32767),
            (1, 2, 32704),
            (100, 11, 27413),
            (256, 221, 21845),
            (400, 3677, 18396),
            (500, 25921, 16578),
            (511, 32133, 16400),
            (512, 32767, 16384),
        ];
        for (i, expected_exp, expected_one_over) in cases {
            assert_eq!(
                (exp[i], one_over_one_plus_x[i]),
                (expected_exp, expected_one_over),
                "entry {i}"
            );
        }
    }

    #[test]
    fn lut_lookup_i16_rounds_half_up_and_reaches_both_ends() {
        let mut table = [0i16; LUT_I16_LEN];
        table[256] = 10;
        table[257] = 11; // slope 1: 64/128 is a tie
        table[511] = -3;
        table[512] = -4;
        let cases = [
            (0, 10),
            (63, 10),
            (64, 11),
            (127, 11),
            (-32768, 0),
            (32767, -4),
            (32767 - 127, -3),
            (32767 - 63, -3),
        ];
        for (q, expected) in cases {
            assert_eq!(lut_lookup_i16(q, &table), expected, "{q}");
        }
        // A slope of 40000 wraps to -25536 as upstream's int16_t: -20000 + (-25536 x 64 + 64) / 128.
        (table[256], table[257]) = (-20000, 20000);
        assert_eq!(lut_lookup_i16(64, &table), -32768);
    }
}
