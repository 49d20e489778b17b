//! L2_NORMALIZATION: each row along the last axis, divided by its length.

use super::shared::{Integer, check, fused_activation, map_rows};
use super::{Node, OpDef, PrepareError, Prepared, Settings, TypeRow};
use crate::fixedpoint::{
    FusedActivation, QuantizedMultiplier, get_inv_sqrt_quantized_multiplier_exp,
};
use crate::model::{BuiltinOperator, Report};
use crate::tensor::TensorType as T;

const INPUT: usize = 0;
const OUTPUT: usize = 0;

pub(super) const DEF: OpDef = OpDef {
    code: BuiltinOperator::L2_NORMALIZATION,
    name: "L2_NORMALIZATION",
    versions: 1..=2,
    types: &[
        TypeRow::new(&[T::Float32], &[T::Float32]),
        TypeRow::new(&[T::UInt8], &[T::UInt8]),
        TypeRow::new(&[T::Int8], &[T::Int8]),
    ],
    check,
    prepare,
};

/// Results from -1 to 127/128, zero in the middle of the codes.
fn check(node: &Node<'_>, report: &mut Report) {
    if let Ok(output) = node.output(OUTPUT, "output")
        && let Some((lowest, _)) = output.ty.integer_range()
    {
        check::fixed_output(node, 1.0 / 128.0, lowest + 128, report);
    }
}

fn prepare(node: &Node<'_>, settings: &Settings) -> Result<Prepared, PrepareError> {
    let options = node.table()?.builtin_options_as_l2_norm_options();
    if let Some(options) = options {
        let found = options.fused_activation_function();
        if fused_activation(found)? != FusedActivation::None {
            return Err(PrepareError::Attribute {
                name: "fused_activation_function",
                found: found.variant_name().unwrap_or_default().to_owned(),
                expected: "NONE",
            });
        }
    }
    let input = node.input(INPUT, "input")?;
    let (name, shape) = ("l2_normalization.reference", input.shape);
    if shape.rank() == 0 {
        return Err(input.shape_error("at least one axis"));
    }
    if input.ty == T::Float32 {
        return Ok(map_rows(name, shape, |x: &[f32], y| {
            normalize_f32(x, y);
            Ok(())
        }));
    }
    let rounding = settings.profile.rounding();
    let (_, zero_point) = input.per_tensor()?;
    Ok(match input.ty {
        T::UInt8 => map_rows(name, shape, move |x: &[u8], y| {
            let scaled =
                |by: QuantizedMultiplier, value: i32| by.apply(value.wrapping_shl(7), rounding);
            normalize(zero_point, x, y, scaled);
            Ok(())
        }),
        _ => map_rows(name, shape, move |x: &[i8], y| {
            normalize(zero_point, x, y, |by, value| {
                let by = QuantizedMultiplier {
                    shift: by.shift + 7,
                    ..by
                };
                by.apply(value, rounding)
            });
            Ok(())
        }),
    })
}

/// Source: TFLite `kernels/internal/reference/l2normalization.h`; `kernels/l2norm.cc` for the smallest length.
fn normalize_f32(input: &[f32], output: &mut [f32]) {
    const SMALLEST: f32 = 1e-6;
    let length = input.iter().fold(0f32, |sum, &x| sum + x * x).sqrt();
    let length = if length < SMALLEST { SMALLEST } else { length };
    for (y, &x) in output.iter_mut().zip(input) {
        *y = x / length;
    }
}

/// Codes of 1/128 around the middle of the type; `scaled` multiplies a difference to the zero point by 128 and by the
/// inverse of the length, which uint8 and int8 round differently.
///
/// Source: TFLite `kernels/internal/reference/l2normalization.h` for uint8,
/// `kernels/internal/reference/integer_ops/l2normalization.h` for int8.
fn normalize<I: Integer>(
    zero_point: i32,
    input: &[I],
    output: &mut [I],
    scaled: impl Fn(QuantizedMultiplier, i32) -> i32,
) {
    let difference = |q: I| q.widen().wrapping_sub(zero_point);
    let square = |sum: i32, &q: &I| sum.wrapping_add(difference(q).wrapping_mul(difference(q)));
    let inverse = get_inv_sqrt_quantized_multiplier_exp(input.iter().fold(0, square));
    let middle = I::RANGE.0 + 128;
    for (y, &q) in output.iter_mut().zip(input) {
        *y = I::saturate(scaled(inverse, difference(q)).wrapping_add(middle));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixedpoint::Rounding;

    #[test]
    fn a_right_triangle_of_3_and_4_has_length_5() {
        let rounding = Rounding::Double;
        let mut output = [0u8; 2];
        normalize(10, &[13, 6], &mut output, |by, value| {
            by.apply(value.wrapping_shl(7), rounding)
        });
        // 128 * 3 / 5 = 76.8, 128 * -4 / 5 = -102.4
        assert_eq!(output, [128 + 77, 128 - 102]);
        let mut output = [0.0; 2];
        normalize_f32(&[3.0, -4.0], &mut output);
        assert_eq!(output, [0.6, -0.8]);
        normalize_f32(&[0.0, 1e-7], &mut output);
        assert_eq!(output, [0.0, 0.1]);
    }
}
