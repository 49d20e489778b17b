//! On-device inference for the Coral Edge TPU: verified quantized TFLite models on integer-only kernels.

#![deny(unsafe_code)]
#![deny(
    clippy::undocumented_unsafe_blocks,
    clippy::multiple_unsafe_ops_per_block
)]

pub mod device;
#[cfg(unix)]
pub mod ffi;
pub mod fixedpoint;
pub mod oracle;
#[doc(hidden)]
pub mod schema;
pub mod tensor;
