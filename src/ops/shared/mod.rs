//! What several operators have in common: option decoding, element-wise loops, window geometry, the output stage and the rules.

mod activation;
mod binary;
mod broadcast;
pub mod check;
mod element;
mod map;
mod output_stage;
mod reduce;
mod rescaled;
mod rows;
mod slices;
mod strided;
mod window;

pub use activation::{float_range, fused_activation, integer_range, limit};
pub use binary::binary;
pub use broadcast::{Broadcast, zip};
pub use element::{Integer, Quantized};
pub use map::{map, table};
pub use output_stage::OutputStage;
pub use reduce::Reduction;
pub use rescaled::{Rescaled, ShiftedI16};
pub use rows::map_rows;
pub use slices::Slices;
pub use strided::StridedCopy;
pub use window::{Axis, Padding, padding};
