//! Sums and differences of bytes whose scales differ.

use super::aligned::Aligned;
use super::lanes::{Lanes, MOST_SUMS, Work, for_each_isa};
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
}

/// A prepared sum or difference.
pub trait AddSubKernel: Send + Sync {
    /// `add.<isa>` or `sub.<isa>`.
    fn name(&self) -> &'static str;
    /// Computes as many results as `output` has room for; operands are as long.
    fn run(&self, left: &[u8], right: &[u8], output: &mut [u8]);
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
    type Kernel = dyn AddSubKernel;

    fn variants() -> &'static [Variant<Self>] {
        for_each_isa!(list)
    }
}

fn prepare<L: Lanes>(name: &'static str, problem: &AddSub) -> Option<Box<dyn AddSubKernel>> {
    let lanes = L::detect()?;
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
        }) as Box<dyn AddSubKernel>
    })
}

struct Vectors<L: Lanes> {
    name: &'static str,
    lanes: L,
    problem: AddSub,
    /// Weights of a pair of taps that leave words as they are: 1 and 0.
    ones: Aligned,
}

impl<L: Lanes> AddSubKernel for Vectors<L> {
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

/// One call of [`AddSubKernel::run`].
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
        let output = self.output;
        let [left, right] = self.operands.map(|operand| &operand[..output.len()]);
        let scales = Scales::new(lanes, p, self.vectors.ones.slice());
        // Two blocks at a time: what one waits for the other fills.
        let block = 4 * L::N;
        let mut outputs = output.chunks_exact_mut(block);
        let operands = left.chunks_exact(block).zip(right.chunks_exact(block));
        for (to, (left, right)) in (&mut outputs).zip(operands) {
            let at = |operand: &[u8], half: usize| {
                lanes.words(&operand[half * 2 * L::N..][..2 * L::N], SIGNED)
            };
            let codes = scales.codes::<SUBTRACT, 2>(
                lanes,
                [at(left, 0), at(left, 1)],
                [at(right, 0), at(right, 1)],
            );
            let (first, second) = to.split_at_mut(2 * L::N);
            lanes.store_block(codes[0], scales.limits, first);
            lanes.store_block(codes[1], scales.limits, second);
        }
        let rest = outputs.into_remainder();
        let from = left.len() - rest.len();
        let operands = left[from..]
            .chunks(2 * L::N)
            .zip(right[from..].chunks(2 * L::N));
        for (to, (left, right)) in rest.chunks_mut(2 * L::N).zip(operands) {
            let (left, right) = (lanes.words(left, SIGNED), lanes.words(right, SIGNED));
            let [codes] = scales.codes::<SUBTRACT, 1>(lanes, [left], [right]);
            lanes.store_block(codes, scales.limits, to);
        }
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
struct Scales<L: Lanes> {
    ones: L::PairWeights,
    operands: [Scale<L>; 2],
    output: Scale<L>,
    none: L::Sum,
    limits: L::Limits,
}

impl<L: Lanes> Scales<L> {
    #[inline(always)]
    fn new(lanes: L, p: &AddSub, ones: &[i16]) -> Self {
        let operand =
            |(zero, by): (i32, _)| Scale::new(lanes, zero.wrapping_neg(), by, p.left_shift);
        Self {
            ones: lanes.pair_weights(ones),
            operands: p.operands.map(operand),
            output: Scale::new(lanes, p.output.0, p.output.1, 0),
            none: lanes.splat_sum(0),
            limits: lanes.limits(p.clamp.0, p.clamp.1),
        }
    }

    /// The results of `B` blocks, not yet limited.
    #[inline(always)]
    fn codes<const SUBTRACT: bool, const B: usize>(
        &self,
        lanes: L,
        left: [L::Words; B],
        right: [L::Words; B],
    ) -> [[L::Sum; 2]; B] {
        // Loops, because `map` of an array may stay a call, and a call loses the vectors.
        let mut codes = [[self.none; 2]; B];
        for block in 0..B {
            let left = self.operand(lanes, left[block], 0);
            let right = self.operand(lanes, right[block], 1);
            for half in 0..2 {
                let sum = match SUBTRACT {
                    true => lanes.subtract(left[half], right[half]),
                    false => lanes.add(left[half], right[half]),
                };
                let by = &self.output;
                codes[block][half] = lanes.scale(sum, by.multiplier, by.left, by.right, by.zero);
            }
        }
        codes
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
