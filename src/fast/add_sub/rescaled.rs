//! Sums and differences as the reference computes them.

use super::AddSub;
use crate::fast::aligned::Aligned;
use crate::fast::binary::{BinaryKernel, Combine, Elements, Pair, Vectors, combine};
use crate::fast::lanes::{Lanes, same_pair};
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
    suits.then(|| {
        let rescaled = Rescaled {
            problem: *problem,
            ones: same_pair::<L>([1, 0]),
        };
        Vectors::boxed(name, lanes, rescaled)
    })
}

struct Rescaled {
    problem: AddSub,
    /// Weights of a pair of taps that leave words as they are: 1 and 0.
    ones: Aligned,
}

impl<L: Lanes> Elements<L> for Rescaled {
    #[inline(always)]
    fn run(&self, lanes: L, operands: Pair<'_, u8>, output: &mut [u8]) {
        match (self.problem.element.is_signed(), self.problem.subtract) {
            (true, false) => self.elements::<L, true, false>(lanes, operands, output),
            (true, true) => self.elements::<L, true, true>(lanes, operands, output),
            (false, false) => self.elements::<L, false, false>(lanes, operands, output),
            (false, true) => self.elements::<L, false, true>(lanes, operands, output),
        }
    }
}

impl Rescaled {
    #[inline(always)]
    fn elements<L: Lanes, const SIGNED: bool, const SUBTRACT: bool>(
        &self,
        lanes: L,
        operands: Pair<'_, u8>,
        output: &mut [u8],
    ) {
        let p = &self.problem;
        let scales = Scales::<L, SUBTRACT>::new(lanes, p, self.ones.slice());
        let limits = lanes.limits(p.clamp.0, p.clamp.1);
        combine::<L, SIGNED>(lanes, &scales, limits, operands, output);
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
