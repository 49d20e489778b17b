//! Which layer of one model is which of another: by name, then by order among those of one operator and shape. What is not
//! clear is not matched.

use crate::model::{Graph, OperatorKind};
use crate::oracle::compare::Recorded;
use crate::tensor::Shape;
use std::fmt;

/// A quantized activation of a model.
#[derive(Debug, Clone, Copy)]
pub(super) struct Place<'m> {
    /// Index of the operator that computes it.
    pub(super) operator: usize,
    pub(super) kind: &'m OperatorKind,
    /// Index of the tensor.
    pub(super) tensor: usize,
    pub(super) name: &'m str,
    pub(super) shape: Shape,
}

/// Why a layer of A has no partner.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum Unmatched {
    /// B has no layer of this name, and none is left of this operator and shape.
    Missing,
    /// B's layer of this name has another number of elements.
    Shape {
        /// Its shape in B.
        b: Box<Shape>,
    },
    /// Layers of this operator and shape are left on both sides, but not as many.
    Ambiguous {
        /// How many in A.
        a: usize,
        /// How many in B.
        b: usize,
    },
}

impl fmt::Display for Unmatched {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Missing => f.write_str("not in B"),
            Self::Shape { b } => write!(f, "other shape in B: {b}"),
            Self::Ambiguous { a, b } => {
                write!(
                    f,
                    "ambiguous: {a} such layers without a name in common, {b} in B"
                )
            }
        }
    }
}

/// The activations that a run recorded.
pub(super) fn places<'m>(graph: &'m Graph, recorded: &[Recorded]) -> Vec<Place<'m>> {
    let subgraph = &graph.subgraphs()[0];
    recorded
        .iter()
        .map(|recorded| Place {
            operator: recorded.operator,
            kind: &subgraph.operators[recorded.operator].kind,
            tensor: recorded.tensor,
            name: graph.tensor_name(&subgraph.tensors[recorded.tensor]),
            shape: recorded.shape,
        })
        .collect()
}

/// For each place of `a` the index of its partner in `b`.
pub(super) fn partners(a: &[Place<'_>], b: &[Place<'_>]) -> Vec<Result<usize, Unmatched>> {
    let named = a.iter().map(|place| {
        let only = |places: &[Place<'_>]| {
            let mut same = (0..places.len()).filter(|&i| places[i].name == place.name);
            same.next().filter(|_| same.next().is_none())
        };
        only(a).and(only(b))
    });
    let named: Vec<Option<usize>> = named.collect();
    let left_of_b: Vec<usize> = (0..b.len())
        .filter(|index| !named.contains(&Some(*index)))
        .collect();
    let alike = |x: &Place<'_>, y: &Place<'_>| x.kind == y.kind && x.shape == y.shape;
    (0..a.len())
        .map(|index| {
            let place = &a[index];
            if let Some(partner) = named[index] {
                let shape = b[partner].shape;
                return match shape.count() == place.shape.count() {
                    true => Ok(partner),
                    false => Err(Unmatched::Shape { b: Box::new(shape) }),
                };
            }
            let of_a = (0..a.len()).filter(|&i| named[i].is_none() && alike(&a[i], place));
            let of_a: Vec<usize> = of_a.collect();
            let of_b = left_of_b.iter().copied().filter(|&i| alike(&b[i], place));
            let of_b: Vec<usize> = of_b.collect();
            if of_b.is_empty() {
                return Err(Unmatched::Missing);
            }
            if of_a.len() != of_b.len() {
                return Err(Unmatched::Ambiguous {
                    a: of_a.len(),
                    b: of_b.len(),
                });
            }
            let number = of_a.iter().take_while(|&&i| i < index).count();
            Ok(of_b[number])
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::BuiltinOperator;

    const CONV: OperatorKind = OperatorKind::Builtin(BuiltinOperator::CONV_2D);
    const ADD: OperatorKind = OperatorKind::Builtin(BuiltinOperator::ADD);

    fn places<'m>(of: &[(&'m str, &'m OperatorKind, &[usize])]) -> Vec<Place<'m>> {
        let places = of.iter().enumerate();
        places
            .map(|(index, &(name, kind, dims))| Place {
                operator: index,
                kind,
                tensor: index,
                name,
                shape: Shape::new(dims).expect("shape"),
            })
            .collect()
    }

    #[test]
    fn names_match_before_order() {
        let a = places(&[("x", &CONV, &[1, 4]), ("y", &CONV, &[1, 4])]);
        let b = places(&[("y", &CONV, &[1, 4]), ("x", &ADD, &[4])]);
        assert_eq!(partners(&a, &b), [Ok(1), Ok(0)]);
    }

    #[test]
    fn unnamed_layers_match_in_order() {
        let a = places(&[("", &CONV, &[4]), ("", &ADD, &[4]), ("", &CONV, &[4])]);
        let b = places(&[("p", &CONV, &[4]), ("q", &CONV, &[4]), ("r", &ADD, &[4])]);
        assert_eq!(partners(&a, &b), [Ok(0), Ok(2), Ok(1)]);
    }

    #[test]
    fn different_numbers_of_layers_are_refused() {
        let a = places(&[("p", &CONV, &[4]), ("q", &CONV, &[4]), ("r", &ADD, &[4])]);
        let b = places(&[("s", &CONV, &[4])]);
        let ambiguous = || Err(Unmatched::Ambiguous { a: 2, b: 1 });
        let expected = [ambiguous(), ambiguous(), Err(Unmatched::Missing)];
        assert_eq!(partners(&a, &b), expected);
    }

    #[test]
    fn other_shape_under_the_same_name_is_told() {
        let a = places(&[("p", &CONV, &[4])]);
        let b = places(&[("p", &CONV, &[8])]);
        let shape = Shape::new(&[8]).expect("shape");
        assert_eq!(
            partners(&a, &b),
            [Err(Unmatched::Shape { b: Box::new(shape) })]
        );
    }
}
