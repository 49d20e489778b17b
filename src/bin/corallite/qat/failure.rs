//! Why a command of `corallite qat` failed, in one line.

use corallite::oracle::compare::CompareError;
use corallite::oracle::diff::DiffError;
use corallite::oracle::fake_quant::FakeQuantError;
use corallite::oracle::npy::{NpyError, NpyType};
use corallite::oracle::npz::NpzError;
use std::fmt;
use std::path::PathBuf;

/// Why a command failed.
#[derive(Debug)]
pub enum QatFailure {
    /// An archive could not be read or written.
    Archive { source: NpzError },
    /// An array could not be made.
    Array { source: NpyError },
    /// An archive from which no array was chosen.
    Choice { file: PathBuf, present: Vec<String> },
    /// An array of other elements than float32.
    Type {
        file: PathBuf,
        array: String,
        found: NpyType,
    },
    /// An array whose last axis is not one range each.
    Channels {
        file: PathBuf,
        array: String,
        found: Vec<usize>,
        ranges: usize,
    },
    /// Gradients of another shape than the values.
    Shape {
        file: PathBuf,
        array: String,
        found: Vec<usize>,
        expected: Vec<usize>,
    },
    /// Arrays and model that cannot be compared.
    Compare {
        file: PathBuf,
        source: Box<CompareError>,
    },
    /// Two models that cannot be compared.
    Diff { source: Box<DiffError> },
    /// More or fewer input files than inputs.
    Inputs { found: usize, expected: usize },
    /// A file that is no map.
    Map { file: PathBuf, reason: String },
    /// Values or ranges that cannot be fake-quantized.
    FakeQuant {
        file: PathBuf,
        source: FakeQuantError,
    },
}

impl fmt::Display for QatFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Archive { source } => source.fmt(f),
            Self::Array { source } => source.fmt(f),
            Self::Choice { file, present } => write!(
                f,
                "{}: arrays {present:?} found, expected one named \"x\" or only one; choose with --array",
                file.display()
            ),
            Self::Type { file, array, found } => write!(
                f,
                "{}: array {array:?} has elements {found}, expected <f4; convert with astype(numpy.float32)",
                file.display()
            ),
            Self::Channels {
                file,
                array,
                found,
                ranges,
            } => write!(
                f,
                "{}: array {array:?} has shape {found:?}, expected {ranges} along the last axis; give one range, or one per \
                 channel",
                file.display()
            ),
            Self::Shape {
                file,
                array,
                found,
                expected,
            } => write!(
                f,
                "{}: array {array:?} has shape {found:?}, expected {expected:?} like the values",
                file.display()
            ),
            Self::Compare { file, source } => match &**source {
                // The archive's own error names its file.
                CompareError::Archive { source } => source.fmt(f),
                source => write!(f, "{}: {source}", file.display()),
            },
            Self::Diff { source } => source.fmt(f),
            Self::Inputs { found, expected } => write!(
                f,
                "{found} input file(s), expected {expected}: a .npy file for each input of model A, or one .npz"
            ),
            Self::Map { file, reason } => write!(
                f,
                "{}: {reason}; a map is {{\"inputs\": {{INPUT: ARRAY}}, \"tensors\": {{TENSOR: ARRAY or null}}}}",
                file.display()
            ),
            Self::FakeQuant { file, source } => write!(f, "{}: {source}", file.display()),
        }
    }
}
