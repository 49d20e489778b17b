//! POW: powers, with broadcasting. Whole exponents of floats that one number gives for all elements are multiplied out.

use super::shared::{Broadcast, check, zip};
use super::{EvalError, Kernel, KernelIo, Node, OpDef, PrepareError, Prepared, Settings, TypeRow};
use crate::fixedpoint::{float_to_i32, limit};
use crate::model::BuiltinOperator;
use crate::tensor::TensorType as T;

const LEFT: usize = 0;
const RIGHT: usize = 1;

pub(super) const DEF: OpDef = OpDef {
    code: BuiltinOperator::POW,
    name: "POW",
    versions: 1..=1,
    types: &[
        TypeRow::new(&[T::Float32], &[T::Float32]),
        TypeRow::new(&[T::Int32], &[T::Int32]),
    ],
    check: check::none,
    prepare,
};

fn prepare(node: &Node<'_>, _: &Settings) -> Result<Prepared, PrepareError> {
    let base = node.input(LEFT, "base")?;
    let exponent = node.input(RIGHT, "exponent")?;
    let broadcast = Broadcast::new([&base, &exponent])?;
    let shape = broadcast.output();
    Ok(match base.ty {
        T::Float32 => {
            let one_exponent = exponent.shape.count() == 1 && exponent.shape != base.shape;
            let kernel = PowF32 {
                broadcast,
                one_exponent,
            };
            Prepared::new(kernel, [shape])
        }
        _ => Prepared::new(PowI32 { broadcast }, [shape]),
    })
}

const NAME: &str = "pow.reference";

struct PowF32 {
    broadcast: Broadcast<2>,
    one_exponent: bool,
}

impl Kernel for PowF32 {
    fn eval(&self, io: &mut KernelIo<'_>) -> Result<(), EvalError> {
        let (bases, exponents, output) = io.binary::<f32, f32>()?;
        let whole = exponents.first().filter(|_| self.one_exponent);
        if let Some(whole) = whole.and_then(|&exponent| whole_exponent(exponent)) {
            for (output, &base) in output.iter_mut().zip(bases) {
                *output = multiplied(base, whole);
            }
        } else {
            zip(&self.broadcast, bases, exponents, output, f32::powf);
        }
        Ok(())
    }

    fn name(&self) -> &'static str {
        NAME
    }
}

/// The whole number of at least 1 that an exponent is, to within 1e-5.
///
/// Source: TFLite `kernels/internal/optimized/optimized_ops.h`, `BroadcastPow4D`, which the reference resolver's POW calls.
fn whole_exponent(exponent: f32) -> Option<i32> {
    let whole = float_to_i32(exponent.round());
    ((exponent - whole as f32).abs() < 1e-5 && whole >= 1).then_some(whole)
}

/// Powers by squaring, from the exponent's highest bit down; every product is kept finite. Source: as [`whole_exponent`],
/// `IntegerExponentPow`.
fn multiplied(base: f32, exponent: i32) -> f32 {
    let product = |a: f32, b: f32| limit(a * b, (f32::MIN, f32::MAX));
    let below_highest = 31 - exponent.leading_zeros();
    (0..below_highest).rev().fold(base, |power, bit| {
        let square = product(power, power);
        if exponent >> bit & 1 == 1 {
            product(base, square)
        } else {
            square
        }
    })
}

struct PowI32 {
    broadcast: Broadcast<2>,
}

impl Kernel for PowI32 {
    fn eval(&self, io: &mut KernelIo<'_>) -> Result<(), EvalError> {
        let (bases, exponents, output) = io.binary::<i32, i32>()?;
        if let Some(&negative) = exponents.iter().find(|&&exponent| exponent < 0) {
            return Err(EvalError::Value {
                operand: "exponent",
                found: negative.into(),
                expected: "0 or more: powers of whole numbers",
            });
        }
        // Upstream computes some of them in double and some in 32 bits: what does not fit is undefined there.
        zip(
            &self.broadcast,
            bases,
            exponents,
            output,
            |base: i32, exponent: i32| base.wrapping_pow(exponent.unsigned_abs()),
        );
        Ok(())
    }

    fn name(&self) -> &'static str {
        NAME
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whole_exponents_are_multiplied_out() {
        let cases = [
            (1.0, Some(1)),
            (0.0, None),
            (-2.0, None),
            (2.5, None),
            (3.000_001, Some(3)),
            (1e10, None),
        ];
        for (exponent, expected) in cases {
            assert_eq!(whole_exponent(exponent), expected, "{exponent}");
        }
        for exponent in 1..=12 {
            // Exact in float32: 3^12 = 531441.
            assert_eq!(
                multiplied(-3.0, exponent),
                (-3f32).powi(exponent),
                "{exponent}"
            );
        }
        assert_eq!(multiplied(1e30, 3), f32::MAX);
    }
}
