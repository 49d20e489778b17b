//! Calibration on a data set: ranges that leave outliers out.

use super::histogram::Histogram;
use super::{ObserveError, Observer, extremes};
use crate::oracle::qparams::{ConverterParams, Grid, Range};

/// Everything seen, as a histogram and exact extremes.
#[derive(Clone, Debug)]
struct Seen {
    histogram: Histogram,
    extremes: Option<Range>,
}

impl Seen {
    fn new() -> Self {
        Self {
            histogram: Histogram::new(),
            extremes: None,
        }
    }

    fn observe(&mut self, batch: &[f32]) -> Result<(), ObserveError> {
        let new = extremes(batch)?;
        let old = self.extremes.unwrap_or(new);
        self.extremes = Some(Range::new(
            old.min().min(new.min()),
            old.max().max(new.max()),
        )?);
        for &value in batch {
            self.histogram.count(value);
        }
        Ok(())
    }

    fn extremes(&self) -> Result<Range, ObserveError> {
        self.extremes.ok_or(ObserveError::NothingObserved)
    }
}

/// The range between two percentiles of everything seen: at 99.9, a thousandth of the values may lie above, and as many
/// below. Told to within a bin of the histogram, 1/2048 of the largest magnitude or less, rounded up to a power of two.
#[derive(Clone, Debug)]
pub struct Percentile {
    percentage: f64,
    seen: Seen,
}

impl Percentile {
    /// An observer of the range from percentile `100 - percentage` to percentile `percentage`.
    ///
    /// # Errors
    /// `percentage` is not above 50 and at most 100.
    pub fn new(percentage: f64) -> Result<Self, ObserveError> {
        if !(percentage > 50.0 && percentage <= 100.0) {
            return Err(ObserveError::Percentage { found: percentage });
        }
        Ok(Self {
            percentage,
            seen: Seen::new(),
        })
    }
}

impl Observer for Percentile {
    fn observe(&mut self, batch: &[f32]) -> Result<(), ObserveError> {
        self.seen.observe(batch)
    }

    fn range(&self) -> Result<Range, ObserveError> {
        let extremes = self.seen.extremes()?;
        let histogram = &self.seen.histogram;
        let total: u64 = histogram.bins().map(|(_, _, count)| count).sum();
        // Values that may be left out at either end.
        let spare = total as f64 * (1.0 - self.percentage / 100.0);
        let low = boundary(histogram.bins().map(|(low, _, count)| (low, count)), spare);
        let high = boundary(
            histogram.bins().rev().map(|(_, high, count)| (high, count)),
            spare,
        );
        let within = |end: f64| (end as f32).clamp(extremes.min(), extremes.max());
        Ok(Range::new(within(low), within(high))?.including_zero())
    }
}

/// The outer end of the first bin, counted from the outside, that would leave out more than `spare` values.
fn boundary(bins: impl Iterator<Item = (f64, u64)>, spare: f64) -> f64 {
    let mut passed = 0;
    for (end, count) in bins {
        passed += count;
        if passed as f64 > spare {
            return end;
        }
    }
    0.0
}

/// The range with the smallest mean squared error between the values seen and their quantized forms.
///
/// Both ends are searched together among 64 fractions of the extremes; values count at the middle of their bins.
#[derive(Clone, Debug)]
pub struct MeanSquaredError {
    grid: Grid,
    seen: Seen,
}

/// Candidate ends between zero and an extreme.
const FRACTIONS: u32 = 64;

impl MeanSquaredError {
    /// An observer for values that `grid` will hold.
    pub fn new(grid: Grid) -> Self {
        Self {
            grid,
            seen: Seen::new(),
        }
    }

    /// The sum of squared errors that a range makes.
    fn error_of(&self, range: Range) -> Option<f64> {
        let params = ConverterParams::new(range, self.grid).ok()?;
        let (low, high) = params.representable();
        let scale = params.scale();
        let bins = self.seen.histogram.bins();
        Some(
            bins.map(|(from, to, count)| {
                let value = (from + to) / 2.0;
                let error = (value.clamp(low, high) / scale).round() * scale - value;
                error * error * count as f64
            })
            .sum(),
        )
    }
}

impl Observer for MeanSquaredError {
    fn observe(&mut self, batch: &[f32]) -> Result<(), ObserveError> {
        self.seen.observe(batch)
    }

    fn range(&self) -> Result<Range, ObserveError> {
        let whole = self.seen.extremes()?.including_zero();
        // An end at zero has one candidate only.
        let ends = |extreme: f32| -> Vec<f32> {
            let steps = if extreme == 0.0 { 1 } else { FRACTIONS };
            // The whole range first: it wins ties.
            (1..=steps)
                .rev()
                .map(|step| extreme * (step as f32 / steps as f32))
                .collect()
        };
        let mut best = (f64::INFINITY, whole);
        for &min in &ends(whole.min()) {
            for &max in &ends(whole.max()) {
                let range = Range::new(min, max)?;
                if let Some(error) = self.error_of(range)
                    && error < best.0
                {
                    best = (error, range);
                }
            }
        }
        Ok(best.1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_leave_out_as_many_values_as_they_say() {
        // 0 to 999 once each: percentile 99 leaves out ten, so 990 is in and 989.. is the bound to within one.
        let values: Vec<f32> = (0..1000u16).map(f32::from).collect();
        let mut percentile = Percentile::new(99.0).expect("percentage");
        percentile.observe(&values).expect("numbers");
        let range = percentile.range().expect("observed");
        assert_eq!(range.min(), 0.0);
        assert!((989.0..=990.0).contains(&range.max()), "{range:?}");
        let mut all = Percentile::new(100.0).expect("percentage");
        all.observe(&values).expect("numbers");
        assert_eq!(all.range(), Ok(Range::new(0.0, 999.0).expect("range")));
    }

    #[test]
    fn percentiles_cut_outliers_on_both_sides() {
        let mut percentile = Percentile::new(99.0).expect("percentage");
        let mut values: Vec<f32> = (-100..=100i16).map(|i| f32::from(i) / 100.0).collect();
        values.extend([50.0, -80.0]);
        percentile.observe(&values).expect("numbers");
        let range = percentile.range().expect("observed");
        // Bins are 80 / 2048 wide, rounded up to 1/16 at most: 128 is the first power of two above 80.
        assert!((-1.07..=-0.9).contains(&range.min()), "{range:?}");
        assert!((0.9..=1.07).contains(&range.max()), "{range:?}");
        for found in [50.0, 101.0, f64::NAN] {
            let refused = Percentile::new(found).unwrap_err().to_string();
            let message = format!("percentile {found}, expected above 50 and at most 100");
            assert_eq!(refused, message);
        }
    }

    #[test]
    fn mean_squared_error_clips_one_outlier_and_keeps_a_uniform_range() {
        let uniform: Vec<f32> = (-1000..=1000i16).map(|i| f32::from(i) / 1000.0).collect();
        let grid = Grid::signed(4, false).expect("grid");
        let mut observer = MeanSquaredError::new(grid);
        observer.observe(&uniform).expect("numbers");
        let kept = observer.range().expect("observed");
        // Fifteen steps of 2/15: clipping by c costs more than the finer step saves beyond half a step.
        assert!(kept.max() > 0.9 && kept.min() < -0.9, "{kept:?}");
        // One value at 4 among 2001: 15 steps of 5/15 cost 2001 * (1/3)^2 / 12 = 18.5; clipping at 1 costs 9 + 3.
        observer.observe(&[4.0]).expect("numbers");
        let clipped = observer.range().expect("observed");
        assert!(clipped.max() < 3.0 && clipped.max() > 0.9, "{clipped:?}");
    }
}
