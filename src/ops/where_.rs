//! WHERE: the coordinates of all elements that are not zero, in row-major order. How many there are is known when the
//! operand is.

use super::shared::check;
use super::{
    EvalError, Kernel, KernelIo, Node, OpDef, PrepareError, Prepared, Settings, TypeRow, required,
};
use crate::model::BuiltinOperator;
use crate::tensor::{Element, Shape, TensorType as T};
use std::marker::PhantomData;

const CONDITION: usize = 0;
const OUTPUT: usize = 0;

pub(super) const DEF: OpDef = OpDef {
    code: BuiltinOperator::WHERE,
    name: "WHERE",
    versions: 1..=2,
    types: &[
        TypeRow::new(&[T::Bool], &[T::Int64]),
        TypeRow::new(&[T::Float32], &[T::Int64]),
        TypeRow::new(&[T::Int8], &[T::Int64]),
        TypeRow::new(&[T::UInt8], &[T::Int64]),
        TypeRow::new(&[T::Int32], &[T::Int64]),
        TypeRow::new(&[T::UInt32], &[T::Int64]),
        TypeRow::new(&[T::Int64], &[T::Int64]),
    ],
    check: check::none,
    prepare,
};

fn prepare(node: &Node<'_>, _: &Settings) -> Result<Prepared, PrepareError> {
    let condition = node.input(CONDITION, "condition")?;
    node.output(OUTPUT, "output")?;
    if condition.shape.rank() == 0 {
        return Err(condition.shape_error("at least one axis"));
    }
    match condition.ty {
        T::Float32 => prepare_as::<f32>(node),
        T::Int8 => prepare_as::<i8>(node),
        T::Int32 => prepare_as::<i32>(node),
        T::UInt32 => prepare_as::<u32>(node),
        T::Int64 => prepare_as::<i64>(node),
        _ => prepare_as::<u8>(node),
    }
}

fn prepare_as<E: Element + Default + PartialEq + Send>(
    node: &Node<'_>,
) -> Result<Prepared, PrepareError> {
    let condition = node.input(CONDITION, "condition")?;
    let elements = condition.constant::<E>()?;
    let count = elements.iter().filter(|&&x| x != E::default()).count();
    let shape = Shape::new(&[count, condition.shape.rank()])?;
    Ok(Prepared::new(Where(PhantomData::<fn(E)>), [shape]))
}

/// The stored values are looked at, whatever the zero point. Source: TFLite `kernels/where.cc` (v2.14).
struct Where<E>(PhantomData<fn(E)>);

impl<E: Element + Default + PartialEq + Send> Kernel for Where<E> {
    fn eval(&self, io: &mut KernelIo<'_>) -> Result<(), EvalError> {
        let mut views = io.views([CONDITION], [OUTPUT], [])?;
        let [condition] = views.inputs;
        let condition = required(condition, CONDITION)?;
        let output = views.outputs[0].as_slice_mut::<i64>()?;
        coordinates(condition.shape(), condition.as_slice::<E>()?, output);
        Ok(())
    }

    fn name(&self) -> &'static str {
        "where.reference"
    }
}

/// Writes the coordinates of the elements that are not zero, as many as fit.
fn coordinates<E: Default + PartialEq>(shape: Shape, elements: &[E], output: &mut [i64]) {
    let found = elements.iter().enumerate();
    let found = found.filter(|&(_, x)| *x != E::default());
    let rows = output.chunks_exact_mut(shape.rank().max(1));
    for ((place, _), row) in found.zip(rows) {
        let mut rest = place;
        for (to, &dim) in row.iter_mut().zip(shape.dims()).rev() {
            *to = (rest % dim) as i64;
            rest /= dim;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn coordinates_stand_in_row_major_order() {
        let shape = Shape::new(&[2, 3]).expect("small");
        let mut output = [-1; 6];
        coordinates(shape, &[0, 1, 0, 1, 0, 1], &mut output);
        // Elements 1, 3 and 5 of rows of three.
        assert_eq!(output, [0, 1, 1, 0, 1, 2]);
    }
}
