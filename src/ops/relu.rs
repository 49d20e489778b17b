//! RELU, RELU6, RELU_N1_TO_1 and RELU_0_TO_1: a tensor limited to a range, and brought to another scale.

use super::shared::{Integer, check, map, symmetric_i16, table};
use super::{Node, NodeTensor, OpDef, PrepareError, Prepared, Settings, TypeRow};
use crate::fixedpoint::{QuantizedMultiplier, Rounding, float_to_i32, limit, round_half_away};
use crate::model::BuiltinOperator;
use crate::tensor::TensorType as T;

const INPUT: usize = 0;
const OUTPUT: usize = 0;

/// A definition for the function that limits to this range.
macro_rules! relu {
    ($def:ident, $name:ident, $versions:expr, $types:expr, $kernel:literal, $low:literal, $high:expr) => {
        pub(super) const $def: OpDef = OpDef {
            code: BuiltinOperator::$name,
            name: stringify!($name),
            versions: $versions,
            types: $types,
            check: check::none,
            prepare: |node, settings| prepare($kernel, node, settings, ($low, $high)),
        };
    };
}

const UP_TO_16_BITS: &[TypeRow] = &[
    TypeRow::new(&[T::Float32], &[T::Float32]),
    TypeRow::new(&[T::UInt8], &[T::UInt8]),
    TypeRow::new(&[T::Int8], &[T::Int8]),
    TypeRow::new(&[T::Int16], &[T::Int16]),
];
const UP_TO_8_BITS: &[TypeRow] = &[
    TypeRow::new(&[T::Float32], &[T::Float32]),
    TypeRow::new(&[T::UInt8], &[T::UInt8]),
    TypeRow::new(&[T::Int8], &[T::Int8]),
];

relu!(
    DEF_RELU,
    RELU,
    1..=3,
    UP_TO_16_BITS,
    "relu.reference",
    0.0,
    f32::INFINITY
);
relu!(
    DEF_RELU6,
    RELU6,
    1..=3,
    UP_TO_16_BITS,
    "relu6.reference",
    0.0,
    6.0
);
relu!(
    DEF_N1_TO_1,
    RELU_N1_TO_1,
    1..=1,
    UP_TO_8_BITS,
    "relu_n1_to_1.reference",
    -1.0,
    1.0
);
relu!(
    DEF_0_TO_1,
    RELU_0_TO_1,
    1..=1,
    UP_TO_8_BITS,
    "relu_0_to_1.reference",
    0.0,
    1.0
);

fn prepare(
    name: &'static str,
    node: &Node<'_>,
    settings: &Settings,
    bounds: (f32, f32),
) -> Result<Prepared, PrepareError> {
    let input = node.input(INPUT, "input")?;
    let output = node.output(OUTPUT, "output")?;
    let shape = input.shape;
    if input.ty == T::Float32 {
        return Ok(map(name, shape, move |x: f32| limit(x, bounds)));
    }
    symmetric_i16(&[&input, &output])?;
    let step = Relu::new(&input, &output, bounds, settings.profile.rounding())?;
    Ok(match input.ty {
        T::UInt8 => table(name, shape, |q: u8| step.apply(q)),
        T::Int8 => table(name, shape, |q: i8| step.apply(q)),
        _ => map(name, shape, move |q: i16| step.apply(q)),
    })
}

/// Source: TFLite `kernels/activations.cc`, `QuantizedReluX`; `kernels/internal/reference/reference_ops.h`, `ReluX`.
#[derive(Debug, Clone, Copy)]
struct Relu {
    input_zero_point: i32,
    output_zero_point: i32,
    multiplier: QuantizedMultiplier,
    rounding: Rounding,
    clamp: (i32, i32),
}

impl Relu {
    fn new(
        input: &NodeTensor<'_>,
        output: &NodeTensor<'_>,
        bounds: (f32, f32),
        rounding: Rounding,
    ) -> Result<Self, PrepareError> {
        let (input_scale, input_zero_point) = input.per_tensor()?;
        let (output_scale, output_zero_point) = output.per_tensor()?;
        let (lowest, highest) = output
            .ty
            .integer_range()
            .ok_or_else(|| output.type_error("an integer type"))?;
        let code = |bound: f32| {
            output_zero_point.saturating_add(float_to_i32(round_half_away(bound / output_scale)))
        };
        let high = if bounds.1.is_finite() {
            highest.min(code(bounds.1))
        } else {
            highest
        };
        Ok(Self {
            input_zero_point,
            output_zero_point,
            multiplier: QuantizedMultiplier::from_real(f64::from(input_scale / output_scale))?,
            rounding,
            clamp: (lowest.max(code(bounds.0)), high),
        })
    }

    #[inline(always)]
    fn apply<I: Integer>(self, q: I) -> I {
        let difference = q.widen().wrapping_sub(self.input_zero_point);
        let scaled = self.multiplier.apply(difference, self.rounding);
        let output = scaled.wrapping_add(self.output_zero_point);
        I::saturate(output.max(self.clamp.0).min(self.clamp.1))
    }
}
