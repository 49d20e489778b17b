//! Matrix products of a few rows: every weight is read once, where the model stores it.
//!
//! Vectors lie along the depth: neighbouring weights of one unit meet neighbouring activations. Nothing is packed but the
//! biases, so preparing costs next to nothing.

use super::Conv2d;
use super::weights::Bias;
use crate::fast::aligned::Aligned;
use crate::fast::lanes::rows::{BLOCK, Rows, fill, padded};
use crate::fast::lanes::{Lanes, Work};
use crate::fast::stage::StageVectors;
use crate::fast::{ConvKernel, Operands, Part, Workspace};

/// The most rows that read the weights again and again: more are worth packing them.
pub(super) const MOST_ROWS: usize = 2;

/// A matrix product whose weights are given at each call.
pub(super) struct Streamed<L: Lanes> {
    name: &'static str,
    lanes: L,
    rows: usize,
    depth: usize,
    units: usize,
    signed: bool,
    weights_signed: bool,
    /// `-zw'`.
    row_factor: i32,
    bias: Aligned,
    stage: StageVectors,
}

impl<L: Lanes> Streamed<L> {
    pub(super) fn new(name: &'static str, lanes: L, problem: &Conv2d<'_>) -> Self {
        let p = problem;
        let (depth, units) = (p.depth(), p.output_channels);
        let order: Vec<usize> = (0..units.next_multiple_of(L::N))
            .map(|unit| if unit < units { unit } else { usize::MAX })
            .collect();
        let offsets = [
            L::weight_offset(p.weights.is_signed(), 0),
            L::activation_offset(p.activations.is_signed()),
        ];
        let bias = lanes.run(Biases(p, offsets, order.len()));
        Self {
            name,
            lanes,
            rows: p.batches,
            depth,
            units,
            signed: p.activations.is_signed(),
            weights_signed: p.weights.is_signed(),
            row_factor: p.filter_zero_point.wrapping_add(offsets[0]).wrapping_neg(),
            bias: Aligned::of(&bias),
            stage: StageVectors::new::<L>(p.stage.clone(), &order),
        }
    }
}

/// Biases for weights and activations to which offsets are added; padded to a number of units.
struct Biases<'a>(&'a Conv2d<'a>, [i32; 2], usize);

impl Work for Biases<'_> {
    type Output = Vec<i32>;

    #[inline(always)]
    fn run<M: Lanes>(self, _: M) -> Vec<i32> {
        let Self(problem, [offset, input_offset], padded) = self;
        let depth = problem.depth();
        let bias = Bias::with_offsets(problem, depth, offset, input_offset);
        let filters = problem.filter.chunks_exact(depth).enumerate();
        let mut biases: Vec<i32> = filters
            .map(|(unit, filter)| bias.of(unit, filter))
            .collect();
        biases.resize(padded, 0);
        biases
    }
}

/// One call of [`ConvKernel::run`].
struct Run<'a, L: Lanes> {
    streamed: &'a Streamed<L>,
    input: &'a [u8],
    filter: &'a [u8],
    output: &'a mut [u8],
    part: Part,
    activations: &'a mut [L::Activation],
}

impl<L: Lanes> Work for Run<'_, L> {
    type Output = ();

    #[inline(always)]
    fn run<M: Lanes>(self, _: M) {
        let s = self.streamed;
        let padded = padded::<L>(s.depth);
        let (first, count) = (self.part.rows.start, self.part.rows.len());
        let input = &self.input[first * s.depth..];
        // Stored bytes are read where they are, unless vectors read on behind them.
        let activations = match L::reads_stored(s.signed) && padded == s.depth {
            true => L::stored(input),
            false => {
                let rows = input.chunks_exact(s.depth).take(count);
                for (to, from) in self.activations.chunks_exact_mut(padded).zip(rows) {
                    fill::<L>(to, s.depth, from, s.signed);
                }
                &*self.activations
            }
        };
        let mut terms = [0i32; MOST_ROWS];
        if s.row_factor != 0 {
            let rows = activations.chunks_exact(padded).take(count);
            for (term, row) in terms.iter_mut().zip(rows) {
                *term = L::sum(&row[..s.depth]).wrapping_mul(s.row_factor);
            }
        }
        let channels = self.part.channels;
        let (begin, width) = (channels.start, channels.len());
        let filter = &self.filter[begin * s.depth..channels.end * s.depth];
        for block in (0..width).step_by(BLOCK) {
            let units = BLOCK.min(width - block);
            for (row, &term) in terms[..count].iter().enumerate() {
                let product = Rows {
                    activations: &activations[row * padded..][..padded],
                    filter,
                    depth: s.depth,
                    signed: s.weights_signed,
                };
                let mut sums = [0; BLOCK];
                product.sums(s.lanes, block, &mut sums);
                let to = &mut self.output[row * width + block..][..units];
                s.finish(&sums, begin + block, term, to);
            }
        }
    }
}

impl<L: Lanes> Streamed<L> {
    /// Makes results of sums, whose first is that of unit `first`; `term` is added to each.
    #[inline(always)]
    fn finish(&self, sums: &[i32], first: usize, term: i32, to: &mut [u8]) {
        let (lanes, stage) = (self.lanes, self.stage.view());
        let limits = stage.limits(lanes);
        let term = lanes.splat_sum(term);
        let units = to.len().next_multiple_of(L::N);
        let (sums, bias) = (&sums[..units], &self.bias.slice::<i32>()[first..][..units]);
        if let Some(right) = stage.right(first, units) {
            let rest = lanes.splat_sum(2 * i32::from(right.zero) + 1);
            let width = 4 * L::N;
            let mut at = 0;
            let mut fours = to.chunks_exact_mut(width);
            for to in fours.by_ref() {
                let ends = Ends {
                    lanes,
                    sums: &sums[at..][..width],
                    bias: &bias[at..][..width],
                    multipliers: &right.multipliers[at..][..width],
                    rights: &right.rights[at..][..width],
                };
                let (a, b) = (ends.scaled(0, term, rest), ends.scaled(1, term, rest));
                let (c, d) = (ends.scaled(2, term, rest), ends.scaled(3, term, rest));
                lanes.store_four([a, b, c, d], limits, to);
                at += width;
            }
            for to in fours.into_remainder().chunks_mut(L::N) {
                let ends = Ends {
                    lanes,
                    sums: &sums[at..][..L::N],
                    bias: &bias[at..][..L::N],
                    multipliers: &right.multipliers[at..][..L::N],
                    rights: &right.rights[at..][..L::N],
                };
                lanes.store_codes(ends.scaled(0, term, rest), limits, to);
                at += L::N;
            }
            return;
        }
        let sums = sums.chunks_exact(L::N).zip(bias.chunks_exact(L::N));
        for (vector, ((sums, bias), to)) in sums.zip(to.chunks_mut(L::N)).enumerate() {
            let sums = lanes.add(lanes.load_sums(sums), lanes.load_sums(bias));
            let sums = lanes.add(sums, term);
            let scales = stage.at(lanes, first + vector * L::N);
            scales.apply(lanes, [[sums]], |[[codes]]| {
                lanes.store_codes(codes, limits, to)
            });
        }
    }
}

/// Sums of neighbouring units, whole vectors, and what makes results of them.
struct Ends<'a, L: Lanes> {
    lanes: L,
    sums: &'a [i32],
    bias: &'a [i32],
    multipliers: &'a [i32],
    rights: &'a [i32],
}

impl<L: Lanes> Ends<'_, L> {
    /// Vector `vector`, scaled by [`Lanes::scale_right`], with `term` added before.
    #[inline(always)]
    fn scaled(&self, vector: usize, term: L::Sum, rest: L::Sum) -> L::Sum {
        let (lanes, at) = (self.lanes, vector * L::N);
        let sums = lanes.load_sums(&self.sums[at..]);
        let bias = lanes.load_sums(&self.bias[at..]);
        let sums = lanes.add(lanes.add(sums, bias), term);
        let multipliers = lanes.load_sums(&self.multipliers[at..]);
        let rights = lanes.load_sums(&self.rights[at..]);
        lanes.scale_right(sums, multipliers, rights, rest)
    }
}

impl<L: Lanes> ConvKernel for Streamed<L> {
    fn name(&self) -> &'static str {
        self.name
    }

    fn run(
        &self,
        operands: Operands<'_>,
        output: &mut [u8],
        part: Part,
        workspace: &mut Workspace,
    ) {
        self.lanes.run(Run {
            streamed: self,
            input: operands.input,
            filter: operands.filter,
            output,
            part,
            activations: workspace.slice_mut(),
        });
    }

    fn extent(&self) -> (usize, usize) {
        (self.rows, self.units)
    }

    fn row_macs(&self) -> usize {
        self.depth * self.units
    }

    fn channel_step(&self) -> usize {
        L::N
    }

    fn splits_channels(&self) -> bool {
        true
    }

    fn reads_filter(&self) -> bool {
        true
    }

    fn packed_bytes(&self) -> usize {
        self.bias.bytes() + self.stage.bytes()
    }

    fn workspace_bytes(&self) -> usize {
        self.rows * padded::<L>(self.depth) * size_of::<L::Activation>()
    }
}
