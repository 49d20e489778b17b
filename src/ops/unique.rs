//! UNIQUE: every value of a vector once, in the order of first occurrence, and for each element the place of its value
//! there. How many there are is known when the operand is.

use super::shared::{check, order};
use super::{
    EvalError, Kernel, KernelIo, Node, OpDef, PrepareError, Prepared, Settings, TypeRow, Views,
    required,
};
use crate::model::BuiltinOperator;
use crate::tensor::{Element, Shape, TensorType as T};
use std::cmp::Ordering;
use std::marker::PhantomData;

const INPUT: usize = 0;
const VALUES: usize = 0;
const INDICES: usize = 1;

/// A row for each element type, with places of 32 and of 64 bits.
macro_rules! rows {
    ($($ty:ident),*) => {
        &[$(
            TypeRow::new(&[T::$ty], &[T::$ty, T::Int32]),
            TypeRow::new(&[T::$ty], &[T::$ty, T::Int64]),
        )*]
    };
}

pub(super) const DEF: OpDef = OpDef {
    code: BuiltinOperator::UNIQUE,
    name: "UNIQUE",
    versions: 1..=1,
    types: rows!(Float32, Int8, UInt8, Int16, Int32, Int64),
    check: check::same_quantization,
    prepare,
};

fn prepare(node: &Node<'_>, _: &Settings) -> Result<Prepared, PrepareError> {
    match node.input(INPUT, "input")?.ty {
        T::Float32 => prepare_as::<f32>(node),
        T::Int8 => prepare_as::<i8>(node),
        T::UInt8 => prepare_as::<u8>(node),
        T::Int16 => prepare_as::<i16>(node),
        T::Int32 => prepare_as::<i32>(node),
        _ => prepare_as::<i64>(node),
    }
}

fn prepare_as<E: Element + PartialOrd>(node: &Node<'_>) -> Result<Prepared, PrepareError> {
    let input = node.input(INPUT, "input")?;
    node.output(VALUES, "values")?;
    let indices = node.output(INDICES, "indices")?;
    if input.shape.rank() != 1 {
        return Err(input.shape_error("one axis"));
    }
    let elements = input.constant::<E>()?;
    let (mut places, mut firsts) = (vec![0; elements.len()], vec![0; elements.len()]);
    first_occurrences(elements, &mut places, &mut firsts);
    let count = firsts
        .iter()
        .zip(0..)
        .filter(|&(&first, i)| first == i)
        .count();
    let shapes = [Shape::new(&[count])?, input.shape];
    let kernel: Box<dyn Kernel> = match indices.ty {
        T::Int64 => Box::new(Unique::<E, i64>(PhantomData)),
        _ => Box::new(Unique::<E, i32>(PhantomData)),
    };
    let scratch = elements.len() * size_of::<u32>();
    Ok(Prepared::boxed(kernel, shapes)
        .scratch(scratch)
        .scratch(scratch))
}

/// Source: TFLite `kernels/unique.cc` (v2.14).
struct Unique<E, I>(PhantomData<fn(E, I)>);

impl<E: Element + PartialOrd, I: Element + TryFrom<usize>> Kernel for Unique<E, I> {
    fn eval(&self, io: &mut KernelIo<'_>) -> Result<(), EvalError> {
        let Views {
            inputs: [input],
            outputs: [values, indices],
            scratch: [places, firsts],
        } = io.views([INPUT], [VALUES, INDICES], [0, 1])?;
        let elements = required(input, INPUT)?.as_slice::<E>()?;
        let missing = EvalError::Operand { slot: INPUT };
        let cut = |scratch| -> Option<&mut [u32]> {
            let words: &mut [u32] = bytemuck::try_cast_slice_mut(scratch).ok()?;
            words.get_mut(..elements.len())
        };
        let (Some(places), Some(firsts)) = (cut(places), cut(firsts)) else {
            return Err(missing);
        };
        first_occurrences(elements, places, firsts);
        let mut values = values.into_slice::<E>()?.iter_mut();
        let indices = indices.into_slice::<I>()?;
        let mut count = 0;
        for (place, &element) in elements.iter().enumerate() {
            let first = firsts[place] as usize;
            indices[place] = if first < place {
                indices[first]
            } else {
                if let Some(to) = values.next() {
                    *to = element;
                }
                count += 1;
                I::try_from(count - 1).map_err(|_| missing.clone())?
            };
        }
        Ok(())
    }

    fn name(&self) -> &'static str {
        "unique.reference"
    }
}

/// For each element the place of the first one that equals it. `places` is room for as many numbers.
fn first_occurrences<E: PartialOrd>(elements: &[E], places: &mut [u32], firsts: &mut [u32]) {
    for (place, to) in (0..).zip(places.iter_mut()) {
        *to = place;
    }
    let compare =
        |&left: &u32, &right: &u32| order(&elements[left as usize], &elements[right as usize]);
    places.sort_unstable_by(|left, right| compare(left, right).then(left.cmp(right)));
    let mut first = 0;
    for (i, place) in places.iter().enumerate() {
        if i == 0 || compare(&first, place) != Ordering::Equal {
            first = *place;
        }
        firsts[*place as usize] = first;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_elements_point_at_the_first_of_them() {
        let (mut places, mut firsts) = ([0; 6], [0; 6]);
        first_occurrences(&[5, -1, 5, 7, -1, 5], &mut places, &mut firsts);
        assert_eq!(firsts, [0, 1, 0, 3, 1, 0]);
    }
}
