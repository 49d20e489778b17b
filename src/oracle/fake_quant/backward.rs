//! The backward pass: straight through inside the nudged range.

use super::{FakeQuant, FakeQuantError};

/// What a FakeQuant node passes back.
#[derive(Clone, Debug, PartialEq)]
pub struct Gradients {
    /// Of the input, one per value.
    pub input: Vec<f32>,
    /// Of the lower end of the range: one, or one per channel.
    pub min: Vec<f32>,
    /// Of the upper end of the range: one, or one per channel.
    pub max: Vec<f32>,
}

impl FakeQuant {
    /// The gradients of input and range from those of the output, one per value.
    ///
    /// A gradient passes where the value is within the nudged range, ends included; it goes to `min` where the value is
    /// below and to `max` where it is above. Nudging itself is not differentiated. Every profile does the same. Denormal
    /// values count as zero: TensorFlow's threads flush them (measured on both versions). Sums are taken in float64 and
    /// rounded once; TensorFlow sums in float32, in an order that depends on the machine.
    ///
    /// # Errors
    /// As for [`forward`](FakeQuant::forward), or there is not one gradient per value.
    pub fn backward(&self, values: &[f32], gradients: &[f32]) -> Result<Gradients, FakeQuantError> {
        self.check(values)?;
        if gradients.len() != values.len() {
            return Err(FakeQuantError::GradientCount {
                gradients: gradients.len(),
                values: values.len(),
            });
        }
        let channels = self.params().len();
        let mut input = Vec::with_capacity(values.len());
        let (mut min, mut max) = (vec![0.0f64; channels], vec![0.0f64; channels]);
        for (index, (&value, &gradient)) in values.iter().zip(gradients).enumerate() {
            let channel = index % channels;
            let value = if value.is_subnormal() { 0.0 } else { value };
            let params = &self.params()[channel];
            let (low, high) = (params.nudged_min(), params.nudged_max());
            // The range 0 to 0 clamps nothing (TensorFlow's kernels treat it apart).
            let everything = params.range().is_only_zero();
            if everything || (low..=high).contains(&value) {
                input.push(gradient);
                continue;
            }
            input.push(0.0);
            let end = if value < low { &mut min } else { &mut max };
            end[channel] += f64::from(gradient);
        }
        let rounded = |sums: Vec<f64>| sums.into_iter().map(|sum| sum as f32).collect();
        Ok(Gradients {
            input,
            min: rounded(min),
            max: rounded(max),
        })
    }
}
