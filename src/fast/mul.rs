//! Products of bytes.

use super::binary::{BinaryKernel, Combine, combine};
use super::lanes::{Lanes, Work, for_each_isa};
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
    suits.then(|| {
        Box::new(Vectors {
            name,
            lanes,
            problem: *problem,
        }) as Box<dyn BinaryKernel>
    })
}

struct Vectors<L: Lanes> {
    name: &'static str,
    lanes: L,
    problem: Mul,
}

impl<L: Lanes> BinaryKernel for Vectors<L> {
    fn name(&self) -> &'static str {
        self.name
    }

    fn run(&self, left: &[u8], right: &[u8], output: &mut [u8]) {
        self.lanes.run(Run {
            vectors: self,
            operands: [left, right],
            output,
        });
    }
}

/// One call of [`BinaryKernel::run`].
struct Run<'a, L: Lanes> {
    vectors: &'a Vectors<L>,
    operands: [&'a [u8]; 2],
    output: &'a mut [u8],
}

impl<L: Lanes> Work for Run<'_, L> {
    type Output = ();

    #[inline(always)]
    fn run<M: Lanes>(self, _: M) {
        let problem = &self.vectors.problem;
        let right = problem.output.1.shift < 0;
        match (problem.element.is_signed(), right) {
            (true, true) => self.elements::<true, true>(),
            (true, false) => self.elements::<true, false>(),
            (false, true) => self.elements::<false, true>(),
            (false, false) => self.elements::<false, false>(),
        }
    }
}

impl<L: Lanes> Run<'_, L> {
    #[inline(always)]
    fn elements<const SIGNED: bool, const RIGHT: bool>(self) {
        let (lanes, p) = (self.vectors.lanes, &self.vectors.problem);
        let scale = Scale::<L, RIGHT>::new(lanes, p);
        let limits = lanes.limits(p.clamp.0, p.clamp.1);
        combine::<L, SIGNED>(lanes, &scale, limits, self.operands, self.output);
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
