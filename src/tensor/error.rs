//! What can be wrong with a shape or with a request for a tensor's data.

use super::{MAX_RANK, Shape, TensorType};
use std::fmt;

/// Why dimensions are not a [`Shape`].
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum ShapeError {
    /// Too many axes.
    Rank { rank: usize },
    /// A dimension below zero.
    Negative { axis: usize, dim: i32 },
    /// The product of the dimensions is out of range.
    Count { dims: Vec<usize> },
}

impl fmt::Display for ShapeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Rank { rank } => write!(f, "rank {rank} found, at most {MAX_RANK} supported"),
            Self::Negative { axis, dim } => {
                write!(
                    f,
                    "dimension {dim} found on axis {axis}, expected 0 or more"
                )
            }
            Self::Count { dims } => {
                write!(
                    f,
                    "dimensions {dims:?} hold more than {} elements",
                    i32::MAX
                )
            }
        }
    }
}

impl std::error::Error for ShapeError {}

/// Why a tensor's data was not given or taken.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum TensorError {
    /// The Rust type asked for does not hold the tensor's elements.
    Type {
        tensor: TensorType,
        asked: &'static str,
    },
    /// The number of elements offered is not the tensor's.
    Length {
        shape: Box<Shape>,
        found: usize,
        expected: usize,
    },
    /// The number of bytes offered is not the tensor's.
    Bytes {
        ty: TensorType,
        shape: Box<Shape>,
        found: usize,
        expected: usize,
    },
    /// Elements of this type have no fixed size, so no view of them exists.
    Unsized { ty: TensorType },
    /// The bytes do not start at a multiple of the element's alignment.
    Misaligned { ty: TensorType },
    /// The tensor carries no single scale and zero point, so its numbers stand for no real values.
    NotQuantized { ty: TensorType },
}

impl fmt::Display for TensorError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Type { tensor, asked } => write!(
                f,
                "tensor holds {tensor} elements but {asked} was asked for; use the Rust type of {tensor}"
            ),
            Self::Length {
                shape,
                found,
                expected,
            } => write!(
                f,
                "{found} elements given for shape {shape}, expected {expected}"
            ),
            Self::Bytes {
                ty,
                shape,
                found,
                expected,
            } => write!(
                f,
                "{found} bytes given for {ty} {shape}, expected {expected}"
            ),
            Self::Unsized { ty } => write!(f, "{ty} elements have no fixed size and no view"),
            Self::Misaligned { ty } => {
                write!(
                    f,
                    "data of {ty} elements is not aligned to the element size"
                )
            }
            Self::NotQuantized { ty } => write!(
                f,
                "{ty} tensor has no single scale and zero point, so no real values; read its integers"
            ),
        }
    }
}

impl std::error::Error for TensorError {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_name_found_and_expected() {
        let shape = Shape::new(&[1, 4]).expect("small");
        let ty = TensorType::Int8;
        let cases = [
            (
                TensorError::Type {
                    tensor: ty,
                    asked: "u8",
                }
                .to_string(),
                "tensor holds int8 elements but u8 was asked for; use the Rust type of int8",
            ),
            (
                TensorError::Length {
                    shape: shape.into(),
                    found: 3,
                    expected: 4,
                }
                .to_string(),
                "3 elements given for shape [1, 4], expected 4",
            ),
            (
                TensorError::Bytes {
                    ty,
                    shape: shape.into(),
                    found: 3,
                    expected: 4,
                }
                .to_string(),
                "3 bytes given for int8 [1, 4], expected 4",
            ),
            (
                TensorError::Unsized {
                    ty: TensorType::String,
                }
                .to_string(),
                "string elements have no fixed size and no view",
            ),
            (
                TensorError::Misaligned {
                    ty: TensorType::Int32,
                }
                .to_string(),
                "data of int32 elements is not aligned to the element size",
            ),
            (
                TensorError::NotQuantized { ty }.to_string(),
                "int8 tensor has no single scale and zero point, so no real values; read its integers",
            ),
            (
                ShapeError::Rank { rank: 9 }.to_string(),
                "rank 9 found, at most 8 supported",
            ),
            (
                ShapeError::Negative { axis: 1, dim: -2 }.to_string(),
                "dimension -2 found on axis 1, expected 0 or more",
            ),
            (
                ShapeError::Count {
                    dims: vec![65536, 65536],
                }
                .to_string(),
                "dimensions [65536, 65536] hold more than 2147483647 elements",
            ),
        ];
        for (found, expected) in cases {
            assert_eq!(found, expected);
        }
    }
}
