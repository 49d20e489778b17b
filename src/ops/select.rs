//! SELECT and SELECT_V2: elements of one tensor where a condition holds, of another where it does not.

use super::shared::{Broadcast, check, select};
use super::{
    EvalError, Kernel, KernelIo, Node, OpDef, PrepareError, Prepared, Settings, TypeRow, Views,
    required,
};
use crate::model::{BuiltinOperator, Report};
use crate::tensor::{Element, TensorType as T};
use std::marker::PhantomData;

const CONDITION: usize = 0;
const THEN: usize = 1;
const OTHERWISE: usize = 2;
const OUTPUT: usize = 0;

const TYPES: &[TypeRow] = &[
    TypeRow::new(&[T::Bool, T::Float32], &[T::Float32]),
    TypeRow::new(&[T::Bool, T::UInt8], &[T::UInt8]),
    TypeRow::new(&[T::Bool, T::Int8], &[T::Int8]),
    TypeRow::new(&[T::Bool, T::Int16], &[T::Int16]),
    TypeRow::new(&[T::Bool, T::Int32], &[T::Int32]),
    TypeRow::new(&[T::Bool, T::Int64], &[T::Int64]),
    TypeRow::new(&[T::Bool, T::Bool], &[T::Bool]),
];

pub(super) const DEF: OpDef = OpDef {
    code: BuiltinOperator::SELECT,
    name: "SELECT",
    versions: 1..=2,
    types: TYPES,
    check,
    prepare: prepare_v1,
};

pub(super) const DEF_V2: OpDef = OpDef {
    code: BuiltinOperator::SELECT_V2,
    name: "SELECT_V2",
    versions: 1..=1,
    types: TYPES,
    check,
    prepare: |node, _: &Settings| prepare(node),
};

/// Stored integers are taken as they are: one scale for all.
fn check(node: &Node<'_>, report: &mut Report) {
    if let (Ok(then), Ok(otherwise), Ok(output)) = (
        node.input(THEN, "then"),
        node.input(OTHERWISE, "otherwise"),
        node.output(OUTPUT, "output"),
    ) {
        check::same_as(node, &then, &output, report);
        check::same_as(node, &otherwise, &output, report);
    }
}

/// SELECT takes operands of one shape, with a condition of this shape or a single one.
fn prepare_v1(node: &Node<'_>, _: &Settings) -> Result<Prepared, PrepareError> {
    let condition = node.input(CONDITION, "condition")?;
    let then = node.input(THEN, "then")?;
    let otherwise = node.input(OTHERWISE, "otherwise")?;
    if otherwise.shape != then.shape {
        return Err(otherwise.shape_error(format!("{} of the other", then.shape)));
    }
    if condition.shape.rank() != 0 && condition.shape != then.shape {
        return Err(condition.shape_error(format!("{} or a scalar", then.shape)));
    }
    prepare(node)
}

fn prepare(node: &Node<'_>) -> Result<Prepared, PrepareError> {
    let condition = node.input(CONDITION, "condition")?;
    let then = node.input(THEN, "then")?;
    let otherwise = node.input(OTHERWISE, "otherwise")?;
    let broadcast = Broadcast::new([&condition, &then, &otherwise])?;
    Ok(match then.ty {
        T::Float32 => of::<f32>(broadcast),
        T::Int8 => of::<i8>(broadcast),
        T::Int16 => of::<i16>(broadcast),
        T::Int32 => of::<i32>(broadcast),
        T::Int64 => of::<i64>(broadcast),
        _ => of::<u8>(broadcast),
    })
}

fn of<E: Element + Send>(broadcast: Broadcast<3>) -> Prepared {
    let shape = broadcast.output();
    Prepared::new(Select::<E>(broadcast, PhantomData), [shape])
}

struct Select<E>(Broadcast<3>, PhantomData<E>);

impl<E: Element + Send> Kernel for Select<E> {
    fn eval(&self, io: &mut KernelIo<'_>) -> Result<(), EvalError> {
        let Views {
            inputs: [condition, then, otherwise],
            outputs: [output],
            ..
        } = io.views([CONDITION, THEN, OTHERWISE], [OUTPUT], [])?;
        select(
            &self.0,
            required(condition, CONDITION)?.as_slice::<u8>()?,
            required(then, THEN)?.as_slice::<E>()?,
            required(otherwise, OTHERWISE)?.as_slice::<E>()?,
            output.into_slice::<E>()?,
        );
        Ok(())
    }

    fn name(&self) -> &'static str {
        "select.reference"
    }
}
