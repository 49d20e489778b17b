//! ABS, NEG, SIGN, FLOOR, CEIL, ROUND, SQUARE, EXP, LOG, SIN and COS: functions of one element.
//!
//! The float functions are the C library's, as in TFLite: their last place may differ between platforms.

use super::shared::{Integer, check, function, map, symmetric_i16, table};
use super::{Node, NodeTensor, OpDef, PrepareError, Prepared, Settings, TypeRow};
use crate::fixedpoint::QuantizedMultiplier;
use crate::model::BuiltinOperator;
use crate::tensor::TensorType as T;

const INPUT: usize = 0;
const OUTPUT: usize = 0;

const FLOAT: &[TypeRow] = &[TypeRow::new(&[T::Float32], &[T::Float32])];
const NEGATED: &[TypeRow] = &[
    TypeRow::new(&[T::Float32], &[T::Float32]),
    TypeRow::new(&[T::Int8], &[T::Int8]),
    TypeRow::new(&[T::Int16], &[T::Int16]),
    TypeRow::new(&[T::Int32], &[T::Int32]),
    TypeRow::new(&[T::Int64], &[T::Int64]),
];
const SIGNED: &[TypeRow] = &[
    TypeRow::new(&[T::Float32], &[T::Float32]),
    TypeRow::new(&[T::Int32], &[T::Int32]),
];
const TABLE: &[TypeRow] = &[
    TypeRow::new(&[T::Float32], &[T::Float32]),
    TypeRow::new(&[T::Int8], &[T::Int8]),
    TypeRow::new(&[T::Int16], &[T::Int16]),
];
const MAGNITUDE: &[TypeRow] = &[
    TypeRow::new(&[T::Float32], &[T::Float32]),
    TypeRow::new(&[T::Int8], &[T::Int8]),
    TypeRow::new(&[T::Int16], &[T::Int16]),
    TypeRow::new(&[T::Int32], &[T::Int32]),
];

/// A definition of the operator `$name`.
macro_rules! function {
    ($def:ident, $name:ident, $versions:expr, $types:expr, $prepare:expr) => {
        function!($def, $name, $versions, $types, check::none, $prepare);
    };
    ($def:ident, $name:ident, $versions:expr, $types:expr, $check:path, $prepare:expr) => {
        pub(super) const $def: OpDef = OpDef {
            code: BuiltinOperator::$name,
            name: stringify!($name),
            versions: $versions,
            types: $types,
            check: $check,
            prepare: $prepare,
        };
    };
}

function!(DEF_ABS, ABS, 1..=3, MAGNITUDE, prepare_abs);
function!(
    DEF_NEG,
    NEG,
    1..=1,
    NEGATED,
    check::same_quantization,
    prepare_neg
);
function!(DEF_SIGN, SIGN, 1..=2, SIGNED, prepare_sign);
function!(DEF_EXP, EXP, 1..=2, TABLE, prepare_exp);
function!(DEF_LOG, LOG, 1..=2, TABLE, prepare_log);
function!(DEF_FLOOR, FLOOR, 1..=1, FLOAT, |node, _| float(
    node,
    "floor.reference",
    f32::floor
));
function!(DEF_CEIL, CEIL, 1..=1, FLOAT, |node, _| float(
    node,
    "ceil.reference",
    f32::ceil
));
function!(DEF_ROUND, ROUND, 1..=1, FLOAT, |node, _| {
    float(node, "round.reference", round_ties_even)
});
function!(DEF_SQUARE, SQUARE, 1..=1, FLOAT, |node, _| float(
    node,
    "square.reference",
    |x| x * x
));
function!(DEF_SIN, SIN, 1..=1, FLOAT, |node, _| float(
    node,
    "sin.reference",
    f32::sin
));
function!(DEF_COS, COS, 1..=1, FLOAT, |node, _| float(
    node,
    "cos.reference",
    f32::cos
));

fn float(
    node: &Node<'_>,
    name: &'static str,
    f: impl Fn(f32) -> f32 + Send + Sync + 'static,
) -> Result<Prepared, PrepareError> {
    Ok(map(name, node.input(INPUT, "input")?.shape, f))
}

fn prepare_neg(node: &Node<'_>, _: &Settings) -> Result<Prepared, PrepareError> {
    let input = node.input(INPUT, "input")?;
    let (name, shape) = ("neg.reference", input.shape);
    Ok(match input.ty {
        T::Float32 => map(name, shape, |x: f32| -x),
        T::Int32 => map(name, shape, i32::wrapping_neg),
        T::Int64 => map(name, shape, i64::wrapping_neg),
        T::Int8 => map(name, shape, mirrored::<i8>(&input)),
        _ => map(name, shape, mirrored::<i16>(&input)),
    })
}

/// Stored integers mirrored at their zero point. (Upstream mirrors them at 0 whatever their zero point is, and leaves the
/// lowest one as it is.)
fn mirrored<I: Integer>(input: &NodeTensor<'_>) -> impl Fn(I) -> I + Send + use<I> {
    let zero_point = input.quantization.map_or(0, |q| q.zero_point());
    move |q| I::saturate(zero_point.wrapping_sub(q.widen().wrapping_sub(zero_point)))
}

/// -1, 0 or 1; not-a-number stays what it is. Source: TFLite `kernels/sign.cc`.
fn prepare_sign(node: &Node<'_>, _: &Settings) -> Result<Prepared, PrepareError> {
    let input = node.input(INPUT, "input")?;
    let (name, shape) = ("sign.reference", input.shape);
    Ok(match input.ty {
        T::Float32 => map(name, shape, |x: f32| match x {
            x if x > 0.0 => 1.0,
            x if x < 0.0 => -1.0,
            x if x.is_nan() => x,
            _ => 0.0,
        }),
        _ => map(name, shape, i32::signum),
    })
}

/// Source: TFLite `kernels/elementwise.cc`, `AbsEval`.
fn prepare_abs(node: &Node<'_>, settings: &Settings) -> Result<Prepared, PrepareError> {
    let input = node.input(INPUT, "input")?;
    let output = node.output(OUTPUT, "output")?;
    let (name, shape) = ("abs.reference", input.shape);
    match input.ty {
        T::Float32 => return Ok(map(name, shape, f32::abs)),
        T::Int32 => return Ok(map(name, shape, i32::wrapping_abs)),
        T::Int16 if input.quantization.is_none() => {
            return Ok(map(name, shape, i16::wrapping_abs));
        }
        _ => symmetric_i16(&[&input, &output])?,
    }
    let (input_scale, input_zero_point) = input.per_tensor()?;
    let (output_scale, output_zero_point) = output.per_tensor()?;
    // Equal scales give the multiplier 1, which is exact.
    let multiplier = QuantizedMultiplier::from_real(f64::from(input_scale / output_scale))?;
    let rounding = settings.profile.rounding();
    let magnitude = move |q: i32| {
        let magnitude = q.wrapping_sub(input_zero_point).wrapping_abs();
        multiplier
            .apply(magnitude, rounding)
            .wrapping_add(output_zero_point)
    };
    Ok(match input.ty {
        T::Int8 => table(name, shape, |q: i8| i8::saturate(magnitude(q.widen()))),
        _ => map(name, shape, move |q: i16| {
            i16::saturate(magnitude(q.widen()))
        }),
    })
}

/// The nearest whole number, ties to the even one; never the negative zero that C's `rint` makes of -0.3.
///
/// Source: TFLite `kernels/internal/reference/round.h`, `RoundToNearest`.
fn round_ties_even(x: f32) -> f32 {
    let floor = x.floor();
    let fraction = x - floor;
    if fraction < 0.5 || (fraction == 0.5 && floor % 2.0 == 0.0) {
        floor
    } else {
        floor + 1.0
    }
}

fn prepare_exp(node: &Node<'_>, _: &Settings) -> Result<Prepared, PrepareError> {
    function("exp.reference", node, f32::exp)
}

/// The logarithm of what is not above zero is the lowest code. Source: TFLite `kernels/elementwise.cc`, `LogLUTPrepare`.
fn prepare_log(node: &Node<'_>, _: &Settings) -> Result<Prepared, PrepareError> {
    let name = "log.reference";
    let output = node.output(OUTPUT, "output")?;
    let Some((lowest, _)) = output.ty.integer_range() else {
        return float(node, name, f32::ln);
    };
    let (scale, zero_point) = output.per_tensor()?;
    let lowest = lowest.wrapping_sub(zero_point) as f32 * scale;
    function(name, node, move |x| if x <= 0.0 { lowest } else { x.ln() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ties_are_rounded_to_the_even_number() {
        let found = [0.5, 1.5, -0.5, -1.5, 2.4, -2.6, 3e9].map(round_ties_even);
        assert_eq!(found, [0.0, 2.0, 0.0, -2.0, 2.0, -3.0, 3e9]);
        assert!(round_ties_even(-0.3).is_sign_positive());
        assert!(round_ties_even(f32::NAN).is_nan());
    }
}
