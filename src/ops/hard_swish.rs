//! HARD_SWISH: `x * min(max(x + 3, 0), 6) / 6`.

use super::shared::{Integer, check, map, table};
use super::{Node, OpDef, PrepareError, Prepared, Settings, TypeRow};
use crate::fixedpoint::{
    QuantizedMultiplier, downscale_multiplier_to_i16, rounding_divide_by_pot,
    saturating_rounding_doubling_high_mul,
};
use crate::model::BuiltinOperator;
use crate::tensor::TensorType as T;

const INPUT: usize = 0;
const OUTPUT: usize = 0;

pub(super) const DEF: OpDef = OpDef {
    code: BuiltinOperator::HARD_SWISH,
    name: "HARD_SWISH",
    versions: 1..=1,
    types: &[
        TypeRow::new(&[T::Float32], &[T::Float32]),
        TypeRow::new(&[T::UInt8], &[T::UInt8]),
        TypeRow::new(&[T::Int8], &[T::Int8]),
    ],
    check: check::none,
    prepare,
};

fn prepare(node: &Node<'_>, _: &Settings) -> Result<Prepared, PrepareError> {
    let input = node.input(INPUT, "input")?;
    let output = node.output(OUTPUT, "output")?;
    let (name, shape) = ("hard_swish.reference", input.shape);
    if input.ty == T::Float32 {
        return Ok(map(name, shape, |x: f32| {
            let raised = if 0.0 < x + 3.0 { x + 3.0 } else { 0.0 };
            x * (if raised < 6.0 { raised } else { 6.0 }) / 6.0
        }));
    }
    let step = HardSwish::new(input.per_tensor()?, output.per_tensor()?)?;
    Ok(match input.ty {
        T::UInt8 => table(name, shape, |q: u8| step.apply(q)),
        _ => table(name, shape, |q: i8| step.apply(q)),
    })
}

/// Source: TFLite `kernels/activations.cc`, `HardSwishPrepare`; `kernels/internal/reference/hard_swish.h`.
#[derive(Debug, Clone, Copy)]
struct HardSwish {
    input_zero_point: i32,
    output_zero_point: i32,
    /// To the output's scale: a Q0.15 multiplier and a right shift.
    output: (i16, u32),
    /// To the scale in which 3 is 2^15: a Q0.15 multiplier and a left shift.
    reluish: (i16, i32),
}

impl HardSwish {
    fn new(input: (f32, i32), output: (f32, i32)) -> Result<Self, PrepareError> {
        let hires_input_scale = (1.0 / 128.0) * input.0;
        let to_output = hires_input_scale / output.0;
        let to_output = QuantizedMultiplier::from_real(to_output.into())?;
        let reluish = hires_input_scale / (3.0 / 32768.0);
        let reluish = QuantizedMultiplier::from_real(reluish.into())?;
        if to_output.shift > 0 {
            return Err(PrepareError::Attribute {
                name: "output scale",
                found: output.0.to_string(),
                expected: "at least the input scale / 128",
            });
        }
        Ok(Self {
            input_zero_point: input.1,
            output_zero_point: output.1,
            output: (
                downscale_multiplier_to_i16(to_output.multiplier),
                to_output.shift.unsigned_abs(),
            ),
            reluish: (
                downscale_multiplier_to_i16(reluish.multiplier),
                reluish.shift,
            ),
        })
    }

    fn apply<I: Integer>(self, q: I) -> I {
        // At most 255 * 128 in magnitude.
        let hires = (q.widen().wrapping_sub(self.input_zero_point)).wrapping_mul(1 << 7) as i16;
        let preshift_input = saturating_rounding_doubling_high_mul(hires, self.output.0);
        let (multiplier, exponent) = self.reluish;
        let mut reluish = hires;
        if exponent > 0 {
            reluish = saturating_left_shift(reluish, exponent - 1);
        }
        reluish = saturating_rounding_doubling_high_mul(reluish, multiplier);
        if exponent > 0 {
            reluish = saturating_left_shift(reluish, 1);
        } else {
            reluish = rounding_divide_by_pot(reluish, exponent.unsigned_abs());
        }
        // From [-1, 1] to [0, 1].
        let factor = ((i32::from(reluish) + (1 << 15)) >> 1) as i16;
        // Truncated toward zero on purpose; neither factor is -1, for the left one is never negative.
        let product = i32::from(factor) * i32::from(preshift_input) / (1 << 15);
        let output = rounding_divide_by_pot(product as i16, self.output.1);
        I::saturate(i32::from(output).wrapping_add(self.output_zero_point))
    }
}

/// `value * 2^amount`, saturating.
fn saturating_left_shift(value: i16, amount: i32) -> i16 {
    let shifted = i64::from(value) << amount.clamp(0, 31);
    shifted.clamp(i16::MIN.into(), i16::MAX.into()) as i16
}
