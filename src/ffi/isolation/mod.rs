//! What two processes need to share one Edge TPU's work: memory, a mailbox to hand it over, and a process to hand it to.
//!
//! Owns the system calls of isolation. Knows neither models nor what the processes say to each other: that is in
//! `delegate/isolated`.
//!
//! | file | content |
//! | --- | --- |
//! | `memory.rs` | [`SharedMemory`]: a block that both processes map |
//! | `futex.rs` | sleep until a word changes, wake who sleeps |
//! | `mailbox.rs` | [`Mailbox`]: one request at a time, one wake-up per direction |
//! | `process.rs` | starting and being a worker, descriptors over a socket |

mod futex;
mod mailbox;
mod memory;
mod process;

pub(crate) use mailbox::{Answer, MAX_OPERANDS, Mailbox, OperandPlace, Request, Status};
pub(crate) use memory::{SharedHandle, SharedMemory, with_views};
pub(crate) use process::{
    exit_now, receive, send, settle_as_worker, spawn, take_control_socket, wait_for_hang_up,
};
