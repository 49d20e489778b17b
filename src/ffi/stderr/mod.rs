//! What libedgetpu writes to stderr, on its way to `log`.
//!
//! libedgetpu tells of itself on stderr alone: of a failed open only the null pointer is in the C API, and the reason is one
//! line at verbosity 1. So file descriptor 2 is made a pipe, for the one call that opens a device ([`Tap`]) or from
//! the moment an application asks for libedgetpu's lines ([`route`]). A thread reads it: lines in libedgetpu's form go
//! to `log`, or on to the real stderr where no logger is set; all others, of whoever, go on as they come.
//!
//! A process that exits or aborts waits until the thread has got everything through ([`settle`]): libedgetpu's last
//! words come right before it aborts. Only a signal that ends the process at once, as SIGKILL does, can cut off what
//! was written in the last moment.
//!
//! | file | content |
//! |---|---|
//! | `lines.rs` | the form of a line |
//! | `logger.rs` | the thread that logs |
//! | `splitter.rs` | the thread that parts the stream |
//! | `tap.rs` | stderr led through a pipe, for a call or for good |
//! | `settle.rs` | what happens at exit and abort |

mod lines;
mod logger;
mod settle;
mod splitter;
mod tap;

pub(crate) use lines::{level, reason, words};
pub(crate) use logger::log_line;
pub(super) use tap::{Tap, route};
