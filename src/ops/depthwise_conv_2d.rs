//! DEPTHWISE_CONV_2D: every channel of the picture has windows of its own.

use super::shared::{
    Arithmetic, Axis, Padding, Problem, Scaled, check, check_bias_length, convolution_kernel,
    fast_depthwise_convolution, fused_activation, hybrid, padding, without_border,
};
use super::{Node, OpDef, PrepareError, Prepared, Settings, TypeRow};
use crate::fixedpoint::FusedActivation;
use crate::model::{BuiltinOperator, Report};
use crate::tensor::{Shape, TensorType};
use std::ops::Range;

const INPUT: usize = 0;
const FILTER: usize = 1;
const BIAS: usize = 2;
const OUTPUT: usize = 0;

const INT8: &[TensorType] = &[TensorType::Int8, TensorType::Int8, TensorType::Int32];
const UINT8: &[TensorType] = &[TensorType::UInt8, TensorType::UInt8, TensorType::Int32];
const INT4: &[TensorType] = &[TensorType::Int8, TensorType::Int4, TensorType::Int32];
const INT16: &[TensorType] = &[TensorType::Int16, TensorType::Int8, TensorType::Int64];
const FLOAT32: &[TensorType] = &[TensorType::Float32];
const HYBRID: &[TensorType] = &[TensorType::Float32, TensorType::Int8, TensorType::Float32];

pub(super) const DEF: OpDef = OpDef {
    code: BuiltinOperator::DEPTHWISE_CONV_2D,
    name: "DEPTHWISE_CONV_2D",
    versions: 1..=6,
    types: &[
        TypeRow::new(INT8, &[TensorType::Int8]),
        TypeRow::new(UINT8, &[TensorType::UInt8]),
        TypeRow::new(INT4, &[TensorType::Int8]),
        TypeRow::new(INT16, &[TensorType::Int16]),
        TypeRow::new(FLOAT32, &[TensorType::Float32]),
        TypeRow::new(HYBRID, &[TensorType::Float32]),
    ],
    check,
    prepare,
};

/// The option table. Its depth multiplier is not read: it follows from the shapes, as in TFLite.
struct Options {
    padding: Padding,
    stride: [i32; 2],
    dilation: [i32; 2],
    activation: FusedActivation,
}

fn parse(node: &Node<'_>) -> Result<Options, PrepareError> {
    let options = node.table()?.builtin_options_as_depthwise_conv2d_options();
    let options = options.ok_or(PrepareError::Options {
        expected: "DepthwiseConv2DOptions",
    })?;
    Ok(Options {
        padding: padding(options.padding())?,
        stride: [options.stride_h(), options.stride_w()],
        dilation: [options.dilation_h_factor(), options.dilation_w_factor()],
        activation: fused_activation(options.fused_activation_function())?,
    })
}

fn check(node: &Node<'_>, report: &mut Report) {
    check::weighted(
        node,
        |operands| operands.input.ty == TensorType::UInt8,
        report,
    );
}

/// The geometry of a depthwise convolution. Pictures are NHWC, filters 1HWO.
#[derive(Debug, Clone)]
pub(crate) struct DepthwiseConv2d {
    pub batches: usize,
    pub rows: Axis,
    pub columns: Axis,
    /// Channels of the input.
    pub input_channels: usize,
    /// Output channels of one input channel.
    pub multiplier: usize,
}

fn prepare(node: &Node<'_>, settings: &Settings) -> Result<Prepared, PrepareError> {
    let options = parse(node)?;
    let input = node.input(INPUT, "input")?;
    let filter = node.input(FILTER, "filter")?;
    let output = node.output(OUTPUT, "output")?;
    let [batches, height, width, input_channels] = input.dims("[N, H, W, C]")?;
    let [1, taps_y, taps_x, output_channels] = filter.dims("[1, H, W, O]")? else {
        return Err(filter.shape_error("[1, H, W, O]"));
    };
    if input_channels == 0 || output_channels % input_channels != 0 {
        return Err(filter.shape_error(format!(
            "a multiple of the picture's {input_channels} channels"
        )));
    }
    let bias = node.optional_input(BIAS, "bias");
    check_bias_length(bias.as_ref(), output_channels)?;
    let axis = |positions, taps, i: usize| {
        let (stride, dilation) = (options.stride[i], options.dilation[i]);
        Axis::new(positions, taps, stride, dilation, options.padding)
    };
    let (rows, columns) = (axis(height, taps_y, 0)?, axis(width, taps_x, 1)?);
    let shape = Shape::new(&[batches, rows.output, columns.output, output_channels])?;
    let problem = DepthwiseConv2d {
        batches,
        rows,
        columns,
        input_channels,
        multiplier: output_channels / input_channels,
    };
    let scaled = Scaled {
        input: &input,
        filter: &filter,
        output: &output,
        channels: output_channels,
        activation: options.activation,
    };
    let macs = (shape.count() as u64).saturating_mul((taps_y * taps_x) as u64);
    let wide = bias.is_none_or(|bias| bias.ty == TensorType::Int64);
    if input.ty == TensorType::Float32 && filter.ty != TensorType::Float32 {
        return hybrid_kernel(problem, &scaled, shape, settings)
            .map(|prepared| prepared.macs(macs));
    }
    let fast = |[rows, columns]: [Axis; 2]| {
        let problem = DepthwiseConv2d {
            rows,
            columns,
            ..problem.clone()
        };
        fast_depthwise_convolution(&problem, &scaled, bias.as_ref(), settings)
    };
    if let Some(kernel) = without_border(node, [rows, columns], fast)? {
        let prepared = Prepared::boxed(kernel, [shape]).macs(macs);
        return Ok(prepared.taking_border());
    }
    let kernel = match fast([rows, columns])? {
        Some(kernel) => kernel,
        None => convolution_kernel(problem, &scaled, wide, settings)?,
    };
    Ok(Prepared::boxed(kernel, [shape]).macs(macs))
}

/// Float activations with int8 weights. Source: TFLite `kernels/depthwise_conv.cc`, `EvalHybridPerChannel`.
fn hybrid_kernel(
    problem: DepthwiseConv2d,
    scaled: &Scaled<'_>,
    shape: Shape,
    settings: &Settings,
) -> Result<Prepared, PrepareError> {
    let scheme = hybrid::Scheme {
        codes: hybrid::RowCodes::new(true, settings),
        weights_first: false,
    };
    let picture = DepthwiseConv2d {
        batches: 1,
        ..problem
    };
    let sizes = [
        picture.rows.input * picture.columns.input * picture.input_channels,
        picture.rows.output * picture.columns.output * scaled.channels,
    ];
    hybrid::prepare(picture, sizes, scaled, scheme, shape)
}

impl Problem for DepthwiseConv2d {
    const NAME: &'static str = "depthwise_conv_2d.reference";
    const SLOTS: [usize; 3] = [INPUT, FILTER, BIAS];

    fn run<A: Arithmetic>(
        &self,
        arithmetic: &A,
        input: &[A::Input],
        filter: &[A::Filter],
        bias: Option<&[A::Bias]>,
        output: &mut [A::Output],
    ) {
        depthwise_conv_2d(self, arithmetic, input, filter, bias, output);
    }
}

/// The reference depthwise convolution. `input`: NHWC, `filter`: 1HWO, `bias`: O, `output`: NHWO; output channel `o` reads
/// input channel `o / multiplier`.
///
/// Source: TFLite `kernels/internal/reference/depthwiseconv_{uint8,float}.h` and
/// `reference/integer_ops/depthwise_conv.h`. Each channel's products are summed in their order; channels are taken in
/// blocks so that neighbouring ones share a loop.
pub(crate) fn depthwise_conv_2d<A: Arithmetic>(
    problem: &DepthwiseConv2d,
    arithmetic: &A,
    input: &[A::Input],
    filter: &[A::Filter],
    bias: Option<&[A::Bias]>,
    output: &mut [A::Output],
) {
    let p = problem;
    let picture = p.rows.input * p.columns.input * p.input_channels;
    let output_channels = p.input_channels * p.multiplier;
    let mut outputs = output.chunks_exact_mut(output_channels.max(1));
    for batch in 0..p.batches {
        let input = &input[batch * picture..][..picture];
        for y in 0..p.rows.output {
            let (taps_y, first_y) = p.rows.taps_inside(y);
            for x in 0..p.columns.output {
                let (taps_x, first_x) = p.columns.taps_inside(x);
                let Some(output) = outputs.next() else { return };
                let position = Position {
                    problem: p,
                    arithmetic,
                    input,
                    filter,
                    bias,
                    taps: [taps_y.clone(), taps_x],
                    first: [first_y, first_x],
                };
                if p.multiplier == 1 {
                    position.channels::<false>(0, 0, output);
                    continue;
                }
                for (channel, output) in output.chunks_exact_mut(p.multiplier).enumerate() {
                    position.channels::<true>(channel, channel * p.multiplier, output);
                }
            }
        }
    }
}

/// One output position: its operands and the taps that fall inside the input.
struct Position<'a, A: Arithmetic> {
    problem: &'a DepthwiseConv2d,
    arithmetic: &'a A,
    input: &'a [A::Input],
    filter: &'a [A::Filter],
    bias: Option<&'a [A::Bias]>,
    /// Taps inside, by row and column.
    taps: [Range<usize>; 2],
    /// The input row and column of the first tap.
    first: [usize; 2],
}

impl<A: Arithmetic> Position<'_, A> {
    /// Neighbouring output channels from `to` on. They read input channel `from` alone where `SHARED`, else one each
    /// from `from` on.
    #[inline(always)]
    fn channels<const SHARED: bool>(&self, from: usize, to: usize, output: &mut [A::Output]) {
        let mut done = 0;
        let mut blocks = output.chunks_exact_mut(16);
        for block in &mut blocks {
            self.block::<SHARED, 16>(from + if SHARED { 0 } else { done }, to + done, block);
            done += 16;
        }
        let mut blocks = blocks.into_remainder().chunks_exact_mut(4);
        for block in &mut blocks {
            self.block::<SHARED, 4>(from + if SHARED { 0 } else { done }, to + done, block);
            done += 4;
        }
        for output in blocks.into_remainder().chunks_exact_mut(1) {
            self.block::<SHARED, 1>(from + if SHARED { 0 } else { done }, to + done, output);
            done += 1;
        }
    }

    #[inline(always)]
    fn block<const SHARED: bool, const N: usize>(
        &self,
        from: usize,
        to: usize,
        output: &mut [A::Output],
    ) {
        let p = self.problem;
        let [taps_y, taps_x] = &self.taps;
        let output_channels = p.input_channels * p.multiplier;
        let mut sums = [A::ZERO; N];
        for (row, tap_y) in taps_y.clone().enumerate() {
            let y = self.first[0] + row * p.rows.dilation;
            for (column, tap_x) in taps_x.clone().enumerate() {
                let x = self.first[1] + column * p.columns.dilation;
                let input = &self.input[(y * p.columns.input + x) * p.input_channels + from..];
                let tap = tap_y * p.columns.taps + tap_x;
                let filter = &self.filter[tap * output_channels + to..][..N];
                if SHARED {
                    for (sum, &filter) in sums.iter_mut().zip(filter) {
                        *sum = self.arithmetic.accumulate(*sum, input[0], filter);
                    }
                } else {
                    for ((sum, &input), &filter) in sums.iter_mut().zip(&input[..N]).zip(filter) {
                        *sum = self.arithmetic.accumulate(*sum, input, filter);
                    }
                }
            }
        }
        for (i, (output, sum)) in output.iter_mut().zip(sums).enumerate() {
            let bias = self.bias.map(|bias| bias[to + i]);
            *output = self.arithmetic.finish(sum, bias, to + i);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ops::shared::{IntegerSums, OutputStage};

    #[test]
    fn depthwise_blocks_and_single_channels_agree() {
        // Per channel c, taps 1 and 2 along x on inputs c and c + 1: 1 * c + 2 * (c + 1) = 3c + 2; at the right border the
        // second tap is outside: c + 1. 21 channels make one block of 16, one of 4 and a single one.
        let channels = 21;
        let codes = |from: i8| (0..21).map(move |c| c + from);
        let input: Vec<i8> = codes(0).chain(codes(1)).collect();
        let filter = [vec![1i8; channels], vec![2; channels]].concat();
        let axis = |input, taps| Axis::new(input, taps, 1, 1, Padding::Same).expect("valid");
        let problem = DepthwiseConv2d {
            batches: 1,
            rows: axis(1, 1),
            columns: axis(2, 2),
            input_channels: channels,
            multiplier: 1,
        };
        let arithmetic = IntegerSums::<i8, i8, _>::new(0, 0, OutputStage::identity(channels));
        let mut output = vec![0; 2 * channels];
        depthwise_conv_2d(&problem, &arithmetic, &input, &filter, None, &mut output);
        let expected: Vec<i8> = codes(0).map(|c| 3 * c + 2).chain(codes(1)).collect();
        assert_eq!(output, expected);
    }

    #[test]
    fn depth_multiplier_repeats_the_input_channel() {
        // Two inputs 10 and 20 with zero point 1, two outputs each: 9 * (1, 2), 19 * (3, 4).
        let axis = Axis::new(1, 1, 1, 1, Padding::Valid).expect("valid");
        let problem = DepthwiseConv2d {
            batches: 1,
            rows: axis,
            columns: axis,
            input_channels: 2,
            multiplier: 2,
        };
        let arithmetic = IntegerSums::<i8, i8, _>::new(1, 0, OutputStage::identity(4));
        let mut output = [0; 4];
        let bias = [0, 0, 1, 2];
        depthwise_conv_2d(
            &problem,
            &arithmetic,
            &[10, 20],
            &[1, 2, 3, 4],
            Some(&bias),
            &mut output,
        );
        assert_eq!(output, [9, 18, 58, 78]);
    }
}
