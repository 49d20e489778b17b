//! What is wrong with an executable whose buffer is whole.

use std::fmt;

/// Inputs or outputs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    /// Into the device.
    Input,
    /// Out of the device.
    Output,
}

impl fmt::Display for Side {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Input => "input",
            Self::Output => "output",
        })
    }
}

/// What is wrong with an executable whose buffer is whole: a number in it leads out of its place.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum ExecutableFault {
    /// It is of a type no runtime knows.
    Type {
        /// The type's number.
        found: i16,
    },
    /// Another executable of the package has this type, too.
    SecondOfType,
    /// The size of a batch is not positive.
    Batch {
        /// The size.
        found: i32,
    },
    /// Scratch memory of a negative size.
    Scratch {
        /// The size.
        found: i32,
    },
    /// A chunk of the program that is not whole.
    Chunk {
        /// Which one, from 0.
        chunk: usize,
        /// Its length in bytes.
        len: usize,
    },
    /// An address to be written into the program, at a place or of a buffer that does not exist.
    Relocation {
        /// The chunk, from 0.
        chunk: usize,
        /// Which one of the chunk, from 0.
        index: usize,
        /// What is wrong.
        what: &'static str,
    },
    /// An input or output that is not as it must be.
    Layer {
        /// Which list.
        side: Side,
        /// Which one of it, from 0.
        index: usize,
        /// What is wrong.
        what: &'static str,
    },
    /// A transfer of something that does not exist.
    Hint {
        /// Which step, from 0.
        index: usize,
        /// What is wrong.
        what: &'static str,
    },
    /// A transfer beyond the end of its buffer.
    Transfer {
        /// Which step, from 0.
        index: usize,
        /// First byte.
        offset: i32,
        /// Bytes.
        size: i32,
        /// Bytes that the buffer has.
        available: usize,
    },
}

impl fmt::Display for ExecutableFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Type { found } => write!(f, "type {found} is unknown, expected 0, 1 or 2"),
            Self::SecondOfType => {
                f.write_str("another one has the same type, expected one of each")
            }
            Self::Batch { found } => write!(f, "batch size {found}, expected at least 1"),
            Self::Scratch { found } => write!(f, "{found} bytes of scratch memory"),
            Self::Chunk { chunk, len } => {
                write!(
                    f,
                    "chunk {chunk} of the program has {len} bytes, expected whole bundles of 16"
                )
            }
            Self::Relocation { chunk, index, what } => {
                write!(f, "address {index} of chunk {chunk}: {what}")
            }
            Self::Layer { side, index, what } => write!(f, "{side} {index}: its {what}"),
            Self::Hint { index, what } => write!(f, "transfer {index}: {what}"),
            Self::Transfer {
                index,
                offset,
                size,
                available,
            } => write!(
                f,
                "transfer {index}: {size} bytes from byte {offset} on, of a buffer with {available}"
            ),
        }
    }
}

impl std::error::Error for ExecutableFault {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn faults_say_where_and_what() {
        let cases = [
            (
                ExecutableFault::Type { found: 7 },
                "type 7 is unknown, expected 0, 1 or 2",
            ),
            (
                ExecutableFault::SecondOfType,
                "another one has the same type, expected one of each",
            ),
            (
                ExecutableFault::Batch { found: 0 },
                "batch size 0, expected at least 1",
            ),
            (
                ExecutableFault::Scratch { found: -1 },
                "-1 bytes of scratch memory",
            ),
            (
                ExecutableFault::Chunk { chunk: 1, len: 17 },
                "chunk 1 of the program has 17 bytes, expected whole bundles of 16",
            ),
            (
                ExecutableFault::Relocation {
                    chunk: 0,
                    index: 3,
                    what: "it is beyond the chunk",
                },
                "address 3 of chunk 0: it is beyond the chunk",
            ),
            (
                ExecutableFault::Layer {
                    side: Side::Output,
                    index: 2,
                    what: "name is missing",
                },
                "output 2: its name is missing",
            ),
            (
                ExecutableFault::Hint {
                    index: 4,
                    what: "there is no such chunk",
                },
                "transfer 4: there is no such chunk",
            ),
            (
                ExecutableFault::Transfer {
                    index: 5,
                    offset: -1,
                    size: 8,
                    available: 4,
                },
                "transfer 5: 8 bytes from byte -1 on, of a buffer with 4",
            ),
        ];
        for (fault, message) in cases {
            assert_eq!(fault.to_string(), message);
        }
    }
}
