//! Forward: folded weights, corrections and biases.

use super::error::{as_many, channels_fastest, per_channel};
use super::{BatchStatistics, FoldError};

/// A batch normalization with its parameters and moving statistics, one value per channel each.
///
/// ```
/// use corallite::oracle::BatchNormFold;
/// // gamma 2, beta 1, mean 3, variance 4: y = 2 * (x - 3) / 2 + 1 = x - 2.
/// let norm = BatchNormFold::new(vec![2.0], vec![1.0], vec![3.0], vec![4.0], 0.0)?;
/// let folded = norm.evaluate(&[5.0])?;
/// assert_eq!((folded.weights, folded.bias), (vec![5.0], vec![-2.0]));
/// # Ok::<(), corallite::oracle::batch_norm::FoldError>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct BatchNormFold {
    pub(super) gamma: Vec<f32>,
    beta: Vec<f32>,
    pub(super) moving_mean: Vec<f32>,
    moving_variance: Vec<f32>,
    pub(super) epsilon: f32,
}

/// Weights and bias that do what the convolution and the batch normalization did.
#[derive(Clone, Debug, PartialEq)]
pub struct Folded {
    /// As many as there were weights, in the same order.
    pub weights: Vec<f32>,
    /// One per channel.
    pub bias: Vec<f32>,
}

/// What one training run multiplies and adds, all per channel but the weights.
#[derive(Clone, Debug, PartialEq)]
pub struct TrainingFold {
    /// The folded weights: what FakeQuant rounds and the convolution takes.
    pub weights: Vec<f32>,
    /// `sigma_b / sigma_m`: what the weights were multiplied by.
    pub correction_scale: Vec<f32>,
    /// What the convolution's result is multiplied by: `1 / correction_scale`, or 1 when frozen.
    pub correction_recip: Vec<f32>,
    /// What is then added: 0, or the difference of the means' parts when frozen.
    pub correction_offset: Vec<f32>,
    /// `beta - mean_b * gamma / sigma_b`, added last.
    pub bias: Vec<f32>,
    pub(super) frozen: bool,
}

impl BatchNormFold {
    /// A batch normalization; `epsilon` is what is added to variances (0.001 in slim, 0.001 in Keras).
    ///
    /// # Errors
    /// The arrays differ in length or hold what is not finite, or a variance plus `epsilon` is not above zero.
    pub fn new(
        gamma: Vec<f32>,
        beta: Vec<f32>,
        moving_mean: Vec<f32>,
        moving_variance: Vec<f32>,
        epsilon: f32,
    ) -> Result<Self, FoldError> {
        let channels = gamma.len();
        for (what, values) in [
            ("gamma", &gamma),
            ("beta", &beta),
            ("moving mean", &moving_mean),
            ("moving variance", &moving_variance),
        ] {
            per_channel(what, values, channels)?;
        }
        rsqrt(&moving_variance, epsilon)?;
        Ok(Self {
            gamma,
            beta,
            moving_mean,
            moving_variance,
            epsilon,
        })
    }

    /// How many channels there are.
    pub fn channels(&self) -> usize {
        self.gamma.len()
    }

    /// The moving means and variances.
    pub fn moving(&self) -> (&[f32], &[f32]) {
        (&self.moving_mean, &self.moving_variance)
    }

    /// The moving `1 / sigma`.
    pub(super) fn moving_rsqrt(&self) -> Result<Vec<f32>, FoldError> {
        rsqrt(&self.moving_variance, self.epsilon)
    }

    /// The evaluation graph's fold. `weights`: output channels fastest, as TensorFlow stores HWIO filters and, flattened,
    /// depthwise filters \[h, w, channel, multiplier\].
    ///
    /// # Errors
    /// The weights do not divide into the channels or are not finite.
    pub fn evaluate(&self, weights: &[f32]) -> Result<Folded, FoldError> {
        channels_fastest("weights", weights, self.channels())?;
        let moving = self.moving_rsqrt()?;
        let scale = zip(&self.gamma, &moving, |gamma, recip| gamma * recip);
        Ok(Folded {
            weights: scaled(weights, &scale),
            bias: self.bias(&self.moving_mean, &scale),
        })
    }

    /// The training graph's fold for a batch whose unfolded convolution had `batch` statistics. `weights` as for
    /// [`evaluate`](Self::evaluate); `frozen` as [`RunCounter`](crate::oracle::observe::RunCounter) tells.
    ///
    /// # Errors
    /// Channels do not fit, weights are not finite, or a variance plus epsilon is not above zero.
    pub fn train(
        &self,
        weights: &[f32],
        batch: &BatchStatistics,
        frozen: bool,
    ) -> Result<TrainingFold, FoldError> {
        let channels = self.channels();
        channels_fastest("weights", weights, channels)?;
        per_channel("batch mean", batch.mean(), channels)?;
        let moving = self.moving_rsqrt()?;
        let recip = rsqrt(batch.variance(), self.epsilon)?;
        let correction_scale = zip(&moving, &recip, |moving, recip| moving / recip);
        let scale = zip(&self.gamma, &recip, |gamma, recip| gamma * recip);
        let (correction_recip, correction_offset) = if frozen {
            let of_batch = zip(batch.mean(), &recip, |mean, recip| mean * recip);
            let of_moving = zip(&self.moving_mean, &moving, |mean, recip| mean * recip);
            let difference = zip(&of_batch, &of_moving, |batch, moving| batch - moving);
            let offset = zip(&self.gamma, &difference, |gamma, by| gamma * by);
            (vec![1.0; channels], offset)
        } else {
            let recip = correction_scale.iter().map(|scale| 1.0 / scale).collect();
            (recip, vec![0.0; channels])
        };
        let corrected = scaled(weights, &correction_scale);
        Ok(TrainingFold {
            weights: scaled(&corrected, &scale),
            bias: self.bias(batch.mean(), &scale),
            correction_scale,
            correction_recip,
            correction_offset,
            frozen,
        })
    }

    /// Moves the moving statistics towards a batch's by `1 - decay`, unless frozen. The variance taken in has Bessel's
    /// correction.
    ///
    /// # Errors
    /// Channels do not fit, or the result is not finite or not above zero with epsilon: nothing then changes.
    pub fn update(
        &mut self,
        batch: &BatchStatistics,
        decay: f64,
        frozen: bool,
    ) -> Result<(), FoldError> {
        per_channel("batch mean", batch.mean(), self.channels())?;
        if frozen {
            return Ok(());
        }
        // Python subtracts in double; the graph holds float32.
        let rate = (1.0 - decay) as f32;
        let moved = |old: f32, new: f32| old - (old - new) * rate;
        let mean = zip(&self.moving_mean, batch.mean(), moved);
        let variance = zip(&self.moving_variance, &batch.corrected_variance(), moved);
        per_channel("moving mean", &mean, self.channels())?;
        per_channel("moving variance", &variance, self.channels())?;
        rsqrt(&variance, self.epsilon)?;
        self.moving_mean = mean;
        self.moving_variance = variance;
        Ok(())
    }

    /// `beta - mean * scale`.
    fn bias(&self, mean: &[f32], scale: &[f32]) -> Vec<f32> {
        let shift = zip(mean, scale, |mean, scale| mean * scale);
        zip(&self.beta, &shift, |beta, shift| beta - shift)
    }
}

impl TrainingFold {
    /// The normalized result, `convolution * recip + offset + bias`. `convolution`: of the (fake-quantized) folded weights,
    /// any shape, channels fastest.
    ///
    /// # Errors
    /// The values do not divide into the channels or are not finite.
    pub fn normalize(&self, convolution: &[f32]) -> Result<Vec<f32>, FoldError> {
        let channels = self.bias.len();
        channels_fastest("the convolution", convolution, channels)?;
        let mut values = convolution.to_vec();
        for row in values.chunks_exact_mut(channels) {
            for (channel, value) in row.iter_mut().enumerate() {
                *value = *value * self.correction_recip[channel] + self.correction_offset[channel];
                *value += self.bias[channel];
            }
        }
        as_many("the normalized result", &values, convolution.len())?;
        Ok(values)
    }
}

/// `1 / sqrt(variance + epsilon)`, rounded like TensorFlow's to within an ulp.
pub(super) fn rsqrt(variance: &[f32], epsilon: f32) -> Result<Vec<f32>, FoldError> {
    variance
        .iter()
        .enumerate()
        .map(|(channel, variance)| {
            let found = variance + epsilon;
            if found > 0.0 && found.is_finite() {
                Ok((1.0 / f64::from(found).sqrt()) as f32)
            } else {
                Err(FoldError::Variance { channel, found })
            }
        })
        .collect()
}

/// One value per channel from two.
pub(super) fn zip(a: &[f32], b: &[f32], f: impl Fn(f32, f32) -> f32) -> Vec<f32> {
    a.iter().zip(b).map(|(&a, &b)| f(a, b)).collect()
}

/// Values times their channel's scale, channels fastest.
pub(super) fn scaled(values: &[f32], scale: &[f32]) -> Vec<f32> {
    let scales = scale.iter().cycle();
    values.iter().zip(scales).map(|(v, s)| v * s).collect()
}
