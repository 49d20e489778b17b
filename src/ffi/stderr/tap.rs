//! Stderr led through a pipe.
#![allow(unsafe_code, reason = "dup and dup2 are C functions")]

use std::fs::File;
use std::io::{PipeWriter, Write};
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};
use std::sync::mpsc::{Receiver, channel};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::settle::{OPENING, Pipe, ROUTED};
use super::splitter::{MARK, Purpose, Splitter};

/// Whoever changes file descriptor 2 holds this. The value is the pipe that it is for good.
static STDERR: Mutex<Option<PipeWriter>> = Mutex::new(None);

/// From now on libedgetpu's lines go to `log`, whenever they come. Does nothing the second time, nor without a stderr,
/// or where no pipe or thread is to be had.
pub(in crate::ffi) fn route() {
    let mut routed = STDERR.lock().unwrap_or_else(PoisonError::into_inner);
    if routed.is_none()
        && let Some((writer, _)) = lead_through(&ROUTED, Purpose::Log)
    {
        *routed = Some(writer);
    }
}

/// Stderr led through a pipe, until [`Tap::finish`].
pub(in crate::ffi) struct Tap {
    saved: OwnedFd,
    writer: PipeWriter,
    lines: Receiver<Vec<String>>,
    _one: MutexGuard<'static, Option<PipeWriter>>,
}

impl Tap {
    /// Leads stderr through a pipe. `None` if there is no stderr, or no pipe or thread to be had: then the reason is
    /// lost, nothing else.
    pub(in crate::ffi) fn start() -> Option<Self> {
        let one = STDERR.lock().unwrap_or_else(PoisonError::into_inner);
        let (sender, receiver) = channel();
        let purpose = Purpose::Collect {
            hides_info: one.is_none(),
            lines: Vec::new(),
            sender,
        };
        let (writer, saved) = lead_through(&OPENING, purpose)?;
        Some(Self {
            saved,
            writer,
            lines: receiver,
            _one: one,
        })
    }

    /// Puts stderr back and returns libedgetpu's lines, oldest first.
    pub(in crate::ffi) fn finish(mut self) -> Vec<String> {
        // Without the old stderr back the thread goes on serving the pipe; nothing is lost.
        let _restored = replace_stderr(self.saved.as_raw_fd());
        OPENING.end();
        if self.writer.write_all(MARK).is_err() {
            return Vec::new();
        }
        // The thread answers as soon as it has read the mark; the limit is for a stderr that blocks it.
        self.lines
            .recv_timeout(Duration::from_secs(2))
            .unwrap_or_default()
    }
}

/// Makes stderr a pipe whose thread writes on to what it was; returns the writing end and what it was.
fn lead_through(pipe: &'static Pipe, purpose: Purpose) -> Option<(PipeWriter, OwnedFd)> {
    let saved = duplicate(libc::STDERR_FILENO)?;
    let onward = File::from(saved.try_clone().ok()?);
    let (reader, writer) = std::io::pipe().ok()?;
    let splitter = Splitter::new(onward, pipe, purpose);
    std::thread::Builder::new()
        .name("libedgetpu stderr".to_owned())
        .spawn(move || splitter.run(reader))
        .ok()?;
    pipe.begin(writer.as_raw_fd());
    if replace_stderr(writer.as_raw_fd()).is_none() {
        pipe.end();
        return None;
    }
    Some((writer, saved))
}

/// A further descriptor for the same file, closed on exec.
fn duplicate(descriptor: RawFd) -> Option<OwnedFd> {
    // SAFETY: fcntl with F_DUPFD_CLOEXEC takes any number and fails on one that is not open.
    let copy = unsafe { libc::fcntl(descriptor, libc::F_DUPFD_CLOEXEC, 3) };
    if copy < 0 {
        return None;
    }
    // SAFETY: the descriptor was just made and nobody else knows it.
    Some(unsafe { OwnedFd::from_raw_fd(copy) })
}

/// Makes descriptor 2 a copy of `source`.
fn replace_stderr(source: RawFd) -> Option<()> {
    // SAFETY: both numbers are open descriptors; replacing 2 in one step leaves no moment without a stderr.
    let result = unsafe { libc::dup2(source, libc::STDERR_FILENO) };
    (result >= 0).then_some(())
}
