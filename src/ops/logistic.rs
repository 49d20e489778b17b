//! LOGISTIC and TANH: 8-bit tensors by a table, int16 ones by interpolation, floats by the C library.

use super::shared::{check, function, map, symmetric_i16};
use super::{Node, OpDef, PrepareError, Prepared, Settings, TypeRow};
use crate::fixedpoint::SigmoidInput;
use crate::model::{BuiltinOperator, Report};
use crate::tensor::TensorType as T;

const INPUT: usize = 0;
const OUTPUT: usize = 0;

const TYPES: &[TypeRow] = &[
    TypeRow::new(&[T::Float32], &[T::Float32]),
    TypeRow::new(&[T::UInt8], &[T::UInt8]),
    TypeRow::new(&[T::Int8], &[T::Int8]),
    TypeRow::new(&[T::Int16], &[T::Int16]),
];

pub(super) const DEF: OpDef = OpDef {
    code: BuiltinOperator::LOGISTIC,
    name: "LOGISTIC",
    versions: 1..=3,
    types: TYPES,
    check: check_logistic,
    prepare: |node, _: &Settings| {
        let name = "logistic.reference";
        prepare(
            name,
            node,
            logistic_f32,
            |x| 1.0 / (1.0 + (-x).exp()),
            |scale| {
                let input = SigmoidInput::for_logistic(scale);
                move |q| input.logistic(q)
            },
        )
    },
};

pub(super) const DEF_TANH: OpDef = OpDef {
    code: BuiltinOperator::TANH,
    name: "TANH",
    versions: 1..=3,
    types: TYPES,
    check: check_i16,
    prepare: |node, _: &Settings| {
        prepare("tanh.reference", node, f32::tanh, f32::tanh, |scale| {
            let input = SigmoidInput::for_tanh(scale);
            move |q| input.tanh(q)
        })
    },
};

/// int16 results are in units of 2^-15.
fn check_i16(node: &Node<'_>, report: &mut Report) {
    if node
        .output(OUTPUT, "output")
        .is_ok_and(|o| o.ty == T::Int16)
    {
        check::fixed_output(node, 1.0 / 32768.0, 0, report);
    }
}

/// 8-bit results are in units of 2^-8; the zero point is free.
fn check_logistic(node: &Node<'_>, report: &mut Report) {
    check_i16(node, report);
    if let Ok(output) = node.output(OUTPUT, "output")
        && matches!(output.ty, T::UInt8 | T::Int8)
        && let Ok((_, zero_point)) = output.per_tensor()
    {
        check::fixed_output(node, 1.0 / 256.0, zero_point, report);
    }
}

fn prepare<F16: Fn(i16) -> i16 + Send + Sync + 'static>(
    name: &'static str,
    node: &Node<'_>,
    of_f32: fn(f32) -> f32,
    of_code: fn(f32) -> f32,
    of_i16: impl Fn(f32) -> F16,
) -> Result<Prepared, PrepareError> {
    let input = node.input(INPUT, "input")?;
    let output = node.output(OUTPUT, "output")?;
    match input.ty {
        T::Float32 => Ok(map(name, input.shape, of_f32)),
        T::Int16 => {
            symmetric_i16(&[&input, &output])?;
            output.per_tensor()?;
            let (scale, _) = input.per_tensor()?;
            Ok(map(name, input.shape, of_i16(scale)))
        }
        _ => function(name, node, of_code),
    }
}

/// The logistic function of a float tensor, which changes formula where the general one loses its digits.
///
/// Source: TFLite `kernels/internal/reference/logistic.h`. The bounds are float32 numbers.
fn logistic_f32(x: f32) -> f32 {
    const UPPER: f32 = 16.619_047;
    const LOWER: f32 = -9.0;
    if x > UPPER {
        1.0
    } else if x < LOWER {
        x.exp()
    } else {
        1.0 / (1.0 + (-x).exp())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn logistic_keeps_its_digits_far_from_zero() {
        // The bound is 16.619047164916992188 upstream.
        assert_eq!(16.619_047_f32, 16.619_047_164_916_992_f64 as f32);
        assert_eq!(
            [0.0, 20.0, -100.0].map(logistic_f32),
            [0.5, 1.0, (-100f32).exp()]
        );
    }
}
