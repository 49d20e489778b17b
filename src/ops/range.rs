//! RANGE: numbers from a start up to a limit, a step apart. How many there are is known when the operands are.

use super::shared::check;
use super::{
    EvalError, Kernel, KernelIo, Node, OpDef, PrepareError, Prepared, Settings, TypeRow, required,
};
use crate::model::BuiltinOperator;
use crate::tensor::{Element, Shape, TensorType as T};
use std::marker::PhantomData;

const START: usize = 0;
const LIMIT: usize = 1;
const DELTA: usize = 2;
const OUTPUT: usize = 0;

pub(super) const DEF: OpDef = OpDef {
    code: BuiltinOperator::RANGE,
    name: "RANGE",
    versions: 1..=2,
    types: &[
        TypeRow::new(&[T::Int32], &[T::Int32]),
        TypeRow::new(&[T::Int64], &[T::Int64]),
        TypeRow::new(&[T::Float32], &[T::Float32]),
    ],
    check: check::none,
    prepare,
};

fn prepare(node: &Node<'_>, _: &Settings) -> Result<Prepared, PrepareError> {
    node.output(OUTPUT, "output")?;
    match node.input(START, "start")?.ty {
        T::Int32 => prepare_as::<i32>(node),
        T::Int64 => prepare_as::<i64>(node),
        _ => prepare_as::<f32>(node),
    }
}

fn prepare_as<E: Steps>(node: &Node<'_>) -> Result<Prepared, PrepareError> {
    let scalar = |slot, operand| {
        let tensor = node.input(slot, operand)?;
        match tensor.constant::<E>()? {
            &[value] => Ok(value),
            _ => Err(tensor.shape_error("one element")),
        }
    };
    let (start, limit, delta) = (
        scalar(START, "start")?,
        scalar(LIMIT, "limit")?,
        scalar(DELTA, "delta")?,
    );
    let count = E::count(start, limit, delta).ok_or_else(|| PrepareError::Attribute {
        name: "range",
        found: format!("{start} to {limit} in steps of {delta}"),
        expected: "a step other than 0 that leads from the start to the limit",
    })?;
    let shape = Shape::new(&[count])?;
    Ok(Prepared::new(Range(PhantomData::<fn(E)>), [shape]))
}

/// A type that counts. Source of both functions: TFLite `kernels/range.cc` (v2.14), `GetSize` and `CalculateRange`.
trait Steps: Element + std::fmt::Display {
    /// How many numbers there are; `None` where the step does not lead from `start` to `limit`.
    fn count(start: Self, limit: Self, delta: Self) -> Option<usize>;
    /// One step on.
    fn next(self, delta: Self) -> Self;
}

impl Steps for i32 {
    fn count(start: Self, limit: Self, delta: Self) -> Option<usize> {
        i64::count(start.into(), limit.into(), delta.into())
    }

    fn next(self, delta: Self) -> Self {
        self.wrapping_add(delta)
    }
}

impl Steps for i64 {
    fn count(start: Self, limit: Self, delta: Self) -> Option<usize> {
        let leads = (start >= limit && delta < 0) || (start <= limit && delta > 0);
        let count = start.abs_diff(limit).div_ceil(delta.unsigned_abs().max(1));
        usize::try_from(count).ok().filter(|_| leads)
    }

    fn next(self, delta: Self) -> Self {
        self.wrapping_add(delta)
    }
}

impl Steps for f32 {
    fn count(start: Self, limit: Self, delta: Self) -> Option<usize> {
        let leads = (start >= limit && delta < 0.0) || (start <= limit && delta > 0.0);
        let count = ((limit - start) / delta).abs().ceil();
        // The conversion saturates; a shape takes no such count.
        (leads && count.is_finite()).then_some(count as usize)
    }

    fn next(self, delta: Self) -> Self {
        self + delta
    }
}

/// Each number is the one before and the step, so that floats round as often as they stand far from the start.
struct Range<E>(PhantomData<fn(E)>);

impl<E: Steps> Kernel for Range<E> {
    fn eval(&self, io: &mut KernelIo<'_>) -> Result<(), EvalError> {
        let mut views = io.views([START, DELTA], [OUTPUT], [])?;
        let first = |view, slot| {
            let elements = required(view, slot)?.as_slice::<E>()?;
            elements.first().copied().ok_or(EvalError::Operand { slot })
        };
        let [start, delta] = views.inputs;
        let (mut value, delta) = (first(start, START)?, first(delta, DELTA)?);
        for to in views.outputs[0].as_slice_mut::<E>()? {
            *to = value;
            value = value.next(delta);
        }
        Ok(())
    }

    fn name(&self) -> &'static str {
        "range.reference"
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_are_those_of_the_numbers_before_the_limit() {
        // 1 4 7 | 10, 7 4 1 | -2, nothing, and 3 3.75 4.5 | 5.25 past the limit 5.
        assert_eq!(i32::count(1, 10, 3), Some(3));
        assert_eq!(i32::count(7, -2, -3), Some(3));
        assert_eq!(i32::count(5, 5, 1), Some(0));
        assert_eq!(f32::count(3.0, 5.0, 0.75), Some(3));
    }

    #[test]
    fn steps_that_lead_away_or_nowhere_are_refused() {
        assert_eq!(i32::count(1, 10, 0), None);
        assert_eq!(i32::count(1, 10, -1), None);
        assert_eq!(i64::count(i64::MIN, i64::MAX, -1), None);
        assert_eq!(f32::count(0.0, f32::NAN, 1.0), None);
        assert_eq!(f32::count(0.0, f32::INFINITY, 1.0), None);
    }

    #[test]
    fn extremes_do_not_overflow() {
        assert_eq!(i32::count(i32::MIN, i32::MAX, 1 << 30), Some(4));
        assert_eq!(i64::count(i64::MAX, i64::MIN, i64::MIN), Some(2));
    }
}
