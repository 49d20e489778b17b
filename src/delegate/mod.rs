//! Running operators elsewhere: on an Edge TPU in this process or in a child of it.
//!
//! A [`Delegate`] claims operators and turns them into kernels; the interpreter treats those like any other. Delegates
//! know models and operators, never plans or interpreters.
//!
//! | file | content |
//! | --- | --- |
//! | `edgetpu.rs` | [`EdgeTpuDelegate`]: libedgetpu in this process or in one of its own |
//! | `operands.rs` | operands in libedgetpu's order |
//! | `isolated/` | libedgetpu in a process of its own |
//! | `absent.rs` | [`AbsentEdgeTpu`]: claims operators, to look at the rest of a model |
//! | `compiled.rs` | what a model has for the Edge TPU |
//! | `request.rs` | [`DeviceRequest`]: which device, with which options |
//! | `attach.rs` | from a request to an open device, one per process |
//! | `placement.rs` | [`Placement`]: Edge TPU or CPU, and why |
//! | `examine.rs` | the facts for `device::doctor` |
//! | `error.rs`, `attach_error.rs` | why operators are refused, why a device is not used |

mod absent;
mod attach;
mod attach_error;
mod compiled;
#[cfg(unix)]
mod edgetpu;
mod error;
mod examine;
#[cfg(target_os = "linux")]
pub mod isolated;
#[cfg(unix)]
mod operands;
mod placement;
mod request;

pub use absent::AbsentEdgeTpu;
pub use attach_error::AttachError;
pub use compiled::{CompiledOperator, EDGE_TPU_OPERATOR, compiled_operators, is_compiled};
#[cfg(unix)]
pub use edgetpu::EdgeTpuDelegate;
pub use error::DelegateError;
pub use examine::examine;
pub(crate) use placement::place;
pub use placement::{CpuReason, Placement};
pub use request::{DeviceRequest, OPTIONS_VARIABLE, VERBOSITY_VARIABLE};

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

    /// Memory for the arena of the interpreter that is being built, at least `bytes` bytes, if the operators prepared
    /// last run best on memory of the delegate's choice. Asked once, after `prepare`.
    fn arena(&mut self, bytes: usize) -> Option<Box<dyn ArenaMemory>> {
        let _ = bytes;
        None
    }
}

/// Zeroed memory that holds every tensor an inference computes, at a multiple of 16.
pub trait ArenaMemory: std::fmt::Debug + Send + Sync {
    /// All bytes.
    fn bytes(&self) -> &[u8];

    /// All bytes, for writing.
    fn bytes_mut(&mut self) -> &mut [u8];
}
