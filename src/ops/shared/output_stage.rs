//! From an int32 accumulator to a stored output: multiply, round, add the zero point, clamp.

use super::Quantized;
use crate::fixedpoint::{
    FusedActivation, QuantizedMultiplier, Rounding, quantized_activation_range,
};
use crate::ops::{NodeTensor, PrepareError, Settings};

/// The output stage of convolutions and matrix products, with one multiplier per output channel.
#[derive(Debug, Clone)]
pub struct OutputStage {
    /// One per output channel.
    pub multipliers: Box<[QuantizedMultiplier]>,
    /// Which rounding the profile demands.
    pub rounding: Rounding,
    /// Added after the multiplication.
    pub zero_point: i32,
    /// The lowest and the highest stored output.
    pub clamp: (i32, i32),
}

impl OutputStage {
    /// The stage for `channels` output channels of a convolution-like operator.
    ///
    /// The real multiplier is `input_scale * filter_scale / output_scale`: for uint8 the product is formed in float32, for
    /// int8 and int16 in double. Source: TFLite `kernels/kernel_util.cc`, `PopulateConvolutionQuantizationParams` and
    /// `GetQuantizedConvolutionMultipler`.
    ///
    /// # Errors
    /// A tensor without scales, a number of filter scales that is neither 1 nor `channels`, or bounds that fixed point
    /// cannot hold.
    pub fn new(
        input: &NodeTensor<'_>,
        filter: &NodeTensor<'_>,
        output: &NodeTensor<'_>,
        channels: usize,
        activation: FusedActivation,
        settings: &Settings,
    ) -> Result<Self, PrepareError> {
        use crate::tensor::TensorType;
        let (input_scale, _) = input.per_tensor()?;
        let (output_scale, zero_point) = output.per_tensor()?;
        let scales = filter.scales()?;
        if scales.len() != 1 && scales.len() != channels {
            return Err(filter.shape_error(format!(
                "one filter scale or {channels}, found {}",
                scales.len()
            )));
        }
        let real = |filter_scale: f32| {
            if input.ty == TensorType::UInt8 {
                f64::from(input_scale * filter_scale) / f64::from(output_scale)
            } else {
                f64::from(input_scale) * f64::from(filter_scale) / f64::from(output_scale)
            }
        };
        let mut multipliers = Vec::with_capacity(channels);
        for channel in 0..channels {
            let scale = scales.get(channel).unwrap_or(&scales[0]);
            multipliers.push(QuantizedMultiplier::from_real(real(*scale))?);
        }
        let range = output
            .ty
            .integer_range()
            .ok_or_else(|| output.type_error("an integer type"))?;
        Ok(Self {
            multipliers: multipliers.into_boxed_slice(),
            rounding: settings.profile.rounding(),
            zero_point,
            clamp: quantized_activation_range(activation, output_scale, zero_point, range)?,
        })
    }

    /// The stored output of `accumulator` in `channel`.
    #[inline(always)]
    pub fn apply<T: Quantized>(&self, accumulator: i32, channel: usize) -> T {
        let scaled = self.multipliers[channel].apply(accumulator, self.rounding);
        let output = scaled.wrapping_add(self.zero_point);
        T::saturate(output.clamp(self.clamp.0, self.clamp.1))
    }
}
