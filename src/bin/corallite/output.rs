//! Text for people and programs: stdout that may be closed early, and one line on stderr.

use crate::failure::Failure;
use std::io::{self, Write};

/// Writes to stdout. A reader that has seen enough (`corallite inspect MODEL | head`) is no failure.
pub fn print(text: &str) -> Result<(), Failure> {
    let mut stdout = io::stdout().lock();
    match stdout
        .write_all(text.as_bytes())
        .and_then(|()| stdout.flush())
    {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            Err(Failure::Stdout { source: error })
        }
        _ => Ok(()),
    }
}

/// Writes one line to stderr, which may be closed.
pub fn complain(text: &str) {
    let line = format!("corallite: {}\n", one_line(text));
    let _ = io::stderr().write_all(line.as_bytes());
}

/// The text with control characters escaped: names in a file must neither break lines nor steer a terminal.
pub fn one_line(text: &str) -> String {
    let mut line = String::with_capacity(text.len());
    for c in text.chars() {
        if c.is_control() {
            line.extend(c.escape_default());
        } else {
            line.push(c);
        }
    }
    line
}
