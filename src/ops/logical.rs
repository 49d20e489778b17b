//! LOGICAL_AND, LOGICAL_OR and LOGICAL_NOT: of truth values, with broadcasting.

use super::shared::{Broadcast, binary, check, map};
use super::{Node, OpDef, PrepareError, Prepared, Settings, TypeRow};
use crate::model::BuiltinOperator;
use crate::tensor::TensorType as T;

const LEFT: usize = 0;
const RIGHT: usize = 1;

const TYPES: &[TypeRow] = &[TypeRow::new(&[T::Bool], &[T::Bool])];

pub(super) const DEF_AND: OpDef = OpDef {
    code: BuiltinOperator::LOGICAL_AND,
    name: "LOGICAL_AND",
    versions: 1..=1,
    types: TYPES,
    check: check::none,
    prepare: |node, _: &Settings| {
        let broadcast = operands(node)?;
        Ok(binary(
            "logical_and.reference",
            broadcast,
            |a: u8, b: u8| u8::from(a != 0 && b != 0),
        ))
    },
};

pub(super) const DEF_OR: OpDef = OpDef {
    code: BuiltinOperator::LOGICAL_OR,
    name: "LOGICAL_OR",
    versions: 1..=1,
    types: TYPES,
    check: check::none,
    prepare: |node, _: &Settings| {
        let broadcast = operands(node)?;
        Ok(binary("logical_or.reference", broadcast, |a: u8, b: u8| {
            u8::from(a != 0 || b != 0)
        }))
    },
};

pub(super) const DEF_NOT: OpDef = OpDef {
    code: BuiltinOperator::LOGICAL_NOT,
    name: "LOGICAL_NOT",
    versions: 1..=1,
    types: TYPES,
    check: check::none,
    prepare: prepare_not,
};

fn operands(node: &Node<'_>) -> Result<Broadcast<2>, PrepareError> {
    Broadcast::new([&node.input(LEFT, "left")?, &node.input(RIGHT, "right")?])
}

fn prepare_not(node: &Node<'_>, _: &Settings) -> Result<Prepared, PrepareError> {
    let input = node.input(LEFT, "input")?;
    Ok(map("logical_not.reference", input.shape, |a: u8| {
        u8::from(a == 0)
    }))
}
