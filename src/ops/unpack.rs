//! UNPACK: a tensor taken apart along an axis, which its parts no longer have.

use super::shared::integers;
use super::shared::{check, part, rows};
use super::{Node, OpDef, PrepareError, Prepared, Settings};
use crate::model::{BuiltinOperator, Report};
use crate::tensor::Shape;

const INPUT: usize = 0;

pub(super) const DEF: OpDef = OpDef {
    code: BuiltinOperator::UNPACK,
    name: "UNPACK",
    versions: 1..=6,
    types: rows![[_] -> _ => Int8 UInt8 Int16 Int32 Float16 Float32 Bool;],
    check,
    prepare,
};

/// Every part has the scale and zero point of the whole.
fn check(node: &Node<'_>, report: &mut Report) {
    let Ok(input) = node.input(INPUT, "input") else {
        return;
    };
    for slot in 0..node.operator().outputs.len() {
        if let Ok(output) = node.output(slot, "output") {
            check::same_as(node, &input, &output, report);
        }
    }
}

fn prepare(node: &Node<'_>, _: &Settings) -> Result<Prepared, PrepareError> {
    let options = node.table()?.builtin_options_as_unpack_options();
    let options = options.ok_or(PrepareError::Options {
        expected: "UnpackOptions",
    })?;
    let input = node.input(INPUT, "input")?;
    let parts = node.operator().outputs.len();
    let axis = integers::axis("axis", options.axis().into(), input.shape.rank())?;
    let mut dims = input.shape.dims().to_vec();
    if dims.remove(axis) != parts {
        return Err(input.shape_error(format!("{parts} at axis {axis}, one per result")));
    }
    let run = input.bytes_from(axis + 1)?;
    let shapes = vec![Shape::new(&dims)?; parts];
    Ok(part("unpack.reference", INPUT, vec![run; parts], shapes))
}
