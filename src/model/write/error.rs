//! Graphs that are no model.

use crate::model::LoadError;
use crate::tensor::TensorType;
use std::fmt;

/// Why a model could not be written.
#[derive(Debug)]
#[non_exhaustive]
pub enum WriteError {
    /// A dimension beyond what the file can hold.
    Dimension {
        /// The tensor's name.
        tensor: String,
        /// The dimension found.
        found: usize,
    },
    /// A constant's bytes are not what its type and shape need.
    DataSize {
        /// The tensor's name.
        tensor: String,
        /// Its type.
        ty: TensorType,
        /// Bytes found.
        found: usize,
        /// Bytes expected; `None` where the shape holds more than memory does.
        expected: Option<usize>,
    },
    /// A tensor of another writer.
    UnknownTensor {
        /// The index found.
        index: usize,
        /// How many tensors this writer has.
        tensors: usize,
    },
    /// An operator or tensor too many for the file.
    TooMany {
        /// What there is too much of.
        what: &'static str,
    },
    /// All constants together are beyond the 2 GiB of a FlatBuffer.
    TooLarge {
        /// Bytes of constants.
        bytes: usize,
    },
    /// The file was written and is no model: what loading it says.
    Invalid(Box<LoadError>),
}

impl fmt::Display for WriteError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Dimension { tensor, found } => write!(
                f,
                "tensor {tensor:?} has dimension {found}, a model file holds at most {}",
                i32::MAX
            ),
            Self::DataSize {
                tensor,
                ty,
                found,
                expected,
            } => {
                write!(f, "constant {tensor:?} has {found} bytes, its shape needs ")?;
                match expected {
                    Some(expected) => write!(f, "{expected} of {ty}"),
                    None => write!(f, "more {ty} elements than memory holds"),
                }
            }
            Self::UnknownTensor { index, tensors } => write!(
                f,
                "tensor {index} is none of the writer's {tensors}; use what this writer returned"
            ),
            Self::TooMany { what } => write!(f, "more {what} than a model file can count"),
            Self::TooLarge { bytes } => write!(
                f,
                "constants of {bytes} bytes, a model file holds less than 2 GiB"
            ),
            Self::Invalid(error) => write!(f, "the graph is no model: {error}"),
        }
    }
}

impl std::error::Error for WriteError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Invalid(error) => Some(error.as_ref()),
            _ => None,
        }
    }
}
