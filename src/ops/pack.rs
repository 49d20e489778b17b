//! PACK: tensors of one shape side by side along a new axis.

use super::shared::integers;
use super::shared::{check, join, rows};
use super::{Node, OpDef, PrepareError, Prepared, Settings};
use crate::model::{BuiltinOperator, Report};
use crate::tensor::Shape;

const OUTPUT: usize = 0;

pub(super) const DEF: OpDef = OpDef {
    code: BuiltinOperator::PACK,
    name: "PACK",
    versions: 1..=5,
    types: rows![[_] -> _ => Int8 UInt8 Int16 Int32 UInt32 Int64 Float32;],
    check,
    prepare,
};

fn check(node: &Node<'_>, report: &mut Report) {
    for slot in 0..node.operator().inputs.len() {
        check::same_as_operand(node, slot, "input", report);
    }
}

fn prepare(node: &Node<'_>, _: &Settings) -> Result<Prepared, PrepareError> {
    let options = node.table()?.builtin_options_as_pack_options();
    let options = options.ok_or(PrepareError::Options {
        expected: "PackOptions",
    })?;
    let first = node.input(0, "input")?;
    node.output(OUTPUT, "output")?;
    let count = node.operator().inputs.len();
    for slot in 1..count {
        let other = node.input(slot, "input")?;
        if other.shape != first.shape {
            return Err(other.shape_error(first.shape.to_string()));
        }
    }
    let axis = integers::axis("axis", options.axis().into(), first.shape.rank() + 1)?;
    let mut dims = first.shape.dims().to_vec();
    dims.insert(axis, count);
    let runs = vec![first.bytes_from(axis)?; count];
    Ok(join("pack.reference", runs, Shape::new(&dims)?))
}
