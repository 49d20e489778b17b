//! Transposed convolutions of bytes, as convolutions of stride 1.
//!
//! Where a transposed convolution has a stride of `s`, the outputs `i s` to `(i + 1) s - 1` of an axis read the same few inputs
//! around `i`, each through taps of its own. Along W they are the channels of one position: `s` times the output channels, which
//! lie in memory as the outputs do. Along H each of the `s` phases is a convolution of its own, that computes every `s`th row.

use super::lanes::{Lanes, for_each_isa};
use super::{
    Conv2d, ConvKernel, Element8, Operands, Part, Primitive, Scaling, Stage, Variant, Window,
    Workspace, conv_2d,
};
use std::ops::{Range, RangeInclusive};

/// How one axis is spread: tap `t` of input `i` reaches output `i * stride + t - before`.
#[derive(Debug, Clone, Copy)]
pub struct Spread {
    /// Positions of the input.
    pub input: usize,
    /// Taps of the filter.
    pub taps: usize,
    /// Output positions from one input to the next.
    pub stride: usize,
    /// Outputs that are cut off before the first.
    pub before: usize,
    /// Positions of the output.
    pub output: usize,
}

/// A transposed convolution with constant weights. Pictures are NHWC, filters OHWI.
#[derive(Debug, Clone)]
pub struct TransposeConv<'a> {
    /// N.
    pub batches: usize,
    /// Along H.
    pub rows: Spread,
    /// Along W.
    pub columns: Spread,
    /// Channels of the input.
    pub input_channels: usize,
    /// Channels of the output.
    pub output_channels: usize,
    /// Type of input, weights and output.
    pub element: Element8,
    /// Zero point of the input, a value of its type.
    pub input_zero_point: i32,
    /// Zero point of the weights; 0 where they are signed.
    pub filter_zero_point: i32,
    /// OHWI.
    pub filter: &'a [u8],
    /// One per output channel.
    pub bias: Option<&'a [i32]>,
    /// From sums to results.
    pub stage: Stage,
}

macro_rules! list {
    ($($(#[$cfg:meta])* $isa:literal => $lanes:ty,)*) => {
        &[$($(#[$cfg])* Variant {
            name: concat!("transpose_conv.", $isa),
            isa: <$lanes as Lanes>::ISA,
            prepare: |problem| prepare::<$lanes>(concat!("transpose_conv.", $isa), problem),
        },)*]
    };
}

/// TRANSPOSE_CONV of bytes.
pub struct TransposeConvPrimitive;

impl Primitive for TransposeConvPrimitive {
    type Problem<'a> = TransposeConv<'a>;
    type Kernel = dyn ConvKernel;

    fn variants() -> &'static [Variant<Self>] {
        for_each_isa!(list)
    }
}

/// The most convolutions that rows are shared among.
const MOST_PHASES: usize = 16;

fn prepare<L: Lanes>(
    name: &'static str,
    problem: &TransposeConv<'_>,
) -> Option<Box<dyn ConvKernel>> {
    let p = problem;
    // Strides beyond the taps leave outputs that no input reaches.
    let suits = |axis: &Spread| axis.output > 0 && (1..=axis.taps).contains(&axis.stride);
    let window = p.rows.taps * p.columns.taps * p.input_channels;
    if !suits(&p.rows)
        || !suits(&p.columns)
        || p.rows.stride > MOST_PHASES
        || p.filter.len() != window * p.output_channels
    {
        return None;
    }
    let columns = Block::new(&p.columns, 0..p.columns.stride)?;
    let rows: Vec<Block> = (0..p.rows.stride.min(p.rows.output))
        .map(|phase| Block::new(&p.rows, phase..phase + 1))
        .collect::<Option<_>>()?;
    let channels = p.columns.stride * p.output_channels;
    let weights = |rows: &Block| {
        let taps = rows.window.taps.saturating_mul(columns.window.taps);
        taps.saturating_mul(p.input_channels)
            .saturating_mul(channels)
    };
    let total = rows
        .iter()
        .fold(0, |sum: usize, rows| sum.saturating_add(weights(rows)));
    if total > conv_2d::MOST_PADDING + 4 * p.filter.len() {
        return None;
    }
    let bias = p.bias.map(|bias| bias.repeat(p.columns.stride));
    let mut stage = p.stage.clone();
    match &mut stage.scaling {
        Scaling::Fixed(multipliers, _) => {
            *multipliers = multipliers.repeat(p.columns.stride).into()
        }
        Scaling::Real(scales) => *scales = scales.repeat(p.columns.stride).into(),
    }
    let phases = rows.iter().map(|rows| {
        let convolution = Conv2d {
            batches: p.batches,
            rows: rows.window,
            columns: columns.window,
            input_channels: p.input_channels,
            filter_channels: p.input_channels,
            output_channels: channels,
            activations: p.element,
            weights: p.element,
            input_zero_point: p.input_zero_point,
            filter_zero_point: p.filter_zero_point,
            filter: &p.filter_of(rows, &columns),
            filter_is_stored: false,
            bias: bias.as_deref(),
            stage: stage.clone(),
        };
        conv_2d::prepare::<L>(name, &convolution)
    });
    Some(Box::new(Phases {
        name,
        phases: phases.collect::<Option<_>>()?,
        batches: p.batches,
        output: [p.rows.output, p.columns.output],
        channels: p.output_channels,
        stride: p.columns.stride,
    }))
}

impl TransposeConv<'_> {
    /// The weights that lead to the outputs of two blocks: OHWI, where O is a phase along W and an output channel.
    fn filter_of(&self, rows: &Block, columns: &Block) -> Vec<u8> {
        let depth = self.input_channels;
        let zero = vec![self.filter_zero_point as u8; depth];
        let mut filter = Vec::new();
        for phase in columns.phases.clone() {
            for channel in 0..self.output_channels {
                for y in rows.offsets.clone() {
                    let tap_y = self.rows.tap(rows.phases.start, y);
                    for x in columns.offsets.clone() {
                        let tap_x = self.columns.tap(phase, x);
                        let weights = tap_y.zip(tap_x).map(|(y, x)| {
                            let tap = (channel * self.rows.taps + y) * self.columns.taps + x;
                            &self.filter[tap * depth..][..depth]
                        });
                        filter.extend_from_slice(weights.unwrap_or(&zero));
                    }
                }
            }
        }
        filter
    }
}

impl Spread {
    /// The tap through which output `i * stride + phase` reads input `i + offset`.
    fn tap(&self, phase: usize, offset: isize) -> Option<usize> {
        let tap = (phase + self.before).checked_add_signed(-offset * self.stride as isize)?;
        (tap < self.taps).then_some(tap)
    }
}

/// Outputs `i * stride + phases` of an axis, which read inputs `i + offsets`.
struct Block {
    phases: Range<usize>,
    offsets: RangeInclusive<isize>,
    /// The convolution whose position `i` gives these outputs.
    window: Window,
}

impl Block {
    /// `None` where an output reads beyond the input alone.
    fn new(axis: &Spread, phases: Range<usize>) -> Option<Self> {
        let first = phases.start + axis.before;
        let last = phases.end - 1 + axis.before;
        // Input `i` itself is always among them.
        let beyond = axis.taps.saturating_sub(first + 1);
        let (before, behind) = (beyond / axis.stride, last / axis.stride);
        let window = Window {
            input: axis.input,
            taps: before + behind + 1,
            stride: 1,
            dilation: 1,
            before,
            output: (axis.output - phases.start).div_ceil(axis.stride),
        };
        (window.output <= window.input + before).then(|| Self {
            phases,
            offsets: -(before as isize)..=behind as isize,
            window,
        })
    }
}

/// A convolution for each phase of the rows.
struct Phases {
    name: &'static str,
    phases: Vec<Box<dyn ConvKernel>>,
    batches: usize,
    /// H and W.
    output: [usize; 2],
    channels: usize,
    /// Outputs along W that are channels of one position.
    stride: usize,
}

impl Phases {
    /// The largest of a number of all convolutions.
    fn most(&self, number: impl Fn(&dyn ConvKernel) -> usize) -> usize {
        let numbers = self.phases.iter().map(|phase| number(&**phase));
        numbers.max().unwrap_or(0)
    }
}

/// A row is a row of the picture, and its channels are those of all its positions.
impl ConvKernel for Phases {
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
        let [height, width] = self.output;
        let (whole, rest) = (width / self.stride, width % self.stride);
        let positions = width.div_ceil(self.stride);
        let channels = self.stride * self.channels;
        for (row, output) in part
            .rows
            .zip(output.chunks_exact_mut(width * self.channels))
        {
            let (batch, y) = (row / height, row % height);
            let phase = y % self.phases.len();
            let rows = (height - phase).div_ceil(self.phases.len());
            let first = (batch * rows + y / self.phases.len()) * positions;
            let (blocks, last) = output.split_at_mut(whole * channels);
            let mut run = |positions: Range<usize>, channels, output: &mut [u8]| {
                let part = Part {
                    rows: first + positions.start..first + positions.end,
                    channels: 0..channels,
                };
                self.phases[phase].run(operands, output, part, workspace);
            };
            run(0..whole, channels, blocks);
            if rest > 0 {
                run(whole..positions, rest * self.channels, last);
            }
        }
    }

    fn extent(&self) -> (usize, usize) {
        let [height, width] = self.output;
        (self.batches * height, width * self.channels)
    }

    fn row_macs(&self) -> usize {
        let positions = self.output[1].div_ceil(self.stride);
        self.most(|phase| phase.row_macs())
            .saturating_mul(positions)
    }

    fn channel_step(&self) -> usize {
        self.output[1] * self.channels
    }

    fn splits_channels(&self) -> bool {
        false
    }

    fn packed_bytes(&self) -> usize {
        self.phases.iter().map(|phase| phase.packed_bytes()).sum()
    }

    fn workspace_bytes(&self) -> usize {
        self.most(|phase| phase.workspace_bytes())
    }
}
