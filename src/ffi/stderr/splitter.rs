//! The reading end of the pipe: parts the stream into lines of libedgetpu and the rest.

use std::fs::File;
use std::io::{Read, Write};
use std::sync::mpsc::Sender;

use super::lines::{is_message, level, may_become_log_line};
use super::logger;
use super::settle::Pipe;

/// Asks the thread to pass on what it holds. Ends with the end of a line; holds bytes that no log line has.
pub(super) const MARK: &[u8] = b"\0\x01corallite: mark\x01\0\n";

/// Lines collected at most; opening prints about 13.
const MAX_LINES: usize = 256;
/// Length after which a line without an end is passed on as it is.
const MAX_LINE: usize = 16 * 1024;

/// Parts what comes through a pipe.
pub(super) struct Splitter {
    /// The real stderr.
    onward: File,
    /// Told of each mark.
    pipe: &'static Pipe,
    purpose: Purpose,
    /// The beginning of a line that may become one of libedgetpu's, or of a mark.
    held: Vec<u8>,
    /// Whether the beginning of the line was passed on.
    is_inside: bool,
}

/// What becomes of libedgetpu's lines.
pub(super) enum Purpose {
    /// They go to `log`, or to stderr where there is no logger.
    Log,
    /// As well, and to somebody who waits for a mark.
    Collect {
        /// Whether lines at level info are there for him alone.
        hides_info: bool,
        lines: Vec<String>,
        sender: Sender<Vec<String>>,
    },
    /// They are passed on like all others.
    Pass,
}

impl Splitter {
    pub(super) fn new(onward: File, pipe: &'static Pipe, purpose: Purpose) -> Self {
        Self {
            onward,
            pipe,
            purpose,
            held: Vec::new(),
            is_inside: false,
        }
    }

    /// Reads until the last writer is gone: a child process that was started meanwhile has the pipe as its stderr for
    /// good.
    pub(super) fn run(mut self, mut reader: impl Read) {
        let mut chunk = [0; 4096];
        loop {
            match reader.read(&mut chunk) {
                Ok(0) => break,
                Ok(count) => self.take(&chunk[..count]),
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
                Err(_) => break,
            }
        }
        self.release();
    }

    fn take(&mut self, bytes: &[u8]) {
        for piece in bytes.split_inclusive(|&byte| byte == b'\n') {
            self.held.extend_from_slice(piece);
            if self.held.ends_with(MARK) {
                self.held.truncate(self.held.len() - MARK.len());
                self.release();
                self.marked();
            } else if piece.ends_with(b"\n") {
                self.line();
            } else if !self.may_hold() {
                self.release();
            }
        }
    }

    /// Whether more bytes decide what becomes of those held.
    fn may_hold(&self) -> bool {
        let is_mark_begun = (1..MARK.len()).any(|count| self.held.ends_with(&MARK[..count]));
        let is_line_begun = !self.is_inside && may_become_log_line(&self.held);
        is_mark_begun || (is_line_begun && self.held.len() <= MAX_LINE)
    }

    /// Takes the line held, which is whole unless its beginning was passed on.
    fn line(&mut self) {
        let text = String::from_utf8_lossy(&self.held);
        let text = text.trim_end();
        let level = level(text).filter(|_| !self.is_inside && !is_message(text));
        let has_logger = log::max_level() != log::LevelFilter::Off;
        let is_taken = match (&mut self.purpose, level) {
            (Purpose::Pass, _) | (_, None) => false,
            (Purpose::Log, Some(_)) => has_logger,
            (
                Purpose::Collect {
                    lines, hides_info, ..
                },
                Some(level),
            ) => {
                if lines.len() < MAX_LINES {
                    lines.push(text.to_owned());
                }
                has_logger || (*hides_info && level > log::Level::Warn)
            }
        };
        match level {
            Some(level) if is_taken && (!has_logger || logger::log_soon(level, text)) => {
                self.held.clear();
            }
            _ => self.release(),
        }
        self.is_inside = false;
    }

    /// Hands on what is held. A stderr that cannot be written to has nobody to be told.
    fn release(&mut self) {
        let _ = self.onward.write_all(&self.held);
        self.is_inside |= !self.held.is_empty();
        self.held.clear();
    }

    fn marked(&mut self) {
        if let Purpose::Collect { lines, sender, .. } = &mut self.purpose {
            // The receiver gives up after a while; then nobody wants the lines.
            let _ = sender.send(std::mem::take(lines));
            self.purpose = Purpose::Pass;
        }
        logger::mark(self.pipe);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::fd::OwnedFd;
    use std::sync::mpsc::channel;

    /// What comes out on stderr, and what is collected, of chunks that are read one by one.
    fn split(chunks: &[&[u8]]) -> (String, Option<Vec<String>>) {
        static PIPE: Pipe = Pipe::new();
        let (mut output, onward) = std::io::pipe().expect("pipe");
        let (sender, receiver) = channel();
        let lines = Vec::new();
        let onward = File::from(OwnedFd::from(onward));
        let mut splitter = Splitter::new(
            onward,
            &PIPE,
            Purpose::Collect {
                hides_info: true,
                lines,
                sender,
            },
        );
        for chunk in chunks {
            splitter.take(chunk);
        }
        splitter.run(std::io::empty());
        let mut passed = String::new();
        output
            .read_to_string(&mut passed)
            .expect("what was passed is text");
        (passed, receiver.try_recv().ok())
    }

    #[test]
    fn log_lines_are_collected_until_the_mark_and_the_rest_is_passed_on() {
        let input = [
            b"hello\nI a.cc:1] one\npartial",
            MARK,
            b"I a.cc:2] two\nlast",
        ]
        .concat();
        let expected = (
            "hello\npartialI a.cc:2] two\nlast".to_owned(),
            Some(vec!["I a.cc:1] one".to_owned()]),
        );
        assert_eq!(split(&[&input]), expected);
        let bytes: Vec<&[u8]> = input.chunks(1).collect();
        assert_eq!(split(&bytes), expected, "byte by byte");
    }

    #[test]
    fn a_warning_without_a_logger_is_collected_and_passed_on() {
        let (passed, collected) = split(&[b"W a.cc:1] hot\nI a.cc:2] fine\n", MARK]);
        assert_eq!(passed, "W a.cc:1] hot\n");
        assert_eq!(collected.map(|lines| lines.len()), Some(2));
    }

    #[test]
    fn a_line_that_was_begun_as_other_text_is_no_log_line() {
        let (passed, collected) = split(&[b"Continue? ", b"I a.cc:1] one\n", MARK]);
        assert_eq!(passed, "Continue? I a.cc:1] one\n");
        assert_eq!(collected, Some(vec![]));
    }

    #[test]
    fn text_without_an_end_is_passed_on_at_once() {
        let (mut output, onward) = std::io::pipe().expect("pipe");
        static PIPE: Pipe = Pipe::new();
        let onward = File::from(OwnedFd::from(onward));
        let mut splitter = Splitter::new(onward, &PIPE, Purpose::Log);
        splitter.take(b"Password: ");
        let mut prompt = [0; 10];
        output.read_exact(&mut prompt).expect("the prompt");
        assert_eq!(&prompt, b"Password: ");
    }
}
