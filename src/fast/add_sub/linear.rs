//! Sums and differences without a rounding on the way: a linear function of the stored operands, shifted to the right.
//!
//! The reference rounds an operand, the other one, and the result twice. With multipliers of 22 bits for the stored operands,
//! and something added that is chosen for it, most often the same results come out for every pair of bytes. That is what is
//! tried when the operator is prepared: a function is found only if it gives the reference's result for all 65536 pairs.

use super::AddSub;
use crate::fast::aligned::Aligned;
use crate::fast::binary::{BinaryKernel, Combine, Elements, Vectors, combine};
use crate::fast::lanes::{Lanes, same_pair};

/// Results of an inference from which on trying every pair of bytes pays: a few dozen inferences make up for it.
const FEWEST_RESULTS: usize = 2048;

/// Bits of the lower part of a multiplier. The higher part has 16, a sign among them.
const LOW_BITS: u32 = 7;

/// What multipliers stay below, so that their higher parts fit 16 bits.
const MOST: f64 = (1 << (LOW_BITS + 15)) as f64;

/// How far the multipliers that are tried are from the nearest ones, nearest first.
const STEPS: [i32; 5] = [0, 1, -1, 2, -2];

/// The kernel; `None` where no linear function gives the reference's results.
pub(super) fn prepare<L: Lanes>(
    name: &'static str,
    lanes: L,
    problem: &AddSub,
) -> Option<Box<dyn BinaryKernel>> {
    if problem.count < FEWEST_RESULTS {
        return None;
    }
    let function = Linear::new(problem)?;
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

/// `(left * multipliers[0] + right * multipliers[1] + rest) >> shift`, then limited, of stored bytes.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Linear {
    multipliers: [i32; 2],
    rest: i32,
    shift: u32,
}

impl Linear {
    /// The function that gives the results of `problem`, if one is found.
    fn new(problem: &AddSub) -> Option<Self> {
        let stored = match problem.element.is_signed() {
            true => -128..=127,
            false => 0..=255,
        };
        let operand = |number| {
            stored
                .clone()
                .map(move |value| problem.operand(number, value))
        };
        let (left, right): (Vec<i32>, Vec<i32>) = (operand(0).collect(), operand(1).collect());
        let pairs = left
            .iter()
            .flat_map(|&l| right.iter().map(move |&r| (l, r)));
        let codes: Vec<i32> = pairs.map(|(l, r)| problem.code(l, r)).collect();

        let output = problem.output.1.to_real() * f64::from(1u32 << problem.left_shift);
        let [left, right] = problem.operands.map(|(_, m)| m.to_real() * output);
        let real = [left, if problem.subtract { -right } else { right }];
        let (low, high) = (f64::from(*stored.start()), f64::from(*stored.end()));
        let zeros = problem.operands.map(|(zero, _)| f64::from(zero));
        // The greatest result, and one more for what is added to round it.
        let reach = |number: usize| {
            let farthest = (low - zeros[number])
                .abs()
                .max((high - zeros[number]).abs());
            farthest * real[number].abs()
        };
        let greatest = reach(0) + reach(1) + f64::from(problem.output.0).abs() + 1.0;
        let largest = real[0].abs().max(real[1].abs());
        let shift = (1..=30u32).rev().find(|&shift| {
            let unit = f64::from(1u32 << shift);
            largest * unit < MOST - 4.0 && greatest * unit < f64::from(i32::MAX)
        })?;
        let nearest = real.map(|real| (real * f64::from(1u32 << shift)).round() as i32);
        let steps = STEPS.iter().flat_map(|&l| STEPS.map(|r| [l, r]));
        steps.into_iter().find_map(|[l, r]| {
            let multipliers = [nearest[0] + l, nearest[1] + r];
            let this = Self {
                multipliers,
                rest: 0,
                shift,
            };
            let rest = this.rest(*stored.start(), &codes, problem.clamp)?;
            Some(Self { rest, ..this })
        })
    }

    /// What has to be added for `codes` to come out, those of neighbouring right operands side by side from `first` on.
    fn rest(&self, first: i32, codes: &[i32], clamp: (i32, i32)) -> Option<i32> {
        let [by_left, by_right] = self.multipliers.map(i64::from);
        let (mut least, mut most) = (i64::MIN, i64::MAX);
        for (left, codes) in (i64::from(first)..).zip(codes.chunks_exact(256)) {
            for (right, &code) in (i64::from(first)..).zip(codes) {
                let sum = left * by_left + right * by_right;
                let begin = (i64::from(code) << self.shift) - sum;
                // At the limits, anything beyond them does as well.
                if code > clamp.0 {
                    least = least.max(begin);
                }
                if code < clamp.1 {
                    most = most.min(begin + (1 << self.shift) - 1);
                }
            }
            if least > most {
                return None;
            }
        }
        // One result for every pair leaves it open on one side.
        let rest = match (least, most) {
            (i64::MIN, most) => most,
            (least, i64::MAX) => least,
            (least, most) => least + (most - least) / 2,
        };
        // 32 bits hold the sum for every pair.
        let ends = [i64::from(first), i64::from(first) + 255];
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
    fn run(&self, lanes: L, operands: [&[u8]; 2], output: &mut [u8]) {
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
    use crate::fixedpoint::QuantizedMultiplier;

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
                let found = Linear::new(&p).unwrap_or_else(|| panic!("{p:?}"));
                let [by_left, by_right] = found.multipliers;
                for left in -128..=127 {
                    for right in -128..=127 {
                        let sum = left * by_left + right * by_right + found.rest;
                        let code = (sum >> found.shift).clamp(-128, 127);
                        let expected = p.code(p.operand(0, left), p.operand(1, right));
                        assert_eq!(code, expected, "{p:?} {left} {right}");
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
        assert_eq!(Linear::new(&p), None);
    }
}
