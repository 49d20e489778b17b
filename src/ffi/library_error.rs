//! Why no libedgetpu is open.

use std::fmt;
use std::path::PathBuf;

use super::architecture::Architecture;
use super::library::LIBRARY_VARIABLE;

/// Why no libedgetpu is open.
#[non_exhaustive]
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LibraryError {
    /// No path led to a library that loads.
    NotLoaded {
        /// Every path tried, in order, with what was wrong there.
        attempts: Vec<Attempt>,
    },
    /// This program is linked statically against musl, whose `dlopen` always fails.
    StaticProgram,
    /// The file loads but is no libedgetpu.
    MissingSymbol {
        /// The file.
        path: PathBuf,
        /// The function it should export.
        symbol: &'static str,
    },
    /// The library is too old for this host, or does not say what it is.
    UnsupportedVersion {
        /// The file.
        path: PathBuf,
        /// What the library says about itself.
        version: String,
    },
}

impl fmt::Display for LibraryError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotLoaded { attempts } => {
                f.write_str("libedgetpu not loaded: ")?;
                let mut separator = "";
                for attempt in attempts.iter().filter(|attempt| attempt.failure != AttemptFailure::Missing) {
                    write!(f, "{separator}{attempt}")?;
                    separator = "; ";
                }
                for attempt in attempts.iter().filter(|attempt| attempt.failure == AttemptFailure::Missing) {
                    write!(f, "{separator}{attempt}")?;
                    separator = "; ";
                }
                write!(f, "; install libedgetpu1-std or name the file in {LIBRARY_VARIABLE}")
            }
            Self::StaticProgram => f.write_str(
                "libedgetpu not loaded: this program is linked statically against musl and cannot load libraries; \
                 build it for a glibc target",
            ),
            Self::MissingSymbol { path, symbol } => {
                write!(f, "{} is no libedgetpu: it does not export {symbol}", path.display())
            }
            Self::UnsupportedVersion { path, version } => write!(
                f,
                "libedgetpu {} is not supported: found \"{version}\", expected RuntimeVersion 14 or newer, or 13 of \
                 release 15.0; install libedgetpu 16.0",
                path.display()
            ),
        }
    }
}

impl std::error::Error for LibraryError {}

/// One path that was tried, and what was wrong there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attempt {
    /// The path as handed to the dynamic loader.
    pub path: PathBuf,
    /// What was wrong.
    pub failure: AttemptFailure,
}

impl fmt::Display for Attempt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.path.display(), self.failure)
    }
}

/// What was wrong with one path.
#[non_exhaustive]
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AttemptFailure {
    /// There is no such file.
    Missing,
    /// The file is a library for other machines.
    WrongArchitecture {
        /// What the file is for.
        found: Architecture,
        /// What this program is.
        expected: Architecture,
    },
    /// The dynamic loader refused, in its own words.
    Refused {
        /// Text of `dlerror`, without the leading path.
        dlerror: String,
    },
    /// The path holds a zero byte, which no file name can.
    ZeroByte,
}

impl fmt::Display for AttemptFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Missing => f.write_str("no such file"),
            Self::WrongArchitecture { found, expected } => {
                write!(f, "library for {found}, this program is {expected}")
            }
            Self::Refused { dlerror } => f.write_str(dlerror),
            Self::ZeroByte => f.write_str("zero byte in path"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ffi::architecture::{EM_AARCH64, EM_X86_64};

    #[test]
    fn errors_name_every_path_and_the_way_out() {
        let error = LibraryError::NotLoaded {
            attempts: vec![
                Attempt {
                    path: "/b/libedgetpu.so.1".into(),
                    failure: AttemptFailure::Missing,
                },
                Attempt {
                    path: "libedgetpu.so.1".into(),
                    failure: AttemptFailure::Refused {
                        dlerror: "cannot open shared object file".into(),
                    },
                },
            ],
        };
        assert_eq!(
            error.to_string(),
            "libedgetpu not loaded: libedgetpu.so.1: cannot open shared object file; /b/libedgetpu.so.1: no such file; \
             install libedgetpu1-std or name the file in CORALLITE_LIBEDGETPU"
        );
        let error = AttemptFailure::WrongArchitecture {
            found: Architecture {
                machine: EM_AARCH64,
                bits: 64,
                big_endian: false,
                soft_float: false,
            },
            expected: Architecture {
                machine: EM_X86_64,
                bits: 64,
                big_endian: false,
                soft_float: false,
            },
        };
        assert_eq!(
            error.to_string(),
            "library for aarch64, this program is x86-64"
        );
        assert_eq!(AttemptFailure::ZeroByte.to_string(), "zero byte in path");
        assert_eq!(
            LibraryError::StaticProgram.to_string(),
            "libedgetpu not loaded: this program is linked statically against musl and cannot load libraries; build it \
             for a glibc target"
        );
        let error = LibraryError::MissingSymbol {
            path: "/x.so".into(),
            symbol: "edgetpu_version",
        };
        assert_eq!(
            error.to_string(),
            "/x.so is no libedgetpu: it does not export edgetpu_version"
        );
    }
}
