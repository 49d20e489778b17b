//! Exponential moving averages of batch ranges.

use super::min_max::batch_range;
use super::{ObserveError, Observer};
use crate::oracle::qparams::{Grid, Range};

/// The moving average of batch ranges (`MovingAvgQuantize`), in float32 as TensorFlow updates its variables.
///
/// With zero-debias (`tf.contrib.quantize`) a shadow average that begins at 0 is divided by `1 - decay^runs`, so the initial
/// range is forgotten at the first batch. Without (the Keras toolkit) the initial range fades by `decay` per batch only:
/// at 0.999 it takes some 700 batches to halve, and shorter training leaves ranges that were never real.
///
/// Source: `moving_averages.py` of TensorFlow 1.13.1 and 2.15.1.
///
/// ```
/// use corallite::oracle::Range;
/// use corallite::oracle::observe::{MovingAverage, Observer};
/// let mut activations = MovingAverage::plain(0.5, Range::new(-6.0, 6.0)?, None)?;
/// activations.observe(&[0.0, 2.0])?;
/// assert_eq!(activations.range()?, Range::new(-3.0, 4.0)?);
/// # Ok::<(), corallite::oracle::observe::ObserveError>(())
/// ```
#[derive(Clone, Debug)]
pub struct MovingAverage {
    symmetric: Option<Grid>,
    /// 1 - decay.
    rate: f32,
    min: Average,
    max: Average,
    debiased: bool,
    /// Batches seen, as TensorFlow's float32 variable counts them.
    runs: f32,
}

/// One end of the range.
#[derive(Clone, Copy, Debug)]
struct Average {
    value: f32,
    /// The shadow variable of zero-debias.
    biased: f32,
}

impl MovingAverage {
    /// As `tf.contrib.quantize` averages activations: with zero-debias. `decay` is 0.999 there; `initial` (0 to 6 there)
    /// is what [`range`](Observer::range) tells before the first batch.
    ///
    /// # Errors
    /// `decay` is not at least 0 and below 1.
    pub fn debiased(
        decay: f64,
        initial: Range,
        symmetric: Option<Grid>,
    ) -> Result<Self, ObserveError> {
        Self::new(decay, initial, symmetric, true)
    }

    /// As the model optimization toolkit averages: without zero-debias. `decay` is 0.999 and `initial` -6 to 6 there.
    ///
    /// # Errors
    /// `decay` is not at least 0 and below 1.
    pub fn plain(
        decay: f64,
        initial: Range,
        symmetric: Option<Grid>,
    ) -> Result<Self, ObserveError> {
        Self::new(decay, initial, symmetric, false)
    }

    fn new(
        decay: f64,
        initial: Range,
        symmetric: Option<Grid>,
        debiased: bool,
    ) -> Result<Self, ObserveError> {
        if !(0.0..1.0).contains(&decay) {
            return Err(ObserveError::Decay { found: decay });
        }
        let average = |value| Average { value, biased: 0.0 };
        Ok(Self {
            symmetric,
            // Python subtracts in double; the graph holds float32.
            rate: (1.0 - decay) as f32,
            min: average(initial.min()),
            max: average(initial.max()),
            debiased,
            runs: 0.0,
        })
    }

    /// The shadow averages of zero-debias, for comparison with a checkpoint: minimum, maximum.
    pub fn biased(&self) -> (f32, f32) {
        (self.min.biased, self.max.biased)
    }
}

impl Observer for MovingAverage {
    fn observe(&mut self, batch: &[f32]) -> Result<(), ObserveError> {
        let range = batch_range(batch, self.symmetric)?;
        self.runs += 1.0;
        let rate = self.rate;
        // A correctly rounded power; C's powf, which TensorFlow calls, is within an ulp of it and equal as a rule.
        let power = f64::from(1.0 - rate).powf(f64::from(self.runs)) as f32;
        let weight = self.debiased.then_some(1.0 - power);
        self.min.update(range.min(), rate, weight);
        self.max.update(range.max(), rate, weight);
        Ok(())
    }

    fn range(&self) -> Result<Range, ObserveError> {
        Ok(Range::new(self.min.value, self.max.value)?)
    }
}

impl Average {
    /// `weight`: of the shadow average, where zero-debias is wanted.
    fn update(&mut self, batch: f32, rate: f32, weight: Option<f32>) {
        let change = match weight {
            Some(weight) => {
                self.biased -= (self.biased - batch) * rate;
                self.value - self.biased / weight
            }
            None => (self.value - batch) * rate,
        };
        self.value -= change;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn range(min: f32, max: f32) -> Range {
        Range::new(min, max).expect("range")
    }

    #[test]
    fn zero_debias_forgets_the_initial_range_at_once() {
        let mut average = MovingAverage::debiased(0.5, range(0.0, 6.0), None).expect("decay");
        assert_eq!(average.range(), Ok(range(0.0, 6.0)));
        average.observe(&[-1.0, 2.0]).expect("numbers");
        // 0.5 * 2 / (1 - 0.5).
        assert_eq!(average.range(), Ok(range(-1.0, 2.0)));
        average.observe(&[-1.0, 5.0]).expect("numbers");
        // (0.5 * 1 + 0.5 * 5) / (1 - 0.25) = 3 / 0.75.
        assert_eq!(average.range(), Ok(range(-1.0, 4.0)));
        assert_eq!(average.biased(), (-0.75, 3.0));
    }

    #[test]
    fn a_decay_of_one_and_more_is_refused() {
        for decay in [1.0, -0.1, f64::NAN] {
            let refused = MovingAverage::plain(decay, range(-6.0, 6.0), None).unwrap_err();
            let message = format!("decay {decay}, expected at least 0 and below 1");
            assert_eq!(refused.to_string(), message);
        }
    }
}
