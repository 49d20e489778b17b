//! An Edge TPU in a process of its own.
//!
//! # Why
//!
//! libedgetpu never reports a device that fails. Pull the stick out and it calls `abort` on a thread of its own, with an
//! inference in progress or without; or the inference never returns; or, after output bytes too many, all later results
//! are wrong. In the application's process nothing can be done about that. In a worker process it costs the worker: the
//! application gets an error that says what happened, with libedgetpu's last words, and its next inference starts a new
//! worker and opens the device again.
//!
//! # How to use it
//!
//! Call [`worker_main`] first in `main`. Open the device with [`Isolation`] and hand it to
//! [`EdgeTpuDelegate::isolated`](super::EdgeTpuDelegate::isolated); everything else is as in one process.
//!
//! The worker is the same program, started again through `/proc/self/exe` with the argument `edgetpu-worker`, the
//! environment of the application and `CORALLITE_EDGETPU_WORKER` in it, and a socket as standard input. [`worker_main`]
//! recognises variable and socket, serves, and never returns; in any other process it returns at once and changes
//! nothing. So what stands before it in `main` runs in the worker too, and what stands behind it does not. A program
//! that cannot be its own worker, because it is linked statically or runs under an emulator, names another one:
//! [`WorkerProgram::at`].
//!
//! # What survives what
//!
//! * Inputs lie in the interpreter's arena and stay as they are. Outputs of a failed inference are undefined.
//! * State (LSTM) lies in shared memory and is that of the last inference that worked.
//! * The worker dies with the application, however that ends; its lock on the device with it. It ignores the signals of
//!   the terminal and of a service manager, which are the application's to answer.
//! * Two threads that use one device take turns. Two processes do not share one: the second is told who has it.
//!
//! A device that is lost is reported once, by the inference that noticed. The next one tries to open it at once; if that
//! fails, inferences fail at once until the next attempt is due (see [`Isolation::pauses`]).
//!
//! Results that are wrong without a sign (output bytes too many) cannot be noticed here either. An application that
//! has a test for its results calls [`IsolatedEdgeTpu::restart`] when that fails.
//!
//! # What it costs
//!
//! Arena and operands are shared memory: the device's inputs and outputs are not copied for the other process. What is
//! copied is what libedgetpu's defects force in one process too (int8 and int16 inputs, state). The rest is one wake-up
//! per direction, about 10 microseconds on a PC: see `benches/results/edge_tpu.md`.
//!
//! | file | content |
//! | --- | --- |
//! | `settings.rs` | [`Isolation`], [`Deadlines`] |
//! | `edge_tpu.rs` | [`IsolatedEdgeTpu`]: one device, its worker, the way back after a loss |
//! | `session.rs` | a model's nodes on it |
//! | `process.rs` | the worker process, seen from the application |
//! | `worker.rs` | the worker's side |
//! | `message.rs` | what they say to each other |
//! | `error.rs` | [`IsolationError`], [`Loss`] |

mod edge_tpu;
mod error;
mod message;
mod process;
mod session;
mod settings;
mod worker;

pub use edge_tpu::IsolatedEdgeTpu;
pub(super) use edge_tpu::WeakIsolatedEdgeTpu;
pub(super) use error::Reason;
pub use error::{IsolationError, Loss};
pub use process::WorkerProgram;
pub(super) use session::{IsolatedSession, NodeRecipe};
pub use settings::{Deadlines, Isolation};

use std::sync::atomic::{AtomicBool, Ordering};

/// Whether this program can be its own worker.
static HAS_WORKER_MAIN: AtomicBool = AtomicBool::new(false);

/// Lets this program be the worker of its own isolated devices. Call it first in `main`.
///
/// In the application it returns at once. In a process that was started as a worker it serves until the application ends
/// or closes the device, and never returns.
///
/// ```
/// // First in main:
/// corallite::delegate::isolated::worker_main();
/// // Then arguments, logging, devices, models.
/// ```
pub fn worker_main() {
    worker::become_worker();
    HAS_WORKER_MAIN.store(true, Ordering::Relaxed);
}
