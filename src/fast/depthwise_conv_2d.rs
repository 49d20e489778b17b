//! Depthwise convolutions of bytes: neighbouring channels side by side in vectors.
//!
//! Where one input channel has several output channels, the convolution is computed as a grouped one.

use super::aligned::Aligned;
use super::conv_2d;
use super::lanes::channelwise::{MOST_TAPS, Tap, Windows};
use super::lanes::{Lanes, Work, for_each_isa};
use super::stage::StageVectors;
use super::{
    Conv2d, ConvKernel, Element8, Operands, Part, Primitive, Stage, Variant, Window, Workspace,
};

/// A depthwise convolution with constant weights. Pictures are NHWC, filters 1HWO; output channel `o` reads input channel
/// `o / multiplier`.
#[derive(Debug, Clone)]
pub struct DepthwiseConv2d<'a> {
    /// N.
    pub batches: usize,
    /// Along H.
    pub rows: Window,
    /// Along W.
    pub columns: Window,
    /// Channels of the input.
    pub input_channels: usize,
    /// Output channels of one input channel.
    pub multiplier: usize,
    /// Type of input and output.
    pub activations: Element8,
    /// Type of the weights.
    pub weights: Element8,
    /// Zero point of the input, a value of its type.
    pub input_zero_point: i32,
    /// Zero point of the weights; 0 where they are signed.
    pub filter_zero_point: i32,
    /// 1HWO.
    pub filter: &'a [u8],
    /// One per output channel.
    pub bias: Option<&'a [i32]>,
    /// From sums to results.
    pub stage: Stage,
}

impl DepthwiseConv2d<'_> {
    fn taps(&self) -> usize {
        self.rows.taps * self.columns.taps
    }

    fn output_channels(&self) -> usize {
        self.input_channels * self.multiplier
    }

    fn is_sound(&self) -> bool {
        let channels = self.output_channels();
        channels > 0
            && self.taps() > 0
            && self.filter.len() == self.taps() * channels
            && self.bias.is_none_or(|bias| bias.len() == channels)
    }
}

macro_rules! list {
    ($($(#[$cfg:meta])* $isa:literal => $lanes:ty,)*) => {
        &[$($(#[$cfg])* Variant {
            name: concat!("depthwise_conv_2d.", $isa),
            isa: <$lanes as Lanes>::ISA,
            prepare: |problem| prepare::<$lanes>(concat!("depthwise_conv_2d.", $isa), problem),
        },)*]
    };
}

/// DEPTHWISE_CONV_2D of bytes.
pub struct DepthwiseConv2dPrimitive;

impl Primitive for DepthwiseConv2dPrimitive {
    type Problem<'a> = DepthwiseConv2d<'a>;
    type Kernel = dyn ConvKernel;

    fn variants() -> &'static [Variant<Self>] {
        for_each_isa!(list)
    }
}

fn prepare<L: Lanes>(
    name: &'static str,
    problem: &DepthwiseConv2d<'_>,
) -> Option<Box<dyn ConvKernel>> {
    let lanes = L::detect()?;
    if !problem.is_sound() {
        return None;
    }
    if problem.multiplier > 1 || problem.taps() > MOST_TAPS {
        return prepare_grouped::<L>(name, problem);
    }
    Some(Box::new(Packed::new(name, lanes, problem)))
}

/// The same as a convolution in groups of one input channel.
fn prepare_grouped<L: Lanes>(
    name: &'static str,
    problem: &DepthwiseConv2d<'_>,
) -> Option<Box<dyn ConvKernel>> {
    let (channels, taps) = (problem.output_channels(), problem.taps());
    let mut filter = vec![0; problem.filter.len()];
    for (tap, weights) in problem.filter.chunks_exact(channels).enumerate() {
        for (channel, &weight) in weights.iter().enumerate() {
            filter[channel * taps + tap] = weight;
        }
    }
    let conv = Conv2d {
        batches: problem.batches,
        rows: problem.rows,
        columns: problem.columns,
        input_channels: problem.input_channels,
        filter_channels: 1,
        output_channels: channels,
        activations: problem.activations,
        weights: problem.weights,
        input_zero_point: problem.input_zero_point,
        filter_zero_point: problem.filter_zero_point,
        filter: &filter,
        filter_is_stored: false,
        bias: problem.bias,
        stage: problem.stage.clone(),
    };
    conv_2d::prepare::<L>(name, &conv)
}

/// A depthwise convolution with weights in the order in which lanes read them.
struct Packed<L: Lanes> {
    name: &'static str,
    lanes: L,
    batches: usize,
    rows: Window,
    columns: Window,
    channels: usize,
    signed: bool,
    /// The channels of a position in the padding.
    padding: Box<[u8]>,
    weights: Aligned,
    bias: Aligned,
    stage: StageVectors,
}

impl<L: Lanes> Packed<L> {
    fn new(name: &'static str, lanes: L, problem: &DepthwiseConv2d<'_>) -> Self {
        let p = problem;
        let (channels, taps) = (p.input_channels, p.taps());
        let block = 2 * L::N;
        let blocks = channels.div_ceil(block);
        let pairs = taps.div_ceil(2);
        let order: Vec<usize> = (0..blocks * block)
            .map(|lane| {
                let within = L::block_order(lane % block / L::N, lane % L::N);
                let channel = lane / block * block + within;
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
                let pair = first * pairs + tap / 2 * block;
                // A difference of bytes has nine bits.
                packed[2 * (pair + within) + tap % 2] = weight as i16;
            }
            bias[lane] = p
                .bias
                .map_or(0, |bias| bias[channel])
                .wrapping_sub(p.input_zero_point.wrapping_mul(sum));
        }
        Self {
            name,
            lanes,
            batches: p.batches,
            rows: p.rows,
            columns: p.columns,
            channels,
            signed: p.activations.is_signed(),
            padding: vec![(p.input_zero_point & 0xff) as u8; channels].into(),
            weights,
            bias: Aligned::of(&bias),
            stage: StageVectors::new(p.stage.clone(), &order),
        }
    }
}

/// One call of [`ConvKernel::run`].
struct Run<'a, L: Lanes> {
    packed: &'a Packed<L>,
    input: &'a [u8],
    output: &'a mut [u8],
    part: Part,
}

impl<L: Lanes> Work for Run<'_, L> {
    type Output = ();

    #[inline(always)]
    fn run<M: Lanes>(self, _: M) {
        match self.packed.rows.taps * self.packed.columns.taps {
            9 => self.positions::<9>(),
            25 => self.positions::<25>(),
            _ => self.positions::<0>(),
        }
    }
}

impl<L: Lanes> Run<'_, L> {
    #[inline(always)]
    fn positions<const T: usize>(self) {
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
            p.windows::<T>(self.input, [position / (height * width), y, x], now);
            output = later;
            position += count;
        }
    }
}

impl<L: Lanes> Packed<L> {
    /// Neighbouring output positions from (`y`, `x`) of picture `batch` on, as many as `output` has room for.
    #[inline(always)]
    fn windows<const T: usize>(&self, input: &[u8], [batch, y, x]: [usize; 3], output: &mut [u8]) {
        let count = output.len() / self.channels;
        let step = self.columns.stride * self.channels;
        let padding = Tap {
            bytes: &self.padding,
            step: 0,
        };
        let mut taps = [padding; MOST_TAPS];
        let taps = &mut taps[..self.rows.taps * self.columns.taps];
        for (tap_y, row) in taps.chunks_exact_mut(self.columns.taps).enumerate() {
            let Some(in_y) = self.rows.position(y, tap_y) else {
                continue;
            };
            let first = (batch * self.rows.input + in_y) * self.columns.input;
            for (tap_x, tap) in row.iter_mut().enumerate() {
                if let Some(in_x) = self.columns.position(x, tap_x) {
                    let bytes = &input[(first + in_x) * self.channels..];
                    *tap = Tap {
                        bytes: &bytes[..(count - 1) * step + self.channels],
                        step,
                    };
                }
            }
        }
        let windows = Windows {
            taps,
            channels: self.channels,
            signed: self.signed,
            weights: self.weights.slice(),
            bias: self.bias.slice(),
            stage: &self.stage,
        };
        windows.run::<L, T>(self.lanes, output);
    }
}

impl<L: Lanes> ConvKernel for Packed<L> {
    fn name(&self) -> &'static str {
        self.name
    }

    fn run(&self, operands: Operands<'_>, output: &mut [u8], part: Part, _: &mut Workspace) {
        self.lanes.run(Run {
            packed: self,
            input: operands.input,
            output,
            part,
        });
    }

    fn extent(&self) -> (usize, usize) {
        let rows = self.batches * self.rows.output * self.columns.output;
        (rows, self.channels)
    }

    fn row_macs(&self) -> usize {
        self.rows.taps * self.columns.taps * self.channels
    }

    fn channel_step(&self) -> usize {
        2 * L::N
    }

    fn splits_channels(&self) -> bool {
        false
    }

    fn packed_bytes(&self) -> usize {
        self.weights.bytes() + self.bias.bytes() + self.stage.bytes()
    }

    /// Nothing, but threads are used.
    fn workspace_bytes(&self) -> usize {
        1
    }
}
