//! The bytes of a model file: mapped, owned or static, aligned for every element type and never moved.

#![allow(unsafe_code)] // mmap, and the promise that the bytes stay where they are

use crate::schema::StableBytes;
use std::fs::File;
use std::io;
use std::ops::Range;
use std::os::fd::AsRawFd;
use std::ptr::NonNull;

/// A model file's bytes.
#[derive(Debug)]
pub(super) enum FileBytes {
    /// A read-only private mapping: pages are read on first use and shared with other processes.
    Mapped(Mapping),
    /// A copy on the heap, aligned to eight bytes, and its length in bytes.
    Owned(Box<[u64]>, usize),
    /// Bytes that live as long as the program, aligned to eight bytes.
    Static(&'static [u8]),
}

// SAFETY: all three variants return the same slice at every call: the mapping and the box are owned and never replaced,
// and nothing gives out mutable access to them. Of a mapping the caller of `Model::from_file` promises that the file is
// not changed in place, as its documentation demands; a private mapping shields from nothing else.
unsafe impl StableBytes for FileBytes {
    fn stable_bytes(&self) -> &[u8] {
        match self {
            Self::Mapped(mapping) => mapping.bytes(),
            Self::Owned(words, len) => bytemuck::cast_slice::<u64, u8>(words)
                .get(..*len)
                .unwrap_or_default(),
            Self::Static(bytes) => bytes,
        }
    }
}

/// A copy of `bytes` that starts at a multiple of eight, filled up with zeros.
pub(super) fn aligned_copy(bytes: &[u8]) -> Box<[u64]> {
    let mut words = vec![0u64; bytes.len().div_ceil(8)].into_boxed_slice();
    bytemuck::cast_slice_mut::<u64, u8>(&mut words)[..bytes.len()].copy_from_slice(bytes);
    words
}

impl FileBytes {
    /// Copies `bytes` to aligned memory.
    pub(super) fn copy(bytes: &[u8]) -> Self {
        Self::Owned(aligned_copy(bytes), bytes.len())
    }

    /// Maps a file, or reads it where it cannot be mapped (a pipe, an empty file).
    pub(super) fn open(path: &std::path::Path) -> io::Result<Self> {
        let mut file = File::open(path)?;
        let metadata = file.metadata()?;
        if metadata.is_file() && metadata.len() > 0 {
            let len = usize::try_from(metadata.len())
                .map_err(|_| io::Error::from(io::ErrorKind::FileTooLarge))?;
            return Ok(Self::Mapped(Mapping::new(&file, len)?));
        }
        let mut bytes = Vec::new();
        io::Read::read_to_end(&mut file, &mut bytes)?;
        Ok(Self::copy(&bytes))
    }

    /// Gives back the memory of bytes that will hardly be read again, where that is possible: whole pages of a mapped file,
    /// which the next access brings back.
    pub(super) fn release(&self, part: Range<usize>) {
        if let Self::Mapped(mapping) = self {
            mapping.release(part);
        }
    }
}

/// A whole file mapped read-only.
///
/// As with every mapped file, its bytes change if another process writes to the file in place, and the process is
/// sent SIGBUS if the file is truncated while mapped. Replace a model by renaming a new file over it.
#[derive(Debug)]
pub(super) struct Mapping {
    start: NonNull<u8>,
    len: usize,
}

// SAFETY: the mapping is read-only memory owned by this value; sharing or moving it between threads races with nothing.
unsafe impl Send for Mapping {}
// SAFETY: as above: only shared reads exist.
unsafe impl Sync for Mapping {}

impl Mapping {
    fn new(file: &File, len: usize) -> io::Result<Self> {
        // SAFETY: a null hint, a non-zero length and an open descriptor are a valid call; the kernel chooses the
        // address, so no existing memory is replaced.
        let start = unsafe {
            libc::mmap(
                std::ptr::null_mut(),
                len,
                libc::PROT_READ,
                libc::MAP_PRIVATE,
                file.as_raw_fd(),
                0,
            )
        };
        if start == libc::MAP_FAILED {
            return Err(io::Error::last_os_error());
        }
        let start = NonNull::new(start.cast::<u8>()).ok_or(io::ErrorKind::OutOfMemory)?;
        Ok(Self { start, len })
    }

    /// Drops the pages that lie wholly within `part`.
    fn release(&self, part: Range<usize>) {
        // SAFETY: the call reads a constant of the system.
        let page = usize::try_from(unsafe { libc::sysconf(libc::_SC_PAGESIZE) }).unwrap_or(0);
        if page == 0 {
            return;
        }
        let first = part.start.next_multiple_of(page);
        let end = part.end.min(self.len) / page * page;
        if first < end {
            let start = self.start.as_ptr().wrapping_add(first).cast();
            // SAFETY: the range lies within the mapping, which is never written to: dropped pages are read from the file
            // again, with the same bytes. Borrows of them stay valid. A refusal leaves the pages where they are.
            unsafe { libc::madvise(start, end - first, libc::MADV_DONTNEED) };
        }
    }

    fn bytes(&self) -> &[u8] {
        // SAFETY: `start` is the address of `len` readable bytes that stay mapped until drop.
        unsafe { std::slice::from_raw_parts(self.start.as_ptr(), self.len) }
    }
}

impl Drop for Mapping {
    fn drop(&mut self) {
        // SAFETY: exactly the range that mmap returned, unmapped once; no borrow of it outlives `self`.
        unsafe { libc::munmap(self.start.as_ptr().cast(), self.len) };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[cfg_attr(miri, ignore = "Miri maps no files")]
    fn released_bytes_come_back() {
        let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("src/schema/tflite.fbs");
        let read = std::fs::read(&path).expect("schema");
        assert!(read.len() > 3 * 4096, "some pages");
        let mapped = FileBytes::open(&path).expect("schema");
        for part in [1..read.len() - 1, 0..read.len(), 5000..5001, 0..usize::MAX] {
            mapped.release(part);
            assert_eq!(mapped.stable_bytes(), read);
        }
    }

    #[test]
    #[cfg_attr(miri, ignore = "Miri maps no files")]
    fn mapped_and_copied_bytes_equal_the_file() {
        let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("Cargo.toml");
        let read = std::fs::read(&path).expect("manifest");
        let mapped = FileBytes::open(&path).expect("manifest");
        assert!(matches!(mapped, FileBytes::Mapped(_)));
        assert_eq!(mapped.stable_bytes(), read);
        assert_eq!(FileBytes::copy(&read).stable_bytes(), read);
        assert_eq!(
            FileBytes::copy(&read)
                .stable_bytes()
                .as_ptr()
                .align_offset(8),
            0
        );
    }
}
