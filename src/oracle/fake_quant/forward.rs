//! The forward pass.

use super::{FakeQuantError, FakeQuantProfile};
use crate::ops::fake_quant as operator;
use crate::oracle::qparams::{FakeQuantParams, Grid, Range};

/// One FakeQuant node: a formula, and a range per tensor or per channel.
///
/// ```
/// use corallite::oracle::{FakeQuant, FakeQuantProfile, Grid, Range};
/// let grid = Grid::unsigned(2, false)?;
/// let node = FakeQuant::per_tensor(FakeQuantProfile::Tf2, grid, Range::new(-1.0, 2.0)?)?;
/// assert_eq!(node.forward(&[-3.0, -0.4, 0.5, 9.0])?, [-1.0, 0.0, 1.0, 2.0]);
/// let back = node.backward(&[-3.0, -0.4, 0.5, 9.0], &[1.0, 2.0, 4.0, 8.0])?;
/// assert_eq!((back.input, back.min, back.max), (vec![0.0, 2.0, 4.0, 0.0], vec![1.0], vec![8.0]));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct FakeQuant {
    profile: FakeQuantProfile,
    per_channel: bool,
    /// Never empty.
    params: Vec<FakeQuantParams>,
}

impl FakeQuant {
    /// A node with one range for the whole tensor (`FakeQuantWithMinMaxVars`).
    ///
    /// # Errors
    /// The range has no usable step; see [`FakeQuantParams::new`].
    pub fn per_tensor(
        profile: FakeQuantProfile,
        grid: Grid,
        range: Range,
    ) -> Result<Self, FakeQuantError> {
        Self::new(profile, grid, &[range], false)
    }

    /// A node with one range per slice along the last axis (`FakeQuantWithMinMaxVarsPerChannel`).
    ///
    /// # Errors
    /// There is no range, or one has no usable step.
    pub fn per_channel(
        profile: FakeQuantProfile,
        grid: Grid,
        ranges: &[Range],
    ) -> Result<Self, FakeQuantError> {
        Self::new(profile, grid, ranges, true)
    }

    fn new(
        profile: FakeQuantProfile,
        grid: Grid,
        ranges: &[Range],
        per_channel: bool,
    ) -> Result<Self, FakeQuantError> {
        let mut params = Vec::with_capacity(ranges.len());
        for (channel, &range) in ranges.iter().enumerate() {
            let of_range = FakeQuantParams::new(range, grid);
            params.push(of_range.map_err(|source| FakeQuantError::Range { channel, source })?);
        }
        if params.is_empty() {
            return Err(FakeQuantError::NoRange);
        }
        Ok(Self {
            profile,
            per_channel,
            params,
        })
    }

    /// The parameters: one set, or one per channel.
    pub fn params(&self) -> &[FakeQuantParams] {
        &self.params
    }

    /// The values rounded to the grid, infinities clamped to its ends. `values`: any shape, channels fastest.
    ///
    /// # Errors
    /// A value is not a number, or their number is no multiple of the channels.
    pub fn forward(&self, values: &[f32]) -> Result<Vec<f32>, FakeQuantError> {
        self.check(values)?;
        let roundings: Vec<Rounding> = self
            .params
            .iter()
            .map(|params| Rounding::new(params, self.profile, self.per_channel))
            .collect();
        let channels = roundings.iter().cycle();
        Ok(values
            .iter()
            .zip(channels)
            .map(|(&value, rounding)| rounding.apply(value))
            .collect())
    }

    /// Whether `values` are numbers and fit the channels.
    pub(super) fn check(&self, values: &[f32]) -> Result<(), FakeQuantError> {
        let channels = self.params.len();
        if !values.len().is_multiple_of(channels) {
            return Err(FakeQuantError::ChannelCount {
                values: values.len(),
                channels,
            });
        }
        match values.iter().position(|value| value.is_nan()) {
            Some(index) => Err(FakeQuantError::NotANumber { index }),
            None => Ok(()),
        }
    }
}

/// One channel's formula with its constants.
struct Rounding {
    min: f32,
    max: f32,
    scale: f32,
    formula: Formula,
}

enum Formula {
    /// All values are 0.
    Zero,
    Tf113,
    Tf2PerTensor {
        zero: f32,
    },
    Tf2PerChannel {
        zero: f32,
        inverse: f32,
    },
    /// The FAKE_QUANT operator.
    Tflite(operator::FakeQuant),
}

impl Rounding {
    fn new(params: &FakeQuantParams, profile: FakeQuantProfile, per_channel: bool) -> Self {
        let (range, grid) = (params.range(), params.grid());
        let scale = params.scale();
        let min = params.nudged_min();
        // At most 2^16: exact.
        let inverse = grid.steps() as f32 / (range.max() - range.min());
        let zero = (-min * inverse + 0.5).floor();
        let formula = match profile {
            _ if range.is_only_zero() => Formula::Zero,
            FakeQuantProfile::Tf113 => Formula::Tf113,
            FakeQuantProfile::Tf2 if per_channel => Formula::Tf2PerChannel { zero, inverse },
            FakeQuantProfile::Tf2 => Formula::Tf2PerTensor { zero },
            FakeQuantProfile::Tflite => Formula::Tflite(operator::FakeQuant {
                scale,
                min,
                max: params.nudged_max(),
            }),
        };
        Self {
            min,
            max: params.nudged_max(),
            scale,
            formula,
        }
    }

    fn apply(&self, value: f32) -> f32 {
        let shifted = value.min(self.max).max(self.min) - self.min;
        match self.formula {
            Formula::Zero => 0.0,
            Formula::Tf113 => (shifted / self.scale + 0.5).floor() * self.scale + self.min,
            Formula::Tf2PerTensor { zero } => {
                (shifted / self.scale - zero + 0.5).floor() * self.scale
            }
            Formula::Tf2PerChannel { zero, inverse } => {
                (shifted * inverse - zero + 0.5).floor() * self.scale
            }
            Formula::Tflite(operator) => operator.apply(value),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::oracle::qparams::RangeError;

    fn range(min: f32, max: f32) -> Range {
        Range::new(min, max).expect("range")
    }

    #[test]
    fn values_that_are_no_numbers_and_lengths_that_do_not_fit_are_refused() {
        let grid = Grid::unsigned(8, false).expect("grid");
        let ranges = [range(-1.0, 1.0), range(0.0, 6.0)];
        let node = FakeQuant::per_channel(FakeQuantProfile::Tf2, grid, &ranges).expect("node");
        let message = |values: &[f32]| node.forward(values).unwrap_err().to_string();
        assert_eq!(
            message(&[1.0; 3]),
            "3 values do not divide into 2 channels along the last axis; give one range per channel"
        );
        assert_eq!(
            message(&[1.0, f32::NAN]),
            "value 1 is not a number, expected numbers; look for divergence before this layer"
        );
        let error = node.backward(&[1.0; 2], &[1.0]).unwrap_err().to_string();
        assert_eq!(error, "1 gradients for 2 values, expected one each");
        // Infinities are clamped, as in TensorFlow.
        let ranges = [range(-1.0, 127.0 / 128.0), range(0.0, 255.0)];
        let node = FakeQuant::per_channel(FakeQuantProfile::Tf2, grid, &ranges).expect("node");
        let ends = node.forward(&[f32::NEG_INFINITY, f32::INFINITY]);
        assert_eq!(ends, Ok(vec![-1.0, 255.0]));

        let bad = [range(-1.0, 1.0), range(2.0, 2.0)];
        let error = FakeQuant::per_channel(FakeQuantProfile::Tf2, grid, &bad).unwrap_err();
        let source = RangeError::ZeroWidth { at: 2.0 };
        assert_eq!(error, FakeQuantError::Range { channel: 1, source });
        let none = FakeQuant::per_channel(FakeQuantProfile::Tf2, grid, &[]).unwrap_err();
        assert_eq!(none, FakeQuantError::NoRange);
    }

    #[test]
    fn only_zero_gives_zeros_and_passes_every_gradient() {
        let grid = Grid::unsigned(8, true).expect("grid");
        for profile in FakeQuantProfile::ALL {
            let node = FakeQuant::per_tensor(profile, grid, range(0.0, 0.0)).expect("node");
            assert_eq!(node.forward(&[-1.0, 0.0, 5.0]), Ok(vec![0.0; 3]));
            let back = node
                .backward(&[-1.0, 0.0, 5.0], &[1.0, 2.0, 3.0])
                .expect("fits");
            assert_eq!(back.input, [1.0, 2.0, 3.0]);
            assert_eq!((back.min, back.max), (vec![0.0], vec![0.0]));
        }
    }
}
