//! The Edge TPU's package and its nested buffers: accessors generated from `darwinn.fbs`.
//!
//! A [`Package`] is the root of its buffer; [`MultiExecutable`] and [`Executable`] are roots of buffers inside it, which
//! have no file identifier:
//!
//! ```
//! use corallite::schema::{RootError, darwinn, read_root, verifier_options};
//!
//! fn executables(package: &[u8]) -> Result<Vec<&[u8]>, RootError> {
//!     let package = darwinn::root_as_package(package, &verifier_options(package.len()))?;
//!     let multi = package.serialized_multi_executable().map_or(&[][..], |bytes| bytes.bytes());
//!     let multi = read_root::<darwinn::MultiExecutable>(multi, &verifier_options(multi.len()))?;
//!     let executables = multi.serialized_executables().into_iter().flatten();
//!     Ok(executables.map(|bytes| bytes.bytes()).collect())
//! }
//! assert!(executables(b"DWN1").is_err());
//! ```
// The generated code calls flatbuffers' unchecked reads on bytes that its own `Verifiable` has verified.
#![allow(unsafe_code)]
// Tables without a field never look at their bytes.
#![allow(dead_code)]

use super::read::*;
use super::verified::{Root, RootError, read_root};

include!(concat!(env!("OUT_DIR"), "/darwinn.rs"));

// SAFETY: the verifier of each table of the schema checks every field that it has an accessor for.
unsafe impl Root for MultiExecutable<'static> {
    type At<'a> = MultiExecutable<'a>;
    const IDENTIFIER: Option<[u8; 4]> = None;
}

// SAFETY: as above.
unsafe impl Root for Executable<'static> {
    type At<'a> = Executable<'a>;
    const IDENTIFIER: Option<[u8; 4]> = None;
}
