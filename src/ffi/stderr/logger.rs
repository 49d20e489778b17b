//! The thread that logs.
//!
//! Not the one that reads the pipe: a logger writes to stderr as a rule, so to that pipe, which may be full.

use std::sync::OnceLock;
use std::sync::mpsc::{SyncSender, TrySendError, sync_channel};

use super::lines::message;
use super::settle::Pipe;

/// Lines that wait at most; more than that pass by the logger.
const MAX_WAITING: usize = 1024;

enum Event {
    Line(log::Level, String),
    Mark(&'static Pipe),
}

/// The thread's queue; without a thread there is none.
fn queue() -> Option<&'static SyncSender<Event>> {
    static QUEUE: OnceLock<Option<SyncSender<Event>>> = OnceLock::new();
    let start = || {
        let (sender, receiver) = sync_channel(MAX_WAITING);
        std::thread::Builder::new()
            .name("libedgetpu log".to_owned())
            .spawn(move || {
                for event in receiver {
                    match event {
                        Event::Line(level, line) => log_line(level, &line),
                        Event::Mark(pipe) => pipe.is_through(),
                    }
                }
            })
            .ok()?;
        Some(sender)
    };
    QUEUE.get_or_init(start).as_ref()
}

/// Logs a line of libedgetpu, in the caller's thread.
pub(crate) fn log_line(level: log::Level, line: &str) {
    log::log!(target: "libedgetpu", level, "{}", message(line));
}

/// Has a line logged soon; false if it cannot be.
pub(super) fn log_soon(level: log::Level, line: &str) -> bool {
    queue().is_some_and(|queue| queue.try_send(Event::Line(level, line.to_owned())).is_ok())
}

/// Tells the pipe of a mark when all lines so far are logged.
pub(super) fn mark(pipe: &'static Pipe) {
    let waiting = queue().map(|queue| queue.try_send(Event::Mark(pipe)));
    if !matches!(waiting, Some(Ok(()) | Err(TrySendError::Full(_)))) {
        pipe.is_through();
    }
}
