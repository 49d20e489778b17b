//! UNIQUE: every value of a vector once, in the order of first occurrence, and for each element the place of its value
//! there. How many there are is known when the operand is.

use super::shared::{check, order};
use super::{
    EvalError, Kernel, KernelIo, Node, OpDef, PrepareError, Prepared, Settings, TypeRow, Views,
};
use crate::model::BuiltinOperator;
use crate::tensor::{Element, Shape, TensorType as T};
use std::cmp::Ordering;

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

fn prepare(node: &Node<'_>, settings: &Settings) -> Result<Prepared, PrepareError> {
    match node.input(INPUT, "input")?.ty {
        T::Float32 => prepare_values::<f32>(node, settings),
        T::Int8 => prepare_values::<i8>(node, settings),
        T::UInt8 => prepare_values::<u8>(node, settings),
        T::Int16 => prepare_values::<i16>(node, settings),
        T::Int32 => prepare_values::<i32>(node, settings),
        _ => prepare_values::<i64>(node, settings),
    }
}

fn prepare_values<E: Element + PartialOrd + Send>(
    node: &Node<'_>,
    settings: &Settings,
) -> Result<Prepared, PrepareError> {
    match node.output(INDICES, "indices")?.ty {
        T::Int64 => prepare_as::<E, i64>(node, settings),
        _ => prepare_as::<E, i32>(node, settings),
    }
}

fn prepare_as<E, I>(node: &Node<'_>, settings: &Settings) -> Result<Prepared, PrepareError>
where
    E: Element + PartialOrd + Send,
    I: Element + TryFrom<usize> + Send,
{
    let input = node.input(INPUT, "input")?;
    node.output(VALUES, "values")?;
    if input.shape.rank() != 1 {
        return Err(input.shape_error("one axis"));
    }
    let elements = input.constant()?;
    settings.may_take(elements.len().saturating_mul(Unique::<E, I>::BYTES))?;
    let unique = Unique::<E, I>::of(elements)
        .ok_or_else(|| input.shape_error("as many values as the indices can count"))?;
    let shapes = [Shape::new(&[unique.values.len()])?, input.shape];
    // Sorting looks at each element as often as the number of elements can be halved.
    let visits = elements.len() as u64 * u64::from(elements.len().max(1).ilog2());
    Ok(Prepared::new(unique, shapes).visits(visits))
}

/// The results. Their number is needed to place them, and it costs as much as they do.
///
/// Source: TFLite `kernels/unique.cc` (v2.14).
struct Unique<E, I> {
    values: Vec<E>,
    indices: Vec<I>,
}

impl<E: Element + PartialOrd, I: Element + TryFrom<usize>> Unique<E, I> {
    /// What finding the results takes at most, for each element: sorting the elements in as much memory again, the places
    /// of the first occurrences, and the results.
    const BYTES: usize =
        2 * size_of::<(E, u32)>() + size_of::<u32>() + size_of::<E>() + size_of::<I>();

    /// `None` where `I` cannot count the values.
    fn of(elements: &[E]) -> Option<Self> {
        let mut sorted: Vec<(E, u32)> = elements.iter().copied().zip(0..).collect();
        sorted.sort_by(|left, right| order(&left.0, &right.0));
        // For each element the place of the first one that equals it.
        let mut firsts = vec![0; elements.len()];
        for run in sorted.chunk_by(|left, right| order(&left.0, &right.0) == Ordering::Equal) {
            for &(_, place) in run {
                firsts[place as usize] = run[0].1;
            }
        }
        drop(sorted);
        let mut values = Vec::new();
        let mut indices: Vec<I> = Vec::with_capacity(elements.len());
        for (place, (&element, &first)) in elements.iter().zip(&firsts).enumerate() {
            if (first as usize) < place {
                indices.push(indices[first as usize]);
            } else {
                indices.push(I::try_from(values.len()).ok()?);
                values.push(element);
            }
        }
        Some(Self { values, indices })
    }
}

impl<E: Element + Send, I: Element + Send> Kernel for Unique<E, I> {
    fn eval(&self, io: &mut KernelIo<'_>) -> Result<(), EvalError> {
        let Views {
            outputs: [mut values, mut indices],
            ..
        } = io.views([], [VALUES, INDICES], [])?;
        values.copy_from(&self.values)?;
        indices.copy_from(&self.indices)?;
        Ok(())
    }

    fn name(&self) -> &'static str {
        "unique.reference"
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_stand_in_the_order_of_their_first_occurrence() {
        let unique = Unique::<i8, i32>::of(&[5, -1, 5, 7, -1, 5]).unwrap();
        assert_eq!(unique.values, [5, -1, 7]);
        assert_eq!(unique.indices, [0, 1, 0, 2, 1, 0]);
    }
}
