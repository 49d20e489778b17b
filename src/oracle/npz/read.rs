//! Arrays out of an archive, one at a time.

use std::fs::File;
use std::io::{BufReader, Read, Seek};
use std::path::{Path, PathBuf};

use miniz_oxide::inflate::decompress_slice_iter_to_slice;

use super::NpzError;
use super::crc32::crc32;
use super::directory::{self, DEFLATED, Entry};
use crate::oracle::npy::NpyArray;

/// The most bytes one entry may decompress to unless [`NpzReader::set_entry_limit`] says otherwise: 256 MiB.
pub const DEFAULT_ENTRY_LIMIT: u64 = 256 << 20;

/// Deflate makes at most 258 bytes of 2 bits (RFC 1951: a length code and a distance code of one bit each).
const DEFLATE_RATIO_LIMIT: u64 = 1032;

/// An archive opened for reading. Only its directory is held in memory.
///
/// ```
/// use corallite::oracle::npy::NpyArray;
/// use corallite::oracle::npz::{Compression, NpzReader, NpzWriter};
///
/// let mut writer = NpzWriter::new(Vec::new(), Compression::Deflated);
/// writer.add("scale", &NpyArray::from_slice(&[0.5_f32], &[])?)?;
/// let bytes = writer.finish()?;
///
/// let mut archive = NpzReader::from_bytes(&bytes)?;
/// assert_eq!(archive.names().collect::<Vec<_>>(), ["scale"]);
/// assert_eq!(archive.array("scale")?.to_f32_vec()?, [0.5]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct NpzReader<R> {
    reader: R,
    entries: Vec<Entry>,
    limit: u64,
    path: Option<PathBuf>,
}

impl NpzReader<BufReader<File>> {
    /// Opens the archive at `path` and reads its directory.
    ///
    /// # Errors
    ///
    /// The file cannot be read, or is not a whole archive of arrays. This and every later message names the file.
    pub fn open(path: impl AsRef<Path>) -> Result<Self, NpzError> {
        let path = path.as_ref();
        let open = || Self::new(BufReader::new(File::open(path)?));
        let mut archive = open().map_err(|error| error.in_file(path))?;
        archive.path = Some(path.to_path_buf());
        Ok(archive)
    }
}

impl<'a> NpzReader<std::io::Cursor<&'a [u8]>> {
    /// Reads the directory of the archive that `bytes` are.
    ///
    /// # Errors
    ///
    /// The bytes are not a whole archive of arrays.
    pub fn from_bytes(bytes: &'a [u8]) -> Result<Self, NpzError> {
        Self::new(std::io::Cursor::new(bytes))
    }
}

impl<R: Read + Seek> NpzReader<R> {
    /// Reads the directory of the archive in `reader`.
    ///
    /// # Errors
    ///
    /// The reader fails, or does not hold a whole archive of arrays.
    pub fn new(mut reader: R) -> Result<Self, NpzError> {
        let entries = directory::read(&mut reader)?;
        Ok(NpzReader {
            reader,
            entries,
            limit: DEFAULT_ENTRY_LIMIT,
            path: None,
        })
    }

    /// Sets the most bytes that one entry may have once decompressed.
    pub fn set_entry_limit(&mut self, bytes: u64) {
        self.limit = bytes;
    }

    /// The arrays' names in the order of the archive, without `.npy`.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.entries.iter().map(|entry| entry.name.as_str())
    }

    /// Reads the array `name` (without `.npy`).
    ///
    /// # Errors
    ///
    /// There is none of that name, it is larger than the limit, its bytes are damaged, or they are no array.
    pub fn array(&mut self, name: &str) -> Result<NpyArray, NpzError> {
        let array = self.find(name).and_then(|entry| self.read_entry(&entry));
        match &self.path {
            Some(path) => array.map_err(|error| error.in_file(path)),
            None => array,
        }
    }

    fn find(&self, name: &str) -> Result<Entry, NpzError> {
        self.entries
            .iter()
            .find(|entry| entry.name == name)
            .cloned()
            .ok_or_else(|| NpzError::Missing {
                name: name.to_owned(),
                present: self.names().map(str::to_owned).collect(),
            })
    }

    fn read_entry(&mut self, entry: &Entry) -> Result<NpyArray, NpzError> {
        let name = || entry.name.clone();
        if entry.size > self.limit {
            return Err(NpzError::TooLarge {
                name: name(),
                size: entry.size,
                limit: self.limit,
            });
        }
        let stored = directory::read_stored(&mut self.reader, entry)?;
        let bytes = if entry.method == DEFLATED {
            inflate(entry, &stored)?
        } else {
            stored
        };
        let found = crc32(&bytes);
        if found != entry.crc32 {
            return Err(NpzError::Checksum {
                name: name(),
                expected: entry.crc32,
                found,
            });
        }
        NpyArray::from_bytes(&bytes).map_err(|error| NpzError::Array {
            name: name(),
            error,
        })
    }
}

/// The decompressed bytes: as many as the directory says, or an error.
fn inflate(entry: &Entry, compressed: &[u8]) -> Result<Vec<u8>, NpzError> {
    let name = || entry.name.clone();
    // What is claimed is allocated only where the bytes at hand could really make it.
    if entry.size / DEFLATE_RATIO_LIMIT > entry.compressed {
        return Err(NpzError::Ratio {
            name: name(),
            compressed: entry.compressed,
            size: entry.size,
        });
    }
    let out_of_memory = || NpzError::OutOfMemory {
        name: name(),
        bytes: entry.size,
    };
    let size = usize::try_from(entry.size).map_err(|_| out_of_memory())?;
    let mut bytes = Vec::new();
    bytes.try_reserve_exact(size).map_err(|_| out_of_memory())?;
    bytes.resize(size, 0);
    let found =
        decompress_slice_iter_to_slice(&mut bytes, std::iter::once(compressed), false, true)
            .map_err(|_| NpzError::Deflate { name: name() })?;
    if found != size {
        let found = u64::try_from(found).unwrap_or(u64::MAX);
        return Err(NpzError::Size {
            name: name(),
            expected: entry.size,
            found,
        });
    }
    Ok(bytes)
}
