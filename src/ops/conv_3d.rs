//! CONV_3D: a window of weights per output channel slides over a volume.

use super::shared::{Axis, FloatRange, check, check_bias_length, fused_activation, padding};
use super::{
    EvalError, Kernel, KernelIo, Node, OpDef, PrepareError, Prepared, Settings, TypeRow, Views,
    required,
};
use crate::model::BuiltinOperator;
use crate::tensor::{Shape, TensorType as T};

const INPUT: usize = 0;
const FILTER: usize = 1;
const BIAS: usize = 2;
const OUTPUT: usize = 0;

pub(super) const DEF: OpDef = OpDef {
    code: BuiltinOperator::CONV_3D,
    name: "CONV_3D",
    versions: 1..=1,
    types: &[TypeRow::new(&[T::Float32], &[T::Float32])],
    check: check::none,
    prepare,
};

/// The geometry of a convolution. Volumes are NDHWC, filters DHWIO.
#[derive(Debug, Clone)]
pub(crate) struct Conv3d {
    batches: usize,
    /// Depth, height, width.
    axes: [Axis; 3],
    input_channels: usize,
    output_channels: usize,
    range: FloatRange,
}

fn prepare(node: &Node<'_>, _: &Settings) -> Result<Prepared, PrepareError> {
    let options = node.table()?.builtin_options_as_conv3d_options();
    let options = options.ok_or(PrepareError::Options {
        expected: "Conv3DOptions",
    })?;
    let input = node.input(INPUT, "input")?;
    let filter = node.input(FILTER, "filter")?;
    let [batches, depth, height, width, input_channels] = input.dims("[N, D, H, W, C]")?;
    let [taps_d, taps_h, taps_w, filter_channels, output_channels] =
        filter.dims("[D, H, W, I, O]")?;
    if filter_channels != input_channels {
        return Err(filter.shape_error(format!("{input_channels} input channels")));
    }
    check_bias_length(node.optional_input(BIAS, "bias").as_ref(), output_channels)?;
    let padding = padding(options.padding())?;
    let axis =
        |positions, taps, stride, dilation| Axis::new(positions, taps, stride, dilation, padding);
    let axes = [
        axis(
            depth,
            taps_d,
            options.stride_d(),
            options.dilation_d_factor(),
        )?,
        axis(
            height,
            taps_h,
            options.stride_h(),
            options.dilation_h_factor(),
        )?,
        axis(
            width,
            taps_w,
            options.stride_w(),
            options.dilation_w_factor(),
        )?,
    ];
    let [d, h, w] = axes.map(|axis| axis.output);
    let shape = Shape::new(&[batches, d, h, w, output_channels])?;
    let macs =
        (shape.count() as u64).saturating_mul((taps_d * taps_h * taps_w * input_channels) as u64);
    let problem = Conv3d {
        batches,
        axes,
        input_channels,
        output_channels,
        range: FloatRange::new(fused_activation(options.fused_activation_function())?),
    };
    Ok(Prepared::new(problem, [shape]).macs(macs))
}

impl Kernel for Conv3d {
    fn eval(&self, io: &mut KernelIo<'_>) -> Result<(), EvalError> {
        let Views {
            inputs: [input, filter, bias],
            outputs: [output],
            ..
        } = io.views([INPUT, FILTER, BIAS], [OUTPUT], [])?;
        conv_3d(
            self,
            required(input, INPUT)?.as_slice()?,
            required(filter, FILTER)?.as_slice()?,
            bias.map(|bias| bias.as_slice()).transpose()?,
            output.into_slice()?,
        );
        Ok(())
    }

    fn name(&self) -> &'static str {
        "conv_3d.reference"
    }
}

/// The reference convolution. `input`: NDHWC, `filter`: DHWIO, `bias`: O, `output`: NDHWO. Every sum runs over depth, height, width
/// and channels of the window, in this order.
///
/// Source: TFLite `kernels/internal/reference/conv3d.h`.
pub(crate) fn conv_3d(
    problem: &Conv3d,
    input: &[f32],
    filter: &[f32],
    bias: Option<&[f32]>,
    output: &mut [f32],
) {
    let p = problem;
    let [depth, height, width] = p.axes;
    let mut outputs = output.chunks_exact_mut(p.output_channels.max(1));
    for batch in 0..p.batches {
        for d in 0..depth.output {
            let (taps_d, first_d) = depth.taps_inside(d);
            for y in 0..height.output {
                let (taps_y, first_y) = height.taps_inside(y);
                for x in 0..width.output {
                    let (taps_x, first_x) = width.taps_inside(x);
                    let Some(output) = outputs.next() else { return };
                    output.fill(0.0);
                    for (i, tap_d) in taps_d.clone().enumerate() {
                        let plane = batch * depth.input + first_d + i * depth.dilation;
                        for (j, tap_y) in taps_y.clone().enumerate() {
                            let row = plane * height.input + first_y + j * height.dilation;
                            for (k, tap_x) in taps_x.clone().enumerate() {
                                let at = row * width.input + first_x + k * width.dilation;
                                let tap = (tap_d * height.taps + tap_y) * width.taps + tap_x;
                                let input = &input[at * p.input_channels..][..p.input_channels];
                                let size = p.input_channels * p.output_channels;
                                accumulate(output, input, &filter[tap * size..][..size]);
                            }
                        }
                    }
                    for (channel, output) in output.iter_mut().enumerate() {
                        let bias = bias.map_or(0.0, |bias| bias[channel]);
                        *output = p.range.clamp(*output + bias);
                    }
                }
            }
        }
    }
}

/// Adds the products of one tap: `input`: I, `weights`: I x O, `sums`: O.
fn accumulate(sums: &mut [f32], input: &[f32], weights: &[f32]) {
    let rows = weights.chunks_exact(sums.len().max(1));
    for (&input, weights) in input.iter().zip(rows) {
        for (sum, &weight) in sums.iter_mut().zip(weights) {
            *sum += input * weight;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixedpoint::FusedActivation;
    use crate::ops::shared::Padding;

    #[test]
    fn windows_reach_through_the_depth() {
        // Two planes of one row (1, 2) and (3, 4), taps 1 and 10 along the depth: 1 + 30, 2 + 40.
        let axis = |positions, taps| Axis::new(positions, taps, 1, 1, Padding::Valid);
        let problem = Conv3d {
            batches: 1,
            axes: [(2, 2), (1, 1), (2, 1)].map(|(n, taps)| axis(n, taps).expect("valid")),
            input_channels: 1,
            output_channels: 1,
            range: FloatRange::new(FusedActivation::None),
        };
        let mut output = [0.0; 2];
        conv_3d(
            &problem,
            &[1.0, 2.0, 3.0, 4.0],
            &[1.0, 10.0],
            None,
            &mut output,
        );
        assert_eq!(output, [31.0, 42.0]);
    }
}
