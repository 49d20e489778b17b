//! ADD and SUB: sum and difference of two tensors, with broadcasting.

use super::shared::{
    Broadcast, Rescaled, ShiftedI16, binary, check, fast_add_sub, fast_add_sub_int16, float_range,
    fused_activation, integer_range,
};
use super::{Node, OpDef, PrepareError, Prepared, Settings, TypeRow};
use crate::fast::Element8;
use crate::fixedpoint::{FusedActivation, limit};
use crate::model::BuiltinOperator;
use crate::tensor::TensorType as T;

const LEFT: usize = 0;
const RIGHT: usize = 1;
const OUTPUT: usize = 0;

const TYPES: &[TypeRow] = &[
    TypeRow::new(&[T::Float32], &[T::Float32]),
    TypeRow::new(&[T::Int32], &[T::Int32]),
    TypeRow::new(&[T::Int64], &[T::Int64]),
    TypeRow::new(&[T::UInt8], &[T::UInt8]),
    TypeRow::new(&[T::Int8], &[T::Int8]),
    TypeRow::new(&[T::Int16], &[T::Int16]),
];

pub(super) const DEF_ADD: OpDef = OpDef {
    code: BuiltinOperator::ADD,
    name: "ADD",
    versions: 1..=5,
    types: TYPES,
    check: check::none,
    prepare: prepare_add,
};

pub(super) const DEF_SUB: OpDef = OpDef {
    code: BuiltinOperator::SUB,
    name: "SUB",
    versions: 1..=5,
    types: TYPES,
    check: check::none,
    prepare: prepare_sub,
};

fn prepare_add(node: &Node<'_>, settings: &Settings) -> Result<Prepared, PrepareError> {
    let options = node.table()?.builtin_options_as_add_options();
    let options = options.ok_or(PrepareError::Options {
        expected: "AddOptions",
    })?;
    let options = Options {
        activation: fused_activation(options.fused_activation_function())?,
        pot_scale_int16: options.pot_scale_int16(),
    };
    prepare::<false>("add.reference", node, &options, settings)
}

fn prepare_sub(node: &Node<'_>, settings: &Settings) -> Result<Prepared, PrepareError> {
    let options = node.table()?.builtin_options_as_sub_options();
    let options = options.ok_or(PrepareError::Options {
        expected: "SubOptions",
    })?;
    let options = Options {
        activation: fused_activation(options.fused_activation_function())?,
        pot_scale_int16: options.pot_scale_int16(),
    };
    prepare::<true>("sub.reference", node, &options, settings)
}

struct Options {
    activation: FusedActivation,
    pot_scale_int16: bool,
}

fn prepare<const SUB: bool>(
    name: &'static str,
    node: &Node<'_>,
    options: &Options,
    settings: &Settings,
) -> Result<Prepared, PrepareError> {
    let left = node.input(LEFT, "left")?;
    let right = node.input(RIGHT, "right")?;
    let output = node.output(OUTPUT, "output")?;
    let broadcast = Broadcast::new([&left, &right])?;
    let activation = options.activation;
    let integers = |range| integer_range(activation, range);
    let rescaled = || {
        let step = Rescaled::new([&left, &right, &output], activation, settings)?;
        // TFLite's SUB takes larger multipliers, its ADD aborts the process.
        if SUB {
            Ok(step)
        } else {
            step.output_below_one()
        }
    };
    let fast = |step: &Rescaled, element| {
        let count = match settings.thorough {
            true => broadcast.output().count(),
            false => 0,
        };
        let problem = step.bytes(element, SUB, count)?;
        fast_add_sub(&problem, &broadcast, settings)
    };
    Ok(match left.ty {
        T::Float32 => {
            let range = float_range(activation);
            binary(name, broadcast, move |a: f32, b: f32| {
                limit(if SUB { a - b } else { a + b }, range)
            })
        }
        T::Int32 => {
            let (low, high) = integers((i32::MIN.into(), i32::MAX.into()));
            let range = (low as i32, high as i32);
            binary(name, broadcast, move |a: i32, b: i32| {
                limit(
                    if SUB {
                        a.wrapping_sub(b)
                    } else {
                        a.wrapping_add(b)
                    },
                    range,
                )
            })
        }
        T::Int64 => {
            let range = integers((i64::MIN, i64::MAX));
            binary(name, broadcast, move |a: i64, b: i64| {
                limit(
                    if SUB {
                        a.wrapping_sub(b)
                    } else {
                        a.wrapping_add(b)
                    },
                    range,
                )
            })
        }
        T::Int16 if left.quantization.is_none() && !SUB => {
            let (low, high) = integers((i16::MIN.into(), i16::MAX.into()));
            let range = (low as i16, high as i16);
            binary(name, broadcast, move |a: i16, b: i16| {
                limit(a.wrapping_add(b), range)
            })
        }
        T::Int16 => {
            let operands = [&left, &right, &output];
            match ShiftedI16::new(operands, options.pot_scale_int16, activation)? {
                Some(step) => binary(name, broadcast, move |a, b| step.apply::<SUB>(a, b)),
                None => {
                    let step = rescaled()?;
                    let fast = step
                        .int16(SUB)
                        .and_then(|problem| fast_add_sub_int16(&problem, &broadcast, settings));
                    if let Some(fast) = fast {
                        return Ok(fast);
                    }
                    binary(name, broadcast, move |a: i16, b: i16| {
                        step.apply::<SUB, _>(a, b)
                    })
                }
            }
        }
        T::UInt8 => {
            let step = rescaled()?;
            if let Some(fast) = fast(&step, Element8::UInt8) {
                return Ok(fast);
            }
            binary(name, broadcast, move |a: u8, b: u8| {
                step.apply::<SUB, _>(a, b)
            })
        }
        _ => {
            let step = rescaled()?;
            if let Some(fast) = fast(&step, Element8::Int8) {
                return Ok(fast);
            }
            binary(name, broadcast, move |a: i8, b: i8| {
                step.apply::<SUB, _>(a, b)
            })
        }
    })
}
