//! Convolutions whose output channels fill half a vector; their activations are copied once for each channel.
//!
//! A vector of the copies then has what the output channels of two neighbouring positions read: their products are those of vectors as
//! they stand in memory. The copies hold a band of rows with zeros around the picture.

use super::band::Band;
use super::{Conv2dFloat, HALF};
use crate::fast::lanes::Lanes;
use crate::fast::lanes::floats::{Steps, add_products, limits, store};
use crate::fast::picture::Rows;
use crate::fast::{TASK_MACS, Window};

/// Numbers of a band at most: they stand on the stack.
const MOST: usize = 4096;

/// Positions of a vector.
const PAIR: usize = 2;

/// Vectors that are computed side by side, and how many at the end of a row.
const MANY: usize = 4;
const FEW: usize = 2;

/// Positions of as many.
const POSITIONS: usize = MANY * PAIR;

pub(super) struct Spread<L> {
    lanes: L,
    rows: Window,
    columns: Window,
    input_channels: usize,
    filter_channels: usize,
    output_channels: usize,
    /// Output channels of a group, at most as many as there are copies.
    group_channels: usize,
    band: Band,
    /// Copied numbers of one row of one channel.
    line: usize,
    steps: Steps,
    /// By group: the biases, then for each step the weights, once for each position of a vector.
    packed: Box<[f32]>,
    range: (f32, f32),
}

impl<L: Lanes> Spread<L> {
    /// A kernel for `problem`, if copies are read more than once and a band of them is small.
    pub(super) fn new(lanes: L, problem: &Conv2dFloat<'_>) -> Option<Self> {
        let p = problem;
        let (rows, columns) = (p.rows, p.columns);
        let groups = p.input_channels / p.filter_channels;
        let group_channels = p.output_channels / groups;
        let suits = L::N == PAIR * HALF
            && group_channels <= HALF
            && columns.taps > 1
            && columns.stride == 1
            && columns.output >= POSITIONS;
        if !suits || p.pads() && !p.bears_zeros() {
            return None;
        }
        let positions = columns.output.checked_next_multiple_of(POSITIONS)? - 1;
        let reach = (columns.taps - 1).checked_mul(columns.dilation)?;
        let line = positions.checked_add(reach)?.checked_add(1)?;
        let line = line.checked_mul(HALF)?;
        let row = line.checked_mul(p.input_channels)?;
        let band = Band::new(rows, MOST / row)?;
        let steps = p.filter.len() / p.output_channels;
        let offset = |step: usize| {
            let (tap, channel) = (step / p.filter_channels, step % p.filter_channels);
            let (y, x) = (tap / columns.taps, tap % columns.taps);
            // Below `MOST`.
            (y * rows.dilation * row + channel * line + x * columns.dilation * HALF) as u32
        };
        let mut packed = Vec::new();
        for group in 0..groups {
            let first = group * group_channels;
            let mut push = |number: &dyn Fn(usize) -> f32| {
                packed.extend((0..L::N).map(|lane| match lane % HALF {
                    channel if channel < group_channels => number(first + channel),
                    _ => 0.0,
                }));
            };
            push(&|channel| p.bias.map_or(0.0, |bias| bias[channel]));
            for step in 0..steps {
                push(&|channel| p.filter[channel * steps + step]);
            }
        }
        Some(Self {
            lanes,
            rows,
            columns,
            input_channels: p.input_channels,
            filter_channels: p.filter_channels,
            output_channels: p.output_channels,
            group_channels,
            band,
            line,
            steps: Steps::new((0..steps).map(offset).collect()),
            packed: packed.into(),
            range: p.range,
        })
    }
}

impl<L: Lanes> Rows<L, f32> for Spread<L> {
    fn row_elements(&self) -> usize {
        self.columns.output * self.output_channels
    }

    fn task_elements(&self) -> usize {
        (TASK_MACS / self.steps.len().max(1)).max(1)
    }

    fn packed_bytes(&self) -> usize {
        size_of_val(&*self.packed) + self.steps.bytes()
    }

    #[inline(always)]
    fn run(&self, _: L, input: &[f32], output: &mut [f32], first: usize) {
        let picture = self.rows.input * self.columns.input * self.input_channels;
        let mut copies = [0.0; MOST];
        let result = self.row_elements().max(1);
        let (mut first, mut output) = (first, output);
        while output.len() >= result {
            let (batch, y, rows) = self.band.from(first, output.len() / result);
            let (band, rest) = output.split_at_mut(rows * result);
            self.copy(&input[batch * picture..][..picture], y, rows, &mut copies);
            for (row, output) in band.chunks_exact_mut(result).enumerate() {
                let windows = &copies[row * self.rows.stride * self.input_channels * self.line..];
                self.row(windows, output);
            }
            first += rows;
            output = rest;
        }
    }
}

impl<L: Lanes> Spread<L> {
    /// Copies what `rows` rows of the result read, from row `y` on.
    #[inline(always)]
    fn copy(&self, picture: &[f32], y: usize, rows: usize, copies: &mut [f32; MOST]) {
        let inputs = self.band.inputs(rows);
        let row = self.columns.input * self.input_channels;
        let before = self.columns.before.min(self.line / HALF);
        for (number, to) in copies.chunks_exact_mut(self.line).enumerate() {
            let (line, channel) = (number / self.input_channels, number % self.input_channels);
            if line == inputs {
                return;
            }
            let Some(y) = self.band.input(y, line) else {
                to.fill(0.0);
                continue;
            };
            let from = &picture[y * row..][..row];
            let (outside, inside) = to.split_at_mut(before * HALF);
            outside.fill(0.0);
            let inside = inside.as_chunks_mut::<HALF>().0;
            let len = self.columns.input.min(inside.len());
            let (inside, outside) = inside.split_at_mut(len);
            let pixels = from.chunks_exact(self.input_channels);
            for (copies, pixel) in inside.iter_mut().zip(pixels) {
                *copies = [pixel[channel]; HALF];
            }
            outside.fill([0.0; HALF]);
        }
    }

    /// A row of the result from the copies of its windows.
    #[inline(always)]
    fn row(&self, copies: &[f32], output: &mut [f32]) {
        let limits = limits(self.lanes, self.range);
        let group = (self.steps.len() + 1) * L::N;
        for (number, packed) in self.packed.chunks_exact(group).enumerate() {
            let (bias, weights) = packed.split_at(L::N);
            let copies = &copies[number * self.filter_channels * self.line..];
            let output = &mut output[number * self.group_channels..];
            let mut x = 0;
            while x < self.columns.output {
                let windows = &copies[x * HALF..];
                let left = self.columns.output - x;
                let output = &mut output[x * self.output_channels..];
                if left > FEW * PAIR {
                    let sums = self.sums::<MANY>(windows, weights);
                    self.store(sums, bias, limits, output, left);
                    x += MANY * PAIR;
                } else {
                    let sums = self.sums::<FEW>(windows, weights);
                    self.store(sums, bias, limits, output, left);
                    x += FEW * PAIR;
                }
            }
        }
    }

    /// The sums of `P` neighbouring pairs of positions.
    #[inline(always)]
    fn sums<const P: usize>(&self, windows: &[f32], weights: &[f32]) -> [[L::Sum; 1]; P] {
        let mut sums = [[self.lanes.splat_sum(0)]; P];
        let steps = self.steps.all();
        add_products::<L, 1, P, true>(self.lanes, &mut sums, windows, L::N, steps, weights);
        sums
    }

    /// Writes the results of `left` positions, as far as there are sums of them.
    #[inline(always)]
    fn store<const P: usize>(
        &self,
        sums: [[L::Sum; 1]; P],
        bias: &[f32],
        limits: [L::Sum; 2],
        output: &mut [f32],
        left: usize,
    ) {
        let alone = [self.output_channels, self.group_channels] == [HALF; 2];
        for (number, sums) in sums.into_iter().enumerate() {
            let first = number * PAIR;
            if first >= left {
                return;
            }
            let positions = (left - first).min(PAIR);
            let output = &mut output[first * self.output_channels..];
            if alone {
                store(
                    self.lanes,
                    sums,
                    bias,
                    limits,
                    &mut output[..positions * HALF],
                );
                continue;
            }
            let mut results = [0.0; PAIR * HALF];
            store(self.lanes, sums, bias, limits, &mut results);
            let results = results.chunks_exact(HALF).take(positions);
            for (position, results) in results.enumerate() {
                let to = &mut output[position * self.output_channels..];
                to[..self.group_channels].copy_from_slice(&results[..self.group_channels]);
            }
        }
    }
}
