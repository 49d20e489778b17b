//! The deployment side: scale and zero point as converters choose them, in float64.
//!
//! Source: `ChooseQuantizationParams` in TFLite's `kernels/internal/quantization_util.h` (toco, TensorFlow 1.13.1); the MLIR
//! converter's `getNudgedScaleAndZeroPoint` is the same arithmetic. Checked bit for bit on models of both.

use super::{Grid, Range, RangeError};

/// Scale and zero point of a deployed tensor.
///
/// ```
/// use corallite::oracle::qparams::ConverterParams;
/// use corallite::oracle::{Grid, Range};
/// let params = ConverterParams::new(Range::new(0.0, 6.0)?, Grid::unsigned(8, false)?)?;
/// assert_eq!((params.stored_scale(), params.zero_point()), (0.023529412, 0));
/// # Ok::<(), corallite::oracle::qparams::RangeError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ConverterParams {
    grid: Grid,
    scale: f64,
    zero_point: i32,
}

impl ConverterParams {
    /// The parameters of `range` on `grid`.
    ///
    /// # Errors
    /// The range excludes zero (converters abort), is 0 to 0 (toco stores a scale of 0, which no kernel can use), or its
    /// scale is denormal or infinite in float32, the type it is stored in.
    pub fn new(range: Range, grid: Grid) -> Result<Self, RangeError> {
        let (min, max) = (range.min(), range.max());
        if min > 0.0 || max < 0.0 {
            return Err(RangeError::ExcludesZero { min, max });
        }
        if range.is_only_zero() {
            return Err(RangeError::OnlyZero);
        }
        let (real_min, real_max) = (f64::from(min), f64::from(max));
        let (quant_min, quant_max) = (f64::from(grid.min()), f64::from(grid.max()));
        let scale = (real_max - real_min) / (quant_max - quant_min);
        let stored = scale as f32;
        if !stored.is_finite() {
            return Err(RangeError::TooWide { min, max });
        }
        if !stored.is_normal() {
            return Err(RangeError::TooNarrow {
                min,
                max,
                scale: stored,
            });
        }
        // The exact zero point follows from either end; the smaller sum of magnitudes has the smaller rounding error.
        let from_min = quant_min - real_min / scale;
        let from_max = quant_max - real_max / scale;
        let error_from_min = quant_min.abs() + (real_min / scale).abs();
        let error_from_max = quant_max.abs() + (real_max / scale).abs();
        let exact = if error_from_min < error_from_max {
            from_min
        } else {
            from_max
        };
        let zero_point = if exact < quant_min {
            grid.min()
        } else if exact > quant_max {
            grid.max()
        } else {
            // Within the grid: `as` is exact.
            exact.round() as i32
        };
        Ok(Self {
            grid,
            scale,
            zero_point,
        })
    }

    /// One set of parameters per range: per-channel quantization.
    ///
    /// # Errors
    /// As for [`new`](Self::new), with the channel.
    pub fn per_channel(ranges: &[Range], grid: Grid) -> Result<Vec<Self>, (usize, RangeError)> {
        ranges
            .iter()
            .enumerate()
            .map(|(channel, &range)| Self::new(range, grid).map_err(|error| (channel, error)))
            .collect()
    }

    /// The codes.
    pub fn grid(&self) -> Grid {
        self.grid
    }

    /// The step between two codes as the converter computes with it; bias scales are products of these.
    pub fn scale(&self) -> f64 {
        self.scale
    }

    /// The scale as a model file stores it.
    pub fn stored_scale(&self) -> f32 {
        self.scale as f32
    }

    /// The code that stands for zero.
    pub fn zero_point(&self) -> i32 {
        self.zero_point
    }

    /// The reals that the lowest and the highest code stand for.
    pub fn representable(&self) -> (f64, f64) {
        let real = |code: i32| f64::from(code - self.zero_point) * self.scale;
        (real(self.grid.min()), real(self.grid.max()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn range(min: f32, max: f32) -> Range {
        Range::new(min, max).expect("range")
    }

    #[test]
    fn zero_points_follow_the_end_with_the_smaller_error() {
        struct Case {
            range: (f32, f32),
            grid: Grid,
            expected: (f32, i32),
            why: &'static str,
        }
        let unsigned = Grid::unsigned(8, false).expect("grid");
        let signed = Grid::signed(8, false).expect("grid");
        let weights = Grid::signed(8, true).expect("grid");
        let cases = [
            Case {
                range: (-1.0, 0.9921875),
                grid: unsigned,
                expected: (0.0078125, 128),
                why: "exact",
            },
            Case {
                range: (-1.0, 0.9921875),
                grid: signed,
                expected: (0.0078125, 0),
                why: "exact",
            },
            Case {
                range: (-0.5, 254.5),
                grid: unsigned,
                expected: (1.0, 1),
                why: "0 + 0.5, a tie: away from zero",
            },
            // Bounds 128 + 0.5 against 127 + 254.5: from the minimum, -128 + 0.5 = -127.5, away from zero to -128.
            Case {
                range: (-0.5, 254.5),
                grid: signed,
                expected: (1.0, -128),
                why: "a tie below zero goes down, not up",
            },
            Case {
                range: (-2.0, 2.0),
                grid: weights,
                expected: (2.0 / 127.0, 0),
                why: "symmetric",
            },
            Case {
                range: (0.0, 6.0),
                grid: signed,
                expected: (6.0 / 255.0, -128),
                why: "relu6",
            },
        ];
        for case in cases {
            let (min, max) = case.range;
            let found = ConverterParams::new(range(min, max), case.grid).expect("params");
            let found = (found.stored_scale(), found.zero_point());
            assert_eq!(found, case.expected, "{}", case.why);
        }
    }

    #[test]
    fn ranges_that_converters_refuse_are_refused() {
        let grid = Grid::unsigned(8, false).expect("grid");
        let refused = |min, max| ConverterParams::new(range(min, max), grid).unwrap_err();
        assert_eq!(
            refused(1.0, 3.0).to_string(),
            "range [1, 3] excludes 0, which every converter needs to represent; widen it to [0, 3]"
        );
        assert_eq!(
            refused(0.0, 0.0).to_string(),
            "range [0, 0] makes a scale of 0, expected above 0; observe the tensor on real data or drop it"
        );
        assert!(matches!(refused(0.0, 1e-40), RangeError::TooNarrow { .. }));
        let channels = [range(-1.0, 1.0), range(2.0, 3.0)];
        let (channel, error) = ConverterParams::per_channel(&channels, grid).unwrap_err();
        assert_eq!(channel, 1);
        assert!(matches!(error, RangeError::ExcludesZero { .. }));
    }
}
