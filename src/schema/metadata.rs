//! What a model says about itself: accessors generated from `metadata.fbs`.
//!
//! ```
//! use corallite::schema::{RootError, metadata, verifier_options};
//!
//! /// Names of the files with the labels of output 0, of a buffer that the model calls TFLITE_METADATA.
//! fn label_files(buffer: &[u8]) -> Result<Vec<&str>, RootError> {
//!     let root = metadata::root_as_model_metadata(buffer, &verifier_options(buffer.len()))?;
//!     let subgraph = root.subgraph_metadata().iter().flatten().next();
//!     let output = subgraph.and_then(|s| s.output_tensor_metadata()?.iter().next());
//!     let files = output.and_then(|o| o.associated_files());
//!     Ok(files.iter().flatten().filter_map(|file| file.name()).collect())
//! }
//! assert!(label_files(b"M001").is_err());
//! ```
// The generated code calls flatbuffers' unchecked reads on bytes that its own `Verifiable` has verified.
#![allow(unsafe_code)]
// Tables without a field never look at their bytes; one name of the format is not in snake case.
#![allow(dead_code, non_snake_case)]

use super::read::*;
use super::verified::{Root, RootError, read_root};

include!(concat!(env!("OUT_DIR"), "/metadata.rs"));
