//! SLICE: a block out of a tensor, by its first element and its extents.

use super::shared::integers;
use super::shared::{Integers, StridedCopy, check, rows};
use super::{
    EvalError, Kernel, KernelIo, Node, NodeTensor, OpDef, PrepareError, Prepared, Settings, Views,
    required,
};
use crate::model::BuiltinOperator;
use crate::tensor::{MAX_RANK, Shape};

const INPUT: usize = 0;
const BEGIN: usize = 1;
const SIZE: usize = 2;
const OUTPUT: usize = 0;

pub(super) const DEF: OpDef = OpDef {
    code: BuiltinOperator::SLICE,
    name: "SLICE",
    versions: 1..=8,
    types: rows![
        [_ Int32 Int32] -> _ => Int8 UInt8 Int16 UInt16 Int32 UInt32 Int64 UInt64 Float16 Float32 Float64 Bool Int4;
        [_ Int64 Int64] -> _ => Int8 UInt8 Int16 UInt16 Int32 UInt32 Int64 UInt64 Float16 Float32 Float64 Bool Int4;
    ],
    check: check::same_quantization,
    prepare,
};

fn prepare(node: &Node<'_>, _: &Settings) -> Result<Prepared, PrepareError> {
    let input = node.input(INPUT, "input")?;
    let begin = node.input(BEGIN, "begin")?;
    let size = node.input(SIZE, "size")?;
    node.output(OUTPUT, "output")?;
    let rank = input.shape.rank();
    for operand in [&begin, &size] {
        if operand.shape.dims() != [rank] {
            return Err(operand.shape_error(format!("[{rank}], one element per axis")));
        }
    }
    let shape = Shape::new(&extents(&input, &begin, Integers::constant(&size)?)?)?;
    let kernel = Reference {
        element: input.copied_element()?,
        strides: StridedCopy::dense_strides(input.shape.dims()),
    };
    Ok(Prepared::new(kernel, [shape]))
}

/// The result's dimensions: -1 is everything from `begin` on, the one case that needs `begin` before inference.
fn extents(
    input: &NodeTensor<'_>,
    begin: &NodeTensor<'_>,
    size: Integers<'_>,
) -> Result<Vec<usize>, PrepareError> {
    let dims = input.shape.dims().iter().enumerate();
    dims.map(|(axis, &dim)| match size.at(axis) {
        -1 => {
            let from = Integers::constant(begin)?.at(axis);
            integers::extent("begin", from)
                .ok()
                .and_then(|from| dim.checked_sub(from))
                .ok_or(PrepareError::Attribute {
                    name: "begin",
                    found: from.to_string(),
                    expected: "a position within the axis",
                })
        }
        extent => integers::extent("size", extent)
            .ok()
            .filter(|&extent| extent <= dim)
            .ok_or(PrepareError::Attribute {
                name: "size",
                found: extent.to_string(),
                expected: "-1 or an extent within the axis",
            }),
    })
    .collect()
}

struct Reference {
    element: usize,
    /// Of the operand.
    strides: [isize; MAX_RANK],
}

impl Kernel for Reference {
    fn eval(&self, io: &mut KernelIo<'_>) -> Result<(), EvalError> {
        let Views {
            inputs: [input, begin],
            outputs: [mut output],
            ..
        } = io.views([INPUT, BEGIN], [OUTPUT], [])?;
        let input = required(input, INPUT)?;
        let begin = Integers::view(begin, BEGIN)?;
        let block = output.shape();
        let mut offset = 0;
        for (axis, (&dim, &extent)) in input.shape().dims().iter().zip(block.dims()).enumerate() {
            let from = integers::position("begin", begin.at(axis), dim - extent + 1)?;
            offset += from * self.strides[axis].unsigned_abs();
        }
        let copy = StridedCopy::new(self.element, block.dims(), &self.strides, offset);
        copy.gather(input.bytes(), output.bytes_mut());
        Ok(())
    }

    fn name(&self) -> &'static str {
        "slice.reference"
    }
}
