//! CONV_2D: a window of weights per output channel slides over the picture.

use super::shared::{Axis, OutputStage, Quantized, check, fused_activation, padding};
use super::{
    EvalError, Kernel, KernelIo, Node, NodeTensor, OpDef, PrepareError, Prepared, Settings,
    TypeRow, Views, required,
};
use crate::fixedpoint::FusedActivation;
use crate::model::{BuiltinOperator, Report};
use crate::tensor::{Shape, TensorType};

const INPUT: usize = 0;
const FILTER: usize = 1;
const BIAS: usize = 2;
const OUTPUT: usize = 0;

const INT8: &[TensorType] = &[TensorType::Int8, TensorType::Int8, TensorType::Int32];
const UINT8: &[TensorType] = &[TensorType::UInt8, TensorType::UInt8, TensorType::Int32];

pub(super) const DEF: OpDef = OpDef {
    code: BuiltinOperator::CONV_2D,
    name: "CONV_2D",
    versions: 1..=8,
    types: &[
        TypeRow::new(INT8, &[TensorType::Int8]),
        TypeRow::new(UINT8, &[TensorType::UInt8]),
    ],
    check,
    prepare,
};

struct Options {
    padding: super::shared::Padding,
    stride: [i32; 2],
    dilation: [i32; 2],
    activation: FusedActivation,
}

fn parse(node: &Node<'_>) -> Result<Options, PrepareError> {
    let options = node.table()?.builtin_options_as_conv2d_options();
    let options = options.ok_or(PrepareError::Options {
        expected: "Conv2DOptions",
    })?;
    Ok(Options {
        padding: padding(options.padding())?,
        stride: [options.stride_h(), options.stride_w()],
        dilation: [options.dilation_h_factor(), options.dilation_w_factor()],
        activation: fused_activation(options.fused_activation_function())?,
    })
}

fn check(node: &Node<'_>, report: &mut Report) {
    if let (Ok(input), Ok(filter), Ok(output)) = (
        node.input(INPUT, "input"),
        node.input(FILTER, "filter"),
        node.output(OUTPUT, "output"),
    ) {
        let operands = check::Weighted {
            input,
            filter,
            bias: node.optional_input(BIAS, "bias"),
            output,
            channel_axis: 0,
            bias_scale_refused: input.ty == TensorType::UInt8,
        };
        check::weighted(node, &operands, report);
    }
}

/// Everything a convolution needs beside its operands. Pictures are NHWC, filters OHWI.
#[derive(Debug, Clone)]
pub(crate) struct Conv2d {
    pub batches: usize,
    pub rows: Axis,
    pub columns: Axis,
    /// Channels of the input.
    pub input_channels: usize,
    /// Input channels that one output channel reads: fewer than all where the convolution is grouped.
    pub filter_channels: usize,
    /// Output channels of one group.
    pub group_channels: usize,
    pub output_channels: usize,
    pub input_zero_point: i16,
    /// 0 for signed weights.
    pub filter_zero_point: i16,
    pub stage: OutputStage,
}

fn prepare(node: &Node<'_>, settings: &Settings) -> Result<Prepared, PrepareError> {
    let options = parse(node)?;
    let input = node.input(INPUT, "input")?;
    let filter = node.input(FILTER, "filter")?;
    let output = node.output(OUTPUT, "output")?;
    let [batches, height, width, input_channels] = input.dims("[N, H, W, C]")?;
    let [output_channels, taps_y, taps_x, filter_channels] = filter.dims("[O, H, W, I]")?;
    if filter_channels == 0 || input_channels % filter_channels != 0 {
        return Err(filter.shape_error(format!(
            "input channels that divide the picture's {input_channels}"
        )));
    }
    let groups = input_channels / filter_channels;
    if groups == 0 || output_channels % groups != 0 {
        return Err(filter.shape_error(format!("output channels that {groups} groups divide")));
    }
    check_bias_length(node.optional_input(BIAS, "bias").as_ref(), output_channels)?;
    let rows = Axis::new(
        height,
        taps_y,
        options.stride[0],
        options.dilation[0],
        options.padding,
    )?;
    let columns = Axis::new(
        width,
        taps_x,
        options.stride[1],
        options.dilation[1],
        options.padding,
    )?;
    let shape = Shape::new(&[batches, rows.output, columns.output, output_channels])?;
    let problem = Conv2d {
        batches,
        rows,
        columns,
        input_channels,
        filter_channels,
        group_channels: output_channels / groups,
        output_channels,
        input_zero_point: narrow(input.per_tensor()?.1),
        filter_zero_point: filter_zero_point(&filter),
        stage: OutputStage::new(
            &input,
            &filter,
            &output,
            output_channels,
            options.activation,
            settings,
        )?,
    };
    let macs = (shape.count() as u64) * (taps_y * taps_x * filter_channels) as u64;
    let prepared = match input.ty {
        TensorType::UInt8 => Prepared::new(Reference::<u8>::new(problem), [shape]),
        _ => Prepared::new(Reference::<i8>::new(problem), [shape]),
    };
    Ok(prepared.macs(macs))
}

/// A verified zero point of an 8-bit tensor.
pub(super) fn narrow(zero_point: i32) -> i16 {
    zero_point.clamp(i16::MIN.into(), i16::MAX.into()) as i16
}

/// The weights' zero point: signed weights are symmetric whatever the file declares.
pub(super) fn filter_zero_point(filter: &NodeTensor<'_>) -> i16 {
    match filter.ty {
        TensorType::UInt8 => narrow(filter.quantization.map_or(0, |q| q.zero_point())),
        _ => 0,
    }
}

/// Refuses a bias that has not one value per output channel.
pub(super) fn check_bias_length(
    bias: Option<&NodeTensor<'_>>,
    channels: usize,
) -> Result<(), PrepareError> {
    match bias {
        Some(bias) if bias.shape.count() != channels => {
            Err(bias.shape_error(format!("{channels} values, one per output channel")))
        }
        _ => Ok(()),
    }
}

struct Reference<T> {
    problem: Conv2d,
    element: std::marker::PhantomData<T>,
}

impl<T> Reference<T> {
    fn new(problem: Conv2d) -> Self {
        Self {
            problem,
            element: std::marker::PhantomData,
        }
    }
}

impl<T: Quantized> Kernel for Reference<T> {
    fn eval(&self, io: &mut KernelIo<'_>) -> Result<(), EvalError> {
        let Views {
            inputs: [input, filter, bias],
            outputs: [output],
            ..
        } = io.views([INPUT, FILTER, BIAS], [OUTPUT], [])?;
        let bias = bias.map(|bias| bias.as_slice::<i32>()).transpose()?;
        conv_2d::<T>(
            &self.problem,
            required(input, INPUT)?.as_slice()?,
            required(filter, FILTER)?.as_slice()?,
            bias,
            output.into_slice()?,
        );
        Ok(())
    }

    fn name(&self) -> &'static str {
        "conv_2d.reference"
    }
}

/// The reference convolution. `input`: NHWC, `filter`: OHWI, `bias`: O, `output`: NHWO.
///
/// Padding adds nothing to the accumulator, because it stands for real zero. Source: TFLite
/// `kernels/internal/reference/conv.h` and `reference/integer_ops/conv.h`.
pub(crate) fn conv_2d<T: Quantized>(
    problem: &Conv2d,
    input: &[T],
    filter: &[T],
    bias: Option<&[i32]>,
    output: &mut [T],
) {
    let p = problem;
    let picture = p.rows.input * p.columns.input * p.input_channels;
    let filter_row = p.columns.taps * p.filter_channels;
    let window = p.rows.taps * filter_row;
    let mut outputs = output.chunks_exact_mut(p.output_channels.max(1));
    for batch in 0..p.batches {
        let input = &input[batch * picture..][..picture];
        for y in 0..p.rows.output {
            let (taps_y, first_y) = p.rows.taps_inside(y);
            for x in 0..p.columns.output {
                let (taps_x, first_x) = p.columns.taps_inside(x);
                let Some(output) = outputs.next() else { return };
                for (channel, output) in output.iter_mut().enumerate() {
                    let filter = &filter[channel * window..][..window];
                    let group = channel / p.group_channels * p.filter_channels;
                    let mut sum = bias.map_or(0, |bias| bias[channel]);
                    for (row, tap_y) in taps_y.clone().enumerate() {
                        let y = first_y + row * p.rows.dilation;
                        let from = (y * p.columns.input + first_x) * p.input_channels + group;
                        let weights =
                            &filter[tap_y * filter_row + taps_x.start * p.filter_channels..];
                        sum =
                            sum.wrapping_add(window_row(p, &input[from..], weights, taps_x.len()));
                    }
                    *output = p.stage.apply(sum, channel);
                }
            }
        }
    }
}

/// The products of `taps` neighbouring taps.
#[inline(always)]
fn window_row<T: Quantized>(p: &Conv2d, input: &[T], filter: &[T], taps: usize) -> i32 {
    let depth = p.filter_channels;
    if p.columns.dilation == 1 && depth == p.input_channels {
        let len = taps * depth;
        return dot(
            &input[..len],
            &filter[..len],
            p.input_zero_point,
            p.filter_zero_point,
        );
    }
    let mut sum = 0i32;
    for tap in 0..taps {
        let input = &input[tap * p.columns.dilation * p.input_channels..][..depth];
        let filter = &filter[tap * depth..][..depth];
        sum = sum.wrapping_add(dot(input, filter, p.input_zero_point, p.filter_zero_point));
    }
    sum
}

/// `sum((a - a_zero) * (b - b_zero))`, wrapping at 32 bits as the hardware does.
#[inline(always)]
pub(super) fn dot<T: Quantized>(a: &[T], b: &[T], a_zero: i16, b_zero: i16) -> i32 {
    let products = a
        .iter()
        .zip(b)
        .map(|(&a, &b)| i32::from(a.offset(a_zero)).wrapping_mul(i32::from(b.offset(b_zero))));
    products.fold(0, i32::wrapping_add)
}
