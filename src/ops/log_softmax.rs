//! LOG_SOFTMAX: the logarithm of each row's SOFTMAX.

use super::shared::{Integer, check, map_rows};
use super::{EvalError, Node, OpDef, PrepareError, Prepared, Settings, TypeRow};
use crate::fixedpoint::{
    FixedPoint, QuantizedMultiplier, Rounding, calculate_input_radius,
    log_x_for_x_greater_than_or_equal_to_1, multiply_by_quantized_multiplier_greater_than_one,
    preprocess_log_softmax_reverse_scaling, preprocess_softmax_scaling, rounding_divide_by_pot,
};
use crate::model::{BuiltinOperator, Report};
use crate::tensor::TensorType as T;

const INPUT: usize = 0;
const OUTPUT: usize = 0;

pub(super) const DEF: OpDef = OpDef {
    code: BuiltinOperator::LOG_SOFTMAX,
    name: "LOG_SOFTMAX",
    versions: 1..=2,
    types: &[
        TypeRow::new(&[T::Float32], &[T::Float32]),
        TypeRow::new(&[T::UInt8], &[T::UInt8]),
        TypeRow::new(&[T::Int8], &[T::Int8]),
    ],
    check,
    prepare,
};

/// Results from -255/16 to 0: steps of 1/16, the largest code being 0.
fn check(node: &Node<'_>, report: &mut Report) {
    if let Ok(output) = node.output(OUTPUT, "output")
        && let Some((_, highest)) = output.ty.integer_range()
    {
        check::fixed_output(node, 1.0 / 16.0, highest, report);
    }
}

fn prepare(node: &Node<'_>, settings: &Settings) -> Result<Prepared, PrepareError> {
    let input = node.input(INPUT, "input")?;
    let (name, shape) = ("log_softmax.reference", input.shape);
    if shape.rank() == 0 {
        return Err(input.shape_error("at least one axis"));
    }
    if input.ty == T::Float32 {
        return Ok(map_rows(name, shape, |x: &[f32], y| {
            log_softmax_f32(x, y);
            Ok(())
        }));
    }
    let softmax = LogSoftmax::new(input.per_tensor()?.0, settings.profile.rounding())?;
    Ok(match input.ty {
        T::UInt8 => map_rows(name, shape, move |x: &[u8], y| softmax.row(x, y)),
        _ => map_rows(name, shape, move |x: &[i8], y| softmax.row(x, y)),
    })
}

/// Source: TFLite `kernels/internal/reference/log_softmax.h`, the overload for floats. `exp` and `ln` are the C library's.
fn log_softmax_f32(input: &[f32], output: &mut [f32]) {
    // C++'s max: a not-a-number that comes later is passed over.
    let max = input
        .iter()
        .fold(f32::MIN, |max, &x| if max < x { x } else { max });
    let sum = input.iter().fold(0f32, |sum, &x| sum + (x - max).exp());
    let log_sum = sum.ln();
    for (y, &x) in output.iter_mut().zip(input) {
        *y = x - max - log_sum;
    }
}

/// Integer bits of the differences to a row's maximum, and of their sum of exponentials.
const DIFFERENCE_BITS: u32 = 5;
const ACCUMULATION_BITS: u32 = 12;
/// Integer bits of a result.
const OUTPUT_BITS: u32 = 4;

/// The logarithm of softmax of 8-bit codes. Source: TFLite `kernels/activations.cc`, `LogSoftmaxPrepare`;
/// `kernels/internal/reference/integer_ops/log_softmax.h`.
struct LogSoftmax {
    /// Turns stored differences into Q5.26.
    multiplier: QuantizedMultiplier,
    /// And back.
    reverse: QuantizedMultiplier,
    rounding: Rounding,
    /// The largest difference whose exponential counts.
    radius: i32,
}

impl LogSoftmax {
    fn new(scale: f32, rounding: Rounding) -> Result<Self, PrepareError> {
        let multiplier =
            preprocess_softmax_scaling(1.0, f64::from(scale), DIFFERENCE_BITS, rounding)?;
        Ok(Self {
            multiplier,
            reverse: preprocess_log_softmax_reverse_scaling(multiplier)?,
            rounding,
            radius: calculate_input_radius(DIFFERENCE_BITS, multiplier.shift, 31),
        })
    }

    /// A difference of codes, at most 0, in Q5.26.
    fn scaled(&self, difference: i32) -> i32 {
        let QuantizedMultiplier { multiplier, shift } = self.multiplier;
        multiply_by_quantized_multiplier_greater_than_one(
            difference,
            multiplier,
            shift,
            self.rounding,
        )
    }

    fn row<I: Integer>(&self, input: &[I], output: &mut [I]) -> Result<(), EvalError> {
        let Some(&max) = input.iter().max() else {
            return Ok(());
        };
        let difference = |q: I| q.widen().wrapping_sub(max.widen());
        let mut sum = 0i64;
        for &q in input {
            if difference(q) >= -self.radius {
                let exponential =
                    FixedPoint::<i32, DIFFERENCE_BITS>::from_raw(self.scaled(difference(q)))
                        .exp_on_negative_values();
                sum += i64::from(exponential.rescale::<ACCUMULATION_BITS>().raw());
            }
        }
        // Upstream's sum wraps.
        let sum = i32::try_from(sum).map_err(|_| EvalError::Value {
            operand: "input",
            found: sum >> (31 - ACCUMULATION_BITS),
            expected: "a sum of exponentials below 4096 in each row",
        })?;
        let log_sum: FixedPoint<i32, DIFFERENCE_BITS> =
            log_x_for_x_greater_than_or_equal_to_1::<DIFFERENCE_BITS, 6, ACCUMULATION_BITS>(
                FixedPoint::from_raw(sum),
            );
        let log_sum = log_sum.raw();
        // The smallest difference that, less the logarithm, is still a number of Q5.26.
        let lowest = log_sum.wrapping_add(i32::MIN);
        let lowest = self.reverse.apply(lowest, self.rounding);
        let lowest = lowest.max(-self.radius - 1);
        for (y, &q) in output.iter_mut().zip(input) {
            let difference = difference(q);
            *y = if difference > lowest {
                let logarithm = self.scaled(difference).wrapping_sub(log_sum);
                let shift = 31 - DIFFERENCE_BITS - OUTPUT_BITS;
                let steps = rounding_divide_by_pot(logarithm, shift);
                I::saturate(steps.wrapping_add(I::RANGE.1))
            } else {
                I::LOWEST
            };
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_codes_are_minus_the_logarithm_of_their_number() {
        let softmax = LogSoftmax::new(0.1, Rounding::Double).expect("valid scale");
        // ln(4) = 1.386 = 22.18 sixteenths below the largest code.
        let mut output = [0i8; 4];
        softmax.row(&[-9; 4], &mut output).expect("small sum");
        assert_eq!(output, [127 - 22; 4]);
        // exp(-25.5) does not count: 0 and -25.5, beyond the lowest code.
        let mut output = [9u8; 2];
        softmax.row(&[255, 0], &mut output).expect("small sum");
        assert_eq!(output, [255, 0]);
    }

    #[test]
    #[cfg_attr(miri, ignore = "8191 exponentials take minutes under Miri")]
    fn row_whose_sum_leaves_the_accumulator_is_an_error() {
        let softmax = LogSoftmax::new(0.1, Rounding::Double).expect("valid scale");
        let mut output = vec![0u8; 4096];
        assert!(softmax.row(&[1u8; 4095], &mut output).is_ok());
        let error = softmax.row(&[1u8; 4096], &mut output).unwrap_err();
        assert_eq!(
            error.to_string(),
            "operand input holds 4096, expected a sum of exponentials below 4096 in each row"
        );
    }

    #[test]
    fn float_rows_are_shifted_by_their_maximum() {
        let mut output = [0.0; 2];
        log_softmax_f32(&[1000.0, 1000.0], &mut output);
        assert_eq!(output, [-(2f32.ln()); 2]);
    }
}
