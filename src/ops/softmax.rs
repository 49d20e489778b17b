//! SOFTMAX: exponentials along the last axis, divided by their sum.

use super::shared::{Integer, check, element8, map_rows, symmetric_i16};
use super::{
    EvalError, Kernel, KernelIo, Node, OpDef, PrepareError, Prepared, Settings, TypeRow, Views,
    required,
};
use crate::fast::{self, Probabilities, SoftmaxKernel, SoftmaxPrimitive};
use crate::fixedpoint::{
    FixedPoint, LUT_I16_LEN, QuantizedMultiplier, Rounding, calculate_input_radius, get_reciprocal,
    lut_lookup_i16, multiply_by_quantized_multiplier_greater_than_one, preprocess_softmax_scaling,
    rounding_divide_by_pot, softmax_i16_exp_lut, softmax_i16_one_over_one_plus_x_lut,
};
use crate::model::{BuiltinOperator, Report};
use crate::tensor::TensorType as T;

const INPUT: usize = 0;
const OUTPUT: usize = 0;

pub(super) const DEF: OpDef = OpDef {
    code: BuiltinOperator::SOFTMAX,
    name: "SOFTMAX",
    versions: 1..=3,
    types: &[
        TypeRow::new(&[T::Float32], &[T::Float32]),
        TypeRow::new(&[T::UInt8], &[T::UInt8]),
        TypeRow::new(&[T::UInt8], &[T::Int16]),
        TypeRow::new(&[T::Int8], &[T::Int8]),
        TypeRow::new(&[T::Int8], &[T::Int16]),
        TypeRow::new(&[T::Int16], &[T::Int16]),
    ],
    check,
    prepare,
};

/// The scale and zero point that the kernels write with.
fn written(input: T, output: T) -> Option<(f32, i32)> {
    match (input, output) {
        (T::UInt8, T::UInt8) => Some((1.0 / 256.0, 0)),
        (T::Int8, T::Int8) => Some((1.0 / 256.0, -128)),
        (T::Int16, T::Int16) => Some((1.0 / 32768.0, 0)),
        (T::UInt8 | T::Int8, T::Int16) => Some((1.0 / 65536.0, -32768)),
        _ => None,
    }
}

fn check(node: &Node<'_>, report: &mut Report) {
    if let (Ok(input), Ok(output)) = (node.input(INPUT, "input"), node.output(OUTPUT, "output"))
        && let Some((scale, zero_point)) = written(input.ty, output.ty)
    {
        check::fixed_output(node, scale, zero_point, report);
    }
}

fn prepare(node: &Node<'_>, settings: &Settings) -> Result<Prepared, PrepareError> {
    let options = node.table()?.builtin_options_as_softmax_options();
    let beta = options
        .ok_or(PrepareError::Options {
            expected: "SoftmaxOptions",
        })?
        .beta();
    let input = node.input(INPUT, "input")?;
    let output = node.output(OUTPUT, "output")?;
    let shape = input.shape;
    if shape.rank() == 0 {
        return Err(input.shape_error("at least one axis"));
    }
    let rounding = settings.profile.rounding();
    if input.ty == T::Float32 {
        return Ok(map_rows("softmax.reference", shape, move |x: &[f32], y| {
            softmax_f32(beta, x, y);
            Ok(())
        }));
    }
    let (scale, _) = input.per_tensor()?;
    if input.ty == T::Int16 {
        symmetric_i16(&[&input])?;
        let softmax = SoftmaxI16::new(scale, beta, rounding)?;
        return Ok(map_rows("softmax.reference", shape, move |x: &[i16], y| {
            softmax.row(x, y)
        }));
    }
    let softmax = Softmax8::new(scale, beta, rounding)?;
    if let Some(element) = element8(input.ty) {
        let problem = fast::Softmax {
            element,
            extent: shape.last(),
            exponentials: &softmax.exponentials,
        };
        if let Some(kernel) = fast::choose::<SoftmaxPrimitive>(settings.kernels, &problem) {
            return Ok(Prepared::new(FastSoftmax(kernel), [shape]));
        }
    }
    let name = "softmax.reference";
    Ok(match (input.ty, output.ty) {
        (T::UInt8, T::UInt8) => {
            map_rows(name, shape, move |x: &[u8], y: &mut [u8]| softmax.row(x, y))
        }
        (T::UInt8, _) => map_rows(name, shape, move |x: &[u8], y: &mut [i16]| {
            softmax.row(x, y)
        }),
        (_, T::Int8) => map_rows(name, shape, move |x: &[i8], y: &mut [i8]| softmax.row(x, y)),
        _ => map_rows(name, shape, move |x: &[i8], y: &mut [i16]| {
            softmax.row(x, y)
        }),
    })
}

/// Source: TFLite `kernels/internal/reference/softmax.h`, the overload for floats. `exp` is the C library's.
fn softmax_f32(beta: f32, input: &[f32], output: &mut [f32]) {
    // C++'s max: a not-a-number that comes later is passed over.
    let max = input
        .iter()
        .fold(f32::MIN, |max, &x| if max < x { x } else { max });
    let mut sum = 0f32;
    for (y, &x) in output.iter_mut().zip(input) {
        *y = ((x - max) * beta).exp();
        sum += *y;
    }
    for y in output {
        *y /= sum;
    }
}

/// Softmax of 8-bit codes. The exponential of a difference to the row's maximum has one of 256 values.
///
/// Source: TFLite `kernels/internal/reference/softmax.h`, the overload for integers.
struct Softmax8 {
    /// `exp(-difference * input_scale * beta)` in Q0.31; 0 from where it no longer counts.
    exponentials: Box<[i32; 256]>,
}

/// Integer bits of the sum of exponentials.
const ACCUMULATION_INTEGER_BITS: u32 = 12;

impl Softmax8 {
    fn new(scale: f32, beta: f32, rounding: Rounding) -> Result<Self, PrepareError> {
        const SCALED_DIFF_INTEGER_BITS: u32 = 5;
        let multiplier = preprocess_softmax_scaling(
            f64::from(beta),
            f64::from(scale),
            SCALED_DIFF_INTEGER_BITS,
            rounding,
        )?;
        let radius = calculate_input_radius(SCALED_DIFF_INTEGER_BITS, multiplier.shift, 31);
        let QuantizedMultiplier { multiplier, shift } = multiplier;
        let exponential = |difference: i32| {
            if difference > radius {
                return 0;
            }
            let scaled = multiply_by_quantized_multiplier_greater_than_one(
                -difference,
                multiplier,
                shift,
                rounding,
            );
            FixedPoint::<i32, SCALED_DIFF_INTEGER_BITS>::from_raw(scaled)
                .exp_on_negative_values()
                .raw()
        };
        let mut exponentials = Box::new([0; 256]);
        for (difference, entry) in (0..).zip(exponentials.iter_mut()) {
            *entry = exponential(difference);
        }
        Ok(Self { exponentials })
    }

    #[inline(always)]
    fn exponential<I: Integer>(&self, max: I, q: I) -> i32 {
        // 0 to 255, `max` being the largest.
        self.exponentials[usize::from(max.widen().wrapping_sub(q.widen()) as u8)]
    }

    fn row<I: Integer, O: Integer>(&self, input: &[I], output: &mut [O]) -> Result<(), EvalError> {
        let Some(&max) = input.iter().max() else {
            return Ok(());
        };
        let mut sum = 0i64;
        for &q in input {
            let exponential = FixedPoint::<i32, 0>::from_raw(self.exponential(max, q));
            sum += i64::from(exponential.rescale::<ACCUMULATION_INTEGER_BITS>().raw());
        }
        // Upstream's sum wraps, and a check then ends the process.
        let sum = i32::try_from(sum).map_err(|_| EvalError::Value {
            operand: "input",
            found: sum >> 19,
            expected: "a sum of exponentials below 4096 in each row",
        })?;
        let (reciprocal, bits_over_unit) = get_reciprocal(sum, ACCUMULATION_INTEGER_BITS as i32);
        let reciprocal = FixedPoint::<i32, 0>::from_raw(reciprocal);
        let output_bits = size_of::<O>() as i32 * 8;
        let exponent = (bits_over_unit + 31 - output_bits)
            .clamp(0, 31)
            .unsigned_abs();
        for (y, &q) in output.iter_mut().zip(input) {
            let exponential = FixedPoint::<i32, 0>::from_raw(self.exponential(max, q));
            let product: FixedPoint<i32, 0> = reciprocal.times(exponential);
            let unsaturated = rounding_divide_by_pot(product.raw(), exponent);
            *y = O::saturate(unsaturated.wrapping_add(O::RANGE.0));
        }
        Ok(())
    }
}

struct FastSoftmax(Box<dyn SoftmaxKernel>);

impl Kernel for FastSoftmax {
    fn eval(&self, io: &mut KernelIo<'_>) -> Result<(), EvalError> {
        let Views {
            inputs: [input],
            outputs: [mut output],
            ..
        } = io.views([INPUT], [OUTPUT], [])?;
        let input = required(input, INPUT)?.bytes();
        let probabilities = match output.ty() {
            T::Int16 => Probabilities::Int16(output.as_slice_mut()?),
            _ => Probabilities::Bytes(output.bytes_mut()),
        };
        self.0.run(input, probabilities);
        Ok(())
    }

    fn name(&self) -> &'static str {
        self.0.name()
    }
}

/// Softmax of int16 codes by two tables. Source: TFLite `kernels/internal/reference/softmax.h`, `SoftmaxInt16`.
struct SoftmaxI16 {
    /// Turns differences to the row's maximum into steps of 10 / 65535.
    multiplier: QuantizedMultiplier,
    rounding: Rounding,
    exp: Box<[i16; LUT_I16_LEN]>,
    one_over_one_plus_x: Box<[i16; LUT_I16_LEN]>,
}

impl SoftmaxI16 {
    fn new(scale: f32, beta: f32, rounding: Rounding) -> Result<Self, PrepareError> {
        Ok(Self {
            multiplier: QuantizedMultiplier::from_real(f64::from(scale * beta) / (10.0 / 65535.0))?,
            rounding,
            exp: Box::new(softmax_i16_exp_lut()),
            one_over_one_plus_x: Box::new(softmax_i16_one_over_one_plus_x_lut()),
        })
    }

    fn row(&self, input: &[i16], output: &mut [i16]) -> Result<(), EvalError> {
        let Some(&max) = input.iter().max() else {
            return Ok(());
        };
        // Q16.15.
        let mut sum = 0i64;
        for (y, &q) in output.iter_mut().zip(input) {
            let difference = q.widen().wrapping_sub(max.widen());
            let scaled = self.multiplier.apply(difference, self.rounding);
            *y = lut_lookup_i16(i16::saturate(scaled.wrapping_add(32767)), &self.exp);
            sum += i64::from(*y);
        }
        let sum = u32::try_from(sum)
            .ok()
            .filter(|&sum| 0 < sum && sum < 1 << 31);
        let sum = sum.ok_or(EvalError::Value {
            operand: "input",
            found: output.len() as i64,
            expected: "rows with a sum of exponentials below 65536",
        })?;
        let headroom_plus_one = sum.leading_zeros();
        let shifted = ((u64::from(sum) << (headroom_plus_one - 1)) + (1 << 13)) >> 14;
        // 1 to 2 in Q16: less one, and centred, it is the argument of 1 / (1 + x).
        let centred = shifted as i32 - ((1 << 15) + (1 << 16));
        let reciprocal = lut_lookup_i16(i16::saturate(centred), &self.one_over_one_plus_x);
        // The largest element alone contributes 32766 or so: at most 17 leading zeros.
        let right_shift = 31u32.saturating_sub(headroom_plus_one).max(1);
        let half = 1i64 << (right_shift - 1);
        for y in output {
            let product = (i64::from(*y) * i64::from(reciprocal) + half) >> right_shift;
            *y = i16::saturate(product.max(0) as i32);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fast::{Element8, Primitive};
    use crate::ops::shared::differential::{Numbers, Ran, assert_all_ran};

    /// The reference's results for `rows`, all of which have small sums.
    fn reference<I: Integer, O: Integer>(softmax: &Softmax8, rows: &[I], extent: usize) -> Vec<O> {
        let mut output = vec![O::LOWEST; rows.len()];
        let outputs = output.chunks_exact_mut(extent);
        for (row, output) in rows.chunks_exact(extent).zip(outputs) {
            softmax.row(row, output).expect("small sum");
        }
        output
    }

    #[test]
    #[cfg_attr(miri, ignore = "hundreds of problems, hours under Miri")]
    fn variants_give_the_reference_s_bits() {
        let mut ran = Ran::new();
        for seed in 0..300 {
            let n = &mut Numbers::new(seed);
            let element = n.one_of(&[Element8::Int8, Element8::UInt8]);
            let scale = n.one_of(&[0.1, 0.0039, 1.0 / 16.0, 1e-6, 0.75, 30.0]);
            let rounding = n.one_of(&[Rounding::Single, Rounding::Double]);
            let softmax = Softmax8::new(scale, 1.0, rounding).expect("valid scale");
            let extent = n.one_of(&[1, 2, 10, 33, 255, 256, 257, 1001, 4095]);
            let rows = n.size(1, 3);
            let mut input = n.bytes(rows * extent);
            if n.chance(3) {
                // Few values, large sums.
                input.iter_mut().for_each(|byte| *byte &= 3);
            }
            let signed: &[i8] = bytemuck::cast_slice(&input);
            let (bytes, words): (Vec<u8>, Vec<i16>) = match element {
                Element8::Int8 => (
                    bytemuck::cast_vec(reference::<i8, i8>(&softmax, signed, extent)),
                    reference(&softmax, signed, extent),
                ),
                Element8::UInt8 => (
                    reference(&softmax, &input, extent),
                    reference(&softmax, &input, extent),
                ),
            };
            let problem = fast::Softmax {
                element,
                extent,
                exponentials: &softmax.exponentials,
            };
            let name = format!("seed {seed}: {element:?}, {scale}, {rounding:?}, rows of {extent}");
            for variant in SoftmaxPrimitive::variants() {
                let Some(kernel) = (variant.prepare)(&problem) else {
                    continue;
                };
                ran.insert(variant.name);
                assert_eq!(kernel.name(), variant.name);
                let (mut narrow, mut wide) = (vec![0x55; input.len()], vec![0x55; input.len()]);
                kernel.run(&input, Probabilities::Bytes(&mut narrow));
                kernel.run(&input, Probabilities::Int16(&mut wide));
                assert!(narrow == bytes, "{}, {name}", variant.name);
                assert!(wide == words, "{}, {name}, to int16", variant.name);
            }
        }
        assert_all_ran::<SoftmaxPrimitive>(&ran);
    }

    #[test]
    fn equal_codes_share_the_whole() {
        let softmax = Softmax8::new(0.1, 1.0, Rounding::Double).expect("valid scale");
        // 256 / 4 = 64 steps of 1/256 above the lowest code.
        let mut output = [0i8; 4];
        softmax.row(&[5i8; 4], &mut output).expect("small sum");
        assert_eq!(output, [-64; 4]);
        // One element has all 256 steps; the largest code is 255.
        let mut output = [0u8];
        softmax.row(&[7u8], &mut output).expect("small sum");
        assert_eq!(output, [255]);
    }

    #[test]
    #[cfg_attr(miri, ignore = "8191 exponentials take minutes under Miri")]
    fn row_whose_sum_leaves_the_accumulator_is_an_error() {
        let softmax = Softmax8::new(0.1, 1.0, Rounding::Double).expect("valid scale");
        let mut output = vec![0u8; 4096];
        assert!(softmax.row(&[1u8; 4095], &mut output).is_ok());
        let error = softmax.row(&[1u8; 4096], &mut output).unwrap_err();
        assert_eq!(
            error.to_string(),
            "operand input holds 4096, expected a sum of exponentials below 4096 in each row"
        );
    }

    #[test]
    fn int16_halves_are_half_of_32768() {
        let softmax = SoftmaxI16::new(0.001, 1.0, Rounding::Double).expect("valid scale");
        let mut output = [0; 2];
        softmax.row(&[-3, -3], &mut output).expect("small sum");
        // 1/2 in Q0.15 is 16384; the exponential of 0 is the table's 32767 / 32768.
        assert_eq!(output, [16384, 16384]);
    }

    #[test]
    fn float_rows_sum_to_one() {
        let mut output = [0.0; 2];
        softmax_f32(1.0, &[3.0, 3.0], &mut output);
        assert_eq!(output, [0.5, 0.5]);
        softmax_f32(1.0, &[1000.0, -1000.0], &mut output);
        assert_eq!(output, [1.0, 0.0]);
    }
}
