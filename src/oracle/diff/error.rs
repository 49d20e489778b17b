//! Why two sides could not be compared.

use crate::oracle::compare::CompareError;
use std::fmt;

/// One of the two sides.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Which {
    /// The first.
    A,
    /// The second.
    B,
}

impl fmt::Display for Which {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::A => "A",
            Self::B => "B",
        })
    }
}

/// Why two sides could not be compared.
#[derive(Debug)]
#[non_exhaustive]
pub enum DiffError {
    /// One side does not get its inputs or cannot run.
    Side {
        which: Which,
        source: Box<CompareError>,
    },
    /// The models have different numbers of inputs.
    Inputs { a: usize, b: usize },
    /// The same arrays are different numbers of inferences for the two models.
    Batch { a: usize, b: usize },
    /// An input is float32 and no QUANTIZE tells the range of its values.
    NoRange { input: String },
    /// No layer of A has a partner in B.
    NothingMatched { a: usize, b: usize },
}

impl DiffError {
    pub(super) fn side(which: Which, source: CompareError) -> Self {
        Self::Side {
            which,
            source: Box::new(source),
        }
    }
}

impl fmt::Display for DiffError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Side { which, source } => write!(f, "model {which}: {source}"),
            Self::Inputs { a, b } => write!(
                f,
                "model A has {a} input(s), model B {b}, expected as many; compare models of one task"
            ),
            Self::Batch { a, b } => write!(
                f,
                "the inputs are {a} inference(s) of model A and {b} of model B, expected as many; compare models whose inputs \
                 have as many elements"
            ),
            Self::NoRange { input } => write!(
                f,
                "input {input:?} is float32 and no QUANTIZE reads it: no range for random values is known; give inputs"
            ),
            Self::NothingMatched { a, b } => write!(
                f,
                "none of the {a} quantized result(s) of model A could be matched with one of the {b} of model B, by name or \
                 by order, operator and shape; compare two conversions of one network"
            ),
        }
    }
}

impl std::error::Error for DiffError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Side { source, .. } => Some(source),
            _ => None,
        }
    }
}
