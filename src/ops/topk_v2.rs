//! TOPK_V2: the largest values along the last axis in descending order, with their places.

use super::shared::{check, order};
use super::{
    EvalError, Kernel, KernelIo, Node, OpDef, PrepareError, Prepared, Settings, TypeRow, Views,
    required,
};
use crate::model::BuiltinOperator;
use crate::tensor::{Element, Shape, TensorType as T};
use std::marker::PhantomData;

const INPUT: usize = 0;
const COUNT: usize = 1;
const VALUES: usize = 0;
const INDICES: usize = 1;

/// A row for each element type, with counts and places of 32 and of 16 bits.
macro_rules! rows {
    ($($ty:ident),*) => {
        &[$(
            TypeRow::new(&[T::$ty, T::Int32], &[T::$ty, T::Int32]),
            TypeRow::new(&[T::$ty, T::Int32], &[T::$ty, T::Int16]),
            TypeRow::new(&[T::$ty, T::Int16], &[T::$ty, T::Int32]),
            TypeRow::new(&[T::$ty, T::Int16], &[T::$ty, T::Int16]),
        )*]
    };
}

pub(super) const DEF: OpDef = OpDef {
    code: BuiltinOperator::TOPK_V2,
    name: "TOPK_V2",
    versions: 1..=3,
    types: rows!(Float32, Int8, UInt8, Int16, Int32, Int64),
    check: check::same_quantization,
    prepare,
};

fn prepare(node: &Node<'_>, _: &Settings) -> Result<Prepared, PrepareError> {
    let input = node.input(INPUT, "input")?;
    let count = node.input(COUNT, "k")?;
    node.output(VALUES, "values")?;
    let indices = node.output(INDICES, "indices")?;
    if input.shape.rank() == 0 {
        return Err(input.shape_error("at least one axis"));
    }
    let columns = input.shape.last();
    if indices.ty == T::Int16 && columns > i16::MAX as usize + 1 {
        return Err(input.shape_error("at most 32768 columns, whose places int16 can hold"));
    }
    let wanted = match count.ty {
        T::Int16 => count.constant::<i16>()?.first().map(|&k| i64::from(k)),
        _ => count.constant::<i32>()?.first().map(|&k| i64::from(k)),
    };
    let wanted = wanted.ok_or_else(|| count.shape_error("one element"))?;
    let k = usize::try_from(wanted)
        .ok()
        .filter(|&k| k <= columns)
        .ok_or_else(|| PrepareError::Attribute {
            name: "k",
            found: wanted.to_string(),
            expected: "a number from 0 to the extent of the last axis",
        })?;
    let mut dims = input.shape.dims().to_vec();
    if let Some(last) = dims.last_mut() {
        *last = k;
    }
    let shapes = [Shape::new(&dims)?; 2];
    let kernel: Box<dyn Kernel> = match (input.ty, indices.ty) {
        (T::Float32, T::Int16) => TopK::<f32, i16>::boxed(),
        (T::Float32, _) => TopK::<f32, i32>::boxed(),
        (T::Int8, T::Int16) => TopK::<i8, i16>::boxed(),
        (T::Int8, _) => TopK::<i8, i32>::boxed(),
        (T::UInt8, T::Int16) => TopK::<u8, i16>::boxed(),
        (T::UInt8, _) => TopK::<u8, i32>::boxed(),
        (T::Int16, T::Int16) => TopK::<i16, i16>::boxed(),
        (T::Int16, _) => TopK::<i16, i32>::boxed(),
        (T::Int32, T::Int16) => TopK::<i32, i16>::boxed(),
        (T::Int32, _) => TopK::<i32, i32>::boxed(),
        (_, T::Int16) => TopK::<i64, i16>::boxed(),
        (_, _) => TopK::<i64, i32>::boxed(),
    };
    // The places of a row, to be sorted.
    Ok(Prepared::boxed(kernel, shapes).scratch(columns * size_of::<u32>()))
}

/// The codes are compared, as one scale holds for all. Source: TFLite `kernels/topk_v2.cc` (v2.14), whose order of equal
/// values is that of their places.
struct TopK<E, I>(PhantomData<fn(E, I)>);

impl<E: Element + PartialOrd, I: Element + Place> TopK<E, I> {
    fn boxed() -> Box<dyn Kernel> {
        Box::new(Self(PhantomData))
    }
}

/// A type of places along an axis; prepare has checked that they fit.
trait Place {
    fn from_place(place: u32) -> Self;
}

impl Place for i16 {
    fn from_place(place: u32) -> Self {
        place as i16
    }
}

impl Place for i32 {
    fn from_place(place: u32) -> Self {
        place as i32
    }
}

impl<E: Element + PartialOrd, I: Element + Place> Kernel for TopK<E, I> {
    fn eval(&self, io: &mut KernelIo<'_>) -> Result<(), EvalError> {
        let Views {
            inputs: [input],
            outputs: [values, indices],
            scratch: [places],
        } = io.views([INPUT], [VALUES, INDICES], [0])?;
        let input = required(input, INPUT)?;
        let columns = input.shape().last();
        let k = values.shape().last();
        if k == 0 || columns == 0 {
            return Ok(());
        }
        let places = bytemuck::try_cast_slice_mut(places);
        let places: &mut [u32] = places.map_err(|_| EvalError::Operand { slot: INPUT })?;
        let places = places
            .get_mut(..columns)
            .ok_or(EvalError::Operand { slot: INPUT })?;
        let rows = input.as_slice::<E>()?.chunks_exact(columns);
        let values = values.into_slice::<E>()?.chunks_exact_mut(k);
        let indices = indices.into_slice::<I>()?.chunks_exact_mut(k);
        for ((row, values), indices) in rows.zip(values).zip(indices) {
            largest_first(row, places);
            for ((&place, value), index) in places.iter().zip(values).zip(indices) {
                *value = row[place as usize];
                *index = I::from_place(place);
            }
        }
        Ok(())
    }

    fn name(&self) -> &'static str {
        "topk_v2.reference"
    }
}

/// The places of `row`'s elements, the largest element's first; equal ones in the order they stand in.
fn largest_first<E: PartialOrd>(row: &[E], places: &mut [u32]) {
    for (place, to) in (0..).zip(places.iter_mut()) {
        *to = place;
    }
    places.sort_unstable_by(|&left, &right| {
        let by_value = order(&row[right as usize], &row[left as usize]);
        by_value.then(left.cmp(&right))
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_values_keep_their_order() {
        let mut places = [0; 5];
        largest_first(&[3, 7, 3, 9, 7], &mut places);
        assert_eq!(places, [3, 1, 4, 0, 2]);
    }
}
