//! Ranges and grids that quantize nothing.

use crate::tensor::TensorType;
use std::fmt;

/// Why a range or a grid cannot be used.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub enum RangeError {
    /// An end of the range is infinite or not a number.
    NotFinite {
        /// The lower end.
        min: f32,
        /// The upper end.
        max: f32,
    },
    /// The lower end is above the upper end.
    Reversed {
        /// The lower end.
        min: f32,
        /// The upper end.
        max: f32,
    },
    /// Both ends are one number other than zero: a step of 0 would divide by zero.
    ZeroWidth {
        /// The one number.
        at: f32,
    },
    /// The range is 0 to 0: a stored scale of 0 means nothing to an integer kernel.
    OnlyZero,
    /// The step is denormal: results would depend on whether the machine flushes such numbers to zero.
    TooNarrow {
        /// The lower end.
        min: f32,
        /// The upper end.
        max: f32,
        /// The step found.
        scale: f32,
    },
    /// The width of the range is beyond float32.
    TooWide {
        /// The lower end.
        min: f32,
        /// The upper end.
        max: f32,
    },
    /// A converter takes only ranges that hold zero.
    ExcludesZero {
        /// The lower end.
        min: f32,
        /// The upper end.
        max: f32,
    },
    /// A number of bits outside 2 to 16.
    Bits {
        /// The number found.
        found: u32,
    },
    /// An element type that is not quantized.
    Type {
        /// The type found.
        found: TensorType,
    },
}

impl fmt::Display for RangeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotFinite { min, max } => write!(
                f,
                "range [{min}, {max}] is not finite; look for divergence where it was observed"
            ),
            Self::Reversed { min, max } => write!(
                f,
                "range [{min}, {max}] has its minimum above its maximum; swap them"
            ),
            Self::ZeroWidth { at } => write!(
                f,
                "range [{at}, {at}] has no width, expected two different ends or 0 to 0; widen it to hold 0"
            ),
            Self::OnlyZero => write!(
                f,
                "range [0, 0] makes a scale of 0, expected above 0; observe the tensor on real data or drop it"
            ),
            Self::TooNarrow { min, max, scale } => write!(
                f,
                "range [{min:e}, {max:e}] makes a step of {scale:e}, expected at least {:e}; widen it",
                f32::MIN_POSITIVE
            ),
            Self::TooWide { min, max } => write!(
                f,
                "range [{min:e}, {max:e}] is wider than float32 can say; look for divergence where it was observed"
            ),
            Self::ExcludesZero { min, max } => write!(
                f,
                "range [{min}, {max}] excludes 0, which every converter needs to represent; widen it to [{}, {}]",
                min.min(0.0),
                max.max(0.0)
            ),
            Self::Bits { found } => write!(f, "{found} bits, expected 2 to 16"),
            Self::Type { found } => {
                write!(f, "{found} is not quantized, expected uint8, int8 or int16")
            }
        }
    }
}

impl std::error::Error for RangeError {}
