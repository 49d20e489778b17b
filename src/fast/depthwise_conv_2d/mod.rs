//! Depthwise convolutions of bytes: neighbouring channels side by side in vectors.
//!
//! Where one input channel has several output channels, the picture is copied with each channel repeated as often. A single input
//! channel makes it a plain convolution.

mod packed;
mod quads;

use super::conv_2d;
use super::lanes::channelwise::MOST_TAPS;
use super::lanes::{Lanes, for_each_isa};
use super::{Conv2d, ConvKernel, Element8, Primitive, Stage, Variant, Window};
use packed::Packed;
use quads::Quads;

/// Multiply-accumulate operations that are worth a thread's attention: one takes several times as long as in a matrix product.
const TASK_MACS: usize = super::TASK_MACS / 4;

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

    /// Whether a copy of the picture that has as many channels as the output is small beside the output.
    fn repeats(&self) -> bool {
        let copy = self.batches * self.rows.input * self.columns.input * self.input_channels;
        let output = self.batches * self.rows.output * self.columns.output * self.output_channels();
        copy.saturating_mul(self.multiplier) <= MOST_REPEATED + 4 * output
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

/// Output channels of which fewer leave most of a vector empty.
const FEWEST_CHANNELS: usize = 8;

/// Bytes of a picture with repeated channels, beyond four times the output.
const MOST_REPEATED: usize = 1 << 20;

fn prepare<L: Lanes>(
    name: &'static str,
    problem: &DepthwiseConv2d<'_>,
) -> Option<Box<dyn ConvKernel>> {
    let lanes = L::detect()?;
    if !problem.is_sound() {
        return None;
    }
    let has_groups = problem.input_channels == 1 || !problem.repeats();
    if problem.multiplier > 1 && has_groups || problem.taps() > MOST_TAPS {
        return prepare_convolution::<L>(name, problem, 1);
    }
    if !L::QUADS && problem.output_channels() < FEWEST_CHANNELS {
        return prepare_convolution::<L>(name, problem, problem.input_channels);
    }
    if let Some(quads) = Quads::new(name, lanes, problem) {
        return Some(Box::new(quads));
    }
    Some(Box::new(Packed::new(name, lanes, problem)))
}

/// The same as a convolution whose filters read `filter_channels` input channels: one in groups, or all, but one with weights of zero.
fn prepare_convolution<L: Lanes>(
    name: &'static str,
    problem: &DepthwiseConv2d<'_>,
    filter_channels: usize,
) -> Option<Box<dyn ConvKernel>> {
    let (channels, taps) = (problem.output_channels(), problem.taps());
    let zero = (problem.filter_zero_point & 0xff) as u8;
    let mut filter = vec![zero; problem.filter.len() * filter_channels];
    for (tap, weights) in problem.filter.chunks_exact(channels).enumerate() {
        for (channel, &weight) in weights.iter().enumerate() {
            let reads = channel / problem.multiplier % filter_channels;
            filter[(channel * taps + tap) * filter_channels + reads] = weight;
        }
    }
    let conv = Conv2d {
        batches: problem.batches,
        rows: problem.rows,
        columns: problem.columns,
        input_channels: problem.input_channels,
        filter_channels,
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
