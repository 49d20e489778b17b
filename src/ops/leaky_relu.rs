//! LEAKY_RELU and PRELU: numbers below zero are multiplied by a factor, one for all or one per channel.

use super::shared::{
    Broadcast, Integer, binary, check, element8, fast_prelu, map, symmetric_i16, table,
};
use super::{Node, OpDef, PrepareError, Prepared, Settings, TypeRow};
use crate::fast::{Element8, Prelu};
use crate::fixedpoint::{QuantizedMultiplier, Rounding};
use crate::model::BuiltinOperator;
use crate::tensor::TensorType as T;

const INPUT: usize = 0;
const ALPHA: usize = 1;
const OUTPUT: usize = 0;

pub(super) const DEF: OpDef = OpDef {
    code: BuiltinOperator::LEAKY_RELU,
    name: "LEAKY_RELU",
    versions: 1..=2,
    types: &[
        TypeRow::new(&[T::Float32], &[T::Float32]),
        TypeRow::new(&[T::UInt8], &[T::UInt8]),
        TypeRow::new(&[T::Int8], &[T::Int8]),
        TypeRow::new(&[T::Int16], &[T::Int16]),
    ],
    check: check::none,
    prepare,
};

pub(super) const DEF_PRELU: OpDef = OpDef {
    code: BuiltinOperator::PRELU,
    name: "PRELU",
    versions: 1..=1,
    types: &[
        TypeRow::new(&[T::Float32], &[T::Float32]),
        TypeRow::new(&[T::UInt8], &[T::UInt8]),
        TypeRow::new(&[T::Int8], &[T::Int8]),
        TypeRow::new(&[T::Int16, T::Int8], &[T::Int16]),
    ],
    check: check::none,
    prepare: prepare_prelu,
};

fn prepare(node: &Node<'_>, settings: &Settings) -> Result<Prepared, PrepareError> {
    let options = node.table()?.builtin_options_as_leaky_relu_options();
    let alpha = options
        .ok_or(PrepareError::Options {
            expected: "LeakyReluOptions",
        })?
        .alpha();
    let input = node.input(INPUT, "input")?;
    let output = node.output(OUTPUT, "output")?;
    let (name, shape) = ("leaky_relu.reference", input.shape);
    if input.ty == T::Float32 {
        return Ok(map(
            name,
            shape,
            move |x: f32| {
                if x > 0.0 { x } else { x * alpha }
            },
        ));
    }
    symmetric_i16(&[&input, &output])?;
    let (input_scale, input_zero_point) = input.per_tensor()?;
    let (output_scale, output_zero_point) = output.per_tensor()?;
    // Float32 all along; a negative factor's sign is applied after its magnitude.
    let below = input_scale * alpha / output_scale;
    let step = Leaky {
        input_zero_point,
        output_zero_point,
        above: QuantizedMultiplier::from_real(f64::from(input_scale / output_scale))?,
        below: QuantizedMultiplier::from_real(f64::from(below.abs()))?,
        sign: if below < 0.0 { -1 } else { 1 },
        rounding: settings.profile.rounding(),
    };
    Ok(match input.ty {
        T::UInt8 => table(name, shape, |q: u8| step.apply(q, 1)),
        T::Int8 => table(name, shape, |q: i8| step.apply(q, 1)),
        _ => map(name, shape, move |q: i16| step.apply(q, 1)),
    })
}

fn prepare_prelu(node: &Node<'_>, settings: &Settings) -> Result<Prepared, PrepareError> {
    let input = node.input(INPUT, "input")?;
    let alpha = node.input(ALPHA, "alpha")?;
    let output = node.output(OUTPUT, "output")?;
    let broadcast = Broadcast::new([&input, &alpha])?;
    if broadcast.output() != input.shape {
        return Err(alpha.shape_error(format!("axes that {} repeats", input.shape)));
    }
    let name = "prelu.reference";
    if input.ty == T::Float32 {
        return Ok(binary(name, broadcast, |x: f32, alpha: f32| {
            if x >= 0.0 { x } else { x * alpha }
        }));
    }
    let (input_scale, input_zero_point) = input.per_tensor()?;
    let (alpha_scale, alpha_zero_point) = alpha.per_tensor()?;
    let (output_scale, output_zero_point) = output.per_tensor()?;
    let below = input_scale * alpha_scale / output_scale;
    let step = Leaky {
        input_zero_point,
        output_zero_point,
        above: QuantizedMultiplier::from_real(f64::from(input_scale / output_scale))?,
        below: QuantizedMultiplier::from_real(f64::from(below))?,
        sign: 1,
        rounding: settings.profile.rounding(),
    };
    let factor = move |alpha: i32| alpha.wrapping_sub(alpha_zero_point);
    if let (Some(element), true) = (element8(input.ty), alpha.is_constant()) {
        let stored = alpha.constant_bytes()?.iter();
        let factors: Vec<i32> = stored.map(|&byte| factor(element.value(byte))).collect();
        if let Some(prepared) = step
            .fast(element, &factors)
            .and_then(|problem| fast_prelu(&problem, &broadcast, settings))
        {
            return Ok(prepared);
        }
    }
    Ok(match input.ty {
        T::UInt8 => binary(name, broadcast, move |q: u8, alpha: u8| {
            step.apply(q, factor(alpha.widen()))
        }),
        T::Int8 => binary(name, broadcast, move |q: i8, alpha: i8| {
            step.apply(q, factor(alpha.widen()))
        }),
        _ => binary(name, broadcast, move |q: i16, alpha: i8| {
            step.apply(q, factor(alpha.widen()))
        }),
    })
}

/// Source: TFLite `kernels/internal/reference/leaky_relu.h` and `prelu.h`.
#[derive(Debug, Clone, Copy)]
struct Leaky {
    input_zero_point: i32,
    output_zero_point: i32,
    above: QuantizedMultiplier,
    below: QuantizedMultiplier,
    sign: i32,
    rounding: Rounding,
}

impl Leaky {
    /// The same as the fast kernels take it, with a factor for each channel.
    fn fast<'a>(&self, element: Element8, factors: &'a [i32]) -> Option<Prelu<'a>> {
        (self.sign == 1 && self.rounding == Rounding::Double).then_some(Prelu {
            element,
            input_zero_point: self.input_zero_point,
            output_zero_point: self.output_zero_point,
            above: self.above,
            below: self.below,
            factors,
        })
    }

    #[inline(always)]
    fn apply<I: Integer>(self, q: I, factor: i32) -> I {
        let value = q.widen().wrapping_sub(self.input_zero_point);
        let scaled = if value >= 0 {
            self.above.apply(value, self.rounding)
        } else {
            let scaled = self.below.apply(value.wrapping_mul(factor), self.rounding);
            scaled.wrapping_mul(self.sign)
        };
        I::saturate(scaled.wrapping_add(self.output_zero_point))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fast::{PreluPrimitive, Primitive};
    use crate::ops::shared::differential::{Numbers, Ran, assert_all_ran};

    /// Element by element beside the reference, for numbers of channels that fill blocks and for others.
    #[test]
    #[cfg_attr(miri, ignore = "hundreds of problems, hours under Miri")]
    fn prelu_variants_give_the_reference_s_bits() {
        let mut ran = Ran::new();
        for seed in 0..300 {
            let n = &mut Numbers::new(seed);
            let element = n.one_of(&[Element8::Int8, Element8::UInt8]);
            let multiplier = |n: &mut Numbers| QuantizedMultiplier {
                multiplier: match n.chance(3) {
                    true => 1 << 30,
                    false => n.within(1 << 30..=i32::MAX.into()) as i32,
                },
                shift: n.within(-12..=2) as i32,
            };
            let step = Leaky {
                input_zero_point: n.zero_point(element),
                output_zero_point: n.zero_point(element),
                above: multiplier(n),
                below: multiplier(n),
                sign: 1,
                rounding: Rounding::Double,
            };
            let channels = n.one_of(&[1, 3, 8, 16, 24, 32, 33, 100]);
            let factors: Vec<i32> = (0..channels).map(|_| n.within(-255..=255) as i32).collect();
            let len = n.size(1, 40) * channels;
            let input = n.bytes(len);
            let apply = |at: usize| match element {
                Element8::Int8 => {
                    let q = input[at].cast_signed();
                    step.apply(q, factors[at % channels]).cast_unsigned()
                }
                Element8::UInt8 => step.apply(input[at], factors[at % channels]),
            };
            let expected: Vec<u8> = (0..input.len()).map(apply).collect();
            let problem = step.fast(element, &factors).expect("two roundings");
            for variant in PreluPrimitive::variants() {
                let Some(kernel) = (variant.prepare)(&problem) else {
                    continue;
                };
                ran.insert(variant.name);
                let mut output = vec![0x55; input.len()];
                kernel.run(&input, &mut output);
                let name = kernel.name();
                assert!(output == expected, "{name}, seed {seed}: {problem:?}");
            }
        }
        assert_all_ran::<PreluPrimitive>(&ran);
    }
}
