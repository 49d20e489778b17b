//! Sums and differences of bytes, and of int16, whose scales differ.

mod int16;
mod linear;
mod rescaled;

pub use int16::{AddSubInt16, AddSubInt16Primitive};

use super::binary::BinaryKernel;
use super::lanes::{Lanes, for_each_isa};
use super::{Element8, Primitive, Variant};
use crate::fixedpoint::QuantizedMultiplier;

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
    let stepwise = rescaled::prepare(name, lanes, problem)?;
    let linear = linear::prepare(name, lanes, problem, &*stepwise);
    Some(linear.unwrap_or(stepwise))
}
