//! Mean and variance of a batch.

use super::FoldError;
use super::error::{channels_fastest, per_channel};

/// Mean and variance per channel of what a convolution gave for one batch.
#[derive(Clone, Debug, PartialEq)]
pub struct BatchStatistics {
    mean: Vec<f32>,
    variance: Vec<f32>,
    /// Values per channel.
    count: usize,
}

impl BatchStatistics {
    /// Statistics of `values`, any shape, channels fastest (such as NHWC). Sums are float64.
    ///
    /// # Errors
    /// There is none or a value that is not finite, the number of values is no multiple of the channels, or there is one
    /// value per channel only.
    pub fn of(values: &[f32], channels: usize) -> Result<Self, FoldError> {
        channels_fastest("the batch", values, channels)?;
        let count = values.len() / channels;
        if count < 2 {
            return Err(FoldError::SingleValue);
        }
        let sums = |term: &dyn Fn(usize, f64) -> f64| -> Vec<f64> {
            let mut sums = vec![0.0; channels];
            for row in values.chunks_exact(channels) {
                for (channel, (sum, &value)) in sums.iter_mut().zip(row).enumerate() {
                    *sum += term(channel, f64::from(value));
                }
            }
            sums.iter().map(|sum| sum / count as f64).collect()
        };
        let mean = sums(&|_, value| value);
        let variance = sums(&|channel, value| (value - mean[channel]).powi(2));
        let rounded = |values: Vec<f64>| values.into_iter().map(|value| value as f32).collect();
        Ok(Self {
            mean: rounded(mean),
            variance: rounded(variance),
            count,
        })
    }

    /// Statistics computed elsewhere: means and population variances (sum of squares over `count`) per channel, of `count`
    /// values each.
    ///
    /// # Errors
    /// There is not one finite mean and variance per channel, or `count` is below 2.
    pub fn new(mean: Vec<f32>, variance: Vec<f32>, count: usize) -> Result<Self, FoldError> {
        per_channel("variance", &variance, mean.len())?;
        super::error::finite("mean", &mean)?;
        if count < 2 {
            return Err(FoldError::SingleValue);
        }
        Ok(Self {
            mean,
            variance,
            count,
        })
    }

    /// Means, one per channel.
    pub fn mean(&self) -> &[f32] {
        &self.mean
    }

    /// Population variances, one per channel: what folding uses.
    pub fn variance(&self) -> &[f32] {
        &self.variance
    }

    /// Values per channel.
    pub fn count(&self) -> usize {
        self.count
    }

    /// Variances with Bessel's correction, `count / (count - 1)` times the others: what moving averages take in.
    pub fn corrected_variance(&self) -> Vec<f32> {
        let count = self.count as f64;
        self.variance
            .iter()
            .map(|&variance| (f64::from(variance) * count / (count - 1.0)) as f32)
            .collect()
    }
}
