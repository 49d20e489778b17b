//! What weighted operators ask of their weights and biases.

use crate::ops::{NodeTensor, PrepareError};
use crate::tensor::TensorType;

/// A verified zero point of an 8-bit tensor.
pub fn narrow(zero_point: i32) -> i16 {
    zero_point.clamp(i16::MIN.into(), i16::MAX.into()) as i16
}

/// The weights' zero point: signed weights are symmetric whatever the file declares.
pub fn filter_zero_point(filter: &NodeTensor<'_>) -> i16 {
    match filter.ty {
        TensorType::UInt8 => narrow(filter.quantization.map_or(0, |q| q.zero_point())),
        _ => 0,
    }
}

/// Refuses a bias that has not one value per output channel.
pub fn check_bias_length(
    bias: Option<&NodeTensor<'_>>,
    channels: usize,
) -> Result<(), PrepareError> {
    match bias {
        Some(bias) if bias.shape.count() != channels => {
            Err(bias.shape_error(format!("{channels} values, one per output channel")))
        }
        _ => Ok(()),
    }
}
