//! SHAPE: the dimensions of a tensor; always known when the interpreter is built.

use super::shared::check;
use super::{EvalError, Kernel, KernelIo, Node, OpDef, PrepareError, Prepared, Settings, TypeRow};
use crate::model::BuiltinOperator;
use crate::tensor::{Shape, TensorType as T};

const INPUT: usize = 0;
const OUTPUT: usize = 0;

/// A row for each element type and result type.
macro_rules! rows {
    ($($ty:ident),*) => {
        &[$(TypeRow::new(&[T::$ty], &[T::Int32]), TypeRow::new(&[T::$ty], &[T::Int64])),*]
    };
}

pub(super) const DEF: OpDef = OpDef {
    code: BuiltinOperator::SHAPE,
    name: "SHAPE",
    versions: 1..=1,
    types: rows!(Int8, UInt8, Int16, Int32, Int64, Float32, Bool),
    check: check::none,
    prepare,
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
    Ok(Prepared::constant(Dimensions { bytes }, shape))
}

struct Dimensions {
    /// The result, little-endian.
    bytes: Vec<u8>,
}

impl Kernel for Dimensions {
    fn eval(&self, io: &mut KernelIo<'_>) -> Result<(), EvalError> {
        let mut views = io.views([], [OUTPUT], [])?;
        Ok(views.outputs[0].copy_from_bytes(&self.bytes)?)
    }

    fn name(&self) -> &'static str {
        "shape.reference"
    }
}
