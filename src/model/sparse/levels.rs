//! The levels of a sparse encoding, read and verified.

use super::error::{SparseError, SparsePlace};
use crate::schema::Vector;
use crate::schema::tflite::{DimensionMetadata, DimensionType, SparsityParameters};
use crate::tensor::{MAX_RANK, Shape};
use std::ops::RangeInclusive;

/// An axis in the order of storage.
pub(super) struct Level<'a> {
    pub(super) extent: usize,
    /// Elements of the dense tensor from one index to the next.
    pub(super) stride: usize,
    /// Where the axis is compressed.
    pub(super) rows: Option<Rows<'a>>,
}

/// The indices that a compressed axis has, row by row.
pub(super) struct Rows<'a> {
    pub(super) segments: Numbers<'a>,
    pub(super) indices: Numbers<'a>,
}

/// The entries of a vector, whichever width it has.
#[derive(Clone, Copy)]
pub(super) enum Numbers<'a> {
    I32(Vector<'a, i32>),
    U16(Vector<'a, u16>),
    U8(Vector<'a, u8>),
    None,
}

impl Numbers<'_> {
    pub(super) fn len(&self) -> usize {
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
    pub(super) fn index(&self, entry: usize) -> usize {
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
    /// Every row begins where the one before ends, and its indices ascend below `extent`; the last ends with the indices.
    pub(super) fn check(
        &self,
        level: usize,
        parents: usize,
        extent: usize,
    ) -> Result<(), SparseError> {
        let segments = SparsePlace::of_level(level, "array_segments");
        let indices = SparsePlace::of_level(level, "array_indices");
        let expected = parents.saturating_add(1);
        check_length(segments, self.segments.len(), expected..=expected)?;
        let (mut start, entries) = (0, self.indices.len());
        for row in 0..=parents {
            // The first row begins at the first index.
            let most = if row == 0 { 0 } else { entries };
            let end = index(segments.at(row), self.segments.get(row), start..=most)?;
            let mut next = 0;
            for entry in start..end {
                let found = self.indices.get(entry);
                let range = next..=extent as i64 - 1;
                check_number(indices.at(entry), found, range)?;
                next = found + 1;
            }
            start = end;
        }
        check_length(indices, entries, start..=start)
    }
}

/// The axes in the order of storage, verified but for the rows of compressed ones.
pub(super) fn levels<'a>(
    table: &SparsityParameters<'a>,
    shape: Shape,
) -> Result<Vec<Level<'a>>, SparseError> {
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

    let blocked = blocked_axes(block_map, rank)?;
    let axis_of = traversed_axes(order, rank, axes)?;

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

/// The axis of the tensor that each axis of the block is part of, in ascending order: TFLite finds no others.
fn blocked_axes(map: Option<Vector<'_, i32>>, rank: usize) -> Result<Vec<usize>, SparseError> {
    let mut axes = Vec::new();
    let mut least = 0;
    for (entry, found) in map.into_iter().flatten().enumerate() {
        let place = SparsePlace::field("block_map").at(entry);
        let axis = index(place, found.into(), least..=rank.saturating_sub(1))?;
        axes.push(axis);
        least = axis + 1;
    }
    Ok(axes)
}

/// The axis of each level: first those of the tensor, `rank` of them, then those of the block.
fn traversed_axes(
    order: Option<Vector<'_, i32>>,
    rank: usize,
    axes: usize,
) -> Result<Vec<usize>, SparseError> {
    let mut traversed = Vec::with_capacity(axes);
    for (level, found) in order.into_iter().flatten().enumerate() {
        let place = SparsePlace::field("traversal_order").at(level);
        let range = if level < rank {
            0..=rank - 1
        } else {
            rank..=axes - 1
        };
        let axis = index(place, found.into(), range)?;
        if traversed.contains(&axis) {
            return Err(SparseError::AxisTwice { place, axis });
        }
        traversed.push(axis);
    }
    Ok(traversed)
}
