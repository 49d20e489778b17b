//! One error for applications: whatever layer refused.

use crate::device::DeviceError;
use crate::interpreter::{AccessError, BuildError, InvokeError};
use crate::model::LoadError;
use crate::tensor::TensorError;
use std::fmt;

/// Any error of this crate that loading, building, running or reading can give.
///
/// Its message is the layer's own; [`source`](std::error::Error::source) leads further down.
///
/// ```
/// fn scores(file: &str) -> Result<Vec<f32>, corallite::Error> {
///     let model = corallite::Model::from_file(file)?;
///     let mut interpreter = corallite::Interpreter::builder(&model).build()?;
///     interpreter.invoke()?;
///     Ok(interpreter.output(0)?.dequantize()?)
/// }
/// let error = scores("missing.tflite").unwrap_err();
/// assert!(error.to_string().starts_with("missing.tflite: "));
/// ```
#[derive(Debug)]
#[non_exhaustive]
pub enum Error {
    /// A file is no model.
    Load(LoadError),
    /// A model cannot run here.
    Build(Box<BuildError>),
    /// An inference failed.
    Invoke(InvokeError),
    /// An input or output is not what was asked for.
    Access(AccessError),
    /// A tensor's data are not what was asked for.
    Tensor(TensorError),
    /// Devices could not be listed or chosen.
    Device(DeviceError),
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Load(e) => e.fmt(f),
            Self::Build(e) => e.fmt(f),
            Self::Invoke(e) => e.fmt(f),
            Self::Access(e) => e.fmt(f),
            Self::Tensor(e) => e.fmt(f),
            Self::Device(e) => e.fmt(f),
        }
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Load(e) => e.source(),
            Self::Build(e) => e.source(),
            Self::Invoke(e) => e.source(),
            Self::Access(e) => e.source(),
            Self::Tensor(e) => e.source(),
            Self::Device(e) => e.source(),
        }
    }
}

impl From<BuildError> for Error {
    fn from(error: BuildError) -> Self {
        Self::Build(Box::new(error))
    }
}

/// Wraps each layer's error in its variant.
macro_rules! from {
    ($($variant:ident: $error:ty;)*) => {$(
        impl From<$error> for Error {
            fn from(error: $error) -> Self {
                Self::$variant(error)
            }
        }
    )*};
}

from! {
    Load: LoadError;
    Invoke: InvokeError;
    Access: AccessError;
    Tensor: TensorError;
    Device: DeviceError;
}
