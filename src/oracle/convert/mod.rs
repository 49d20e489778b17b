//! From trained floats and ranges to integer tensors, and to a model file that holds them.
//!
//! Weights, biases and activations are quantized with the converters' own arithmetic, so that codes, zero points and scales
//! equal those of a file that toco (TensorFlow 1.13) wrote from the same floats and ranges. [`NetworkBuilder`] puts layers
//! together; what it writes is an ordinary TFLite model, and what it computes is for the kernels to say.
//!
//! | module | what it holds |
//! | --- | --- |
//! | `weights` | [`QuantizedWeights`] |
//! | `bias` | [`QuantizedBias`] |
//! | `network` | [`NetworkBuilder`], [`Value`] |
//! | `layers` | [`NetworkBuilder`]'s layers with weights: [`Weighted`] |
//! | `error` | [`ConvertError`] |

mod bias;
mod error;
mod layers;
mod network;
mod weights;

pub use bias::QuantizedBias;
pub use error::ConvertError;
pub use layers::Weighted;
pub use network::{NetworkBuilder, Value};
pub use weights::QuantizedWeights;

use super::qparams::{Range, RangeError};

/// The range of an input that training saw as `(code - mean) / std`, codes 0 to 255 (`quantized_input_stats`).
///
/// ```
/// let range = corallite::oracle::convert::input_range(128.0, 128.0)?;
/// assert_eq!((range.min(), range.max()), (-1.0, 0.9921875));
/// # Ok::<(), corallite::oracle::qparams::RangeError>(())
/// ```
///
/// # Errors
/// `std` is zero or less, or the ends are not finite.
pub fn input_range(mean: f32, std: f32) -> Result<Range, RangeError> {
    Range::new((0.0 - mean) / std, (255.0 - mean) / std)
}
