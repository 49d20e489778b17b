//! SPLIT and SPLIT_V: a tensor cut along an axis, into equal parts or parts of given extents.

use super::shared::integers;
use super::shared::{Integers, check, part, rows};
use super::{Node, NodeTensor, OpDef, PrepareError, Prepared, Settings};
use crate::model::{BuiltinOperator, Report};
use crate::tensor::Shape;

/// SPLIT takes the axis first.
const SPLIT_AXIS: usize = 0;
const SPLIT_INPUT: usize = 1;

const SPLIT_V_INPUT: usize = 0;
const SPLIT_V_SIZES: usize = 1;
const SPLIT_V_AXIS: usize = 2;

pub(super) const DEF: OpDef = OpDef {
    code: BuiltinOperator::SPLIT,
    name: "SPLIT",
    versions: 1..=5,
    types: rows![[Int32 _] -> _ => Int8 UInt8 Int16 Int32 Int64 Float32;],
    check: |node, report| check(node, SPLIT_INPUT, report),
    prepare: |node, _: &Settings| prepare(node),
};

pub(super) const DEF_V: OpDef = OpDef {
    code: BuiltinOperator::SPLIT_V,
    name: "SPLIT_V",
    versions: 1..=3,
    types: rows![
        [_ Int32 Int32] -> _ => Int8 UInt8 Int16 Int32 Int64 Float32;
        [_ Int64 Int32] -> _ => Int8 UInt8 Int16 Int32 Int64 Float32;
    ],
    check: |node, report| check(node, SPLIT_V_INPUT, report),
    prepare: |node, _: &Settings| prepare_v(node),
};

/// Every part has the scale and zero point of the whole.
fn check(node: &Node<'_>, input: usize, report: &mut Report) {
    let Ok(input) = node.input(input, "input") else {
        return;
    };
    for slot in 0..node.operator().outputs.len() {
        if let Ok(output) = node.output(slot, "output") {
            check::same_as(node, &input, &output, report);
        }
    }
}

fn prepare(node: &Node<'_>) -> Result<Prepared, PrepareError> {
    let input = node.input(SPLIT_INPUT, "input")?;
    let parts = node.operator().outputs.len();
    let axis = along(node, SPLIT_AXIS, &input)?;
    let extent = input.shape.dims()[axis];
    if parts == 0 || extent % parts != 0 {
        return Err(input.shape_error(format!("a multiple of {parts} at axis {axis}")));
    }
    cut(
        "split.reference",
        SPLIT_INPUT,
        &input,
        axis,
        &vec![extent / parts; parts],
    )
}

fn prepare_v(node: &Node<'_>) -> Result<Prepared, PrepareError> {
    let input = node.input(SPLIT_V_INPUT, "input")?;
    let sizes = node.input(SPLIT_V_SIZES, "size_splits")?;
    let axis = along(node, SPLIT_V_AXIS, &input)?;
    let values = Integers::constant(&sizes)?;
    if values.len() != node.operator().outputs.len() {
        let results = node.operator().outputs.len();
        return Err(sizes.shape_error(format!(
            "one element per result, of which there are {results}"
        )));
    }
    let extents = extents(values.iter(), input.shape.dims()[axis]).ok_or_else(|| {
        PrepareError::Attribute {
            name: "size_splits",
            found: format!("{:?}", values.iter().collect::<Vec<_>>()),
            expected: "extents that add up to the axis, at most one of them -1",
        }
    })?;
    cut("split_v.reference", SPLIT_V_INPUT, &input, axis, &extents)
}

/// The axis that the operand in `slot` names.
fn along(node: &Node<'_>, slot: usize, input: &NodeTensor<'_>) -> Result<usize, PrepareError> {
    let axis = Integers::constant_scalar(&node.input(slot, "axis")?)?;
    integers::axis("axis", axis, input.shape.rank())
}

/// The extents of parts of `whole`; -1 takes what the others leave.
fn extents(sizes: impl Iterator<Item = i64> + Clone, whole: usize) -> Option<Vec<usize>> {
    let whole = i64::try_from(whole).ok()?;
    let open = sizes.clone().filter(|&size| size == -1).count();
    let given = sizes
        .clone()
        .filter(|&size| size != -1)
        .try_fold(0i64, |sum, size| sum.checked_add(size))?;
    let left = whole.checked_sub(given)?;
    let fits = if open == 0 { left == 0 } else { left >= 0 };
    if open > 1 || !fits {
        return None;
    }
    sizes
        .map(|size| usize::try_from(if size == -1 { left } else { size }).ok())
        .collect()
}

fn cut(
    name: &'static str,
    slot: usize,
    input: &NodeTensor<'_>,
    axis: usize,
    extents: &[usize],
) -> Result<Prepared, PrepareError> {
    let mut dims = input.shape.dims().to_vec();
    let inner = input.bytes_from(axis + 1)?;
    let mut shapes = Vec::with_capacity(extents.len());
    for &extent in extents {
        dims[axis] = extent;
        shapes.push(Shape::new(&dims)?);
    }
    let runs = extents
        .iter()
        .map(|&extent| extent.saturating_mul(inner))
        .collect();
    Ok(part(name, slot, runs, shapes))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn open_extent_takes_what_is_left() {
        let cases: [(&[i64], Option<Vec<usize>>); 9] = [
            (&[2, 3], Some(vec![2, 3])),
            (&[2, -1], Some(vec![2, 3])),
            (&[-1, 5], Some(vec![0, 5])),
            (&[-1, 6], None),
            (&[-1, -1], None),
            (&[2, 2], None),
            (&[-2, 7], None),
            (&[i64::MIN, -1], None),
            (&[i64::MAX, 1], None),
        ];
        for (sizes, expected) in cases {
            assert_eq!(extents(sizes.iter().copied(), 5), expected, "{sizes:?}");
        }
    }
}
