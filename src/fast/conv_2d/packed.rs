//! Convolutions with packed weights, panel by panel.

use super::Conv2d;
use super::gather::Gather;
use super::weights::Pack;
use crate::fast::aligned::Aligned;
use crate::fast::lanes::tile::{Panel, Target};
use crate::fast::lanes::{Lanes, Work};
use crate::fast::stage::StageVectors;
use crate::fast::{ConvKernel, Operands, Part, Window, Workspace};
use std::marker::PhantomData;

/// Bytes of a panel, if that many rows make one: half of a small second-level cache.
const PANEL_BYTES: usize = 64 << 10;

/// Elements that are copied at once where a row is short; panels have as many to spare.
pub(super) const BLOCK: usize = 16;

/// A convolution with weights in the order in which lanes read them.
pub(super) struct Packed<L: Lanes> {
    name: &'static str,
    lanes: L,
    pub(super) batches: usize,
    pub(super) rows: Window,
    pub(super) columns: Window,
    pub(super) input_channels: usize,
    pub(super) filter_channels: usize,
    /// Output channels of one group.
    group_channels: usize,
    groups: usize,
    pub(super) signed: bool,
    /// What stands for zero in a panel.
    pub(super) zero: L::Activation,
    /// Dot steps of one sum.
    steps: usize,
    /// `-zw'`.
    pub(super) row_factor: i32,
    panel_rows: usize,
    /// Group after group of vectors of output channels.
    weights: Aligned,
    suits_whole_tile: Box<[bool]>,
    bias: Aligned,
    stage: StageVectors,
}

impl<L: Lanes> Packed<L> {
    pub(super) fn new(name: &'static str, lanes: L, problem: &Conv2d<'_>) -> Self {
        let p = problem;
        let depth = p.rows.taps * p.columns.taps * p.filter_channels;
        let groups = p.input_channels / p.filter_channels;
        let group_channels = p.output_channels / groups;
        let vectors = group_channels.div_ceil(L::N);
        let steps = depth.div_ceil(L::K);
        let signed = p.activations.is_signed();
        // By lane: the channel it holds.
        let mut order = vec![usize::MAX; groups * vectors * L::N];
        for channel in 0..p.output_channels {
            let (group, within) = (channel / group_channels, channel % group_channels);
            order[group * vectors * L::N + within] = channel;
        }
        let weights = lanes.run(Pack::<L> {
            problem: p,
            depth,
            order: &order,
            lanes: PhantomData,
        });
        let stride_bytes = steps * L::K * size_of::<L::Activation>();
        let panel_rows = (PANEL_BYTES / stride_bytes)
            .max(1)
            .next_multiple_of(L::ROWS);
        let all_rows = p.batches * p.rows.output * p.columns.output;
        Self {
            name,
            lanes,
            batches: p.batches,
            rows: p.rows,
            columns: p.columns,
            input_channels: p.input_channels,
            filter_channels: p.filter_channels,
            group_channels,
            groups,
            signed,
            zero: L::activation((p.input_zero_point & 0xff) as u8, signed),
            steps,
            row_factor: weights.zero.wrapping_neg(),
            panel_rows: panel_rows.min(all_rows.max(1)),
            weights: weights.packed,
            suits_whole_tile: weights.suits_whole_tile.into(),
            bias: Aligned::of(&weights.bias),
            stage: StageVectors::new(p.stage.clone(), &order),
        }
    }

    pub(super) fn depth(&self) -> usize {
        self.rows.taps * self.columns.taps * self.filter_channels
    }

    /// Activations from one row of a panel to the next.
    pub(super) fn stride(&self) -> usize {
        self.steps * L::K
    }

    fn panel_len(&self) -> usize {
        self.panel_rows * self.stride() + BLOCK
    }
}

/// One call of [`ConvKernel::run`].
struct Run<'a, L: Lanes> {
    packed: &'a Packed<L>,
    input: &'a [u8],
    output: &'a mut [u8],
    part: Part,
    panel: &'a mut [L::Activation],
    row_terms: &'a mut [i32],
}

impl<L: Lanes> Work for Run<'_, L> {
    type Output = ();

    #[inline(always)]
    fn run<M: Lanes>(mut self, _: M) {
        for group in 0..self.packed.groups {
            let mut row = self.part.rows.start;
            while row < self.part.rows.end {
                let rows = self.packed.panel_rows.min(self.part.rows.end - row);
                self.fill(group, row, rows);
                self.multiply(group, row - self.part.rows.start, rows);
                row += rows;
            }
        }
    }
}

impl<L: Lanes> Run<'_, L> {
    #[inline(always)]
    fn fill(&mut self, group: usize, first: usize, rows: usize) {
        let p = self.packed;
        let gather = Gather {
            packed: p,
            input: self.input,
            group,
        };
        gather.rows(first, rows, self.panel);
        if p.row_factor != 0 {
            for (row, term) in self.row_terms[..rows].iter_mut().enumerate() {
                let sum = L::sum(&self.panel[row * p.stride()..][..p.depth()]);
                *term = sum.wrapping_mul(p.row_factor);
            }
        }
    }

    #[inline(always)]
    fn multiply(&mut self, group: usize, first: usize, rows: usize) {
        let p = self.packed;
        let vectors = p.group_channels.div_ceil(L::N);
        let panel = Panel::<L> {
            activations: self.panel,
            stride: p.stride(),
            row_terms: if p.row_factor == 0 {
                &[]
            } else {
                self.row_terms
            },
            weights: p.weights.slice(),
            suits_whole_tile: &p.suits_whole_tile,
            steps: p.steps,
            bias: p.bias.slice(),
            stage: p.stage.view(),
        };
        // With a single group, a part of its channels.
        let channels = match p.groups {
            1 => self.part.channels.clone(),
            _ => 0..p.group_channels,
        };
        let stride = match p.groups {
            1 => channels.len(),
            groups => groups * p.group_channels,
        };
        let mut vector = channels.start / L::N;
        let end = channels.end.div_ceil(L::N);
        while vector < end {
            let channel = vector * L::N;
            let width = match (end - vector).min(L::VECTORS) {
                4.. => 4,
                2.. => 2,
                _ => 1,
            };
            let columns = (channels.end - channel).min(width * L::N);
            let to =
                group * p.group_channels * usize::from(p.groups > 1) + channel - channels.start;
            let target = Target {
                output: &mut self.output[first * stride + to..],
                stride,
            };
            let (at, size) = (group * vectors + vector, [rows, columns]);
            match width {
                4 => panel.columns::<4>(p.lanes, at, size, target),
                2 => panel.columns::<2>(p.lanes, at, size, target),
                _ => panel.columns::<1>(p.lanes, at, size, target),
            }
            vector += width;
        }
    }
}

impl<L: Lanes> ConvKernel for Packed<L> {
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
        let panel_bytes = self.panel_len() * size_of::<L::Activation>();
        let (panel, terms) = workspace
            .slice_mut::<u8>()
            .split_at_mut(panel_bytes.next_multiple_of(size_of::<i32>()));
        let terms = &mut terms[..self.panel_rows * size_of::<i32>()];
        self.lanes.run(Run {
            packed: self,
            input: operands.input,
            output,
            part,
            panel: bytemuck::cast_slice_mut(&mut panel[..panel_bytes]),
            row_terms: bytemuck::cast_slice_mut(terms),
        });
    }

    fn extent(&self) -> (usize, usize) {
        let rows = self.batches * self.rows.output * self.columns.output;
        (rows, self.groups * self.group_channels)
    }

    fn row_macs(&self) -> usize {
        self.depth() * self.groups * self.group_channels
    }

    fn channel_step(&self) -> usize {
        L::VECTORS * L::N
    }

    fn splits_channels(&self) -> bool {
        self.groups == 1
    }

    fn packed_bytes(&self) -> usize {
        self.weights.bytes() + self.bias.bytes() + self.stage.bytes()
    }

    fn workspace_bytes(&self) -> usize {
        let panel = self.panel_len() * size_of::<L::Activation>();
        panel.next_multiple_of(size_of::<i32>()) + self.panel_rows * size_of::<i32>()
    }
}
