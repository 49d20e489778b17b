//! Ranges from observed values, and when quantization begins.
//!
//! Training looks at every batch and keeps a range per tensor or per channel; calibration looks at a data set once. An
//! [`Observer`] does either. The moving averages repeat TensorFlow's float32 arithmetic operation by operation, so a range
//! logged by a training script can be compared for equality.
//!
//! | observer | used for |
//! | --- | --- |
//! | [`LastValue`] | weights: the range of the last batch |
//! | [`AllValues`] | the toolkit's inputs; post-training calibration by minimum and maximum |
//! | [`MovingAverage`] | activations: with zero-debias in `tf.contrib.quantize`, without in the Keras toolkit |
//! | [`Percentile`] | calibration that leaves outliers out |
//! | [`MeanSquaredError`] | calibration that minimises the quantization error |
//! | [`PerChannel`] | one of the above per channel |
//!
//! [`RunCounter`] counts runs of the training graph as `quant_delay` and `freeze_bn_delay` do.

mod calibrate;
mod delay;
mod error;
mod histogram;
mod min_max;
mod moving_average;
mod per_channel;

pub use calibrate::{MeanSquaredError, Percentile};
pub use delay::{Run, RunCounter};
pub use error::ObserveError;
pub use min_max::{AllValues, LastValue};
pub use moving_average::MovingAverage;
pub use per_channel::PerChannel;

use super::qparams::Range;

/// Turns batches of values into one range.
pub trait Observer {
    /// Takes one batch in: any shape, flattened.
    ///
    /// # Errors
    /// The batch is empty or holds a value that is infinite or not a number; the observer is then unchanged.
    fn observe(&mut self, batch: &[f32]) -> Result<(), ObserveError>;

    /// The range so far: what the FakeQuant of the same run uses. It always holds zero.
    ///
    /// # Errors
    /// Nothing was observed, or the averaged ends are no range.
    fn range(&self) -> Result<Range, ObserveError>;
}

/// The smallest and largest value of a batch, not widened to zero.
fn extremes(batch: &[f32]) -> Result<Range, ObserveError> {
    if batch.is_empty() {
        return Err(ObserveError::EmptyBatch);
    }
    let (mut min, mut max) = (f32::INFINITY, f32::NEG_INFINITY);
    for (index, &value) in batch.iter().enumerate() {
        if !value.is_finite() {
            return Err(ObserveError::NotFinite { index, value });
        }
        min = min.min(value);
        max = max.max(value);
    }
    Ok(Range::new(min, max)?)
}
