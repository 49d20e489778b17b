//! TRANSPOSE_CONV: every input position spreads a window of weights over the output.

use super::shared::{
    Arithmetic, Axis, Padding, Problem, Scaled, check, check_bias_length, convolution_kernel,
    fast_transpose_conv, fused_activation, padding, wide_accumulator,
};
use super::{Node, OpDef, PrepareError, Prepared, Settings, TypeRow};
use crate::fixedpoint::FusedActivation;
use crate::model::{BuiltinOperator, Report};
use crate::schema::tflite as schema;
use crate::tensor::{Shape, TensorType as T};
use std::ops::Range;

const OUTPUT_SHAPE: usize = 0;
const FILTER: usize = 1;
const INPUT: usize = 2;
const BIAS: usize = 3;
const OUTPUT: usize = 0;

pub(super) const DEF: OpDef = OpDef {
    code: BuiltinOperator::TRANSPOSE_CONV,
    name: "TRANSPOSE_CONV",
    versions: 1..=5,
    types: &[
        TypeRow::new(&[T::Int32, T::Int8, T::Int8, T::Int32], &[T::Int8]),
        TypeRow::new(&[T::Int32, T::UInt8, T::UInt8, T::Int32], &[T::UInt8]),
        TypeRow::new(&[T::Int32, T::Int8, T::Int16, T::Int64], &[T::Int16]),
        TypeRow::new(&[T::Int32, T::Int8, T::Int16, T::Int32], &[T::Int16]),
        TypeRow::new(
            &[T::Int32, T::Float32, T::Float32, T::Float32],
            &[T::Float32],
        ),
    ],
    check,
    prepare,
};

struct Options {
    padding: Padding,
    stride: [i32; 2],
    activation: FusedActivation,
    bias_type: schema::TensorType,
}

fn parse(node: &Node<'_>) -> Result<Options, PrepareError> {
    let options = node.table()?.builtin_options_as_transpose_conv_options();
    let options = options.ok_or(PrepareError::Options {
        expected: "TransposeConvOptions",
    })?;
    Ok(Options {
        padding: padding(options.padding())?,
        stride: [options.stride_h(), options.stride_w()],
        activation: fused_activation(options.fused_activation_function())?,
        bias_type: options.quantized_bias_type(),
    })
}

fn check(node: &Node<'_>, report: &mut Report) {
    check::weighted(node, |operands| operands.input.ty == T::UInt8, report);
}

/// The geometry of a transposed convolution. Pictures are NHWC, filters OHWI.
#[derive(Debug, Clone)]
pub(crate) struct TransposeConv {
    pub batches: usize,
    /// H and W of the input.
    pub input: [usize; 2],
    pub input_channels: usize,
    pub output_channels: usize,
    /// The convolution that this one transposes: its input is our output.
    pub rows: Axis,
    pub columns: Axis,
}

fn prepare(node: &Node<'_>, settings: &Settings) -> Result<Prepared, PrepareError> {
    let options = parse(node)?;
    let wanted = node.input(OUTPUT_SHAPE, "output_shape")?;
    let filter = node.input(FILTER, "filter")?;
    let input = node.input(INPUT, "input")?;
    let output = node.output(OUTPUT, "output")?;
    let bias = node.optional_input(BIAS, "bias");
    let shape = Shape::from_i32(wanted.constant::<i32>()?)?;
    let [batches, height, width, input_channels] = input.dims("[N, H, W, C]")?;
    let [output_channels, taps_y, taps_x, filter_channels] = filter.dims("[O, H, W, I]")?;
    if filter_channels != input_channels {
        return Err(filter.shape_error(format!("{input_channels} input channels")));
    }
    let &[to_batches, to_height, to_width, to_channels] = shape.dims() else {
        return Err(wanted.shape_error("4 values: N, H, W, C"));
    };
    if (to_batches, to_channels) != (batches, output_channels) {
        return Err(input.shape_error(format!(
            "a batch of {to_batches} and weights of {to_channels} channels, as the result {shape}"
        )));
    }
    check_bias_length(bias.as_ref(), output_channels)?;
    let axis = |positions, taps, i: usize| {
        Axis::new(positions, taps, options.stride[i], 1, options.padding)
    };
    let problem = TransposeConv {
        batches,
        input: [height, width],
        input_channels,
        output_channels,
        rows: axis(to_height, taps_y, 0)?,
        columns: axis(to_width, taps_x, 1)?,
    };
    let scaled = Scaled {
        input: &input,
        filter: &filter,
        output: &output,
        channels: output_channels,
        activation: options.activation,
    };
    let window = (taps_y * taps_x).saturating_mul(output_channels);
    let macs = (input.shape.count() as u64).saturating_mul(window as u64);
    let wide = wide_accumulator(bias.as_ref(), options.bias_type, settings);
    let kernel = match fast_transpose_conv(&problem, &scaled, bias.as_ref(), settings)? {
        Some(kernel) => kernel,
        None => convolution_kernel(problem, &scaled, wide, settings)?,
    };
    Ok(Prepared::boxed(kernel, [shape]).macs(macs))
}

impl Problem for TransposeConv {
    const NAME: &'static str = "transpose_conv.reference";
    const SLOTS: [usize; 3] = [INPUT, FILTER, BIAS];

    fn run<A: Arithmetic>(
        &self,
        arithmetic: &A,
        input: &[A::Input],
        filter: &[A::Filter],
        bias: Option<&[A::Bias]>,
        output: &mut [A::Output],
    ) {
        transpose_conv(self, arithmetic, input, filter, bias, output);
    }
}

/// The input positions that reach output position `at`: `at + before - position * stride` is then a tap.
fn sources(axis: &Axis, positions: usize, at: usize) -> Range<usize> {
    let end = at + axis.before;
    let first = (end + 1).saturating_sub(axis.taps).div_ceil(axis.stride);
    let last = (end / axis.stride + 1).min(positions);
    first.min(last)..last
}

/// The reference transposed convolution. `input`: NHWC, `filter`: OHWI, `bias`: O, `output`: NHWO.
///
/// TFLite scatters each input over the output; here each output gathers its inputs, in the order in which they were
/// scattered, so that float sums are the same. Source: TFLite `kernels/internal/reference/transpose_conv.h` and
/// `reference/integer_ops/transpose_conv.h`.
pub(crate) fn transpose_conv<A: Arithmetic>(
    problem: &TransposeConv,
    arithmetic: &A,
    input: &[A::Input],
    filter: &[A::Filter],
    bias: Option<&[A::Bias]>,
    output: &mut [A::Output],
) {
    let p = problem;
    let depth = p.input_channels;
    let [height, width] = p.input;
    let picture = height * width * depth;
    let window = p.rows.taps * p.columns.taps * depth;
    let mut outputs = output.chunks_exact_mut(p.output_channels.max(1));
    for batch in 0..p.batches {
        let input = &input[batch * picture..][..picture];
        for to_y in 0..p.rows.input {
            let from_y = sources(&p.rows, height, to_y);
            for to_x in 0..p.columns.input {
                let from_x = sources(&p.columns, width, to_x);
                let Some(output) = outputs.next() else { return };
                for (channel, output) in output.iter_mut().enumerate() {
                    let filter = &filter[channel * window..][..window];
                    let mut sum = A::ZERO;
                    for y in from_y.clone() {
                        let tap_y = to_y + p.rows.before - y * p.rows.stride;
                        for x in from_x.clone() {
                            let tap_x = to_x + p.columns.before - x * p.columns.stride;
                            let input = &input[(y * width + x) * depth..][..depth];
                            let tap = tap_y * p.columns.taps + tap_x;
                            let filter = &filter[tap * depth..][..depth];
                            sum = arithmetic.dot(sum, input, filter);
                        }
                    }
                    *output = arithmetic.finish(sum, bias.map(|bias| bias[channel]), channel);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ops::shared::{IntegerSums, OutputStage};

    #[test]
    fn windows_overlap_where_the_stride_is_shorter() {
        // Inputs 1 and 2, taps (1, 2, 3), stride 2, VALID: 1 2 3 0 0 + 0 0 2 4 6.
        let axis = |positions, taps, stride| {
            Axis::new(positions, taps, stride, 1, Padding::Valid).expect("valid")
        };
        let problem = TransposeConv {
            batches: 1,
            input: [1, 2],
            input_channels: 1,
            output_channels: 1,
            rows: axis(1, 1, 1),
            columns: axis(5, 3, 2),
        };
        let arithmetic = IntegerSums::<i8, i8, _>::new(0, 0, OutputStage::identity(1));
        let mut output = [0; 5];
        transpose_conv(
            &problem,
            &arithmetic,
            &[1, 2],
            &[1, 2, 3],
            None,
            &mut output,
        );
        assert_eq!(output, [1, 2, 5, 4, 6]);
    }
}
