//! Weights in the order in which lanes read them, and the biases that go with them.

use super::Conv2d;
use crate::fast::aligned::Aligned;
use crate::fast::lanes::{Lanes, Work};
use std::marker::PhantomData;

/// Packs the weights of a convolution.
pub(super) struct Pack<'a, L> {
    pub problem: &'a Conv2d<'a>,
    /// Weights of one output channel.
    pub depth: usize,
    /// Weights that stand side by side: a divisor of `depth`. The next begin with a dot step.
    pub run: usize,
    /// By lane of each vector: the output channel it holds, or `usize::MAX`.
    pub order: &'a [usize],
    pub lanes: PhantomData<L>,
}

/// Packed weights.
pub(super) struct Weights {
    /// Vector after vector, dot step after dot step: `N * K` weights; then one more step of zeros.
    pub packed: Aligned,
    /// By vector, what [`Lanes::suits_whole_tile`] says.
    pub suits_whole_tile: Vec<bool>,
    /// By lane, with everything that depends on no activation.
    pub bias: Vec<i32>,
    /// The zero point of packed weights.
    pub zero: i32,
}

impl<L: Lanes> Work for Pack<'_, L> {
    type Output = Weights;

    #[inline(always)]
    fn run<M: Lanes>(self, _: M) -> Weights {
        let p = self.problem;
        let signed = p.weights.is_signed();
        let offset = L::weight_offset(signed, p.filter_zero_point);
        let bias = Bias::new::<L>(p, self.depth);
        // What becomes 0: it stands where there is no weight.
        let filler = (offset.wrapping_neg() & 0xff) as u8;
        let run_steps = self.run.div_ceil(L::K);
        let steps = self.depth / self.run * run_steps;
        let per_vector = steps * L::N * L::K;
        let len = self.order.len() * steps * L::K + L::N * L::K;
        let mut packed = Aligned::new(len * size_of::<L::Weight>());
        let vectors = packed.slice_mut::<L::Weight>().chunks_exact_mut(per_vector);
        let mut biases = vec![0; self.order.len()];
        let mut suits_whole_tile = Vec::with_capacity(self.order.len() / L::N);
        let mut bytes = vec![filler; per_vector];
        let lanes = self
            .order
            .chunks_exact(L::N)
            .zip(biases.chunks_exact_mut(L::N));
        for (vector, (channels, biases)) in vectors.zip(lanes) {
            let lanes = channels.iter().zip(biases).enumerate();
            for (lane, (&channel, to)) in lanes.filter(|(_, (c, _))| **c != usize::MAX) {
                let filter = &p.filter[channel * self.depth..][..self.depth];
                *to = bias.of(channel, filter);
                let runs = bytes.chunks_exact_mut(run_steps * L::N * L::K);
                for (filter, run) in filter.chunks_exact(self.run).zip(runs) {
                    scatter::<L>(filter, &mut run[lane * L::GROUP..]);
                }
            }
            let pairs = vector.iter_mut().zip(&bytes);
            if signed {
                pairs.for_each(|(to, &byte)| {
                    *to = L::weight(i32::from(byte.cast_signed()).wrapping_add(offset));
                });
            } else {
                pairs.for_each(|(to, &byte)| *to = L::weight(i32::from(byte).wrapping_add(offset)));
            }
            suits_whole_tile.push(L::suits_whole_tile(vector));
        }
        Weights {
            packed,
            suits_whole_tile,
            bias: biases,
            zero: bias.zero_of_weights,
        }
    }
}

/// Writes the weights of one lane, `GROUP` at the beginning of every `N * GROUP`.
#[inline(always)]
fn scatter<L: Lanes>(filter: &[u8], to: &mut [u8]) {
    let mut groups = filter.chunks_exact(L::GROUP);
    let mut at = 0;
    for weights in &mut groups {
        to[at..at + L::GROUP].copy_from_slice(weights);
        at += L::N * L::GROUP;
    }
    let rest = groups.remainder();
    if !rest.is_empty() {
        to[at..at + rest.len()].copy_from_slice(rest);
    }
}

/// Biases with everything that depends on no activation; see the folder's documentation.
pub(super) struct Bias<'a> {
    given: Option<&'a [i32]>,
    signed: bool,
    /// `zw'`.
    pub zero_of_weights: i32,
    offset: i32,
    zero_of_input: i32,
    depth: i32,
}

impl<'a> Bias<'a> {
    /// Biases for packed weights of the lanes `L`.
    pub fn new<L: Lanes>(problem: &Conv2d<'a>, depth: usize) -> Self {
        let signed = problem.weights.is_signed();
        let offset = L::weight_offset(signed, problem.filter_zero_point);
        let input_offset = L::activation_offset(problem.activations.is_signed());
        Self::with_offsets(problem, depth, offset, input_offset)
    }

    /// Biases for weights and activations to which the offsets are added.
    pub fn with_offsets(
        problem: &Conv2d<'a>,
        depth: usize,
        offset: i32,
        input_offset: i32,
    ) -> Self {
        Self {
            given: problem.bias,
            signed: problem.weights.is_signed(),
            zero_of_weights: problem.filter_zero_point.wrapping_add(offset),
            offset,
            zero_of_input: problem.input_zero_point.wrapping_add(input_offset),
            depth: depth as i32,
        }
    }

    /// The bias of `channel`, whose stored weights are `filter`.
    #[inline(always)]
    pub fn of(&self, channel: usize, filter: &[u8]) -> i32 {
        let stored = match self.signed {
            true => filter
                .iter()
                .map(|&w| i32::from(w.cast_signed()))
                .fold(0, i32::wrapping_add),
            false => filter
                .iter()
                .map(|&w| i32::from(w))
                .fold(0, i32::wrapping_add),
        };
        let sum = stored.wrapping_add(self.depth.wrapping_mul(self.offset));
        let zeros = self.depth.wrapping_mul(self.zero_of_weights);
        let correction = self.zero_of_input.wrapping_mul(zeros.wrapping_sub(sum));
        self.given
            .map_or(0, |bias| bias[channel])
            .wrapping_add(correction)
    }
}
