//! EQUAL, NOT_EQUAL, LESS, LESS_EQUAL, GREATER and GREATER_EQUAL: truth values of two tensors, with broadcasting.

use super::shared::{Broadcast, Integer, binary, check, float16_to_float32, rows};
use super::{Node, NodeTensor, OpDef, PrepareError, Prepared, Settings, TypeRow};
use crate::fixedpoint::{Profile, QuantizedMultiplier, Rounding};
use crate::model::BuiltinOperator;
use crate::tensor::{Element, TensorType as T};
use std::cmp::Ordering;

const LEFT: usize = 0;
const RIGHT: usize = 1;

/// Numbers; truth values can only be equal or not.
const ORDERED: &[TypeRow] = rows![[_] -> Bool => Float32 Float16 Int64 Int32 Int16 Int8 UInt8;];

const EQUAL: &[TypeRow] = rows![[_] -> Bool => Float32 Float16 Int64 Int32 Int16 Int8 UInt8 Bool;];

/// A definition for the comparison that is true for these orderings; `unordered` for not-a-number.
macro_rules! comparison {
    ($def:ident, $name:ident, $latest:literal, $types:expr, $kernel:literal, $orderings:pat, $unordered:literal) => {
        pub(super) const $def: OpDef = OpDef {
            code: BuiltinOperator::$name,
            name: stringify!($name),
            versions: 1..=$latest,
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
comparison!(DEF_EQUAL, EQUAL, 5, EQUAL, "equal.reference", Equal, false);
comparison!(
    DEF_NOT_EQUAL,
    NOT_EQUAL,
    4,
    EQUAL,
    "not_equal.reference",
    Less | Greater,
    true
);
comparison!(DEF_LESS, LESS, 3, ORDERED, "less.reference", Less, false);
comparison!(
    DEF_LESS_EQUAL,
    LESS_EQUAL,
    2,
    ORDERED,
    "less_equal.reference",
    Less | Equal,
    false
);
comparison!(
    DEF_GREATER,
    GREATER,
    2,
    ORDERED,
    "greater.reference",
    Greater,
    false
);
comparison!(
    DEF_GREATER_EQUAL,
    GREATER_EQUAL,
    3,
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
    let scales_int16 = settings.profile == Profile::Litert;
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
        T::Float16 => binary(name, broadcast, move |a: u16, b: u16| {
            let [a, b] = [a, b].map(float16_to_float32);
            u8::from(is(a.partial_cmp(&b)))
        }),
        T::Bool => binary(name, broadcast, move |a: u8, b: u8| {
            u8::from(is((a != 0).partial_cmp(&(b != 0))))
        }),
        T::UInt8 => quantized::<u8, F>(name, broadcast, scaled()?, is),
        T::Int8 => quantized::<i8, F>(name, broadcast, scaled()?, is),
        // LiteRT scales int16 for EQUAL and NOT_EQUAL alone; all else compares the stored integers.
        _ if ordered || !scales_int16 || left.quantization.is_none() => {
            raw::<i16, F>(name, broadcast, is)
        }
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
