//! Convolutions with packed weights, panel by panel.

use super::Conv2d;
use super::band::{Band, fill_steps};
use super::gather::Gather;
use super::weights::Pack;
use crate::fast::aligned::Aligned;
use crate::fast::convolution::task_macs;
use crate::fast::lanes::tile::{Panel, Rows, Runs, Target};
use crate::fast::lanes::{Lanes, Work};
use crate::fast::stage::StageVectors;
use crate::fast::{ConvKernel, Operands, Part, Window, Workspace};
use std::marker::PhantomData;

/// Bytes of a panel, if that many rows make one: half of a small second-level cache.
const PANEL_BYTES: usize = 64 << 10;

/// Bytes of a band, if several output rows make one.
const BAND_BYTES: usize = 48 << 10;

/// Elements that are copied at once where a row is short; panels have as many to spare.
pub(super) const BLOCK: usize = 16;

/// What the rows of a product are read from.
enum Source {
    /// The input as it is.
    Input,
    /// A band of the input's rows, with padding, as the lanes want them.
    Band(Band),
    /// Windows that are copied one behind the other.
    Windows,
}

impl Source {
    /// The best for `problem`, and where its rows are.
    fn new<L: Lanes>(problem: &Conv2d<'_>) -> (Self, Runs) {
        let p = problem;
        let run = p.columns.taps * p.filter_channels;
        let steps = run.div_ceil(L::K);
        let all_steps = (p.rows.taps * run).div_ceil(L::K);
        let windows = Runs {
            count: 1,
            stride: 0,
            steps: all_steps,
        };
        let one_group = p.filter_channels == p.input_channels;
        if !one_group || p.columns.dilation > 1 {
            return (Self::Windows, windows);
        }
        let row = p.columns.input * p.input_channels;
        let input = p.batches * p.rows.input * row;
        let stored = L::reads_stored(p.activations.is_signed()) && u32::try_from(input).is_ok();
        if stored && !p.rows.pads() && !p.columns.pads() && run.is_multiple_of(L::K) {
            let runs = Runs {
                count: p.rows.taps,
                stride: p.rows.dilation * row,
                steps,
            };
            return (Self::Input, runs);
        }
        let room = BAND_BYTES / size_of::<L::Activation>();
        let band = Band::new(p.rows, p.columns, p.input_channels, room);
        let points = p.rows.is_point() && p.columns.is_point();
        // Taps that lie far apart leave rows between them that nothing reads: a band grows with the dilation, a window does not.
        let most = room.max(p.rows.input.saturating_mul(row).saturating_mul(4));
        let fits = band.len(p.rows) <= most && u32::try_from(most).is_ok();
        if points || !fits {
            return (Self::Windows, windows);
        }
        (Self::Band(band), band.runs(p.rows, steps))
    }
}

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
    source: Source,
    runs: Runs,
    /// `-zw'`.
    pub(super) row_factor: i32,
    panel_rows: usize,
    /// Group after group of vectors of output channels.
    weights: Aligned,
    suits_whole_tile: Box<[bool]>,
    bias: Aligned,
    stage: StageVectors,
}

/// Vectors for `channels` of one of `groups`: pairs of them where the lanes have loops for pairs.
fn vectors_of<L: Lanes>(groups: usize, channels: usize) -> usize {
    let vectors = channels.div_ceil(L::N);
    match L::WHOLE_TILES && groups == 1 {
        true => vectors.next_multiple_of(2),
        false => vectors,
    }
}

impl<L: Lanes> Packed<L> {
    pub(super) fn new(name: &'static str, lanes: L, problem: &Conv2d<'_>) -> Self {
        let p = problem;
        let depth = p.depth();
        let groups = p.input_channels / p.filter_channels;
        let group_channels = p.output_channels / groups;
        let vectors = vectors_of::<L>(groups, group_channels);
        let (source, runs) = Source::new::<L>(p);
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
            run: depth / runs.count,
            order: &order,
            lanes: PhantomData,
        });
        let stride_bytes = runs.all_steps() * L::K * size_of::<L::Activation>();
        let panel_rows = match &source {
            Source::Band(band) => band.rows * p.columns.output,
            _ => (PANEL_BYTES / stride_bytes)
                .max(1)
                .next_multiple_of(L::ROWS),
        };
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
            source,
            runs,
            row_factor: weights.zero.wrapping_neg(),
            panel_rows: panel_rows.min(all_rows.max(1)),
            weights: weights.packed,
            suits_whole_tile: weights.suits_whole_tile.into(),
            bias: Aligned::of(&weights.bias),
            stage: StageVectors::new::<L>(p.stage.clone(), &order),
        }
    }

    pub(super) fn depth(&self) -> usize {
        self.rows.taps * self.columns.taps * self.filter_channels
    }

    /// Activations from one window that is copied to the next.
    pub(super) fn stride(&self) -> usize {
        self.runs.steps * L::K
    }

    fn panel_len(&self) -> usize {
        match self.source {
            Source::Input => 0,
            Source::Band(band) => band.len(self.rows) + BLOCK,
            Source::Windows => self.panel_rows * self.stride() + BLOCK,
        }
    }
}

/// One call of [`ConvKernel::run`].
struct Run<'a, L: Lanes> {
    packed: &'a Packed<L>,
    input: &'a [u8],
    output: &'a mut [u8],
    part: Part,
    panel: &'a mut [L::Activation],
    begins: &'a mut [u32],
    row_terms: &'a mut [i32],
}

impl<L: Lanes> Work for Run<'_, L> {
    type Output = ();

    #[inline(always)]
    fn run<M: Lanes>(mut self, _: M) {
        for group in 0..self.packed.groups {
            let mut row = self.part.rows.start;
            while row < self.part.rows.end {
                let mut rows = self.packed.panel_rows.min(self.part.rows.end - row);
                if let Source::Band(band) = self.packed.source {
                    rows = self.packed.band_positions(band, row, rows);
                }
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
        let begins = &mut self.begins[..rows];
        match p.source {
            Source::Input => p.begins_in_input(first, begins),
            Source::Band(band) => p.fill_band(band, self.input, first, self.panel, begins),
            Source::Windows => {
                let gather = Gather {
                    packed: p,
                    input: self.input,
                    group,
                };
                gather.rows(first, rows, self.panel);
                fill_steps(begins, 0, p.stride());
            }
        }
        if p.row_factor != 0 {
            let run = p.depth() / p.runs.count;
            let activations = match p.source {
                Source::Input => L::stored(self.input),
                _ => self.panel,
            };
            for (&begin, term) in begins.iter().zip(&mut self.row_terms[..rows]) {
                let runs = (0..p.runs.count).map(|number| begin as usize + number * p.runs.stride);
                let sums = runs.map(|at| L::sum(&activations[at..][..run]));
                *term = sums.fold(0, i32::wrapping_add).wrapping_mul(p.row_factor);
            }
        }
    }

    #[inline(always)]
    fn multiply(&mut self, group: usize, first: usize, rows: usize) {
        let p = self.packed;
        let vectors = vectors_of::<L>(p.groups, p.group_channels);
        let panel = Panel::<L> {
            activations: match p.source {
                Source::Input => L::stored(self.input),
                _ => self.panel,
            },
            rows: Rows::new(&self.begins[..rows]),
            runs: p.runs,
            row_terms: if p.row_factor == 0 {
                &[]
            } else {
                self.row_terms
            },
            weights: p.weights.slice(),
            suits_whole_tile: &p.suits_whole_tile,
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
        // Those that fill pairs of vectors are computed for nothing.
        let end = match p.groups {
            1 => vectors_of::<L>(1, channels.end),
            _ => vectors,
        };
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
            let at = group * vectors + vector;
            match width {
                4 => panel.columns::<4>(p.lanes, at, columns, target),
                2 => panel.columns::<2>(p.lanes, at, columns, target),
                _ => panel.columns::<1>(p.lanes, at, columns, target),
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
        let memory = workspace.slice_mut::<i32>();
        let (begins, memory) = memory.split_at_mut(self.panel_rows);
        let (row_terms, panel) = memory.split_at_mut(self.panel_rows);
        let panel = &mut bytemuck::cast_slice_mut(panel)[..self.panel_len()];
        self.lanes.run(Run {
            packed: self,
            input: operands.input,
            output,
            part,
            panel,
            begins: bytemuck::cast_slice_mut(begins),
            row_terms,
        });
    }

    fn extent(&self) -> (usize, usize) {
        let rows = self.batches * self.rows.output * self.columns.output;
        (rows, self.groups * self.group_channels)
    }

    fn row_macs(&self) -> usize {
        self.depth() * self.groups * self.group_channels
    }

    fn task_macs(&self) -> usize {
        task_macs::<L>()
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
        panel.next_multiple_of(size_of::<i32>()) + 2 * self.panel_rows * size_of::<i32>()
    }
}
