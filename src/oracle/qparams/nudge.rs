//! The training side: FakeQuant's scale, zero point and nudged range, all in float32.
//!
//! Source: `Nudge` in TensorFlow's `core/kernels/fake_quant_ops_functor.h` (1.13.1 and 2.15.1, the same results);
//! `NudgeQuantizationRange` in TFLite's `kernels/internal/quantization_util.h` is the same arithmetic.

use super::{Grid, Range, RangeError};

/// What a FakeQuant operator works with.
///
/// ```
/// use corallite::oracle::qparams::FakeQuantParams;
/// use corallite::oracle::{Grid, Range};
/// let params = FakeQuantParams::new(Range::new(-1.0, 0.9921875)?, Grid::unsigned(8, false)?)?;
/// assert_eq!((params.scale(), params.zero_point()), (1.0 / 128.0, 128));
/// // A range above zero is moved, not widened.
/// let params = FakeQuantParams::new(Range::new(1.0, 3.0)?, Grid::unsigned(2, false)?)?;
/// assert_eq!((params.nudged_min(), params.nudged_max()), (0.0, 2.0));
/// # Ok::<(), corallite::oracle::qparams::RangeError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct FakeQuantParams {
    range: Range,
    grid: Grid,
    scale: f32,
    zero_point: i32,
    nudged_min: f32,
    nudged_max: f32,
}

impl FakeQuantParams {
    /// The parameters of `range` on `grid`.
    ///
    /// The range 0 to 0 is allowed and has a scale of 0: FakeQuant then gives zeros and passes all gradients.
    ///
    /// # Errors
    /// The range has no width away from zero, is wider than float32 can say, or is so narrow that its step is denormal
    /// (below 1.18e-38), where TensorFlow's results depend on the flush-to-zero mode of the thread.
    pub fn new(range: Range, grid: Grid) -> Result<Self, RangeError> {
        let (min, max) = (range.min(), range.max());
        // TensorFlow counts in unsigned codes; all of these are at most 2^16, exact in float32.
        let quant_min = (grid.min() + grid.offset()) as f32;
        let quant_max = (grid.max() + grid.offset()) as f32;
        if range.is_only_zero() {
            return Ok(Self {
                range,
                grid,
                scale: 0.0,
                zero_point: grid.min(),
                nudged_min: 0.0,
                nudged_max: 0.0,
            });
        }
        let scale = (max - min) / (quant_max - quant_min);
        if min == max {
            return Err(RangeError::ZeroWidth { at: min });
        }
        if !scale.is_finite() {
            return Err(RangeError::TooWide { min, max });
        }
        if !scale.is_normal() {
            return Err(RangeError::TooNarrow { min, max, scale });
        }
        let from_min = quant_min - min / scale;
        let nudged = if from_min < quant_min {
            quant_min
        } else if from_min > quant_max {
            quant_max
        } else {
            from_min.round()
        };
        Ok(Self {
            range,
            grid,
            scale,
            // 0 to 2^16 - 1: `as` is exact.
            zero_point: nudged as i32 - grid.offset(),
            nudged_min: (quant_min - nudged) * scale,
            nudged_max: (quant_max - nudged) * scale,
        })
    }

    /// The range before nudging.
    pub fn range(&self) -> Range {
        self.range
    }

    /// The codes.
    pub fn grid(&self) -> Grid {
        self.grid
    }

    /// The step between two codes; 0 for the range 0 to 0.
    pub fn scale(&self) -> f32 {
        self.scale
    }

    /// The code that stands for zero, in the codes of the grid.
    pub fn zero_point(&self) -> i32 {
        self.zero_point
    }

    /// What the lowest code stands for: smaller inputs are clamped to it.
    pub fn nudged_min(&self) -> f32 {
        self.nudged_min
    }

    /// What the highest code stands for: larger inputs are clamped to it.
    pub fn nudged_max(&self) -> f32 {
        self.nudged_max
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn params(min: f32, max: f32, grid: Grid) -> FakeQuantParams {
        let range = Range::new(min, max).expect("range");
        FakeQuantParams::new(range, grid).expect("params")
    }

    #[test]
    fn zero_points_are_rounded_half_away_and_clamped() {
        let grid = Grid::unsigned(8, false).expect("grid");
        struct Case {
            min: f32,
            max: f32,
            zero_point: i32,
            nudged: (f32, f32),
            why: &'static str,
        }
        let cases = [
            Case {
                min: -0.5,
                max: 254.5,
                zero_point: 1,
                nudged: (-1.0, 254.0),
                why: "0.5 is a tie: away from zero",
            },
            Case {
                min: -1.5,
                max: 253.5,
                zero_point: 2,
                nudged: (-2.0, 253.0),
                why: "1.5 is a tie: 2 by either rule",
            },
            Case {
                min: 255.0,
                max: 510.0,
                zero_point: 0,
                nudged: (0.0, 255.0),
                why: "-255 is clamped: the range moves",
            },
            Case {
                min: -510.0,
                max: -255.0,
                zero_point: 255,
                nudged: (-255.0, 0.0),
                why: "510 is clamped",
            },
            Case {
                min: 0.0,
                max: 0.0,
                zero_point: 0,
                nudged: (0.0, 0.0),
                why: "only zero",
            },
        ];
        for case in cases {
            let found = params(case.min, case.max, grid);
            assert_eq!(found.zero_point(), case.zero_point, "{}", case.why);
            let nudged = (found.nudged_min(), found.nudged_max());
            assert_eq!(nudged, case.nudged, "{}", case.why);
        }
    }

    #[test]
    fn narrow_and_signed_grids_shift_the_zero_point() {
        // 254 steps of 1/127: -1 is 127 steps below zero.
        let narrow = params(-1.0, 1.0, Grid::unsigned(8, true).expect("grid"));
        assert_eq!(narrow.zero_point(), 128);
        let signed = params(-1.0, 1.0, Grid::signed(8, true).expect("grid"));
        assert_eq!(signed.zero_point(), 0);
        assert_eq!(signed.scale(), narrow.scale());
        // 65535 steps of 2/65535; 32767.5 rounds to 32768, which is 0 of int16.
        let wide = params(-1.0, 1.0, Grid::signed(16, false).expect("grid"));
        assert_eq!(wide.zero_point(), 0);
    }

    #[test]
    fn ranges_without_a_usable_step_are_refused() {
        let grid = Grid::unsigned(8, false).expect("grid");
        let refused = |min, max| {
            let range = Range::new(min, max).expect("range");
            FakeQuantParams::new(range, grid).unwrap_err()
        };
        assert_eq!(refused(2.0, 2.0), RangeError::ZeroWidth { at: 2.0 });
        assert_eq!(
            refused(f32::MIN, f32::MAX),
            RangeError::TooWide {
                min: f32::MIN,
                max: f32::MAX
            }
        );
        assert!(matches!(refused(0.0, 1e-40), RangeError::TooNarrow { .. }));
        let narrow = RangeError::TooNarrow {
            min: 0.0,
            max: 2e-36,
            scale: 7.5e-39,
        };
        assert_eq!(
            narrow.to_string(),
            "range [0e0, 2e-36] makes a step of 7.5e-39, expected at least 1.1754944e-38; widen it"
        );
    }
}
