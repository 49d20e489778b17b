//! Sums and differences without a rounding on the way: a linear function of the stored operands, shifted to the right.
//!
//! The reference rounds an operand, the other one, and the result twice. With multipliers of 22 bits for the stored operands,
//! and something added that is chosen for it, most often the same results come out for every pair of bytes. That is what is
//! tried when the operator is prepared: a function is found only if it gives the reference's result for all 65536 pairs.

use super::AddSub;
use crate::fast::aligned::Aligned;
use crate::fast::binary::{BinaryKernel, Combine, Elements, Pair, Vectors, combine};
use crate::fast::lanes::{Lanes, Work, same_pair};

/// Results of an inference from which on trying every pair of bytes pays: a few dozen inferences make up for it.
const FEWEST_RESULTS: usize = 2048;

/// Bits of the lower part of a multiplier. The higher part has 16, a sign among them.
const LOW_BITS: u32 = 7;

/// What multipliers stay below, so that their higher parts fit 16 bits.
const MOST: f64 = (1 << (LOW_BITS + 15)) as f64;

/// How far the multipliers that are tried are from the nearest ones, nearest first.
const STEPS: [i32; 5] = [0, 1, -1, 2, -2];

/// The kernel; `None` where no linear function gives the results of `stepwise`.
pub(super) fn prepare<L: Lanes>(
    name: &'static str,
    lanes: L,
    problem: &AddSub,
    stepwise: &dyn BinaryKernel,
) -> Option<Box<dyn BinaryKernel>> {
    if problem.count < FEWEST_RESULTS {
        return None;
    }
    let function = lanes.run(Search {
        problem,
        codes: &results_of_pairs(stepwise),
    })?;
    let weights = |part: fn(i32) -> i32| {
        same_pair::<L>(
            function
                .multipliers
                .map(|multiplier| part(multiplier) as i16),
        )
    };
    let shifted = Shifted {
        signed: problem.element.is_signed(),
        high: weights(|multiplier| multiplier >> LOW_BITS),
        low: weights(|multiplier| multiplier & ((1 << LOW_BITS) - 1)),
        rest: function.rest,
        shift: function.shift,
        clamp: problem.clamp,
    };
    Some(Vectors::boxed(name, lanes, shifted))
}

/// The results for every pair of bytes: 256 for each left operand, in the order of the bytes.
fn results_of_pairs(stepwise: &dyn BinaryKernel) -> Vec<u8> {
    let right: [u8; 256] = std::array::from_fn(|byte| byte as u8);
    let mut codes = vec![0; 256 * 256];
    for (left, codes) in right.iter().zip(codes.chunks_exact_mut(256)) {
        stepwise.run(Some(&[*left; 256]), Some(&right), codes);
    }
    codes
}

/// `(left * multipliers[0] + right * multipliers[1] + rest) >> shift`, then limited, of stored bytes.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Linear {
    multipliers: [i32; 2],
    rest: i32,
    shift: u32,
}

/// A bound that is none: beyond anything that multipliers and results of 32 bits make, and far from the end of 64 bits.
const UNBOUNDED: i64 = 1 << 60;

/// Looks for a function that gives `codes`, which [`results_of_pairs`] has made.
struct Search<'a> {
    problem: &'a AddSub,
    codes: &'a [u8],
}

impl Work for Search<'_> {
    type Output = Option<Linear>;

    #[inline(always)]
    fn run<L: Lanes>(self, _: L) -> Option<Linear> {
        let (nearest, shift) = self.nearest()?;
        for left in STEPS {
            for right in STEPS {
                let multipliers = [nearest[0] + left, nearest[1] + right];
                if let Some(rest) = self.rest(multipliers, shift) {
                    return Some(Linear {
                        multipliers,
                        rest,
                        shift,
                    });
                }
            }
        }
        None
    }
}

impl Search<'_> {
    /// The lowest and the highest byte's number.
    fn ends(&self) -> [i32; 2] {
        let element = self.problem.element;
        [0, u8::MAX].map(|byte| element.value(byte ^ self.flip()))
    }

    /// What brings bytes into the order of their numbers.
    fn flip(&self) -> u8 {
        match self.problem.element.is_signed() {
            true => 0x80,
            false => 0,
        }
    }

    /// The multipliers nearest to the real ones, and the shift.
    fn nearest(&self) -> Option<([i32; 2], u32)> {
        let problem = self.problem;
        let output = problem.output.1.to_real() * f64::from(1u32 << problem.left_shift);
        let [left, right] = problem.operands.map(|(_, m)| m.to_real() * output);
        let real = [left, if problem.subtract { -right } else { right }];
        let zeros = problem.operands.map(|(zero, _)| f64::from(zero));
        // The greatest result, and one more for what is added to round it.
        let reach = |number: usize| {
            let distances = self
                .ends()
                .map(|end| (f64::from(end) - zeros[number]).abs());
            distances[0].max(distances[1]) * real[number].abs()
        };
        let greatest = reach(0) + reach(1) + f64::from(problem.output.0).abs() + 1.0;
        let largest = real[0].abs().max(real[1].abs());
        let shift = (1..=30u32).rev().find(|&shift| {
            let unit = f64::from(1u32 << shift);
            largest * unit < MOST - 4.0 && greatest * unit < f64::from(i32::MAX)
        })?;
        let unit = f64::from(1u32 << shift);
        Some((real.map(|real| (real * unit).round() as i32), shift))
    }

    /// What has to be added for the codes to come out.
    #[inline(always)]
    fn rest(&self, multipliers: [i32; 2], shift: u32) -> Option<i32> {
        let [by_left, by_right] = multipliers.map(i64::from);
        let (clamp, flip) = (self.problem.clamp, self.flip());
        let first = i64::from(self.ends()[0]);
        // In the order of the bytes, as the codes.
        let numbers: [i64; 256] =
            std::array::from_fn(|byte| self.problem.element.value(byte as u8).into());
        let products = numbers.map(|right| right * by_right);
        let (mut least, mut most) = (-UNBOUNDED, UNBOUNDED);
        for (left, codes) in numbers.iter().zip(self.codes.as_chunks::<256>().0) {
            let (mut low, mut high) = (-UNBOUNDED, UNBOUNDED);
            for (&code, product) in codes.iter().zip(products) {
                let code = i64::from(code ^ flip) + first;
                let begin = (code << shift) - product;
                // At the limits, anything beyond them does as well.
                low = low.max(if code > clamp.0.into() {
                    begin
                } else {
                    -UNBOUNDED
                });
                high = high.min(if code < clamp.1.into() {
                    begin
                } else {
                    UNBOUNDED
                });
            }
            let product = left * by_left;
            (least, most) = (least.max(low - product), most.min(high - product));
            if least - most >= 1 << shift {
                return None;
            }
        }
        let most = most + (1 << shift) - 1;
        // One result for every pair leaves it open on one side.
        let rest = match (least > -UNBOUNDED / 2, most < UNBOUNDED / 2) {
            (true, true) => least + (most - least) / 2,
            (true, false) => least,
            (false, _) => most,
        };
        // 32 bits hold the sum for every pair.
        let ends = self.ends().map(i64::from);
        let corners = ends.map(|left| ends.map(|right| left * by_left + right * by_right + rest));
        let fits = |sum: &i64| i32::try_from(*sum).is_ok();
        let rest = i32::try_from(rest).ok()?;
        corners.as_flattened().iter().all(fits).then_some(rest)
    }
}

/// A [`Linear`] function for lanes.
struct Shifted {
    signed: bool,
    /// Parts of the multipliers, as weights of a pair of taps.
    high: Aligned,
    low: Aligned,
    rest: i32,
    shift: u32,
    clamp: (i32, i32),
}

impl<L: Lanes> Elements<L> for Shifted {
    #[inline(always)]
    fn run(&self, lanes: L, operands: Pair<'_, u8>, output: &mut [u8]) {
        let sums = Sums {
            high: lanes.pair_weights(self.high.slice()),
            low: lanes.pair_weights(self.low.slice()),
            rest: lanes.splat_sum(self.rest),
            left: lanes.splat_sum(LOW_BITS as i32),
            right: lanes.splat_sum(self.shift as i32),
            none: lanes.splat_sum(0),
        };
        let limits = lanes.limits(self.clamp.0, self.clamp.1);
        match self.signed {
            true => combine::<L, true>(lanes, &sums, limits, operands, output),
            false => combine::<L, false>(lanes, &sums, limits, operands, output),
        }
    }
}

/// What all elements are multiplied by, shifted by, and get added.
struct Sums<L: Lanes> {
    high: L::PairWeights,
    low: L::PairWeights,
    rest: L::Sum,
    left: L::Sum,
    right: L::Sum,
    none: L::Sum,
}

impl<L: Lanes> Combine<L> for Sums<L> {
    #[inline(always)]
    fn codes(&self, lanes: L, left: L::Words, right: L::Words) -> [L::Sum; 2] {
        let mut sums = lanes.tap_pair([self.none; 2], left, right, self.high);
        for sums in &mut sums {
            *sums = lanes.add(lanes.shift_left(*sums, self.left), self.rest);
        }
        let mut codes = lanes.tap_pair(sums, left, right, self.low);
        for codes in &mut codes {
            *codes = lanes.shift_right(*codes, self.right);
        }
        codes
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fast::Element8;
    use crate::fast::add_sub::rescaled;
    use crate::fast::lanes::Portable;
    use crate::fixedpoint::{QuantizedMultiplier, Rounding};

    fn problem(scales: [f64; 3], zeros: [i32; 3], subtract: bool) -> AddSub {
        let [left, right, output] = scales;
        let real = |real| QuantizedMultiplier::from_real(real).expect("finite");
        let twice_max = 2.0 * left.max(right);
        AddSub {
            element: Element8::Int8,
            subtract,
            operands: [
                (zeros[0], real(left / twice_max)),
                (zeros[1], real(right / twice_max)),
            ],
            left_shift: 20,
            output: (zeros[2], real(twice_max / (output * f64::from(1 << 20)))),
            clamp: (-128, 127),
            count: 1 << 16,
        }
    }

    fn linear(problem: &AddSub) -> Option<Linear> {
        let stepwise = rescaled::prepare("add.portable", Portable, problem).expect("suits vectors");
        Portable.run(Search {
            problem,
            codes: &results_of_pairs(&*stepwise),
        })
    }

    /// The reference's result.
    fn code(p: &AddSub, stored: [i32; 2]) -> i32 {
        let operand = |number: usize| {
            let (zero, multiplier) = p.operands[number];
            let shifted = (stored[number] - zero) << p.left_shift;
            multiplier.apply(shifted, Rounding::Double)
        };
        let combined = match p.subtract {
            true => operand(0) - operand(1),
            false => operand(0) + operand(1),
        };
        let scaled = p.output.1.apply(combined, Rounding::Double);
        (scaled + p.output.0).clamp(p.clamp.0, p.clamp.1)
    }

    #[test]
    #[cfg_attr(miri, ignore = "every pair of bytes, hours under Miri")]
    fn linear_function_gives_the_reference_for_every_pair() {
        let cases = [
            ([0.0231, 0.0472, 0.0519], [-128, 127, -128]),
            ([0.0274, 0.0107, 0.0289], [-4, 11, -20]),
            ([0.031, 0.0297, 0.00617], [-128, 6, -61]),
        ];
        for (scales, zeros) in cases {
            for subtract in [false, true] {
                let p = problem(scales, zeros, subtract);
                let found = linear(&p).unwrap_or_else(|| panic!("{p:?}"));
                let [by_left, by_right] = found.multipliers;
                for left in -128..=127 {
                    for right in -128..=127 {
                        let sum = left * by_left + right * by_right + found.rest;
                        let found = (sum >> found.shift).clamp(-128, 127);
                        assert_eq!(found, code(&p, [left, right]), "{p:?} {left} {right}");
                    }
                }
            }
        }
    }

    /// A fifth of the left operand and half of the right one make ties all over, which the reference rounds away from zero.
    #[test]
    #[cfg_attr(miri, ignore = "every pair of bytes, hours under Miri")]
    fn ties_may_have_no_linear_function() {
        let p = problem([0.2, 0.5, 1.0], [0, 0, 0], false);
        assert_eq!(linear(&p), None);
    }
}
