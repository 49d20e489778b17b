//! PRELU of bytes: numbers below zero are multiplied by the factor of their channel.

use super::aligned::Aligned;
use super::lanes::{Lanes, Work, for_each_isa, same_pair};
use super::stage::Scale;
use super::{Element8, Primitive, Variant};
use crate::fixedpoint::QuantizedMultiplier;

/// A rectifier whose channels have factors of their own; both branches are scaled with two roundings.
#[derive(Debug, Clone, Copy)]
pub struct Prelu<'a> {
    /// Type of input and output.
    pub element: Element8,
    /// Zero point of the input.
    pub input_zero_point: i32,
    /// Zero point of the output.
    pub output_zero_point: i32,
    /// What numbers from zero on are multiplied by.
    pub above: QuantizedMultiplier,
    /// What numbers below zero are multiplied by after their factor.
    pub below: QuantizedMultiplier,
    /// One per channel, each a difference of bytes.
    pub factors: &'a [i32],
}

/// A prepared rectifier.
pub trait PreluKernel: Send + Sync {
    /// `prelu.<isa>`.
    fn name(&self) -> &'static str;
    /// Computes as many results as `output` has room for; `input` is as long, channels are innermost.
    fn run(&self, input: &[u8], output: &mut [u8]);
    /// Bytes of packed factors.
    fn packed_bytes(&self) -> usize;
}

macro_rules! list {
    ($($(#[$cfg:meta])* $isa:literal => $lanes:ty,)*) => {
        &[$($(#[$cfg])* Variant {
            name: concat!("prelu.", $isa),
            isa: <$lanes as Lanes>::ISA,
            prepare: |problem| prepare::<$lanes>(concat!("prelu.", $isa), problem),
        },)*]
    };
}

/// PRELU of bytes.
pub struct PreluPrimitive;

impl Primitive for PreluPrimitive {
    type Problem<'a> = Prelu<'a>;
    type Kernel = dyn PreluKernel;

    fn variants() -> &'static [Variant<Self>] {
        for_each_isa!(list)
    }
}

/// Factors that repeating them to whole blocks may make.
const MOST_FACTORS: usize = 1 << 14;

fn prepare<L: Lanes>(name: &'static str, problem: &Prelu<'_>) -> Option<Box<dyn PreluKernel>> {
    let lanes = L::detect()?;
    let multipliers = [problem.above, problem.below];
    let suits = !problem.factors.is_empty() && multipliers.into_iter().all(Scale::<L>::suits);
    suits.then(|| Box::new(Vectors::new(name, lanes, problem)) as Box<dyn PreluKernel>)
}

struct Vectors<L: Lanes> {
    name: &'static str,
    lanes: L,
    element: Element8,
    zero_points: [i32; 2],
    above: QuantizedMultiplier,
    below: QuantizedMultiplier,
    /// Elements after which factors repeat.
    period: usize,
    /// Block after block: factors as weights of a pair of taps whose second is 0.
    factors: Aligned,
    /// Block after block: what the input's zero point takes off the products.
    offsets: Aligned,
    /// Weights of a pair of taps that leave words as they are: 1 and 0.
    ones: Aligned,
}

impl<L: Lanes> Vectors<L> {
    fn new(name: &'static str, lanes: L, problem: &Prelu<'_>) -> Self {
        let block = 2 * L::N;
        let channels = problem.factors.len();
        // So often repeated they fill whole blocks.
        let repeats = (1..=block).find(|n| (n * channels).is_multiple_of(block));
        let period = match repeats.map(|n| n * channels) {
            Some(period) if period <= MOST_FACTORS => period,
            _ => channels,
        };
        let blocks = period.div_ceil(block);
        let mut factors = vec![0i16; blocks * 2 * block];
        let mut offsets = vec![0i32; blocks * block];
        for (lane, offset) in offsets.iter_mut().enumerate() {
            let (first, within) = (lane / block * block, lane % block);
            let element = first + L::block_order(within / L::N, within % L::N);
            let factor = problem.factors[element % channels];
            factors[2 * first + L::pair_order(within, 0)] = factor as i16;
            *offset = problem.input_zero_point.wrapping_mul(factor).wrapping_neg();
        }
        Self {
            name,
            lanes,
            element: problem.element,
            zero_points: [problem.input_zero_point, problem.output_zero_point],
            above: problem.above,
            below: problem.below,
            period,
            factors: Aligned::of(&factors),
            offsets: Aligned::of(&offsets),
            ones: same_pair::<L>([1, 0]),
        }
    }
}

impl<L: Lanes> PreluKernel for Vectors<L> {
    fn name(&self) -> &'static str {
        self.name
    }

    fn run(&self, input: &[u8], output: &mut [u8]) {
        self.lanes.run(Run {
            vectors: self,
            input,
            output,
        });
    }

    fn packed_bytes(&self) -> usize {
        self.factors.bytes() + self.offsets.bytes() + self.ones.bytes()
    }
}

/// One call of [`PreluKernel::run`].
struct Run<'a, L: Lanes> {
    vectors: &'a Vectors<L>,
    input: &'a [u8],
    output: &'a mut [u8],
}

impl<L: Lanes> Work for Run<'_, L> {
    type Output = ();

    #[inline(always)]
    fn run<M: Lanes>(self, _: M) {
        match self.vectors.element {
            Element8::Int8 => self.elements::<true>(),
            Element8::UInt8 => self.elements::<false>(),
        }
    }
}

impl<L: Lanes> Run<'_, L> {
    #[inline(always)]
    fn elements<const SIGNED: bool>(self) {
        let v = self.vectors;
        let block = 2 * L::N;
        let scales = Scales::new(v);
        let (factors, offsets): (&[i16], &[i32]) = (v.factors.slice(), v.offsets.slice());
        let rows = self.output.chunks_mut(v.period);
        for (to, from) in rows.zip(self.input.chunks(v.period)) {
            let factors = factors.chunks_exact(2 * block);
            let packed = factors.zip(offsets.chunks_exact(block));
            let elements = to.chunks_mut(block).zip(from.chunks(block));
            for ((to, from), (factors, offsets)) in elements.zip(packed) {
                // A whole block has a length that the compiler knows.
                let words = match from.get(..block) {
                    Some(from) => v.lanes.words(&from[..block], SIGNED),
                    None => v.lanes.words(from, SIGNED),
                };
                let codes = scales.codes(v.lanes, words, factors, offsets);
                v.lanes.store_block(codes, scales.limits, to);
            }
        }
    }
}

/// What all elements are scaled by.
struct Scales<L: Lanes> {
    ones: L::PairWeights,
    /// What the input's zero point takes off.
    offset: L::Sum,
    above: Scale<L>,
    below: Scale<L>,
    zero: L::Sum,
    limits: L::Limits,
}

impl<L: Lanes> Scales<L> {
    #[inline(always)]
    fn new(v: &Vectors<L>) -> Self {
        let low = if v.element.is_signed() { -128 } else { 0 };
        let [input, output] = v.zero_points;
        Self {
            ones: v.lanes.pair_weights(v.ones.slice()),
            offset: v.lanes.splat_sum(input.wrapping_neg()),
            above: Scale::new(v.lanes, v.above),
            below: Scale::new(v.lanes, v.below),
            zero: v.lanes.splat_sum(output),
            limits: v.lanes.limits(low, low + 255),
        }
    }

    /// The results of a block, not yet limited.
    #[inline(always)]
    fn codes(&self, lanes: L, words: L::Words, factors: &[i16], offsets: &[i32]) -> [L::Sum; 2] {
        let values = lanes.last_tap([self.offset; 2], words, self.ones);
        let products = [lanes.load_sums(offsets), lanes.load_sums(&offsets[L::N..])];
        let products = lanes.last_tap(products, words, lanes.pair_weights(factors));
        [
            self.code(lanes, values[0], products[0]),
            self.code(lanes, values[1], products[1]),
        ]
    }

    /// The results for `values` that are `products` once they are multiplied by their factors.
    #[inline(always)]
    fn code(&self, lanes: L, values: L::Sum, products: L::Sum) -> L::Sum {
        let (above, below) = (&self.above, &self.below);
        lanes.scale(
            lanes.if_negative(values, products, values),
            lanes.if_negative(values, below.multiplier, above.multiplier),
            lanes.if_negative(values, below.left, above.left),
            lanes.if_negative(values, below.right, above.right),
            self.zero,
        )
    }
}
