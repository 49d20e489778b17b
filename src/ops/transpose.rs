//! TRANSPOSE: the axes of a tensor in another order.

use super::shared::integers;
use super::shared::{Integers, StridedCopy, check, gathered, rows};
use super::{Node, OpDef, PrepareError, Prepared, Settings};
use crate::model::BuiltinOperator;
use crate::tensor::{MAX_RANK, Shape};

const INPUT: usize = 0;
const PERM: usize = 1;
const OUTPUT: usize = 0;

pub(super) const DEF: OpDef = OpDef {
    code: BuiltinOperator::TRANSPOSE,
    name: "TRANSPOSE",
    versions: 1..=8,
    types: rows![[_ Int32] -> _ => sized],
    check: check::same_quantization,
    prepare,
};

fn prepare(node: &Node<'_>, _: &Settings) -> Result<Prepared, PrepareError> {
    let input = node.input(INPUT, "input")?;
    let perm = node.input(PERM, "perm")?;
    node.output(OUTPUT, "output")?;
    let rank = input.shape.rank();
    let order = Integers::constant(&perm)?;
    if perm.shape.dims() != [rank] {
        return Err(perm.shape_error(format!("[{rank}], one element per axis")));
    }
    let from = StridedCopy::dense_strides(input.shape.dims());
    let mut taken = [false; MAX_RANK];
    let mut dims = Vec::with_capacity(rank);
    let mut strides = Vec::with_capacity(rank);
    for axis in order.iter() {
        let axis = integers::axis("perm", axis, rank)?;
        if std::mem::replace(&mut taken[axis], true) {
            return Err(PrepareError::Attribute {
                name: "perm",
                found: format!("{:?}", order.iter().collect::<Vec<_>>()),
                expected: "every axis once",
            });
        }
        dims.push(input.shape.dims()[axis]);
        strides.push(from[axis]);
    }
    let copy = StridedCopy::new(input.element_bytes()?, &dims, &strides, 0);
    Ok(gathered("transpose.reference", copy, Shape::new(&dims)?))
}
