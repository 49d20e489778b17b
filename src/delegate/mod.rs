//! Running operators elsewhere: on an Edge TPU in this process or in a child of it.
//!
//! A [`Delegate`] claims operators and turns them into kernels; the interpreter treats those like any other. Delegates
//! know models and operators, never plans or interpreters.

#[cfg(unix)]
mod edgetpu;
mod error;

#[cfg(unix)]
pub use edgetpu::EdgeTpuDelegate;
pub use error::DelegateError;

use crate::ops::{Node, Prepared, Settings};

/// Something that runs operators in place of this crate's kernels.
pub trait Delegate: Send {
    /// What it is, for messages: `Edge TPU usb:0`.
    fn name(&self) -> &str;

    /// Whether it runs this operator.
    fn claims(&self, node: &Node<'_>) -> bool;

    /// Prepares all operators it claimed, in execution order: one result for each.
    ///
    /// # Errors
    /// The device or the operators' own data make it impossible; the model is then not built.
    fn prepare(
        &mut self,
        nodes: &[Node<'_>],
        settings: &Settings,
    ) -> Result<Vec<Prepared>, DelegateError>;
}
