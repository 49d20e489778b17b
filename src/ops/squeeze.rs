//! SQUEEZE and EXPAND_DIMS: axes of extent 1 dropped or inserted; no bytes move.

use super::shared::integers;
use super::shared::{Integers, check, rows};
use super::{Node, OpDef, PrepareError, Prepared, Settings};
use crate::model::BuiltinOperator;
use crate::tensor::{MAX_RANK, Shape};

const INPUT: usize = 0;
const AXIS: usize = 1;
const OUTPUT: usize = 0;

pub(super) const DEF: OpDef = OpDef {
    code: BuiltinOperator::SQUEEZE,
    name: "SQUEEZE",
    versions: 1..=2,
    types: rows![[_] -> _ => Int8 UInt8 Int16 UInt16 Int32 UInt32 Int64 UInt64 Float16 Float32 Float64 Bool Int4;],
    check: check::same_quantization,
    prepare: |node, _: &Settings| prepare_squeeze(node),
};

pub(super) const DEF_EXPAND_DIMS: OpDef = OpDef {
    code: BuiltinOperator::EXPAND_DIMS,
    name: "EXPAND_DIMS",
    versions: 1..=1,
    types: rows![
        [_ Int32] -> _ => Int8 UInt8 Int16 UInt16 Int32 UInt32 Int64 UInt64 Float16 Float32 Float64 Bool Int4;
        [_ Int64] -> _ => Int8 UInt8 Int16 UInt16 Int32 UInt32 Int64 UInt64 Float16 Float32 Float64 Bool Int4;
    ],
    check: check::same_quantization,
    prepare: |node, _: &Settings| prepare_expand_dims(node),
};

fn prepare_squeeze(node: &Node<'_>) -> Result<Prepared, PrepareError> {
    let options = node.table()?.builtin_options_as_squeeze_options();
    let options = options.ok_or(PrepareError::Options {
        expected: "SqueezeOptions",
    })?;
    let input = node.input(INPUT, "input")?;
    node.output(OUTPUT, "output")?;
    let named = options.squeeze_dims().unwrap_or_default();
    let mut dropped = [named.is_empty(); MAX_RANK];
    for axis in named {
        let axis = integers::axis("squeeze_dims", axis.into(), input.shape.rank())?;
        if input.shape.dims()[axis] != 1 {
            return Err(input.shape_error(format!("1 at axis {axis}, which is dropped")));
        }
        dropped[axis] = true;
    }
    let dims = input.shape.dims().iter().zip(dropped);
    let kept: Vec<usize> = dims
        .filter(|&(&dim, dropped)| dim != 1 || !dropped)
        .map(|(&dim, _)| dim)
        .collect();
    Ok(Prepared::alias(Shape::new(&kept)?))
}

fn prepare_expand_dims(node: &Node<'_>) -> Result<Prepared, PrepareError> {
    let input = node.input(INPUT, "input")?;
    node.output(OUTPUT, "output")?;
    let axis = Integers::constant_scalar(&node.input(AXIS, "axis")?)?;
    // Counted among the axes of the result.
    let axis = integers::axis("axis", axis, input.shape.rank() + 1)?;
    let mut dims = input.shape.dims().to_vec();
    dims.insert(axis, 1);
    Ok(Prepared::alias(Shape::new(&dims)?))
}
