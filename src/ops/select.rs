//! SELECT and SELECT_V2: elements of one tensor where a condition holds, of another where it does not.

use super::shared::{Broadcast, check, rows, select};
use super::{
    EvalError, Kernel, KernelIo, Node, NodeTensor, OpDef, PrepareError, Prepared, Settings,
    TypeRow, Views, required,
};
use crate::model::{BuiltinOperator, Report};
use crate::tensor::{Element, Shape, TensorType as T};
use std::marker::PhantomData;

const CONDITION: usize = 0;
const THEN: usize = 1;
const OTHERWISE: usize = 2;
const OUTPUT: usize = 0;

const TYPES: &[TypeRow] = rows![[Bool _] -> _ => sized];

pub(super) const DEF: OpDef = OpDef {
    code: BuiltinOperator::SELECT,
    name: "SELECT",
    versions: 1..=4,
    types: TYPES,
    check,
    prepare: |node, _: &Settings| prepare_v1(node),
};

pub(super) const DEF_V2: OpDef = OpDef {
    code: BuiltinOperator::SELECT_V2,
    name: "SELECT_V2",
    versions: 1..=2,
    types: TYPES,
    check,
    prepare: |node, _: &Settings| prepare_v2(node),
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

/// SELECT takes operands of one shape, with a condition of this shape, a single one, or one for each position of the first
/// axis.
fn prepare_v1(node: &Node<'_>) -> Result<Prepared, PrepareError> {
    let mut condition = node.input(CONDITION, "condition")?;
    let then = node.input(THEN, "then")?;
    let otherwise = node.input(OTHERWISE, "otherwise")?;
    let all_single = [&condition, &then, &otherwise].map(|operand| operand.shape.count()) == [1; 3];
    if otherwise.shape != then.shape && !all_single {
        return Err(otherwise.shape_error(format!("{} of the other", then.shape)));
    }
    let first = then.shape.dims().first();
    if condition.shape.rank() == 1 && condition.shape.dims().first() == first {
        let mut dims = then.shape.dims().to_vec();
        dims[1..].fill(1);
        condition.shape = Shape::new(&dims)?;
    } else if condition.shape.rank() != 0 && condition.shape != then.shape && !all_single {
        return Err(condition.shape_error(format!(
            "{}, a scalar, or one element per position of axis 0",
            then.shape
        )));
    }
    of_types(node, [&condition, &then, &otherwise])
}

fn prepare_v2(node: &Node<'_>) -> Result<Prepared, PrepareError> {
    let condition = node.input(CONDITION, "condition")?;
    let then = node.input(THEN, "then")?;
    let otherwise = node.input(OTHERWISE, "otherwise")?;
    of_types(node, [&condition, &then, &otherwise])
}

fn of_types(node: &Node<'_>, operands: [&NodeTensor<'_>; 3]) -> Result<Prepared, PrepareError> {
    let broadcast = Broadcast::new(operands)?;
    let declared = node.output(OUTPUT, "output")?.shape;
    // Of single elements the declared rank holds, see TFLite `kernels/select.cc`.
    let all_single = operands.map(|operand| operand.shape.count()) == [1; 3];
    let shape = if all_single && declared.count() == 1 {
        declared
    } else {
        broadcast.output()
    };
    Ok(match operands[THEN].ty {
        T::Float32 => of::<f32>(broadcast, shape),
        T::Float64 => of::<f64>(broadcast, shape),
        T::Int8 => of::<i8>(broadcast, shape),
        T::Int16 => of::<i16>(broadcast, shape),
        T::UInt16 | T::Float16 => of::<u16>(broadcast, shape),
        T::Int32 => of::<i32>(broadcast, shape),
        T::UInt32 => of::<u32>(broadcast, shape),
        T::Int64 => of::<i64>(broadcast, shape),
        T::UInt64 => of::<u64>(broadcast, shape),
        _ => of::<u8>(broadcast, shape),
    })
}

fn of<E: Element + Send>(broadcast: Broadcast<3>, shape: Shape) -> Prepared {
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
