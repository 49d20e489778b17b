//! Ranges of real numbers.

use super::{Grid, RangeError};

/// Two finite float32 numbers, the lower one first.
///
/// ```
/// use corallite::oracle::Range;
/// let range = Range::new(0.5, 3.0)?;
/// assert_eq!(range.including_zero(), Range::new(0.0, 3.0)?);
/// assert!(Range::new(f32::NAN, 3.0).is_err());
/// # Ok::<(), corallite::oracle::qparams::RangeError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Range {
    min: f32,
    max: f32,
}

impl Range {
    /// The range from `min` to `max`, both included.
    ///
    /// # Errors
    /// An end is infinite or not a number, or `min` is above `max`.
    pub fn new(min: f32, max: f32) -> Result<Self, RangeError> {
        if !min.is_finite() || !max.is_finite() {
            return Err(RangeError::NotFinite { min, max });
        }
        if min > max {
            return Err(RangeError::Reversed { min, max });
        }
        Ok(Self { min, max })
    }

    /// The lower end.
    pub fn min(self) -> f32 {
        self.min
    }

    /// The upper end.
    pub fn max(self) -> f32 {
        self.max
    }

    /// Widened, where needed, to hold zero.
    pub fn including_zero(self) -> Self {
        Self {
            min: self.min.min(0.0),
            max: self.max.max(0.0),
        }
    }

    /// Widened so that the middle code of `grid` stands for zero, as `symmetric=True` does in `tf.contrib.quantize`.
    ///
    /// A narrow grid is symmetric; without `narrow` two's complement has one more step below zero than above, and the ends
    /// keep the ratio -(2^bits - 2) / 2^bits. Float32 arithmetic, multiplying by the reciprocal of the ratio where the
    /// source divides by it: TensorFlow's graph optimizer does (measured, 1.13.1 and 2.15.1). Source: `quant_ops.py`.
    pub fn symmetric(self, grid: Grid) -> Self {
        let ratio = if grid.is_narrow() {
            -1.0
        } else {
            let codes = (1u32 << grid.bits()) as f32; // at most 2^16: exact
            -(codes - 2.0) / codes
        };
        Self {
            min: self.min.min(self.max * (1.0 / ratio)),
            max: self.max.max(self.min * ratio),
        }
    }

    /// Whether both ends are zero: a tensor that never held anything else.
    pub fn is_only_zero(self) -> bool {
        self.min == 0.0 && self.max == 0.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn symmetric_ranges_keep_the_ratio_of_the_grid() {
        let narrow = Grid::signed(8, true).expect("grid");
        let full = Grid::signed(8, false).expect("grid");
        let range = |min, max| Range::new(min, max).expect("range");
        assert_eq!(range(-1.0, 4.0).symmetric(narrow), range(-4.0, 4.0));
        assert_eq!(range(-4.0, 1.0).symmetric(narrow), range(-4.0, 4.0));
        // 127 / (254/256) = 128: the grid -128 to 127 in steps of one.
        assert_eq!(range(-1.0, 127.0).symmetric(full), range(-128.0, 127.0));
        assert_eq!(range(-128.0, 1.0).symmetric(full), range(-128.0, 127.0));
        // Ranges beside zero are widened across it.
        assert_eq!(range(2.0, 4.0).symmetric(narrow), range(-4.0, 4.0));
        assert_eq!(range(-4.0, -2.0).symmetric(narrow), range(-4.0, 4.0));
    }

    #[test]
    fn what_is_no_range_is_refused_with_a_reason() {
        let cases = [
            (
                f32::NAN,
                1.0,
                "range [NaN, 1] is not finite; look for divergence where it was observed",
            ),
            (
                0.0,
                f32::INFINITY,
                "range [0, inf] is not finite; look for divergence where it was observed",
            ),
            (
                2.0,
                1.0,
                "range [2, 1] has its minimum above its maximum; swap them",
            ),
        ];
        for (min, max, message) in cases {
            assert_eq!(Range::new(min, max).unwrap_err().to_string(), message);
        }
    }
}
