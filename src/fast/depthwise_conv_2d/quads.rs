//! Depthwise convolutions with weights as bytes, four columns of a channel in one step.

use super::{DepthwiseConv2d, TASK_MACS};
use crate::fast::aligned::Aligned;
use crate::fast::lanes::quads::{QUAD, QuadWindows, tile};
use crate::fast::lanes::{Lanes, MOST_SUMS, Work};
use crate::fast::stage::StageVectors;
use crate::fast::{ConvKernel, Operands, Part, Window, Workspace};
use std::array;

/// A depthwise convolution of 3x3 taps, 5x5, or a few in a line.
pub(super) struct Quads<L: Lanes> {
    name: &'static str,
    lanes: L,
    batches: usize,
    rows: Window,
    columns: Window,
    /// Quads of a row of taps.
    quads: usize,
    channels: usize,
    signed: bool,
    /// The stored channels of a position in the padding.
    padding: Box<[u8]>,
    /// A copied row in the padding, as much of it as a tile reads.
    padding_row: Box<[L::Activation]>,
    /// See [`QuadWindows`], like what follows.
    weights: Aligned,
    fits: Box<[bool]>,
    bias: Aligned,
    stage: StageVectors,
    halves: bool,
}

impl<L: Lanes> Quads<L> {
    /// The kernel, where the lanes, the filter's shape and the weights allow it.
    pub(super) fn new(name: &'static str, lanes: L, problem: &DepthwiseConv2d<'_>) -> Option<Self> {
        let p = problem;
        // A picture of one column is one of one row.
        let turned = p.columns == Window::point(1);
        let (rows, columns) = match turned {
            true => (p.columns, p.rows),
            false => (p.rows, p.columns),
        };
        let quads = match (rows.taps, columns.taps) {
            (3, 3) => 1,
            (5, 5) => 2,
            (1, 2..=MOST_IN_LINE) => LINE_QUADS,
            _ => return None,
        };
        let dilates = [rows, columns].iter().any(|window| window.dilation > 1);
        if !L::QUADS || p.multiplier > 1 || dilates || !matches!(columns.stride, 1 | 2) {
            return None;
        }
        let steps = Steps {
            columns: columns.taps,
            quads,
            sets: sets(&columns),
        };
        let channels = p.output_channels();
        let halves = 2 * channels == L::N;
        let order: Vec<usize> = (0..channels.next_multiple_of(L::N))
            .map(|lane| match lane {
                _ if halves => lane % channels,
                _ if lane < channels => lane,
                _ => usize::MAX,
            })
            .collect();
        let vectors = order.len() / L::N;
        let part = rows.taps * quads * steps.sets * L::N * QUAD;
        let mut weights = Aligned::new(vectors * 2 * part);
        let mut bias = vec![0; order.len()];
        let mut fits = Vec::with_capacity(vectors);
        let signed = p.activations.is_signed();
        let offset = p.input_zero_point + L::activation_offset(signed);
        let vectors = order.chunks_exact(L::N).zip(bias.chunks_exact_mut(L::N));
        for ((order, bias), to) in vectors.zip(weights.slice_mut().chunks_exact_mut(2 * part)) {
            let (bytes, rest) = to.split_at_mut(part);
            let sums = steps.pack(p, order, [bytes, rest])?;
            for ((bias, &channel), sum) in bias.iter_mut().zip(order).zip(sums) {
                let own = p.bias.and_then(|bias| bias.get(channel));
                *bias = own
                    .map_or(0, |&own| own)
                    .wrapping_sub(offset.wrapping_mul(sum));
            }
            fits.push(rest.iter().all(|&weight| weight == 0));
        }
        let zero = (p.input_zero_point & 0xff) as u8;
        let ahead = 2 * quads * channels;
        Some(Self {
            name,
            lanes,
            batches: p.batches,
            rows,
            columns,
            quads,
            channels,
            signed,
            padding: vec![zero; channels].into(),
            padding_row: vec![L::activation(zero, signed); (ahead + order.len()) * QUAD].into(),
            weights,
            fits: fits.into(),
            bias: Aligned::of(&bias),
            stage: StageVectors::new::<L>(p.stage.clone(), &order),
            halves,
        })
    }

    /// Quads of a channel in a copied row.
    fn row_quads(&self) -> usize {
        let tile = tile(self.halves);
        let tiles = self.columns.output.div_ceil(tile);
        tiles * (tile / sets(&self.columns)) + 2 * (self.quads - 1)
    }

    /// Activations of a copied row. Behind it is room for a vector.
    fn row_len(&self) -> usize {
        ((self.row_quads() * self.channels + L::N) * QUAD).next_multiple_of(64)
    }
}

/// Windows that read the same quads: see [`QuadWindows`].
fn sets(columns: &Window) -> usize {
    2 / columns.stride
}

/// The most taps in a line. Two windows of a stride of 1 read one column more.
const MOST_IN_LINE: usize = LINE_QUADS * QUAD - 1;

/// Quads of a row of taps that is alone; weights of 0 fill it.
const LINE_QUADS: usize = 3;

/// Where taps have their weights.
struct Steps {
    /// Taps along W.
    columns: usize,
    /// Quads of a row of taps.
    quads: usize,
    /// See [`sets`].
    sets: usize,
}

impl Steps {
    /// Writes the weights of the channels of a vector: bytes, and what is to be added to them. Gives the sum of each channel's;
    /// `None` where two bytes are not enough.
    fn pack(
        &self,
        p: &DepthwiseConv2d<'_>,
        channels: &[usize],
        [bytes, rest]: [&mut [i8]; 2],
    ) -> Option<[i32; MOST_SUMS]> {
        let mut sums = [0; MOST_SUMS];
        for (tap, stored) in p.filter.chunks_exact(p.output_channels()).enumerate() {
            let (row, column) = (tap / self.columns, tap % self.columns);
            for (lane, (sum, &channel)) in sums.iter_mut().zip(channels).enumerate() {
                let Some(&stored) = stored.get(channel) else {
                    continue;
                };
                let weight = p.weights.value(stored) - p.filter_zero_point;
                *sum += weight;
                let byte = weight.clamp(i8::MIN.into(), i8::MAX.into());
                let left = i8::try_from(weight - byte).ok()?;
                for set in 0..self.sets {
                    let quad = row * self.quads + (column + set) / QUAD;
                    let vector = (quad * self.sets + set) * channels.len() + lane;
                    let at = vector * QUAD + (column + set) % QUAD;
                    (bytes[at], rest[at]) = (byte as i8, left);
                }
            }
        }
        Some(sums)
    }
}

/// One call of [`ConvKernel::run`].
struct Run<'a, L: Lanes> {
    quads: &'a Quads<L>,
    input: &'a [u8],
    output: &'a mut [u8],
    part: Part,
    /// Room for the rows that windows read.
    copies: &'a mut [L::Activation],
}

impl<L: Lanes> Work for Run<'_, L> {
    type Output = ();

    #[inline(always)]
    fn run<M: Lanes>(self, _: M) {
        match (self.quads.rows.taps, self.quads.columns.stride) {
            (3, 1) => self.positions::<3, 1, 2>(),
            (3, _) => self.positions::<3, 1, 1>(),
            (5, 1) => self.positions::<5, 2, 2>(),
            (5, _) => self.positions::<5, 2, 1>(),
            (_, 1) => self.positions::<1, LINE_QUADS, 2>(),
            _ => self.positions::<1, LINE_QUADS, 1>(),
        }
    }
}

impl<L: Lanes> Run<'_, L> {
    /// Row after row of the output, windows of `ROWS` by `QUADS` quads.
    #[inline(always)]
    fn positions<const ROWS: usize, const QUADS: usize, const SETS: usize>(self) {
        let q = self.quads;
        let [height, width] = [q.rows.output, q.columns.output];
        let (mut position, end) = (self.part.rows.start, self.part.rows.end);
        let mut output = self.output;
        let mut copies = Copies {
            quads: q,
            input: self.input,
            held: [None; ROWS],
            rows: self.copies,
        };
        while position < end {
            let row = position / width;
            let (batch, y, x) = (row / height, row % height, position % width);
            let count = (width - x).min(end - position);
            let (now, later) = output.split_at_mut(count * q.channels);
            let inputs = array::from_fn(|tap| q.rows.position(y, tap));
            let windows = QuadWindows::<L, ROWS, QUADS, SETS> {
                rows: copies.rows(batch, inputs),
                padded: inputs.map(|row| row.is_none()),
                channels: q.channels,
                weights: q.weights.slice(),
                fits: &q.fits,
                bias: q.bias.slice(),
                stage: q.stage.view(),
                halves: q.halves,
            };
            windows.run(q.lanes, x, now);
            output = later;
            position += count;
        }
    }
}

/// Rows of the picture as quads.
struct Copies<'a, L: Lanes, const ROWS: usize> {
    quads: &'a Quads<L>,
    input: &'a [u8],
    /// The batch and the row that each of the `rows` holds.
    held: [Option<(usize, usize)>; ROWS],
    /// Row `y` of the picture stands at `y % ROWS`.
    rows: &'a mut [L::Activation],
}

impl<L: Lanes, const ROWS: usize> Copies<'_, L, ROWS> {
    /// Neighbouring rows of picture `batch`.
    #[inline(always)]
    fn rows(&mut self, batch: usize, rows: [Option<usize>; ROWS]) -> [&[L::Activation]; ROWS] {
        let q = self.quads;
        let len = q.row_len();
        for row in rows.into_iter().flatten() {
            if self.held[row % ROWS] == Some((batch, row)) {
                continue;
            }
            self.held[row % ROWS] = Some((batch, row));
            let stride = q.columns.input * q.channels;
            let from = &self.input[(batch * q.rows.input + row) * stride..][..stride];
            q.copy_row(from, &mut self.rows[row % ROWS * len..][..len]);
        }
        rows.map(|row| match row {
            Some(row) => &self.rows[row % ROWS * len..][..len],
            None => &q.padding_row,
        })
    }
}

impl<L: Lanes> Quads<L> {
    /// Writes a row's quads.
    #[inline(always)]
    fn copy_row(&self, row: &[u8], to: &mut [L::Activation]) {
        let (before, channels) = (self.columns.before, self.channels);
        let step = channels * QUAD;
        // Those that lie within the row.
        let first = before.div_ceil(2).min(self.row_quads());
        let inside = match (self.columns.input + before).checked_sub(QUAD) {
            Some(last) => (last / 2 + 1).min(self.row_quads()).saturating_sub(first),
            None => 0,
        };
        for quad in 0..first {
            self.copy_quad(row, quad, &mut to[quad * step..]);
        }
        if inside > 0 {
            let row = &row[(2 * first - before) * channels..];
            let to = &mut to[first * step..];
            self.lanes
                .interleave_row(row, channels, inside, self.signed, to);
        }
        for quad in first + inside..self.row_quads() {
            self.copy_quad(row, quad, &mut to[quad * step..]);
        }
    }

    /// Writes quad `quad` of a row, which may reach into the padding.
    #[inline(always)]
    fn copy_quad(&self, row: &[u8], quad: usize, to: &mut [L::Activation]) {
        let columns: [&[u8]; QUAD] = array::from_fn(|column| {
            let column = (2 * quad + column).wrapping_sub(self.columns.before);
            match column < self.columns.input {
                true => &row[column * self.channels..][..self.channels],
                false => &self.padding,
            }
        });
        self.lanes.interleave(columns, self.signed, to);
    }
}

impl<L: Lanes> ConvKernel for Quads<L> {
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
            quads: self,
            input: operands.input,
            output,
            part,
            copies: workspace.slice_mut(),
        });
    }

    fn extent(&self) -> (usize, usize) {
        let rows = self.batches * self.rows.output * self.columns.output;
        (rows, self.channels)
    }

    fn row_macs(&self) -> usize {
        self.rows.taps * self.columns.taps * self.channels
    }

    fn task_macs(&self) -> usize {
        TASK_MACS
    }

    fn channel_step(&self) -> usize {
        L::N
    }

    fn splits_channels(&self) -> bool {
        false
    }

    fn packed_bytes(&self) -> usize {
        self.weights.bytes() + self.bias.bytes() + self.stage.bytes()
    }

    fn workspace_bytes(&self) -> usize {
        self.rows.taps * self.row_len() * size_of::<L::Activation>()
    }
}
