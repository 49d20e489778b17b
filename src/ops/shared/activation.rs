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

/// The lowest and the highest result of a float operator with `activation`: infinities become the largest finite numbers
/// where there is no bound. Source: TFLite `kernels/kernel_util.h`, `CalculateActivationRange`.
pub fn float_range(activation: FusedActivation) -> (f32, f32) {
    let (low, high) = activation.bounds();
    (low.unwrap_or(f32::MIN), high.unwrap_or(f32::MAX))
}

/// The lowest and the highest result of an operator on plain integers with `activation`, limited to `range`.
pub fn integer_range(activation: FusedActivation, range: (i64, i64)) -> (i64, i64) {
    let (low, high) = activation.bounds();
    let bound = |bound: Option<f32>, none| bound.map_or(none, |bound| bound as i64);
    (bound(low, range.0), bound(high, range.1))
}
