//! The TFLite model file, schema version 3: accessors generated from `tflite.fbs`.
//!
//! ```
//! use corallite::schema::{tflite, verifier_options};
//!
//! # let bytes: &[u8] = b"\x08\0\0\0TFL3";
//! let options = verifier_options(bytes.len());
//! match tflite::root_as_model(bytes, &options) {
//!     Ok(model) => {
//!         for operator in model.subgraphs().iter().flatten().flat_map(|graph| graph.operators()).flatten() {
//!             if let Some(conv) = operator.builtin_options_as_conv2d_options() {
//!                 println!("{:?} {}", conv.padding(), conv.stride_w());
//!             }
//!         }
//!     }
//!     Err(error) => println!("{error}"),
//! }
//! ```
// The generated code calls flatbuffers' unchecked reads on bytes that its own `Verifiable` has verified.
#![allow(unsafe_code)]
// Tables without a field never look at their bytes.
#![allow(dead_code)]

use super::read::*;
use super::verified::{Root, RootError, Verified, read_root};

include!(concat!(env!("OUT_DIR"), "/tflite.rs"));

/// A model file that was verified once.
pub type VerifiedModel<B> = Verified<Model<'static>, B>;
