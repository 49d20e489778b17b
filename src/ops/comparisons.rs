//! EQUAL, NOT_EQUAL, LESS, LESS_EQUAL, GREATER and GREATER_EQUAL: truth values of two tensors, with broadcasting.

use super::shared::{Broadcast, Integer, binary, check};
use super::{Node, NodeTensor, OpDef, PrepareError, Prepared, Settings, TypeRow};
use crate::fixedpoint::{QuantizedMultiplier, Rounding};
use crate::model::BuiltinOperator;
use crate::tensor::{Element, TensorType as T};
use std::cmp::Ordering;

const LEFT: usize = 0;
const RIGHT: usize = 1;

/// Numbers; truth values can only be equal or not.
const ORDERED: &[TypeRow] = &[
    TypeRow::new(&[T::Float32], &[T::Bool]),
    TypeRow::new(&[T::Int32], &[T::Bool]),
    TypeRow::new(&[T::Int64], &[T::Bool]),
    TypeRow::new(&[T::UInt8], &[T::Bool]),
    TypeRow::new(&[T::Int8], &[T::Bool]),
    TypeRow::new(&[T::Int16], &[T::Bool]),
];

const EQUAL: &[TypeRow] = &[
    TypeRow::new(&[T::Float32], &[T::Bool]),
    TypeRow::new(&[T::Int32], &[T::Bool]),
    TypeRow::new(&[T::Int64], &[T::Bool]),
    TypeRow::new(&[T::UInt8], &[T::Bool]),
    TypeRow::new(&[T::Int8], &[T::Bool]),
    TypeRow::new(&[T::Int16], &[T::Bool]),
    TypeRow::new(&[T::Bool], &[T::Bool]),
];

/// A definition for the comparison that is true for these orderings; `unordered` for not-a-number.
macro_rules! comparison {
    ($def:ident, $name:ident, $types:expr, $kernel:literal, $orderings:pat, $unordered:literal) => {
        pub(super) const $def: OpDef = OpDef {
            code: BuiltinOperator::$name,
            name: stringify!($name),
            versions: 1..=2,
            types: $types,
            check: check::none,
            prepare: |node, settings| {
                prepare($kernel, node, settings, |ordering| match ordering {
                    Some(ordering) => matches!(ordering, $orderings),
                    None => $unordered,
                })
            },
        };
    };
}

use Ordering::{Equal, Greater, Less};
comparison!(DEF_EQUAL, EQUAL, EQUAL, "equal.reference", Equal, false);
comparison!(
    DEF_NOT_EQUAL,
    NOT_EQUAL,
    EQUAL,
    "not_equal.reference",
    Less | Greater,
    true
);
comparison!(DEF_LESS, LESS, ORDERED, "less.reference", Less, false);
comparison!(
    DEF_LESS_EQUAL,
    LESS_EQUAL,
    ORDERED,
    "less_equal.reference",
    Less | Equal,
    false
);
comparison!(
    DEF_GREATER,
    GREATER,
    ORDERED,
    "greater.reference",
    Greater,
    false
);
comparison!(
    DEF_GREATER_EQUAL,
    GREATER_EQUAL,
    ORDERED,
    "greater_equal.reference",
    Greater | Equal,
    false
);

fn prepare<F>(
    name: &'static str,
    node: &Node<'_>,
    settings: &Settings,
    is: F,
) -> Result<Prepared, PrepareError>
where
    F: Fn(Option<Ordering>) -> bool + Copy + Send + 'static,
{
    let left = node.input(LEFT, "left")?;
    let right = node.input(RIGHT, "right")?;
    let broadcast = Broadcast::new([&left, &right])?;
    let ordered = is(Some(Less)) != is(Some(Greater));
    let rounding = settings.profile.rounding();
    let scaled = || {
        Ok::<_, PrepareError>([
            Scaled::new(&left, rounding)?,
            Scaled::new(&right, rounding)?,
        ])
    };
    Ok(match left.ty {
        T::Float32 => raw::<f32, F>(name, broadcast, is),
        T::Int32 => raw::<i32, F>(name, broadcast, is),
        T::Int64 => raw::<i64, F>(name, broadcast, is),
        T::Bool => binary(name, broadcast, move |a: u8, b: u8| {
            u8::from(is((a != 0).partial_cmp(&(b != 0))))
        }),
        T::UInt8 => quantized::<u8, F>(name, broadcast, scaled()?, is),
        T::Int8 => quantized::<i8, F>(name, broadcast, scaled()?, is),
        // TFLite scales int16 for EQUAL and NOT_EQUAL alone; the others compare the stored integers.
        _ if ordered || left.quantization.is_none() => raw::<i16, F>(name, broadcast, is),
        _ => quantized::<i16, F>(name, broadcast, scaled()?, is),
    })
}

fn raw<E, F>(name: &'static str, broadcast: Broadcast<2>, is: F) -> Prepared
where
    E: Element + PartialOrd + Send,
    F: Fn(Option<Ordering>) -> bool + Send + 'static,
{
    binary(name, broadcast, move |a: E, b: E| {
        u8::from(is(a.partial_cmp(&b)))
    })
}

fn quantized<E, F>(
    name: &'static str,
    broadcast: Broadcast<2>,
    [left, right]: [Scaled; 2],
    is: F,
) -> Prepared
where
    E: Integer,
    F: Fn(Option<Ordering>) -> bool + Send + 'static,
{
    binary(name, broadcast, move |a: E, b: E| {
        u8::from(is(left.apply(a).partial_cmp(&right.apply(b))))
    })
}

/// A stored integer as its real number times 2^8, rounded: what TFLite compares, so that reals closer than that are equal.
///
/// Source: TFLite `kernels/comparisons.cc`, `ComparisonQuantized`; `kernels/internal/reference/comparisons.h`.
#[derive(Debug, Clone, Copy)]
struct Scaled {
    zero_point: i32,
    multiplier: QuantizedMultiplier,
    rounding: Rounding,
}

impl Scaled {
    fn new(operand: &NodeTensor<'_>, rounding: Rounding) -> Result<Self, PrepareError> {
        let (scale, zero_point) = operand.per_tensor()?;
        Ok(Self {
            zero_point,
            multiplier: QuantizedMultiplier::from_real(scale.into())?,
            rounding,
        })
    }

    #[inline(always)]
    fn apply<E: Integer>(self, q: E) -> i32 {
        let shifted = q.widen().wrapping_sub(self.zero_point).wrapping_shl(8);
        self.multiplier.apply(shifted, self.rounding)
    }
}
