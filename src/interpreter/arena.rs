//! The one block of memory that holds every tensor a program computes.

use crate::delegate::{ArenaMemory, Delegate};

/// Zeroed memory aligned for every element type.
#[derive(Debug)]
pub(super) enum Arena {
    Own(Vec<u128>),
    /// A delegate's, which its device or another process can reach.
    Delegates(Box<dyn ArenaMemory>),
}

impl Arena {
    /// At least `bytes` bytes.
    pub(super) fn new(bytes: usize) -> Self {
        Self::Own(vec![0; bytes.div_ceil(size_of::<u128>())])
    }

    /// At least `bytes` bytes, of the first of `delegates` that has a wish, else of the heap.
    pub(super) fn for_delegates(bytes: usize, delegates: &mut [Box<dyn Delegate>]) -> Self {
        let given = delegates
            .iter_mut()
            .find_map(|delegate| delegate.arena(bytes));
        match given {
            Some(given) if given.bytes().len() >= bytes => Self::Delegates(given),
            _ => Self::new(bytes),
        }
    }

    pub(super) fn bytes(&self) -> &[u8] {
        match self {
            Self::Own(blocks) => bytemuck::cast_slice(blocks),
            Self::Delegates(memory) => memory.bytes(),
        }
    }

    pub(super) fn bytes_mut(&mut self) -> &mut [u8] {
        match self {
            Self::Own(blocks) => bytemuck::cast_slice_mut(blocks),
            Self::Delegates(memory) => memory.bytes_mut(),
        }
    }

    /// Makes it at least `bytes` bytes; what is in it stays. Memory once taken is kept.
    pub(super) fn grow(&mut self, bytes: usize) {
        if bytes <= self.bytes().len() {
            return;
        }
        match self {
            Self::Own(blocks) => blocks.resize(bytes.div_ceil(size_of::<u128>()), 0),
            Self::Delegates(memory) => {
                let mut own = Self::new(bytes);
                let kept = memory.bytes();
                own.bytes_mut()[..kept.len()].copy_from_slice(kept);
                *self = own;
            }
        }
    }
}
