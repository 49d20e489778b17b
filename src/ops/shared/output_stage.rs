//! From an accumulator to a stored output: multiply, round, add the zero point, clamp.

use super::Stage;
use crate::fast;
use crate::fixedpoint::{
    FusedActivation, QuantizedMultiplier, Rounding, quantized_activation_range,
};
use crate::ops::{NodeTensor, PrepareError, Settings};
use crate::tensor::TensorType;

/// How `input_scale * filter_scale / output_scale` is computed: a product rounded to float32 gives another multiplier.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ScaleProduct {
    /// The product in float32, the quotient in double. Source: TFLite `kernels/kernel_util.cc`,
    /// `GetQuantizedConvolutionMultipler`.
    Float32,
    /// Both in double. Source: the same file, `PopulateConvolutionQuantizationParams`, for int8 and int16.
    Double,
}

impl ScaleProduct {
    /// What convolutions take for activations of type `input`.
    pub fn of_convolution(input: TensorType) -> Self {
        match input {
            TensorType::UInt8 => Self::Float32,
            _ => Self::Double,
        }
    }

    fn real(self, input_scale: f32, filter_scale: f32, output_scale: f32) -> f64 {
        let product = match self {
            Self::Float32 => f64::from(input_scale * filter_scale),
            Self::Double => f64::from(input_scale) * f64::from(filter_scale),
        };
        product / f64::from(output_scale)
    }
}

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

/// The operands whose scales make the multipliers, and what happens to the result.
pub struct Scaled<'a> {
    /// Activations.
    pub input: &'a NodeTensor<'a>,
    /// Weights, with one scale or one per output channel.
    pub filter: &'a NodeTensor<'a>,
    /// Results.
    pub output: &'a NodeTensor<'a>,
    /// Output channels.
    pub channels: usize,
    /// Fused into the clamp.
    pub activation: FusedActivation,
}

impl Scaled<'_> {
    /// The real multiplier of each output channel.
    fn reals(&self, product: ScaleProduct) -> Result<Vec<f64>, PrepareError> {
        let (input_scale, _) = self.input.per_tensor()?;
        let (output_scale, _) = self.output.per_tensor()?;
        let scales = self.filter.scales()?;
        let channels = self.channels;
        match scales {
            &[scale] => Ok(vec![
                product.real(input_scale, scale, output_scale);
                channels
            ]),
            scales if scales.len() == channels => Ok(scales
                .iter()
                .map(|&scale| product.real(input_scale, scale, output_scale))
                .collect()),
            scales => Err(self.filter.shape_error(format!(
                "one filter scale or {channels}, found {}",
                scales.len()
            ))),
        }
    }

    /// The output's zero point and the codes it is clamped to.
    fn clamp(&self) -> Result<(i32, (i32, i32)), PrepareError> {
        let (scale, zero_point) = self.output.per_tensor()?;
        let range = self.output.ty.integer_range();
        let range = range.ok_or_else(|| self.output.type_error("an integer type"))?;
        let clamp = quantized_activation_range(self.activation, scale, zero_point, range)?;
        Ok((zero_point, clamp))
    }
}

impl OutputStage {
    /// The stage with the multipliers that `product` gives.
    ///
    /// # Errors
    /// A tensor without scales, a number of filter scales that is neither 1 nor the channels, or bounds that fixed point
    /// cannot hold.
    pub fn new(
        scaled: &Scaled<'_>,
        product: ScaleProduct,
        settings: &Settings,
    ) -> Result<Self, PrepareError> {
        let reals = scaled.reals(product)?;
        let multipliers: Result<_, _> = reals
            .into_iter()
            .map(QuantizedMultiplier::from_real)
            .collect();
        let (zero_point, clamp) = scaled.clamp()?;
        Ok(Self {
            multipliers: multipliers?,
            rounding: settings.profile.rounding(),
            zero_point,
            clamp,
        })
    }
}

#[cfg(test)]
impl OutputStage {
    /// Multiplier 1, zero point 0, the range of int8.
    pub fn identity(channels: usize) -> Self {
        let one = QuantizedMultiplier::from_real(1.0).expect("finite");
        Self {
            multipliers: vec![one; channels].into_boxed_slice(),
            rounding: Rounding::Double,
            zero_point: 0,
            clamp: (-128, 127),
        }
    }
}

#[cfg(test)]
impl DoubleStage {
    /// One scale per channel, zero point 0, the range of int8.
    pub fn with_scales(scales: &[f64]) -> Self {
        Self {
            scales: scales.into(),
            zero_point: 0,
            clamp: (-128, 127),
        }
    }
}

impl Stage for OutputStage {
    #[inline(always)]
    fn code(&self, sum: i32, channel: usize) -> i32 {
        let scaled = self.multipliers[channel].apply(sum, self.rounding);
        let code = scaled.wrapping_add(self.zero_point);
        code.clamp(self.clamp.0, self.clamp.1)
    }

    /// One rounding of a multiplier reduced to 16 bits, in every profile.
    #[inline(always)]
    fn wide_code(&self, sum: i64, channel: usize) -> i32 {
        let scaled = self.multipliers[channel].apply_i64(sum);
        let code = scaled.wrapping_add(self.zero_point);
        code.clamp(self.clamp.0, self.clamp.1)
    }

    fn clamp(&self) -> (i32, i32) {
        self.clamp
    }
}

/// The output stage of FULLY_CONNECTED in LiteRT 1.3 and later: one double per output channel.
#[derive(Debug, Clone)]
pub struct DoubleStage {
    scales: Box<[f64]>,
    zero_point: i32,
    clamp: (i32, i32),
}

impl DoubleStage {
    /// The stage for `scaled`.
    ///
    /// # Errors
    /// As [`OutputStage::new`].
    pub fn new(scaled: &Scaled<'_>) -> Result<Self, PrepareError> {
        let (zero_point, clamp) = scaled.clamp()?;
        Ok(Self {
            scales: scaled.reals(ScaleProduct::Double)?.into_boxed_slice(),
            zero_point,
            clamp,
        })
    }
}

impl Stage for DoubleStage {
    /// Source: LiteRT `kernels/internal/reference/integer_ops/fully_connected.h`, the overloads with scales.
    #[inline(always)]
    fn code(&self, sum: i32, channel: usize) -> i32 {
        let scaled = (f64::from(sum) * self.scales[channel]).round();
        let code = (scaled as i32).wrapping_add(self.zero_point);
        code.clamp(self.clamp.0, self.clamp.1)
    }

    #[inline(always)]
    fn wide_code(&self, sum: i64, channel: usize) -> i32 {
        // An accumulator of int16 products is far below 2^53: the conversion is exact.
        let scaled = (sum as f64 * self.scales[channel]).round();
        let code = (scaled as i32).wrapping_add(self.zero_point);
        code.clamp(self.clamp.0, self.clamp.1)
    }

    fn clamp(&self) -> (i32, i32) {
        self.clamp
    }
}

impl From<OutputStage> for fast::Stage {
    fn from(stage: OutputStage) -> Self {
        Self {
            scaling: fast::Scaling::Fixed(stage.multipliers, stage.rounding),
            zero_point: stage.zero_point,
            clamp: stage.clamp,
        }
    }
}

impl From<DoubleStage> for fast::Stage {
    fn from(stage: DoubleStage) -> Self {
        Self {
            scaling: fast::Scaling::Real(stage.scales),
            zero_point: stage.zero_point,
            clamp: stage.clamp,
        }
    }
}
