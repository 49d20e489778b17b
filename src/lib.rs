//! On-device inference for the Coral Edge TPU: verified quantized TFLite models on integer-only kernels.

#![deny(unsafe_code)]
#![deny(
    clippy::undocumented_unsafe_blocks,
    clippy::multiple_unsafe_ops_per_block
)]

pub mod delegate;
pub mod device;
mod error;
pub mod fast;
#[cfg(unix)]
pub mod ffi;
pub mod fixedpoint;
pub mod interpreter;
pub mod model;
pub mod ops;
pub mod oracle;
pub mod package;
pub mod plan;
#[doc(hidden)]
pub mod schema;
pub mod tensor;
pub mod vision;

pub use error::Error;
pub use interpreter::{Interpreter, InterpreterBuilder};
pub use model::Model;

/// The README's program, compiled and run as a test.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;

/// The program of docs/qat.md, likewise.
#[cfg(doctest)]
#[doc = include_str!("../docs/qat.md")]
struct QatPage;
