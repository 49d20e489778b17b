//! CONV_2D: a window of weights per output channel slides over the picture.

use super::shared::{
    Arithmetic, Axis, Padding, Problem, Scaled, check, check_bias_length, convolution_kernel,
    fast_convolution, fused_activation, hybrid, padding, without_border,
};
use super::{Node, OpDef, PrepareError, Prepared, Settings, TypeRow};
use crate::fixedpoint::FusedActivation;
use crate::model::{BuiltinOperator, Report};
use crate::tensor::{Shape, TensorType};

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
const HYBRID4: &[TensorType] = &[TensorType::Float32, TensorType::Int4, TensorType::Float32];
/// int16 with a 32-bit accumulator, declared as such or not: a converter that means int64 writes int64.
const INT16_BIAS32: &[TensorType] = &[TensorType::Int16, TensorType::Int8, TensorType::Int32];

pub(super) const DEF: OpDef = OpDef {
    code: BuiltinOperator::CONV_2D,
    name: "CONV_2D",
    versions: 1..=8,
    types: &[
        TypeRow::new(INT8, &[TensorType::Int8]),
        TypeRow::new(UINT8, &[TensorType::UInt8]),
        TypeRow::new(INT4, &[TensorType::Int8]),
        TypeRow::new(INT16, &[TensorType::Int16]),
        TypeRow::new(FLOAT32, &[TensorType::Float32]),
        TypeRow::new(HYBRID, &[TensorType::Float32]),
        TypeRow::new(HYBRID4, &[TensorType::Float32]),
        TypeRow::new(INT16_BIAS32, &[TensorType::Int16]),
    ],
    check,
    prepare,
};

struct Options {
    padding: Padding,
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
    check::weighted(
        node,
        |operands| operands.input.ty == TensorType::UInt8,
        report,
    );
}

/// The geometry of a convolution. Pictures are NHWC, filters OHWI.
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
    let bias = node.optional_input(BIAS, "bias");
    check_bias_length(bias.as_ref(), output_channels)?;
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
    };
    let scaled = Scaled {
        input: &input,
        filter: &filter,
        output: &output,
        channels: output_channels,
        activation: options.activation,
    };
    let macs = (shape.count() as u64).saturating_mul((taps_y * taps_x * filter_channels) as u64);
    let wide = bias.is_none_or(|bias| bias.ty == TensorType::Int64);
    if input.ty == TensorType::Float32 && filter.ty != TensorType::Float32 {
        return hybrid_kernel(problem, &scaled, shape, settings)
            .map(|prepared| prepared.macs(macs));
    }
    let fast = |[rows, columns]: [Axis; 2]| {
        let problem = Conv2d {
            rows,
            columns,
            ..problem.clone()
        };
        fast_convolution(&problem, &scaled, bias.as_ref(), settings)
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

/// Float activations with int8 weights. Scales that differ between channels, or groups, take another kernel in TFLite than
/// one scale does. Source: TFLite `kernels/conv.cc`, `EvalHybrid` and `EvalHybridPerChannel`.
fn hybrid_kernel(
    problem: Conv2d,
    scaled: &Scaled<'_>,
    shape: Shape,
    settings: &Settings,
) -> Result<Prepared, PrepareError> {
    let scales = scaled.filter.scales()?;
    let is_grouped = problem.group_channels != problem.output_channels;
    let per_channel = is_grouped || scales.iter().any(|&scale| scale != scales[0]);
    let scheme = hybrid::Scheme {
        codes: hybrid::RowCodes::new(per_channel, settings),
        weights_first: per_channel,
    };
    let picture = Conv2d {
        batches: 1,
        ..problem
    };
    let sizes = [
        picture.rows.input * picture.columns.input * picture.input_channels,
        picture.rows.output * picture.columns.output * picture.output_channels,
    ];
    hybrid::prepare(picture, sizes, scaled, scheme, shape)
}

impl Problem for Conv2d {
    const NAME: &'static str = "conv_2d.reference";
    const SLOTS: [usize; 3] = [INPUT, FILTER, BIAS];

    fn run<A: Arithmetic>(
        &self,
        arithmetic: &A,
        input: &[A::Input],
        filter: &[A::Filter],
        bias: Option<&[A::Bias]>,
        output: &mut [A::Output],
    ) {
        conv_2d(self, arithmetic, input, filter, bias, output);
    }
}

/// The reference convolution. `input`: NHWC, `filter`: OHWI, `bias`: O, `output`: NHWO.
///
/// Padding adds nothing to the accumulator, because it stands for real zero. Source: TFLite
/// `kernels/internal/reference/conv.h` and `reference/integer_ops/conv.h`.
pub(crate) fn conv_2d<A: Arithmetic>(
    problem: &Conv2d,
    arithmetic: &A,
    input: &[A::Input],
    filter: &[A::Filter],
    bias: Option<&[A::Bias]>,
    output: &mut [A::Output],
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
                // A dilated window can lie around a small input without touching it.
                let taps_y = if taps_x.is_empty() {
                    0..0
                } else {
                    taps_y.clone()
                };
                let Some(output) = outputs.next() else { return };
                for (channel, output) in output.iter_mut().enumerate() {
                    let filter = &filter[channel * window..][..window];
                    let group = channel / p.group_channels * p.filter_channels;
                    let mut sum = A::ZERO;
                    for (row, tap_y) in taps_y.clone().enumerate() {
                        let y = first_y + row * p.rows.dilation;
                        let from = (y * p.columns.input + first_x) * p.input_channels + group;
                        let weights =
                            &filter[tap_y * filter_row + taps_x.start * p.filter_channels..];
                        sum = window_row(p, arithmetic, sum, &input[from..], weights, taps_x.len());
                    }
                    *output = arithmetic.finish(sum, bias.map(|bias| bias[channel]), channel);
                }
            }
        }
    }
}

/// `sum` plus the products of `taps` neighbouring taps.
#[inline(always)]
fn window_row<A: Arithmetic>(
    p: &Conv2d,
    arithmetic: &A,
    mut sum: A::Sum,
    input: &[A::Input],
    filter: &[A::Filter],
    taps: usize,
) -> A::Sum {
    let depth = p.filter_channels;
    if p.columns.dilation == 1 && depth == p.input_channels {
        let len = taps * depth;
        return arithmetic.dot(sum, &input[..len], &filter[..len]);
    }
    for tap in 0..taps {
        let input = &input[tap * p.columns.dilation * p.input_channels..][..depth];
        let filter = &filter[tap * depth..][..depth];
        sum = arithmetic.dot(sum, input, filter);
    }
    sum
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ops::shared::{IntegerSums, OutputStage};

    /// Convolves int8 with multiplier 1: results are the sums themselves.
    fn sums(problem: &Conv2d, input: &[i8], filter: &[i8], bias: &[i32]) -> Vec<i8> {
        let positions = problem.batches * problem.rows.output * problem.columns.output;
        let mut output = vec![0; positions * problem.output_channels];
        let stage = OutputStage::identity(problem.output_channels);
        let arithmetic = IntegerSums::<i8, i8, _>::new(1, 0, stage);
        conv_2d(problem, &arithmetic, input, filter, Some(bias), &mut output);
        output
    }

    fn axis(input: usize, taps: usize, stride: i32, dilation: i32) -> Axis {
        Axis::new(input, taps, stride, dilation, Padding::Same).expect("valid")
    }

    #[test]
    fn groups_read_their_own_channels() {
        // Two groups of one channel, one output each, zero point 1: 2 * (3 - 1) + 10 and 5 * (4 - 1) - 10.
        let problem = Conv2d {
            batches: 1,
            rows: axis(1, 1, 1, 1),
            columns: axis(1, 1, 1, 1),
            input_channels: 2,
            filter_channels: 1,
            group_channels: 1,
            output_channels: 2,
        };
        assert_eq!(sums(&problem, &[3, 4], &[2, 5], &[10, -10]), [14, 5]);
    }

    #[test]
    fn dilated_window_around_a_small_picture_leaves_the_bias() {
        // One column, taps at -2 and 2 once padded: neither is inside, whatever the rows do.
        let problem = Conv2d {
            batches: 1,
            rows: axis(1, 1, 1, 1),
            columns: axis(1, 2, 1, 4),
            input_channels: 1,
            filter_channels: 1,
            group_channels: 1,
            output_channels: 1,
        };
        assert_eq!(problem.columns.taps_inside(0).0.len(), 0);
        assert_eq!(sums(&problem, &[100], &[7, 7], &[42]), [42]);
    }
}
