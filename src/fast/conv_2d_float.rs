//! Convolutions and matrix products of float32.
//!
//! A float sum depends on its order, and the reference's is that of the filter: row by row, tap by tap, channel by channel. So vectors
//! hold the sums of neighbouring output channels, each summed in that order, a product and a sum at a time. Weights are packed
//! so that those of neighbouring output channels stand side by side.

use super::lanes::{Lanes, Work, for_each_isa};
use super::picture::PictureKernel;
use super::{Primitive, TASK_MACS, Variant, Window};
use std::ops::Range;

/// A convolution of NHWC pictures with OHWI weights, perhaps in groups. A matrix product is a convolution with one tap.
#[derive(Debug, Clone, Copy)]
pub struct Conv2dFloat<'a> {
    pub rows: Window,
    pub columns: Window,
    /// Channels of the input.
    pub input_channels: usize,
    /// Input channels that one output channel reads: a divisor of all.
    pub filter_channels: usize,
    /// A multiple of the number of groups.
    pub output_channels: usize,
    /// Output channels x rows x columns x filter channels.
    pub filter: &'a [f32],
    /// One per output channel.
    pub bias: Option<&'a [f32]>,
    /// The lowest and the highest result; what is no number stays what it is.
    pub range: (f32, f32),
}

macro_rules! list {
    ($($(#[$cfg:meta])* $isa:literal => $lanes:ty,)*) => {
        &[$($(#[$cfg])* Variant {
            name: concat!("conv_2d_float.", $isa),
            isa: <$lanes as Lanes>::ISA,
            prepare: |problem| prepare::<$lanes>(concat!("conv_2d_float.", $isa), problem),
        },)*]
    };
}

/// CONV_2D and FULLY_CONNECTED of float32 with constant weights.
pub struct Conv2dFloatPrimitive;

impl Primitive for Conv2dFloatPrimitive {
    type Problem<'a> = Conv2dFloat<'a>;
    type Kernel = dyn PictureKernel<f32>;

    fn variants() -> &'static [Variant<Self>] {
        for_each_isa!(list)
    }
}

/// Output channels of a block, but for the last one of a group.
const BLOCK: usize = 16;

/// Output channels of a block at the end of a group where fewer remain.
const HALF: usize = BLOCK / 2;

/// Fewer output channels of a group leave too much of a block empty.
const FEWEST: usize = HALF / 2;

fn prepare<L: Lanes>(
    name: &'static str,
    problem: &Conv2dFloat<'_>,
) -> Option<Box<dyn PictureKernel<f32>>> {
    let lanes = L::detect()?;
    let groups = problem
        .input_channels
        .checked_div(problem.filter_channels)?;
    let group_channels = problem.output_channels.checked_div(groups)?;
    if group_channels < FEWEST {
        return None;
    }
    let steps = problem.filter.len() / problem.output_channels;
    let offset = |step: usize| {
        let (tap, channel) = (
            step / problem.filter_channels,
            step % problem.filter_channels,
        );
        let row = tap / problem.columns.taps * problem.rows.dilation;
        let column = tap % problem.columns.taps * problem.columns.dilation;
        let position = row
            .checked_mul(problem.columns.input)?
            .checked_add(column)?;
        let offset = position
            .checked_mul(problem.input_channels)?
            .checked_add(channel)?;
        u32::try_from(offset).ok()
    };
    let offsets: Box<[u32]> = (0..steps).map(offset).collect::<Option<_>>()?;
    let windows: Vec<&[f32]> = problem.filter.chunks_exact(steps.max(1)).collect();
    let (mut blocks, mut packed) = (Vec::new(), Vec::new());
    for (number, group) in windows.chunks(group_channels).enumerate() {
        for (block, windows) in group.chunks(BLOCK).enumerate() {
            let width = if windows.len() > HALF { BLOCK } else { HALF };
            let first = number * group_channels + block * BLOCK;
            blocks.push(Block {
                first,
                channels: windows.len(),
                input_channel: number * problem.filter_channels,
                width,
                weights: packed.len(),
            });
            let bias = problem.bias.unwrap_or(&[]).iter().skip(first);
            let bias = bias.take(windows.len()).copied();
            packed.extend(bias.chain(std::iter::repeat(0.0)).take(width));
            for step in 0..steps {
                let weight = |channel| windows.get(channel).map_or(0.0, |w: &&[f32]| w[step]);
                packed.extend((0..width).map(weight));
            }
        }
    }
    Some(Box::new(Packed {
        name,
        lanes,
        rows: problem.rows,
        columns: problem.columns,
        input_channels: problem.input_channels,
        filter_channels: problem.filter_channels,
        output_channels: problem.output_channels,
        blocks: blocks.into(),
        packed: packed.into(),
        offsets,
        range: problem.range,
    }))
}

/// Neighbouring output channels of a group.
struct Block {
    first: usize,
    channels: usize,
    /// The first input channel they read.
    input_channel: usize,
    /// Channels that the block has room for.
    width: usize,
    /// Where its biases and weights begin.
    weights: usize,
}

struct Packed<L> {
    name: &'static str,
    lanes: L,
    rows: Window,
    columns: Window,
    input_channels: usize,
    filter_channels: usize,
    output_channels: usize,
    blocks: Box<[Block]>,
    /// By block: the biases, then for each tap and input channel the weights, of the channels that the block has room for.
    packed: Box<[f32]>,
    /// By step, which is an input channel of a tap: how far behind the window's first value the activation lies.
    offsets: Box<[u32]>,
    range: (f32, f32),
}

impl<L: Lanes> PictureKernel<f32> for Packed<L> {
    fn name(&self) -> &'static str {
        self.name
    }

    fn row_elements(&self) -> usize {
        self.columns.output.saturating_mul(self.output_channels)
    }

    fn task_elements(&self) -> usize {
        let steps = self.rows.taps * self.columns.taps * self.filter_channels;
        (TASK_MACS / steps.max(1)).max(1)
    }

    fn packed_bytes(&self) -> usize {
        size_of_val(&*self.packed) + size_of_val(&*self.offsets)
    }

    fn run(&self, input: &[f32], output: &mut [f32], first: usize) {
        self.lanes.run(Run {
            packed: self,
            input,
            output,
            first,
        });
    }
}

/// One call of [`PictureKernel::run`].
struct Run<'a, L> {
    packed: &'a Packed<L>,
    input: &'a [f32],
    output: &'a mut [f32],
    first: usize,
}

impl<L: Lanes> Work for Run<'_, L> {
    type Output = ();

    #[inline(always)]
    fn run<M: Lanes>(self, _: M) {
        let p = self.packed;
        let picture = p.rows.input * p.columns.input * p.input_channels;
        let rows = self.output.chunks_exact_mut(p.row_elements().max(1));
        for (row, output) in (self.first..).zip(rows) {
            let (batch, y) = (row / p.rows.output, row % p.rows.output);
            let input = &self.input[batch * picture..][..picture];
            for block in &p.blocks {
                match block.width {
                    BLOCK => p.row::<BLOCK, 4>(block, input, y, output),
                    _ => p.row::<HALF, 8>(block, input, y, output),
                }
            }
        }
    }
}

impl<L> Packed<L> {
    /// A block of `N` channels of row `y` of the result, in `output`, `P` neighbouring positions side by side.
    #[inline(always)]
    fn row<const N: usize, const P: usize>(
        &self,
        block: &Block,
        input: &[f32],
        y: usize,
        output: &mut [f32],
    ) {
        let packed = self.packed[block.weights..].as_chunks::<N>().0;
        let Some((bias, weights)) = packed.split_first() else {
            return;
        };
        let rows = self.rows.taps_inside(y);
        let window = (y * self.rows.stride).wrapping_sub(self.rows.before);
        let window = window.wrapping_mul(self.columns.input);
        let taps = |x: usize| {
            let window = window.wrapping_add(x * self.columns.stride);
            let window = window.wrapping_sub(self.columns.before);
            Taps {
                weights,
                input,
                window: window
                    .wrapping_mul(self.input_channels)
                    .wrapping_add(block.input_channel),
                rows: rows.clone(),
            }
        };
        let whole = self.columns.whole();
        // The last positions may be computed twice.
        let last = (whole.end >= whole.start + P).then(|| whole.end - P);
        let mut x = 0;
        while x < self.columns.output {
            if let Some(last) = last.filter(|_| whole.contains(&x)) {
                x = x.min(last);
                let sums = self.sums::<N, P>(&taps(x), 0..self.columns.taps);
                for sums in &sums {
                    self.store(block, sums, bias, x, output);
                    x += 1;
                }
            } else {
                let [sums] = self.sums::<N, 1>(&taps(x), self.columns.taps_inside(x));
                self.store(block, &sums, bias, x, output);
                x += 1;
            }
        }
    }

    /// The sums of `P` neighbouring positions of whose taps those of `columns` are inside, along W.
    #[inline(always)]
    fn sums<const N: usize, const P: usize>(
        &self,
        taps: &Taps<'_, N>,
        columns: Range<usize>,
    ) -> [[f32; N]; P] {
        let (width, depth) = (self.columns.taps, self.filter_channels);
        // Rows of whole width are one run of steps.
        let (runs, len) = match columns.len() == width {
            true => (1, taps.rows.len() * width * depth),
            false => (taps.rows.len(), columns.len() * depth),
        };
        let stride = self.columns.stride * self.input_channels;
        let mut sums = [[0.0; N]; P];
        for run in 0..runs {
            let first = ((taps.rows.start + run) * width + columns.start) * depth;
            let offsets = &self.offsets[first..][..len];
            let (Some(&from), Some(&to)) = (offsets.first(), offsets.last()) else {
                continue;
            };
            let begin = taps.window.wrapping_add(from as usize);
            let reach = (to - from) as usize + 1;
            let windows: [&[f32]; P] =
                std::array::from_fn(|position| &taps.input[begin + position * stride..][..reach]);
            for (offset, weights) in offsets.iter().zip(&taps.weights[first..][..len]) {
                let offset = (offset - from) as usize;
                for (sums, window) in sums.iter_mut().zip(windows) {
                    let activation = window[offset];
                    for (sum, weight) in sums.iter_mut().zip(weights) {
                        *sum += activation * weight;
                    }
                }
            }
        }
        sums
    }

    /// Writes the results of a block at position `x` of a row.
    #[inline(always)]
    fn store<const N: usize>(
        &self,
        block: &Block,
        sums: &[f32; N],
        bias: &[f32; N],
        x: usize,
        output: &mut [f32],
    ) {
        let (low, high) = self.range;
        let to = &mut output[x * self.output_channels + block.first..][..block.channels];
        let mut results = *sums;
        for (result, bias) in results.iter_mut().zip(bias) {
            let sum = *result + bias;
            let raised = if sum < low { low } else { sum };
            *result = if high < raised { high } else { raised };
        }
        match <&mut [f32; N]>::try_from(&mut *to) {
            Ok(to) => *to = results,
            Err(_) => to.copy_from_slice(&results[..block.channels]),
        }
    }
}

/// What a block's sums are made from at a position.
struct Taps<'a, const N: usize> {
    /// By step.
    weights: &'a [[f32; N]],
    /// A picture.
    input: &'a [f32],
    /// Where the window begins, perhaps before the input: wrapped then.
    window: usize,
    /// Taps inside the input along H.
    rows: Range<usize>,
}
