//! Why a comparison could not be made.

use crate::interpreter::{AccessError, BuildError, InvokeError};
use crate::oracle::npy::NpyError;
use crate::oracle::npz::NpzError;
use crate::tensor::{Shape, TensorType};
use std::fmt;

/// Why a comparison could not be made.
#[derive(Debug)]
#[non_exhaustive]
pub enum CompareError {
    /// The archive is damaged.
    Archive { source: NpzError },
    /// An array's elements are no numbers.
    Array { array: String, source: NpyError },
    /// An array holds NaN or infinity.
    NotFinite {
        array: String,
        index: usize,
        value: f32,
    },
    /// The map names an array that the archive does not have.
    NoSuchArray { array: String, present: Vec<String> },
    /// The map names a tensor that the model does not have, or that no operator computes.
    NoSuchTensor { tensor: String },
    /// The map names an input that the model does not have.
    NoSuchInput { input: String, present: Vec<String> },
    /// No array was found for an input of the model.
    NoInput {
        input: String,
        shape: Box<Shape>,
        candidates: Vec<String>,
    },
    /// The elements of an array are no multiple of a tensor's.
    Shape {
        array: String,
        found: Vec<usize>,
        tensor: String,
        expected: Box<Shape>,
    },
    /// Two arrays that hold different numbers of samples.
    Samples {
        array: String,
        found: usize,
        expected: usize,
    },
    /// An input of the model is neither float32 nor codes with one scale.
    InputType { input: String, ty: TensorType },
    /// The model runs other subgraphs, whose operators have no fixed order.
    ControlFlow { operator: String },
    /// No operator computes codes.
    NotQuantized,
    /// No tensor could be paired with an array.
    NothingMapped { tensors: usize, arrays: usize },
    /// The model cannot be run.
    Build { source: Box<BuildError> },
    /// An inference failed.
    Invoke { source: InvokeError },
    /// An input could not be written.
    Access { source: AccessError },
}

impl fmt::Display for CompareError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Archive { source } => source.fmt(f),
            Self::Array { array, source } => write!(f, "array {array:?}: {source}"),
            Self::NotFinite {
                array,
                index,
                value,
            } => write!(
                f,
                "array {array:?}: element {index} is {value}, expected finite numbers; look for the step that made it"
            ),
            Self::NoSuchArray { array, present } => write!(
                f,
                "the map names the array {array:?}, which the archive does not hold; it holds {}",
                list(present)
            ),
            Self::NoSuchTensor { tensor } => write!(
                f,
                "the map names the tensor {tensor:?}, which is neither an input nor an operator's result; `corallite \
                 inspect` lists names and indices"
            ),
            Self::NoSuchInput { input, present } => write!(
                f,
                "the map names the input {input:?}, which the model does not have; it has {}",
                list(present)
            ),
            Self::NoInput {
                input,
                shape,
                candidates,
            } => write!(
                f,
                "no array for the input {input:?} of shape {shape}: found {}, expected one named as the input or \
                 beginning with \"input\"; name it under \"inputs\" in a map",
                list(candidates)
            ),
            Self::Shape {
                array,
                found,
                tensor,
                expected,
            } => write!(
                f,
                "array {array:?} has shape {found:?}, whose elements are no multiple of tensor {tensor:?} {expected}; \
                 give samples along axis 0"
            ),
            Self::Samples {
                array,
                found,
                expected,
            } => write!(
                f,
                "array {array:?} holds {found} inference(s), the inputs hold {expected}; dump all arrays in one run"
            ),
            Self::InputType { input, ty } => write!(
                f,
                "input {input:?} is {ty}, expected float32, or uint8, int8 or int16 with one scale; convert the model with \
                 quantized inputs"
            ),
            Self::ControlFlow { operator } => write!(
                f,
                "the model has {operator}, expected a graph without control flow; compare its subgraphs as models of their own"
            ),
            Self::NotQuantized => f.write_str(
                "no operator of the model computes codes of 8 or 16 bits with one scale, expected a quantized model; convert it \
                 with full integer quantization",
            ),
            Self::NothingMapped { tensors, arrays } => write!(
                f,
                "none of {tensors} quantized tensor(s) could be paired with one of {arrays} array(s); pair them in a map"
            ),
            Self::Build { source } => source.fmt(f),
            Self::Invoke { source } => source.fmt(f),
            Self::Access { source } => source.fmt(f),
        }
    }
}

/// Names for a message: the first few.
fn list(names: &[String]) -> String {
    const SHOWN: usize = 8;
    if names.is_empty() {
        return "none".to_owned();
    }
    let mut text = names[..names.len().min(SHOWN)].join(", ");
    if names.len() > SHOWN {
        text.push_str(&format!(" and {} more", names.len() - SHOWN));
    }
    text
}

impl std::error::Error for CompareError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Archive { source } => Some(source),
            Self::Array { source, .. } => Some(source),
            Self::Build { source } => Some(source),
            Self::Invoke { source } => Some(source),
            Self::Access { source } => Some(source),
            _ => None,
        }
    }
}
