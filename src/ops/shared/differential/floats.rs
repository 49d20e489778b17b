//! Convolutions and matrix products of float32.

use super::{Numbers, Ran, assert_all_ran, bits, floats};
use crate::fast::{self, Conv2dFloatPrimitive, KernelChoice, Primitive, Window, Workers};
use crate::fixedpoint::FusedActivation;
use crate::ops::conv_2d::{Conv2d, conv_2d};
use crate::ops::fully_connected::{FullyConnected, fully_connected};
use crate::ops::shared::{Axis, Float, FloatRange, Padding, float_range};

/// Runs every variant with one and with three threads.
fn compare(
    problem: &fast::Conv2dFloat<'_>,
    input: &[f32],
    expected: &[f32],
    seed: u64,
    ran: &mut Ran,
) {
    for variant in Conv2dFloatPrimitive::variants() {
        let Some(kernel) = (variant.prepare)(problem) else {
            continue;
        };
        ran.insert(variant.name);
        for threads in [1, 3] {
            let mut workers = Workers::new(threads, KernelChoice::default());
            workers.reserve(1);
            let mut output = vec![0.5; expected.len()];
            kernel.run_all(input, &mut output, &workers);
            let equal = bits(&output) == bits(expected);
            assert!(equal, "{}, seed {seed}, {threads} threads", variant.name);
        }
    }
}

fn activation(n: &mut Numbers) -> FusedActivation {
    n.one_of(&[FusedActivation::None, FusedActivation::Relu6])
}

#[test]
#[cfg_attr(miri, ignore = "hundreds of problems, hours under Miri")]
fn conv_2d_variants_sum_in_the_reference_s_order() {
    let mut ran = Ran::new();
    for seed in 0..600 {
        let n = &mut Numbers::new(seed);
        let axis = |n: &mut Numbers| {
            let padding = n.one_of(&[Padding::Same, Padding::Valid]);
            let (input, taps) = (n.size(1, 15), n.one_of(&[1, 1, 2, 3, 3, 5]));
            let (stride, dilation) = (n.one_of(&[1, 1, 2, 3]), n.one_of(&[1, 1, 1, 2, 3]));
            Axis::new(input, taps, stride, dilation, padding).expect("valid")
        };
        let (groups, group_channels) = (n.one_of(&[1, 1, 1, 2, 3]), n.size(3, 40));
        let filter_channels = n.one_of(&[1, 1, 2, 3, 8, 17]);
        let problem = Conv2d {
            batches: n.size(1, 2),
            rows: axis(n),
            columns: axis(n),
            input_channels: groups * filter_channels,
            filter_channels,
            group_channels,
            output_channels: groups * group_channels,
        };
        let (rows, columns) = (problem.rows, problem.columns);
        let channels = problem.output_channels;
        let positions = problem.batches * rows.input * columns.input;
        let input = floats(n, positions * problem.input_channels);
        let filter = floats(n, channels * rows.taps * columns.taps * filter_channels);
        let bias = floats(n, channels);
        let bias = (!n.chance(3)).then_some(&bias[..]);
        let activation = activation(n);
        let mut expected = vec![0.0; problem.batches * rows.output * columns.output * channels];
        let arithmetic = Float(FloatRange::new(activation));
        conv_2d(&problem, &arithmetic, &input, &filter, bias, &mut expected);
        let problem = fast::Conv2dFloat {
            rows: rows.window(),
            columns: columns.window(),
            input_channels: problem.input_channels,
            filter_channels,
            output_channels: channels,
            filter: &filter,
            bias,
            range: float_range(activation),
        };
        compare(&problem, &input, &expected, seed, &mut ran);
    }
    assert_all_ran::<Conv2dFloatPrimitive>(&ran);
}

#[test]
#[cfg_attr(miri, ignore = "hundreds of problems, hours under Miri")]
fn fully_connected_variants_sum_in_the_reference_s_order() {
    let mut ran = Ran::new();
    for seed in 0..300 {
        let n = &mut Numbers::new(seed);
        let (rows, depth, units) = (n.size(1, 9), n.size(1, 70), n.size(4, 70));
        let (input, filter) = (floats(n, rows * depth), floats(n, units * depth));
        let (bias, activation) = (floats(n, units), activation(n));
        let mut expected = vec![0.0; rows * units];
        let arithmetic = Float(FloatRange::new(activation));
        let problem = FullyConnected { depth, units };
        fully_connected(
            &problem,
            &arithmetic,
            &input,
            &filter,
            Some(&bias),
            &mut expected,
        );
        let problem = fast::Conv2dFloat {
            rows: Window::point(1),
            columns: Window::point(rows),
            input_channels: depth,
            filter_channels: depth,
            output_channels: units,
            filter: &filter,
            bias: Some(&bias),
            range: float_range(activation),
        };
        compare(&problem, &input, &expected, seed, &mut ran);
    }
    assert_all_ran::<Conv2dFloatPrimitive>(&ran);
}
