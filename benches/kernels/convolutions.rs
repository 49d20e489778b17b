//! Convolutions and matrix products with constant weights.

use crate::{Amount, Wanted, bytes, floats, stage};
use corallite::fast::{
    Conv2d, Conv2dFloat, Conv2dFloatPrimitive, Conv2dPrimitive, ConvKernel, DepthwiseConv2d,
    DepthwiseConv2dPrimitive, Element8, FullyConnectedPrimitive, KernelChoice, Operands, Primitive,
    Spread, TransposeConv, TransposeConvPrimitive, Window, Workers,
};

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

/// The stride spreads the inputs.
const TRANSPOSED: &[Layer] = &[[28, 28, 64, 32, 3, 2], [16, 16, 128, 64, 4, 2]];

const PRODUCTS: &[Layer] = &[[1, 1, 1280, 1001, 1, 1], [1, 1, 64, 10, 1, 1]];

pub fn measure(wanted: &Wanted) {
    for layer in CONVOLUTIONS {
        let data = Data::new(layer, layer[2]);
        of::<Conv2dPrimitive>(wanted, layer, &data, &data.convolution(layer));
        data.floats(wanted, layer);
    }
    for layer in DEPTHWISE {
        let data = Data::new(layer, 1);
        of::<DepthwiseConv2dPrimitive>(wanted, layer, &data, &data.depthwise(layer));
    }
    for layer in TRANSPOSED {
        let data = Data::transposed(layer);
        of::<TransposeConvPrimitive>(wanted, layer, &data, &data.spread(layer));
    }
    for layer in PRODUCTS {
        let data = Data::new(layer, layer[2]);
        of::<FullyConnectedPrimitive>(wanted, layer, &data, &data.convolution(layer));
        data.floats(wanted, layer);
    }
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

impl Data {
    fn new(&[height, width, input, output, taps, stride]: &Layer, depth: usize) -> Self {
        let positions = height.div_ceil(stride) * width.div_ceil(stride);
        let window = taps * taps * depth;
        Self {
            input: bytes(height * width * input),
            filter: bytes(output * window),
            macs: positions * output * window,
            outputs: positions * output,
        }
    }

    fn transposed(&[height, width, input, output, taps, stride]: &Layer) -> Self {
        let positions = height * width;
        let filter = output * taps * taps * input;
        Self {
            input: bytes(positions * input),
            filter: bytes(filter),
            macs: positions * filter,
            outputs: positions * stride * stride * output,
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

    /// Measures the layer of float32.
    fn floats(&self, wanted: &Wanted, layer: &Layer) {
        let &[height, width, input, output, taps, stride] = layer;
        let filter = floats(&self.filter);
        let problem = Conv2dFloat {
            rows: window(height, taps, stride),
            columns: window(width, taps, stride),
            input_channels: input,
            filter_channels: input,
            output_channels: output,
            filter: &filter,
            bias: None,
            range: (0.0, 6.0),
        };
        let (input, mut results) = (floats(&self.input), vec![0.0; self.outputs]);
        let workers = Workers::new(1, KernelChoice::default());
        let amount = Amount::Macs(self.macs);
        wanted.measure::<Conv2dFloatPrimitive>(&name(layer), &problem, amount, |kernel| {
            kernel.run_all(&input, &mut results, &workers);
        });
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

    /// SAME padding.
    fn spread(&self, &[height, width, input, output, taps, stride]: &Layer) -> TransposeConv<'_> {
        let axis = |input: usize| Spread {
            input,
            taps,
            stride,
            before: taps.saturating_sub(stride) / 2,
            output: input * stride,
        };
        TransposeConv {
            batches: 1,
            rows: axis(height),
            columns: axis(width),
            input_channels: input,
            output_channels: output,
            element: Element8::UInt8,
            input_zero_point: 128,
            filter_zero_point: 120,
            filter: &self.filter,
            bias: None,
            stage: stage(output),
        }
    }
}

fn name([height, width, input, output, taps, stride]: &Layer) -> String {
    format!("{height}x{width}x{input} to {output}, {taps}x{taps} / {stride}")
}

fn of<P: Primitive<Kernel = dyn ConvKernel>>(
    wanted: &Wanted,
    layer: &Layer,
    data: &Data,
    problem: &P::Problem<'_>,
) {
    let mut workers = Workers::new(1, KernelChoice::default());
    let operands = Operands {
        input: &data.input,
        filter: &data.filter,
    };
    let mut results = vec![0; data.outputs];
    wanted.measure::<P>(&name(layer), problem, Amount::Macs(data.macs), |kernel| {
        workers.reserve(kernel.workspace_bytes());
        kernel.run_all(operands, &mut results, &workers);
    });
}
