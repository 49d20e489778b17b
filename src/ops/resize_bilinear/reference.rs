//! The loop that fast kernels are compared with.

use super::{INPUT, OUTPUT, Picture};
use crate::fast::Tap;
use crate::fixedpoint::Rounding;
use crate::ops::shared::Integer;
use crate::ops::{EvalError, Kernel, KernelIo, Views, required};
use crate::tensor::Element;
use std::marker::PhantomData;

/// How four neighbours are averaged.
pub trait Mean: Send + 'static {
    type Element: Element + Send;
    type Weight: Copy + Send + 'static;

    /// Of the elements upper left, lower left, upper right and lower right, with the weights from above and from the left.
    fn mean(&self, corners: [Self::Element; 4], y: Self::Weight, x: Self::Weight) -> Self::Element;
}

/// In float32; `offset` is added before the fraction is cut off.
pub struct InReal<E> {
    offset: f32,
    elements: PhantomData<E>,
}

impl<E> InReal<E> {
    pub fn new(offset: f32) -> Self {
        let elements = PhantomData;
        Self { offset, elements }
    }

    fn sum(&self, [ul, ll, ur, lr]: [f32; 4], y: f32, x: f32) -> f32 {
        ul * (1.0 - y) * (1.0 - x)
            + ll * y * (1.0 - x)
            + ur * (1.0 - y) * x
            + lr * y * x
            + self.offset
    }
}

impl Mean for InReal<f32> {
    type Element = f32;
    type Weight = f32;

    fn mean(&self, corners: [f32; 4], y: f32, x: f32) -> f32 {
        self.sum(corners, y, x)
    }
}

impl Mean for InReal<u8> {
    type Element = u8;
    type Weight = f32;

    fn mean(&self, corners: [u8; 4], y: f32, x: f32) -> u8 {
        self.sum(corners.map(f32::from), y, x) as u8
    }
}

/// In integers, weights in 1/1024.
pub struct InFixed<E> {
    rounding: Rounding,
    elements: PhantomData<E>,
}

impl<E> InFixed<E> {
    pub fn new(rounding: Rounding) -> Self {
        let elements = PhantomData;
        Self { rounding, elements }
    }
}

impl<E: Integer> Mean for InFixed<E> {
    type Element = E;
    type Weight = i64;

    fn mean(&self, corners: [E; 4], y: i64, x: i64) -> E {
        let [ul, ll, ur, lr] = corners.map(|corner| i64::from(corner.widen()));
        let one = 1 << 10;
        let sum = ul * (one - y) * (one - x) + ll * y * (one - x) + ur * (one - y) * x + lr * y * x;
        let half = 1 << 19;
        let mean = match self.rounding {
            Rounding::Single => (sum + half) >> 20,
            Rounding::Double if sum > 0 => (sum + half) / (1 << 20),
            Rounding::Double => (sum - half) / (1 << 20),
        };
        E::saturate(mean as i32)
    }
}

/// Any picture, one mean after another.
pub struct Reference<M: Mean> {
    pub picture: Picture,
    pub rows: Vec<Tap<M::Weight>>,
    pub columns: Vec<Tap<M::Weight>>,
    pub mean: M,
}

impl<M: Mean> Reference<M> {
    /// Pictures of this kernel's size.
    pub fn resize(&self, input: &[M::Element], output: &mut [M::Element]) {
        let Picture {
            height,
            width,
            depth,
        } = self.picture;
        if output.is_empty() {
            return;
        }
        let (line, picture) = (width * depth, height * width * depth);
        let lines = output.chunks_exact_mut(self.columns.len() * depth);
        for (number, to) in lines.enumerate() {
            let row = &self.rows[number % self.rows.len()];
            let input = &input[number / self.rows.len() * picture..][..picture];
            let upper = &input[row.lower * line..][..line];
            let lower = &input[row.upper * line..][..line];
            for (column, to) in self.columns.iter().zip(to.chunks_exact_mut(depth)) {
                let [left, right] = [column.lower, column.upper].map(|c| c * depth);
                let corners = [
                    &upper[left..][..depth],
                    &lower[left..][..depth],
                    &upper[right..][..depth],
                    &lower[right..][..depth],
                ];
                for (channel, to) in to.iter_mut().enumerate() {
                    let corners = corners.map(|corner| corner[channel]);
                    *to = self.mean.mean(corners, row.weight, column.weight);
                }
            }
        }
    }
}

impl<M: Mean> Kernel for Reference<M> {
    fn eval(&self, io: &mut KernelIo<'_>) -> Result<(), EvalError> {
        let Views {
            inputs: [input],
            outputs: [output],
            ..
        } = io.views([INPUT], [OUTPUT], [])?;
        let input = required(input, INPUT)?.as_slice::<M::Element>()?;
        self.resize(input, output.into_slice::<M::Element>()?);
        Ok(())
    }

    fn name(&self) -> &'static str {
        "resize_bilinear.reference"
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn integer_mean_rounds_away_from_zero() {
        let double = InFixed::<i8>::new(Rounding::Double);
        let single = InFixed::<i8>::new(Rounding::Single);
        // Half-way between -1 and -2 is -1.5.
        assert_eq!(double.mean([-1, -2, -1, -2], 512, 0), -2);
        assert_eq!(single.mean([-1, -2, -1, -2], 512, 0), -1);
    }
}
