//! RESHAPE: the same elements under another shape; no bytes move.

use super::shared::{check, rows};
use super::{Node, OpDef, PrepareError, Prepared, Settings};
use crate::model::BuiltinOperator;
use crate::tensor::{MAX_RANK, Shape};

const INPUT: usize = 0;
const SHAPE: usize = 1;
const OUTPUT: usize = 0;

pub(super) const DEF: OpDef = OpDef {
    code: BuiltinOperator::RESHAPE,
    name: "RESHAPE",
    versions: 1..=1,
    types: rows![[_ Int32] -> _ => Int8 UInt8 Int16 UInt16 Int32 UInt32 Int64 UInt64 Float16 Float32 Float64 Bool Int4;],
    check: check::same_quantization,
    prepare,
};

/// The wanted dimensions, -1 standing for the one that follows from the element count.
///
/// The shape operand decides where it is known; else the option table; else the shape the file declares for the result.
/// A shape operand with a first axis of 0 elements beside the table's single 0 means a scalar in old files, see TFLite
/// `kernels/reshape.cc`.
fn wanted(node: &Node<'_>) -> Result<Vec<i32>, PrepareError> {
    if let Some(shape) = node.optional_input(SHAPE, "shape")
        && shape.shape.rank() == 1
    {
        return Ok(shape.constant::<i32>()?.to_vec());
    }
    let table = node.table()?.builtin_options_as_reshape_options();
    let dims: Vec<i32> = table
        .iter()
        .flat_map(|t| t.new_shape().into_iter().flatten())
        .collect();
    match dims.as_slice() {
        [0] => Ok(Vec::new()),
        _ => Ok(dims),
    }
}

fn prepare(node: &Node<'_>, _: &Settings) -> Result<Prepared, PrepareError> {
    let input = node.input(INPUT, "input")?;
    node.output(OUTPUT, "output")?;
    let mut dims = wanted(node)?;
    if dims.len() > MAX_RANK {
        return Err(crate::tensor::ShapeError::Rank { rank: dims.len() }.into());
    }
    let mut open = dims
        .iter()
        .enumerate()
        .filter(|&(_, &dim)| dim == -1)
        .map(|(i, _)| i);
    if let (Some(axis), None) = (open.next(), open.next()) {
        let rest: i64 = dims
            .iter()
            .filter(|&&dim| dim != -1)
            .fold(1i64, |p, &d| p.saturating_mul(d.into()));
        let count = input.shape.count() as i64;
        dims[axis] = if rest > 0 && count % rest == 0 {
            (count / rest) as i32
        } else {
            -1
        };
    }
    let shape = Shape::from_i32(&dims)?;
    if shape.count() != input.shape.count() {
        return Err(input.shape_error(format!(
            "{} elements for result shape {shape}",
            shape.count()
        )));
    }
    Ok(Prepared::alias(shape))
}
