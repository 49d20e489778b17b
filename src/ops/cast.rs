//! CAST: numbers of one type to numbers of another.

use super::shared::{check, map};
use super::{Node, OpDef, PrepareError, Prepared, Settings, TypeRow};
use crate::model::BuiltinOperator;
use crate::tensor::{Element, Shape, TensorType as T};

const INPUT: usize = 0;
const OUTPUT: usize = 0;

/// A row for every result type of one operand type.
macro_rules! rows {
    ($($from:ident)*) => {
        &[$(
            TypeRow::new(&[T::$from], &[T::Float32]),
            TypeRow::new(&[T::$from], &[T::Int8]),
            TypeRow::new(&[T::$from], &[T::UInt8]),
            TypeRow::new(&[T::$from], &[T::Int16]),
            TypeRow::new(&[T::$from], &[T::Int32]),
            TypeRow::new(&[T::$from], &[T::Int64]),
            TypeRow::new(&[T::$from], &[T::Bool]),
        )*]
    };
}

pub(super) const DEF: OpDef = OpDef {
    code: BuiltinOperator::CAST,
    name: "CAST",
    versions: 1..=3,
    types: rows![Float32 Int8 UInt8 Int16 Int32 Int64 Bool],
    check: check::none,
    prepare,
};

fn prepare(node: &Node<'_>, _: &Settings) -> Result<Prepared, PrepareError> {
    let input = node.input(INPUT, "input")?;
    let output = node.output(OUTPUT, "output")?;
    let shape = input.shape;
    Ok(match input.ty {
        T::Float32 => from_float(shape, output.ty),
        T::Int8 => from_integer::<i8>(shape, output.ty),
        T::Int16 => from_integer::<i16>(shape, output.ty),
        T::Int32 => from_integer::<i32>(shape, output.ty),
        T::Int64 => from_integer::<i64>(shape, output.ty),
        _ => from_integer::<u8>(shape, output.ty),
    })
}

const NAME: &str = "cast.reference";

/// Truncates toward zero and saturates; not-a-number becomes the largest integer, as in LiteRT.
fn from_float(shape: Shape, to: T) -> Prepared {
    match to {
        T::Float32 => map(NAME, shape, |x: f32| x),
        T::Int8 => map(
            NAME,
            shape,
            |x: f32| if x.is_nan() { i8::MAX } else { x as i8 },
        ),
        T::UInt8 => map(
            NAME,
            shape,
            |x: f32| if x.is_nan() { u8::MAX } else { x as u8 },
        ),
        T::Int16 => map(
            NAME,
            shape,
            |x: f32| if x.is_nan() { i16::MAX } else { x as i16 },
        ),
        T::Int32 => map(
            NAME,
            shape,
            |x: f32| if x.is_nan() { i32::MAX } else { x as i32 },
        ),
        T::Int64 => map(
            NAME,
            shape,
            |x: f32| if x.is_nan() { i64::MAX } else { x as i64 },
        ),
        _ => map(NAME, shape, |x: f32| u8::from(x != 0.0)),
    }
}

/// Keeps the low bits where the result is narrower.
fn from_integer<I: Element + Into<i64> + Send>(shape: Shape, to: T) -> Prepared {
    match to {
        T::Float32 => map(NAME, shape, |x: I| x.into() as f32),
        T::Int8 => map(NAME, shape, |x: I| x.into() as i8),
        T::UInt8 => map(NAME, shape, |x: I| x.into() as u8),
        T::Int16 => map(NAME, shape, |x: I| x.into() as i16),
        T::Int32 => map(NAME, shape, |x: I| x.into() as i32),
        T::Int64 => map(NAME, shape, |x: I| x.into()),
        _ => map(NAME, shape, |x: I| u8::from(x.into() != 0)),
    }
}
