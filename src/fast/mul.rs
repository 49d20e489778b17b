//! Products of bytes.

use super::binary::{BinaryKernel, Combine, Elements, Pair, Vectors, combine};
use super::lanes::{Lanes, for_each_isa};
use super::{Element8, Primitive, Variant};
use crate::fixedpoint::QuantizedMultiplier;

/// The product of two tensors, element by element, scaled with two roundings.
#[derive(Debug, Clone, Copy)]
pub struct Mul {
    /// Type of operands and result.
    pub element: Element8,
    /// Zero points of the operands: values of their type.
    pub zero_points: [i32; 2],
    /// Zero point of the result and what products are multiplied by.
    pub output: (i32, QuantizedMultiplier),
    /// The lowest and the highest result.
    pub clamp: (i32, i32),
}

macro_rules! list {
    ($($(#[$cfg:meta])* $isa:literal => $lanes:ty,)*) => {
        &[$($(#[$cfg])* Variant {
            name: concat!("mul.", $isa),
            isa: <$lanes as Lanes>::ISA,
            prepare: |problem| prepare::<$lanes>(concat!("mul.", $isa), problem),
        },)*]
    };
}

/// MUL of bytes.
pub struct MulPrimitive;

impl Primitive for MulPrimitive {
    type Problem<'a> = Mul;
    type Kernel = dyn BinaryKernel;

    fn variants() -> &'static [Variant<Self>] {
        for_each_isa!(list)
    }
}

fn prepare<L: Lanes>(name: &'static str, problem: &Mul) -> Option<Box<dyn BinaryKernel>> {
    let lanes = L::detect()?;
    // What vectors cannot double, and differences that do not fit 16 bits.
    let stored = |zero: &i32| (-128..256).contains(zero);
    let suits = problem.output.1.multiplier != i32::MIN && problem.zero_points.iter().all(stored);
    suits.then(|| Vectors::boxed(name, lanes, *problem))
}

impl<L: Lanes> Elements<L> for Mul {
    #[inline(always)]
    fn run(&self, lanes: L, operands: Pair<'_, u8>, output: &mut [u8]) {
        let right = self.output.1.shift < 0;
        match (self.element.is_signed(), right) {
            (true, true) => self.elements::<L, true, true>(lanes, operands, output),
            (true, false) => self.elements::<L, true, false>(lanes, operands, output),
            (false, true) => self.elements::<L, false, true>(lanes, operands, output),
            (false, false) => self.elements::<L, false, false>(lanes, operands, output),
        }
    }
}

impl Mul {
    #[inline(always)]
    fn elements<L: Lanes, const SIGNED: bool, const RIGHT: bool>(
        &self,
        lanes: L,
        operands: Pair<'_, u8>,
        output: &mut [u8],
    ) {
        let scale = Scale::<L, RIGHT>::new(lanes, self);
        let limits = lanes.limits(self.clamp.0, self.clamp.1);
        combine::<L, SIGNED>(lanes, &scale, limits, operands, output);
    }
}

/// What products are scaled by; `RIGHT` where the shift is to the right by at least one bit.
struct Scale<L: Lanes, const RIGHT: bool> {
    zero_points: [L::Words; 2],
    multiplier: L::Sum,
    left: L::Sum,
    right: L::Sum,
    zero: L::Sum,
}

impl<L: Lanes, const RIGHT: bool> Scale<L, RIGHT> {
    #[inline(always)]
    fn new(lanes: L, p: &Mul) -> Self {
        let (zero, by) = p.output;
        let right = (by.shift.min(0).unsigned_abs() & 31) as i32;
        let (right, zero) = match RIGHT {
            true => (L::right_shift(right), zero.wrapping_mul(2).wrapping_add(1)),
            false => (right, zero),
        };
        let [first, second] = p.zero_points;
        Self {
            zero_points: [
                lanes.splat_word(first as i16),
                lanes.splat_word(second as i16),
            ],
            multiplier: lanes.splat_sum(by.multiplier),
            left: lanes.splat_sum(by.shift.max(0) & 31),
            right: lanes.splat_sum(right),
            zero: lanes.splat_sum(zero),
        }
    }
}

impl<L: Lanes, const RIGHT: bool> Combine<L> for Scale<L, RIGHT> {
    #[inline(always)]
    fn codes(&self, lanes: L, left: L::Words, right: L::Words) -> [L::Sum; 2] {
        let left = lanes.subtract_words(left, self.zero_points[0]);
        let right = lanes.subtract_words(right, self.zero_points[1]);
        let mut codes = lanes.word_products(left, right);
        for code in &mut codes {
            *code = match RIGHT {
                true => lanes.scale_right(*code, self.multiplier, self.right, self.zero),
                false => lanes.scale(*code, self.multiplier, self.left, self.right, self.zero),
            };
        }
        codes
    }
}
