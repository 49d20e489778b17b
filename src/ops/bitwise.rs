//! BITWISE_XOR and RIGHT_SHIFT: of stored integers as they are, with broadcasting.

use super::shared::{Broadcast, binary, check};
use super::{Node, OpDef, PrepareError, Prepared, Settings, TypeRow};
use crate::model::BuiltinOperator;
use crate::tensor::TensorType as T;

const LEFT: usize = 0;
const RIGHT: usize = 1;

const TYPES: &[TypeRow] = &[
    TypeRow::new(&[T::UInt8], &[T::UInt8]),
    TypeRow::new(&[T::Int8], &[T::Int8]),
    TypeRow::new(&[T::UInt16], &[T::UInt16]),
    TypeRow::new(&[T::Int16], &[T::Int16]),
    TypeRow::new(&[T::UInt32], &[T::UInt32]),
    TypeRow::new(&[T::Int32], &[T::Int32]),
];

pub(super) const DEF_XOR: OpDef = OpDef {
    code: BuiltinOperator::BITWISE_XOR,
    name: "BITWISE_XOR",
    versions: 1..=1,
    types: TYPES,
    check: check::none,
    prepare: prepare_xor,
};

pub(super) const DEF_RIGHT_SHIFT: OpDef = OpDef {
    code: BuiltinOperator::RIGHT_SHIFT,
    name: "RIGHT_SHIFT",
    versions: 1..=1,
    types: TYPES,
    check: check::none,
    prepare: prepare_right_shift,
};

fn prepare_xor(node: &Node<'_>, _: &Settings) -> Result<Prepared, PrepareError> {
    let (ty, broadcast) = operands(node)?;
    let name = "bitwise_xor.reference";
    Ok(match ty {
        T::UInt8 => binary(name, broadcast, |a: u8, b: u8| a ^ b),
        T::Int8 => binary(name, broadcast, |a: i8, b: i8| a ^ b),
        T::UInt16 => binary(name, broadcast, |a: u16, b: u16| a ^ b),
        T::Int16 => binary(name, broadcast, |a: i16, b: i16| a ^ b),
        T::UInt32 => binary(name, broadcast, |a: u32, b: u32| a ^ b),
        _ => binary(name, broadcast, |a: i32, b: i32| a ^ b),
    })
}

/// Shifts below 0 are 0, shifts beyond the type's bits its last. Source: TFLite `kernels/right_shift.cc`.
fn prepare_right_shift(node: &Node<'_>, _: &Settings) -> Result<Prepared, PrepareError> {
    let (ty, broadcast) = operands(node)?;
    let name = "right_shift.reference";
    Ok(match ty {
        T::UInt8 => binary(name, broadcast, |a: u8, b: u8| a >> b.min(7)),
        T::Int8 => binary(name, broadcast, |a: i8, b: i8| a >> b.clamp(0, 7)),
        T::UInt16 => binary(name, broadcast, |a: u16, b: u16| a >> b.min(15)),
        T::Int16 => binary(name, broadcast, |a: i16, b: i16| a >> b.clamp(0, 15)),
        T::UInt32 => binary(name, broadcast, |a: u32, b: u32| a >> b.min(31)),
        _ => binary(name, broadcast, |a: i32, b: i32| a >> b.clamp(0, 31)),
    })
}

fn operands(node: &Node<'_>) -> Result<(T, Broadcast<2>), PrepareError> {
    let left = node.input(LEFT, "left")?;
    let broadcast = Broadcast::new([&left, &node.input(RIGHT, "right")?])?;
    Ok((left.ty, broadcast))
}
