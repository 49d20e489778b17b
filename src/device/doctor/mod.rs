//! Why the Edge TPU does not work, and what to do about it.
//!
//! Other runtimes have one sentence for all of it, "failed to load delegate". Here [`Facts`] are gathered first, plain
//! data about library, devices, machine and model; [`diagnose`] is a pure function from them to a [`Report`] of
//! [`Finding`]s, each with a [`Cause`], what was found, and the fix. What only the layers above can know, whether the
//! library loads and what a model needs, they fill in.
//!
//! ```
//! use corallite::device::System;
//! use corallite::device::doctor::{Facts, diagnose};
//! let facts = Facts::gather(&System::host())?;
//! let report = diagnose(&facts);
//! for finding in &report.findings {
//!     println!("{finding}");
//! }
//! let exit_code = i32::from(!report.healthy());
//! # Ok::<(), corallite::device::DeviceError>(())
//! ```
//!
//! | file | content |
//! | --- | --- |
//! | `cause.rs` | [`Cause`]: everything that can be wrong, with its stable id |
//! | `report.rs` | [`Finding`], [`Report`] |
//! | `facts.rs` | [`Facts`] and its parts |
//! | `library.rs` | from load attempts to causes |
//! | `attached.rs` | from devices to causes |
//! | `model.rs` | from a model's needs to causes |
//! | `steps.rs` | [`Step`]: the chain from library to chip, link by link |
//! | `fixes.rs` | texts of fixes that several causes share; the udev rules |

mod attached;
mod cause;
mod facts;
mod fixes;
mod library;
mod model;
mod report;
mod steps;

#[cfg(test)]
mod tests;

pub use cause::{Cause, Severity};
pub use facts::{
    Facts, LibraryFacts, LoadAttempt, LoadFailure, LoadedLibrary, ModelFacts, OpenAttempt,
};
pub use fixes::UDEV_RULES;
pub use report::{Finding, Report};
pub use steps::{Check, Outcome, Step, steps};

/// Finds the causes in the facts, the worst first.
pub fn diagnose(facts: &Facts) -> Report {
    let mut findings = Vec::new();
    library::diagnose(facts, &mut findings);
    model::diagnose(facts, &mut findings);
    attached::diagnose(facts, &mut findings);
    findings.sort_by_key(|finding| finding.severity);
    Report { findings }
}
