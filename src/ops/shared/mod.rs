//! What several operators have in common: option decoding, element-wise loops, window geometry, the output stage and the rules.

mod activation;
mod arithmetic;
mod binary;
mod border;
mod broadcast;
pub mod check;
#[cfg(test)]
pub mod differential;
mod element;
mod fast_binary;
mod fast_picture;
mod fast_pool;
mod fast_prelu;
mod fast_weighted;
mod float16;
mod float_range;
mod fold;
mod function;
pub mod hybrid;
pub mod integers;
mod map;
mod order;
mod output_stage;
mod picture;
mod pool;
mod quantized;
mod reduce;
mod rescaled;
mod rows;
mod runs;
mod slices;
mod strided;
mod type_rows;
mod weight_rules;
mod weighted;
mod weights;
mod window;

pub use activation::{float_range, fused_activation, integer_range};
pub use arithmetic::{Arithmetic, Float, IntegerSums, Stage, Totals, Wide};
pub use binary::{binary, division};
pub use border::{Border, real_zero};
pub use broadcast::{Broadcast, select, zip, zip_in_place};
pub use element::{Integer, Quantized, element8, int4_codes};
pub use fast_binary::{fast_add_sub, fast_add_sub_int16, fast_mul};
pub use fast_picture::FastPicture;
pub use fast_pool::fast_pool;
pub use fast_prelu::fast_prelu;
pub use fast_weighted::{
    fast_convolution, fast_depthwise_convolution, fast_float_fully_connected, fast_fully_connected,
    fast_transpose_conv,
};
pub use float_range::FloatRange;
pub use float16::{float16_to_float32, float32_to_float16};
pub use fold::fold;
pub use function::{function, samples_i16};
pub use integers::Integers;
pub use map::{Table, map, table};
pub use order::order;
pub use output_stage::{DoubleStage, OutputStage, ScaleProduct, Scaled};
pub use picture::result_size;
pub use pool::{Pool2d, Reduce};
pub use quantized::{quantized_clamp, symmetric_i16};
pub use reduce::Reduction;
pub use rescaled::{Rescaled, ShiftedI16};
pub use rows::map_rows;
pub use runs::{join, part};
pub use slices::Slices;
pub use strided::{StridedCopy, gathered};
pub(crate) use type_rows::rows;
pub use weighted::{
    Problem, convolution_kernel, float_kernel, integer_kernel, unpack_int4, wide_accumulator,
};
pub use weights::{check_bias_length, filter_zero_point, narrow};
pub use window::{Axis, Padding, padding, without_border};
