//! ADD_N: the sum of any number of tensors of one shape.

use super::shared::check;
use super::{
    EvalError, Kernel, KernelIo, Node, OpDef, PrepareError, Prepared, Settings, TypeRow, Views,
    required,
};
use crate::model::BuiltinOperator;
use crate::tensor::{Element, TensorType as T};

const OUTPUT: usize = 0;

pub(super) const DEF: OpDef = OpDef {
    code: BuiltinOperator::ADD_N,
    name: "ADD_N",
    versions: 1..=1,
    types: &[
        TypeRow::new(&[T::Float32], &[T::Float32]),
        TypeRow::new(&[T::Int32], &[T::Int32]),
    ],
    check: check::none,
    prepare,
};

fn prepare(node: &Node<'_>, _: &Settings) -> Result<Prepared, PrepareError> {
    let first = node.input(0, "input")?;
    let shape = first.shape;
    // The second is there, or an error says so.
    for slot in 1..node.operator().inputs.len().max(2) {
        let input = node.input(slot, "input")?;
        if input.shape != shape {
            return Err(input.shape_error(format!("{shape}, the first operand's")));
        }
    }
    Ok(match first.ty {
        T::Float32 => Prepared::new(AddN::new(0.0, |sum: f32, x| sum + x), [shape]),
        _ => Prepared::new(AddN::new(0, i32::wrapping_add), [shape]),
    })
}

/// The operands added one after the other, from `zero` on. Source: TFLite `kernels/add_n.cc`.
struct AddN<E, F> {
    zero: E,
    add: F,
}

impl<E, F> AddN<E, F> {
    fn new(zero: E, add: F) -> Self {
        Self { zero, add }
    }
}

impl<E: Element + Send, F: Fn(E, E) -> E + Send> Kernel for AddN<E, F> {
    fn eval(&self, io: &mut KernelIo<'_>) -> Result<(), EvalError> {
        for slot in 0..io.input_count() {
            let Views {
                inputs: [input],
                outputs: [output],
                ..
            } = io.views([slot], [OUTPUT], [])?;
            let output = output.into_slice::<E>()?;
            if slot == 0 {
                output.fill(self.zero);
            }
            let input = required(input, slot)?.as_slice::<E>()?;
            for (sum, &x) in output.iter_mut().zip(input) {
                *sum = (self.add)(*sum, x);
            }
        }
        Ok(())
    }

    fn name(&self) -> &'static str {
        "add_n.reference"
    }
}
