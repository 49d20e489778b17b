//! `corallite run`: a model on arrays, once or many times.

use crate::batch;
use crate::failure::Failure;
use crate::session::{Case, Session};
use corallite::delegate::DeviceRequest;
use corallite::fixedpoint::Profile;
use corallite::ops::KernelChoice;
use std::path::PathBuf;

/// Options of `corallite run`.
pub struct RunOptions {
    /// The case or the list of cases.
    pub what: What,
    /// Whose arithmetic.
    pub profile: Profile,
    /// Which kernel variants.
    pub kernels: KernelChoice,
    /// How many threads an operator may use.
    pub threads: usize,
    /// The signature that runs; the first subgraph unless given.
    pub signature: Option<String>,
    /// Inputs take their arrays' shapes even where the file declares others.
    pub resize: bool,
    /// Where compiled operators run.
    pub device: DeviceRequest,
    /// The model that runs where no device can be used.
    pub cpu_model: Option<PathBuf>,
}

/// What to run.
pub enum What {
    /// One case, from the command line.
    Case(Case),
    /// A case per line of this file.
    Batch(PathBuf),
}

/// Runs the command.
pub fn run(options: &RunOptions) -> Result<(), Failure> {
    let mut session = Session::new(options)?;
    match &options.what {
        What::Case(case) => session.run(case),
        What::Batch(list) => batch::run(list, &mut session),
    }
}
