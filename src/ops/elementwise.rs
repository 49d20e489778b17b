//! ABS, NEG, FLOOR, CEIL, ROUND, SQUARE, SQRT, RSQRT, EXP, LOG, SIN and COS: functions of one element.
//!
//! The float functions are the C library's, as in TFLite: their last place may differ between platforms.

use super::shared::{Integer, check, map, symmetric_i16, table};
use super::{Node, OpDef, PrepareError, Prepared, Settings, TypeRow};
use crate::fixedpoint::{
    QuantizedMultiplier, TableSide, lut_lookup_i8, lut_lookup_i16, lut_populate_i8,
    lut_populate_i16,
};
use crate::model::BuiltinOperator;
use crate::tensor::TensorType as T;

const INPUT: usize = 0;
const OUTPUT: usize = 0;

const FLOAT: &[TypeRow] = &[TypeRow::new(&[T::Float32], &[T::Float32])];
const NEGATED: &[TypeRow] = &[
    TypeRow::new(&[T::Float32], &[T::Float32]),
    TypeRow::new(&[T::Int32], &[T::Int32]),
    TypeRow::new(&[T::Int64], &[T::Int64]),
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
        pub(super) const $def: OpDef = OpDef {
            code: BuiltinOperator::$name,
            name: stringify!($name),
            versions: $versions,
            types: $types,
            check: check::none,
            prepare: $prepare,
        };
    };
}

function!(DEF_ABS, ABS, 1..=3, MAGNITUDE, prepare_abs);
function!(DEF_NEG, NEG, 1..=1, NEGATED, prepare_neg);
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
    float(node, "round.reference", f32::round_ties_even)
});
function!(DEF_SQUARE, SQUARE, 1..=1, FLOAT, |node, _| float(
    node,
    "square.reference",
    |x| x * x
));
function!(DEF_SQRT, SQRT, 1..=1, FLOAT, |node, _| float(
    node,
    "sqrt.reference",
    f32::sqrt
));
function!(DEF_RSQRT, RSQRT, 1..=1, FLOAT, |node, _| {
    float(node, "rsqrt.reference", |x| 1.0 / x.sqrt())
});
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
    f: impl Fn(f32) -> f32 + Send + 'static,
) -> Result<Prepared, PrepareError> {
    Ok(map(name, node.input(INPUT, "input")?.shape, f))
}

fn prepare_neg(node: &Node<'_>, _: &Settings) -> Result<Prepared, PrepareError> {
    let input = node.input(INPUT, "input")?;
    let (name, shape) = ("neg.reference", input.shape);
    Ok(match input.ty {
        T::Float32 => map(name, shape, |x: f32| -x),
        T::Int32 => map(name, shape, i32::wrapping_neg),
        _ => map(name, shape, i64::wrapping_neg),
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

fn prepare_exp(node: &Node<'_>, _: &Settings) -> Result<Prepared, PrepareError> {
    by_table(node, "exp.reference", |_| f32::exp)
}

/// The logarithm of what is not above zero is the lowest result.
fn prepare_log(node: &Node<'_>, _: &Settings) -> Result<Prepared, PrepareError> {
    if node.input(INPUT, "input")?.ty == T::Float32 {
        return float(node, "log.reference", f32::ln);
    }
    by_table(node, "log.reference", |lowest| {
        move |x: f32| if x <= 0.0 { lowest } else { x.ln() }
    })
}

/// `f(lowest)`, `lowest` being the lowest real result: floats directly, stored integers by a table.
fn by_table<F: Fn(f32) -> f32 + Send + 'static>(
    node: &Node<'_>,
    name: &'static str,
    f: impl Fn(f32) -> F,
) -> Result<Prepared, PrepareError> {
    let input = node.input(INPUT, "input")?;
    let output = node.output(OUTPUT, "output")?;
    let shape = input.shape;
    if input.ty == T::Float32 {
        return float(node, name, f(f32::MIN));
    }
    symmetric_i16(&[&input, &output])?;
    let (scale, zero_point) = input.per_tensor()?;
    let from = TableSide { scale, zero_point };
    let (scale, zero_point) = output.per_tensor()?;
    let to = TableSide { scale, zero_point };
    let lowest = output.ty.integer_range().map_or(0, |(low, _)| low);
    let f = f(lowest.wrapping_sub(zero_point) as f32 * scale);
    if input.ty == T::Int8 {
        let codes = lut_populate_i8(from, to, f);
        return Ok(table(name, shape, |q: i8| lut_lookup_i8(q, &codes)));
    }
    let samples = Box::new(lut_populate_i16(from, to, f));
    Ok(map(name, shape, move |q: i16| lut_lookup_i16(q, &samples)))
}
