//! What can be wrong with a `.npy` file.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

use super::NpyType;

/// Why an array could not be read, viewed or written.
#[derive(Debug)]
#[non_exhaustive]
pub enum NpyError {
    /// Any of the others, with the file it concerns.
    InFile { path: PathBuf, error: Box<NpyError> },
    /// The operating system refused to open, read or write.
    Io(io::Error),
    /// The bytes do not begin with `\x93NUMPY`.
    NotNpy { found: Vec<u8> },
    /// A format version other than 1.0, 2.0 and 3.0.
    Version { major: u8, minor: u8 },
    /// The file ends inside the magic string, the version or the header.
    HeaderTruncated { expected: usize, found: usize },
    /// The header claims a length that no numeric array needs.
    HeaderTooLong { length: u64, limit: usize },
    /// The header is not the dictionary that the format prescribes.
    Header {
        problem: HeaderProblem,
        offset: usize,
    },
    /// Elements stored most significant byte first.
    BigEndian { descr: String },
    /// An element type that has no counterpart here.
    UnsupportedType { descr: String },
    /// More axes than NumPy itself allows.
    Rank { found: usize, limit: usize },
    /// The number of bytes that the shape asks for does not fit the address space.
    ShapeOverflow { shape: Vec<usize>, dtype: NpyType },
    /// Fewer bytes of elements than the shape asks for.
    DataTruncated { expected: usize, found: usize },
    /// Bytes after the last element.
    TrailingBytes { expected: usize },
    /// The elements are of another type than the one asked for.
    Type {
        found: NpyType,
        expected: &'static str,
    },
    /// The number of elements given is not the product of the shape given.
    Length {
        shape: Vec<usize>,
        expected: usize,
        found: usize,
    },
    /// A text element that is not a sequence of Unicode characters.
    Text { index: usize, code: u32 },
    /// The memory for the elements is not to be had.
    OutOfMemory { bytes: usize },
}

/// What is wrong in the header's dictionary.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum HeaderProblem {
    /// Something other than what a Python literal has at this place.
    Expected(&'static str),
    /// A key other than `descr`, `fortran_order` and `shape`.
    UnknownKey,
    /// The same key twice.
    DuplicateKey(&'static str),
    /// A key that has to be there.
    MissingKey(&'static str),
    /// A dimension that is negative or does not fit the address space.
    Dimension,
    /// `descr` is a list: an array of structures.
    Structured,
}

impl NpyError {
    /// The same error, saying in which file it was found.
    pub fn in_file(self, path: &Path) -> Self {
        NpyError::InFile {
            path: path.to_path_buf(),
            error: Box::new(self),
        }
    }
}

impl fmt::Display for NpyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            NpyError::InFile { path, error } => write!(f, "{}: {error}", path.display()),
            NpyError::Io(error) => write!(f, "{error}"),
            NpyError::NotNpy { found } if found.is_empty() => {
                write!(f, "empty, expected a .npy file: write one with numpy.save")
            }
            NpyError::NotNpy { found } => write!(
                f,
                "not a .npy file: begins with \"{}\", expected \"\\x93NUMPY\"{}",
                found.escape_ascii(),
                if found.starts_with(b"PK") {
                    ": this is a .npz archive, take one array out of it"
                } else {
                    ": write it with numpy.save"
                }
            ),
            NpyError::Version { major, minor } => {
                write!(
                    f,
                    "NPY version {major}.{minor}, expected 1.0, 2.0 or 3.0: save it again with numpy.save"
                )
            }
            NpyError::HeaderTruncated { expected, found } => {
                write!(
                    f,
                    "truncated: the header needs {expected} bytes, the file has {found}: copy or save it again"
                )
            }
            NpyError::HeaderTooLong { length, limit } => {
                write!(
                    f,
                    "the header claims {length} bytes, at most {limit} are expected: the file is damaged"
                )
            }
            NpyError::Header { problem, offset } => write!(f, "header, byte {offset}: {problem}"),
            NpyError::BigEndian { descr } => write!(
                f,
                "element type {descr:?} is big-endian, expected little-endian: save it as a.astype(a.dtype.newbyteorder('<'))"
            ),
            NpyError::UnsupportedType { descr } => write!(
                f,
                "element type {descr:?} is not supported, expected bool, an integer of 8 to 64 bits, a float of 16 to 64 \
                 bits or text: convert it with astype"
            ),
            NpyError::Rank { found, limit } => write!(f, "{found} axes, expected at most {limit}"),
            NpyError::ShapeOverflow { shape, dtype } => {
                write!(
                    f,
                    "shape {shape:?} of {dtype} has more bytes than can be addressed: the header is damaged"
                )
            }
            NpyError::DataTruncated { expected, found } => {
                write!(
                    f,
                    "truncated: the shape needs {expected} bytes of elements, found {found}: copy or save it again"
                )
            }
            NpyError::TrailingBytes { expected } => write!(
                f,
                "more bytes than the {expected} that the shape needs: expected one array a file, as numpy.save writes it"
            ),
            NpyError::Type { found, expected } => {
                write!(
                    f,
                    "elements are {found}, expected {expected}: convert the array with astype"
                )
            }
            NpyError::Length {
                shape,
                expected,
                found,
            } => {
                write!(
                    f,
                    "shape {shape:?} needs {expected} elements, found {found}"
                )
            }
            NpyError::Text { index, code } => {
                write!(
                    f,
                    "text element {index} holds {code:#x}, which is no Unicode character: the file is damaged"
                )
            }
            NpyError::OutOfMemory { bytes } => write!(f, "no memory for {bytes} bytes of elements"),
        }
    }
}

impl fmt::Display for HeaderProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            HeaderProblem::Expected(what) => {
                write!(f, "expected {what}: the file is damaged, save it again")
            }
            HeaderProblem::UnknownKey => write!(
                f,
                "unknown key, expected 'descr', 'fortran_order' and 'shape'"
            ),
            HeaderProblem::DuplicateKey(key) => write!(f, "key '{key}' occurs twice"),
            HeaderProblem::MissingKey(key) => write!(
                f,
                "key '{key}' is missing: the file is damaged, save it again"
            ),
            HeaderProblem::Dimension => write!(f, "the dimension is negative or too large"),
            HeaderProblem::Structured => {
                write!(
                    f,
                    "an array of structures, expected plain elements: save each field as an array of its own"
                )
            }
        }
    }
}

impl std::error::Error for NpyError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            NpyError::InFile { error, .. } => Some(error),
            NpyError::Io(error) => Some(error),
            _ => None,
        }
    }
}

impl From<io::Error> for NpyError {
    fn from(error: io::Error) -> Self {
        NpyError::Io(error)
    }
}
