//! DIV: the quotient of two tensors, with broadcasting; integers are truncated toward zero.

use super::shared::{
    Broadcast, binary, check, float_range, fused_activation, integer_range, limit, zip,
};
use super::{EvalError, Kernel, KernelIo, Node, OpDef, PrepareError, Prepared, Settings, TypeRow};
use crate::model::BuiltinOperator;
use crate::tensor::TensorType as T;

const LEFT: usize = 0;
const RIGHT: usize = 1;

pub(super) const DEF: OpDef = OpDef {
    code: BuiltinOperator::DIV,
    name: "DIV",
    versions: 1..=2,
    types: &[
        TypeRow::new(&[T::Float32], &[T::Float32]),
        TypeRow::new(&[T::Int32], &[T::Int32]),
    ],
    check: check::none,
    prepare,
};

fn prepare(node: &Node<'_>, _: &Settings) -> Result<Prepared, PrepareError> {
    let options = node.table()?.builtin_options_as_div_options();
    let options = options.ok_or(PrepareError::Options {
        expected: "DivOptions",
    })?;
    let activation = fused_activation(options.fused_activation_function())?;
    let broadcast = Broadcast::new([&node.input(LEFT, "left")?, &node.input(RIGHT, "right")?])?;
    if node.input(LEFT, "left")?.ty == T::Float32 {
        let range = float_range(activation);
        return Ok(binary("div.reference", broadcast, move |a: f32, b: f32| {
            limit(a / b, range)
        }));
    }
    let (low, high) = integer_range(activation, (i32::MIN.into(), i32::MAX.into()));
    let shape = broadcast.output();
    let range = (low as i32, high as i32);
    Ok(Prepared::new(DivI32 { broadcast, range }, [shape]))
}

struct DivI32 {
    broadcast: Broadcast<2>,
    range: (i32, i32),
}

impl Kernel for DivI32 {
    fn eval(&self, io: &mut KernelIo<'_>) -> Result<(), EvalError> {
        let (left, right, output) = io.binary::<i32, i32>()?;
        if right.contains(&0) {
            return Err(EvalError::Value {
                operand: "right",
                found: 0,
                expected: "divisors other than 0",
            });
        }
        zip(&self.broadcast, left, right, output, |a: i32, b: i32| {
            limit(a.checked_div(b).unwrap_or(i32::MAX), self.range)
        });
        Ok(())
    }

    fn name(&self) -> &'static str {
        "div.reference"
    }
}
