//! The one block of memory that holds every tensor a program computes.

/// Zeroed memory aligned for every element type.
#[derive(Debug)]
pub(super) struct Arena {
    blocks: Vec<u128>,
}

impl Arena {
    /// At least `bytes` bytes.
    pub(super) fn new(bytes: usize) -> Self {
        Self {
            blocks: vec![0; bytes.div_ceil(size_of::<u128>())],
        }
    }

    pub(super) fn bytes(&self) -> &[u8] {
        bytemuck::cast_slice(&self.blocks)
    }

    pub(super) fn bytes_mut(&mut self) -> &mut [u8] {
        bytemuck::cast_slice_mut(&mut self.blocks)
    }

    /// Makes it at least `bytes` bytes; what is in it stays. Memory once taken is kept.
    pub(super) fn grow(&mut self, bytes: usize) {
        let blocks = bytes.div_ceil(size_of::<u128>());
        if blocks > self.blocks.len() {
            self.blocks.resize(blocks, 0);
        }
    }
}
