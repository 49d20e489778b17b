//! DEQUANTIZE: stored integers to the reals they stand for, and float16 to float32.

use super::shared::{Integer, Slices, check, float16_to_float32, map, symmetric_i16};
use super::{EvalError, Kernel, KernelIo, Node, OpDef, PrepareError, Prepared, Settings, TypeRow};
use crate::model::BuiltinOperator;
use crate::tensor::TensorType as T;
use std::marker::PhantomData;

const INPUT: usize = 0;
const OUTPUT: usize = 0;

pub(super) const DEF: OpDef = OpDef {
    code: BuiltinOperator::DEQUANTIZE,
    name: "DEQUANTIZE",
    versions: 1..=5,
    types: &[
        TypeRow::new(&[T::UInt8], &[T::Float32]),
        TypeRow::new(&[T::Int8], &[T::Float32]),
        TypeRow::new(&[T::Int16], &[T::Float32]),
        TypeRow::new(&[T::Float16], &[T::Float32]),
    ],
    check: check::none,
    prepare,
};

const NAME: &str = "dequantize.reference";

fn prepare(node: &Node<'_>, _: &Settings) -> Result<Prepared, PrepareError> {
    let input = node.input(INPUT, "input")?;
    node.output(OUTPUT, "output")?;
    let shape = input.shape;
    if input.ty == T::Float16 {
        return Ok(map(NAME, shape, float16_to_float32));
    }
    if input.quantization.is_some_and(|q| q.is_per_channel()) {
        let slices = Slices::new(&input, shape)?;
        return Ok(match input.ty {
            T::UInt8 => Prepared::new(PerChannel::<u8>(slices, PhantomData), [shape]),
            T::Int8 => Prepared::new(PerChannel::<i8>(slices, PhantomData), [shape]),
            _ => return Err(input.type_error("int8 where it is quantized per channel")),
        });
    }
    let (scale, zero_point) = input.per_tensor()?;
    symmetric_i16(&[&input])?;
    Ok(match input.ty {
        T::UInt8 => map(NAME, shape, move |q: u8| dequantize(q, scale, zero_point)),
        T::Int8 => map(NAME, shape, move |q: i8| dequantize(q, scale, zero_point)),
        _ => map(NAME, shape, move |q: i16| dequantize(q, scale, zero_point)),
    })
}

/// `scale * (q - zero_point)`. Source: TFLite `kernels/internal/reference/dequantize.h`.
///
/// TFLite multiplies in double and rounds the product to float32. A difference of at most 17 bits times a float32 is exact
/// in double, so rounding the float32 product once is the same number.
#[inline(always)]
fn dequantize<I: Integer>(q: I, scale: f32, zero_point: i32) -> f32 {
    scale * q.widen().wrapping_sub(zero_point) as f32
}

struct PerChannel<I>(Slices, PhantomData<I>);

impl<I: Integer> Kernel for PerChannel<I> {
    fn eval(&self, io: &mut KernelIo<'_>) -> Result<(), EvalError> {
        let (input, output) = io.unary::<I, f32>()?;
        self.0.each(input, output, |from, to, scale, zero_point| {
            for (to, &q) in to.iter_mut().zip(from) {
                *to = dequantize(q, scale, zero_point);
            }
        });
        Ok(())
    }

    fn name(&self) -> &'static str {
        "dequantize_per_channel.reference"
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn float32_product_is_the_double_product_rounded() {
        for scale in [0.1f32, 1.0 / 3.0, 3.0517578e-5, 123.456, 1e-40] {
            for q in i16::MIN..=i16::MAX {
                let double = (f64::from(scale) * f64::from(q)) as f32;
                assert_eq!(dequantize(q, scale, 0), double, "{scale} * {q}");
            }
        }
    }
}
