//! The file formats built on FlatBuffers: what is stored where, and nothing about what it means.
//!
//! Owns the schemas (`*.fbs`, our own wording of the public formats), the generator that turns them into accessors
//! while the crate is built (`generator/`, run by build.rs), and the verification of a buffer. Knows neither tensors
//! nor operators; whether an index or a shape makes sense is for `model` to say.
//!
//! Names follow `flatc`: a table is a `Copy` struct over the bytes, a field is a method. Scalars come with their
//! default, everything else as `Option`; enumerations are numbers with constants, because a file may hold any number.
//!
//! - [`tflite`]: the model file.
//! - [`darwinn`]: the package for the Edge TPU inside a compiled model.
//! - [`flexbuffer`]: the map that custom options are.
//! - [`metadata`]: what a model says about itself, labels above all.
//! - [`Verified`]: bytes that were verified once and can be read ever after.

pub mod darwinn;
pub mod flexbuffer;
pub mod metadata;
mod read;
pub mod tflite;
mod verified;

#[cfg(test)]
mod generator;
#[cfg(test)]
mod tests;

pub use flatbuffers::{ForwardsUOffset, InvalidFlatbuffer, Vector, VerifierOptions};
pub use read::{Double, Long, Ulong};
pub use verified::{Root, RootError, StableBytes, Verified, read_root, verifier_options};
