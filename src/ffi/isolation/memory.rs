//! A block of memory that two processes map.
#![allow(
    unsafe_code,
    reason = "maps memory and views it, as no safe function can"
)]

use std::io;
use std::ops::Range;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd};
use std::ptr::NonNull;
use std::sync::Arc;

/// Pages are at most this long on every Linux that libedgetpu runs on.
const PAGE: usize = 64 * 1024;

/// A mapping, undone on drop.
#[derive(Debug)]
struct Mapping {
    start: NonNull<u8>,
    len: usize,
    file: OwnedFd,
}

// SAFETY: a mapping belongs to the process, not to a thread; who may touch its bytes is up to its two owners below.
unsafe impl Send for Mapping {}
// SAFETY: as above; a shared Mapping alone gives no access to bytes.
unsafe impl Sync for Mapping {}

impl Mapping {
    fn new(file: OwnedFd, len: usize) -> io::Result<Self> {
        let protection = libc::PROT_READ | libc::PROT_WRITE;
        // SAFETY: a new mapping at an address of the kernel's choice, over a descriptor that is open.
        let start = unsafe {
            libc::mmap(
                std::ptr::null_mut(),
                len,
                protection,
                libc::MAP_SHARED,
                file.as_raw_fd(),
                0,
            )
        };
        if start == libc::MAP_FAILED {
            return Err(io::Error::last_os_error());
        }
        let start = NonNull::new(start.cast()).ok_or(io::ErrorKind::OutOfMemory)?;
        Ok(Self { start, len, file })
    }
}

impl Drop for Mapping {
    fn drop(&mut self) {
        // SAFETY: mapped in `new` with this length and unmapped once; nobody has a reference into it any more, because
        // those borrow the SharedMemory that owns it.
        let status = unsafe { libc::munmap(self.start.as_ptr().cast(), self.len) };
        debug_assert_eq!(status, 0, "the mapping was ours");
    }
}

/// Zeroed memory that another process maps too, whole pages, of a length that neither can change.
///
/// References to its bytes are ordinary ones. The two processes hand the memory to each other: whoever waits for the
/// other's answer does not touch it. A process that breaks this garbles bytes, as a device that writes into memory does.
#[derive(Debug)]
pub(crate) struct SharedMemory {
    mapping: Arc<Mapping>,
}

impl SharedMemory {
    /// At least `len` bytes.
    pub(crate) fn new(len: usize) -> io::Result<Self> {
        let len = len
            .max(1)
            .checked_next_multiple_of(PAGE)
            .ok_or(io::ErrorKind::OutOfMemory)?;
        let size = i64::try_from(len).map_err(|_| io::ErrorKind::OutOfMemory)?;
        let flags = libc::MFD_CLOEXEC | libc::MFD_ALLOW_SEALING;
        // SAFETY: the name ends in a zero byte. A raw call, because older C libraries have no function for it.
        let file = unsafe { libc::syscall(libc::SYS_memfd_create, c"corallite".as_ptr(), flags) };
        let file = i32::try_from(file).map_err(|_| io::ErrorKind::Other)?;
        if file < 0 {
            return Err(io::Error::last_os_error());
        }
        // SAFETY: the descriptor was just made and nobody else knows it.
        let file = std::fs::File::from(unsafe { OwnedFd::from_raw_fd(file) });
        file.set_len(size as u64)?;
        let seals = libc::F_SEAL_SHRINK | libc::F_SEAL_GROW | libc::F_SEAL_SEAL;
        // SAFETY: takes numbers. Sealed, so that touching the memory never faults.
        if unsafe { libc::fcntl(file.as_raw_fd(), libc::F_ADD_SEALS, seals) } < 0 {
            return Err(io::Error::last_os_error());
        }
        let mapping = Arc::new(Mapping::new(file.into(), len)?);
        Ok(Self { mapping })
    }

    /// Maps what another process made with [`new`](Self::new).
    pub(crate) fn map(file: OwnedFd) -> io::Result<Self> {
        // SAFETY: takes numbers.
        let seals = unsafe { libc::fcntl(file.as_raw_fd(), libc::F_GET_SEALS) };
        if seals & libc::F_SEAL_SHRINK == 0 || seals < 0 {
            return Err(io::ErrorKind::InvalidInput.into());
        }
        let file = std::fs::File::from(file);
        let len =
            usize::try_from(file.metadata()?.len()).map_err(|_| io::ErrorKind::OutOfMemory)?;
        let mapping = Arc::new(Mapping::new(file.into(), len)?);
        Ok(Self { mapping })
    }

    /// Names the memory without access to its bytes.
    pub(crate) fn handle(&self) -> SharedHandle {
        SharedHandle {
            mapping: Arc::clone(&self.mapping),
        }
    }

    /// Length in bytes.
    pub(crate) fn len(&self) -> usize {
        self.mapping.len
    }

    /// Address of the first byte; a multiple of the page size.
    pub(super) fn start(&self) -> NonNull<u8> {
        self.mapping.start
    }

    /// All bytes.
    pub(crate) fn bytes(&self) -> &[u8] {
        // SAFETY: mapped and initialised by the kernel over this length, for as long as self is borrowed; within this
        // process only `&mut self` leads to writes.
        unsafe { std::slice::from_raw_parts(self.mapping.start.as_ptr(), self.mapping.len) }
    }

    /// All bytes, for writing.
    pub(crate) fn bytes_mut(&mut self) -> &mut [u8] {
        // SAFETY: as in `bytes`, and self is borrowed exclusively; handles give no access.
        unsafe { std::slice::from_raw_parts_mut(self.mapping.start.as_ptr(), self.mapping.len) }
    }
}

/// Which memory it is: to pass it to another process, and to recognise slices of it. Keeps it mapped.
#[derive(Debug, Clone)]
pub(crate) struct SharedHandle {
    mapping: Arc<Mapping>,
}

impl SharedHandle {
    /// The descriptor that another process can map.
    pub(crate) fn file(&self) -> BorrowedFd<'_> {
        self.mapping.file.as_fd()
    }

    /// Where `bytes` lie in the memory, if they do.
    pub(crate) fn offset_of(&self, bytes: &[u8]) -> Option<usize> {
        let offset = bytes
            .as_ptr()
            .addr()
            .checked_sub(self.mapping.start.addr().get())?;
        let end = offset.checked_add(bytes.len())?;
        (end <= self.mapping.len).then_some(offset)
    }

    /// Whether both are the same memory.
    pub(crate) fn is_same(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.mapping, &other.mapping)
    }
}

/// Calls `work` with slices of several blocks at once: those to read, each with up to 7 bytes more where the block has
/// them and no slice to write begins, and those to write. `None` if one is outside its block, or one to write overlaps
/// another.
pub(crate) fn with_views<T, const N: usize>(
    blocks: &mut [Option<SharedMemory>],
    inputs: impl Iterator<Item = (usize, Range<usize>)> + Clone,
    outputs: impl Iterator<Item = (usize, Range<usize>)> + Clone,
    work: impl FnOnce(&[&[u8]], [&mut [u8]; N], usize) -> T,
) -> Option<T> {
    let overlaps = |a: &(usize, Range<usize>), b: &(usize, Range<usize>)| -> bool {
        a.0 == b.0 && a.1.start < b.1.end && b.1.start < a.1.end
    };
    for (number, output) in outputs.clone().enumerate() {
        let others = outputs.clone().take(number);
        if others
            .chain(inputs.clone())
            .any(|other| overlaps(&output, &other))
        {
            return None;
        }
    }
    let within = |(block, range): &(usize, Range<usize>)| {
        let block = blocks.get(*block)?.as_ref()?;
        (range.start <= range.end && range.end <= block.len()).then_some(block)
    };
    let mut read: [&[u8]; N] = [&[]; N];
    let mut input_count = 0;
    for input in inputs {
        let block = within(&input)?;
        let padded = (input.0, input.1.start..input.1.end.next_multiple_of(8));
        let free = !outputs.clone().any(|output| overlaps(&padded, &output));
        let range = if free && padded.1.end <= block.len() {
            padded.1
        } else {
            input.1
        };
        // SAFETY: inside the block, which the caller borrows exclusively; no slice to write overlaps it.
        let slice = unsafe {
            std::slice::from_raw_parts(
                block.start().as_ptr().wrapping_add(range.start),
                range.len(),
            )
        };
        *read.get_mut(input_count)? = slice;
        input_count += 1;
    }
    let mut written: [&mut [u8]; N] = std::array::from_fn(|_| &mut [][..]);
    let mut output_count = 0;
    for output in outputs {
        let block = within(&output)?;
        let start = block.start().as_ptr().wrapping_add(output.1.start);
        // SAFETY: inside the block, which the caller borrows exclusively; it overlaps no other slice, as checked above.
        let slice = unsafe { std::slice::from_raw_parts_mut(start, output.1.len()) };
        *written.get_mut(output_count)? = slice;
        output_count += 1;
    }
    Some(work(&read[..input_count], written, output_count))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_is_zeroed_whole_pages_and_seen_through_both_mappings() {
        let mut here = SharedMemory::new(10).expect("memory");
        assert_eq!(here.len(), PAGE);
        assert!(here.bytes().iter().all(|&byte| byte == 0));
        let file = here
            .handle()
            .file()
            .try_clone_to_owned()
            .expect("a descriptor");
        let there = SharedMemory::map(file).expect("a mapping");
        here.bytes_mut()[3] = 7;
        assert_eq!(there.bytes()[3], 7);
        assert!(!here.handle().is_same(&there.handle()));
    }

    #[test]
    fn only_sealed_memory_is_mapped() {
        let file = std::fs::File::open("/proc/self/exe").expect("a file");
        assert!(SharedMemory::map(file.into()).is_err());
    }

    #[test]
    fn slices_are_recognised_by_their_address() {
        let memory = SharedMemory::new(100).expect("memory");
        let handle = memory.handle();
        assert_eq!(handle.offset_of(&memory.bytes()[8..20]), Some(8));
        assert_eq!(handle.offset_of(&[0; 4]), None);
    }

    #[test]
    fn views_are_padded_where_nobody_writes_and_refused_where_they_overlap() {
        let mut blocks = [Some(SharedMemory::new(PAGE).expect("memory")), None];
        let lengths = |inputs: &[(usize, Range<usize>)],
                       outputs: &[(usize, Range<usize>)],
                       blocks: &mut _| {
            with_views::<_, 4>(
                blocks,
                inputs.iter().cloned(),
                outputs.iter().cloned(),
                |inputs, outputs, count| {
                    let inputs: Vec<usize> = inputs.iter().map(|slice| slice.len()).collect();
                    let outputs: Vec<usize> =
                        outputs[..count].iter().map(|slice| slice.len()).collect();
                    (inputs, outputs)
                },
            )
        };
        // 3 bytes at 16 are read to 24, unless somebody writes there.
        assert_eq!(
            lengths(&[(0, 16..19)], &[(0, 24..30)], &mut blocks),
            Some((vec![8], vec![6]))
        );
        assert_eq!(
            lengths(&[(0, 16..19)], &[(0, 20..30)], &mut blocks),
            Some((vec![3], vec![10]))
        );
        let refused: [(&[_], &[_]); 5] = [
            (&[(0, 16..19)], &[(0, 18..30)]),
            (&[], &[(0, 0..8), (0, 4..12)]),
            (&[(0, 0..PAGE + 1)], &[]),
            (&[(1, 0..1)], &[]),
            (&[(2, 0..1)], &[]),
        ];
        for (inputs, outputs) in refused {
            assert_eq!(
                lengths(inputs, outputs, &mut blocks),
                None,
                "{inputs:?} {outputs:?}"
            );
        }
    }
}
