//! Every kernel variant on layers of known networks: `cargo bench --bench kernels -- [PART OF A NAME]`
//!
//! Prints a line per layer and variant: the least wall time of a call in microseconds, billions of multiply-accumulates a
//! second, and the time that preparing took. Variants that this machine has no instructions for are named as such.

use corallite::fast::{
    AddSub, AddSubPrimitive, Conv2d, Conv2dPrimitive, ConvKernel, DepthwiseConv2d,
    DepthwiseConv2dPrimitive, Element8, FullyConnectedPrimitive, KernelChoice, Means, Operands,
    Primitive, ResizeBilinear, ResizeBilinearPrimitive, Scaling, Stage, Tap, Window, Workers,
};
use corallite::fixedpoint::{QuantizedMultiplier, Rounding};
use std::time::{Duration, Instant};

/// A layer: input height and width, input and output channels, taps along each side, stride.
type Layer = [usize; 6];

const CONVOLUTIONS: &[Layer] = &[
    [224, 224, 3, 32, 3, 2],
    [112, 112, 32, 16, 1, 1],
    [56, 56, 24, 144, 1, 1],
    [14, 14, 96, 576, 1, 1],
    [7, 7, 960, 320, 1, 1],
    [28, 28, 64, 64, 3, 1],
];

/// Output channels are the input's.
const DEPTHWISE: &[Layer] = &[
    [112, 112, 32, 32, 3, 1],
    [112, 112, 96, 96, 3, 2],
    [14, 14, 384, 384, 3, 1],
    [28, 28, 240, 240, 5, 1],
    [64, 64, 8, 8, 3, 1],
];

const PRODUCTS: &[Layer] = &[[1, 1, 1280, 1001, 1, 1], [1, 1, 64, 10, 1, 1]];

/// Elements of a sum.
const SUMS: &[usize] = &[56 * 56 * 24, 7 * 7 * 160];

/// Height and width of a picture, its channels, and the height and width of the result.
const SIZES: &[[usize; 5]] = &[
    [33, 33, 21, 513, 513],
    [33, 33, 256, 65, 65],
    [48, 48, 24, 100, 100],
];

/// How long a variant is measured on a layer.
const TIME: Duration = Duration::from_millis(200);

fn main() {
    // Cargo adds an argument of its own.
    let wanted = std::env::args().skip(1).find(|a| !a.starts_with("--"));
    let wanted = wanted.unwrap_or_default();
    for layer in CONVOLUTIONS {
        let data = Data::new(layer, layer[2]);
        measure::<Conv2dPrimitive>(layer, &data, &data.convolution(layer), &wanted);
    }
    for layer in DEPTHWISE {
        let data = Data::new(layer, 1);
        measure::<DepthwiseConv2dPrimitive>(layer, &data, &data.depthwise(layer), &wanted);
    }
    for layer in PRODUCTS {
        let data = Data::new(layer, layer[2]);
        measure::<FullyConnectedPrimitive>(layer, &data, &data.convolution(layer), &wanted);
    }
    for &len in SUMS {
        measure_sum(len, &wanted);
    }
    for size in SIZES {
        measure_resize(size, &wanted);
    }
}

/// RESIZE_BILINEAR with corners aligned.
fn measure_resize(&[height, width, channels, rows, columns]: &[usize; 5], wanted: &str) {
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
    let len = height * width * channels;
    let input: Vec<u8> = (0..len).map(|i| (i % 251) as u8).collect();
    let mut results = vec![0; rows * columns * channels];
    let size = format!("{height}x{width}x{channels} to {rows}x{columns}");
    for variant in ResizeBilinearPrimitive::variants() {
        if !variant.name.contains(wanted) {
            continue;
        }
        let Some(kernel) = (variant.prepare)(&problem) else {
            println!("{:<30} {size:<28} not on this machine", variant.name);
            continue;
        };
        let least = least(|| kernel.run(&input, &mut results, 0));
        let rate = results.len() as f64 / least.as_nanos() as f64;
        println!(
            "{:<30} {size:<28} {:>9.1} us {rate:>6.1} G/s",
            variant.name,
            least.as_nanos() as f64 / 1e3
        );
    }
}

/// ADD of two scales.
fn measure_sum(len: usize, wanted: &str) {
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
    let operand: Vec<u8> = (0..len).map(|i| (i % 251) as u8).collect();
    let mut results = vec![0; len];
    for variant in AddSubPrimitive::variants() {
        if !variant.name.contains(wanted) {
            continue;
        }
        let Some(kernel) = (variant.prepare)(&problem) else {
            println!("{:<30} {len} elements, not on this machine", variant.name);
            continue;
        };
        let least = least(|| kernel.run(&operand, &operand, &mut results));
        let rate = len as f64 / least.as_nanos() as f64;
        println!(
            "{:<30} {len:<28} {:>9.1} us {rate:>6.1} G/s",
            variant.name,
            least.as_nanos() as f64 / 1e3
        );
    }
}

/// The least wall time of a call.
fn least(mut call: impl FnMut()) -> Duration {
    let mut least = Duration::MAX;
    let begin = Instant::now();
    while begin.elapsed() < TIME {
        let start = Instant::now();
        call();
        least = least.min(start.elapsed());
    }
    least
}

struct Data {
    input: Vec<u8>,
    filter: Vec<u8>,
    macs: usize,
    outputs: usize,
}

/// SAME padding.
fn window(input: usize, taps: usize, stride: usize) -> Window {
    let output = input.div_ceil(stride);
    let needed = (output - 1) * stride + taps;
    Window {
        input,
        taps,
        stride,
        dilation: 1,
        before: needed.saturating_sub(input) / 2,
        output,
    }
}

fn stage(channels: usize) -> Stage {
    let multiplier = QuantizedMultiplier {
        multiplier: 1_518_500_250,
        shift: -9,
    };
    Stage {
        scaling: Scaling::Fixed(vec![multiplier; channels].into(), Rounding::Double),
        zero_point: 3,
        clamp: (0, 255),
    }
}

impl Data {
    fn new(&[height, width, input, output, taps, stride]: &Layer, depth: usize) -> Self {
        let bytes = |len: usize| (0..len).map(|i| (i.wrapping_mul(2_654_435_761) >> 7) as u8);
        let positions = height.div_ceil(stride) * width.div_ceil(stride);
        let window = taps * taps * depth;
        Self {
            input: bytes(height * width * input).collect(),
            filter: bytes(output * window).collect(),
            macs: positions * output * window,
            outputs: positions * output,
        }
    }

    fn convolution(&self, &[height, width, input, output, taps, stride]: &Layer) -> Conv2d<'_> {
        Conv2d {
            batches: 1,
            rows: window(height, taps, stride),
            columns: window(width, taps, stride),
            input_channels: input,
            filter_channels: input,
            output_channels: output,
            activations: Element8::UInt8,
            weights: Element8::UInt8,
            input_zero_point: 128,
            filter_zero_point: 120,
            filter: &self.filter,
            filter_is_stored: true,
            bias: None,
            stage: stage(output),
        }
    }

    fn depthwise(&self, &[height, width, input, _, taps, stride]: &Layer) -> DepthwiseConv2d<'_> {
        DepthwiseConv2d {
            batches: 1,
            rows: window(height, taps, stride),
            columns: window(width, taps, stride),
            input_channels: input,
            multiplier: 1,
            activations: Element8::UInt8,
            weights: Element8::UInt8,
            input_zero_point: 128,
            filter_zero_point: 120,
            filter: &self.filter,
            bias: None,
            stage: stage(input),
        }
    }
}

fn measure<P: Primitive<Kernel = dyn ConvKernel>>(
    layer: &Layer,
    data: &Data,
    problem: &P::Problem<'_>,
    wanted: &str,
) {
    let [height, width, input, output, taps, stride] = layer;
    let layer = format!("{height}x{width}x{input} to {output}, {taps}x{taps} / {stride}");
    for variant in P::variants().iter().filter(|v| v.name.contains(wanted)) {
        let start = Instant::now();
        let Some(kernel) = (variant.prepare)(problem) else {
            println!("{:<30} {layer:<28} not on this machine", variant.name);
            continue;
        };
        let prepared = start.elapsed();
        let mut workers = Workers::new(1, KernelChoice::default());
        workers.reserve(kernel.workspace_bytes());
        let operands = Operands {
            input: &data.input,
            filter: &data.filter,
        };
        let mut results = vec![0; data.outputs];
        let least = least(|| kernel.run_all(operands, &mut results, &workers));
        println!(
            "{:<30} {layer:<28} {:>9.1} us {:>6.1} GMAC/s, prepared in {:.0} us",
            variant.name,
            least.as_nanos() as f64 / 1e3,
            data.macs as f64 / least.as_nanos() as f64,
            prepared.as_nanos() as f64 / 1e3
        );
    }
}
