//! STRIDED_SLICE: every n-th element between two bounds along each axis, with NumPy's masks.

use super::shared::{StridedCopy, check};
use super::{
    EvalError, Kernel, KernelIo, Node, NodeTensor, OpDef, PrepareError, Prepared, Settings,
    TypeRow, Views, required,
};
use crate::model::BuiltinOperator;
use crate::tensor::{MAX_RANK, Shape, TensorType as T};

const INPUT: usize = 0;
const BEGIN: usize = 1;
const END: usize = 2;
const STRIDES: usize = 3;
const OUTPUT: usize = 0;

/// A row for each element type.
macro_rules! rows {
    ($($ty:ident),*) => {
        &[$(TypeRow::new(&[T::$ty, T::Int32, T::Int32, T::Int32], &[T::$ty])),*]
    };
}

pub(super) const DEF: OpDef = OpDef {
    code: BuiltinOperator::STRIDED_SLICE,
    name: "STRIDED_SLICE",
    versions: 1..=8,
    types: rows!(Int8, UInt8, Int16, Int32, UInt32, Int64, Float32, Bool),
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

    /// The elements from `begin` to `end` of `dim`, each bound limited to the axis as NumPy does.
    fn new(dim: usize, begin: Option<i64>, end: Option<i64>, stride: i64) -> Self {
        let extent = dim as i64;
        let (low, high) = if stride > 0 {
            (0, extent)
        } else {
            (-1, extent - 1)
        };
        let limit = |bound: i64| (if bound < 0 { bound + extent } else { bound }).clamp(low, high);
        let start = begin.map_or(if stride > 0 { low } else { high }, limit);
        let stop = end.map_or(if stride > 0 { high } else { low }, limit);
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
    let element = input
        .ty
        .size()
        .ok_or_else(|| input.type_error("elements of whole bytes"))?;
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
    let copy = StridedCopy::new(element, &counts, &steps, offset);
    Ok(Prepared::new(Reference { copy }, [shape]))
}

/// One [`Slice`] per axis of the operand, and the dimensions of the result.
///
/// Source: TFLite `kernels/strided_slice.cc` and `kernels/internal/strided_slice_logic.h`, which follow TensorFlow.
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
    let taken = (0..positions)
        .filter(|&p| !bit(masks.ellipsis, p) && !bit(masks.new_axis, p))
        .count();
    let too_many = || input.shape_error(format!("{taken} axes or more, as begin addresses"));
    let hidden = dims.len().checked_sub(taken).ok_or_else(too_many)?;
    let mut slices = Vec::with_capacity(dims.len());
    let mut result = Vec::new();
    let mut expanded = false;
    for position in 0..positions {
        if bit(masks.ellipsis, position) {
            let count = if expanded { 0 } else { hidden };
            expanded = true;
            for _ in 0..count {
                let dim = dims[slices.len()];
                slices.push(Slice::whole(dim));
                result.push(dim);
            }
            continue;
        }
        if bit(masks.new_axis, position) {
            result.push(1);
            continue;
        }
        let dim = *dims.get(slices.len()).ok_or_else(too_many)?;
        let slice = axis_slice(dim, begin, end, strides, masks, position)?;
        if bit(masks.shrink_axis, position) {
            if slice.count == 0 {
                return Err(PrepareError::Attribute {
                    name: "begin",
                    found: begin[position].to_string(),
                    expected: "an index within the axis that is dropped",
                });
            }
        } else {
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

fn axis_slice(
    dim: usize,
    begin: &[i32],
    end: &[i32],
    strides: &[i32],
    masks: &Masks,
    position: usize,
) -> Result<Slice, PrepareError> {
    let bit = |mask: i32| mask & (1 << position) != 0;
    let stride = i64::from(strides[position]);
    if stride == 0 {
        return Err(PrepareError::Attribute {
            name: "strides",
            found: "0".into(),
            expected: "another number than 0",
        });
    }
    let first = i64::from(begin[position]);
    if bit(masks.shrink_axis) {
        let index = if first < 0 { first + dim as i64 } else { first };
        let count = usize::from((0..dim as i64).contains(&index));
        return Ok(Slice {
            start: index,
            stride: 1,
            count,
        });
    }
    let last = i64::from(end[position]);
    // With an offset, begin is counted from the front before the end is counted from it.
    let last = if masks.offset {
        last + if first < 0 { first + dim as i64 } else { first }
    } else {
        last
    };
    let begin = (!bit(masks.begin)).then_some(first);
    let end = (!bit(masks.end)).then_some(last);
    Ok(Slice::new(dim, begin, end, stride))
}

struct Reference {
    copy: StridedCopy,
}

impl Kernel for Reference {
    fn eval(&self, io: &mut KernelIo<'_>) -> Result<(), EvalError> {
        let Views {
            inputs: [input],
            outputs: [mut output],
            ..
        } = io.views([INPUT], [OUTPUT], [])?;
        self.copy
            .gather(required(input, INPUT)?.bytes(), output.bytes_mut());
        Ok(())
    }

    fn name(&self) -> &'static str {
        "strided_slice.reference"
    }
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
            let slice = Slice::new(5, begin, end, stride);
            assert_eq!(
                (slice.start, slice.count),
                (start, count),
                "{begin:?}:{end:?}:{stride}"
            );
        }
    }

    #[test]
    fn empty_axis_gives_nothing() {
        assert_eq!(Slice::new(0, None, None, 1).count, 0);
        assert_eq!(Slice::new(0, None, None, -1).count, 0);
    }
}
