//! Depthwise convolutions with packed weights: position after position, or some side by side.

use super::{DepthwiseConv2d, TASK_MACS};
use crate::fast::aligned::Aligned;
use crate::fast::lanes::channelwise::{MOST_TAPS, Taps, Windows};
use crate::fast::lanes::sliding::{FEWEST, Sliding, Weights, group};
use crate::fast::lanes::{Lanes, Work};
use crate::fast::stage::StageVectors;
use crate::fast::{ConvKernel, Operands, Part, Window, Workspace};
use std::ops::Range;

/// A depthwise convolution with weights in the order in which lanes read them.
pub(super) struct Packed<L: Lanes> {
    name: &'static str,
    lanes: L,
    batches: usize,
    rows: Window,
    columns: Window,
    /// Of the output, and of the input that is read: its channels repeated.
    channels: usize,
    /// Output channels of one input channel.
    multiplier: usize,
    signed: bool,
    /// Whether windows are computed side by side.
    slides: bool,
    /// The channels of a position in the padding.
    padding: Box<[u8]>,
    /// Those of as many positions as windows side by side read, with bytes as these take them.
    slid_padding: Box<[u8]>,
    /// As [`Windows`] reads them.
    weights: Aligned,
    bias: Aligned,
    /// Where windows side by side are computed with bytes.
    bytes: Option<ByteWeights>,
    stage: StageVectors,
}

impl<L: Lanes> Packed<L> {
    pub(super) fn new(name: &'static str, lanes: L, problem: &DepthwiseConv2d<'_>) -> Self {
        let p = problem;
        let (channels, taps) = (p.output_channels(), p.taps());
        let block = 2 * L::N;
        let blocks = channels.div_ceil(block);
        let pairs = taps.div_ceil(2);
        let order: Vec<usize> = (0..blocks * block)
            .map(|lane| {
                let within = L::block_order(lane % block / L::N, lane % L::N);
                let channel = lane / block * block + within;
                // Half a block of channels stands there twice.
                let channel = if channels == L::N {
                    channel % channels
                } else {
                    channel
                };
                if channel < channels {
                    channel
                } else {
                    usize::MAX
                }
            })
            .collect();
        let mut weights = Aligned::new(order.len() * pairs * 2 * size_of::<i16>());
        let mut bias = vec![0i32; order.len()];
        let packed = weights.slice_mut::<i16>();
        for (lane, &channel) in order.iter().enumerate() {
            if channel == usize::MAX {
                continue;
            }
            let (first, within) = (lane / block * block, lane % block);
            let mut sum = 0i32;
            for tap in 0..taps {
                let weight = p.weights.value(p.filter[tap * channels + channel]);
                let weight = weight.wrapping_sub(p.filter_zero_point);
                sum = sum.wrapping_add(weight);
                let pair = 2 * (first * pairs + tap / 2 * block);
                // A difference of bytes has nine bits.
                packed[pair + L::pair_order(within, tap % 2)] = weight as i16;
            }
            bias[lane] = p
                .bias
                .map_or(0, |bias| bias[channel])
                .wrapping_sub(p.input_zero_point.wrapping_mul(sum));
        }
        let mut this = Self {
            name,
            lanes,
            batches: p.batches,
            rows: p.rows,
            columns: p.columns,
            channels,
            multiplier: p.multiplier,
            signed: p.activations.is_signed(),
            slides: false,
            padding: vec![(p.input_zero_point & 0xff) as u8; channels].into(),
            slid_padding: Box::default(),
            weights,
            bias: Aligned::of(&bias),
            bytes: None,
            stage: StageVectors::new::<L>(p.stage.clone(), &order),
        };
        this.slides = this.can_slide();
        if this.slides && L::BYTE_TAPS && !this.halves() {
            this.bytes = this.bytes(p);
        }
        if this.slides {
            let zero = this.padding[0] ^ this.flip();
            this.slid_padding = vec![zero; MOST_REACH * channels].into();
        }
        this
    }
}

impl<L: Lanes> Packed<L> {
    /// Weights as bytes; none where no block's fit.
    fn bytes(&self, problem: &DepthwiseConv2d<'_>) -> Option<ByteWeights> {
        let p = problem;
        let (channels, taps, block) = (self.channels, p.taps(), 2 * L::N);
        let offset = L::activation_offset(self.signed);
        let mut packed = Aligned::new(p.filter.len());
        let mut bias: Vec<i32> = self.bias.slice().to_vec();
        let to = packed.slice_mut::<i8>();
        let mut groups = Vec::with_capacity(channels / block);
        for (first, bias) in (0..channels)
            .step_by(block)
            .zip(bias.chunks_exact_mut(block))
        {
            let mut block_weights = vec![0i32; block * taps];
            for (lane, bias) in bias.iter_mut().enumerate() {
                let within = L::block_order(lane / L::N, lane % L::N);
                for tap in 0..taps {
                    let weight = p.weights.value(p.filter[tap * channels + first + within]);
                    let weight = weight.wrapping_sub(p.filter_zero_point);
                    block_weights[within * taps + tap] = weight;
                    to[first * taps + tap * block + within] = weight as i8;
                    *bias = bias.wrapping_sub(offset.wrapping_mul(weight));
                }
            }
            let bytes = block_weights
                .iter()
                .all(|&weight| i8::try_from(weight).is_ok());
            // The sums of products with activations from -128 to 127.
            let fits = |weights: &[i32]| {
                let sum = |sign: i32| weights.iter().map(|&w| (w * sign).max(0)).sum::<i32>();
                let (positive, negative) = (sum(1), sum(-1));
                127 * positive + 128 * negative <= i16::MAX.into()
                    && 128 * positive + 127 * negative <= -i32::from(i16::MIN)
            };
            groups.push(group(|count| {
                let mut channels = block_weights.chunks_exact(taps);
                bytes && channels.all(|weights| weights.chunks(count).all(fits))
            }));
        }
        let any = groups.iter().any(|&group| group > 0);
        any.then(|| ByteWeights {
            weights: packed,
            bias: Aligned::of(&bias),
            groups: groups.into(),
        })
    }
}

/// Weights as bytes where they fit, and biases, for windows side by side that read activations of the lanes.
struct ByteWeights {
    /// Block after block and tap after tap.
    weights: Aligned,
    bias: Aligned,
    /// By block: see [`group`].
    groups: Box<[usize]>,
}

/// One call of [`ConvKernel::run`].
struct Run<'a, L: Lanes> {
    packed: &'a Packed<L>,
    input: &'a [u8],
    output: &'a mut [u8],
    part: Part,
    /// Room for the picture with its channels repeated, where they are.
    repeated: &'a mut [u8],
    /// Room for the rows that windows side by side read.
    padded_rows: &'a mut [u8],
}

impl<L: Lanes> Work for Run<'_, L> {
    type Output = ();

    #[inline(always)]
    fn run<M: Lanes>(mut self, _: M) {
        if self.packed.multiplier > 1 {
            let repeated = std::mem::take(&mut self.repeated);
            self.packed
                .repeat_channels(self.input, &self.part.rows, repeated);
            self.input = repeated;
        }
        if self.packed.slides {
            let taps = [self.packed.rows.taps, self.packed.columns.taps];
            let stride = match self.packed.halves() {
                true => 2,
                false => self.packed.columns.stride,
            };
            return match (taps, stride) {
                ([3, 3], 1) => self.slide::<3, 3, 1>(),
                ([3, 3], _) => self.slide::<3, 3, 2>(),
                (_, 1) => self.slide::<5, 5, 1>(),
                _ => self.slide::<5, 5, 2>(),
            };
        }
        match self.packed.rows.taps * self.packed.columns.taps {
            9 => self.positions::<9, 9>(),
            25 => self.positions::<25, 25>(),
            _ => self.positions::<0, MOST_TAPS>(),
        }
    }
}

/// Columns that windows side by side read at most.
const MOST_REACH: usize = Sliding::<5, 5, 2>::REACH + 1;

impl<L: Lanes> Run<'_, L> {
    #[inline(always)]
    fn positions<const T: usize, const MOST: usize>(self) {
        let p = self.packed;
        let [height, width] = [p.rows.output, p.columns.output];
        let whole = p.columns.whole();
        let (mut position, end) = (self.part.rows.start, self.part.rows.end);
        let mut output = self.output;
        while position < end {
            let (x, y) = (position % width, position / width % height);
            // Neighbours whose windows lie inside the picture's width go together.
            let count = match whole.contains(&x) {
                true => (whole.end - x).min(end - position),
                false => 1,
            };
            let (now, later) = output.split_at_mut(count * p.channels);
            p.windows::<T, MOST>(self.input, [position / (height * width), y, x], now);
            output = later;
            position += count;
        }
    }
}

impl<L: Lanes> Run<'_, L> {
    /// Windows side by side, row after row of the output.
    #[inline(always)]
    fn slide<const ROWS: usize, const COLUMNS: usize, const STRIDE: usize>(mut self) {
        let p = self.packed;
        let [height, width] = [p.rows.output, p.columns.output];
        let (mut position, end) = (self.part.rows.start, self.part.rows.end);
        let mut output = std::mem::take(&mut self.output);
        let mut padded = PaddedRows {
            packed: p,
            input: self.input,
            held: [None; ROWS],
            rows: self.padded_rows,
        };
        while position < end {
            let (batch, y, x) = (
                position / (height * width),
                position / width % height,
                position % width,
            );
            let count = (width - x).min(end - position);
            let (now, later) = output.split_at_mut(count * p.channels);
            let windows = if p.halves() { 2 } else { 1 };
            if count < FEWEST * windows || !count.is_multiple_of(windows) {
                // The rest of a row that another part begins with.
                for (x, now) in (x..).zip(now.chunks_exact_mut(p.channels)) {
                    p.windows::<0, MOST_TAPS>(self.input, [batch, y, x], now);
                }
            } else {
                let inputs = std::array::from_fn(|tap| p.rows.position(y, tap));
                let (weights, bias) = match &p.bytes {
                    Some(bytes) => {
                        let weights = Weights::Bytes {
                            bytes: bytes.weights.slice(),
                            words: p.weights.slice(),
                            groups: &bytes.groups,
                        };
                        (weights, &bytes.bias)
                    }
                    None => (Weights::Words(p.weights.slice(), p.signed), &p.bias),
                };
                let sliding = Sliding::<ROWS, COLUMNS, STRIDE> {
                    rows: padded.rows(batch, inputs, x * p.columns.stride),
                    padded: inputs.map(|row| row.is_none()),
                    channels: windows * p.channels,
                    column: p.channels,
                    weights,
                    bias: bias.slice(),
                    stage: p.stage.view(),
                };
                sliding.run(p.lanes, now);
            }
            output = later;
            position += count;
        }
    }
}

/// Rows of the picture with their padding at the sides.
struct PaddedRows<'a, L: Lanes, const ROWS: usize> {
    packed: &'a Packed<L>,
    input: &'a [u8],
    /// The batch and the row that each of the `rows` holds.
    held: [Option<(usize, usize)>; ROWS],
    /// Row `y` of the picture stands at `y % ROWS`.
    rows: &'a mut [u8],
}

impl<L: Lanes, const ROWS: usize> PaddedRows<'_, L, ROWS> {
    /// Neighbouring rows of picture `batch` from padded column `column` on, zero points for rows in the padding.
    #[inline(always)]
    fn rows(&mut self, batch: usize, rows: [Option<usize>; ROWS], column: usize) -> [&[u8]; ROWS] {
        let p = self.packed;
        let len = p.padded_width() * p.channels;
        for row in rows.into_iter().flatten() {
            if self.held[row % ROWS] == Some((batch, row)) {
                continue;
            }
            self.held[row % ROWS] = Some((batch, row));
            let (before, rest) =
                self.rows[row % ROWS * len..][..len].split_at_mut(p.columns.before * p.channels);
            let from = (batch * p.rows.input + row) * p.columns.input * p.channels;
            let inside = rest.len().min(p.columns.input * p.channels);
            let (inside, after) = rest.split_at_mut(inside);
            inside.copy_from_slice(&self.input[from..][..inside.len()]);
            let flip = p.flip();
            if flip != 0 {
                inside.iter_mut().for_each(|byte| *byte ^= flip);
            }
            before.fill(p.slid_padding[0]);
            after.fill(p.slid_padding[0]);
        }
        rows.map(|row| match row {
            Some(row) => &self.rows[row % ROWS * len..][..len][column * p.channels..],
            None => &p.slid_padding,
        })
    }
}

impl<L: Lanes> Packed<L> {
    /// Whether windows are computed side by side: the filter's shape, and the number of positions and channels, allow it.
    fn can_slide(&self) -> bool {
        let square = |window: &Window| matches!(window.taps, 3 | 5) && window.dilation == 1;
        let columns = &self.columns;
        let suits = match self.halves() {
            true => columns.stride == 1 && columns.output.is_multiple_of(2),
            false => self.channels.is_multiple_of(2 * L::N) && matches!(columns.stride, 1 | 2),
        };
        let windows = if self.halves() { 2 } else { 1 };
        L::SLIDES
            && square(&self.rows)
            && square(columns)
            && self.rows.taps == columns.taps
            && columns.output >= FEWEST * windows
            && suits
    }

    /// Whether the channels of two neighbouring windows fill a block.
    fn halves(&self) -> bool {
        self.channels == L::N
    }

    /// What makes stored bytes those that windows side by side read, by exclusive or.
    fn flip(&self) -> u8 {
        match self.bytes {
            Some(_) => L::activation_offset(self.signed).unsigned_abs() as u8,
            None => 0,
        }
    }

    /// Columns of a row with its padding.
    fn padded_width(&self) -> usize {
        (self.columns.output - 1) * self.columns.stride + self.columns.taps
    }

    /// Bytes of the picture with its channels repeated, where they are.
    fn repeated(&self) -> usize {
        match self.multiplier {
            1 => 0,
            _ => self.batches * self.rows.input * self.columns.input * self.channels,
        }
    }

    /// Copies what the output `positions` read, each channel as often as it has output channels.
    #[inline(always)]
    fn repeat_channels(&self, input: &[u8], positions: &Range<usize>, to: &mut [u8]) {
        let (height, width) = (self.rows.output, self.columns.output);
        // The row of the input, over all batches, that is at or behind what a tap reads.
        let inside = |position: usize, tap: usize| {
            let row = position / width;
            let y = (row % height) * self.rows.stride + tap * self.rows.dilation;
            row / height * self.rows.input + y.saturating_sub(self.rows.before).min(self.rows.input)
        };
        if positions.is_empty() {
            return;
        }
        let first = inside(positions.start, 0);
        let end = inside(positions.end - 1, self.rows.taps - 1) + 1;
        let row = self.columns.input * self.channels / self.multiplier;
        let from = &input[first * row..input.len().min(end * row)];
        let to = &mut to[first * row * self.multiplier..];
        match self.multiplier {
            2 => repeat::<2>(from, to),
            4 => repeat::<4>(from, to),
            8 => repeat::<8>(from, to),
            times => {
                for (&byte, to) in from.iter().zip(to.chunks_exact_mut(times)) {
                    to.fill(byte);
                }
            }
        }
    }

    /// Neighbouring output positions from (`y`, `x`) of picture `batch` on, as many as `output` has room for. `T` and `MOST` are as
    /// in [`Windows::run`].
    #[inline(always)]
    fn windows<const T: usize, const MOST: usize>(
        &self,
        input: &[u8],
        [batch, y, x]: [usize; 3],
        output: &mut [u8],
    ) {
        let count = output.len() / self.channels;
        let step = self.columns.stride * self.channels;
        let mut taps = Taps::<MOST>::new(count, self.channels);
        let (rows, columns) = (&self.rows, &self.columns);
        // What the first tap reads, where nothing is padded.
        let inside = |window: &Window, at: usize| {
            window.position(at, window.taps - 1)?;
            window.position(at, 0)
        };
        if let Some((above, left)) = inside(rows, y).zip(inside(columns, x)) {
            let begin = ((batch * rows.input + above) * columns.input + left) * self.channels;
            let row_step = rows.dilation * columns.input * self.channels;
            let column_step = columns.dilation * self.channels;
            let axes = ([rows.taps, row_step], [columns.taps, column_step]);
            taps.push_grid(&input[begin..], axes.0, axes.1, step);
        } else {
            for tap_y in 0..self.rows.taps {
                let row = self.rows.position(y, tap_y);
                let row = row.map(|y| (batch * self.rows.input + y) * self.columns.input);
                for tap_x in 0..self.columns.taps {
                    match row.zip(self.columns.position(x, tap_x)) {
                        Some((row, x)) => taps.push(&input[(row + x) * self.channels..], step),
                        None => taps.push(&self.padding, 0),
                    }
                }
            }
        }
        let windows = Windows {
            channels: self.channels,
            signed: self.signed,
            halves: self.halves(),
            weights: self.weights.slice(),
            bias: self.bias.slice(),
            stage: self.stage.view(),
        };
        windows.run::<L, T, MOST>(self.lanes, &mut taps, output);
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
        let (repeated, padded_rows) = workspace.slice_mut().split_at_mut(self.repeated());
        self.lanes.run(Run {
            packed: self,
            input: operands.input,
            output,
            part,
            repeated,
            padded_rows,
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
        2 * L::N
    }

    fn splits_channels(&self) -> bool {
        false
    }

    fn packed_bytes(&self) -> usize {
        let bytes = self.bytes.as_ref();
        let bytes = bytes.map_or(0, |bytes| bytes.weights.bytes() + bytes.bias.bytes());
        self.weights.bytes() + self.bias.bytes() + bytes + self.stage.bytes()
    }

    /// Where nothing is needed still a byte: threads are used.
    fn workspace_bytes(&self) -> usize {
        let padded_rows = match self.slides {
            true => self.rows.taps * self.padded_width() * self.channels,
            false => 1,
        };
        self.repeated() + padded_rows
    }
}

/// Writes each byte `TIMES` times.
#[inline(always)]
fn repeat<const TIMES: usize>(from: &[u8], to: &mut [u8]) {
    for (&byte, to) in from.iter().zip(to.chunks_exact_mut(TIMES)) {
        to.copy_from_slice(&[byte; TIMES]);
    }
}
