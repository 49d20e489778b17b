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

use crate::schema::Vector;
use crate::schema::tflite::{DimensionMetadata, DimensionType, SparsityParameters};
use crate::tensor::{MAX_RANK, Shape, TensorType};
use std::fmt;
use std::ops::RangeInclusive;

/// What the sparse constants of a file may become: dense bytes for each byte of the file, and some for small files.
const DENSE_PER_FILE_BYTE: usize = 256;
const DENSE_ALWAYS: usize = 1 << 20;
const DENSE_EVER: usize = 1 << 30;

/// The most bytes that the sparse constants of a file of `len` bytes may become.
pub(super) fn dense_limit(len: usize) -> usize {
    len.saturating_mul(DENSE_PER_FILE_BYTE)
        .saturating_add(DENSE_ALWAYS)
        .min(DENSE_EVER)
}

/// Why a sparse encoding is none, or is not taken.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum SparseError {
    /// Nothing is stored.
    NoData,
    /// Elements are not whole bytes.
    Type { ty: TensorType },
    /// A vector has not the entries that others demand.
    Length {
        vector: SparsePlace,
        found: usize,
        expected: RangeInclusive<usize>,
    },
    /// A number is not in the range that others leave it.
    Number {
        place: SparsePlace,
        found: i64,
        expected: RangeInclusive<i64>,
    },
    /// An axis is traversed a second time.
    AxisTwice { place: SparsePlace, axis: usize },
    /// Blocks do not divide their axis.
    Block {
        place: SparsePlace,
        block: usize,
        axis: usize,
        extent: usize,
    },
    /// The stored bytes are not those of the elements that the tree has.
    Stored {
        found: usize,
        expected: usize,
        elements: usize,
    },
    /// The sparse constants up to this one are out of proportion to the file.
    TooLarge { bytes: usize, limit: usize },
}

/// A field of the encoding: of the whole, or of one level.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct SparsePlace {
    /// The level, an index into `dim_metadata`.
    pub level: Option<usize>,
    /// The field's name in the schema.
    pub field: &'static str,
    /// The entry of a vector.
    pub entry: Option<usize>,
}

impl SparsePlace {
    const fn field(field: &'static str) -> Self {
        Self {
            level: None,
            field,
            entry: None,
        }
    }

    const fn of_level(level: usize, field: &'static str) -> Self {
        Self {
            level: Some(level),
            ..Self::field(field)
        }
    }

    const fn at(self, entry: usize) -> Self {
        Self {
            entry: Some(entry),
            ..self
        }
    }
}

impl fmt::Display for SparsePlace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(level) = self.level {
            write!(f, "dim_metadata[{level}].")?;
        }
        f.write_str(self.field)?;
        match self.entry {
            Some(entry) => write!(f, "[{entry}]"),
            None => Ok(()),
        }
    }
}

/// A range as people say it.
fn write_range<T: fmt::Display + PartialOrd>(
    f: &mut fmt::Formatter<'_>,
    range: &RangeInclusive<T>,
) -> fmt::Result {
    let (low, high) = (range.start(), range.end());
    if low > high {
        f.write_str("none")
    } else if low < high {
        write!(f, "{low} to {high}")
    } else {
        write!(f, "{low}")
    }
}

impl fmt::Display for SparseError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoData => f.write_str("no data found, expected a constant's stored elements"),
            Self::Type { ty } => write!(f, "{ty} elements found, expected elements of whole bytes"),
            Self::Length {
                vector,
                found,
                expected,
            } => {
                write!(f, "{vector} of {found} entries found, expected ")?;
                write_range(f, expected)
            }
            Self::Number {
                place,
                found,
                expected,
            } => {
                write!(f, "{place} {found} found, expected ")?;
                write_range(f, expected)
            }
            Self::AxisTwice { place, axis } => {
                write!(f, "{place} {axis} found again, expected each axis once")
            }
            Self::Block {
                place,
                block,
                axis,
                extent,
            } => write!(
                f,
                "{place} {block} found, expected a divisor of axis {axis}'s {extent}"
            ),
            Self::Stored {
                found,
                expected,
                elements,
            } => write!(
                f,
                "{found} bytes of data found, expected {expected} for {elements} stored elements"
            ),
            Self::TooLarge { bytes, limit } => write!(
                f,
                "{bytes} dense bytes found with those of the sparse constants before, expected at most {limit} of a file of this size"
            ),
        }
    }
}

impl std::error::Error for SparseError {}

impl SparseError {
    /// Whether a sound file can be so.
    pub(super) fn is_unsupported(&self) -> bool {
        matches!(self, Self::Type { .. } | Self::TooLarge { .. })
    }
}

/// A verified encoding with the elements that it places.
pub(super) struct Sparse<'a> {
    levels: Vec<Level<'a>>,
    stored: &'a [u8],
    element: usize,
    dense_bytes: usize,
}

/// An axis in the order of storage.
struct Level<'a> {
    extent: usize,
    /// Elements of the dense tensor from one index to the next.
    stride: usize,
    /// Rows and indices, where the axis is compressed.
    rows: Option<Rows<'a>>,
}

struct Rows<'a> {
    segments: Numbers<'a>,
    indices: Numbers<'a>,
}

/// The entries of a vector, whichever width it has.
#[derive(Clone, Copy)]
enum Numbers<'a> {
    I32(Vector<'a, i32>),
    U16(Vector<'a, u16>),
    U8(Vector<'a, u8>),
    None,
}

impl Numbers<'_> {
    fn len(&self) -> usize {
        match self {
            Self::I32(vector) => vector.len(),
            Self::U16(vector) => vector.len(),
            Self::U8(vector) => vector.len(),
            Self::None => 0,
        }
    }

    fn get(&self, entry: usize) -> i64 {
        match self {
            Self::I32(vector) => vector.get(entry).into(),
            Self::U16(vector) => vector.get(entry).into(),
            Self::U8(vector) => vector.get(entry).into(),
            Self::None => 0,
        }
    }

    /// An entry that was verified to be an index.
    fn index(&self, entry: usize) -> usize {
        usize::try_from(self.get(entry)).unwrap_or(0)
    }
}

/// The rows of a level; vectors that are left out are empty.
fn rows<'a>(table: &DimensionMetadata<'a>) -> Rows<'a> {
    /// One of the three members of the union that a field is.
    macro_rules! numbers {
        ($as_i32:ident, $as_u16:ident, $as_u8:ident) => {
            if let Some(vector) = table.$as_i32().and_then(|t| t.values()) {
                Numbers::I32(vector)
            } else if let Some(vector) = table.$as_u16().and_then(|t| t.values()) {
                Numbers::U16(vector)
            } else if let Some(vector) = table.$as_u8().and_then(|t| t.values()) {
                Numbers::U8(vector)
            } else {
                Numbers::None
            }
        };
    }
    Rows {
        segments: numbers!(
            array_segments_as_int32_vector,
            array_segments_as_uint16_vector,
            array_segments_as_uint8_vector
        ),
        indices: numbers!(
            array_indices_as_int32_vector,
            array_indices_as_uint16_vector,
            array_indices_as_uint8_vector
        ),
    }
}

fn check_length(
    vector: SparsePlace,
    found: usize,
    expected: RangeInclusive<usize>,
) -> Result<(), SparseError> {
    if expected.contains(&found) {
        return Ok(());
    }
    Err(SparseError::Length {
        vector,
        found,
        expected,
    })
}

fn check_number(
    place: SparsePlace,
    found: i64,
    expected: RangeInclusive<i64>,
) -> Result<(), SparseError> {
    if expected.contains(&found) {
        return Ok(());
    }
    Err(SparseError::Number {
        place,
        found,
        expected,
    })
}

/// An index as it is or, where it is beyond the range, the refusal.
fn index(
    place: SparsePlace,
    found: i64,
    expected: RangeInclusive<usize>,
) -> Result<usize, SparseError> {
    let range = *expected.start() as i64..=(*expected.end() as i64);
    check_number(place, found, range)?;
    Ok(usize::try_from(found).unwrap_or(0))
}

impl Rows<'_> {
    /// Every row begins where the one before ends, and its indices ascend below `extent`.
    fn check(&self, level: usize, parents: usize, extent: usize) -> Result<(), SparseError> {
        let segments = SparsePlace::of_level(level, "array_segments");
        let indices = SparsePlace::of_level(level, "array_indices");
        let expected = parents.saturating_add(1);
        check_length(segments, self.segments.len(), expected..=expected)?;
        let (mut start, entries) = (0, self.indices.len());
        for row in 0..=parents {
            // The first row begins at the first index, the last ends with the last.
            let least = if row == parents { entries } else { start };
            let most = if row == 0 { least } else { entries };
            let end = index(segments.at(row), self.segments.get(row), least..=most)?;
            let mut next = 0;
            for entry in start..end {
                let found = self.indices.get(entry);
                let range = next..=extent as i64 - 1;
                check_number(indices.at(entry), found, range)?;
                next = found + 1;
            }
            start = end;
        }
        Ok(())
    }
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

/// The axes in the order of storage, verified but for the rows of compressed ones.
fn levels<'a>(table: &SparsityParameters<'a>, shape: Shape) -> Result<Vec<Level<'a>>, SparseError> {
    let rank = shape.rank();
    let block_map = table.block_map();
    let blocks = block_map.map_or(0, |map| map.len());
    check_length(SparsePlace::field("block_map"), blocks, 0..=rank)?;
    let axes = rank + blocks;
    let order = table.traversal_order();
    let found = order.map_or(0, |order| order.len());
    check_length(SparsePlace::field("traversal_order"), found, axes..=axes)?;
    let dimensions = table.dim_metadata();
    let found = dimensions.map_or(0, |dimensions| dimensions.len());
    check_length(SparsePlace::field("dim_metadata"), found, axes..=axes)?;

    // The axis of the tensor that each axis of the block is part of: TFLite takes them in order alone.
    let mut blocked = Vec::with_capacity(blocks);
    let mut least = 0;
    for (entry, found) in block_map.into_iter().flatten().enumerate() {
        let place = SparsePlace::field("block_map").at(entry);
        let axis = index(place, found.into(), least..=rank.saturating_sub(1))?;
        blocked.push(axis);
        least = axis + 1;
    }

    // Axes of the tensor come first, then those of the block.
    let mut traversed = [false; 2 * MAX_RANK];
    let mut axis_of = Vec::with_capacity(axes);
    for (entry, found) in order.into_iter().flatten().enumerate() {
        let place = SparsePlace::field("traversal_order").at(entry);
        let range = if entry < rank {
            0..=rank - 1
        } else {
            rank..=axes - 1
        };
        let axis = index(place, found.into(), range)?;
        if std::mem::replace(&mut traversed[axis], true) {
            return Err(SparseError::AxisTwice { place, axis });
        }
        axis_of.push(axis);
    }

    // Extents and strides of the axes: those of the tensor, of which each block takes its part.
    let mut extents = [1; 2 * MAX_RANK];
    let mut strides = [1; 2 * MAX_RANK];
    let mut stride = 1;
    for (axis, &extent) in shape.dims().iter().enumerate().rev() {
        (extents[axis], strides[axis]) = (extent, stride);
        stride *= extent.max(1);
    }
    let dimensions: Vec<_> = dimensions.into_iter().flatten().collect();
    for (level, (&axis, dimension)) in axis_of.iter().zip(&dimensions).enumerate().skip(rank) {
        let within = blocked[axis - rank];
        let extent = extents[within];
        let format = SparsePlace::of_level(level, "format");
        check_number(format, dimension.format().0.into(), 0..=0)?;
        let place = SparsePlace::of_level(level, "dense_size");
        let block = index(place, dimension.dense_size().into(), 1..=extent)?;
        if !extent.is_multiple_of(block) {
            return Err(SparseError::Block {
                place,
                block,
                axis: within,
                extent,
            });
        }
        (extents[axis], strides[axis]) = (block, strides[within]);
        extents[within] = extent / block;
        strides[within] *= block;
    }

    let mut levels = Vec::with_capacity(axes);
    for (level, (&axis, dimension)) in axis_of.iter().zip(&dimensions).enumerate() {
        let (extent, stride) = (extents[axis], strides[axis]);
        let is_dense = dimension.format() == DimensionType::DENSE;
        if is_dense {
            let place = SparsePlace::of_level(level, "dense_size");
            index(place, dimension.dense_size().into(), extent..=extent)?;
        } else {
            let format = SparsePlace::of_level(level, "format");
            check_number(format, dimension.format().0.into(), 0..=1)?;
        }
        levels.push(Level {
            extent,
            stride,
            rows: (!is_dense).then(|| rows(dimension)),
        });
    }
    Ok(levels)
}
