//! MUL: the product of two tensors, with broadcasting.

use super::shared::{
    Broadcast, Integer, binary, check, element8, fast_mul, float_range, fused_activation,
    integer_range, quantized_clamp, symmetric_i16,
};
use super::{Node, NodeTensor, OpDef, PrepareError, Prepared, Settings, TypeRow};
use crate::fast::{self, Element8};
use crate::fixedpoint::{
    FusedActivation, QuantizedMultiplier, Rounding, limit, rounding_divide_by_pot,
    saturating_rounding_doubling_high_mul,
};
use crate::model::BuiltinOperator;
use crate::tensor::TensorType as T;

const LEFT: usize = 0;
const RIGHT: usize = 1;
const OUTPUT: usize = 0;

pub(super) const DEF: OpDef = OpDef {
    code: BuiltinOperator::MUL,
    name: "MUL",
    versions: 1..=7,
    types: &[
        TypeRow::new(&[T::Float32], &[T::Float32]),
        TypeRow::new(&[T::Int32], &[T::Int32]),
        TypeRow::new(&[T::Int64], &[T::Int64]),
        TypeRow::new(&[T::UInt8], &[T::UInt8]),
        TypeRow::new(&[T::Int8], &[T::Int8]),
        TypeRow::new(&[T::Int16], &[T::Int16]),
        TypeRow::new(&[T::Int16], &[T::Int8]),
        TypeRow::new(&[T::Int16], &[T::UInt8]),
    ],
    check: check::none,
    prepare,
};

const NAME: &str = "mul.reference";

fn prepare(node: &Node<'_>, settings: &Settings) -> Result<Prepared, PrepareError> {
    let options = node.table()?.builtin_options_as_mul_options();
    let options = options.ok_or(PrepareError::Options {
        expected: "MulOptions",
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
                limit(a * b, range)
            }));
        }
        T::Int32 => {
            let (low, high) = integer_range(activation, (i32::MIN.into(), i32::MAX.into()));
            let range = (low as i32, high as i32);
            return Ok(binary(NAME, broadcast, move |a: i32, b: i32| {
                limit(a.wrapping_mul(b), range)
            }));
        }
        T::Int64 => {
            let range = integer_range(activation, (i64::MIN, i64::MAX));
            return Ok(binary(NAME, broadcast, move |a: i64, b: i64| {
                limit(a.wrapping_mul(b), range)
            }));
        }
        T::Int16 if output.ty == T::Int16 && output.quantization.is_none() => {
            let (low, high) = integer_range(activation, (i16::MIN.into(), i16::MAX.into()));
            let range = (low as i16, high as i16);
            return Ok(binary(NAME, broadcast, move |a: i16, b: i16| {
                limit(a.wrapping_mul(b), range)
            }));
        }
        T::Int16 if output.ty != T::Int16 => return fractions(broadcast, &output, activation),
        _ => symmetric_i16(&[&left, &right, &output])?,
    }
    let (left_scale, left_zero_point) = left.per_tensor()?;
    let (right_scale, right_zero_point) = right.per_tensor()?;
    let (output_scale, output_zero_point) = output.per_tensor()?;
    let step = Mul {
        left_zero_point,
        right_zero_point,
        output_zero_point,
        // Float32 all along.
        multiplier: QuantizedMultiplier::from_real(f64::from(
            left_scale * right_scale / output_scale,
        ))?,
        rounding: settings.profile.rounding(),
        clamp: quantized_clamp(&output, activation)?,
    };
    let problem = element8(left.ty).and_then(|element| step.bytes(element));
    if let Some(fast) = problem.and_then(|problem| fast_mul(&problem, &broadcast, settings)) {
        return Ok(fast);
    }
    Ok(match left.ty {
        T::UInt8 => binary(NAME, broadcast, move |a: u8, b: u8| step.apply(a, b)),
        T::Int8 => binary(NAME, broadcast, move |a: i8, b: i8| step.apply(a, b)),
        _ => binary(NAME, broadcast, move |a: i16, b: i16| step.apply(a, b)),
    })
}

/// Products of int16 numbers of Q0.15 as 8-bit ones, whatever scales are declared.
///
/// Source: TFLite `kernels/internal/reference/integer_ops/mul.h` and `reference/mul.h`, the overloads with int16 operands
/// and 8-bit results.
fn fractions(
    broadcast: Broadcast<2>,
    output: &NodeTensor<'_>,
    activation: FusedActivation,
) -> Result<Prepared, PrepareError> {
    let (_, zero_point) = output.per_tensor()?;
    let clamp = quantized_clamp(output, activation)?;
    let step = move |left: i16, right: i16| {
        let product = saturating_rounding_doubling_high_mul(left, right);
        let product = i32::from(rounding_divide_by_pot(product, 8));
        let output = product.wrapping_add(zero_point);
        output.max(clamp.0).min(clamp.1)
    };
    Ok(match output.ty {
        T::UInt8 => binary(NAME, broadcast, move |a, b| u8::saturate(step(a, b))),
        _ => binary(NAME, broadcast, move |a, b| i8::saturate(step(a, b))),
    })
}

/// Products of stored integers. Source: TFLite `kernels/mul.cc`, `kernels/internal/reference/mul.h`.
#[derive(Debug, Clone, Copy)]
struct Mul {
    left_zero_point: i32,
    right_zero_point: i32,
    output_zero_point: i32,
    multiplier: QuantizedMultiplier,
    rounding: Rounding,
    clamp: (i32, i32),
}

impl Mul {
    /// The problem for vectors of bytes; `None` where they do not know the rounding.
    fn bytes(&self, element: Element8) -> Option<fast::Mul> {
        (self.rounding == Rounding::Double).then_some(fast::Mul {
            element,
            zero_points: [self.left_zero_point, self.right_zero_point],
            output: (self.output_zero_point, self.multiplier),
            clamp: self.clamp,
        })
    }

    #[inline(always)]
    fn apply<T: Integer>(self, left: T, right: T) -> T {
        let left = left.widen().wrapping_sub(self.left_zero_point);
        let right = right.widen().wrapping_sub(self.right_zero_point);
        let scaled = self
            .multiplier
            .apply(left.wrapping_mul(right), self.rounding);
        let output = scaled.wrapping_add(self.output_zero_point);
        T::saturate(output.max(self.clamp.0).min(self.clamp.1))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fast::Primitive;

    #[test]
    fn product_takes_zero_points_off_and_on() {
        let step = Mul {
            left_zero_point: 3,
            right_zero_point: -1,
            output_zero_point: 10,
            multiplier: QuantizedMultiplier::from_real(0.5).expect("finite"),
            rounding: Rounding::Double,
            clamp: (-128, 100),
        };
        // (7 - 3) * (4 + 1) / 2 + 10 = 20
        assert_eq!(step.apply(7i8, 4i8), 20);
        // (100 - 3) * (100 + 1) / 2 is beyond the clamp
        assert_eq!(step.apply(100i8, 100i8), 100);
    }

    /// Every pair of bytes, for every variant; under Miri, which would take hours, of sixteen bytes.
    #[test]
    fn variants_give_the_bits_of_apply() {
        let bytes: Vec<u8> = (0..=255).step_by(if cfg!(miri) { 17 } else { 1 }).collect();
        let pairs = bytes
            .iter()
            .flat_map(|&a| bytes.iter().map(move |&b| (a, b)));
        let (left, right): (Vec<u8>, Vec<u8>) = pairs.unzip();
        let cases = [
            (0.5, (0, 0, 0), (-128, 127)),
            (0.0078, (-128, -128, -128), (-128, 127)),
            (0.031, (127, 3, -9), (-100, 90)),
            (1.0, (-1, 5, 0), (-128, 127)),
            (7.3, (-128, 127, 100), (0, 127)),
            (1e-6, (0, 0, 7), (-128, 127)),
        ];
        let mut ran = 0;
        for (multiplier, zeros, clamp) in cases {
            for element in [Element8::Int8, Element8::UInt8] {
                let signed = element == Element8::Int8;
                let offset = if signed { 0 } else { 128 };
                let step = Mul {
                    left_zero_point: zeros.0 + offset,
                    right_zero_point: zeros.1 + offset,
                    output_zero_point: zeros.2 + offset,
                    multiplier: QuantizedMultiplier::from_real(multiplier).expect("finite"),
                    rounding: Rounding::Double,
                    clamp: (clamp.0 + offset, clamp.1 + offset),
                };
                let pair = |(&a, &b): (&u8, &u8)| match signed {
                    true => step.apply(a.cast_signed(), b.cast_signed()).cast_unsigned(),
                    false => step.apply(a, b),
                };
                let expected: Vec<u8> = left.iter().zip(&right).map(pair).collect();
                let problem = step.bytes(element).expect("two roundings");
                for variant in fast::MulPrimitive::variants() {
                    let Some(kernel) = (variant.prepare)(&problem) else {
                        eprintln!("NOT RUN: {}", variant.name);
                        continue;
                    };
                    ran += 1;
                    // Also a length that no vector divides.
                    for len in [left.len(), left.len().min(1003) - 5, 5] {
                        let mut output = vec![0x55; len];
                        kernel.run(Some(&left[..len]), Some(&right[..len]), &mut output);
                        let equal = output == expected[..len];
                        assert!(equal, "{}, {step:?}, {len}", kernel.name());
                    }
                }
            }
        }
        assert!(ran >= 2 * cases.len(), "portable vectors run everywhere");
    }
}
