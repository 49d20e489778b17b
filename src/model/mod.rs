//! From the bytes of a `.tflite` file to a verified graph, and back ([`mod@write`]).
//!
//! [`Model`] is the only way up: whoever holds one holds a file whose structure is sound (every index, shape, buffer
//! range and edge) and whose quantization parameters mean something. The layers above re-check neither. This folder
//! knows no kernels: which operators can run is the registry's affair.

mod bytes;
mod calls;
mod error;
mod graph;
mod load;
mod metadata;
mod read;
mod report;
pub mod rules;
mod signatures;
mod sparse;
mod verify;
pub mod write;

pub use calls::MAX_CALL_DEPTH;
pub use error::LoadError;
pub use graph::{
    Data, EDGE_TPU_OPERATOR, Graph, Metadata, Operator, OperatorKind, ResourceName, Signature,
    SignatureTensor, Subgraph, Tensor,
};
pub use load::{Candidate, LoadOptions, Model};
pub use report::{Finding, Location, Report, Severity};
pub use rules::Rule;
pub use sparse::{SparseError, SparsePlace};

pub use crate::schema::tflite::BuiltinOperator;
