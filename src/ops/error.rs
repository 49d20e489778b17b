//! Why an operator cannot be prepared, and what can go wrong while one runs.

use crate::fixedpoint::{ActivationRangeError, MultiplierError};
use crate::tensor::{Shape, ShapeError, TensorError, TensorType};
use std::fmt;

/// Why an operator of a verified model cannot run. The interpreter adds which operator it is.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum PrepareError {
    /// An operand that the operator needs is absent.
    Missing { operand: &'static str },
    /// The option table is absent or of another operator.
    Options { expected: &'static str },
    /// An attribute has a value that the operator does not take.
    Attribute {
        name: &'static str,
        found: String,
        expected: &'static str,
    },
    /// An operand's type is not one the operator takes here.
    Type {
        operand: &'static str,
        found: TensorType,
        expected: &'static str,
    },
    /// An operand's shape does not fit the others.
    Shape {
        operand: &'static str,
        found: Box<Shape>,
        expected: String,
    },
    /// A result's dimensions are no shape.
    ResultShape { source: ShapeError },
    /// An operand's value must be known before inference.
    NotConstant { operand: &'static str },
    /// An operand must be a constant that the file stores sparsely.
    NotSparse { operand: &'static str },
    /// An operand without the quantization parameters the arithmetic needs.
    NotQuantized { operand: &'static str },
    /// The operator needs more memory for itself than the limit.
    Memory { bytes: usize, limit: usize },
    /// A multiplier that fixed point cannot hold.
    Multiplier { source: MultiplierError },
    /// A fused activation whose bounds are no codes of the result.
    Activation { source: ActivationRangeError },
    /// An operand's data could not be viewed.
    Tensor {
        operand: &'static str,
        source: TensorError,
    },
}

impl fmt::Display for PrepareError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Missing { operand } => {
                write!(
                    f,
                    "operand {operand} is absent, expected a tensor; convert the model again"
                )
            }
            Self::Options { expected } => {
                write!(
                    f,
                    "option table {expected} expected but not found; convert the model again"
                )
            }
            Self::Attribute {
                name,
                found,
                expected,
            } => write!(f, "attribute {name} is {found}, expected {expected}"),
            Self::Type {
                operand,
                found,
                expected,
            } => write!(f, "operand {operand} is {found}, expected {expected}"),
            Self::Shape {
                operand,
                found,
                expected,
            } => write!(
                f,
                "operand {operand} has shape {found}, expected {expected}"
            ),
            Self::ResultShape { source } => write!(f, "result: {source}"),
            Self::NotConstant { operand } => write!(
                f,
                "operand {operand} is computed by the model, expected a constant; fix the value when converting"
            ),
            Self::NotSparse { operand } => write!(
                f,
                "operand {operand} is dense, expected a sparse constant; leave the operator out"
            ),
            Self::NotQuantized { operand } => write!(
                f,
                "operand {operand} has no scale, expected quantization parameters; convert the model again"
            ),
            Self::Memory { bytes, limit } => write!(
                f,
                "the operator needs {bytes} bytes for itself, the limit is {limit}; raise it with arena_limit if the model is trusted"
            ),
            Self::Multiplier { source } => source.fmt(f),
            Self::Activation { source } => source.fmt(f),
            Self::Tensor { operand, source } => write!(f, "operand {operand}: {source}"),
        }
    }
}

impl std::error::Error for PrepareError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::ResultShape { source } => Some(source),
            Self::Multiplier { source } => Some(source),
            Self::Activation { source } => Some(source),
            Self::Tensor { source, .. } => Some(source),
            _ => None,
        }
    }
}

impl From<ShapeError> for PrepareError {
    fn from(source: ShapeError) -> Self {
        Self::ResultShape { source }
    }
}

impl From<MultiplierError> for PrepareError {
    fn from(source: MultiplierError) -> Self {
        Self::Multiplier { source }
    }
}

impl From<ActivationRangeError> for PrepareError {
    fn from(source: ActivationRangeError) -> Self {
        Self::Activation { source }
    }
}

/// What went wrong in one inference. The interpreter adds which operator it is.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum EvalError {
    /// A tensor was asked for as something it is not; prepare should have refused it.
    Tensor { source: TensorError },
    /// An operand that prepare promised is not there.
    Operand { slot: usize },
    /// An operand's value is outside what the operator is defined for.
    Value {
        operand: &'static str,
        found: i64,
        expected: &'static str,
    },
    /// A resource variable is read before anything assigned it.
    Unassigned { variable: String },
    /// A resource variable holds another type than the operator reads.
    VariableType {
        variable: String,
        found: TensorType,
        expected: TensorType,
    },
    /// A resource variable holds another shape than the operator was prepared for.
    VariableShape {
        found: Box<Shape>,
        expected: Box<Shape>,
    },
    /// An operator whose shapes depend on values cannot be prepared for these.
    Prepare { source: Box<PrepareError> },
    /// The inference needs more memory than the limit.
    Memory { bytes: usize, limit: usize },
    /// The inference takes more work than the limit.
    Work { limit: u64 },
    /// The loops of the inference take more rounds than the limit.
    Loops { limit: u64 },
    /// A device failed.
    Device {
        device: String,
        fault: DeviceFault,
        reason: String,
    },
}

/// How a device failed, and so what a caller can do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum DeviceFault {
    /// It went away: unplugged, hung, or its driver's process died. The next inference tries to open it again.
    Lost,
    /// Another process holds it.
    Busy,
    /// It is there and refused this inference.
    Failed,
}

impl fmt::Display for DeviceFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Lost => "device lost",
            Self::Busy => "device busy",
            Self::Failed => "inference failed",
        })
    }
}

impl fmt::Display for EvalError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tensor { source } => source.fmt(f),
            Self::Operand { slot } => write!(f, "operand {slot} has no data"),
            Self::Value {
                operand,
                found,
                expected,
            } => write!(f, "operand {operand} holds {found}, expected {expected}"),
            Self::Unassigned { variable } => write!(
                f,
                "variable {variable:?} is read before anything assigned it; run what initialises it first"
            ),
            Self::VariableType {
                variable,
                found,
                expected,
            } => write!(
                f,
                "variable {variable:?} holds {found}, the operator expects {expected}; convert the model again"
            ),
            Self::VariableShape { found, expected } => {
                write!(f, "the variable holds shape {found}, expected {expected}")
            }
            Self::Prepare { source } => source.fmt(f),
            Self::Memory { bytes, limit } => write!(
                f,
                "the inference needs {bytes} bytes for its tensors or for weights that operators pack, the limit is {limit}; raise it with arena_limit if the model is trusted"
            ),
            Self::Work { limit } => write!(
                f,
                "the inference takes more than {limit} units of work, the limit; raise it with work_limit if the model is trusted"
            ),
            Self::Loops { limit } => write!(
                f,
                "the loops of the inference take more than {limit} rounds, the limit; raise it with loop_limit if the model is trusted"
            ),
            Self::Device {
                device,
                fault,
                reason,
            } => write!(f, "{device}: {fault}: {reason}"),
        }
    }
}

impl std::error::Error for EvalError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Tensor { source } => Some(source),
            Self::Prepare { source } => Some(source.as_ref()),
            _ => None,
        }
    }
}

impl From<PrepareError> for EvalError {
    fn from(source: PrepareError) -> Self {
        Self::Prepare {
            source: Box::new(source),
        }
    }
}

impl From<TensorError> for EvalError {
    fn from(source: TensorError) -> Self {
        Self::Tensor { source }
    }
}
