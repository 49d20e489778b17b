//! Why custom options are not handed to libedgetpu.

use super::fault::ExecutableFault;
use crate::schema::RootError;
use crate::schema::flexbuffer::FlexBufferError;
use std::fmt;

/// Why custom options are not handed to libedgetpu.
#[non_exhaustive]
#[derive(Debug)]
pub enum PackageError {
    /// The map around the package is broken.
    FlexBuffer {
        /// Which part of it.
        part: &'static str,
        /// Where that part should be, in bytes from the start.
        at: usize,
    },
    /// The map is nested or filled in a way no compiled model has.
    Kind {
        /// The key of the entry.
        key: String,
        /// FlexBuffers' number of the type found.
        found: u8,
    },
    /// There is no entry with the package.
    NoPackage,
    /// The package is broken.
    Package {
        /// How.
        source: RootError,
    },
    /// The list of executables is broken.
    Executables {
        /// How.
        source: RootError,
    },
    /// An executable is broken.
    Executable {
        /// Which one, from 0.
        index: usize,
        /// How.
        source: RootError,
    },
    /// An executable is whole, and a number in it leads out of its place.
    Invalid {
        /// Which one, from 0.
        index: usize,
        /// How.
        source: ExecutableFault,
    },
    /// No executable runs inferences.
    NoExecutable,
    /// The chips listed are not one.
    Chips {
        /// How many.
        count: usize,
    },
    /// There are executables beside the package, which libedgetpu does not support.
    FurtherExecutables {
        /// How many.
        count: usize,
    },
    /// The package is for several chips at once, which libedgetpu refuses.
    SeveralChips,
}

impl From<FlexBufferError> for PackageError {
    fn from(error: FlexBufferError) -> Self {
        match error {
            FlexBufferError::Bounds { part, at } => Self::FlexBuffer { part, at },
            FlexBufferError::Kind { key, found } => Self::Kind { key, found },
        }
    }
}

impl fmt::Display for PackageError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::FlexBuffer { part, at } => {
                write!(
                    f,
                    "custom options are no FlexBuffer map: {part} at byte {at} is out of bounds"
                )
            }
            Self::Kind { key, found } => write!(
                f,
                "custom options, entry {key:?}: found FlexBuffer type {found}, expected an integer, a string or a vector"
            ),
            Self::NoPackage => f.write_str(
                "custom options hold no Edge TPU package: entry \"4\" is missing or no string",
            ),
            Self::Package { source } => write!(f, "Edge TPU package: {source}"),
            Self::Executables { source } => {
                write!(f, "Edge TPU package, list of executables: {source}")
            }
            Self::Executable { index, source } => {
                write!(f, "Edge TPU package, executable {index}: {source}")
            }
            Self::Invalid { index, source } => {
                write!(
                    f,
                    "Edge TPU package, executable {index}: {source}; compile the model again or copy it anew"
                )
            }
            Self::Chips { count } => {
                write!(
                    f,
                    "custom options name {count} chips for one Edge TPU package, expected 1"
                )
            }
            Self::NoExecutable => {
                f.write_str("Edge TPU package has no executable that runs inferences")
            }
            Self::FurtherExecutables { count } => {
                write!(
                    f,
                    "{count} executables beside the Edge TPU package, expected none: libedgetpu runs one package per operator"
                )
            }
            Self::SeveralChips => {
                f.write_str("Edge TPU package is for several chips at once; compile it for one")
            }
        }
    }
}

impl std::error::Error for PackageError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Package { source }
            | Self::Executables { source }
            | Self::Executable { source, .. } => Some(source),
            Self::Invalid { source, .. } => Some(source),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_say_what_is_wrong_with_the_options() {
        let source = || RootError::TooShort { len: 3 };
        let cases = [
            (
                PackageError::FlexBuffer { part: "key", at: 9 },
                "custom options are no FlexBuffer map: key at byte 9 is out of bounds".to_owned(),
            ),
            (
                PackageError::Kind { key: "4".into(), found: 3 },
                "custom options, entry \"4\": found FlexBuffer type 3, expected an integer, a string or a vector"
                    .to_owned(),
            ),
            (
                PackageError::NoPackage,
                "custom options hold no Edge TPU package: entry \"4\" is missing or no string".to_owned(),
            ),
            (PackageError::Package { source: source() }, format!("Edge TPU package: {}", source())),
            (
                PackageError::Executables { source: source() },
                format!("Edge TPU package, list of executables: {}", source()),
            ),
            (
                PackageError::Executable { index: 1, source: source() },
                format!("Edge TPU package, executable 1: {}", source()),
            ),
            (
                PackageError::Invalid { index: 0, source: ExecutableFault::Batch { found: 0 } },
                "Edge TPU package, executable 0: batch size 0, expected at least 1; compile the model again or copy it anew"
                    .to_owned(),
            ),
            (
                PackageError::Chips { count: 2 },
                "custom options name 2 chips for one Edge TPU package, expected 1".to_owned(),
            ),
            (PackageError::NoExecutable, "Edge TPU package has no executable that runs inferences".to_owned()),
            (
                PackageError::FurtherExecutables { count: 2 },
                "2 executables beside the Edge TPU package, expected none: libedgetpu runs one package per operator"
                    .to_owned(),
            ),
            (
                PackageError::SeveralChips,
                "Edge TPU package is for several chips at once; compile it for one".to_owned(),
            ),
        ];
        for (error, message) in cases {
            assert_eq!(error.to_string(), message);
        }
    }
}
