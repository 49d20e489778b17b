//! Why a command failed, in one line.

use crate::qat::QatFailure;
use corallite::device::DeviceError;
use corallite::interpreter::{AccessError, BuildError, InvokeError};
use corallite::model::LoadError;
use corallite::oracle::npy::{NpyError, NpyType};
use corallite::tensor::{Shape, TensorType};
use std::fmt;
use std::io;
use std::path::PathBuf;

/// Why a command failed.
#[derive(Debug)]
pub enum Failure {
    /// No command was given.
    NoCommand,
    /// A command that does not exist.
    UnknownCommand { found: String },
    /// Options that a command (or, where empty, the tool) does not take.
    Arguments {
        command: &'static str,
        source: lexopt::Error,
    },
    /// A file is no model.
    Load {
        model: PathBuf,
        source: Box<LoadError>,
    },
    /// No interpreter could be built.
    Build {
        model: PathBuf,
        source: Box<BuildError>,
    },
    /// The number of arrays fits no number of invocations.
    InputCount {
        model: PathBuf,
        found: usize,
        inputs: usize,
    },
    /// A file is no array, or cannot be written.
    Array { source: NpyError },
    /// An array whose elements are not the input's.
    InputType {
        input: Box<Input>,
        found: NpyType,
        ty: TensorType,
        expected: Option<NpyType>,
    },
    /// An array whose shape is not the input's.
    InputShape {
        input: Box<Input>,
        found: Vec<usize>,
        expected: Shape,
        open: Option<Box<[i32]>>,
    },
    /// An array of another shape than the same input had in the invocation before.
    ShapeChanged {
        input: Box<Input>,
        found: Vec<usize>,
        first: Shape,
    },
    /// An inference failed.
    Invoke {
        model: PathBuf,
        source: Box<InvokeError>,
    },
    /// An input or output could not be accessed.
    Access { model: PathBuf, source: AccessError },
    /// An output whose elements NumPy has no type for.
    OutputType {
        model: PathBuf,
        output: usize,
        ty: TensorType,
    },
    /// A command of `corallite qat` failed.
    Qat(Box<QatFailure>),
    /// A file or folder could not be read, made or renamed.
    File { path: PathBuf, source: io::Error },
    /// Devices could not be listed.
    Devices { source: DeviceError },
    /// Stdout could not be written.
    Stdout { source: io::Error },
    /// A line of a batch list that is no case.
    BatchLine { fields: usize },
    /// A field of a line of a batch list is empty.
    BatchField { field: usize },
    /// A case ended in a panic: a defect of ours.
    Internal,
    /// Cases of a batch failed.
    Batch {
        list: PathBuf,
        cases: usize,
        failed: usize,
        line: usize,
        first: Box<Failure>,
    },
}

/// An input of the model and the array given for it, for messages.
#[derive(Debug)]
pub struct Input {
    /// The array's file.
    pub file: PathBuf,
    /// In the order of the model.
    pub index: usize,
    /// The tensor's name.
    pub name: String,
}

impl fmt::Display for Input {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "input {} \"{}\"", self.index, self.name)
    }
}

impl Failure {
    /// 2 where the command line is wrong, otherwise 1.
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::NoCommand | Self::UnknownCommand { .. } | Self::Arguments { .. } => 2,
            _ => 1,
        }
    }
}

impl From<QatFailure> for Failure {
    fn from(failure: QatFailure) -> Self {
        Self::Qat(Box::new(failure))
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoCommand => write!(f, "a command is missing; see `corallite --help`"),
            Self::UnknownCommand { found } => {
                write!(f, "unknown command {found:?}; see `corallite --help`")
            }
            Self::Arguments { command, source } => {
                let space = if command.is_empty() { "" } else { " " };
                write!(f, "{source}; see `corallite {command}{space}--help`")
            }
            // This message begins with the path.
            Self::Load { source, .. } if matches!(**source, LoadError::File { .. }) => {
                source.fmt(f)
            }
            Self::Load { model, source } => write!(f, "{}: {source}", model.display()),
            Self::Build { model, source } => write!(f, "{}: {source}", model.display()),
            Self::InputCount {
                model,
                found,
                inputs: 0,
            } => write!(
                f,
                "{}: {found} input array(s) given, the model takes none; leave --input out",
                model.display()
            ),
            Self::InputCount {
                model,
                found,
                inputs,
            } => write!(
                f,
                "{}: {found} input array(s) given, expected {inputs} per invocation; give one per input of the model",
                model.display()
            ),
            Self::Array { source } => source.fmt(f),
            Self::Qat(failure) => failure.fmt(f),
            Self::InputType {
                input,
                found,
                ty,
                expected: Some(expected),
            } => write!(
                f,
                "{}: elements {found} found, {input} is {ty} and expects {expected}; convert the array",
                input.file.display()
            ),
            Self::InputType {
                input,
                found,
                ty,
                expected: None,
            } => write!(
                f,
                "{}: elements {found} found, but {input} is {ty}, which no array can hold; convert the model",
                input.file.display()
            ),
            Self::InputShape {
                input,
                found,
                expected,
                open,
            } => {
                write!(
                    f,
                    "{}: shape {found:?} found, {input} expects {expected}",
                    input.file.display()
                )?;
                if let Some(open) = open {
                    write!(f, ", open as {open:?}")?;
                }
                write!(f, "; reshape the array, or try --resize")
            }
            Self::ShapeChanged {
                input,
                found,
                first,
            } => write!(
                f,
                "{}: shape {found:?} found, {input} had {first} in the invocation before; use one shape per run",
                input.file.display()
            ),
            Self::Invoke { model, source } => write!(f, "{}: {source}", model.display()),
            Self::Access { model, source } => write!(f, "{}: {source}", model.display()),
            Self::OutputType { model, output, ty } => write!(
                f,
                "{}: output {output} is {ty}, which a .npy file cannot hold; convert the model",
                model.display()
            ),
            Self::File { path, source } => write!(f, "{}: {source}", path.display()),
            Self::Devices { source } => source.fmt(f),
            Self::Stdout { source } => write!(f, "stdout: {source}"),
            Self::BatchLine { fields } => write!(
                f,
                "{fields} tab-separated field(s) found, expected MODEL, inputs and OUT"
            ),
            Self::BatchField { field } => {
                write!(
                    f,
                    "field {field} is empty, expected a path; use single tabs"
                )
            }
            Self::Internal => write!(f, "internal error, please report it with the model"),
            Self::Batch {
                list,
                cases,
                failed,
                line,
                first,
            } => write!(
                f,
                "{}: {failed} of {cases} case(s) failed, reasons are in their error.txt; first on line {line}: {first}",
                list.display()
            ),
        }
    }
}

impl std::error::Error for Failure {}
