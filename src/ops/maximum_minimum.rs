//! MAXIMUM and MINIMUM: the larger or smaller of two numbers, with broadcasting; stored integers are compared as they are.

use super::shared::{Broadcast, binary, check};
use super::{Node, OpDef, PrepareError, Prepared, Settings, TypeRow};
use crate::model::{BuiltinOperator, Report};
use crate::tensor::{Element, TensorType as T};

const LEFT: usize = 0;
const RIGHT: usize = 1;
const OUTPUT: usize = 0;

const TYPES: &[TypeRow] = &[
    TypeRow::new(&[T::Float32], &[T::Float32]),
    TypeRow::new(&[T::UInt8], &[T::UInt8]),
    TypeRow::new(&[T::Int8], &[T::Int8]),
    TypeRow::new(&[T::Int16], &[T::Int16]),
    TypeRow::new(&[T::Int32], &[T::Int32]),
    TypeRow::new(&[T::Int64], &[T::Int64]),
];

pub(super) const DEF_MAXIMUM: OpDef = OpDef {
    code: BuiltinOperator::MAXIMUM,
    name: "MAXIMUM",
    versions: 1..=4,
    types: TYPES,
    check,
    prepare: |node, _: &Settings| prepare::<true>("maximum.reference", node),
};

pub(super) const DEF_MINIMUM: OpDef = OpDef {
    code: BuiltinOperator::MINIMUM,
    name: "MINIMUM",
    versions: 1..=4,
    types: TYPES,
    check,
    prepare: |node, _: &Settings| prepare::<false>("minimum.reference", node),
};

/// Codes of unlike scales cannot be compared.
fn check(node: &Node<'_>, report: &mut Report) {
    if let (Ok(left), Ok(right), Ok(output)) = (
        node.input(LEFT, "left"),
        node.input(RIGHT, "right"),
        node.output(OUTPUT, "output"),
    ) {
        check::same_as(node, &left, &output, report);
        check::same_as(node, &right, &output, report);
    }
}

fn prepare<const MAX: bool>(name: &'static str, node: &Node<'_>) -> Result<Prepared, PrepareError> {
    let left = node.input(LEFT, "left")?;
    let right = node.input(RIGHT, "right")?;
    node.output(OUTPUT, "output")?;
    let broadcast = Broadcast::new([&left, &right])?;
    Ok(match left.ty {
        T::Float32 => of::<f32, MAX>(name, broadcast),
        T::UInt8 => of::<u8, MAX>(name, broadcast),
        T::Int8 => of::<i8, MAX>(name, broadcast),
        T::Int16 => of::<i16, MAX>(name, broadcast),
        T::Int32 => of::<i32, MAX>(name, broadcast),
        _ => of::<i64, MAX>(name, broadcast),
    })
}

/// Source: TFLite `kernels/maximum_minimum.cc`: the right operand where the comparison fails, as with not-a-number.
fn of<E: Element + PartialOrd + Send, const MAX: bool>(
    name: &'static str,
    broadcast: Broadcast<2>,
) -> Prepared {
    binary(name, broadcast, |a: E, b: E| {
        let left = if MAX { a > b } else { a < b };
        if left { a } else { b }
    })
}
