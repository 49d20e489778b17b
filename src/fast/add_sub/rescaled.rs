//! Sums and differences as the reference computes them.

use super::AddSub;
use crate::fast::aligned::Aligned;
use crate::fast::binary::{BinaryKernel, Combine, combine};
use crate::fast::lanes::{Lanes, MOST_SUMS, Work};
use crate::fixedpoint::QuantizedMultiplier;

/// The kernel; `None` where vectors do not know a multiplier.
pub(super) fn prepare<L: Lanes>(
    name: &'static str,
    lanes: L,
    problem: &AddSub,
) -> Option<Box<dyn BinaryKernel>> {
    let [left, right] = problem.operands.map(|(_, multiplier)| multiplier);
    // What vectors cannot double, and shifts that would meet the shift to the left.
    let suits = [left, right, problem.output.1]
        .iter()
        .all(|m| m.multiplier != i32::MIN)
        && left.shift <= 0
        && right.shift <= 0;
    let mut ones = [0i16; 4 * MOST_SUMS];
    for lane in 0..2 * L::N {
        ones[L::pair_order(lane, 0)] = 1;
    }
    suits.then(|| {
        Box::new(Vectors {
            name,
            lanes,
            problem: *problem,
            ones: Aligned::of(&ones),
        }) as Box<dyn BinaryKernel>
    })
}

struct Vectors<L: Lanes> {
    name: &'static str,
    lanes: L,
    problem: AddSub,
    /// Weights of a pair of taps that leave words as they are: 1 and 0.
    ones: Aligned,
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
        match (problem.element.is_signed(), problem.subtract) {
            (true, false) => self.elements::<true, false>(),
            (true, true) => self.elements::<true, true>(),
            (false, false) => self.elements::<false, false>(),
            (false, true) => self.elements::<false, true>(),
        }
    }
}

impl<L: Lanes> Run<'_, L> {
    #[inline(always)]
    fn elements<const SIGNED: bool, const SUBTRACT: bool>(self) {
        let (lanes, p) = (self.vectors.lanes, &self.vectors.problem);
        let scales = Scales::<L, SUBTRACT>::new(lanes, p, self.vectors.ones.slice());
        let limits = lanes.limits(p.clamp.0, p.clamp.1);
        combine::<L, SIGNED>(lanes, &scales, limits, self.operands, self.output);
    }
}

/// Zero point, shift left, multiplier and shift right, in every lane.
struct Scale<L: Lanes> {
    zero: L::Sum,
    left: L::Sum,
    multiplier: L::Sum,
    right: L::Sum,
}

impl<L: Lanes> Scale<L> {
    #[inline(always)]
    fn new(lanes: L, zero: i32, multiplier: QuantizedMultiplier, more: u32) -> Self {
        let left = multiplier.shift.max(0).unsigned_abs() + more;
        let right = multiplier.shift.min(0).unsigned_abs();
        Self {
            zero: lanes.splat_sum(zero),
            left: lanes.splat_sum((left & 31) as i32),
            multiplier: lanes.splat_sum(multiplier.multiplier),
            right: lanes.splat_sum((right & 31) as i32),
        }
    }
}

/// What all elements are scaled by.
struct Scales<L: Lanes, const SUBTRACT: bool> {
    ones: L::PairWeights,
    operands: [Scale<L>; 2],
    output: Scale<L>,
    none: L::Sum,
}

impl<L: Lanes, const SUBTRACT: bool> Scales<L, SUBTRACT> {
    #[inline(always)]
    fn new(lanes: L, p: &AddSub, ones: &[i16]) -> Self {
        let operand =
            |(zero, by): (i32, _)| Scale::new(lanes, zero.wrapping_neg(), by, p.left_shift);
        Self {
            ones: lanes.pair_weights(ones),
            operands: p.operands.map(operand),
            output: Scale::new(lanes, p.output.0, p.output.1, 0),
            none: lanes.splat_sum(0),
        }
    }

    /// The scaled words of an operand.
    #[inline(always)]
    fn operand(&self, lanes: L, words: L::Words, number: usize) -> [L::Sum; 2] {
        let by = &self.operands[number];
        let [first, second] = lanes.last_tap([by.zero; 2], words, self.ones);
        [
            lanes.scale(first, by.multiplier, by.left, by.right, self.none),
            lanes.scale(second, by.multiplier, by.left, by.right, self.none),
        ]
    }
}

impl<L: Lanes, const SUBTRACT: bool> Combine<L> for Scales<L, SUBTRACT> {
    #[inline(always)]
    fn codes(&self, lanes: L, left: L::Words, right: L::Words) -> [L::Sum; 2] {
        let left = self.operand(lanes, left, 0);
        let right = self.operand(lanes, right, 1);
        let mut codes = left;
        for (half, code) in codes.iter_mut().enumerate() {
            let sum = match SUBTRACT {
                true => lanes.subtract(left[half], right[half]),
                false => lanes.add(left[half], right[half]),
            };
            let by = &self.output;
            *code = lanes.scale(sum, by.multiplier, by.left, by.right, by.zero);
        }
        codes
    }
}
