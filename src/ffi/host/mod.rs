//! Plays the TFLite interpreter to libedgetpu's delegate.
//!
//! A [`SessionBuilder`] collects the `edgetpu-custom-op` nodes of one model. [`SessionBuilder::prepare`] lets the
//! delegate walk over them: it asks for the execution plan, looks at each node, and hands back a kernel for each one
//! it takes; each kernel is made, then prepared, once. The [`Session`] that results runs the nodes one at a time.
//!
//! # What the host promises libedgetpu
//!
//! * The context, the tensor array and the nodes stay where they are from `prepare` to drop.
//! * Each node has tensors of its own, inputs first, so that index order is operand order.
//! * `buffer_handle` is -1 in every tensor: any other value aborts the process.
//! * A kernel is prepared once. The type system sees to it: `prepare` takes the builder. After a failed registration
//!   libedgetpu answers a second prepare with `abort`.
//! * Dims handed to `ResizeTensor` are the host's from then on: copied, and freed with the C library's `free`.
//! * Kernels are freed before the delegate.
//!
//! # What the host does not believe
//!
//! * No word behind the 64 (32-bit: 32) bytes of a registration or the 48 (32) of a delegate is read.
//! * The library's `Prepare` ignores failures of the nodes it took: the host remembers its own.
//! * `ReportError` formats are never expanded, except the one form libedgetpu has.
//! * Inputs that are not uint8 are copied before each inference, whatever their alignment: libedgetpu flips the sign
//!   bit of int8 and int16 in place and leaves it flipped, so a second inference would send wrong numbers, an input
//!   shared with another operator would be corrupted, and a constant in read-only memory would end the process.
//!
//! # What the caller must know
//!
//! A device that fails does not make `invoke` return an error. libedgetpu aborts the process, or never returns. The
//! custom options must have been verified: a corrupt index inside them ends the process within libedgetpu.

mod callbacks;
mod error;
mod replace;
mod session;
mod state;
mod tensors;

pub use error::{HostError, Side};
pub use session::{NodeId, Session, SessionBuilder};
pub use tensors::TensorSpec;
#[cfg(target_os = "linux")]
pub(crate) use tensors::fill_with_zero_point;
