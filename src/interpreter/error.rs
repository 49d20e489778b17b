//! Why an interpreter could not be built, run or accessed.

use crate::delegate::DelegateError;
use crate::model::{OperatorKind, Report};
use crate::ops::{EvalError, MissingOperator, PrepareError};
use crate::tensor::{Shape, ShapeError, TensorError, TensorType};
use std::fmt;

/// Why no interpreter could be built for a model.
#[derive(Debug)]
#[non_exhaustive]
pub enum BuildError {
    /// Operators without a kernel: all of them.
    MissingOperators { operators: Vec<MissingOperator> },
    /// Operators whose quantization parameters are meaningless: all findings.
    Verify { report: Report },
    /// A delegate that cannot take the operators it claimed.
    Delegate { source: DelegateError },
    /// An operator that cannot be prepared.
    Prepare {
        operator: usize,
        kind: OperatorKind,
        source: PrepareError,
    },
    /// A constant result that could not be computed.
    Constant {
        operator: usize,
        kind: OperatorKind,
        source: EvalError,
    },
    /// The model needs more memory than the limit.
    ArenaTooLarge { bytes: usize, limit: usize },
    /// A shape was given for an input that the model does not have.
    InputIndex { index: usize, count: usize },
    /// A shape was given that the input cannot take.
    InputShape {
        index: usize,
        found: Box<Shape>,
        declared: Box<Shape>,
    },
    /// A tensor of a type without a fixed size has to be computed.
    Unsized { tensor: usize, ty: TensorType },
    /// Dimensions given by the caller are no shape.
    Shape { source: ShapeError },
}

impl fmt::Display for BuildError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::MissingOperators { operators } => {
                write!(f, "{} operator(s) without a kernel: ", operators.len())?;
                for (i, operator) in operators.iter().enumerate() {
                    let separator = if i == 0 { "" } else { "; " };
                    write!(f, "{separator}{operator}")?;
                }
                Ok(())
            }
            Self::Verify { report } => report.fmt(f),
            Self::Delegate { source } => source.fmt(f),
            Self::Prepare {
                operator,
                kind,
                source,
            } => write!(f, "operator {operator} {kind}: {source}"),
            Self::Constant {
                operator,
                kind,
                source,
            } => write!(f, "operator {operator} {kind}, constant: {source}"),
            Self::ArenaTooLarge { bytes, limit } => write!(
                f,
                "the model needs {bytes} bytes for its tensors, the limit is {limit}; raise it with arena_limit if the model is trusted"
            ),
            Self::InputIndex { index, count } => {
                write!(
                    f,
                    "input {index} was given a shape, the model has {count} input(s)"
                )
            }
            Self::InputShape {
                index,
                found,
                declared,
            } => write!(
                f,
                "input {index} was given shape {found}, the model declares {declared}; only axes it leaves open can change"
            ),
            Self::Unsized { tensor, ty } => {
                write!(
                    f,
                    "tensor {tensor} holds {ty} elements, which have no fixed size and no kernel"
                )
            }
            Self::Shape { source } => source.fmt(f),
        }
    }
}

impl std::error::Error for BuildError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Delegate { source } => Some(source),
            Self::Prepare { source, .. } => Some(source),
            Self::Constant { source, .. } => Some(source),
            Self::Shape { source } => Some(source),
            _ => None,
        }
    }
}

/// Why an inference failed: the operator and its reason.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct InvokeError {
    /// Index of the operator within the subgraph.
    pub operator: usize,
    /// Which operator.
    pub kind: OperatorKind,
    /// What went wrong.
    pub source: EvalError,
}

impl fmt::Display for InvokeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "operator {} {}: {}",
            self.operator, self.kind, self.source
        )
    }
}

impl std::error::Error for InvokeError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        Some(&self.source)
    }
}

/// Why a tensor was not given.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum AccessError {
    /// No input or output has this index.
    Index {
        what: &'static str,
        index: usize,
        count: usize,
    },
    /// The data are not what was asked for.
    Tensor {
        what: &'static str,
        index: usize,
        source: TensorError,
    },
}

impl fmt::Display for AccessError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Index { what, index, count } => {
                write!(f, "{what} {index} asked for, the model has {count}")
            }
            Self::Tensor {
                what,
                index,
                source,
            } => write!(f, "{what} {index}: {source}"),
        }
    }
}

impl std::error::Error for AccessError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Tensor { source, .. } => Some(source),
            Self::Index { .. } => None,
        }
    }
}
