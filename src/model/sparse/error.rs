//! What is wrong with a sparse encoding.

use crate::tensor::TensorType;
use std::fmt;
use std::ops::RangeInclusive;

/// Why a sparse encoding is none, or is not taken.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum SparseError {
    /// Nothing is stored.
    NoData,
    /// Elements are not whole bytes.
    Type { ty: TensorType },
    /// A vector has not the entries that others demand.
    Length {
        vector: SparsePlace,
        found: usize,
        expected: RangeInclusive<usize>,
    },
    /// A number is not in the range that others leave it.
    Number {
        place: SparsePlace,
        found: i64,
        expected: RangeInclusive<i64>,
    },
    /// An axis is traversed a second time.
    AxisTwice { place: SparsePlace, axis: usize },
    /// Blocks do not divide their axis.
    Block {
        place: SparsePlace,
        block: usize,
        axis: usize,
        extent: usize,
    },
    /// The stored bytes are not those of the elements that the tree has.
    Stored {
        found: usize,
        expected: usize,
        elements: usize,
    },
    /// The sparse constants up to this one take more than the limit: the caller's, else one in proportion to the file.
    TooLarge { bytes: usize, limit: usize },
}

/// A field of the encoding: of the whole, or of one level.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct SparsePlace {
    /// The level, an index into `dim_metadata`.
    pub level: Option<usize>,
    /// The field's name in the schema.
    pub field: &'static str,
    /// The entry of a vector.
    pub entry: Option<usize>,
}

impl SparsePlace {
    pub(super) const fn field(field: &'static str) -> Self {
        Self {
            level: None,
            field,
            entry: None,
        }
    }

    pub(super) const fn of_level(level: usize, field: &'static str) -> Self {
        Self {
            level: Some(level),
            ..Self::field(field)
        }
    }

    pub(super) const fn at(self, entry: usize) -> Self {
        Self {
            entry: Some(entry),
            ..self
        }
    }
}

impl fmt::Display for SparsePlace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(level) = self.level {
            write!(f, "dim_metadata[{level}].")?;
        }
        f.write_str(self.field)?;
        match self.entry {
            Some(entry) => write!(f, "[{entry}]"),
            None => Ok(()),
        }
    }
}

/// A range as people say it.
fn write_range<T: fmt::Display + PartialOrd>(
    f: &mut fmt::Formatter<'_>,
    range: &RangeInclusive<T>,
) -> fmt::Result {
    let (low, high) = (range.start(), range.end());
    if low > high {
        f.write_str("none")
    } else if low < high {
        write!(f, "{low} to {high}")
    } else {
        write!(f, "{low}")
    }
}

impl fmt::Display for SparseError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoData => f.write_str("no data found, expected a constant's stored elements"),
            Self::Type { ty } => write!(f, "{ty} elements found, expected elements of whole bytes"),
            Self::Length {
                vector,
                found,
                expected,
            } => {
                write!(f, "{vector} of {found} entries found, expected ")?;
                write_range(f, expected)
            }
            Self::Number {
                place,
                found,
                expected,
            } => {
                write!(f, "{place} {found} found, expected ")?;
                write_range(f, expected)
            }
            Self::AxisTwice { place, axis } => {
                write!(f, "{place} {axis} found again, expected each axis once")
            }
            Self::Block {
                place,
                block,
                axis,
                extent,
            } => write!(
                f,
                "{place} {block} found, expected a divisor of axis {axis}'s {extent}"
            ),
            Self::Stored {
                found,
                expected,
                elements,
            } => write!(
                f,
                "{found} bytes of data found, expected {expected} for {elements} stored elements"
            ),
            Self::TooLarge { bytes, limit } => write!(
                f,
                "{bytes} dense bytes found with those of the sparse constants before, expected at most {limit}"
            ),
        }
    }
}

impl std::error::Error for SparseError {}
