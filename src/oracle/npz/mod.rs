//! Named arrays in NumPy's `.npz` format: a ZIP archive with one `.npy` entry per array.
//!
//! Reads what `numpy.savez` and `numpy.savez_compressed` write (stored and deflated entries, ZIP64 sizes), checks every
//! checksum, and refuses what they never write: encryption, several disks, other compression, names twice or outside the
//! archive. Source: APPNOTE.TXT 6.3.10 of PKWARE, sections 4.3 to 4.5.
//!
//! | module | what it holds |
//! | --- | --- |
//! | `read` | [`NpzReader`] |
//! | `write` | [`NpzWriter`], [`Compression`] |
//! | `directory` | the central directory: which entries there are and where |
//! | `crc32` | the checksum of ZIP |
//! | `error` | [`NpzError`] |

mod crc32;
mod directory;
mod error;
mod read;
mod write;

pub use error::NpzError;
pub use read::{DEFAULT_ENTRY_LIMIT, NpzReader};
pub use write::{Compression, NpzWriter};
