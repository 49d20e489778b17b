//! Quantization simulated in float32: what a FakeQuant node computes, and what it passes back.
//!
//! In training a FakeQuant rounds values to the grid the integer network will have, while gradients go through as if it
//! were not there (straight-through estimator), except where values were clamped. TensorFlow 1.13, TensorFlow 2 and TFLite
//! round by three different formulas, equal in exact arithmetic: a quarter of 8-bit results differ in their last float
//! bits, and exact ties can land one code apart. [`FakeQuantProfile`] names which one is meant.
//!
//! | module | what it holds |
//! | --- | --- |
//! | `profile` | [`FakeQuantProfile`] |
//! | `forward` | [`FakeQuant`] |
//! | `backward` | [`Gradients`] |
//! | `error` | [`FakeQuantError`] |

mod backward;
mod error;
mod forward;
mod profile;

pub use backward::Gradients;
pub use error::FakeQuantError;
pub use forward::FakeQuant;
pub use profile::{FakeQuantProfile, UnknownFakeQuantProfile};
