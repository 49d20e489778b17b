//! ONE_HOT: along a new axis, one value at an index and another one elsewhere.

use super::shared::integers;
use super::shared::{Integers, check, rows};
use super::{
    EvalError, Kernel, KernelIo, Node, OpDef, PrepareError, Prepared, Settings, Views, required,
};
use crate::model::{BuiltinOperator, Report};
use crate::tensor::Shape;

const INDICES: usize = 0;
const DEPTH: usize = 1;
const ON_VALUE: usize = 2;
const OFF_VALUE: usize = 3;
const OUTPUT: usize = 0;

pub(super) const DEF: OpDef = OpDef {
    code: BuiltinOperator::ONE_HOT,
    name: "ONE_HOT",
    versions: 1..=1,
    types: rows![
        [Int32 Int32 _ _] -> _ => Int8 UInt8 Int32 Int64 Float32 Bool;
        [Int64 Int32 _ _] -> _ => Int8 UInt8 Int32 Int64 Float32 Bool;
    ],
    check,
    prepare,
};

/// Both values are stored as the result is.
fn check(node: &Node<'_>, report: &mut Report) {
    for (slot, operand) in [(ON_VALUE, "on_value"), (OFF_VALUE, "off_value")] {
        check::same_as_operand(node, slot, operand, report);
    }
}

fn prepare(node: &Node<'_>, _: &Settings) -> Result<Prepared, PrepareError> {
    let options = node.table()?.builtin_options_as_one_hot_options();
    let options = options.ok_or(PrepareError::Options {
        expected: "OneHotOptions",
    })?;
    let indices = node.input(INDICES, "indices")?;
    let depth = node.input(DEPTH, "depth")?;
    let output = node.output(OUTPUT, "output")?;
    for (slot, operand) in [(ON_VALUE, "on_value"), (OFF_VALUE, "off_value")] {
        let value = node.input(slot, operand)?;
        if value.shape.count() != 1 {
            return Err(value.shape_error("one element"));
        }
    }
    let depth = integers::extent("depth", Integers::constant_scalar(&depth)?)?;
    let mut dims = indices.shape.dims().to_vec();
    let axis = integers::axis("axis", options.axis().into(), dims.len() + 1)?;
    let inner = dims[axis..].iter().product();
    dims.insert(axis, depth);
    let kernel = OneHot {
        depth,
        inner,
        element: output.element_bytes()?,
    };
    Ok(Prepared::new(kernel, [Shape::new(&dims)?]))
}

/// An index outside the new axis is nowhere.
struct OneHot {
    depth: usize,
    /// Indices within one position of the axes outside the new one.
    inner: usize,
    /// Bytes.
    element: usize,
}

impl Kernel for OneHot {
    fn eval(&self, io: &mut KernelIo<'_>) -> Result<(), EvalError> {
        let Views {
            inputs: [indices, on, off],
            outputs: [mut output],
            ..
        } = io.views([INDICES, ON_VALUE, OFF_VALUE], [OUTPUT], [])?;
        let indices = Integers::view(indices, INDICES)?;
        let (on, off) = (
            required(on, ON_VALUE)?.bytes(),
            required(off, OFF_VALUE)?.bytes(),
        );
        let output = output.bytes_mut();
        for to in output.chunks_exact_mut(self.element) {
            to.copy_from_slice(off);
        }
        for (i, index) in indices.iter().enumerate() {
            let Some(index) = usize::try_from(index).ok().filter(|&i| i < self.depth) else {
                continue;
            };
            let (outer, inner) = (i / self.inner, i % self.inner);
            let to = ((outer * self.depth + index) * self.inner + inner) * self.element;
            output[to..][..self.element].copy_from_slice(on);
        }
        Ok(())
    }

    fn name(&self) -> &'static str {
        "one_hot.reference"
    }
}
