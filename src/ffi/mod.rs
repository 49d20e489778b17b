//! The C ABI: libedgetpu found, opened and driven as a TFLite delegate by a host that is not TFLite.
//!
//! Owns every byte that crosses the border to libedgetpu: the run-time loader ([`library`]), the C API of
//! `edgetpu_c.h` ([`edgetpu`], [`open`]), the TFLite structs as libedgetpu reads them ([`tflite`]), and the part of
//! the TFLite interpreter that its delegate calls back into ([`host`]). Knows nothing of models, packages, operators
//! or arenas: a node is a blob of custom options with input and output tensors. What it takes to do the same from
//! another process, memory that two processes map and a way to wake each other, is in `isolation`.
//!
//! All `unsafe` of the Edge TPU path is in this folder; everything public here is safe to call.
//!
//! # One binary for every libedgetpu
//!
//! libedgetpu exchanges TFLite's C structs with its host, and those grew between TFLite 2.5 and 2.19. A library built
//! against one TFLite crashes inside another (official 16.0 inside TFLite >= 2.11 reads behind the end of two short
//! structs). This host only ever reads the oldest common part of what the library hands over and always provides the
//! newest size of what the library reads, so builds against TFLite 2.5 through 2.19 work unchanged.

mod architecture;
pub mod edgetpu;
pub mod host;
#[cfg(target_os = "linux")]
pub(crate) mod isolation;
pub mod library;
mod library_error;
pub mod open;
mod options;
pub(crate) mod stderr;
pub mod tflite;
mod version;

pub use architecture::Architecture;
pub use edgetpu::{DeviceKind, DeviceRecord, EdgeTpuLibrary};
pub use host::{HostError, NodeId, Session, SessionBuilder, TensorSpec};
pub use library::SearchPath;
pub use library_error::{Attempt, AttemptFailure, LibraryError};
pub(crate) use open::WeakEdgeTpu;
pub use open::{EdgeTpu, OpenError};
pub use options::{DelegateOptions, OptionError, Performance};
pub use version::LibraryVersion;
