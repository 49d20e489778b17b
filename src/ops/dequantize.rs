//! DEQUANTIZE: stored integers to the reals they stand for, and float16 to float32.

use super::shared::{Integer, Slices, check, float16_to_float32, int4_codes, map, symmetric_i16};
use super::{
    EvalError, Kernel, KernelIo, Node, OpDef, PrepareError, Prepared, Settings, TypeRow, Views,
    required,
};
use crate::model::BuiltinOperator;
use crate::tensor::TensorType as T;

const INPUT: usize = 0;
const OUTPUT: usize = 0;

pub(super) const DEF: OpDef = OpDef {
    code: BuiltinOperator::DEQUANTIZE,
    name: "DEQUANTIZE",
    versions: 1..=9,
    types: &[
        TypeRow::new(&[T::UInt8], &[T::Float32]),
        TypeRow::new(&[T::Int4], &[T::Float32]),
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
    let is_per_channel = input.quantization.is_some_and(|q| q.is_per_channel());
    if is_per_channel || input.ty == T::Int4 {
        let slices = if is_per_channel {
            Slices::new(&input, shape)?
        } else {
            Slices::one(input.per_tensor()?, shape.count())
        };
        return Ok(match input.ty {
            T::Int8 => Prepared::new(PerChannel(slices), [shape]),
            T::Int4 => Prepared::new(Packed(slices), [shape]).scratch(shape.count()),
            _ => return Err(input.type_error("int4 or int8 where it is quantized per channel")),
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

/// The reals of codes slice by slice.
fn dequantize_slices(slices: &Slices, input: &[i8], output: &mut [f32]) {
    slices.each(input, output, |from, to, scale, zero_point| {
        for (to, &q) in to.iter_mut().zip(from) {
            *to = dequantize(q, scale, zero_point);
        }
    });
}

/// int8 with a scale per channel; a verified model has no uint8 with several.
struct PerChannel(Slices);

impl Kernel for PerChannel {
    fn eval(&self, io: &mut KernelIo<'_>) -> Result<(), EvalError> {
        let (input, output) = io.unary::<i8, f32>()?;
        dequantize_slices(&self.0, input, output);
        Ok(())
    }

    fn name(&self) -> &'static str {
        "dequantize_per_channel.reference"
    }
}

/// int4, unpacked into scratch memory.
struct Packed(Slices);

impl Kernel for Packed {
    fn eval(&self, io: &mut KernelIo<'_>) -> Result<(), EvalError> {
        let Views {
            inputs: [input],
            outputs: [output],
            scratch: [codes],
        } = io.views([INPUT], [OUTPUT], [0])?;
        let codes: &mut [i8] = bytemuck::cast_slice_mut(codes);
        let packed = required(input, INPUT)?.as_slice::<u8>()?;
        for (code, q) in codes.iter_mut().zip(int4_codes(packed)) {
            *code = q;
        }
        dequantize_slices(&self.0, codes, output.into_slice()?);
        Ok(())
    }

    fn name(&self) -> &'static str {
        "dequantize_int4.reference"
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[cfg_attr(miri, ignore = "a third of a million products take minutes under Miri")]
    fn float32_product_is_the_double_product_rounded() {
        for scale in [0.1f32, 1.0 / 3.0, 3.0517578e-5, 123.456, 1e-40] {
            for q in i16::MIN..=i16::MAX {
                let double = (f64::from(scale) * f64::from(q)) as f32;
                assert_eq!(dequantize(q, scale, 0), double, "{scale} * {q}");
            }
        }
    }
}
