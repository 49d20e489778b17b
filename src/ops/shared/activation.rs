//! The fused activation of an option table.

use crate::fixedpoint::FusedActivation;
use crate::ops::PrepareError;
use crate::schema::tflite::ActivationFunctionType;

/// Decodes `activation`.
///
/// # Errors
/// TANH, SIGN_BIT or an unknown number: no quantized kernel fuses them.
pub fn fused_activation(
    activation: ActivationFunctionType,
) -> Result<FusedActivation, PrepareError> {
    Ok(match activation {
        ActivationFunctionType::NONE => FusedActivation::None,
        ActivationFunctionType::RELU => FusedActivation::Relu,
        ActivationFunctionType::RELU_N1_TO_1 => FusedActivation::ReluN1To1,
        ActivationFunctionType::RELU6 => FusedActivation::Relu6,
        other => {
            return Err(PrepareError::Attribute {
                name: "fused_activation_function",
                found: match other.variant_name() {
                    Some(name) => name.to_owned(),
                    None => other.0.to_string(),
                },
                expected: "NONE, RELU, RELU_N1_TO_1 or RELU6",
            });
        }
    })
}
