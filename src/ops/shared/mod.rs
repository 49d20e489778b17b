//! What several operators have in common: option decoding, window geometry, the output stage and the rules.

mod activation;
pub mod check;
mod element;
mod output_stage;
mod reduce;
mod strided;
mod window;

pub use activation::fused_activation;
pub use element::Quantized;
pub use output_stage::OutputStage;
pub use reduce::Reduction;
pub use strided::StridedCopy;
pub use window::{Axis, Padding, padding};
