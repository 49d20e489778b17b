//! Sparse constants: the elements that a file stores, put where they belong in the dense tensor that kernels read.
//!
//! The encoding is a tree with a level for each axis, in the order that `traversal_order` gives. An axis of the tensor can be
//! cut into blocks; it then counts blocks, and an axis of the block, numbered on from those of the tensor, counts within
//! one. A dense level has a branch for every index. A compressed one (CSR) lists the branches there are: row `r`, the `r`-th
//! node above it, has the indices `array_indices[array_segments[r]..array_segments[r + 1]]`. The leaves, in order, are the
//! stored elements; all others are zero, whatever the zero point.
//!
//! Source: TFLite `schema/schema.fbs`, SparsityParameters; `tools/verifier_internal.cc` and `tools/verifier.cc`, what makes
//! an encoding valid; `kernels/internal/utils/sparsity_format_converter.cc`, where an element goes. Rules beyond those keep
//! an element from being stored twice and a file from claiming more memory than it can be worth.

mod error;
mod levels;

pub use error::{SparseError, SparsePlace};

use crate::schema::tflite::SparsityParameters;
use crate::tensor::{Shape, TensorType};
use levels::{Level, levels};

/// What the sparse constants of a file may become: dense bytes for each byte of the file, and some for small files.
const DENSE_PER_FILE_BYTE: usize = 256;
const DENSE_ALWAYS: usize = 1 << 20;
const DENSE_EVER: usize = 1 << 30;

/// The most bytes that the sparse constants of a file of `len` bytes may become, unless the caller sets a limit.
pub(super) fn in_proportion(len: usize) -> usize {
    len.saturating_mul(DENSE_PER_FILE_BYTE)
        .saturating_add(DENSE_ALWAYS)
        .min(DENSE_EVER)
}

/// A verified encoding with the elements that it places.
pub(super) struct Sparse<'a> {
    levels: Vec<Level<'a>>,
    stored: &'a [u8],
    element: usize,
    dense_bytes: usize,
}

impl<'a> Sparse<'a> {
    /// Verifies the encoding of a tensor of this type and shape, of which the file stores the bytes `stored`.
    pub(super) fn new(
        table: SparsityParameters<'a>,
        ty: TensorType,
        shape: Shape,
        stored: &'a [u8],
    ) -> Result<Self, SparseError> {
        let element = ty.size().ok_or(SparseError::Type { ty })?;
        let dense_bytes = ty.bytes(shape.count()).ok_or(SparseError::Type { ty })?;
        if stored.is_empty() {
            return Err(SparseError::NoData);
        }
        let levels = levels(&table, shape)?;
        let mut elements: usize = 1;
        for (number, level) in levels.iter().enumerate() {
            elements = match &level.rows {
                None => elements.saturating_mul(level.extent),
                Some(rows) => {
                    rows.check(number, elements, level.extent)?;
                    rows.indices.len()
                }
            };
        }
        let expected = elements.saturating_mul(element);
        if stored.len() != expected {
            return Err(SparseError::Stored {
                found: stored.len(),
                expected,
                elements,
            });
        }
        Ok(Self {
            levels,
            stored,
            element,
            dense_bytes,
        })
    }

    /// How many elements are stored.
    pub(super) fn elements(&self) -> usize {
        self.stored.len() / self.element
    }

    /// The bytes of the dense tensor.
    pub(super) fn dense_bytes(&self) -> usize {
        self.dense_bytes
    }

    /// The dense tensor, filled up to whole words with zeros.
    pub(super) fn expand(&self) -> Box<[u64]> {
        let mut words = vec![0u64; self.dense_bytes.div_ceil(8)].into_boxed_slice();
        let bytes: &mut [u8] = bytemuck::cast_slice_mut(&mut words);
        let mut values = self.stored.chunks_exact(self.element);
        walk(&self.levels, 0, 0, &mut |position| {
            let at = position * self.element;
            if let (Some(value), Some(to)) = (values.next(), bytes.get_mut(at..at + self.element)) {
                to.copy_from_slice(value);
            }
        });
        words
    }
}

/// Calls `each` with the position of every leaf below node `node` of the level before `levels`, whose own position is `at`.
fn walk(levels: &[Level<'_>], node: usize, at: usize, each: &mut dyn FnMut(usize)) {
    let Some((level, below)) = levels.split_first() else {
        return each(at);
    };
    match &level.rows {
        None => {
            for index in 0..level.extent {
                let node = node * level.extent + index;
                walk(below, node, at + index * level.stride, each);
            }
        }
        Some(rows) => {
            for entry in rows.segments.index(node)..rows.segments.index(node + 1) {
                walk(
                    below,
                    entry,
                    at + rows.indices.index(entry) * level.stride,
                    each,
                );
            }
        }
    }
}
