//! SHAPE and RANK: the dimensions of a tensor and their number; always known when the interpreter is built.

use super::shared::{check, rows};
use super::{EvalError, Kernel, KernelIo, Node, OpDef, PrepareError, Prepared, Settings};
use crate::model::BuiltinOperator;
use crate::tensor::{Shape, TensorType as T};

const INPUT: usize = 0;
const OUTPUT: usize = 0;

pub(super) const DEF: OpDef = OpDef {
    code: BuiltinOperator::SHAPE,
    name: "SHAPE",
    versions: 1..=1,
    types: rows![[_] -> Int32, [_] -> Int64 => sized],
    check: check::none,
    prepare,
};

pub(super) const DEF_RANK: OpDef = OpDef {
    code: BuiltinOperator::RANK,
    name: "RANK",
    versions: 1..=1,
    types: rows![[_] -> Int32 => sized],
    check: check::none,
    prepare: |node, _: &Settings| {
        let input = node.input(INPUT, "input")?;
        node.output(OUTPUT, "output")?;
        let bytes = (input.shape.rank() as i32).to_le_bytes().to_vec();
        let name = "rank.reference";
        Ok(Prepared::constant(Known { name, bytes }, Shape::SCALAR))
    },
};

fn prepare(node: &Node<'_>, _: &Settings) -> Result<Prepared, PrepareError> {
    let input = node.input(INPUT, "input")?;
    let output = node.output(OUTPUT, "output")?;
    let shape = Shape::new(&[input.shape.rank()])?;
    let dims = input.shape.dims().iter();
    let bytes = match output.ty {
        T::Int64 => dims.flat_map(|&dim| (dim as i64).to_le_bytes()).collect(),
        _ => dims.flat_map(|&dim| (dim as i32).to_le_bytes()).collect(),
    };
    let name = "shape.reference";
    Ok(Prepared::constant(Known { name, bytes }, shape))
}

/// A result that prepare computed.
struct Known {
    name: &'static str,
    /// The result, little-endian.
    bytes: Vec<u8>,
}

impl Kernel for Known {
    fn eval(&self, io: &mut KernelIo<'_>) -> Result<(), EvalError> {
        let mut views = io.views([], [OUTPUT], [])?;
        Ok(views.outputs[0].copy_from_bytes(&self.bytes)?)
    }

    fn name(&self) -> &'static str {
        self.name
    }
}
