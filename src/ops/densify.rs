//! DENSIFY: a sparse constant as a dense tensor, which loading has made of it already.

use super::shared::{check, rows};
use super::{Node, OpDef, PrepareError, Prepared, Settings};
use crate::model::BuiltinOperator;

const INPUT: usize = 0;
const OUTPUT: usize = 0;

pub(super) const DEF: OpDef = OpDef {
    code: BuiltinOperator::DENSIFY,
    name: "DENSIFY",
    versions: 1..=1,
    types: rows![[_] -> _ => Int8 Float16 Float32;],
    check: check::same_quantization,
    prepare,
};

/// Source: TFLite `kernels/densify.cc`.
fn prepare(node: &Node<'_>, _: &Settings) -> Result<Prepared, PrepareError> {
    let input = node.input(INPUT, "input")?;
    node.output(OUTPUT, "output")?;
    if input.declared().stored_elements.is_none() {
        return Err(PrepareError::NotSparse { operand: "input" });
    }
    Ok(Prepared::alias(input.shape))
}
