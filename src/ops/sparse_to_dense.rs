//! SPARSE_TO_DENSE: a tensor of one value but for values at given positions.

use super::gather::place;
use super::shared::integers;
use super::shared::{Integers, check, rows};
use super::{
    EvalError, Kernel, KernelIo, Node, OpDef, PrepareError, Prepared, Settings, Views, required,
};
use crate::model::BuiltinOperator;
use crate::tensor::{MAX_RANK, Shape};

const INDICES: usize = 0;
const SHAPE: usize = 1;
const VALUES: usize = 2;
const DEFAULT: usize = 3;
const OUTPUT: usize = 0;

pub(super) const DEF: OpDef = OpDef {
    code: BuiltinOperator::SPARSE_TO_DENSE,
    name: "SPARSE_TO_DENSE",
    versions: 1..=3,
    types: rows![
        [Int32 Int32 _ _] -> _ => Int8 UInt8 Int32 Int64 Float32;
        [Int32 Int64 _ _] -> _ => Int8 UInt8 Int32 Int64 Float32;
        [Int64 Int32 _ _] -> _ => Int8 UInt8 Int32 Int64 Float32;
        [Int64 Int64 _ _] -> _ => Int8 UInt8 Int32 Int64 Float32;
    ],
    check: |node, report| check::same_as_operand(node, VALUES, "values", report),
    prepare: |node, _: &Settings| prepare(node),
};

/// Indices are `[positions, axes]`, or `[positions]` of a single axis, or one number.
fn prepare(node: &Node<'_>) -> Result<Prepared, PrepareError> {
    let indices = node.input(INDICES, "indices")?;
    let shape = node.input(SHAPE, "output_shape")?;
    let values = node.input(VALUES, "values")?;
    let default = node.input(DEFAULT, "default_value")?;
    node.output(OUTPUT, "output")?;
    if default.shape.count() != 1 {
        return Err(default.shape_error("one element"));
    }
    let dims: Vec<usize> = Integers::constant(&shape)?
        .iter()
        .map(|dim| integers::extent("output_shape", dim))
        .collect::<Result<_, _>>()?;
    let result = Shape::new(&dims)?;
    let (positions, axes) = match *indices.shape.dims() {
        [] => (1, 1),
        [positions] => (positions, 1),
        [positions, axes] => (positions, axes),
        _ => return Err(indices.shape_error("at most two axes")),
    };
    if axes != dims.len() {
        return Err(indices.shape_error(format!(
            "[positions, {}], a number for each axis of the output",
            dims.len()
        )));
    }
    let is_single = values.shape.rank() == 0;
    if !is_single && values.shape.dims() != [positions] {
        return Err(
            values.shape_error(format!("a scalar or [{positions}], one value per position"))
        );
    }
    let mut extents = [0; MAX_RANK];
    extents[..axes].copy_from_slice(&dims);
    let kernel = SparseToDense {
        extents,
        axes,
        positions,
        step: if is_single {
            0
        } else {
            values.element_bytes()?
        },
    };
    Ok(Prepared::new(kernel, [result]))
}

/// Source: TFLite `kernels/internal/reference/reference_ops.h`, `SparseToDense`. Of values for one position the last stays.
struct SparseToDense {
    extents: [usize; MAX_RANK],
    axes: usize,
    positions: usize,
    /// Bytes from one value to the next; 0 where one value serves all.
    step: usize,
}

impl Kernel for SparseToDense {
    fn eval(&self, io: &mut KernelIo<'_>) -> Result<(), EvalError> {
        let Views {
            inputs: [indices, values, default],
            outputs: [mut output],
            ..
        } = io.views([INDICES, VALUES, DEFAULT], [OUTPUT], [])?;
        let indices = Integers::view(indices, INDICES)?;
        let values = required(values, VALUES)?.bytes();
        let default = required(default, DEFAULT)?.bytes();
        let output = output.bytes_mut();
        let element = default.len();
        for to in output.chunks_exact_mut(element) {
            to.copy_from_slice(default);
        }
        for position in 0..self.positions {
            let to = place(indices, position, &self.extents[..self.axes])? * element;
            let value = &values[position * self.step..][..element];
            output[to..][..element].copy_from_slice(value);
        }
        Ok(())
    }

    fn name(&self) -> &'static str {
        "sparse_to_dense.reference"
    }
}
