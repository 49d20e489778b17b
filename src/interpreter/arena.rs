//! The one block of memory that holds every tensor an inference computes.

/// Zeroed memory aligned for every element type.
#[derive(Debug)]
pub(super) struct Arena {
    blocks: Box<[u128]>,
}

impl Arena {
    /// At least `bytes` bytes.
    pub(super) fn new(bytes: usize) -> Self {
        Self {
            blocks: vec![0; bytes.div_ceil(size_of::<u128>())].into_boxed_slice(),
        }
    }

    pub(super) fn bytes(&self) -> &[u8] {
        bytemuck::cast_slice(&self.blocks)
    }

    pub(super) fn bytes_mut(&mut self) -> &mut [u8] {
        bytemuck::cast_slice_mut(&mut self.blocks)
    }
}
