//! Arrays into an archive, one at a time.

use std::collections::HashSet;
use std::io::Write;

use miniz_oxide::deflate::compress_to_vec;

use super::NpzError;
use super::crc32::crc32;
use super::directory::{DEFLATED, STORED};
use crate::oracle::npy::NpyArray;

/// zlib's own default, and that of `numpy.savez_compressed`.
const DEFLATE_LEVEL: u8 = 6;
/// Version 2.0 of the format: deflate (APPNOTE.TXT 4.4.3.2).
const VERSION: u16 = 20;
/// Names are UTF-8 (general purpose bit 11, APPNOTE.TXT 4.4.4).
const FLAG_UTF8: u16 = 1 << 11;
/// 1980-01-01 in MS-DOS's encoding, as `zipfile` writes it by default: the same arrays give the same bytes.
const DOS_DATE: u16 = 1 << 5 | 1;

/// How entries are stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Compression {
    /// As they are, like `numpy.savez`.
    Stored,
    /// Deflated, like `numpy.savez_compressed`.
    Deflated,
}

/// An archive being written. Nothing is readable before [`finish`](NpzWriter::finish).
///
/// ```
/// use corallite::oracle::npy::NpyArray;
/// use corallite::oracle::npz::{Compression, NpzWriter};
///
/// let mut writer = NpzWriter::new(Vec::new(), Compression::Stored);
/// writer.add("x", &NpyArray::from_slice(&[1_u8, 2, 3], &[3])?)?;
/// writer.add("y", &NpyArray::from_slice(&[-1_i32], &[1, 1])?)?;
/// let bytes = writer.finish()?;
/// assert!(bytes.starts_with(b"PK"));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct NpzWriter<W> {
    writer: W,
    compression: Compression,
    written: u64,
    directory: Vec<u8>,
    names: HashSet<String>,
}

impl<W: Write> NpzWriter<W> {
    /// Begins an archive in `writer`.
    pub fn new(writer: W, compression: Compression) -> Self {
        NpzWriter {
            writer,
            compression,
            written: 0,
            directory: Vec::new(),
            names: HashSet::new(),
        }
    }

    /// Appends `array` under `name` (without `.npy`).
    ///
    /// # Errors
    ///
    /// The name is taken or no name for an entry, the archive would pass 4 GiB or 65,534 arrays, the fields of the array
    /// contradict each other, or the writer fails.
    pub fn add(&mut self, name: &str, array: &NpyArray) -> Result<(), NpzError> {
        if self.names.contains(name) {
            return Err(NpzError::Duplicate {
                name: name.to_owned(),
            });
        }
        if !super::directory::is_inside(name) {
            return Err(NpzError::Name {
                name: name.to_owned(),
            });
        }
        let full = || NpzError::ArchiveFull {
            name: name.to_owned(),
        };
        let bytes = array.to_bytes().map_err(|error| NpzError::Array {
            name: name.to_owned(),
            error,
        })?;
        let checksum = crc32(&bytes);
        let size = u32::try_from(bytes.len()).map_err(|_| full())?;
        let (method, stored) = match self.compression {
            Compression::Stored => (STORED, bytes),
            Compression::Deflated => (DEFLATED, compress_to_vec(&bytes, DEFLATE_LEVEL)),
        };
        let stored_size = u32::try_from(stored.len()).map_err(|_| full())?;
        let offset = u32::try_from(self.written).map_err(|_| full())?;
        let file_name = format!("{name}.npy");
        let name_size = u16::try_from(file_name.len()).map_err(|_| NpzError::Name {
            name: name.to_owned(),
        })?;

        // What a local header and a directory entry have in common, from the version to the length of the extra field.
        let mut fields = Vec::with_capacity(26);
        for half in [VERSION, FLAG_UTF8, method, 0, DOS_DATE] {
            fields.extend_from_slice(&half.to_le_bytes());
        }
        for word in [checksum, stored_size, size] {
            fields.extend_from_slice(&word.to_le_bytes());
        }
        fields.extend_from_slice(&name_size.to_le_bytes());
        fields.extend_from_slice(&[0, 0]);

        let mut entry = b"PK\x01\x02".to_vec();
        entry.extend_from_slice(&VERSION.to_le_bytes());
        entry.extend_from_slice(&fields);
        // Comment length, disk, internal attributes, external attributes: all nothing.
        entry.extend_from_slice(&[0; 10]);
        entry.extend_from_slice(&offset.to_le_bytes());
        entry.extend_from_slice(file_name.as_bytes());

        let local_size = 4 + fields.len() + file_name.len() + stored.len();
        let written = self
            .written
            .saturating_add(u64::try_from(local_size).unwrap_or(u64::MAX));
        let directory_size = self.directory.len() + entry.len();
        // 65,535 entries or 2^32 - 1 bytes would read as "see ZIP64".
        let end = written.saturating_add(u64::try_from(directory_size).unwrap_or(u64::MAX));
        if end >= u64::from(u32::MAX) || self.names.len() + 1 >= usize::from(u16::MAX) {
            return Err(full());
        }
        self.writer.write_all(b"PK\x03\x04")?;
        self.writer.write_all(&fields)?;
        self.writer.write_all(file_name.as_bytes())?;
        self.writer.write_all(&stored)?;
        self.written = written;
        self.directory.extend_from_slice(&entry);
        self.names.insert(name.to_owned());
        Ok(())
    }

    /// Writes the directory, flushes, and gives the writer back.
    ///
    /// # Errors
    ///
    /// The writer fails.
    pub fn finish(mut self) -> Result<W, NpzError> {
        let count = u16::try_from(self.names.len()).expect("checked by add");
        let offset = u32::try_from(self.written).expect("checked by add");
        let size = u32::try_from(self.directory.len()).expect("checked by add");
        self.writer.write_all(&self.directory)?;
        self.writer.write_all(b"PK\x05\x06\0\0\0\0")?;
        self.writer.write_all(&count.to_le_bytes())?;
        self.writer.write_all(&count.to_le_bytes())?;
        self.writer.write_all(&size.to_le_bytes())?;
        self.writer.write_all(&offset.to_le_bytes())?;
        self.writer.write_all(&[0, 0])?;
        self.writer.flush()?;
        Ok(self.writer)
    }
}
