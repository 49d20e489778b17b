//! The numbers that weighted operators compute in: how products are summed and how a sum becomes a stored result.

use super::{FloatRange, Integer, Quantized};
use crate::tensor::Element;
use std::marker::PhantomData;

/// One way to compute `result = finish(sum(input * filter) + bias)`; every weighted operator's loop is written over it.
pub trait Arithmetic {
    /// Activations.
    type Input: Element;
    /// Weights.
    type Filter: Element + Send + Sync;
    /// Added to the sum.
    type Bias: Element;
    /// Results.
    type Output: Element;
    /// The accumulator.
    type Sum: Copy;
    /// The empty sum.
    const ZERO: Self::Sum;

    /// `sum` plus one product.
    fn accumulate(&self, sum: Self::Sum, input: Self::Input, filter: Self::Filter) -> Self::Sum;

    /// The result in output channel `channel`.
    fn finish(&self, sum: Self::Sum, bias: Option<Self::Bias>, channel: usize) -> Self::Output;

    /// `sum` plus bias before anything is rounded, in units of the accumulator.
    fn total(&self, sum: Self::Sum, bias: Option<Self::Bias>) -> f64;

    /// The lowest and the highest code a result can take.
    fn clamp(&self) -> (i32, i32);

    /// The sum of the products of two rows of equal length, first to last.
    #[inline(always)]
    fn dot(&self, sum: Self::Sum, input: &[Self::Input], filter: &[Self::Filter]) -> Self::Sum {
        let pairs = input.iter().zip(filter);
        pairs.fold(sum, |sum, (&input, &filter)| {
            self.accumulate(sum, input, filter)
        })
    }
}

/// From an accumulator to the code of the result, clamped to the fused activation.
pub trait Stage: Send + 'static {
    /// The code for a 32-bit accumulator of output channel `channel`.
    fn code(&self, sum: i32, channel: usize) -> i32;

    /// The code for a 64-bit accumulator, which int16 activations have.
    fn wide_code(&self, sum: i64, channel: usize) -> i32;

    /// The lowest and the highest code.
    fn clamp(&self) -> (i32, i32);
}

/// Integers with a 32-bit accumulator, which wraps as the hardware does.
#[derive(Debug, Clone)]
pub struct IntegerSums<T, W, S, O = T> {
    /// Subtracted from every input.
    pub input_zero_point: i16,
    /// Subtracted from every weight; 0 for signed weights.
    pub filter_zero_point: i16,
    /// From the accumulator to the result.
    pub stage: S,
    types: PhantomData<fn(T, W) -> O>,
}

impl<T, W, S, O> IntegerSums<T, W, S, O> {
    /// Arithmetic on inputs `T` and weights `W` with the given zero points, and results `O`.
    pub fn new(input_zero_point: i16, filter_zero_point: i16, stage: S) -> Self {
        Self {
            input_zero_point,
            filter_zero_point,
            stage,
            types: PhantomData,
        }
    }
}

impl<T: Quantized, W: Quantized, S: Stage, O: Quantized> IntegerSums<T, W, S, O> {
    #[inline(always)]
    fn dot_in_lanes(&self, sum: i32, input: &[T], filter: &[W]) -> i32 {
        const LANES: usize = 8;
        let (inputs, input_rest) = input.as_chunks::<LANES>();
        let (filters, filter_rest) = filter.as_chunks::<LANES>();
        let mut sums = [0i32; LANES];
        for (input, filter) in inputs.iter().zip(filters) {
            for (lane, sum) in sums.iter_mut().enumerate() {
                *sum = self.accumulate(*sum, input[lane], filter[lane]);
            }
        }
        let sum = sums.into_iter().fold(sum, i32::wrapping_add);
        self.dot_in_order(sum, input_rest, filter_rest)
    }

    #[inline(always)]
    fn dot_in_blocks(&self, mut sum: i32, input: &[T], filter: &[W]) -> i32 {
        const BLOCK: usize = 64;
        let (inputs, input_rest) = input.as_chunks::<BLOCK>();
        let (filters, filter_rest) = filter.as_chunks::<BLOCK>();
        for (input, filter) in inputs.iter().zip(filters) {
            let input = input.map(|input| input.offset(self.input_zero_point));
            let filter = filter.map(|filter| filter.offset(self.filter_zero_point));
            let pairs = input.iter().zip(&filter);
            sum = pairs.fold(sum, |sum, (&input, &filter)| {
                sum.wrapping_add(i32::from(input).wrapping_mul(i32::from(filter)))
            });
        }
        self.dot_in_order(sum, input_rest, filter_rest)
    }

    #[inline(always)]
    fn dot_in_order(&self, sum: i32, input: &[T], filter: &[W]) -> i32 {
        let pairs = input.iter().zip(filter);
        pairs.fold(sum, |sum, (&input, &filter)| {
            self.accumulate(sum, input, filter)
        })
    }
}

impl<T: Quantized, W: Quantized, S: Stage, O: Quantized> Arithmetic for IntegerSums<T, W, S, O> {
    type Input = T;
    type Filter = W;
    type Bias = i32;
    type Output = O;
    type Sum = i32;
    const ZERO: i32 = 0;

    #[inline(always)]
    fn accumulate(&self, sum: i32, input: T, filter: W) -> i32 {
        let input = i32::from(input.offset(self.input_zero_point));
        let filter = i32::from(filter.offset(self.filter_zero_point));
        sum.wrapping_add(input.wrapping_mul(filter))
    }

    /// Wrapping sums have no order, so long rows are summed in the form that LLVM turns into vector instructions: eight
    /// sums side by side for signed elements, which it scatters over single bytes for unsigned ones; those are widened
    /// block by block first.
    #[inline(always)]
    fn dot(&self, sum: i32, input: &[T], filter: &[W]) -> i32 {
        if T::RANGE.0 < 0 {
            self.dot_in_lanes(sum, input, filter)
        } else {
            self.dot_in_blocks(sum, input, filter)
        }
    }

    #[inline(always)]
    fn finish(&self, sum: i32, bias: Option<i32>, channel: usize) -> O {
        let sum = sum.wrapping_add(bias.unwrap_or(0));
        O::saturate(self.stage.code(sum, channel))
    }

    fn total(&self, sum: i32, bias: Option<i32>) -> f64 {
        f64::from(sum.wrapping_add(bias.unwrap_or(0)))
    }

    fn clamp(&self) -> (i32, i32) {
        self.stage.clamp()
    }
}

/// int16 activations with a 64-bit accumulator; every zero point is 0.
#[derive(Debug, Clone)]
pub struct Wide<W, S> {
    stage: S,
    filter: PhantomData<fn(W)>,
}

impl<W, S> Wide<W, S> {
    /// Arithmetic on weights `W`.
    pub fn new(stage: S) -> Self {
        Self {
            stage,
            filter: PhantomData,
        }
    }
}

impl<W: Quantized, S: Stage> Arithmetic for Wide<W, S> {
    type Input = i16;
    type Filter = W;
    type Bias = i64;
    type Output = i16;
    type Sum = i64;
    const ZERO: i64 = 0;

    #[inline(always)]
    fn accumulate(&self, sum: i64, input: i16, filter: W) -> i64 {
        sum.wrapping_add(i64::from(i32::from(input).wrapping_mul(filter.widen())))
    }

    #[inline(always)]
    fn finish(&self, sum: i64, bias: Option<i64>, channel: usize) -> i16 {
        let sum = sum.wrapping_add(bias.unwrap_or(0));
        i16::saturate(self.stage.wide_code(sum, channel))
    }

    /// Exact: sums of 16-bit products stay far below 2^53.
    fn total(&self, sum: i64, bias: Option<i64>) -> f64 {
        sum.wrapping_add(bias.unwrap_or(0)) as f64
    }

    fn clamp(&self) -> (i32, i32) {
        self.stage.clamp()
    }
}

/// float32, summed in the order of the operands.
#[derive(Debug, Clone)]
pub struct Float(pub FloatRange);

impl Arithmetic for Float {
    type Input = f32;
    type Filter = f32;
    type Bias = f32;
    type Output = f32;
    type Sum = f32;
    const ZERO: f32 = 0.0;

    #[inline(always)]
    fn accumulate(&self, sum: f32, input: f32, filter: f32) -> f32 {
        sum + input * filter
    }

    #[inline(always)]
    fn finish(&self, sum: f32, bias: Option<f32>, _: usize) -> f32 {
        self.0.clamp(sum + bias.unwrap_or(0.0))
    }

    fn total(&self, sum: f32, bias: Option<f32>) -> f64 {
        f64::from(sum) + f64::from(bias.unwrap_or(0.0))
    }

    /// Floats have no codes.
    fn clamp(&self) -> (i32, i32) {
        (i32::MIN, i32::MAX)
    }
}

/// Another arithmetic whose results are its accumulators.
pub struct Totals<'a, A>(pub &'a A);

impl<A: Arithmetic> Arithmetic for Totals<'_, A> {
    type Input = A::Input;
    type Filter = A::Filter;
    type Bias = A::Bias;
    type Output = f64;
    type Sum = A::Sum;
    const ZERO: A::Sum = A::ZERO;

    #[inline(always)]
    fn accumulate(&self, sum: A::Sum, input: A::Input, filter: A::Filter) -> A::Sum {
        self.0.accumulate(sum, input, filter)
    }

    #[inline(always)]
    fn finish(&self, sum: A::Sum, bias: Option<A::Bias>, _: usize) -> f64 {
        self.0.total(sum, bias)
    }

    fn total(&self, sum: A::Sum, bias: Option<A::Bias>) -> f64 {
        self.0.total(sum, bias)
    }

    fn clamp(&self) -> (i32, i32) {
        self.0.clamp()
    }
}
