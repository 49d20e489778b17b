//! QUANTIZE: reals to stored integers, and stored integers to those of another scale, zero point or type.

use super::shared::{Integer, Slices, check, map, symmetric_i16, table};
use super::{EvalError, Kernel, KernelIo, Node, OpDef, PrepareError, Prepared, Settings, TypeRow};
use crate::fixedpoint::{
    NEAR_CODE, QuantizedMultiplier, Rounding, quantize_f32, quantize_f32_near,
};
use crate::model::BuiltinOperator;
use crate::tensor::{Shape, TensorType as T};
use std::marker::PhantomData;

const INPUT: usize = 0;
const OUTPUT: usize = 0;

pub(super) const DEF: OpDef = OpDef {
    code: BuiltinOperator::QUANTIZE,
    name: "QUANTIZE",
    versions: 1..=3,
    types: &[
        TypeRow::new(&[T::Float32], &[T::UInt8]),
        TypeRow::new(&[T::Float32], &[T::Int8]),
        TypeRow::new(&[T::Float32], &[T::Int16]),
        TypeRow::new(&[T::UInt8], &[T::UInt8]),
        TypeRow::new(&[T::UInt8], &[T::Int8]),
        TypeRow::new(&[T::UInt8], &[T::Int16]),
        TypeRow::new(&[T::Int8], &[T::UInt8]),
        TypeRow::new(&[T::Int8], &[T::Int8]),
        TypeRow::new(&[T::Int8], &[T::Int16]),
        TypeRow::new(&[T::Int16], &[T::Int8]),
        TypeRow::new(&[T::Int16], &[T::Int16]),
        TypeRow::new(&[T::Int16], &[T::Int32]),
        TypeRow::new(&[T::Int32], &[T::Int8]),
        TypeRow::new(&[T::Int32], &[T::Int16]),
    ],
    check: check::none,
    prepare,
};

fn prepare(node: &Node<'_>, settings: &Settings) -> Result<Prepared, PrepareError> {
    let input = node.input(INPUT, "input")?;
    let output = node.output(OUTPUT, "output")?;
    let shape = input.shape;
    if input.ty == T::Float32 {
        if output.quantization.is_some_and(|q| q.is_per_channel()) {
            let slices = Slices::new(&output, shape)?;
            return Ok(match output.ty {
                T::Int8 => Prepared::new(PerChannel::<i8>(slices, PhantomData), [shape]),
                T::Int16 => Prepared::new(PerChannel::<i16>(slices, PhantomData), [shape]),
                _ => {
                    return Err(
                        output.type_error("int8 or int16 where it is quantized per channel")
                    );
                }
            });
        }
        let (scale, zero_point) = output.per_tensor()?;
        return Ok(match output.ty {
            T::UInt8 => from_floats::<u8>(scale, zero_point, shape),
            T::Int8 => from_floats::<i8>(scale, zero_point, shape),
            _ => from_floats::<i16>(scale, zero_point, shape),
        });
    }
    let (input_scale, input_zero_point) = input.per_tensor()?;
    let (output_scale, output_zero_point) = output.per_tensor()?;
    if input.ty == T::Int16 && output.ty == T::Int16 {
        symmetric_i16(&[&input, &output])?;
    }
    let real = f64::from(input_scale) / f64::from(output_scale);
    let step = Requantize {
        input_zero_point,
        output_zero_point,
        multiplier: QuantizedMultiplier::from_real(real)?,
        rounding: settings.profile.rounding(),
    };
    Ok(match input.ty {
        T::UInt8 => from_8_bits::<u8>(step, shape, output.ty),
        T::Int8 => from_8_bits::<i8>(step, shape, output.ty),
        T::Int16 => from_wider::<i16>(step, shape, output.ty),
        _ => from_wider::<i32>(step, shape, output.ty),
    })
}

const QUANTIZE: &str = "quantize.reference";
const REQUANTIZE: &str = "requantize.reference";

/// Each to the stored integer nearest to it. Source: TFLite `kernels/internal/reference/quantize.h`, `AffineQuantize`.
fn from_floats<O: Integer>(scale: f32, zero_point: i32, shape: Shape) -> Prepared {
    let (min, max) = O::RANGE;
    if (-NEAR_CODE..=NEAR_CODE).contains(&zero_point) {
        return map(QUANTIZE, shape, move |x| {
            O::saturate(quantize_f32_near(x, scale, zero_point, min, max))
        });
    }
    map(QUANTIZE, shape, move |x| {
        quantize::<O>(x, scale, zero_point)
    })
}

fn from_8_bits<I: Integer>(step: Requantize, shape: Shape, output: T) -> Prepared {
    match output {
        T::UInt8 => table(REQUANTIZE, shape, |q: I| step.apply::<I, u8>(q)),
        T::Int8 => table(REQUANTIZE, shape, |q: I| step.apply::<I, i8>(q)),
        _ => table(REQUANTIZE, shape, |q: I| step.apply::<I, i16>(q)),
    }
}

fn from_wider<I: Integer>(step: Requantize, shape: Shape, output: T) -> Prepared {
    match output {
        T::Int8 => map(REQUANTIZE, shape, move |q: I| step.apply::<I, i8>(q)),
        T::Int16 => map(REQUANTIZE, shape, move |q: I| step.apply::<I, i16>(q)),
        _ => map(REQUANTIZE, shape, move |q: I| step.apply::<I, i32>(q)),
    }
}

/// From one scale and zero point to another.
#[derive(Debug, Clone, Copy)]
struct Requantize {
    input_zero_point: i32,
    output_zero_point: i32,
    multiplier: QuantizedMultiplier,
    rounding: Rounding,
}

impl Requantize {
    /// Source: TFLite `kernels/internal/reference/requantize.h`. Its shortcut between int8 and uint8 (flip the top bit) is
    /// the same number: a multiplier of 1 is exact.
    #[inline(always)]
    fn apply<I: Integer, O: Integer>(self, q: I) -> O {
        let difference = q.widen().wrapping_sub(self.input_zero_point);
        let scaled = self.multiplier.apply(difference, self.rounding);
        O::saturate(scaled.wrapping_add(self.output_zero_point))
    }
}

/// The stored integer nearest to `x`. Source: TFLite `kernels/internal/reference/quantize.h`, `AffineQuantize`.
#[inline(always)]
fn quantize<O: Integer>(x: f32, scale: f32, zero_point: i32) -> O {
    O::saturate(quantize_f32(x, scale, zero_point, O::RANGE.0, O::RANGE.1))
}

struct PerChannel<O>(Slices, PhantomData<O>);

impl<O: Integer> Kernel for PerChannel<O> {
    fn eval(&self, io: &mut KernelIo<'_>) -> Result<(), EvalError> {
        let (input, output) = io.unary::<f32, O>()?;
        self.0.each(input, output, |from, to, scale, zero_point| {
            for (to, &x) in to.iter_mut().zip(from) {
                *to = quantize(x, scale, zero_point);
            }
        });
        Ok(())
    }

    fn name(&self) -> &'static str {
        "quantize_per_channel.reference"
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn int8_to_uint8_with_equal_scales_flips_the_top_bit() {
        let step = Requantize {
            input_zero_point: -128,
            output_zero_point: 0,
            multiplier: QuantizedMultiplier::from_real(1.0).expect("finite"),
            rounding: Rounding::Double,
        };
        for q in i8::MIN..=i8::MAX {
            assert_eq!(step.apply::<i8, u8>(q), q as u8 ^ 0x80);
        }
    }

    #[test]
    fn requantize_rounds_twice_by_default() {
        // 1 * 0.25: 0.5 rounds to 1 by the high multiply, 1 >> 1 rounds to 1; rounded once it is 0.
        for (rounding, expected) in [(Rounding::Double, 1), (Rounding::Single, 0)] {
            let step = Requantize {
                input_zero_point: 10,
                output_zero_point: 0,
                multiplier: QuantizedMultiplier::from_real(0.25).expect("finite"),
                rounding,
            };
            assert_eq!(step.apply::<u8, i16>(11), expected, "{rounding:?}");
        }
    }
}
