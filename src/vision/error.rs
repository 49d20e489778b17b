//! What can be wrong with a picture or with what is asked of a tensor.

use std::fmt;

use crate::tensor::TensorType;

/// Why a picture or a tensor could not be used.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum VisionError {
    /// Width or height is zero.
    Empty { width: usize, height: usize },
    /// The number of bytes is not width times height times channels.
    Bytes {
        width: usize,
        height: usize,
        channels: usize,
        found: usize,
    },
    /// More pixels than the caller allows.
    TooLarge {
        width: usize,
        height: usize,
        limit: usize,
    },
    /// The memory for a picture is not to be had.
    OutOfMemory {
        width: usize,
        height: usize,
        channels: usize,
    },
    /// A table's destination has another length than its pixels.
    Length { expected: usize, found: usize },
    /// A mean that is not finite, or a standard deviation that is not finite and positive.
    Normalization { mean: f64, std: f64 },
    /// An input's scale is not finite and positive, or its zero point is outside its type.
    Quantization {
        scale: f32,
        zero_point: i32,
        ty: TensorType,
    },
}

impl fmt::Display for VisionError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Empty { width, height } => {
                write!(
                    f,
                    "picture of {width} x {height} pixels, expected at least one"
                )
            }
            Self::Bytes {
                width,
                height,
                channels,
                found,
            } => write!(
                f,
                "{found} bytes given for a picture of {width} x {height} pixels of {channels} bytes"
            ),
            Self::TooLarge {
                width,
                height,
                limit,
            } => write!(
                f,
                "picture of {width} x {height} pixels, at most {limit} pixels allowed: scale it down first"
            ),
            Self::OutOfMemory {
                width,
                height,
                channels,
            } => write!(
                f,
                "no memory for a picture of {width} x {height} pixels of {channels} bytes"
            ),
            Self::Length { expected, found } => {
                write!(f, "{found} pixel values given for {expected} input values")
            }
            Self::Normalization { mean, std } => write!(
                f,
                "mean {mean} and standard deviation {std}, expected finite numbers and a deviation above 0"
            ),
            Self::Quantization {
                scale,
                zero_point,
                ty,
            } => write!(
                f,
                "{ty} input with scale {scale} and zero point {zero_point}, expected a scale above 0 and a zero point within the type"
            ),
        }
    }
}

impl std::error::Error for VisionError {}
