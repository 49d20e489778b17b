//! CAST: numbers of one type to numbers of another.

use super::shared::{check, float16_to_float32, float32_to_float16, map, rows};
use super::{
    EvalError, Kernel, KernelIo, Node, OpDef, PrepareError, Prepared, Settings, Views, required,
};
use crate::model::BuiltinOperator;
use crate::tensor::{Element, Shape, TensorType as T};

const INPUT: usize = 0;
const OUTPUT: usize = 0;
const NAME: &str = "cast.reference";

pub(super) const DEF: OpDef = OpDef {
    code: BuiltinOperator::CAST,
    name: "CAST",
    versions: 1..=9,
    types: rows![
        [_] -> Float32 => Float32 Float16 Float64 Int8 UInt8 Int16 UInt16 Int32 UInt32 Int64 Bool Int4;
        [_] -> Float16 => Float32 Float16 Float64 Int8 UInt8 Int16 UInt16 Int32 UInt32 Int64 Bool;
        [_] -> Float64 => Float32 Float16 Float64 Int8 UInt8 Int16 UInt16 Int32 UInt32 Int64 Bool;
        [_] -> Int8 => Float32 Float16 Float64 Int8 UInt8 Int16 UInt16 Int32 UInt32 Int64 Bool;
        [_] -> UInt8 => Float32 Float16 Float64 Int8 UInt8 Int16 UInt16 Int32 UInt32 Int64 Bool;
        [_] -> Int16 => Float32 Float16 Float64 Int8 UInt8 Int16 UInt16 Int32 UInt32 Int64 Bool;
        [_] -> UInt16 => Float32 Float16 Float64 Int8 UInt8 Int16 UInt16 Int32 UInt32 Int64 Bool;
        [_] -> Int32 => Float32 Float16 Float64 Int8 UInt8 Int16 UInt16 Int32 UInt32 Int64 Bool;
        [_] -> UInt32 => Float32 Float16 Float64 Int8 UInt8 Int16 UInt16 Int32 UInt32 Int64 Bool;
        [_] -> Int64 => Float32 Float16 Float64 Int8 UInt8 Int16 UInt16 Int32 UInt32 Int64 Bool;
        [_] -> Bool => Float32 Float16 Float64 Int8 UInt8 Int16 UInt16 Int32 UInt32 Int64 Bool;
        [_] -> Int4 => Float32;
    ],
    check: check::none,
    prepare,
};

fn prepare(node: &Node<'_>, _: &Settings) -> Result<Prepared, PrepareError> {
    let shape = node.input(INPUT, "input")?.shape;
    let (from, to) = (
        node.input(INPUT, "input")?.ty,
        node.output(OUTPUT, "output")?.ty,
    );
    Ok(match from {
        T::Float32 if to == T::Int4 => Prepared::new(ToInt4, [shape]),
        T::Float32 => from_type::<f32>(shape, to),
        T::Float16 => from_type::<Half>(shape, to),
        T::Float64 => from_type::<f64>(shape, to),
        T::Int4 => Prepared::new(FromInt4, [shape]),
        T::Int8 => from_type::<i8>(shape, to),
        T::UInt8 => from_type::<u8>(shape, to),
        T::Int16 => from_type::<i16>(shape, to),
        T::UInt16 => from_type::<u16>(shape, to),
        T::Int32 => from_type::<i32>(shape, to),
        T::UInt32 => from_type::<u32>(shape, to),
        T::Int64 => from_type::<i64>(shape, to),
        _ => from_type::<Truth>(shape, to),
    })
}

fn from_type<I: Kind>(shape: Shape, to: T) -> Prepared {
    match to {
        T::Float32 => cast::<I, f32>(shape),
        T::Float16 => cast::<I, Half>(shape),
        T::Float64 => cast::<I, f64>(shape),
        T::Int8 => cast::<I, i8>(shape),
        T::UInt8 => cast::<I, u8>(shape),
        T::Int16 => cast::<I, i16>(shape),
        T::UInt16 => cast::<I, u16>(shape),
        T::Int32 => cast::<I, i32>(shape),
        T::UInt32 => cast::<I, u32>(shape),
        T::Int64 => cast::<I, i64>(shape),
        _ => cast::<I, Truth>(shape),
    }
}

fn cast<I: Kind, O: Kind>(shape: Shape) -> Prepared {
    map(NAME, shape, |x: I::Stored| match I::number(x) {
        Number::Integer(value) => O::of_integer(value),
        Number::Real(value) => O::of_real(value),
    })
}

/// The value of an element: every one of every type below is exactly one of these.
enum Number {
    Integer(i64),
    Real(f64),
}

/// A type to cast from and to.
///
/// Source: LiteRT `kernels/cast.cc`: integers keep their low bits; real numbers are cut towards zero and limited to the type,
/// and not-a-number becomes the largest integer; truth values are 0 and 1.
trait Kind {
    type Stored: Element + Send;

    fn number(stored: Self::Stored) -> Number;
    fn of_integer(value: i64) -> Self::Stored;
    fn of_real(value: f64) -> Self::Stored;
}

/// Implements [`Kind`] for integer types.
macro_rules! integer {
    ($($ty:ty)*) => {$(
        impl Kind for $ty {
            type Stored = Self;

            fn number(stored: Self) -> Number {
                Number::Integer(stored.into())
            }

            fn of_integer(value: i64) -> Self {
                value as $ty
            }

            fn of_real(value: f64) -> Self {
                if value.is_nan() { <$ty>::MAX } else { value as $ty }
            }
        }
    )*};
}

integer!(i8 u8 i16 u16 i32 u32 i64);

/// Implements [`Kind`] for float types.
macro_rules! float {
    ($($ty:ty)*) => {$(
        impl Kind for $ty {
            type Stored = Self;

            fn number(stored: Self) -> Number {
                Number::Real(stored.into())
            }

            fn of_integer(value: i64) -> Self {
                value as $ty
            }

            fn of_real(value: f64) -> Self {
                value as $ty
            }
        }
    )*};
}

float!(f32 f64);

/// float16, which TFLite reads and writes through float32.
struct Half;

impl Kind for Half {
    type Stored = u16;

    fn number(stored: u16) -> Number {
        Number::Real(float16_to_float32(stored).into())
    }

    fn of_integer(value: i64) -> u16 {
        float32_to_float16(value as f32)
    }

    fn of_real(value: f64) -> u16 {
        float32_to_float16(value as f32)
    }
}

/// bool.
struct Truth;

impl Kind for Truth {
    type Stored = u8;

    fn number(stored: u8) -> Number {
        Number::Integer((stored != 0).into())
    }

    fn of_integer(value: i64) -> u8 {
        (value != 0).into()
    }

    fn of_real(value: f64) -> u8 {
        (value != 0.0).into()
    }
}

/// int4 to float32; two codes share a byte, the first in its low bits.
struct FromInt4;

impl Kernel for FromInt4 {
    fn eval(&self, io: &mut KernelIo<'_>) -> Result<(), EvalError> {
        let Views {
            inputs: [input],
            outputs: [output],
            ..
        } = io.views([INPUT], [OUTPUT], [])?;
        let input = required(input, INPUT)?.bytes();
        for (to, &byte) in output.into_slice::<f32>()?.chunks_mut(2).zip(input) {
            // Up to the high bits, then down with the sign.
            let codes = [byte << 4, byte].map(|high| high.cast_signed() >> 4);
            for (to, code) in to.iter_mut().zip(codes) {
                *to = code.into();
            }
        }
        Ok(())
    }

    fn name(&self) -> &'static str {
        "cast_from_int4.reference"
    }
}

/// float32 to int4: limited to -8 and 7, then cut towards zero; not-a-number becomes 7.
struct ToInt4;

impl Kernel for ToInt4 {
    fn eval(&self, io: &mut KernelIo<'_>) -> Result<(), EvalError> {
        let Views {
            inputs: [input],
            outputs: [mut output],
            ..
        } = io.views([INPUT], [OUTPUT], [])?;
        let input = required(input, INPUT)?.as_slice::<f32>()?;
        for (to, from) in output.bytes_mut().iter_mut().zip(input.chunks(2)) {
            let code = |x: f32| {
                (if x.is_nan() {
                    7
                } else {
                    x.clamp(-8.0, 7.0) as i8
                })
                .cast_unsigned()
            };
            let high = from.get(1).map_or(0, |&x| code(x));
            *to = code(from[0]) & 0x0F | high << 4;
        }
        Ok(())
    }

    fn name(&self) -> &'static str {
        "cast_to_int4.reference"
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reals_are_cut_and_limited_and_integers_wrap() {
        assert_eq!([-1.9, 300.0, f64::NAN].map(i8::of_real), [-1, 127, 127]);
        assert_eq!([-1.0, 2.9].map(u8::of_real), [0, 2]);
        // 300 = 256 + 44.
        assert_eq!((u8::of_integer(300), i8::of_integer(-129)), (44, 127));
        // 2^24 + 1 is a tie between neighbouring float32 numbers.
        assert_eq!(f32::of_integer(16_777_217), 16_777_216.0);
        assert_eq!((Truth::of_real(f64::NAN), Truth::of_real(-0.0)), (1, 0));
    }
}
