//! Elements of a tensor quantized per channel, one slice with one scale after the other.

use crate::ops::{NodeTensor, PrepareError};
use crate::tensor::Shape;

/// The scales and zero points along one axis, and how elements are grouped by them.
#[derive(Debug, Clone)]
pub struct Slices {
    parameters: Box<[(f32, i32)]>,
    /// Neighbouring elements that share a channel.
    inner: usize,
}

impl Slices {
    /// One slice of `count` elements.
    pub fn one((scale, zero_point): (f32, i32), count: usize) -> Self {
        Self {
            parameters: Box::new([(scale, zero_point)]),
            inner: count,
        }
    }

    /// The slices of a tensor of `shape` with the scales of `quantized`.
    ///
    /// # Errors
    /// No scales, or not one for each position of the axis.
    pub fn new(quantized: &NodeTensor<'_>, shape: Shape) -> Result<Self, PrepareError> {
        let scales = quantized.scales()?;
        let axis = quantized.quantization.map_or(0, |q| q.axis());
        let zero_points = quantized.quantization.map_or(&[][..], |q| q.zero_points());
        let dims = shape.dims();
        if dims.get(axis) != Some(&scales.len()) {
            return Err(quantized.shape_error(format!(
                "{} positions along axis {axis}, one per scale",
                scales.len()
            )));
        }
        let zero_point = |channel: usize| {
            let shared = zero_points.first().filter(|_| zero_points.len() == 1);
            let stored = zero_points.get(channel).or(shared).copied();
            i32::try_from(stored.unwrap_or(0)).unwrap_or(0)
        };
        let scales = scales.iter().enumerate();
        Ok(Self {
            parameters: scales.map(|(c, &scale)| (scale, zero_point(c))).collect(),
            inner: dims[axis + 1..].iter().product(),
        })
    }

    /// Calls `f` with each slice of `input` and of `output`, its scale and its zero point.
    #[inline(always)]
    pub fn each<I, O>(&self, input: &[I], output: &mut [O], f: impl Fn(&[I], &mut [O], f32, i32)) {
        let n = self.inner.max(1);
        let slices = input.chunks_exact(n).zip(output.chunks_exact_mut(n));
        for ((from, to), &(scale, zero_point)) in slices.zip(self.parameters.iter().cycle()) {
            f(from, to, scale, zero_point);
        }
    }
}
