//! Plain minimum and maximum: of the last batch, or of all.

use super::{ObserveError, Observer, extremes};
use crate::oracle::qparams::{Grid, Range};

/// The range of the last batch, widened to hold zero or made symmetric (`LastValueQuantize`).
///
/// Source: `quant_ops.py` of `tf.contrib.quantize` (1.13.1) and of the model optimization toolkit (0.8.0).
///
/// ```
/// use corallite::oracle::Range;
/// use corallite::oracle::observe::{LastValue, Observer};
/// let mut weights = LastValue::new(None);
/// weights.observe(&[0.5, 2.0])?;
/// assert_eq!(weights.range()?, Range::new(0.0, 2.0)?);
/// # Ok::<(), corallite::oracle::observe::ObserveError>(())
/// ```
#[derive(Clone, Debug, Default)]
pub struct LastValue {
    symmetric: Option<Grid>,
    last: Option<Range>,
}

impl LastValue {
    /// An observer that has seen nothing; with a grid, ranges are made symmetric for it.
    pub fn new(symmetric: Option<Grid>) -> Self {
        Self {
            symmetric,
            last: None,
        }
    }
}

impl Observer for LastValue {
    fn observe(&mut self, batch: &[f32]) -> Result<(), ObserveError> {
        self.last = Some(batch_range(batch, self.symmetric)?);
        Ok(())
    }

    fn range(&self) -> Result<Range, ObserveError> {
        self.last.ok_or(ObserveError::NothingObserved)
    }
}

/// A batch's range as both toolkits take it before it is stored or averaged.
pub(super) fn batch_range(batch: &[f32], symmetric: Option<Grid>) -> Result<Range, ObserveError> {
    let range = extremes(batch)?;
    Ok(match symmetric {
        Some(grid) => range.symmetric(grid),
        None => range.including_zero(),
    })
}

/// The range of everything seen, holding zero (`AllValuesQuantize`; also the min-max calibration of converters).
///
/// Source: `quant_ops.py` and `quantizers.py` of the model optimization toolkit 0.8.0; ranges begin at 0 to 0.
#[derive(Clone, Debug, Default)]
pub struct AllValues {
    symmetric: Option<Grid>,
    seen: Option<Range>,
}

impl AllValues {
    /// An observer that has seen nothing; with a grid, ranges are made symmetric for it.
    pub fn new(symmetric: Option<Grid>) -> Self {
        Self {
            symmetric,
            seen: None,
        }
    }
}

impl Observer for AllValues {
    fn observe(&mut self, batch: &[f32]) -> Result<(), ObserveError> {
        let mut batch = extremes(batch)?;
        if let Some(grid) = self.symmetric {
            // The toolkit takes the new minimum, not the batch's, for the new maximum; without a narrow grid that can be
            // one float32 step more.
            let lower = batch.symmetric(grid).min();
            batch = Range::new(lower, batch.max())?.symmetric(grid);
        }
        let batch = batch.including_zero();
        let seen = self.seen.unwrap_or(batch);
        self.seen = Some(Range::new(
            seen.min().min(batch.min()),
            seen.max().max(batch.max()),
        )?);
        Ok(())
    }

    fn range(&self) -> Result<Range, ObserveError> {
        self.seen.ok_or(ObserveError::NothingObserved)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn range(min: f32, max: f32) -> Range {
        Range::new(min, max).expect("range")
    }

    #[test]
    fn last_value_forgets_and_all_values_remembers() {
        let (mut last, mut all) = (LastValue::new(None), AllValues::new(None));
        assert_eq!(last.range(), Err(ObserveError::NothingObserved));
        for batch in [[-3.0, 1.0], [0.5, 2.0], [-1.0, 0.25]] {
            last.observe(&batch).expect("numbers");
            all.observe(&batch).expect("numbers");
        }
        assert_eq!(last.range(), Ok(range(-1.0, 0.25)));
        assert_eq!(all.range(), Ok(range(-3.0, 2.0)));
    }

    #[test]
    fn symmetric_observers_keep_zero_in_the_middle() {
        let grid = Grid::signed(8, true).expect("grid");
        let mut last = LastValue::new(Some(grid));
        last.observe(&[-0.5, 3.0]).expect("numbers");
        assert_eq!(last.range(), Ok(range(-3.0, 3.0)));
        let mut all = AllValues::new(Some(grid));
        all.observe(&[-0.5, 3.0]).expect("numbers");
        all.observe(&[-5.0, 3.0]).expect("numbers");
        assert_eq!(all.range(), Ok(range(-5.0, 5.0)));
    }

    #[test]
    fn refused_batches_leave_the_observer_as_it_was() {
        let mut last = LastValue::new(None);
        last.observe(&[1.0]).expect("numbers");
        let refused = last.observe(&[1.0, f32::INFINITY]).unwrap_err();
        assert_eq!(
            refused.to_string(),
            "value 1 of the batch is inf, expected finite numbers; look for divergence before this layer"
        );
        assert_eq!(last.observe(&[]), Err(ObserveError::EmptyBatch));
        assert_eq!(last.range(), Ok(range(0.0, 1.0)));
    }
}
