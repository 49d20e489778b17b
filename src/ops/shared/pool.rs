//! Pooling: a window slides over the picture and every channel is reduced by itself.

use super::{Axis, fused_activation, padding};
use crate::fixedpoint::{FusedActivation, quantized_activation_range};
use crate::ops::{
    EvalError, Kernel, KernelIo, Node, NodeTensor, PrepareError, Prepared, Views, required,
};
use crate::tensor::{Element, Shape, TensorType};

/// What a pool does to the values of one window and channel.
pub trait Reduce: Send + 'static {
    /// Activations and results.
    type Value: Element;
    /// What is carried from value to value.
    type State: Copy;
    /// The state before the first value.
    const START: Self::State;
    /// `<primitive>.<variant>`.
    const NAME: &'static str;

    /// Takes in one value.
    fn step(&self, state: Self::State, value: Self::Value) -> Self::State;

    /// The result of a window of `count` values, at least 1.
    fn finish(&self, state: Self::State, count: usize) -> Self::Value;
}

/// The geometry of a pool. Pictures are NHWC.
#[derive(Debug, Clone)]
pub struct Pool2d {
    /// N.
    pub batches: usize,
    /// Along H.
    pub rows: Axis,
    /// Along W.
    pub columns: Axis,
    /// C.
    pub channels: usize,
}

/// A pool's geometry, the shape of its result and its fused activation.
pub struct ParsedPool<'a> {
    /// The geometry.
    pub pool: Pool2d,
    /// NHWC.
    pub shape: Shape,
    /// Clamps the result.
    pub activation: FusedActivation,
    /// Activations.
    pub input: NodeTensor<'a>,
    /// Results.
    pub output: NodeTensor<'a>,
}

const INPUT: usize = 0;
const OUTPUT: usize = 0;

impl Pool2d {
    /// Reads the option table and the shapes.
    ///
    /// # Errors
    /// No table, a window or stride below 1, or an input of another rank.
    pub fn parse<'a>(node: &Node<'a>) -> Result<ParsedPool<'a>, PrepareError> {
        let options = node.table()?.builtin_options_as_pool2d_options();
        let options = options.ok_or(PrepareError::Options {
            expected: "Pool2DOptions",
        })?;
        let input = node.input(INPUT, "input")?;
        let output = node.output(OUTPUT, "output")?;
        let [batches, height, width, channels] = input.dims("[N, H, W, C]")?;
        let padding = padding(options.padding())?;
        let axis = |positions, taps: i32, stride| {
            let taps = usize::try_from(taps).unwrap_or(0);
            Axis::new(positions, taps, stride, 1, padding)
        };
        let rows = axis(height, options.filter_height(), options.stride_h())?;
        let columns = axis(width, options.filter_width(), options.stride_w())?;
        Ok(ParsedPool {
            shape: Shape::new(&[batches, rows.output, columns.output, channels])?,
            pool: Self {
                batches,
                rows,
                columns,
                channels,
            },
            activation: fused_activation(options.fused_activation_function())?,
            input,
            output,
        })
    }

    /// Slides the window. `input`, `output`: NHWC. Padding is left out of the window and of its count.
    ///
    /// Source: TFLite `kernels/internal/reference/pooling.h` and `reference/integer_ops/pooling.h`.
    #[inline(always)]
    pub fn run<R: Reduce>(&self, reduce: &R, input: &[R::Value], output: &mut [R::Value]) {
        let picture = self.rows.input * self.columns.input * self.channels;
        let mut outputs = output.chunks_exact_mut(self.channels.max(1));
        for batch in 0..self.batches {
            let input = &input[batch * picture..][..picture];
            for y in 0..self.rows.output {
                let (taps_y, first_y) = self.rows.taps_inside(y);
                for x in 0..self.columns.output {
                    let (taps_x, first_x) = self.columns.taps_inside(x);
                    let Some(output) = outputs.next() else { return };
                    let window = Window {
                        input,
                        row: self.columns.input * self.channels,
                        channels: self.channels,
                        first: (first_y * self.columns.input + first_x) * self.channels,
                        taps: [taps_y.len(), taps_x.len()],
                    };
                    window.reduce(reduce, output);
                }
            }
        }
    }
}

/// One window of one picture.
struct Window<'a, T> {
    input: &'a [T],
    /// Values from one row to the next.
    row: usize,
    channels: usize,
    /// Where the window's first value lies.
    first: usize,
    /// Rows and columns inside the picture.
    taps: [usize; 2],
}

impl<T: Copy> Window<'_, T> {
    /// Reduces every channel.
    #[inline(always)]
    fn reduce<R: Reduce<Value = T>>(&self, reduce: &R, output: &mut [T]) {
        let [rows, columns] = self.taps;
        for (channel, output) in output.iter_mut().enumerate() {
            let mut state = R::START;
            for y in 0..rows {
                for x in 0..columns {
                    let at = self.first + y * self.row + x * self.channels + channel;
                    state = reduce.step(state, self.input[at]);
                }
            }
            *output = reduce.finish(state, rows * columns);
        }
    }
}

impl ParsedPool<'_> {
    /// The codes that the fused activation leaves of a quantized result.
    ///
    /// # Errors
    /// No scale, or bounds that are no codes.
    pub fn clamp(&self) -> Result<(i32, i32), PrepareError> {
        let (scale, zero_point) = self.output.per_tensor()?;
        let range = self.output.ty.integer_range();
        let range = range.ok_or_else(|| self.output.type_error("an integer type"))?;
        Ok(quantized_activation_range(
            self.activation,
            scale,
            zero_point,
            range,
        )?)
    }

    /// The values of all windows.
    pub fn visits(&self) -> u64 {
        let taps = |axis: &Axis| axis.taps.min(axis.input) as u64;
        let window = taps(&self.pool.rows).saturating_mul(taps(&self.pool.columns));
        (self.shape.count() as u64).saturating_mul(window)
    }

    /// The pool as a kernel.
    pub fn prepared(self, reduce: impl Reduce) -> Prepared {
        let visits = self.visits();
        let kernel = PoolKernel {
            pool: self.pool,
            reduce,
        };
        Prepared::new(kernel, [self.shape]).visits(visits)
    }

    /// The activations' type.
    pub fn ty(&self) -> TensorType {
        self.input.ty
    }
}

struct PoolKernel<R> {
    pool: Pool2d,
    reduce: R,
}

impl<R: Reduce> Kernel for PoolKernel<R> {
    fn eval(&self, io: &mut KernelIo<'_>) -> Result<(), EvalError> {
        let target = io.workers().target();
        let Views {
            inputs: [input],
            outputs: [output],
            ..
        } = io.views([INPUT], [OUTPUT], [])?;
        let input = required(input, INPUT)?.as_slice()?;
        let output = output.into_slice()?;
        target.run(|| self.pool.run(&self.reduce, input, output));
        Ok(())
    }

    fn name(&self) -> &'static str {
        R::NAME
    }
}
