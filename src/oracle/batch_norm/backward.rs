//! Backward: gradients of the weights, of gamma and beta, and of the unfolded convolution.

use super::error::{as_many, channels_fastest, per_channel};
use super::fold::{rsqrt, scaled, zip};
use super::{BatchNormFold, BatchStatistics, FoldError, TrainingFold};

/// What the layers behind pass back to one training run's fold, and what the run had computed.
#[derive(Clone, Copy, Debug)]
pub struct UpstreamGradients<'a> {
    /// The result of the convolution with folded weights, channels fastest.
    pub convolution: &'a [f32],
    /// Gradients of the normalized result, as many.
    pub normalized: &'a [f32],
    /// Gradients of the folded weights: through the convolution (with
    /// [`TrainingFold::convolution_gradients`]) and then through
    /// FakeQuant.
    pub folded_weights: &'a [f32],
}

/// What a fold passes back.
#[derive(Clone, Debug, PartialEq)]
pub struct FoldGradients {
    /// Of the weights, through the fold alone. What [`unfolded`](Self::unfolded) makes of them in the convolution's own
    /// gradient comes on top.
    pub weights: Vec<f32>,
    /// Of gamma, one per channel.
    pub gamma: Vec<f32>,
    /// Of beta, one per channel.
    pub beta: Vec<f32>,
    /// Of the unfolded convolution's result, whose statistics the fold used, channels fastest.
    pub unfolded: Vec<f32>,
}

impl TrainingFold {
    /// The gradients of the folded convolution's result from those of the normalized result, channels fastest.
    ///
    /// # Errors
    /// The values do not divide into the channels or are not finite.
    pub fn convolution_gradients(&self, normalized: &[f32]) -> Result<Vec<f32>, FoldError> {
        channels_fastest("gradients", normalized, self.bias.len())?;
        Ok(scaled(normalized, &self.correction_recip))
    }
}

impl BatchNormFold {
    /// The gradients of one training run. `weights`, `batch` and `fold` are what [`train`](Self::train) took and gave;
    /// `unfolded` is the unfolded convolution's result whose statistics `batch` are, channels fastest.
    ///
    /// Sums are taken in float64 and rounded once.
    ///
    /// # Errors
    /// Lengths or channels do not fit, or a value is not finite.
    pub fn backward(
        &self,
        weights: &[f32],
        unfolded: &[f32],
        batch: &BatchStatistics,
        fold: &TrainingFold,
        upstream: &UpstreamGradients,
    ) -> Result<FoldGradients, FoldError> {
        let channels = self.channels();
        channels_fastest("weights", weights, channels)?;
        per_channel("batch mean", batch.mean(), channels)?;
        per_channel("the fold", &fold.bias, channels)?;
        as_many(
            "the unfolded convolution",
            unfolded,
            batch.count() * channels,
        )?;
        channels_fastest("the convolution", upstream.convolution, channels)?;
        let results = upstream.convolution.len();
        as_many(
            "gradients of the normalized result",
            upstream.normalized,
            results,
        )?;
        as_many(
            "gradients of folded weights",
            upstream.folded_weights,
            weights.len(),
        )?;

        let moving = self.moving_rsqrt()?;
        let recip = rsqrt(batch.variance(), self.epsilon)?;
        let scale = zip(&self.gamma, &recip, |gamma, recip| gamma * recip);
        let mut gradients = FoldGradients {
            weights: scaled(
                &scaled(upstream.folded_weights, &scale),
                &fold.correction_scale,
            ),
            gamma: Vec::with_capacity(channels),
            beta: Vec::with_capacity(channels),
            unfolded: vec![0.0; unfolded.len()],
        };
        for channel in 0..channels {
            let every = |values: &[f32]| -> Vec<f64> {
                let own = values.iter().skip(channel).step_by(channels);
                own.map(|&value| f64::from(value)).collect()
            };
            let normalized = every(upstream.normalized);
            let through_weights = dot(&every(upstream.folded_weights), &every(weights));
            let known = Channel {
                gamma: self.gamma[channel].into(),
                recip: recip[channel].into(),
                moving_recip: moving[channel].into(),
                mean: batch.mean()[channel].into(),
                moving_mean: self.moving_mean[channel].into(),
                scale_correction: fold.correction_scale[channel].into(),
            };
            let sum: f64 = normalized.iter().sum();
            let through_results = dot(&normalized, &every(upstream.convolution));
            let back = known.backward(sum, through_results, through_weights, fold.frozen);
            gradients.gamma.push(back.gamma as f32);
            gradients.beta.push(sum as f32);
            let count = batch.count() as f64;
            for index in (channel..unfolded.len()).step_by(channels) {
                let deviation = f64::from(unfolded[index]) - known.mean;
                let gradient = (back.mean + 2.0 * back.variance * deviation) / count;
                gradients.unfolded[index] = gradient as f32;
            }
        }
        as_many("gradients of gamma", &gradients.gamma, channels)?;
        Ok(gradients)
    }
}

fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

/// One channel's parameters and statistics; `recip` is 1 / sigma.
struct Channel {
    gamma: f64,
    recip: f64,
    moving_recip: f64,
    mean: f64,
    moving_mean: f64,
    scale_correction: f64,
}

/// Gradients of one channel's gamma, batch mean and batch variance.
struct ChannelGradients {
    gamma: f64,
    mean: f64,
    variance: f64,
}

impl Channel {
    /// The chain rule over the table in the module's documentation. `sum`: of the result's gradients; `through_results`:
    /// of gradients times convolution; `through_weights`: of the folded weights' gradients times weights.
    fn backward(
        &self,
        sum: f64,
        through_results: f64,
        through_weights: f64,
        frozen: bool,
    ) -> ChannelGradients {
        let Self {
            gamma,
            recip,
            moving_recip,
            mean,
            moving_mean,
            scale_correction,
        } = *self;
        // The bias, beta - mean * gamma * recip.
        let mut of_gamma = -sum * mean * recip;
        let mut of_mean = -sum * gamma * recip;
        let mut of_recip = -sum * mean * gamma;
        // The folded weights, W * correction * (gamma * recip).
        of_gamma += through_weights * scale_correction * recip;
        of_recip += through_weights * scale_correction * gamma;
        let mut of_correction = through_weights * gamma * recip;
        if frozen {
            // The offset, gamma * (mean * recip - moving_mean * moving_recip).
            of_gamma += sum * (mean * recip - moving_mean * moving_recip);
            of_mean += sum * gamma * recip;
            of_recip += sum * gamma * mean;
        } else {
            // The convolution times 1 / correction.
            of_correction -= through_results / (scale_correction * scale_correction);
        }
        // The correction, moving_recip / recip.
        of_recip -= of_correction * moving_recip / (recip * recip);
        ChannelGradients {
            gamma: of_gamma,
            mean: of_mean,
            // recip = (variance + epsilon)^(-1/2).
            variance: -0.5 * of_recip * recip.powi(3),
        }
    }
}
