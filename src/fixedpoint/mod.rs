//! TFLite's integer arithmetic, bit for bit: what every quantized kernel is built from.
//!
//! A quantized tensor stores integers `q` that stand for the reals `scale * (q - zero_point)`. Kernels accumulate products
//! of such integers exactly in 32 bits and then *requantize*: they multiply the accumulator by one real number made of
//! the scales, in fixed point ([`QuantizedMultiplier`]), add the zero point and clamp. Which ties go where in that one
//! step decides whether an implementation agrees with TFLite on every output or only on most; [`rounding`] has the rules,
//! [`Profile`] the named variants between releases.
//!
//! This folder owns pure integer arithmetic and the floating-point preparation of its constants. Float32 and float64 are
//! kept apart step by step, as upstream has them, because a product rounded to float32 first gives another multiplier.
//! It knows no tensors, files, operators or other folders, and has no unsafe code.
//!
//! Names are upstream's in snake case, so that both can be searched: gemmlowp `fixedpoint/fixedpoint.h` and TFLite
//! `kernels/internal/{common,quantization_util,cppmath}.h`. Each file states the versions it was read from.

mod activation;
pub mod gemmlowp;
mod multiplier;
mod profile;
mod quantize;
mod reciprocal;
mod requantize;
pub mod rounding;
mod sigmoid_i16;
mod softmax_scaling;
mod tables;

pub use activation::{ActivationRangeError, FusedActivation, limit, quantized_activation_range};
pub use gemmlowp::FixedPoint;
pub use multiplier::{MultiplierError, QuantizedMultiplier, checked_log2};
pub use profile::{Profile, Rounding, UnknownProfile};
pub use quantize::{
    NEAR_CODE, dequantize_f32, float_to_i32, quantize_f32, quantize_f32_near, round_half_away,
    round_half_away_f64,
};
pub use reciprocal::{
    get_inv_sqrt_quantized_multiplier_exp, get_reciprocal, log_x_for_x_greater_than_or_equal_to_1,
};
pub use requantize::{
    downscale_multiplier_to_i16, multiply_by_quantized_multiplier,
    multiply_by_quantized_multiplier_greater_than_one,
    multiply_by_quantized_multiplier_smaller_than_one_exp,
};
pub use rounding::{
    rounding_divide_by_pot, rounding_half_sum, saturating_rounding_doubling_high_mul,
    saturating_rounding_multiply_by_pot,
};
pub use sigmoid_i16::SigmoidInput;
pub use softmax_scaling::{
    calculate_input_radius, preprocess_log_softmax_reverse_scaling, preprocess_softmax_scaling,
};
pub use tables::{
    LUT_I16_LEN, TableSide, lut_lookup_i8, lut_lookup_i16, lut_populate_i8, lut_populate_i16,
    lut_populate_i16_f64, lut_populate_u8, softmax_i16_exp_lut,
    softmax_i16_one_over_one_plus_x_lut,
};
