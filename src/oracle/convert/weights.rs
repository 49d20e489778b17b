//! Weights as codes.

use super::ConvertError;
use super::error::check_values;
use crate::oracle::fake_quant::{FakeQuant, FakeQuantProfile};
use crate::oracle::qparams::{ConverterParams, Grid, Range};

/// Weights on a narrow grid: one set of parameters for all, or one per output channel.
///
/// ```
/// use corallite::oracle::{Grid, Range};
/// use corallite::oracle::convert::QuantizedWeights;
/// let grid = Grid::signed(8, true)?;
/// let range = Range::new(-1.27, 1.27)?;
/// let weights = QuantizedWeights::new(&[0.5, -1.27], &[range], grid)?;
/// assert_eq!(weights.codes(), [50, -127]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct QuantizedWeights {
    codes: Vec<i32>,
    params: Vec<ConverterParams>,
}

impl QuantizedWeights {
    /// The codes of `values`, output channels fastest, on `grid` with one range, or one per channel.
    ///
    /// As toco: values are fake-quantized in float32 by TFLite's formula, then rounded in float64, and never take the code
    /// below the grid. Values that training's FakeQuant has already rounded give the same codes.
    ///
    /// # Errors
    /// There is no range or one that cannot be used, values do not divide into the ranges, or one is not finite.
    pub fn new(values: &[f32], ranges: &[Range], grid: Grid) -> Result<Self, ConvertError> {
        check_values("weights", values, values.len())?;
        let params = ConverterParams::per_channel(ranges, grid)
            .map_err(|(channel, source)| ConvertError::Range { channel, source })?;
        let rounded = FakeQuant::per_channel(FakeQuantProfile::Tflite, grid, ranges)
            .and_then(|node| node.forward(values))
            .map_err(ConvertError::Weights)?;
        let codes = rounded
            .iter()
            .zip(params.iter().cycle())
            .map(|(&value, params)| code(value, params))
            .collect();
        Ok(Self { codes, params })
    }

    /// The codes, in the order of the values.
    pub fn codes(&self) -> &[i32] {
        &self.codes
    }

    /// The parameters: one set, or one per channel.
    pub fn params(&self) -> &[ConverterParams] {
        &self.params
    }
}

/// toco's `Quantize`: `round_half_away(zero_point + value * (1 / scale))` in float64.
fn code(value: f32, params: &ConverterParams) -> i32 {
    let scaled = f64::from(params.zero_point()) + (1.0 / params.scale()) * f64::from(value);
    let grid = params.grid();
    // Clamped to the grid: `as` cannot lose.
    scaled.round().clamp(grid.min().into(), grid.max().into()) as i32
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn channels_have_scales_of_their_own() {
        let grid = Grid::signed(8, true).expect("grid");
        let range = |max: f32| Range::new(-max, max).expect("range");
        // Two channels in steps of 1 and 0.5; 200 is clamped. -0.25 is half a step: from the lowest code on it is 126.5 steps,
        // away from zero 127, which is code 0.
        let ranges = [range(127.0), range(63.5)];
        let weights = QuantizedWeights::new(&[3.0, 3.0, 200.0, -0.25], &ranges, grid);
        let weights = weights.expect("fits");
        assert_eq!(weights.codes(), [3, 6, 127, 0]);
        let scales: Vec<f64> = weights
            .params()
            .iter()
            .map(ConverterParams::scale)
            .collect();
        assert_eq!(scales, [1.0, 0.5]);
    }

    #[test]
    fn a_dead_channel_is_named() {
        let grid = Grid::signed(8, true).expect("grid");
        let ranges = [Range::new(-1.0, 1.0), Range::new(0.0, 0.0)].map(|r| r.expect("range"));
        let error = QuantizedWeights::new(&[0.5, 0.0], &ranges, grid).unwrap_err();
        assert_eq!(
            error.to_string(),
            "channel 1: range [0, 0] makes a scale of 0, expected above 0; observe the tensor on real data or drop it"
        );
    }
}
