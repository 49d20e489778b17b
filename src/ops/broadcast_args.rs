//! BROADCAST_ARGS: the shape that tensors of two shapes have together.

use super::shared::{Integers, check};
use super::{
    EvalError, Kernel, KernelIo, Node, OpDef, PrepareError, Prepared, Settings, TypeRow, Views,
};
use crate::model::BuiltinOperator;
use crate::tensor::{Shape, TensorType as T};

const LEFT: usize = 0;
const RIGHT: usize = 1;
const OUTPUT: usize = 0;

pub(super) const DEF: OpDef = OpDef {
    code: BuiltinOperator::BROADCAST_ARGS,
    name: "BROADCAST_ARGS",
    versions: 1..=1,
    types: &[
        TypeRow::new(&[T::Int32], &[T::Int32]),
        TypeRow::new(&[T::Int64], &[T::Int64]),
    ],
    check: check::none,
    prepare,
};

fn prepare(node: &Node<'_>, _: &Settings) -> Result<Prepared, PrepareError> {
    let left = node.input(LEFT, "shape1")?;
    let right = node.input(RIGHT, "shape2")?;
    node.output(OUTPUT, "output")?;
    let [left_rank] = left.dims("[rank]")?;
    let [right_rank] = right.dims("[rank]")?;
    let shape = Shape::new(&[left_rank.max(right_rank)])?;
    Ok(Prepared::new(BroadcastArgs, [shape]))
}

struct BroadcastArgs;

impl Kernel for BroadcastArgs {
    fn eval(&self, io: &mut KernelIo<'_>) -> Result<(), EvalError> {
        let Views {
            inputs: [left, right],
            outputs: [mut output],
            ..
        } = io.views([LEFT, RIGHT], [OUTPUT], [])?;
        let left = Integers::view(left, LEFT)?;
        let right = Integers::view(right, RIGHT)?;
        let rank = left.len().max(right.len());
        let size = output.ty().size().unwrap_or(4);
        // Axes that one shape has not are 1.
        let at = |shape: Integers<'_>, axis: usize| {
            let missing = rank - shape.len();
            axis.checked_sub(missing).map_or(1, |axis| shape.at(axis))
        };
        for (axis, to) in output.bytes_mut().chunks_exact_mut(size).enumerate() {
            let dim = match (at(left, axis), at(right, axis)) {
                (1, dim) => dim,
                (dim, 1) => dim,
                (left, right) if left == right => left,
                (_, found) => {
                    return Err(EvalError::Value {
                        operand: "shape2",
                        found,
                        expected: "1 or the extent that shape1 has at this axis",
                    });
                }
            };
            to.copy_from_slice(&dim.to_le_bytes()[..size]);
        }
        Ok(())
    }

    fn name(&self) -> &'static str {
        "broadcast_args.reference"
    }
}
