//! Convolutions and matrix products of float32.
//!
//! A float sum depends on its order, and the reference's is that of the filter: row by row, tap by tap, channel by channel. So vectors
//! hold the sums of neighbouring output channels, each summed in that order, a product and a sum at a time. Weights are packed
//! so that those of neighbouring output channels stand side by side.

mod band;
mod geometry;
mod spread;

use super::lanes::floats::{limits, store};
use super::lanes::{Lanes, for_each_isa};
use super::picture::{PictureKernel, Rows, Vectors};
use super::{Primitive, TASK_MACS, Variant, Window};
use geometry::{Copied, Geometry, MOST_COPIED, Taps};
use spread::Spread;

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

impl Conv2dFloat<'_> {
    /// Whether some window reaches beyond the picture.
    fn pads(&self) -> bool {
        self.rows.pads() || self.columns.pads()
    }

    /// Whether zeros around the picture change no sum: it begins with 0, so it is never -0, but an infinite weight makes one that is
    /// no number.
    fn bears_zeros(&self) -> bool {
        self.filter.iter().all(|weight| weight.is_finite())
    }
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
    if let Some(spread) = Spread::new(lanes, problem) {
        return Some(Vectors::boxed(name, lanes, spread));
    }
    let geometry = Geometry::new(problem, problem.rows, problem.columns)?;
    let steps = geometry.steps.len();
    let windows: Vec<&[f32]> = problem.filter.chunks_exact(steps.max(1)).collect();
    let (mut blocks, mut packed) = (Vec::new(), Vec::new());
    for (number, group) in windows.chunks(group_channels).enumerate() {
        for (block, windows) in group.chunks(BLOCK).enumerate() {
            let width = match windows.len() > HALF {
                true => BLOCK,
                false => HALF.max(L::N),
            };
            let first = number * group_channels + block * BLOCK;
            blocks.push(Block {
                first,
                channels: windows.len(),
                input_channel: number * problem.filter_channels,
                width,
                weights: packed.len(),
            });
            let mut push = |number: &dyn Fn(usize) -> f32| {
                packed.extend((0..width).map(number));
            };
            push(&|channel| match problem.bias {
                Some(bias) if channel < windows.len() => bias[first + channel],
                _ => 0.0,
            });
            for step in 0..steps {
                push(&|channel| windows.get(channel).map_or(0.0, |window| window[step]));
            }
        }
    }
    let packed = Packed {
        lanes,
        copied: Copied::new(problem),
        geometry,
        output_channels: problem.output_channels,
        blocks: blocks.into(),
        packed: packed.into(),
        range: problem.range,
    };
    Some(Vectors::boxed(name, lanes, packed))
}

/// Neighbouring output channels of a group.
struct Block {
    first: usize,
    channels: usize,
    /// The first input channel they read.
    input_channel: usize,
    /// Channels that the block has room for: vectors of them.
    width: usize,
    /// Where its biases and weights begin.
    weights: usize,
}

struct Packed<L> {
    lanes: L,
    geometry: Geometry,
    copied: Option<Copied>,
    output_channels: usize,
    blocks: Box<[Block]>,
    /// By block: the biases, then for each step the weights, of the channels that the block has room for.
    packed: Box<[f32]>,
    range: (f32, f32),
}

impl<L: Lanes> Rows<L, f32> for Packed<L> {
    fn row_elements(&self) -> usize {
        let columns = self.geometry.columns.output;
        columns.saturating_mul(self.output_channels)
    }

    fn task_elements(&self) -> usize {
        (TASK_MACS / self.geometry.steps.len().max(1)).max(1)
    }

    fn packed_bytes(&self) -> usize {
        let copied = self
            .copied
            .as_ref()
            .map_or(0, |copied| copied.geometry.steps.bytes());
        size_of_val(&*self.packed) + self.geometry.steps.bytes() + copied
    }

    #[inline(always)]
    fn run(&self, _: L, input: &[f32], output: &mut [f32], first: usize) {
        let g = &self.geometry;
        let row = g.columns.input * g.input_channels;
        let picture = g.rows.input * row;
        let result = self.row_elements().max(1);
        // Loops: a closure may stay a call and lose the vectors.
        let Some(copied) = &self.copied else {
            for (number, output) in (first..).zip(output.chunks_exact_mut(result)) {
                let (batch, y) = (number / g.rows.output, number % g.rows.output);
                self.blocks(g, &input[batch * picture..][..picture], y, output);
            }
            return;
        };
        let mut copies = [0.0; MOST_COPIED];
        let (mut first, mut output) = (first, output);
        while output.len() >= result {
            let (batch, y, rows) = copied.band.from(first, output.len() / result);
            let (band, rest) = output.split_at_mut(rows * result);
            let picture = &input[batch * picture..][..picture];
            copied.copy(picture, row, y, rows, &mut copies);
            for (y, output) in band.chunks_exact_mut(result).enumerate() {
                self.blocks(&copied.geometry, &copies, y, output);
            }
            first += rows;
            output = rest;
        }
    }
}

impl<L: Lanes> Packed<L> {
    /// All channels of row `y` of the result.
    #[inline(always)]
    fn blocks(&self, geometry: &Geometry, input: &[f32], y: usize, output: &mut [f32]) {
        for block in &self.blocks {
            match block.width / L::N {
                // Registers of AVX2 hold seven sums, activations and weights.
                1 => self.row::<1, 7, 4>(geometry, block, input, y, output),
                2 => self.row::<2, 4, 2>(geometry, block, input, y, output),
                _ => self.row::<{ BLOCK / 4 }, 4, 2>(geometry, block, input, y, output),
            }
        }
    }

    /// A block of `V` vectors of channels of row `y` of the result, in `output`. `P` positions, or `Q` at the end, are computed side
    /// by side.
    #[inline(always)]
    fn row<const V: usize, const P: usize, const Q: usize>(
        &self,
        geometry: &Geometry,
        block: &Block,
        input: &[f32],
        y: usize,
        output: &mut [f32],
    ) {
        let (bias, weights) = self.packed[block.weights..].split_at(block.width);
        let g = geometry;
        let rows = g.rows.taps_inside(y);
        let window = (y * g.rows.stride).wrapping_sub(g.rows.before);
        let window = window.wrapping_mul(g.columns.input);
        let taps = |x: usize| {
            let window = window.wrapping_add(x * g.columns.stride);
            let window = window.wrapping_sub(g.columns.before);
            Taps {
                weights,
                input,
                window: window
                    .wrapping_mul(g.input_channels)
                    .wrapping_add(block.input_channel),
                rows: rows.clone(),
            }
        };
        let limits = limits(self.lanes, self.range);
        let (whole, all) = (g.columns.whole(), 0..g.columns.taps);
        let mut x = 0;
        while x < g.columns.output {
            let left = whole.end.saturating_sub(x);
            // The last positions may be computed twice.
            if whole.contains(&x) && left > Q && whole.len() >= P {
                x = x.min(whole.end - P);
                let sums = g.sums::<L, V, P>(self.lanes, &taps(x), all.clone());
                self.store(block, sums, bias, limits, x, output);
                x += P;
            } else if whole.contains(&x) && whole.len() >= Q {
                x = x.min(whole.end - Q);
                let sums = g.sums::<L, V, Q>(self.lanes, &taps(x), all.clone());
                self.store(block, sums, bias, limits, x, output);
                x += Q;
            } else {
                let sums = g.sums::<L, V, 1>(self.lanes, &taps(x), g.columns.taps_inside(x));
                self.store(block, sums, bias, limits, x, output);
                x += 1;
            }
        }
    }

    /// Writes the results of a block at the positions from `x` on.
    #[inline(always)]
    fn store<const V: usize, const P: usize>(
        &self,
        block: &Block,
        sums: [[L::Sum; V]; P],
        bias: &[f32],
        limits: [L::Sum; 2],
        x: usize,
        output: &mut [f32],
    ) {
        for (x, sums) in (x..).zip(sums) {
            let to = &mut output[x * self.output_channels + block.first..][..block.channels];
            store(self.lanes, sums, bias, limits, to);
        }
    }
}
