//! BITCAST: the same bytes read as another element type.

use super::shared::{check, rows};
use super::{
    EvalError, Kernel, KernelIo, Node, OpDef, PrepareError, Prepared, Settings, Views, required,
};
use crate::model::BuiltinOperator;
use crate::tensor::Shape;

const INPUT: usize = 0;
const OUTPUT: usize = 0;

pub(super) const DEF: OpDef = OpDef {
    code: BuiltinOperator::BITCAST,
    name: "BITCAST",
    versions: 1..=1,
    types: rows![
        [_] -> Int8 => Int8 UInt8 Int16 UInt16 Int32 UInt32 Int64 Float32;
        [_] -> UInt8 => Int8 UInt8 Int16 UInt16 Int32 UInt32 Int64 Float32;
        [_] -> Int16 => Int8 UInt8 Int16 UInt16 Int32 UInt32 Int64 Float32;
        [_] -> UInt16 => Int8 UInt8 Int16 UInt16 Int32 UInt32 Int64 Float32;
        [_] -> Int32 => Int8 UInt8 Int16 UInt16 Int32 UInt32 Int64 Float32;
        [_] -> UInt32 => Int8 UInt8 Int16 UInt16 Int32 UInt32 Int64 Float32;
        [_] -> Int64 => Int8 UInt8 Int16 UInt16 Int32 UInt32 Int64 Float32;
        [_] -> Float32 => Int8 UInt8 Int16 UInt16 Int32 UInt32 Int64 Float32;
    ],
    check: check::none,
    prepare: |node, _: &Settings| prepare(node),
};

/// Elements become several along a new last axis, or those of the last axis become one.
fn prepare(node: &Node<'_>) -> Result<Prepared, PrepareError> {
    let input = node.input(INPUT, "input")?;
    let output = node.output(OUTPUT, "output")?;
    let (from, to) = (input.element_bytes()?, output.element_bytes()?);
    let dims = input.shape.dims();
    let shape = if from == to {
        input.shape
    } else if from > to {
        Shape::new(&[dims, &[from / to]].concat())?
    } else {
        match dims.split_last() {
            Some((&last, outer)) if last == to / from => Shape::new(outer)?,
            _ => {
                return Err(
                    input.shape_error(format!("[..., {}]: one element of the output", to / from))
                );
            }
        }
    };
    Ok(Prepared::new(Bitcast, [shape]))
}

struct Bitcast;

impl Kernel for Bitcast {
    fn eval(&self, io: &mut KernelIo<'_>) -> Result<(), EvalError> {
        let Views {
            inputs: [input],
            outputs: [mut output],
            ..
        } = io.views([INPUT], [OUTPUT], [])?;
        output
            .bytes_mut()
            .copy_from_slice(required(input, INPUT)?.bytes());
        Ok(())
    }

    fn name(&self) -> &'static str {
        "bitcast.reference"
    }
}
