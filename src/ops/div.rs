//! DIV: the quotient of two tensors, with broadcasting; plain integers are truncated toward zero.

use super::shared::{
    Broadcast, Integer, binary, check, division, float_range, fused_activation, integer_range,
    quantized_clamp,
};
use super::{Node, OpDef, PrepareError, Prepared, Settings, TypeRow};
use crate::fixedpoint::{
    QuantizedMultiplier, Rounding, get_reciprocal, limit,
    multiply_by_quantized_multiplier_greater_than_one,
};
use crate::model::BuiltinOperator;
use crate::tensor::TensorType as T;

const LEFT: usize = 0;
const RIGHT: usize = 1;
const OUTPUT: usize = 0;

pub(super) const DEF: OpDef = OpDef {
    code: BuiltinOperator::DIV,
    name: "DIV",
    versions: 1..=2,
    types: &[
        TypeRow::new(&[T::Float32], &[T::Float32]),
        TypeRow::new(&[T::Int32], &[T::Int32]),
        TypeRow::new(&[T::UInt8], &[T::UInt8]),
        TypeRow::new(&[T::Int8], &[T::Int8]),
        TypeRow::new(&[T::Int16], &[T::Int16]),
    ],
    check: check::none,
    prepare,
};

const NAME: &str = "div.reference";

fn prepare(node: &Node<'_>, settings: &Settings) -> Result<Prepared, PrepareError> {
    let options = node.table()?.builtin_options_as_div_options();
    let options = options.ok_or(PrepareError::Options {
        expected: "DivOptions",
    })?;
    let activation = fused_activation(options.fused_activation_function())?;
    let left = node.input(LEFT, "left")?;
    let right = node.input(RIGHT, "right")?;
    let output = node.output(OUTPUT, "output")?;
    let broadcast = Broadcast::new([&left, &right])?;
    match left.ty {
        T::Float32 => {
            let range = float_range(activation);
            return Ok(binary(NAME, broadcast, move |a: f32, b: f32| {
                limit(a / b, range)
            }));
        }
        T::Int32 => {
            let (low, high) = integer_range(activation, (i32::MIN.into(), i32::MAX.into()));
            let range = (low as i32, high as i32);
            return Ok(division(NAME, broadcast, Some(0), move |a: i32, b: i32| {
                limit(a.checked_div(b).unwrap_or(i32::MAX), range)
            }));
        }
        _ => {}
    }
    let (left_scale, left_zero_point) = left.per_tensor()?;
    let (right_scale, right_zero_point) = right.per_tensor()?;
    let (output_scale, output_zero_point) = output.per_tensor()?;
    let step = Quotient {
        left_zero_point,
        right_zero_point,
        output_zero_point,
        // Float32 all along.
        multiplier: QuantizedMultiplier::from_real(f64::from(
            left_scale / (right_scale * output_scale),
        ))?,
        rounding: settings.profile.rounding(),
        clamp: quantized_clamp(&output, activation)?,
    };
    Ok(match left.ty {
        T::UInt8 => division(
            NAME,
            broadcast,
            Some(u8::saturate(right_zero_point)),
            move |a: u8, b| step.apply(a, b),
        ),
        T::Int8 => division(
            NAME,
            broadcast,
            Some(i8::saturate(right_zero_point)),
            move |a: i8, b| step.apply(a, b),
        ),
        _ => division(
            NAME,
            broadcast,
            Some(i16::saturate(right_zero_point)),
            move |a: i16, b| step.apply(a, b),
        ),
    })
}

/// Quotients of stored integers, by the reciprocal of the divisor in fixed point.
///
/// Source: TFLite `kernels/div.cc`, `kernels/internal/reference/div.h`. Where the factor in front of the quotient is so
/// large that upstream would shift left, which is undefined there, the result saturates.
#[derive(Debug, Clone, Copy)]
struct Quotient {
    left_zero_point: i32,
    right_zero_point: i32,
    output_zero_point: i32,
    multiplier: QuantizedMultiplier,
    rounding: Rounding,
    clamp: (i32, i32),
}

impl Quotient {
    fn apply<I: Integer>(self, left: I, right: I) -> I {
        let left = left.widen().wrapping_sub(self.left_zero_point);
        let right = right.widen().wrapping_sub(self.right_zero_point);
        // A divisor above zero: its reciprocal is a multiplier.
        let (left, right) = if right < 0 {
            (left.wrapping_neg(), right.wrapping_neg())
        } else {
            (left, right)
        };
        let (reciprocal, reciprocal_shift) = get_reciprocal(right, 31);
        let headroom = sign_bits(left);
        let normalised = multiply_by_quantized_multiplier_greater_than_one(
            left,
            reciprocal,
            headroom,
            self.rounding,
        );
        let shift = self.multiplier.shift - reciprocal_shift - headroom;
        let scaled = if shift > 0 && normalised != 0 {
            if normalised > 0 { i32::MAX } else { i32::MIN }
        } else {
            // Past 31 bits to the right nothing is left either.
            let multiplier = QuantizedMultiplier {
                shift: shift.clamp(-31, 0),
                ..self.multiplier
            };
            multiplier.apply(normalised, self.rounding)
        };
        let output = scaled.saturating_add(self.output_zero_point);
        I::saturate(output.max(self.clamp.0).min(self.clamp.1))
    }
}

/// How far a number can be shifted left without changing its sign; 31 for zero.
fn sign_bits(x: i32) -> i32 {
    let bits = if x < 0 { !x } else { x };
    bits.leading_zeros() as i32 - 1
}

#[cfg(test)]
mod tests {
    use super::*;

    fn quotient(real: f64) -> Quotient {
        Quotient {
            left_zero_point: 1,
            right_zero_point: -2,
            output_zero_point: 5,
            multiplier: QuantizedMultiplier::from_real(real).expect("finite"),
            rounding: Rounding::Double,
            clamp: (-128, 127),
        }
    }

    #[test]
    fn quotients_are_rounded_and_keep_their_sign() {
        let step = quotient(4.0);
        // 4 * (41 - 1) / (6 + 2) = 20, 4 * -10 / 3 = -13.3, 4 * 10 / -3, 4 * 0 / 7
        let cases = [((41, 6), 25), ((-9, 1), -8), ((11, -5), -8), ((1, 5), 5)];
        for ((left, right), expected) in cases {
            assert_eq!(step.apply::<i8>(left, right), expected, "{left} / {right}");
        }
    }

    #[test]
    fn factors_beyond_fixed_point_saturate() {
        let step = quotient(2f64.powi(30));
        assert_eq!(step.apply::<i8>(101, -1), 127);
        assert_eq!(step.apply::<i8>(-99, -1), -128);
        assert_eq!(step.apply::<i8>(1, -1), 5);
        assert_eq!(quotient(2f64.powi(-30)).apply::<i8>(101, -1), 5);
    }

    #[test]
    fn sign_bits_are_the_room_for_a_left_shift() {
        assert_eq!(
            [0, 1, -1, 255, -256, i32::MIN].map(sign_bits),
            [31, 30, 31, 23, 23, 0]
        );
    }
}
