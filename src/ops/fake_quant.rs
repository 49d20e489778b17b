//! FAKE_QUANT: floats rounded to the numbers that a quantized tensor of a range and a width can hold.

use super::shared::{check, map};
use super::{Node, OpDef, PrepareError, Prepared, Settings, TypeRow};
use crate::fixedpoint::limit;
use crate::model::BuiltinOperator;
use crate::tensor::TensorType as T;

const INPUT: usize = 0;

pub(super) const DEF: OpDef = OpDef {
    code: BuiltinOperator::FAKE_QUANT,
    name: "FAKE_QUANT",
    versions: 1..=2,
    types: &[TypeRow::new(&[T::Float32], &[T::Float32])],
    check: check::none,
    prepare,
};

fn prepare(node: &Node<'_>, _: &Settings) -> Result<Prepared, PrepareError> {
    let options = node.table()?.builtin_options_as_fake_quant_options();
    let options = options.ok_or(PrepareError::Options {
        expected: "FakeQuantOptions",
    })?;
    if options.narrow_range() {
        return Err(PrepareError::Attribute {
            name: "narrow_range",
            found: "true".into(),
            expected: "false: TFLite's kernel refuses it too",
        });
    }
    let bits = options.num_bits();
    let bits = u32::try_from(bits).ok().filter(|n| (1..=16).contains(n));
    let bits = bits.ok_or(PrepareError::Attribute {
        name: "num_bits",
        found: options.num_bits().to_string(),
        expected: "1 to 16",
    })?;
    let (min, max) = (options.min(), options.max());
    let step = FakeQuant::new(min, max, bits).ok_or(PrepareError::Attribute {
        name: "min and max",
        found: format!("{min} and {max}"),
        expected: "finite numbers, min below max",
    })?;
    let shape = node.input(INPUT, "input")?.shape;
    Ok(map("fake_quant.reference", shape, move |x| step.apply(x)))
}

/// A range moved so that 0 is one of its numbers. Source: TFLite `kernels/internal/quantization_util.cc`,
/// `NudgeQuantizationRange` and `FakeQuantizeArray`; all in float32.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct FakeQuant {
    pub(crate) scale: f32,
    pub(crate) min: f32,
    pub(crate) max: f32,
}

impl FakeQuant {
    /// The range of `2^bits` numbers next to `min..=max`; `None` where there is none.
    fn new(min: f32, max: f32, bits: u32) -> Option<Self> {
        let highest = ((1u32 << bits) - 1) as f32;
        let scale = (max - min) / highest;
        if !(scale.is_finite() && scale > 0.0) {
            return None;
        }
        let zero_point = limit((0.0 - min / scale).round(), (0.0, highest));
        Some(Self {
            scale,
            min: (0.0 - zero_point) * scale,
            max: (highest - zero_point) * scale,
        })
    }

    /// The number of the range next to `x`.
    pub(crate) fn apply(self, x: f32) -> f32 {
        // C++'s max and min: not-a-number becomes the lower bound.
        let raised = if self.min < x { x } else { self.min };
        let clamped = if raised < self.max { raised } else { self.max };
        let steps = ((clamped - self.min) * (1.0 / self.scale)).round();
        steps * self.scale + self.min
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn zero_is_one_of_the_numbers() {
        // 3 steps of 1; zero lies at 0.4 steps, moved to 0.
        let step = FakeQuant::new(-0.4, 2.6, 2).expect("range");
        assert_eq!((step.scale, step.min, step.max), (1.0, 0.0, 3.0));
        let found = [-5.0, 0.0, 0.4, 0.5, 1.5, 9.0].map(|x| step.apply(x));
        assert_eq!(found, [0.0, 0.0, 0.0, 1.0, 2.0, 3.0]);
        // Zero outside of the range: the nearest end becomes zero.
        let step = FakeQuant::new(2.0, 5.0, 2).expect("range");
        assert_eq!((step.min, step.max), (0.0, 3.0));
        assert_eq!(FakeQuant::new(1.0, 1.0, 8), None);
    }
}
