//! SQUARED_DIFFERENCE: the square of the difference of two tensors, with broadcasting.

use super::shared::{Broadcast, Integer, binary, check};
use super::{Node, OpDef, PrepareError, Prepared, Settings, TypeRow};
use crate::fixedpoint::{QuantizedMultiplier, Rounding};
use crate::model::BuiltinOperator;
use crate::tensor::TensorType as T;

const LEFT: usize = 0;
const RIGHT: usize = 1;
const OUTPUT: usize = 0;

pub(super) const DEF: OpDef = OpDef {
    code: BuiltinOperator::SQUARED_DIFFERENCE,
    name: "SQUARED_DIFFERENCE",
    versions: 1..=2,
    types: &[
        TypeRow::new(&[T::Float32], &[T::Float32]),
        TypeRow::new(&[T::Int32], &[T::Int32]),
        TypeRow::new(&[T::Int8], &[T::Int8]),
    ],
    check: check::none,
    prepare,
};

const NAME: &str = "squared_difference.reference";

fn prepare(node: &Node<'_>, settings: &Settings) -> Result<Prepared, PrepareError> {
    let left = node.input(LEFT, "left")?;
    let right = node.input(RIGHT, "right")?;
    let output = node.output(OUTPUT, "output")?;
    let broadcast = Broadcast::new([&left, &right])?;
    match left.ty {
        T::Float32 => return Ok(binary(NAME, broadcast, |a: f32, b: f32| (a - b) * (a - b))),
        T::Int32 => {
            return Ok(binary(NAME, broadcast, |a: i32, b: i32| {
                let difference = a.wrapping_sub(b);
                difference.wrapping_mul(difference)
            }));
        }
        _ => {}
    }
    let (left_scale, left_zero_point) = left.per_tensor()?;
    let (right_scale, right_zero_point) = right.per_tensor()?;
    let (output_scale, output_zero_point) = output.per_tensor()?;
    let twice_max = f64::from(2.0 * left_scale.max(right_scale));
    let below_one = QuantizedMultiplier::from_real_smaller_than_one;
    // The product with 2^14 is float32 upstream, and exact.
    let scaled_output = f64::from((1u32 << (2 * LEFT_SHIFT)) as f32 * output_scale);
    let step = Squared {
        left: (
            left_zero_point,
            below_one(f64::from(left_scale) / twice_max)?,
        ),
        right: (
            right_zero_point,
            below_one(f64::from(right_scale) / twice_max)?,
        ),
        output: (
            output_zero_point,
            below_one(twice_max * twice_max / scaled_output)?,
        ),
        rounding: settings.profile.rounding(),
    };
    Ok(binary(NAME, broadcast, move |a: i8, b: i8| {
        step.apply(a, b)
    }))
}

/// Bits to spare while operands are brought to one scale.
const LEFT_SHIFT: u32 = 7;

/// Source: TFLite `kernels/squared_difference.cc`.
#[derive(Debug, Clone, Copy)]
struct Squared {
    left: (i32, QuantizedMultiplier),
    right: (i32, QuantizedMultiplier),
    output: (i32, QuantizedMultiplier),
    rounding: Rounding,
}

impl Squared {
    #[inline(always)]
    fn apply(self, left: i8, right: i8) -> i8 {
        let scaled = |q: i8, (zero_point, multiplier): (i32, QuantizedMultiplier)| {
            let shifted = q.widen().wrapping_sub(zero_point).wrapping_shl(LEFT_SHIFT);
            multiplier.apply(shifted, self.rounding)
        };
        let difference = scaled(left, self.left).wrapping_sub(scaled(right, self.right));
        let (zero_point, multiplier) = self.output;
        let square = difference.wrapping_mul(difference);
        i8::saturate(
            multiplier
                .apply(square, self.rounding)
                .wrapping_add(zero_point),
        )
    }
}
