//! The central directory of a ZIP archive: which entries there are, how they are stored and where.
//!
//! The directory at the end of the file is what counts; local headers are only stepped over. Source: APPNOTE.TXT 6.3.10,
//! sections 4.3.12 (directory header), 4.3.14 to 4.3.16 (end records), 4.5.3 (ZIP64 extra field).

use std::collections::HashSet;
use std::io::{ErrorKind, Read, Seek, SeekFrom};

use super::NpzError;

const END_SIGNATURE: u32 = 0x0605_4b50;
const END_SIZE: u64 = 22;
const END64_SIGNATURE: u32 = 0x0606_4b50;
const END64_SIZE: usize = 56;
const LOCATOR64_SIGNATURE: u32 = 0x0706_4b50;
const LOCATOR64_SIZE: u64 = 20;
const ENTRY_SIGNATURE: u32 = 0x0201_4b50;
const ENTRY_SIZE: usize = 46;
const LOCAL_SIGNATURE: u32 = 0x0403_4b50;
const LOCAL_SIZE: usize = 30;
/// A comment of 65,535 bytes may follow the end record.
const COMMENT_LIMIT: u64 = 65_535;
/// An extra field with the sizes that do not fit 32 bits.
const ZIP64_EXTRA: u16 = 1;
const FLAG_ENCRYPTED: u16 = 1;

pub(super) const STORED: u16 = 0;
pub(super) const DEFLATED: u16 = 8;

/// One entry of the archive.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Entry {
    /// Without the `.npy` at its end.
    pub name: String,
    pub method: u16,
    pub crc32: u32,
    /// In bytes, as stored.
    pub compressed: u64,
    /// In bytes, decompressed.
    pub size: u64,
    /// Of its local header, from the beginning of the file.
    pub offset: u64,
}

/// Reads the whole directory.
pub(super) fn read<R: Read + Seek>(reader: &mut R) -> Result<Vec<Entry>, NpzError> {
    let length = reader.seek(SeekFrom::End(0))?;
    let end = End::find(reader, length)?;
    if end
        .directory_offset
        .checked_add(end.directory_size)
        .is_none_or(|stop| stop > length)
    {
        return Err(NpzError::Damaged {
            record: "central directory",
            offset: end.directory_offset,
        });
    }
    // Each entry has at least its fixed part, so the count is bounded by bytes that are really there.
    let most = end.directory_size / u64::try_from(ENTRY_SIZE).expect("a small constant");
    if end.entries > most {
        return Err(NpzError::EntryCount {
            claimed: end.entries,
            directory_bytes: end.directory_size,
        });
    }
    let bytes = read_at(
        reader,
        end.directory_offset,
        end.directory_size,
        "central directory",
    )?;
    let mut entries = Vec::new();
    let mut names = HashSet::new();
    let mut rest = bytes.as_slice();
    for _ in 0..end.entries {
        let at = end.directory_offset + end.directory_size
            - u64::try_from(rest.len()).unwrap_or_default();
        let damaged = NpzError::Damaged {
            record: "directory entry",
            offset: at,
        };
        let Some((entry, after)) = Entry::parse(rest)? else {
            return Err(damaged);
        };
        rest = after;
        if !names.insert(entry.name.clone()) {
            return Err(NpzError::Duplicate { name: entry.name });
        }
        entries.push(entry);
    }
    Ok(entries)
}

/// The entry's bytes as stored.
pub(super) fn read_stored<R: Read + Seek>(
    reader: &mut R,
    entry: &Entry,
) -> Result<Vec<u8>, NpzError> {
    const RECORD: &str = "local header";
    let header = read_at(
        reader,
        entry.offset,
        u64::try_from(LOCAL_SIZE).expect("a small constant"),
        RECORD,
    )?;
    let damaged = || NpzError::Damaged {
        record: RECORD,
        offset: entry.offset,
    };
    if read_u32(&header, 0) != Some(LOCAL_SIGNATURE) {
        return Err(damaged());
    }
    let name_size = read_u16(&header, 26).ok_or_else(damaged)?;
    let extra_size = read_u16(&header, 28).ok_or_else(damaged)?;
    let skip = u64::try_from(LOCAL_SIZE).expect("a small constant")
        + u64::from(name_size)
        + u64::from(extra_size);
    let start = entry.offset.checked_add(skip).ok_or_else(damaged)?;
    read_at(reader, start, entry.compressed, "entry data")
}

/// `size` bytes from `offset`; memory grows with what is there.
fn read_at<R: Read + Seek>(
    reader: &mut R,
    offset: u64,
    size: u64,
    record: &'static str,
) -> Result<Vec<u8>, NpzError> {
    reader.seek(SeekFrom::Start(offset))?;
    let mut bytes = Vec::new();
    let found = match reader.take(size).read_to_end(&mut bytes) {
        Ok(found) => found,
        Err(error) if error.kind() == ErrorKind::OutOfMemory => {
            return Err(NpzError::OutOfMemory {
                name: record.to_owned(),
                bytes: size,
            });
        }
        Err(error) => return Err(NpzError::Io(error)),
    };
    if u64::try_from(found) != Ok(size) {
        return Err(NpzError::Damaged { record, offset });
    }
    Ok(bytes)
}

/// What the end records say of the directory.
struct End {
    entries: u64,
    directory_size: u64,
    directory_offset: u64,
}

impl End {
    fn find<R: Read + Seek>(reader: &mut R, length: u64) -> Result<Self, NpzError> {
        let tail_size = length.min(END_SIZE + COMMENT_LIMIT);
        let tail_offset = length - tail_size;
        let tail = read_at(reader, tail_offset, tail_size, "end record")?;
        // Backwards: the comment may hold anything, the end record is the last whose comment reaches the end of the file.
        let at = (0..tail.len())
            .rev()
            .find(|at| {
                let record = tail.get(*at..).unwrap_or_default();
                read_u32(record, 0) == Some(END_SIGNATURE)
                    && read_u16(record, 20)
                        .is_some_and(|comment| record.len() == 22 + usize::from(comment))
            })
            .ok_or(NpzError::NotZip { length })?;
        let record = tail.get(at..).unwrap_or_default();
        let offset = tail_offset + u64::try_from(at).unwrap_or_default();
        let damaged = || NpzError::Damaged {
            record: "end record",
            offset,
        };
        let half = |at| read_u16(record, at).ok_or_else(damaged);
        let word = |at| read_u32(record, at).ok_or_else(damaged);
        let (disk, directory_disk, entries_here) = (half(4)?, half(6)?, half(8)?);
        let (entries, size, directory_offset) = (half(10)?, word(12)?, word(16)?);
        let elsewhere = entries == u16::MAX || size == u32::MAX || directory_offset == u32::MAX;
        if elsewhere && let Some(end) = Self::find_zip64(reader, offset)? {
            return Ok(end);
        }
        if disk != 0 || directory_disk != 0 || entries_here != entries {
            return Err(NpzError::SeveralDisks);
        }
        Ok(End {
            entries: u64::from(entries),
            directory_size: u64::from(size),
            directory_offset: u64::from(directory_offset),
        })
    }

    /// The ZIP64 end record, where the locator before the end record at `end` leads to one.
    fn find_zip64<R: Read + Seek>(reader: &mut R, end: u64) -> Result<Option<Self>, NpzError> {
        let Some(locator_offset) = end.checked_sub(LOCATOR64_SIZE) else {
            return Ok(None);
        };
        let locator = read_at(reader, locator_offset, LOCATOR64_SIZE, "ZIP64 locator")?;
        if read_u32(&locator, 0) != Some(LOCATOR64_SIGNATURE) {
            return Ok(None);
        }
        let damaged = |offset| NpzError::Damaged {
            record: "ZIP64 end record",
            offset,
        };
        let offset = read_u64(&locator, 8).ok_or_else(|| damaged(locator_offset))?;
        let size = u64::try_from(END64_SIZE).expect("a small constant");
        if offset
            .checked_add(size)
            .is_none_or(|stop| stop > locator_offset)
        {
            return Err(damaged(offset));
        }
        let record = read_at(reader, offset, size, "ZIP64 end record")?;
        if read_u32(&record, 0) != Some(END64_SIGNATURE) {
            return Err(damaged(offset));
        }
        let word = |at| read_u32(&record, at).ok_or_else(|| damaged(offset));
        let double = |at| read_u64(&record, at).ok_or_else(|| damaged(offset));
        if word(16)? != 0 || word(20)? != 0 || double(24)? != double(32)? {
            return Err(NpzError::SeveralDisks);
        }
        Ok(Some(End {
            entries: double(32)?,
            directory_size: double(40)?,
            directory_offset: double(48)?,
        }))
    }
}

impl Entry {
    /// The entry at the beginning of `bytes` and what follows it; `None` where the bytes are no entry.
    fn parse(bytes: &[u8]) -> Result<Option<(Self, &[u8])>, NpzError> {
        let Some(fields) = Fields::parse(bytes) else {
            return Ok(None);
        };
        let shown = || {
            String::from_utf8_lossy(fields.name)
                .chars()
                .take(200)
                .collect::<String>()
        };
        let name = std::str::from_utf8(fields.name)
            .ok()
            .filter(|name| is_inside(name))
            .ok_or_else(|| NpzError::Name { name: shown() })?;
        if fields.flags & FLAG_ENCRYPTED != 0 {
            return Err(NpzError::Encrypted { name: shown() });
        }
        if !matches!(fields.method, STORED | DEFLATED) {
            return Err(NpzError::Method {
                name: shown(),
                method: fields.method,
            });
        }
        if fields.disk != 0 {
            return Err(NpzError::SeveralDisks);
        }
        let name = name
            .strip_suffix(".npy")
            .ok_or_else(|| NpzError::NotArray { name: shown() })?;
        let Some((size, compressed, offset)) = fields.wide_sizes() else {
            return Ok(None);
        };
        if fields.method == STORED && size != compressed {
            return Err(NpzError::Size {
                name: name.to_owned(),
                expected: size,
                found: compressed,
            });
        }
        let entry = Entry {
            name: name.to_owned(),
            method: fields.method,
            crc32: fields.crc32,
            compressed,
            size,
            offset,
        };
        Ok(Some((entry, fields.rest)))
    }
}

/// Whether a name stays inside the folder an archive would be unpacked into.
pub(super) fn is_inside(name: &str) -> bool {
    !name.is_empty()
        && !name.contains(|character: char| character == '\\' || character.is_control())
        && name.split('/').all(|part| !matches!(part, "" | "." | ".."))
}

/// The fields of a directory entry as they stand.
struct Fields<'a> {
    flags: u16,
    method: u16,
    crc32: u32,
    compressed: u32,
    size: u32,
    disk: u16,
    offset: u32,
    name: &'a [u8],
    extra: &'a [u8],
    rest: &'a [u8],
}

impl<'a> Fields<'a> {
    fn parse(bytes: &'a [u8]) -> Option<Self> {
        if read_u32(bytes, 0)? != ENTRY_SIGNATURE {
            return None;
        }
        let variable = bytes.get(ENTRY_SIZE..)?;
        let (name, variable) = variable.split_at_checked(usize::from(read_u16(bytes, 28)?))?;
        let (extra, variable) = variable.split_at_checked(usize::from(read_u16(bytes, 30)?))?;
        let (_comment, rest) = variable.split_at_checked(usize::from(read_u16(bytes, 32)?))?;
        Some(Fields {
            flags: read_u16(bytes, 8)?,
            method: read_u16(bytes, 10)?,
            crc32: read_u32(bytes, 16)?,
            compressed: read_u32(bytes, 20)?,
            size: read_u32(bytes, 24)?,
            disk: read_u16(bytes, 34)?,
            offset: read_u32(bytes, 42)?,
            name,
            extra,
            rest,
        })
    }

    /// Size, compressed size and offset, each from the ZIP64 extra field where its own place is full of ones.
    fn wide_sizes(&self) -> Option<(u64, u64, u64)> {
        let mut extra = self.extra;
        let mut wide: &[u8] = &[];
        while !extra.is_empty() {
            let (id, size) = (read_u16(extra, 0)?, read_u16(extra, 2)?);
            let (field, rest) = extra.get(4..)?.split_at_checked(usize::from(size))?;
            if id == ZIP64_EXTRA {
                wide = field;
            }
            extra = rest;
        }
        let mut value = |narrow: u32| {
            if narrow != u32::MAX {
                return Some(u64::from(narrow));
            }
            let (first, rest) = wide.split_first_chunk()?;
            wide = rest;
            Some(u64::from_le_bytes(*first))
        };
        Some((
            value(self.size)?,
            value(self.compressed)?,
            value(self.offset)?,
        ))
    }
}

fn read_u16(bytes: &[u8], at: usize) -> Option<u16> {
    bytes
        .get(at..)?
        .first_chunk()
        .copied()
        .map(u16::from_le_bytes)
}

fn read_u32(bytes: &[u8], at: usize) -> Option<u32> {
    bytes
        .get(at..)?
        .first_chunk()
        .copied()
        .map(u32::from_le_bytes)
}

fn read_u64(bytes: &[u8], at: usize) -> Option<u64> {
    bytes
        .get(at..)?
        .first_chunk()
        .copied()
        .map(u64::from_le_bytes)
}
