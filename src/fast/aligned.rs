//! Memory that starts at a cache line.

use bytemuck::Pod;

/// Bytes of a cache line, and of the widest vector.
const LINE: usize = 64;

/// Zeroed memory for elements, aligned to a cache line.
#[derive(Debug)]
pub struct Aligned {
    words: Box<[u64]>,
    start: usize,
    bytes: usize,
}

impl Aligned {
    /// Room for `bytes` bytes.
    pub fn new(bytes: usize) -> Self {
        let words = vec![0u64; (bytes + LINE).div_ceil(8)].into_boxed_slice();
        let start = words.as_ptr().cast::<u8>().align_offset(LINE).min(LINE);
        Self {
            words,
            start,
            bytes,
        }
    }

    /// `elements`, copied.
    pub fn of<T: Pod>(elements: &[T]) -> Self {
        let mut this = Self::new(size_of_val(elements));
        this.slice_mut::<T>().copy_from_slice(elements);
        this
    }

    /// Bytes in use.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// All whole elements that fit.
    pub fn slice<T: Pod>(&self) -> &[T] {
        let count = self.bytes / size_of::<T>();
        let bytes = &bytemuck::cast_slice::<u64, u8>(&self.words)[self.start..];
        bytemuck::cast_slice(&bytes[..count * size_of::<T>()])
    }

    /// All whole elements that fit.
    pub fn slice_mut<T: Pod>(&mut self) -> &mut [T] {
        let count = self.bytes / size_of::<T>();
        let bytes = &mut bytemuck::cast_slice_mut::<u64, u8>(&mut self.words)[self.start..];
        bytemuck::cast_slice_mut(&mut bytes[..count * size_of::<T>()])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_starts_at_a_line_and_keeps_its_elements() {
        for len in [0, 1, 7, 64, 100] {
            let elements: Vec<i16> = (0..len).collect();
            let aligned = Aligned::of(&elements);
            assert_eq!(aligned.slice::<i16>(), elements);
            assert_eq!(aligned.slice::<i16>().as_ptr() as usize % LINE, 0);
        }
    }
}
