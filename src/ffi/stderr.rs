//! What libedgetpu writes to stderr while a device is opened.
//!
//! The C API answers a failed open with a null pointer; the reason is one line on stderr, at verbosity 1. So during
//! that one call file descriptor 2 is a pipe. A thread reads it: lines in libedgetpu's log form are collected and go to
//! `log`; all others, of whatever thread, go on to the real stderr at once.
//!
//! The thread outlives the tap until the last writer is gone, so that a child process started meanwhile, which has the
//! pipe as its stderr for good, never writes into a closed one.
#![allow(unsafe_code, reason = "dup and dup2 are C functions")]

use std::fs::File;
use std::io::{PipeWriter, Read, Write};
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// Ends the part of the stream that belongs to the tap. Holds bytes that no log line has.
const END: &[u8] = b"\0\x01corallite: end of tap\x01\0";

/// Lines kept at most; opening prints about 13.
const MAX_LINES: usize = 256;
/// Length after which a line without an end is passed on as it is.
const MAX_LINE: usize = 16 * 1024;

/// One tap at a time: there is one stderr.
static TAP: Mutex<()> = Mutex::new(());

/// Stderr led through a pipe, until [`StderrTap::finish`].
pub(super) struct StderrTap {
    saved: OwnedFd,
    writer: PipeWriter,
    lines: Receiver<Vec<String>>,
    _one: MutexGuard<'static, ()>,
}

impl StderrTap {
    /// Leads stderr through a pipe. `None` if there is no stderr, or no pipe or thread to be had: then the reason is
    /// lost, nothing else.
    pub(super) fn start() -> Option<Self> {
        let one = TAP.lock().unwrap_or_else(PoisonError::into_inner);
        let saved = duplicate(libc::STDERR_FILENO)?;
        let onward = File::from(saved.try_clone().ok()?);
        let (reader, writer) = std::io::pipe().ok()?;
        let (sender, lines) = channel();
        std::thread::Builder::new()
            .name("libedgetpu stderr".to_owned())
            .spawn(move || {
                Splitter {
                    onward,
                    sender: Some(sender),
                    lines: Vec::new(),
                }
                .run(reader)
            })
            .ok()?;
        replace_stderr(writer.as_raw_fd())?;
        Some(Self {
            saved,
            writer,
            lines,
            _one: one,
        })
    }

    /// Puts stderr back and returns libedgetpu's lines, oldest first.
    pub(super) fn finish(mut self) -> Vec<String> {
        // Without the old stderr back the thread goes on serving the pipe; nothing is lost.
        let _restored = replace_stderr(self.saved.as_raw_fd());
        if self.writer.write_all(END).is_err() || self.writer.write_all(b"\n").is_err() {
            return Vec::new();
        }
        // The thread answers as soon as it has read the mark; the limit is for a stderr that blocks it.
        self.lines
            .recv_timeout(Duration::from_secs(2))
            .unwrap_or_default()
    }
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

/// The reading end: parts the stream into lines.
struct Splitter {
    onward: File,
    /// Taken when the tap ends.
    sender: Option<Sender<Vec<String>>>,
    lines: Vec<String>,
}

impl Splitter {
    fn run(mut self, mut reader: impl Read) {
        let mut pending = Vec::new();
        let mut chunk = [0; 4096];
        loop {
            let count = match reader.read(&mut chunk) {
                Ok(0) => break,
                Ok(count) => count,
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => continue,
                Err(_) => break,
            };
            pending.extend_from_slice(&chunk[..count]);
            while let Some(end) = pending.iter().position(|&byte| byte == b'\n') {
                let line: Vec<u8> = pending.drain(..=end).collect();
                self.line(&line);
            }
            if pending.len() > MAX_LINE {
                self.pass(&pending);
                pending.clear();
            }
        }
        self.pass(&pending);
        self.end();
    }

    /// Takes one line with its end.
    fn line(&mut self, line: &[u8]) {
        if let Some(rest) = line
            .strip_suffix(b"\n")
            .and_then(|line| line.strip_suffix(END))
        {
            self.pass(rest);
            self.end();
            return;
        }
        let text = String::from_utf8_lossy(line);
        match level(&text) {
            Some(level) if self.sender.is_some() => {
                let text = text.trim_end();
                log::log!(target: "libedgetpu", level, "{text}");
                if self.lines.len() < MAX_LINES {
                    self.lines.push(text.to_owned());
                }
            }
            _ => self.pass(line),
        }
    }

    /// Hands bytes on to the real stderr. A stderr that cannot be written to has nobody to be told.
    fn pass(&mut self, bytes: &[u8]) {
        let _ = self.onward.write_all(bytes);
    }

    fn end(&mut self) {
        if let Some(sender) = self.sender.take() {
            // The receiver gives up after a while; then nobody wants the lines.
            let _ = sender.send(std::mem::take(&mut self.lines));
        }
    }
}

/// Level of a line in libedgetpu's form `I file.cc:12] text`; `None` for any other line.
pub(crate) fn level(line: &str) -> Option<log::Level> {
    let (letter, rest) = line.split_once(' ')?;
    let level = match letter {
        "I" => log::Level::Info,
        "W" => log::Level::Warn,
        "E" | "F" => log::Level::Error,
        _ => return None,
    };
    let (place, _) = rest.split_once("] ")?;
    let (file, number) = place.rsplit_once(':')?;
    let is_place = !file.contains(' ')
        && !number.is_empty()
        && number.bytes().all(|byte| byte.is_ascii_digit());
    is_place.then_some(level)
}

/// The line that says most about a failed open: the last one that speaks of a failure, else the last one; without the
/// level and the place in libedgetpu's source.
pub(crate) fn reason(lines: &[String]) -> Option<String> {
    let speaks = |line: &&String| line.contains("ailed") || line.contains("rror");
    let line = lines.iter().rev().find(speaks).or(lines.last())?;
    Some(words(line).to_owned())
}

/// A line of libedgetpu without its level and its place in the source; any other line as it is.
pub(crate) fn words(line: &str) -> &str {
    match (level(line), line.split_once("] ")) {
        (Some(_), Some((_, text))) => text,
        _ => line,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn level_knows_the_lines_of_libedgetpu() {
        let cases = [
            (
                "I driver/driver_factory.cc:78] Failed to open /dev/apex_0\n",
                Some(log::Level::Info),
            ),
            (
                "W driver/package_registry.cc:65] Minimum runtime\n",
                Some(log::Level::Warn),
            ),
            (
                "E driver/usb/usb_driver.cc:1208] HIB Error\n",
                Some(log::Level::Error),
            ),
            (
                "F driver/usb/usb_driver.cc:857] transfer in failed\n",
                Some(log::Level::Error),
            ),
            ("I am a sentence: 1] no\n", None),
            ("WARNING: something\n", None),
            ("I file.cc] no number\n", None),
            ("\n", None),
        ];
        for (line, expected) in cases {
            assert_eq!(level(line), expected, "{line:?}");
        }
    }

    #[test]
    fn reason_is_the_last_line_about_a_failure() {
        let lines = [
            "I driver/usb/local_usb_device.cc:944] EnumerateDevices: vendor:0x1a6e",
            "I driver/driver_factory.cc:1] Failed to open device [Apex (USB)] at [/sys/bus/usb/devices/1-2]: \
             Permission denied: USB error -3 [OpenDevice]",
            "I tflite/edgetpu_manager_direct.cc:2] closing",
        ]
        .map(str::to_owned);
        assert_eq!(
            reason(&lines).as_deref(),
            Some(
                "Failed to open device [Apex (USB)] at [/sys/bus/usb/devices/1-2]: Permission denied: USB error -3 \
                 [OpenDevice]"
            )
        );
        assert_eq!(
            reason(&lines[..1]).as_deref(),
            Some("EnumerateDevices: vendor:0x1a6e")
        );
        assert_eq!(reason(&[]), None);
    }

    #[test]
    fn splitter_collects_log_lines_and_passes_the_rest() {
        let (mut output, onward) = std::io::pipe().expect("pipe");
        let (sender, lines) = channel();
        let splitter = Splitter {
            onward: File::from(OwnedFd::from(onward)),
            sender: Some(sender),
            lines: Vec::new(),
        };
        let mut input = b"hello\nI a.cc:1] one\npartial".to_vec();
        input.extend_from_slice(END);
        input.extend_from_slice(b"\nI a.cc:2] two\nlast");
        splitter.run(input.as_slice());
        assert_eq!(lines.recv(), Ok(vec!["I a.cc:1] one".to_owned()]));
        let mut passed = String::new();
        output
            .read_to_string(&mut passed)
            .expect("what was passed is text");
        assert_eq!(passed, "hello\npartialI a.cc:2] two\nlast");
    }
}
