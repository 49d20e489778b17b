//! DYNAMIC_UPDATE_SLICE: a tensor with a block of it replaced, at a place that the model may compute.

use super::shared::{Integers, StridedCopy, check, rows};
use super::{
    EvalError, Kernel, KernelIo, Node, OpDef, PrepareError, Prepared, Settings, Views, required,
};
use crate::model::{BuiltinOperator, Report};

const OPERAND: usize = 0;
const UPDATE: usize = 1;
const START: usize = 2;
const OUTPUT: usize = 0;

pub(super) const DEF: OpDef = OpDef {
    code: BuiltinOperator::DYNAMIC_UPDATE_SLICE,
    name: "DYNAMIC_UPDATE_SLICE",
    versions: 1..=6,
    types: rows![
        [_ _ Int32] -> _ => Int8 UInt8 Int16 UInt16 Int32 UInt32 Int64 UInt64 Float16 Float32 Float64 Bool Int4;
        [_ _ Int64] -> _ => Int8 UInt8 Int16 UInt16 Int32 UInt32 Int64 UInt64 Float16 Float32 Float64 Bool Int4;
    ],
    check,
    prepare,
};

fn check(node: &Node<'_>, report: &mut Report) {
    check::same_quantization(node, report);
    check::same_as_operand(node, UPDATE, "update", report);
}

fn prepare(node: &Node<'_>, _: &Settings) -> Result<Prepared, PrepareError> {
    let operand = node.input(OPERAND, "operand")?;
    let update = node.input(UPDATE, "update")?;
    let start = node.input(START, "start_indices")?;
    node.output(OUTPUT, "output")?;
    let (whole, block) = (operand.shape.dims(), update.shape.dims());
    if whole.len() != block.len() || whole.iter().zip(block).any(|(whole, block)| block > whole) {
        return Err(update.shape_error(format!("a block of {}", operand.shape)));
    }
    if start.shape.dims() != [whole.len()] {
        return Err(start.shape_error(format!("[{}], one element per axis", whole.len())));
    }
    let element = operand.copied_element()?;
    Ok(Prepared::new(Reference { element }, [operand.shape]))
}

/// A start that would leave the tensor is moved to the nearest that does not, as in TFLite
/// `kernels/dynamic_update_slice.cc`.
struct Reference {
    element: usize,
}

impl Kernel for Reference {
    fn eval(&self, io: &mut KernelIo<'_>) -> Result<(), EvalError> {
        let Views {
            inputs: [operand, update, start],
            outputs: [mut output],
            ..
        } = io.views([OPERAND, UPDATE, START], [OUTPUT], [])?;
        let (operand, update) = (required(operand, OPERAND)?, required(update, UPDATE)?);
        let start = Integers::view(start, START)?;
        output.copy_from_bytes(operand.bytes())?;
        let (whole, block) = (operand.shape(), update.shape());
        let strides = StridedCopy::dense_strides(whole.dims());
        let mut offset = 0;
        for (axis, (&dim, &extent)) in whole.dims().iter().zip(block.dims()).enumerate() {
            let room = dim - extent;
            let from = usize::try_from(start.at(axis).max(0)).map_or(room, |from| from.min(room));
            offset += from * strides[axis].unsigned_abs();
        }
        let copy = StridedCopy::new(self.element, block.dims(), &strides, offset);
        copy.scatter(update.bytes(), output.bytes_mut());
        Ok(())
    }

    fn name(&self) -> &'static str {
        "dynamic_update_slice.reference"
    }
}
