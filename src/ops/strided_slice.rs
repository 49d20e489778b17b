//! STRIDED_SLICE: every n-th element between two bounds along each axis, with NumPy's masks.

use super::shared::{StridedCopy, check, gathered, rows};
use super::{Node, NodeTensor, OpDef, PrepareError, Prepared, Settings};
use crate::model::BuiltinOperator;
use crate::tensor::{MAX_RANK, Shape};

const INPUT: usize = 0;
const BEGIN: usize = 1;
const END: usize = 2;
const STRIDES: usize = 3;
const OUTPUT: usize = 0;

pub(super) const DEF: OpDef = OpDef {
    code: BuiltinOperator::STRIDED_SLICE,
    name: "STRIDED_SLICE",
    versions: 1..=8,
    types: rows![[_ Int32 Int32 Int32] -> _ => sized],
    check: check::same_quantization,
    prepare,
};

/// The masks of the option table: bit `i` speaks of position `i` of the specification.
struct Masks {
    begin: i32,
    end: i32,
    ellipsis: i32,
    new_axis: i32,
    shrink_axis: i32,
    /// Whether `end` counts from `begin`.
    offset: bool,
}

/// What happens along one axis of the operand.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Slice {
    start: i64,
    stride: i64,
    count: usize,
}

impl Slice {
    const fn whole(dim: usize) -> Self {
        Self {
            start: 0,
            stride: 1,
            count: dim,
        }
    }

    /// Where `begin` lies in an axis of `dim`, limited to it; without one, the end that `stride` leads away from.
    fn first(dim: usize, begin: Option<i64>, stride: i64) -> i64 {
        let (low, high) = Self::limits(dim, stride);
        let open = if stride > 0 { low } else { high };
        begin.map_or(open, |begin| Self::limit(dim, begin, stride))
    }

    /// The elements of an axis of `dim` from `start`, where [`first`](Self::first) found it, to `end`.
    fn new(dim: usize, start: i64, end: Option<i64>, stride: i64) -> Self {
        let (low, high) = Self::limits(dim, stride);
        let open = if stride > 0 { high } else { low };
        let stop = end.map_or(open, |end| Self::limit(dim, end, stride));
        let span = if stride > 0 {
            stop - start
        } else {
            start - stop
        };
        let count = if span <= 0 {
            0
        } else {
            (span as u64).div_ceil(stride.unsigned_abs()) as usize
        };
        Self {
            start,
            stride,
            count,
        }
    }

    /// What a bound is limited to, as in NumPy.
    const fn limits(dim: usize, stride: i64) -> (i64, i64) {
        if stride > 0 {
            (0, dim as i64)
        } else {
            (-1, dim as i64 - 1)
        }
    }

    fn limit(dim: usize, bound: i64, stride: i64) -> i64 {
        let (low, high) = Self::limits(dim, stride);
        (if bound < 0 { bound + dim as i64 } else { bound }).clamp(low, high)
    }
}

fn prepare(node: &Node<'_>, _: &Settings) -> Result<Prepared, PrepareError> {
    let options = node.table()?.builtin_options_as_strided_slice_options();
    let options = options.ok_or(PrepareError::Options {
        expected: "StridedSliceOptions",
    })?;
    let masks = Masks {
        begin: options.begin_mask(),
        end: options.end_mask(),
        ellipsis: options.ellipsis_mask(),
        new_axis: options.new_axis_mask(),
        shrink_axis: options.shrink_axis_mask(),
        offset: options.offset(),
    };
    let input = node.input(INPUT, "input")?;
    node.output(OUTPUT, "output")?;
    let begin = node.input(BEGIN, "begin")?;
    let end = node.input(END, "end")?;
    let strides = node.input(STRIDES, "strides")?;
    let (slices, dims) = plan(
        &input,
        begin.constant::<i32>()?,
        end.constant::<i32>()?,
        strides.constant::<i32>()?,
        &masks,
    )?;
    let shape = Shape::new(&dims)?;
    let dense = StridedCopy::dense_strides(input.shape.dims());
    let mut offset = 0i64;
    let mut counts = Vec::with_capacity(slices.len());
    let mut steps = Vec::with_capacity(slices.len());
    for (slice, stride) in slices.iter().zip(dense) {
        offset += slice.start * stride as i64;
        counts.push(slice.count);
        steps.push((slice.stride as isize).saturating_mul(stride));
    }
    // Nothing is read where an axis is empty, whatever the offset.
    let offset = usize::try_from(offset).unwrap_or(0);
    let copy = StridedCopy::new(input.element_bytes()?, &counts, &steps, offset);
    Ok(gathered("strided_slice.reference", copy, shape))
}

/// One [`Slice`] per axis of the operand, and the dimensions of the result.
///
/// Source: TFLite `kernels/strided_slice.cc` and `kernels/internal/reference/strided_slice.h`. An ellipsis stands for at
/// least one axis there, where NumPy's may stand for none: positions behind it that find no axis are then ignored.
fn plan(
    input: &NodeTensor<'_>,
    begin: &[i32],
    end: &[i32],
    strides: &[i32],
    masks: &Masks,
) -> Result<(Vec<Slice>, Vec<usize>), PrepareError> {
    let positions = begin.len();
    if end.len() != positions || strides.len() != positions || positions > 2 * MAX_RANK {
        return Err(input.shape_error(format!(
            "begin, end and strides of one length up to {}, found {positions}, {} and {}",
            2 * MAX_RANK,
            end.len(),
            strides.len()
        )));
    }
    let dims = input.shape.dims();
    let bit = |mask: i32, position: usize| mask & (1 << position) != 0;
    let is_new = |position| bit(masks.new_axis, position) && !bit(masks.ellipsis, position);
    let new = (0..positions).filter(|&position| is_new(position)).count();
    // Axes of the operand and new ones, which every position but the ellipsis takes one of.
    let all = dims.len() + new;
    let hidden = (all + 1).saturating_sub(positions).max(1);
    let too_many = || {
        input.shape_error(format!(
            "{} axes or more, as begin addresses",
            positions - new
        ))
    };
    let mut slices = Vec::with_capacity(dims.len());
    let mut result = Vec::new();
    let (mut taken, mut expanded) = (0, false);
    for position in 0..positions {
        if bit(masks.ellipsis, position) {
            let count = if expanded { 0 } else { hidden.min(all - taken) };
            expanded = true;
            for _ in 0..count {
                let &dim = dims.get(slices.len()).ok_or_else(too_many)?;
                slices.push(Slice::whole(dim));
                result.push(dim);
            }
            taken += count;
            continue;
        }
        if taken == all && expanded {
            break;
        }
        taken += 1;
        if is_new(position) {
            result.push(1);
            continue;
        }
        let &dim = dims.get(slices.len()).ok_or_else(too_many)?;
        let bounds = [begin, end, strides].map(|values| values[position].into());
        let slice = axis_slice(dim, bounds, masks, position)?;
        if !bit(masks.shrink_axis, position) {
            result.push(slice.count);
        }
        slices.push(slice);
    }
    for &dim in &dims[slices.len()..] {
        slices.push(Slice::whole(dim));
        result.push(dim);
    }
    Ok((slices, result))
}

/// The slice of an axis of `dim` that the position with these bounds takes.
fn axis_slice(
    dim: usize,
    [begin, end, stride]: [i64; 3],
    masks: &Masks,
    position: usize,
) -> Result<Slice, PrepareError> {
    let bit = |mask: i32| mask & (1 << position) != 0;
    if stride == 0 {
        return Err(PrepareError::Attribute {
            name: "strides",
            found: "0".into(),
            expected: "another number than 0",
        });
    }
    let start = Slice::first(dim, (!bit(masks.begin)).then_some(begin), stride);
    if bit(masks.shrink_axis) {
        // One element, which the axis must have.
        if !(0..dim as i64).contains(&start) {
            return Err(PrepareError::Attribute {
                name: "begin",
                found: begin.to_string(),
                expected: "an index within the axis that is dropped",
            });
        }
        return Ok(Slice {
            start,
            stride: 1,
            count: 1,
        });
    }
    let end = if masks.offset { end + start } else { end };
    let end = (!bit(masks.end)).then_some(end);
    Ok(Slice::new(dim, start, end, stride))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bounds_are_limited_as_in_python() {
        // list(range(5))[begin:end:stride], worked by hand.
        type Case = (Option<i64>, Option<i64>, i64, i64, usize);
        let cases: [Case; 7] = [
            (None, None, 1, 0, 5),
            (Some(1), Some(-1), 1, 1, 3),
            (Some(-2), None, 1, 3, 2),
            (Some(0), Some(9), 2, 0, 3),
            (None, None, -1, 4, 5),
            (Some(9), Some(0), -2, 4, 2),
            (Some(3), Some(1), 1, 3, 0),
        ];
        for (begin, end, stride, start, count) in cases {
            let slice = Slice::new(5, Slice::first(5, begin, stride), end, stride);
            assert_eq!(
                (slice.start, slice.count),
                (start, count),
                "{begin:?}:{end:?}:{stride}"
            );
        }
    }

    #[test]
    fn empty_axis_gives_nothing() {
        for stride in [1, -1] {
            let start = Slice::first(0, None, stride);
            assert_eq!(Slice::new(0, start, None, stride).count, 0);
        }
    }
}
