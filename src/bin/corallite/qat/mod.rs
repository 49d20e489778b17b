//! `corallite qat`: the numbers of quantization-aware training.

mod args;
mod budget;
mod compare;
mod diff;
mod failure;
mod fq;
mod help;
mod lint;
mod qparams;

pub use args::{parse, parser_name};
pub use failure::QatFailure;

use crate::failure::Failure;
use std::process::ExitCode;

/// A command of `corallite qat` with its options.
pub enum Qat {
    /// `corallite qat qparams`.
    Qparams(qparams::Options),
    /// `corallite qat fq`.
    Fq(fq::Options),
    /// `corallite qat compare`.
    Compare(compare::Options),
    /// `corallite qat diff`.
    Diff(diff::Options),
    /// `corallite qat lint`.
    Lint(lint::Options),
    /// `corallite qat budget`.
    Budget(budget::Options),
}

/// Runs the command.
pub fn execute(command: &Qat) -> Result<ExitCode, Failure> {
    match command {
        Qat::Qparams(options) => qparams::qparams(options),
        Qat::Fq(options) => fq::fq(options),
        Qat::Compare(options) => compare::compare(options),
        Qat::Diff(options) => diff::diff(options),
        Qat::Lint(options) => lint::lint(options),
        Qat::Budget(options) => budget::budget(options),
    }
}
