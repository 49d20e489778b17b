//! What element-wise operators ask of quantized operands.

use crate::fixedpoint::{FusedActivation, quantized_activation_range};
use crate::ops::{NodeTensor, PrepareError};
use crate::tensor::TensorType;

/// The codes of `output` that `activation` leaves.
///
/// # Errors
/// No single scale, no integer type, or an activation without codes.
pub fn quantized_clamp(
    output: &NodeTensor<'_>,
    activation: FusedActivation,
) -> Result<(i32, i32), PrepareError> {
    let (scale, zero_point) = output.per_tensor()?;
    let range = output
        .ty
        .integer_range()
        .ok_or_else(|| output.type_error("an integer type"))?;
    Ok(quantized_activation_range(
        activation, scale, zero_point, range,
    )?)
}

/// Refuses int16 operands whose zero point is not 0.
///
/// # Errors
/// There is one.
pub fn symmetric_i16(operands: &[&NodeTensor<'_>]) -> Result<(), PrepareError> {
    for operand in operands.iter().filter(|o| o.ty == TensorType::Int16) {
        if let Some(quantization) = operand.quantization
            && quantization.zero_point() != 0
        {
            return Err(PrepareError::Attribute {
                name: "zero point",
                found: quantization.zero_point().to_string(),
                expected: "0 for int16",
            });
        }
    }
    Ok(())
}
