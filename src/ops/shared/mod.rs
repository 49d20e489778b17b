//! What several operators have in common: option decoding, element-wise loops, window geometry, the output stage and the rules.

mod activation;
mod arithmetic;
mod binary;
mod broadcast;
pub mod check;
mod element;
mod float_range;
mod map;
mod output_stage;
mod pool;
mod quantized;
mod reduce;
mod rescaled;
mod rows;
mod slices;
mod strided;
mod weights;
mod window;

pub use activation::{float_range, fused_activation, integer_range, limit};
pub use arithmetic::{Arithmetic, IntegerSums, Stage};
pub use binary::binary;
pub use broadcast::{Broadcast, select, zip};
pub use element::{Integer, Quantized};
pub use float_range::FloatRange;
pub use map::{map, table};
pub use output_stage::{DoubleStage, OutputStage, ScaleProduct, Scaled};
pub use pool::{Pool2d, Reduce};
pub use quantized::{quantized_clamp, symmetric_i16};
pub use reduce::Reduction;
pub use rescaled::{Rescaled, ShiftedI16};
pub use rows::map_rows;
pub use slices::Slices;
pub use strided::StridedCopy;
pub use weights::{check_bias_length, filter_zero_point, narrow};
pub use window::{Axis, Padding, padding};
