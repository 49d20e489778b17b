//! What can be wrong with a `.npz` archive.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

use super::super::npy::NpyError;

/// Why an archive or one of its arrays could not be read or written.
#[derive(Debug)]
#[non_exhaustive]
pub enum NpzError {
    /// Any of the others, with the file it concerns.
    InFile { path: PathBuf, error: Box<NpzError> },
    /// The operating system refused to open, read or write.
    Io(io::Error),
    /// No end-of-central-directory record in the last 64 KiB.
    NotZip { length: u64 },
    /// A record of the archive lies outside the file, or is not where another one says.
    Damaged { record: &'static str, offset: u64 },
    /// The archive is one part of several.
    SeveralDisks,
    /// More entries than the directory's bytes can hold.
    EntryCount { claimed: u64, directory_bytes: u64 },
    /// An entry that is encrypted.
    Encrypted { name: String },
    /// An entry compressed in a way other than stored or deflated.
    Method { name: String, method: u16 },
    /// An entry whose name is empty, no UTF-8, absolute or leads out of the archive.
    Name { name: String },
    /// An entry that is no `.npy` file.
    NotArray { name: String },
    /// Two entries of the same name.
    Duplicate { name: String },
    /// No entry of this name.
    Missing { name: String, present: Vec<String> },
    /// An entry larger than the limit set on the reader.
    TooLarge { name: String, size: u64, limit: u64 },
    /// An entry that claims more than deflate can make of its bytes.
    Ratio {
        name: String,
        compressed: u64,
        size: u64,
    },
    /// Compressed data that do not decompress.
    Deflate { name: String },
    /// A size other than the directory says.
    Size {
        name: String,
        expected: u64,
        found: u64,
    },
    /// A checksum other than the directory says.
    Checksum {
        name: String,
        expected: u32,
        found: u32,
    },
    /// The `.npy` file inside.
    Array { name: String, error: NpyError },
    /// The memory for an entry is not to be had.
    OutOfMemory { name: String, bytes: u64 },
    /// More to write than an archive without ZIP64 holds: 4 GiB or 65,535 arrays.
    ArchiveFull { name: String },
}

impl NpzError {
    /// The same error, saying in which file it was found.
    pub fn in_file(self, path: &Path) -> Self {
        NpzError::InFile {
            path: path.to_path_buf(),
            error: Box::new(self),
        }
    }
}

impl fmt::Display for NpzError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            NpzError::InFile { path, error } => write!(f, "{}: {error}", path.display()),
            NpzError::Io(error) => write!(f, "{error}"),
            NpzError::NotZip { length: 0 } => write!(
                f,
                "empty, expected a .npz archive: write one with numpy.savez"
            ),
            NpzError::NotZip { length } => write!(
                f,
                "not a .npz archive, or truncated: no end record in {length} bytes: copy it again or write it with numpy.savez"
            ),
            NpzError::Damaged { record, offset } => {
                write!(
                    f,
                    "damaged or truncated: no {record} at byte {offset}: copy or save the archive again"
                )
            }
            NpzError::SeveralDisks => write!(
                f,
                "one part of a split archive, expected a whole one: join the parts"
            ),
            NpzError::EntryCount {
                claimed,
                directory_bytes,
            } => write!(
                f,
                "damaged: {claimed} entries do not fit in a directory of {directory_bytes} bytes: copy or save the archive again"
            ),
            NpzError::Encrypted { name } => {
                write!(f, "entry {name:?} is encrypted: decrypt the archive first")
            }
            NpzError::Method { name, method } => write!(
                f,
                "entry {name:?} has compression method {method}, expected 0 (stored) or 8 (deflated): write it with \
                 numpy.savez_compressed"
            ),
            NpzError::Name { name } => {
                write!(
                    f,
                    "entry name {name:?} is empty, not UTF-8, absolute or leads out of the archive: rename the array"
                )
            }
            NpzError::NotArray { name } => {
                write!(
                    f,
                    "entry {name:?} is no array, expected a name that ends in .npy: write it with numpy.savez"
                )
            }
            NpzError::Duplicate { name } => write!(
                f,
                "two arrays are named {name:?}, expected one: rename or drop one"
            ),
            NpzError::Missing { name, present } => {
                write!(f, "no array {name:?}, the archive has {present:?}")
            }
            NpzError::TooLarge { name, size, limit } => write!(
                f,
                "entry {name:?} is {size} bytes long, the limit is {limit}: raise it with set_entry_limit if you trust the file"
            ),
            NpzError::Ratio {
                name,
                compressed,
                size,
            } => write!(
                f,
                "entry {name:?} claims {size} bytes from {compressed} compressed ones, more than deflate can make: the archive \
                 is damaged"
            ),
            NpzError::Deflate { name } => {
                write!(
                    f,
                    "entry {name:?} does not decompress: copy or save the archive again"
                )
            }
            NpzError::Size {
                name,
                expected,
                found,
            } => write!(
                f,
                "entry {name:?} has {found} bytes, the directory says {expected}: copy or save the archive again"
            ),
            NpzError::Checksum {
                name,
                expected,
                found,
            } => write!(
                f,
                "entry {name:?} has checksum {found:08x}, the directory says {expected:08x}: copy or save the archive again"
            ),
            NpzError::Array { name, error } => write!(f, "entry {name:?}: {error}"),
            NpzError::OutOfMemory { name, bytes } => {
                write!(f, "no memory for the {bytes} bytes of entry {name:?}")
            }
            NpzError::ArchiveFull { name } => write!(
                f,
                "array {name:?} does not fit: an archive takes 4 GiB and 65535 arrays: write several archives"
            ),
        }
    }
}

impl std::error::Error for NpzError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            NpzError::InFile { error, .. } => Some(error),
            NpzError::Io(error) => Some(error),
            NpzError::Array { error, .. } => Some(error),
            _ => None,
        }
    }
}

impl From<io::Error> for NpzError {
    fn from(error: io::Error) -> Self {
        NpzError::Io(error)
    }
}
