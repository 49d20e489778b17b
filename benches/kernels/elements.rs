//! What is computed element by element, row by row or in pictures.

use crate::{Amount, Wanted, bytes, floats, scale, stage};
use corallite::fast::{
    AddSub, AddSubInt16, AddSubInt16Primitive, AddSubPrimitive, ArgMax, ArgMaxPrimitive,
    ChannelSums, ChannelSumsPrimitive, Element8, KernelChoice, Means, Mul, MulPrimitive, Pool2d,
    Pool2dFloat, Pool2dFloatPrimitive, Pool2dPrimitive, PoolWindows, Pooling, Positions, Prelu,
    PreluPrimitive, Probabilities, ResizeBilinear, ResizeBilinearPrimitive, Softmax,
    SoftmaxPrimitive, Tap, Window, Workers,
};
use corallite::fixedpoint::QuantizedMultiplier;

/// Height and width of a picture, its channels, and the height and width of the result.
const SIZES: &[[usize; 5]] = &[
    [33, 33, 21, 513, 513],
    [33, 33, 256, 65, 65],
    [48, 48, 24, 100, 100],
];

pub fn measure(wanted: &Wanted) {
    for len in [56 * 56 * 24, 7 * 7 * 160] {
        sum(wanted, len);
        sum_int16(wanted, len);
    }
    product(wanted, 56 * 56 * 24);
    rectifier(wanted, 96 * 96, 16);
    for (pooling, size) in [
        (Pooling::Max, [64, 64, 32, 2]),
        (Pooling::Mean, [28, 28, 8, 2]),
        (Pooling::Mean, [7, 7, 1280, 7]),
    ] {
        pool(wanted, pooling, size);
    }
    for picture in [[49, 1280], [6, 1024]] {
        channel_sums(wanted, picture);
    }
    for extent in [10, 1001] {
        probabilities(wanted, extent);
    }
    largest(wanted, 513 * 513, 21);
    for size in SIZES {
        resize(wanted, size);
    }
}

/// ADD of two scales.
fn sum(wanted: &Wanted, len: usize) {
    let scale = |multiplier, shift| QuantizedMultiplier { multiplier, shift };
    let problem = AddSub {
        element: Element8::Int8,
        subtract: false,
        operands: [(3, scale(1 << 30, 0)), (-7, scale(1_518_500_250, -1))],
        left_shift: 20,
        output: (5, scale(1_300_000_000, -18)),
        clamp: (-128, 127),
        count: len,
    };
    let (operand, mut results) = (bytes(len), vec![0; len]);
    let layer = len.to_string();
    wanted.measure::<AddSubPrimitive>(&layer, &problem, Amount::Results(len), |kernel| {
        kernel.run(Some(&operand), Some(&operand), &mut results);
    });
}

/// ADD of two scales, of int16.
fn sum_int16(wanted: &Wanted, len: usize) {
    let scale = |multiplier, shift| QuantizedMultiplier { multiplier, shift };
    let problem = AddSubInt16 {
        subtract: false,
        operands: [scale(1 << 30, 0), scale(1_518_500_250, -1)],
        output: scale(1_300_000_000, -13),
        clamp: (i16::MIN, i16::MAX),
    };
    let operand: Vec<i16> = bytes(len)
        .iter()
        .map(|&byte| i16::from(byte) * 100)
        .collect();
    let mut results = vec![0; len];
    let layer = len.to_string();
    wanted.measure::<AddSubInt16Primitive>(&layer, &problem, Amount::Results(len), |kernel| {
        kernel.run(Some(&operand), Some(&operand), &mut results);
    });
}

fn product(wanted: &Wanted, len: usize) {
    let problem = Mul {
        element: Element8::UInt8,
        zero_points: [128, 7],
        output: (3, scale(-8)),
        clamp: (0, 255),
    };
    let (operand, mut results) = (bytes(len), vec![0; len]);
    let layer = len.to_string();
    wanted.measure::<MulPrimitive>(&layer, &problem, Amount::Results(len), |kernel| {
        kernel.run(Some(&operand), Some(&operand), &mut results);
    });
}

/// PRELU.
fn rectifier(wanted: &Wanted, positions: usize, channels: usize) {
    let factors: Vec<i32> = (0..channels as i32).map(|i| 7 * i - 50).collect();
    let problem = Prelu {
        element: Element8::Int8,
        input_zero_point: 5,
        output_zero_point: -5,
        above: scale(0),
        below: scale(-7),
        factors: &factors,
    };
    let len = positions * channels;
    let (input, mut results) = (bytes(len), vec![0; len]);
    let layer = format!("{positions}x{channels}");
    wanted.measure::<PreluPrimitive>(&layer, &problem, Amount::Results(len), |kernel| {
        kernel.run(&input, &mut results);
    });
}

/// Windows side by side.
fn pool(wanted: &Wanted, pooling: Pooling, [height, width, channels, taps]: [usize; 4]) {
    let axis = |input: usize| Window {
        input,
        taps,
        stride: taps,
        dilation: 1,
        before: 0,
        output: input / taps,
    };
    let problem = Pool2d {
        element: Element8::Int8,
        pooling,
        windows: PoolWindows {
            rows: axis(height),
            columns: axis(width),
            channels,
        },
        clamp: (-128, 127),
    };
    let len = height / taps * (width / taps) * channels;
    let (input, mut results) = (bytes(height * width * channels), vec![0; len]);
    let workers = Workers::new(1, KernelChoice::default());
    let layer = format!("{height}x{width}x{channels} {pooling:?}, {taps}x{taps}");
    wanted.measure::<Pool2dPrimitive>(&layer, &problem, Amount::Results(len), |kernel| {
        kernel.run_all(&input, &mut results, &workers);
    });
    let problem = Pool2dFloat {
        pooling,
        windows: problem.windows,
        range: (f32::MIN, f32::MAX),
    };
    let (input, mut results) = (floats(&input), vec![0.0; len]);
    wanted.measure::<Pool2dFloatPrimitive>(&layer, &problem, Amount::Results(len), |kernel| {
        kernel.run_all(&input, &mut results, &workers);
    });
}

/// MEAN of positions.
fn channel_sums(wanted: &Wanted, [positions, channels]: [usize; 2]) {
    let problem = ChannelSums {
        element: Element8::Int8,
        positions,
        channels,
        zero_point: 3,
        stage: stage(1),
    };
    let (input, mut results) = (bytes(positions * channels), vec![0; channels]);
    let layer = format!("{positions}x{channels}");
    let amount = Amount::Results(channels);
    wanted.measure::<ChannelSumsPrimitive>(&layer, &problem, amount, |kernel| {
        kernel.run(&input, &mut results, 0);
    });
}

/// SOFTMAX of one row.
fn probabilities(wanted: &Wanted, extent: usize) {
    let exponentials =
        std::array::from_fn(|below| ((-0.1 * below as f64).exp() * f64::from(i32::MAX)) as i32);
    let problem = Softmax {
        element: Element8::Int8,
        extent,
        exponentials: &exponentials,
    };
    let (input, mut results) = (bytes(extent), vec![0; extent]);
    let layer = extent.to_string();
    wanted.measure::<SoftmaxPrimitive>(&layer, &problem, Amount::Results(extent), |kernel| {
        kernel.run(&input, Probabilities::Bytes(&mut results));
    });
}

/// ARG_MAX along the channels.
fn largest(wanted: &Wanted, positions: usize, channels: usize) {
    let problem = ArgMax {
        element: Element8::UInt8,
        smallest: false,
        extent: channels,
    };
    let (input, mut results) = (bytes(positions * channels), vec![0; positions]);
    let layer = format!("{positions}x{channels}");
    wanted.measure::<ArgMaxPrimitive>(&layer, &problem, Amount::Results(positions), |kernel| {
        kernel.run(&input, Positions::Int32(&mut results));
    });
}

/// RESIZE_BILINEAR with corners aligned.
fn resize(wanted: &Wanted, &[height, width, channels, rows, columns]: &[usize; 5]) {
    let taps = |from: usize, to: usize| -> Vec<Tap<f32>> {
        let at = |i: usize| i as f32 * ((from - 1) as f32 / (to - 1) as f32);
        let tap = |i: usize| Tap {
            lower: at(i) as usize,
            upper: (at(i).ceil() as usize).min(from - 1),
            weight: at(i).fract(),
        };
        (0..to).map(tap).collect()
    };
    let (vertical, horizontal) = (taps(height, rows), taps(width, columns));
    let problem = ResizeBilinear {
        element: Element8::UInt8,
        height,
        width,
        channels,
        means: Means::Real([&vertical, &horizontal]),
    };
    let len = rows * columns * channels;
    let (input, mut results) = (bytes(height * width * channels), vec![0; len]);
    let layer = format!("{height}x{width}x{channels} to {rows}x{columns}");
    wanted.measure::<ResizeBilinearPrimitive>(&layer, &problem, Amount::Results(len), |kernel| {
        kernel.run(&input, &mut results, 0);
    });
}
