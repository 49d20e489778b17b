//! Sums and differences of bytes whose scales differ.

mod linear;
mod rescaled;

use super::binary::BinaryKernel;
use super::lanes::{Lanes, for_each_isa};
use super::{Element8, Primitive, Variant};
use crate::fixedpoint::{QuantizedMultiplier, Rounding};

/// The sum or the difference of two tensors, element by element: each operand is shifted left, scaled with two roundings and
/// combined with the other; the result is scaled with two roundings.
#[derive(Debug, Clone, Copy)]
pub struct AddSub {
    /// Type of operands and result.
    pub element: Element8,
    /// Whether the right operand is subtracted.
    pub subtract: bool,
    /// Zero points of the operands, left first, and what they are multiplied by after the shift: less than 1.
    pub operands: [(i32, QuantizedMultiplier); 2],
    /// Bits by which operands are shifted.
    pub left_shift: u32,
    /// Zero point of the result and what the combination is multiplied by.
    pub output: (i32, QuantizedMultiplier),
    /// The lowest and the highest result.
    pub clamp: (i32, i32),
    /// How many results an inference has, which tells whether it pays to look for a shorter way to them; 0 where preparing
    /// has to be quick.
    pub count: usize,
}

impl AddSub {
    /// The operand `number` for a stored value, in the scale in which operands are combined.
    fn operand(&self, number: usize, stored: i32) -> i32 {
        let (zero, multiplier) = self.operands[number];
        let shifted = stored.wrapping_sub(zero).wrapping_shl(self.left_shift);
        multiplier.apply(shifted, Rounding::Double)
    }

    /// The result for operands in that scale.
    fn code(&self, left: i32, right: i32) -> i32 {
        let combined = match self.subtract {
            true => left.wrapping_sub(right),
            false => left.wrapping_add(right),
        };
        let (zero, multiplier) = self.output;
        let scaled = multiplier.apply(combined, Rounding::Double);
        let code = scaled.wrapping_add(zero);
        code.max(self.clamp.0).min(self.clamp.1)
    }
}

macro_rules! list {
    ($($(#[$cfg:meta])* $isa:literal => $lanes:ty,)*) => {
        &[$($(#[$cfg])* Variant {
            name: concat!("add.", $isa),
            isa: <$lanes as Lanes>::ISA,
            prepare: |problem| {
                let names = [concat!("add.", $isa), concat!("sub.", $isa)];
                prepare::<$lanes>(names[usize::from(problem.subtract)], problem)
            },
        },)*]
    };
}

/// ADD and SUB of bytes.
pub struct AddSubPrimitive;

impl Primitive for AddSubPrimitive {
    type Problem<'a> = AddSub;
    type Kernel = dyn BinaryKernel;

    fn variants() -> &'static [Variant<Self>] {
        for_each_isa!(list)
    }
}

/// The shorter way where there is one.
fn prepare<L: Lanes>(name: &'static str, problem: &AddSub) -> Option<Box<dyn BinaryKernel>> {
    let lanes = L::detect()?;
    linear::prepare(name, lanes, problem).or_else(|| rescaled::prepare(name, lanes, problem))
}
