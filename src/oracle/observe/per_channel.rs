//! One observer per channel.

use super::{ObserveError, Observer};
use crate::oracle::qparams::Range;

/// Observers for the slices of a tensor along its last axis, as the toolkits quantize weights per channel.
///
/// ```
/// use corallite::oracle::Range;
/// use corallite::oracle::observe::{LastValue, PerChannel};
/// let mut weights = PerChannel::new(2, || LastValue::new(None));
/// weights.observe(&[1.0, -5.0, 2.0, 3.0])?; // [2, 2]: channels {1, 2} and {-5, 3}
/// assert_eq!(weights.ranges()?, [Range::new(0.0, 2.0)?, Range::new(-5.0, 3.0)?]);
/// # Ok::<(), corallite::oracle::observe::ObserveError>(())
/// ```
#[derive(Clone, Debug)]
pub struct PerChannel<O> {
    observers: Vec<O>,
}

impl<O: Observer + Clone> PerChannel<O> {
    /// `channels` observers that `new` makes.
    pub fn new(channels: usize, new: impl FnMut() -> O) -> Self {
        let observers = std::iter::repeat_with(new).take(channels).collect();
        Self { observers }
    }

    /// Takes one batch in: any shape, channels fastest.
    ///
    /// # Errors
    /// The number of values is no multiple of the channels, or as for [`Observer::observe`] with the index in the whole
    /// batch; no observer is then changed.
    pub fn observe(&mut self, batch: &[f32]) -> Result<(), ObserveError> {
        let channels = self.observers.len();
        if channels == 0 || !batch.len().is_multiple_of(channels) {
            return Err(ObserveError::ChannelCount {
                values: batch.len(),
                channels,
            });
        }
        let mut changed = self.observers.clone();
        for (channel, observer) in changed.iter_mut().enumerate() {
            let values: Vec<f32> = batch
                .iter()
                .skip(channel)
                .step_by(channels)
                .copied()
                .collect();
            observer.observe(&values).map_err(|error| match error {
                ObserveError::NotFinite { index, value } => ObserveError::NotFinite {
                    index: index * channels + channel,
                    value,
                },
                other => other,
            })?;
        }
        self.observers = changed;
        Ok(())
    }

    /// The ranges so far, one per channel.
    ///
    /// # Errors
    /// As for [`Observer::range`].
    pub fn ranges(&self) -> Result<Vec<Range>, ObserveError> {
        self.observers.iter().map(Observer::range).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::oracle::observe::LastValue;

    #[test]
    fn batches_that_do_not_fit_are_refused_whole() {
        let mut two = PerChannel::new(2, || LastValue::new(None));
        two.observe(&[1.0, 2.0]).expect("fits");
        let error = two.observe(&[1.0; 3]).unwrap_err().to_string();
        assert_eq!(
            error,
            "3 values do not divide into 2 channels along the last axis; use as many observers as channels"
        );
        let error = two.observe(&[9.0, 9.0, 9.0, f32::NAN]).unwrap_err();
        assert!(matches!(error, ObserveError::NotFinite { index: 3, .. }));
        let range = |max| Range::new(0.0, max).expect("range");
        assert_eq!(two.ranges(), Ok(vec![range(1.0), range(2.0)]));
    }
}
