//! SQRT and RSQRT: the square root and its reciprocal; stored integers have to stand for numbers of at least 0.

use super::shared::{Integer, Table, check, map, samples_i16};
use super::{EvalError, Kernel, KernelIo, Node, OpDef, PrepareError, Prepared, Settings, TypeRow};
use crate::fixedpoint::{
    QuantizedMultiplier, Rounding, get_inv_sqrt_quantized_multiplier_exp, lut_lookup_i16,
};
use crate::model::BuiltinOperator;
use crate::tensor::{Shape, TensorType as T};
use std::marker::PhantomData;

const INPUT: usize = 0;
const OUTPUT: usize = 0;

const TYPES: &[TypeRow] = &[
    TypeRow::new(&[T::Float32], &[T::Float32]),
    TypeRow::new(&[T::Int8], &[T::Int8]),
    TypeRow::new(&[T::Int16], &[T::Int16]),
];

pub(super) const DEF_SQRT: OpDef = OpDef {
    code: BuiltinOperator::SQRT,
    name: "SQRT",
    versions: 1..=2,
    types: TYPES,
    check: check::none,
    prepare: prepare_sqrt,
};

pub(super) const DEF_RSQRT: OpDef = OpDef {
    code: BuiltinOperator::RSQRT,
    name: "RSQRT",
    versions: 1..=3,
    types: TYPES,
    check: check::none,
    prepare: prepare_rsqrt,
};

const SQRT: &str = "sqrt.reference";
const RSQRT: &str = "rsqrt.reference";

fn prepare_sqrt(node: &Node<'_>, _: &Settings) -> Result<Prepared, PrepareError> {
    let input = node.input(INPUT, "input")?;
    let shape = input.shape;
    if input.ty == T::Float32 {
        return Ok(map(SQRT, shape, f32::sqrt));
    }
    let (input_scale, input_zero_point) = input.per_tensor()?;
    let (output_scale, output_zero_point) = node.output(OUTPUT, "output")?.per_tensor()?;
    let root = move |q: i32| {
        let real = (input_scale * q.wrapping_sub(input_zero_point) as f32).sqrt();
        // Truncated, not rounded, as upstream.
        ((real / output_scale) as i32).saturating_add(output_zero_point)
    };
    Ok(match input.ty {
        T::Int8 => {
            let table = Table::new(|q: i8| i8::saturate(root(q.widen())));
            let f = move |q: i8| table.value(q);
            from_zero_point(SQRT, shape, input_zero_point, f)
        }
        _ => {
            let f = move |q: i16| i16::saturate(root(q.widen()));
            from_zero_point(SQRT, shape, input_zero_point, f)
        }
    })
}

fn prepare_rsqrt(node: &Node<'_>, settings: &Settings) -> Result<Prepared, PrepareError> {
    let input = node.input(INPUT, "input")?;
    let output = node.output(OUTPUT, "output")?;
    let shape = input.shape;
    if input.ty == T::Float32 {
        return Ok(map(RSQRT, shape, |x: f32| 1.0 / x.sqrt()));
    }
    let (input_scale, input_zero_point) = input.per_tensor()?;
    let (output_scale, output_zero_point) = output.per_tensor()?;
    if input.ty == T::Int16 {
        let highest = f32::from(i16::MAX) * output_scale;
        let samples = samples_i16(&input, &output, |x| {
            if x <= 0.0 { highest } else { 1.0 / x.sqrt() }
        })?;
        let f = move |q| lut_lookup_i16(q, &samples);
        return Ok(from_zero_point(RSQRT, shape, input_zero_point, f));
    }
    let step = Rsqrt {
        input_zero_point,
        output_zero_point,
        multiplier: QuantizedMultiplier::from_real(
            1.0 / f64::from(input_scale.sqrt() * output_scale),
        )?,
        rounding: settings.profile.rounding(),
    };
    let table = Table::new(|q: i8| step.apply(q));
    let f = move |q: i8| table.value(q);
    Ok(from_zero_point(RSQRT, shape, input_zero_point, f))
}

/// The reciprocal of the square root of int8 codes. Source: TFLite `kernels/elementwise.cc`, `RsqrtEvalQuantizedInt8`.
#[derive(Debug, Clone, Copy)]
struct Rsqrt {
    input_zero_point: i32,
    output_zero_point: i32,
    /// `1 / (sqrt(input_scale) * output_scale)`.
    multiplier: QuantizedMultiplier,
    rounding: Rounding,
}

impl Rsqrt {
    /// The largest code where `q` stands for 0.
    fn apply(self, q: i8) -> i8 {
        /// Fraction bits of the root.
        const FRACTION_BITS: i32 = 20;
        let value = q.widen().wrapping_sub(self.input_zero_point);
        if value <= 0 {
            return i8::MAX;
        }
        let shifted = |by: QuantizedMultiplier, bits: i32| QuantizedMultiplier {
            // Past 31 bits to the right nothing is left either.
            shift: (by.shift + bits).max(-31),
            ..by
        };
        let inverse = get_inv_sqrt_quantized_multiplier_exp(value);
        let root = shifted(inverse, FRACTION_BITS).apply(1, self.rounding);
        let scaled = shifted(self.multiplier, -FRACTION_BITS).apply(root, self.rounding);
        i8::saturate(scaled.saturating_add(self.output_zero_point))
    }
}

/// Result 0 = `f` of operand 0, element by element; codes below `zero_point` are an error.
fn from_zero_point<I: Integer, F: Fn(I) -> I + Send + Sync + 'static>(
    name: &'static str,
    shape: Shape,
    zero_point: i32,
    f: F,
) -> Prepared {
    let kernel = FromZeroPoint {
        name,
        zero_point,
        f,
        elements: PhantomData,
    };
    Prepared::new(kernel, [shape])
}

struct FromZeroPoint<I, F> {
    name: &'static str,
    zero_point: i32,
    f: F,
    elements: PhantomData<I>,
}

impl<I: Integer, F: Fn(I) -> I + Send> Kernel for FromZeroPoint<I, F> {
    fn eval(&self, io: &mut KernelIo<'_>) -> Result<(), EvalError> {
        let (input, output) = io.unary::<I, I>()?;
        if let Some(below) = input.iter().find(|q| q.widen() < self.zero_point) {
            return Err(EvalError::Value {
                operand: "input",
                found: below.widen().into(),
                expected: "codes of at least its zero point: negative numbers have no real root",
            });
        }
        for (output, &input) in output.iter_mut().zip(input) {
            *output = (self.f)(input);
        }
        Ok(())
    }

    fn name(&self) -> &'static str {
        self.name
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn int8_reciprocal_root_of_a_square_is_exact() {
        let step = Rsqrt {
            input_zero_point: -100,
            output_zero_point: 3,
            // Input scale 1/16, output scale 1/8: 8 / sqrt(1/16) = 32 codes for a difference of 1.
            multiplier: QuantizedMultiplier::from_real(32.0).expect("finite"),
            rounding: Rounding::Double,
        };
        // Differences 1, 4, 16, 64: 32, 16, 8, 4 above the zero point; 0 gives the largest code.
        let found = [-100, -99, -96, -84, -36].map(|q| step.apply(q));
        assert_eq!(found, [127, 35, 19, 11, 7]);
    }
}
