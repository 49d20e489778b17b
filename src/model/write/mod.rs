//! From a graph in memory to the bytes of a `.tflite` file.
//!
//! The other direction of this folder: [`ModelWriter`] takes tensors and operators and gives a file that it has loaded and
//! verified itself, so what comes out is a model or an error that says why not. Field numbers are those of
//! `schema/tflite.fbs`; tests read every option back through the generated accessors.
//!
//! | module | what it holds |
//! | --- | --- |
//! | `operation` | [`Operation`]: an operator's code, version and options |
//! | `writer` | [`ModelWriter`], [`TensorId`] |
//! | `file` | the FlatBuffer |
//! | `error` | [`WriteError`] |

mod error;
mod file;
mod operation;
#[cfg(test)]
mod tests;
mod writer;

pub use crate::schema::tflite::{ActivationFunctionType, BuiltinOptions, Padding};
pub use error::WriteError;
pub use operation::{Field, Operation, Window};
pub use writer::{ModelWriter, TensorId};
