//! Turns a FlatBuffers schema into Rust accessors: what `flatc` would do, for the part of the language we use.
//!
//! Compiled twice: into the build script, which writes the accessors, and into the crate's tests. It therefore knows
//! std and its own folder, nothing else. Whatever it does not implement it refuses, with the line and the reason; it
//! never skips a construct. Left out on purpose: `include`, `rpc_service`, fixed arrays, vectors of vectors or unions,
//! optional scalars (`= null`), structs in structs, bit flags, and every attribute but `deprecated`, `force_align`
//! (nothing to do when reading) and our own `bytes` (a string that is not text).

mod ast;
mod check;
mod emit;
mod error;
mod lexer;
mod names;
mod parser;

pub use error::Refusal;

/// The Rust source of the accessors for `schema`, the text of an `.fbs` file.
///
/// # Errors
/// A construct that is malformed, undefined or outside of the implemented part of the language.
pub fn generate(schema: &str) -> Result<String, Refusal> {
    let tokens = lexer::lex(schema)?;
    let parsed = parser::parse(&tokens)?;
    let checked = check::check(parsed)?;
    Ok(emit::emit(&checked))
}

#[cfg(test)]
mod tests;
