//! FILL and ZEROS_LIKE: tensors of one value.

use super::shared::integers;
use super::shared::{Integers, check, rows};
use super::{
    EvalError, Kernel, KernelIo, Node, OpDef, PrepareError, Prepared, Settings, Views, required,
};
use crate::model::BuiltinOperator;
use crate::tensor::Shape;

const DIMS: usize = 0;
const VALUE: usize = 1;
const OUTPUT: usize = 0;

pub(super) const DEF: OpDef = OpDef {
    code: BuiltinOperator::FILL,
    name: "FILL",
    versions: 1..=5,
    types: rows![[Int32 _] -> _, [Int64 _] -> _ => sized],
    check: |node, report| check::same_as_operand(node, VALUE, "value", report),
    prepare: |node, _: &Settings| prepare_fill(node),
};

pub(super) const DEF_ZEROS_LIKE: OpDef = OpDef {
    code: BuiltinOperator::ZEROS_LIKE,
    name: "ZEROS_LIKE",
    versions: 1..=1,
    types: rows![[_] -> _ => Int32 Int64 Float32;],
    check: check::none,
    prepare: |node, _: &Settings| {
        let input = node.input(0, "input")?;
        node.output(OUTPUT, "output")?;
        Ok(Prepared::constant(ZerosLike, input.shape))
    },
};

fn prepare_fill(node: &Node<'_>) -> Result<Prepared, PrepareError> {
    let dims = node.input(DIMS, "dims")?;
    let value = node.input(VALUE, "value")?;
    node.output(OUTPUT, "output")?;
    if value.shape.count() != 1 {
        return Err(value.shape_error("one element"));
    }
    let dims: Vec<usize> = Integers::constant(&dims)?
        .iter()
        .map(|dim| integers::extent("dims", dim))
        .collect::<Result<_, _>>()?;
    Ok(Prepared::new(Fill, [Shape::new(&dims)?]))
}

struct Fill;

impl Kernel for Fill {
    fn eval(&self, io: &mut KernelIo<'_>) -> Result<(), EvalError> {
        let Views {
            inputs: [value],
            outputs: [mut output],
            ..
        } = io.views([VALUE], [OUTPUT], [])?;
        let value = required(value, VALUE)?.bytes();
        for to in output.bytes_mut().chunks_exact_mut(value.len().max(1)) {
            to.copy_from_slice(value);
        }
        Ok(())
    }

    fn name(&self) -> &'static str {
        "fill.reference"
    }
}

struct ZerosLike;

impl Kernel for ZerosLike {
    fn eval(&self, io: &mut KernelIo<'_>) -> Result<(), EvalError> {
        let mut views = io.views([], [OUTPUT], [])?;
        views.outputs[0].bytes_mut().fill(0);
        Ok(())
    }

    fn name(&self) -> &'static str {
        "zeros_like.reference"
    }
}
