//! Convolutions of all kinds, and matrix products.

use super::{Numbers, Ran, assert_all_ran};
use crate::fast::{
    self, ConvKernel, Element8, KernelChoice, Operands, Part, Primitive, Workers, Workspace,
};
use crate::ops::conv_2d::{Conv2d, conv_2d};
use crate::ops::depthwise_conv_2d::{DepthwiseConv2d, depthwise_conv_2d};
use crate::ops::shared::{Arithmetic, Axis, IntegerSums, OutputStage, Padding, Quantized};
use crate::ops::transpose_conv::{TransposeConv, transpose_conv};

/// A convolution with its operands.
struct Case {
    problem: Conv2d,
    activations: Element8,
    zero_points: [i32; 2],
    stage: OutputStage,
    input: Vec<u8>,
    filter: Vec<u8>,
    bias: Option<Vec<i32>>,
}

/// The same, or its input without a border of zeros.
fn with_border(n: &mut Numbers, axis: Axis) -> Axis {
    let border = [n.size(0, 3), n.size(0, 3)];
    let within = axis.within(border).filter(|_| n.chance(3));
    within.unwrap_or(axis)
}

fn case(seed: u64) -> Case {
    let n = &mut Numbers::new(seed);
    let activations = n.one_of(&[Element8::Int8, Element8::UInt8]);
    // The window is the picture.
    let whole = n.chance(6);
    let axis = |n: &mut Numbers| {
        let taps = n.one_of(&[1, 1, 1, 2, 3, 3, 5]);
        let input = if whole { taps } else { n.size(1, 11) };
        let padding = match whole {
            true => Padding::Valid,
            false => n.one_of(&[Padding::Same, Padding::Valid]),
        };
        let (stride, dilation) = (n.one_of(&[1, 1, 2, 3]), n.one_of(&[1, 1, 1, 2, 3]));
        let axis = Axis::new(input, taps, stride, dilation, padding).expect("valid");
        with_border(n, axis)
    };
    let groups = n.one_of(&[1, 1, 1, 2, 3]);
    let (filter_channels, group_channels) = (
        n.one_of(&[1, 2, 3, 4, 5, 8, 16, 17, 31, 33, 64]),
        n.one_of(&[1, 2, 3, 7, 8, 9, 15, 16, 17, 24, 31, 32, 33, 48, 65]),
    );
    let problem = Conv2d {
        batches: n.size(1, 2),
        rows: axis(n),
        columns: axis(n),
        input_channels: groups * filter_channels,
        filter_channels,
        group_channels,
        output_channels: groups * group_channels,
    };
    operands(n, activations, problem)
}

/// Operands for a problem.
fn operands(n: &mut Numbers, activations: Element8, problem: Conv2d) -> Case {
    let (rows, columns) = (problem.rows, problem.columns);
    let filter_channels = problem.filter_channels;
    let filter_zero_point = match activations {
        Element8::Int8 => 0,
        Element8::UInt8 => n.zero_point(activations),
    };
    let channels = problem.output_channels;
    let large_bias = n.chance(5);
    let bias = |n: &mut Numbers| match large_bias {
        true => n.within(i32::MIN.into()..=i32::MAX.into()) as i32,
        false => n.within(-3000..=3000) as i32,
    };
    Case {
        activations,
        zero_points: [n.zero_point(activations), filter_zero_point],
        stage: n.stage(channels, activations),
        input: n.bytes(problem.batches * rows.input * columns.input * problem.input_channels),
        filter: n.weights(
            channels * rows.taps * columns.taps * filter_channels,
            activations,
        ),
        bias: (!n.chance(4)).then(|| (0..channels).map(|_| bias(n)).collect()),
        problem,
    }
}

impl Case {
    fn operands(&self) -> Operands<'_> {
        Operands {
            input: &self.input,
            filter: &self.filter,
        }
    }

    /// The reference's.
    fn arithmetic<T: Quantized>(&self) -> IntegerSums<T, T, OutputStage> {
        let [zero, filter_zero] = self.zero_points.map(|zero| zero as i16);
        IntegerSums::new(zero, filter_zero, self.stage.clone())
    }

    fn reference(&self) -> Vec<u8> {
        match self.activations {
            Element8::Int8 => self.reference_of::<i8>(),
            Element8::UInt8 => self.reference_of::<u8>(),
        }
    }

    fn reference_of<T: Quantized + bytemuck::Pod>(&self) -> Vec<u8> {
        let p = &self.problem;
        let positions = p.batches * p.rows.output * p.columns.output;
        let mut output = vec![0u8; positions * p.output_channels];
        run(&self.arithmetic::<T>(), self, &mut output);
        output
    }

    /// The sums of a matrix product before they are scaled.
    fn sums(&self) -> Vec<i32> {
        let (depth, units) = (self.problem.input_channels, self.problem.output_channels);
        let value = |byte: u8, zero: i32| self.activations.value(byte).wrapping_sub(zero);
        let [zero, filter_zero] = self.zero_points;
        let mut sums = Vec::new();
        for row in self.input.chunks_exact(depth) {
            for (unit, weights) in self.filter.chunks_exact(depth).enumerate() {
                let products = row.iter().zip(weights);
                let products = products.map(|(&a, &w)| value(a, zero) * value(w, filter_zero));
                let bias = self.bias.as_ref().map_or(0, |bias| bias[unit]);
                sums.push(bias.wrapping_add(products.sum()));
            }
        }
        assert_eq!(sums.len() % units, 0);
        sums
    }

    fn depthwise_of<T: Quantized + bytemuck::Pod>(
        &self,
        problem: &DepthwiseConv2d,
        output: &mut [u8],
    ) {
        depthwise_conv_2d(
            problem,
            &self.arithmetic::<T>(),
            bytemuck::cast_slice(&self.input),
            bytemuck::cast_slice(&self.filter),
            self.bias.as_deref(),
            bytemuck::cast_slice_mut(output),
        );
    }

    fn transposed_of<T: Quantized + bytemuck::Pod>(
        &self,
        problem: &TransposeConv,
        output: &mut [u8],
    ) {
        transpose_conv(
            problem,
            &self.arithmetic::<T>(),
            bytemuck::cast_slice(&self.input),
            bytemuck::cast_slice(&self.filter),
            self.bias.as_deref(),
            bytemuck::cast_slice_mut(output),
        );
    }

    fn fast(&self) -> fast::Conv2d<'_> {
        let p = &self.problem;
        fast::Conv2d {
            batches: p.batches,
            rows: p.rows.window(),
            columns: p.columns.window(),
            input_channels: p.input_channels,
            filter_channels: p.filter_channels,
            output_channels: p.output_channels,
            activations: self.activations,
            weights: self.activations,
            input_zero_point: self.zero_points[0],
            filter_zero_point: self.zero_points[1],
            filter: &self.filter,
            filter_is_stored: true,
            bias: self.bias.as_deref(),
            stage: self.stage.clone().into(),
        }
    }
}

fn run<T: bytemuck::Pod, A>(arithmetic: &A, case: &Case, output: &mut [u8])
where
    A: Arithmetic<Input = T, Filter = T, Bias = i32, Output = T>,
{
    conv_2d(
        &case.problem,
        arithmetic,
        bytemuck::cast_slice(&case.input),
        bytemuck::cast_slice(&case.filter),
        case.bias.as_deref(),
        bytemuck::cast_slice_mut(output),
    );
}

/// Runs every variant of `P` on a problem with one and with three threads.
fn compare<P: Primitive<Kernel = dyn ConvKernel>>(
    problem: &P::Problem<'_>,
    operands: Operands<'_>,
    expected: &[u8],
    name: &str,
    ran: &mut Ran,
) {
    let workers = [1, 3].map(|threads| {
        let mut workers = Workers::new(threads, KernelChoice::default());
        workers.reserve(1 << 20);
        workers
    });
    for variant in P::variants() {
        let Some(kernel) = (variant.prepare)(problem) else {
            continue;
        };
        ran.insert(variant.name);
        assert_eq!(kernel.name(), variant.name);
        assert!(kernel.workspace_bytes() <= 1 << 20, "{name}");
        for workers in &workers {
            let mut output = vec![0x55; expected.len()];
            kernel.run_all(operands, &mut output, workers);
            let threads = workers.threads();
            let equal = output == expected;
            assert!(equal, "{}, {name}, {threads} threads", variant.name);
        }
        compare_parts(variant.name, &*kernel, operands, expected, name);
    }
}

/// Two halves of the rows, and the pieces of the channels, of the first row and of all, where they can be computed apart.
fn compare_parts(
    variant: &str,
    kernel: &dyn ConvKernel,
    operands: Operands<'_>,
    expected: &[u8],
    name: &str,
) {
    let mut workspace = Workspace::new(kernel.workspace_bytes());
    let (rows, channels) = kernel.extent();
    let middle = rows / 2;
    let mut output = vec![0x55; expected.len()];
    let (first, second) = output.split_at_mut(middle * channels);
    for (rows, output) in [(0..middle, first), (middle..rows, second)] {
        let channels = 0..channels;
        kernel.run(operands, output, Part { rows, channels }, &mut workspace);
    }
    assert!(output == expected, "{variant}, {name}, halves");
    if rows == 0 || !kernel.splits_channels() {
        return;
    }
    let all = channels;
    for start in (0..all).step_by(kernel.channel_step()) {
        let channels = start..(start + kernel.channel_step()).min(all);
        for rows in [1, rows] {
            let mut output = vec![0x55; rows * channels.len()];
            let part = Part {
                rows: 0..rows,
                channels: channels.clone(),
            };
            kernel.run(operands, &mut output, part, &mut workspace);
            let expected = expected.chunks_exact(all).take(rows);
            let mut pairs = expected.zip(output.chunks_exact(channels.len()));
            let equal = pairs.all(|(row, part)| row[channels.clone()] == *part);
            assert!(
                equal,
                "{variant}, {name}, channels from {start} of {rows} rows"
            );
        }
    }
}

/// So many weights for so few positions that threads take channels, not positions.
#[test]
#[cfg_attr(miri, ignore = "millions of products")]
fn conv_2d_variants_share_channels_of_many_weights() {
    let mut ran = Ran::new();
    for (seed, activations) in [(0, Element8::Int8), (1, Element8::UInt8)] {
        let n = &mut Numbers::new(seed);
        let axis = |positions| Axis::new(positions, 1, 1, 1, Padding::Valid).expect("valid");
        let problem = Conv2d {
            batches: 1,
            rows: axis(3),
            columns: axis(3),
            input_channels: 512,
            filter_channels: 512,
            group_channels: 517,
            output_channels: 517,
        };
        let case = operands(n, activations, problem);
        let name = format!("seed {seed}: {:?}", case.problem);
        let expected = case.reference();
        compare::<fast::Conv2dPrimitive>(&case.fast(), case.operands(), &expected, &name, &mut ran);
    }
    assert_all_ran::<fast::Conv2dPrimitive>(&ran);
}

#[test]
#[cfg_attr(miri, ignore = "hundreds of problems, hours under Miri")]
fn conv_2d_variants_give_the_reference_s_bits() {
    let mut ran = Ran::new();
    for seed in 0..500 {
        let case = case(seed);
        let name = format!("seed {seed}: {:?}", case.problem);
        let expected = case.reference();
        compare::<fast::Conv2dPrimitive>(&case.fast(), case.operands(), &expected, &name, &mut ran);
    }
    assert_all_ran::<fast::Conv2dPrimitive>(&ran);
}

/// What is between the taps is not held in memory: `compare` looks at the scratch memory.
#[test]
#[cfg_attr(miri, ignore = "hours under Miri")]
fn conv_2d_taps_may_lie_far_apart() {
    let mut ran = Ran::new();
    for (seed, dilation) in [(1, 1 << 8), (2, 1 << 16), (3, 1 << 26), (4, i32::MAX)] {
        let mut case = case(seed);
        let n = &mut Numbers::new(!seed);
        let axis = |dilation| Axis::new(6, 3, 1, dilation, Padding::Same).expect("valid");
        case.problem = Conv2d {
            batches: 2,
            rows: axis(dilation),
            columns: axis(1),
            input_channels: 2,
            filter_channels: 2,
            group_channels: 3,
            output_channels: 3,
        };
        case.input = n.bytes(2 * 6 * 6 * 2);
        case.filter = n.weights(3 * 3 * 3 * 2, case.activations);
        case.bias = None;
        case.stage = n.stage(3, case.activations);
        let expected = case.reference();
        let name = format!("dilation {dilation}");
        compare::<fast::Conv2dPrimitive>(&case.fast(), case.operands(), &expected, &name, &mut ran);
    }
    assert_all_ran::<fast::Conv2dPrimitive>(&ran);
}

#[test]
#[cfg_attr(miri, ignore = "hundreds of problems, hours under Miri")]
fn fully_connected_variants_give_the_reference_s_bits() {
    let mut ran = Ran::new();
    for seed in 0..300 {
        let mut case = case(seed);
        let n = &mut Numbers::new(!seed);
        let depth = n.one_of(&[1, 3, 4, 16, 31, 64, 100, 257, 1024]);
        let (rows, units) = (
            n.one_of(&[1, 1, 1, 2, 5, 13, 40]),
            n.one_of(&[1, 2, 10, 33, 64, 100]),
        );
        let point = Axis::new(1, 1, 1, 1, Padding::Valid).expect("valid");
        case.problem = Conv2d {
            batches: rows,
            rows: point,
            columns: point,
            input_channels: depth,
            filter_channels: depth,
            group_channels: units,
            output_channels: units,
        };
        case.input = n.bytes(rows * depth);
        case.filter = n.weights(units * depth, case.activations);
        case.bias = case
            .bias
            .map(|_| (0..units as i32).map(|i| 77 * i - 900).collect());
        case.stage = n.stage(units, case.activations);
        let name = format!("seed {seed}: {rows} x {depth} x {units}");
        let mut problem = case.fast();
        let mut expected = case.reference();
        if n.chance(3) {
            // LiteRT's scaling in double, from the sums that a stage of multiplier 1 leaves: one at a time.
            let scales: Box<[f64]> = (0..units).map(|u| 0.5 / (1 + u % 7) as f64).collect();
            problem.stage.scaling = fast::Scaling::Real(scales);
            let stage = problem.stage.clone();
            expected = case
                .sums()
                .iter()
                .enumerate()
                .map(|(i, &sum)| stage.code(sum, i % units))
                .collect();
        }
        compare::<fast::FullyConnectedPrimitive>(
            &problem,
            case.operands(),
            &expected,
            &name,
            &mut ran,
        );
    }
    assert_all_ran::<fast::FullyConnectedPrimitive>(&ran);
}

#[test]
#[cfg_attr(miri, ignore = "hundreds of problems, hours under Miri")]
fn depthwise_conv_2d_variants_give_the_reference_s_bits() {
    let mut ran = Ran::new();
    for seed in 0..400 {
        let mut case = case(seed);
        let n = &mut Numbers::new(!seed);
        let mut channels = n.one_of(&[1, 3, 8, 15, 16, 17, 24, 31, 32, 33, 64, 72, 100]);
        let mut multiplier = n.one_of(&[1, 1, 1, 1, 2, 8]);
        let (mut rows, mut columns) = (case.problem.rows, case.problem.columns);
        if n.chance(3) {
            // What is computed at neighbouring positions at once.
            (channels, multiplier) = (n.one_of(&[4, 8, 16, 32]), n.one_of(&[1, 1, 1, 2, 3, 4]));
            let (taps, stride) = (n.one_of(&[3, 3, 5]), n.one_of(&[1, 2]));
            let padding = n.one_of(&[Padding::Same, Padding::Valid]);
            let mut axis = |most| {
                let axis = Axis::new(n.size(5, most), taps, stride, 1, padding);
                with_border(n, axis.expect("valid"))
            };
            (rows, columns) = (axis(9), axis(40));
        }
        if n.chance(4) {
            // Taps in a line, along either side of the picture.
            let taps = n.one_of(&[2, 4, 9, 11, 12]);
            let padding = n.one_of(&[Padding::Same, Padding::Valid]);
            let (input, stride) = (n.size(taps, 40), n.one_of(&[1, 2]));
            let line = Axis::new(input, taps, stride, 1, padding).expect("valid");
            let point = Axis::new(n.size(1, 2), 1, 1, 1, padding).expect("valid");
            (rows, columns) = match n.chance(2) {
                true => (line, point),
                false => (point, line),
            };
        }
        if n.chance(16) {
            // More taps than most have.
            rows = Axis::new(12, 10, 1, 1, Padding::Valid).expect("valid");
            columns = rows;
        }
        let problem = DepthwiseConv2d {
            batches: case.problem.batches,
            rows,
            columns,
            input_channels: channels,
            multiplier,
        };
        let outputs = channels * multiplier;
        case.input = n.bytes(problem.batches * rows.input * columns.input * channels);
        case.filter = n.bytes(rows.taps * columns.taps * outputs);
        if n.chance(2) {
            // Half of the blocks have weights near the zero point, whose products need few bits.
            let (zero, bits) = (case.zero_points[1], n.one_of(&[1, 2, 4]));
            let low = if case.activations == Element8::Int8 {
                -128
            } else {
                0
            };
            for (at, weight) in case.filter.iter_mut().enumerate() {
                if (at % outputs / 8).is_multiple_of(2) {
                    let near = zero + i32::from(weight.cast_signed() >> bits);
                    *weight = near.clamp(low, low + 255) as u8;
                }
            }
        }
        case.bias = case
            .bias
            .map(|_| (0..outputs as i32).map(|i| 55 * i - 700).collect());
        case.stage = n.stage(outputs, case.activations);
        let fast = fast::DepthwiseConv2d {
            batches: problem.batches,
            rows: rows.window(),
            columns: columns.window(),
            input_channels: channels,
            multiplier,
            activations: case.activations,
            weights: case.activations,
            input_zero_point: case.zero_points[0],
            filter_zero_point: case.zero_points[1],
            filter: &case.filter,
            bias: case.bias.as_deref(),
            stage: case.stage.clone().into(),
        };
        let mut expected = vec![0; problem.batches * rows.output * columns.output * outputs];
        match case.activations {
            Element8::Int8 => case.depthwise_of::<i8>(&problem, &mut expected),
            Element8::UInt8 => case.depthwise_of::<u8>(&problem, &mut expected),
        }
        let name = format!("seed {seed}: {problem:?}");
        let ran = &mut ran;
        compare::<fast::DepthwiseConv2dPrimitive>(&fast, case.operands(), &expected, &name, ran);
    }
    assert_all_ran::<fast::DepthwiseConv2dPrimitive>(&ran);
}

#[test]
#[cfg_attr(miri, ignore = "hundreds of problems, hours under Miri")]
fn transpose_conv_variants_give_the_reference_s_bits() {
    let mut ran = Ran::new();
    for seed in 0..300 {
        let mut case = case(seed);
        let n = &mut Numbers::new(!seed);
        let axis = |n: &mut Numbers| {
            let (input, taps) = (n.size(1, 7), n.size(1, 6));
            let stride = n.size(1, taps.min(4));
            // Outputs that the last window reaches in part, fully, or that some input does not reach at all.
            let output = ((input - 1) * stride + n.size(1, taps + 1)).max(1);
            let padding = n.one_of(&[Padding::Same, Padding::Valid]);
            let axis = Axis::new(output, taps, stride as i32, 1, padding).expect("valid");
            (input, axis)
        };
        let ((height, rows), (width, columns)) = (axis(n), axis(n));
        let (depth, channels) = (
            n.one_of(&[1, 3, 8, 16, 17, 33]),
            n.one_of(&[1, 2, 3, 8, 17, 32]),
        );
        let problem = TransposeConv {
            batches: case.problem.batches,
            input: [height, width],
            input_channels: depth,
            output_channels: channels,
            rows,
            columns,
        };
        case.input = n.bytes(problem.batches * height * width * depth);
        case.filter = n.weights(
            channels * rows.taps * columns.taps * depth,
            case.activations,
        );
        case.bias = case
            .bias
            .map(|_| (0..channels as i32).map(|i| 55 * i - 700).collect());
        case.stage = n.stage(channels, case.activations);
        let spread = |axis: Axis, input| fast::Spread {
            input,
            taps: axis.taps,
            stride: axis.stride,
            before: axis.before,
            output: axis.input,
        };
        let fast = fast::TransposeConv {
            batches: problem.batches,
            rows: spread(rows, height),
            columns: spread(columns, width),
            input_channels: depth,
            output_channels: channels,
            element: case.activations,
            input_zero_point: case.zero_points[0],
            filter_zero_point: case.zero_points[1],
            filter: &case.filter,
            bias: case.bias.as_deref(),
            stage: case.stage.clone().into(),
        };
        let mut expected = vec![0; problem.batches * rows.input * columns.input * channels];
        match case.activations {
            Element8::Int8 => case.transposed_of::<i8>(&problem, &mut expected),
            Element8::UInt8 => case.transposed_of::<u8>(&problem, &mut expected),
        }
        let name = format!("seed {seed}: {problem:?}");
        let ran = &mut ran;
        compare::<fast::TransposeConvPrimitive>(&fast, case.operands(), &expected, &name, ran);
    }
    assert_all_ran::<fast::TransposeConvPrimitive>(&ran);
}
