//! Why a file is no model.

use super::report::Report;
use super::sparse::SparseError;
use crate::schema::RootError;
use crate::tensor::{ShapeError, TensorType};
use std::fmt;
use std::path::PathBuf;

/// Why a file could not be loaded as a model.
#[derive(Debug)]
#[non_exhaustive]
pub enum LoadError {
    /// The file could not be opened, mapped or read.
    File {
        path: PathBuf,
        source: std::io::Error,
    },
    /// There are no bytes.
    Empty,
    /// The bytes are no FlatBuffer with TFLite's identifier, or its structure is broken.
    Structure { source: RootError },
    /// The schema's version is another than 3.
    SchemaVersion { found: u32 },
    /// The file has no subgraph.
    NoSubgraph,
    /// A tensor's dimensions are no shape.
    Shape {
        subgraph: usize,
        tensor: usize,
        source: ShapeError,
    },
    /// An index points at nothing.
    Index {
        place: Place,
        what: &'static str,
        found: i64,
        count: usize,
    },
    /// A buffer outside the file.
    BufferRange {
        buffer: usize,
        offset: u64,
        size: u64,
        file: usize,
    },
    /// A constant's bytes are not what its type and shape need.
    BufferSize {
        subgraph: usize,
        tensor: usize,
        ty: TensorType,
        found: usize,
        expected: usize,
    },
    /// A tensor's sparse encoding contradicts itself or the tensor, or claims too much memory.
    Sparse {
        subgraph: usize,
        tensor: usize,
        source: SparseError,
    },
    /// An operator version below 1.
    OperatorVersion { place: Place, found: i32 },
    /// A custom operator without a name.
    CustomName { operator_code: usize },
    /// An operator reads a tensor that nothing before it has written: out of order, or a cycle.
    ReadBeforeWrite { place: Place, tensor: usize },
    /// A tensor that two operators write, or an operator and the caller or the file.
    WrittenTwice { place: Place, tensor: usize },
    /// A graph output that nothing writes.
    OutputUnwritten { subgraph: usize, tensor: usize },
    /// A subgraph that runs itself, directly or through the subgraphs it runs.
    Recursion { place: Place, callee: usize },
    /// Subgraphs that run subgraphs, too many levels deep.
    CallDepth { place: Place, limit: usize },
    /// The structure is sound, but quantization parameters are meaningless.
    Verify { report: Report },
}

/// Where in the file: a subgraph, and an operator of it where there is one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place {
    /// Index of the subgraph.
    pub subgraph: usize,
    /// Index of the operator.
    pub operator: Option<usize>,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "subgraph {}", self.subgraph)?;
        if let Some(operator) = self.operator {
            write!(f, ", operator {operator}")?;
        }
        Ok(())
    }
}

/// What to do about a file whose inside contradicts itself.
const DAMAGED: &str = "the file is damaged or was edited; convert or copy it again";

impl fmt::Display for LoadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File { path, source } => write!(f, "{}: {source}", path.display()),
            Self::Empty => write!(
                f,
                "0 bytes found, expected a .tflite model; give a model file"
            ),
            Self::Structure { source } => write!(f, "{source} (give a complete .tflite model)"),
            Self::SchemaVersion { found } => write!(
                f,
                "schema version {found} found, expected 3; convert the model with a current converter"
            ),
            Self::NoSubgraph => write!(f, "no subgraph found, expected at least one; {DAMAGED}"),
            Self::Shape {
                subgraph,
                tensor,
                source,
            } => write!(
                f,
                "subgraph {subgraph}, tensor {tensor}: {source}; {DAMAGED}"
            ),
            Self::Index {
                place,
                what,
                found,
                count,
            } => write!(
                f,
                "{place}: {what} {found} found, expected an index below {count}; {DAMAGED}"
            ),
            Self::BufferRange {
                buffer,
                offset,
                size,
                file,
            } => write!(
                f,
                "buffer {buffer}: bytes {offset} and {size} more found, expected a range within the file's {file}; {DAMAGED}"
            ),
            Self::BufferSize {
                subgraph,
                tensor,
                ty,
                found,
                expected,
            } => write!(
                f,
                "subgraph {subgraph}, tensor {tensor}: {found} bytes of {ty} data found, expected {expected}; {DAMAGED}"
            ),
            Self::Sparse {
                subgraph,
                tensor,
                source,
            } => {
                let remedy = match source {
                    SparseError::TooLarge { .. } => {
                        "raise the limit with LoadOptions::dense_limit if the model is trusted, or convert without sparsity"
                    }
                    SparseError::Type { .. } => "convert without sparsity",
                    _ => DAMAGED,
                };
                write!(
                    f,
                    "subgraph {subgraph}, tensor {tensor}, sparsity: {source}; {remedy}"
                )
            }
            Self::OperatorVersion { place, found } => {
                write!(
                    f,
                    "{place}: operator version {found} found, expected 1 or more; {DAMAGED}"
                )
            }
            Self::CustomName { operator_code } => write!(
                f,
                "operator code {operator_code}: custom operator without a name found, expected one; {DAMAGED}"
            ),
            Self::ReadBeforeWrite { place, tensor } => write!(
                f,
                "{place}: tensor {tensor} is read before anything writes it, expected operators in execution order without cycles; {DAMAGED}"
            ),
            Self::WrittenTwice { place, tensor } => write!(
                f,
                "{place}: tensor {tensor} is written although it already has a value, expected one writer; {DAMAGED}"
            ),
            Self::OutputUnwritten { subgraph, tensor } => write!(
                f,
                "subgraph {subgraph}: output tensor {tensor} is written by nothing, expected one writer; {DAMAGED}"
            ),
            Self::Recursion { place, callee } => write!(
                f,
                "{place}: subgraph {callee} runs itself, expected calls without cycles; {DAMAGED}"
            ),
            Self::CallDepth { place, limit } => write!(
                f,
                "{place}: subgraphs run one another more than {limit} levels deep, expected {limit} at most; flatten the model's control flow"
            ),
            Self::Verify { report } => report.fmt(f),
        }
    }
}

impl std::error::Error for LoadError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::File { source, .. } => Some(source),
            Self::Structure { source } => Some(source),
            Self::Shape { source, .. } => Some(source),
            Self::Sparse { source, .. } => Some(source),
            _ => None,
        }
    }
}
