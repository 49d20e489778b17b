//! Training and deployment side by side.

use super::{ConverterParams, FakeQuantParams, Grid, Range, RangeError};
use std::fmt;

/// Both sides' parameters of one range on one grid.
///
/// ```
/// use corallite::oracle::qparams::{PathDifference, Paths};
/// use corallite::oracle::{Grid, Range};
/// let paths = Paths::new(Range::new(-0.5, 254.5)?, Grid::signed(8, false)?);
/// // 0.5 is a tie: training takes code 1 of uint8, -127 as int8; the converter rounds -127.5 to -128.
/// let tie = PathDifference::ZeroPoint { fake_quant: -127, converter: -128 };
/// assert_eq!(paths.differences(), [tie]);
/// # Ok::<(), corallite::oracle::qparams::RangeError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Paths {
    /// As FakeQuant nudges in training.
    pub fake_quant: Result<FakeQuantParams, RangeError>,
    /// As the converter stores.
    pub converter: Result<ConverterParams, RangeError>,
}

/// One way in which the deployed grid is not the trained one.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub enum PathDifference {
    /// Every value is a whole step off.
    ZeroPoint {
        /// Training's zero point, in the codes of the grid.
        fake_quant: i32,
        /// The stored zero point.
        converter: i32,
    },
    /// The steps differ, by float32 rounding as a rule: far codes drift by a fraction of a step.
    Scale {
        /// Training's scale.
        fake_quant: f32,
        /// The stored scale.
        converter: f32,
    },
    /// Training goes on, conversion fails.
    NotConvertible(RangeError),
    /// Training itself has no defined result.
    NotTrainable(RangeError),
}

impl Paths {
    /// Computes both sides.
    pub fn new(range: Range, grid: Grid) -> Self {
        Self {
            fake_quant: FakeQuantParams::new(range, grid),
            converter: ConverterParams::new(range, grid),
        }
    }

    /// Everything that differs, gravest first; nothing where both sides agree.
    pub fn differences(&self) -> Vec<PathDifference> {
        let mut found = Vec::new();
        match (&self.fake_quant, &self.converter) {
            (Ok(trained), Ok(deployed)) => {
                if trained.zero_point() != deployed.zero_point() {
                    found.push(PathDifference::ZeroPoint {
                        fake_quant: trained.zero_point(),
                        converter: deployed.zero_point(),
                    });
                }
                if trained.scale() != deployed.stored_scale() {
                    found.push(PathDifference::Scale {
                        fake_quant: trained.scale(),
                        converter: deployed.stored_scale(),
                    });
                }
            }
            (trained, deployed) => {
                if let Err(error) = trained {
                    found.push(PathDifference::NotTrainable(*error));
                }
                if let Err(error) = deployed {
                    found.push(PathDifference::NotConvertible(*error));
                }
            }
        }
        found
    }
}

impl fmt::Display for PathDifference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::ZeroPoint {
                fake_quant,
                converter,
            } => write!(
                f,
                "zero point is {fake_quant} in training and {converter} after conversion: every value is a step off; move the \
                 range away from the tie"
            ),
            Self::Scale {
                fake_quant,
                converter,
            } => write!(
                f,
                "scale is {fake_quant:e} in training and {converter:e} after conversion, {} ulp apart",
                fake_quant.to_bits().abs_diff(converter.to_bits())
            ),
            Self::NotConvertible(error) => write!(f, "no conversion: {error}"),
            Self::NotTrainable(error) => write!(f, "no training: {error}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn agreement_ties_and_refusals_are_told_apart() {
        let grid = Grid::unsigned(8, false).expect("grid");
        let differences = |min, max| {
            let range = Range::new(min, max).expect("range");
            Paths::new(range, grid).differences()
        };
        assert_eq!(differences(-1.0, 0.9921875), []);
        // FakeQuant moves the range, the converter refuses it.
        let outside = RangeError::ExcludesZero { min: 1.0, max: 3.0 };
        assert_eq!(
            differences(1.0, 3.0),
            [PathDifference::NotConvertible(outside)]
        );
        let message = "no training: range [2, 2] has no width, expected two different ends or 0 to 0; widen it to hold 0";
        assert_eq!(differences(2.0, 2.0)[0].to_string(), message);
    }
}
