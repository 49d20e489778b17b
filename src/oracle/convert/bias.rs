//! Biases as codes.

use super::ConvertError;
use super::error::check_values;

/// A bias in steps of input scale times weight scale, zero point 0: it is added straight to the accumulator.
///
/// ```
/// use corallite::oracle::convert::QuantizedBias;
/// let bias = QuantizedBias::new(&[1.0, -0.3], 0.5, &[0.25])?;
/// assert_eq!(bias.codes(), [8, -2]); // -2.4
/// # Ok::<(), corallite::oracle::convert::ConvertError>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct QuantizedBias {
    codes: Vec<i32>,
    scales: Vec<f64>,
}

impl QuantizedBias {
    /// The codes of `values`, one per output channel, from the scales as converters compute with them: float64, before they
    /// are stored as float32. `weights`: one scale, or one per channel.
    ///
    /// The stored bias scale can therefore differ by an ulp from the product of the stored scales.
    ///
    /// # Errors
    /// A value is not finite or needs more than 32 bits, or there are neither one nor as many scales as values.
    pub fn new(values: &[f32], input: f64, weights: &[f64]) -> Result<Self, ConvertError> {
        check_values("biases", values, values.len())?;
        if weights.len() != 1 && weights.len() != values.len() {
            return Err(ConvertError::Count {
                what: "weight scales",
                found: weights.len(),
                expected: values.len(),
            });
        }
        let scales: Vec<f64> = weights.iter().map(|weight| input * weight).collect();
        let codes = values
            .iter()
            .zip(scales.iter().cycle())
            .enumerate()
            .map(|(channel, (&value, &scale))| {
                let code = ((1.0 / scale) * f64::from(value)).round();
                if code.abs() <= f64::from(i32::MAX) {
                    // Within int32: `as` is exact.
                    return Ok(code as i32);
                }
                Err(ConvertError::BiasOverflow {
                    channel,
                    value,
                    scale,
                })
            })
            .collect::<Result<_, _>>()?;
        Ok(Self { codes, scales })
    }

    /// The codes, one per channel.
    pub fn codes(&self) -> &[i32] {
        &self.codes
    }

    /// The scales as a model file stores them: one, or one per channel.
    pub fn stored_scales(&self) -> Vec<f32> {
        self.scales.iter().map(|&scale| scale as f32).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn biases_beyond_32_bits_are_refused() {
        let message = |error: ConvertError| error.to_string();
        let error = QuantizedBias::new(&[0.0, 3.0], 1e-6, &[1e-4]).unwrap_err();
        assert_eq!(
            message(error),
            "bias 3 of channel 1 in steps of 1e-10 needs more than 32 bits; widen the range of the channel's weights"
        );
        let error = QuantizedBias::new(&[0.0; 3], 1.0, &[1.0; 2]).unwrap_err();
        assert_eq!(message(error), "2 weight scales found, expected 3");
        let error = QuantizedBias::new(&[f32::NAN], 1.0, &[1.0]).unwrap_err();
        assert_eq!(message(error), "biases 0 is NaN, expected finite numbers");
    }
}
