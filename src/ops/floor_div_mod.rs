//! FLOOR_DIV and FLOOR_MOD: quotients rounded down, and the remainders they leave, which have the divisor's sign; with
//! broadcasting. Stored integers are divided as they are: scales are not looked at.

use super::shared::{Broadcast, check, division};
use super::{Node, OpDef, PrepareError, Prepared, Settings, TypeRow};
use crate::model::BuiltinOperator;
use crate::tensor::TensorType as T;

const LEFT: usize = 0;
const RIGHT: usize = 1;

const TYPES: &[TypeRow] = &[
    TypeRow::new(&[T::Float32], &[T::Float32]),
    TypeRow::new(&[T::Int8], &[T::Int8]),
    TypeRow::new(&[T::Int16], &[T::Int16]),
    TypeRow::new(&[T::Int32], &[T::Int32]),
];

pub(super) const DEF_DIV: OpDef = OpDef {
    code: BuiltinOperator::FLOOR_DIV,
    name: "FLOOR_DIV",
    versions: 1..=3,
    types: TYPES,
    check: check::none,
    prepare: prepare_div,
};

pub(super) const DEF_MOD: OpDef = OpDef {
    code: BuiltinOperator::FLOOR_MOD,
    name: "FLOOR_MOD",
    versions: 1..=2,
    types: &[
        TYPES[0],
        TYPES[1],
        TYPES[2],
        TYPES[3],
        TypeRow::new(&[T::Int64], &[T::Int64]),
    ],
    check: check::none,
    prepare: prepare_mod,
};

/// Implements [`Divisible`] for integer types.
macro_rules! divisible {
    ($($ty:ty),*) => {$(
        impl Divisible for $ty {
            fn floor_div(self, divisor: Self) -> Self {
                let quotient = self.wrapping_div(divisor);
                let remainder = self.wrapping_rem(divisor);
                let below = remainder != 0 && (remainder < 0) != (divisor < 0);
                quotient.wrapping_sub(<$ty>::from(below))
            }

            fn floor_mod(self, divisor: Self) -> Self {
                let remainder = self.wrapping_rem(divisor);
                let below = remainder != 0 && (remainder < 0) != (divisor < 0);
                if below { remainder.wrapping_add(divisor) } else { remainder }
            }
        }
    )*};
}

/// Numbers that are divided, by others than 0.
trait Divisible {
    /// The quotient, rounded down.
    fn floor_div(self, divisor: Self) -> Self;
    /// The remainder with the divisor's sign.
    fn floor_mod(self, divisor: Self) -> Self;
}

divisible!(i8, i16, i32, i64);

/// Source: TFLite `kernels/internal/reference/floor_div.h` and `floor_mod.h`.
impl Divisible for f32 {
    fn floor_div(self, divisor: Self) -> Self {
        (f64::from(self) / f64::from(divisor)).floor() as f32
    }

    fn floor_mod(self, divisor: Self) -> Self {
        let remainder = self % divisor;
        let below = remainder != 0.0 && (remainder < 0.0) != (divisor < 0.0);
        if below {
            remainder + divisor
        } else {
            remainder
        }
    }
}

fn prepare_div(node: &Node<'_>, _: &Settings) -> Result<Prepared, PrepareError> {
    let (left, broadcast) = operands(node)?;
    let name = "floor_div.reference";
    Ok(match left {
        T::Float32 => division(name, broadcast, Some(0.0), f32::floor_div),
        T::Int8 => division(name, broadcast, Some(0), i8::floor_div),
        T::Int16 => division(name, broadcast, Some(0), i16::floor_div),
        _ => division(name, broadcast, Some(0), i32::floor_div),
    })
}

/// Floats have a remainder by zero: not-a-number.
fn prepare_mod(node: &Node<'_>, _: &Settings) -> Result<Prepared, PrepareError> {
    let (left, broadcast) = operands(node)?;
    let name = "floor_mod.reference";
    Ok(match left {
        T::Float32 => division(name, broadcast, None, f32::floor_mod),
        T::Int8 => division(name, broadcast, Some(0), i8::floor_mod),
        T::Int16 => division(name, broadcast, Some(0), i16::floor_mod),
        T::Int32 => division(name, broadcast, Some(0), i32::floor_mod),
        _ => division(name, broadcast, Some(0), i64::floor_mod),
    })
}

fn operands(node: &Node<'_>) -> Result<(T, Broadcast<2>), PrepareError> {
    let left = node.input(LEFT, "left")?;
    let broadcast = Broadcast::new([&left, &node.input(RIGHT, "right")?])?;
    Ok((left.ty, broadcast))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quotients_are_rounded_down_and_remainders_follow_the_divisor() {
        // (dividend, divisor, quotient, remainder): dividend = quotient * divisor + remainder.
        let cases = [
            (7, 3, 2, 1),
            (-7, 3, -3, 2),
            (7, -3, -3, -2),
            (-7, -3, 2, -1),
            (6, -3, -2, 0),
            (-128, -1, -128, 0), // 128 wraps
        ];
        for (a, b, quotient, remainder) in cases {
            assert_eq!(
                (i8::floor_div(a, b), a.floor_mod(b)),
                (quotient, remainder),
                "{a} / {b}"
            );
            if a != -128 {
                let (a, b) = (f32::from(a), f32::from(b));
                let found = (a.floor_div(b), a.floor_mod(b));
                assert_eq!(found, (quotient.into(), remainder.into()), "{a} / {b}");
            }
        }
        assert!(1f32.floor_mod(0.0).is_nan());
    }
}
