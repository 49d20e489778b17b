//! SPACE_TO_DEPTH and DEPTH_TO_SPACE: blocks of pixels become channels of one pixel, and back.

use super::shared::{StridedCopy, check, gathered, rows};
use super::{Node, OpDef, PrepareError, Prepared, Settings};
use crate::model::BuiltinOperator;
use crate::tensor::Shape;

const INPUT: usize = 0;
const OUTPUT: usize = 0;

pub(super) const DEF: OpDef = OpDef {
    code: BuiltinOperator::SPACE_TO_DEPTH,
    name: "SPACE_TO_DEPTH",
    versions: 1..=2,
    types: rows![[_] -> _ => Int8 UInt8 Int32 Int64 Float32;],
    check: check::same_quantization,
    prepare: |node, _: &Settings| prepare_space_to_depth(node),
};

pub(super) const DEF_DEPTH_TO_SPACE: OpDef = OpDef {
    code: BuiltinOperator::DEPTH_TO_SPACE,
    name: "DEPTH_TO_SPACE",
    versions: 1..=2,
    types: rows![[_] -> _ => Int8 UInt8 Int32 Int64 Float32;],
    check: check::same_quantization,
    prepare: |node, _: &Settings| prepare_depth_to_space(node),
};

/// The block size as an extent of 1 or more.
fn block_size(found: i32) -> Result<usize, PrepareError> {
    usize::try_from(found)
        .ok()
        .filter(|&block| block > 0)
        .ok_or(PrepareError::Attribute {
            name: "block_size",
            found: found.to_string(),
            expected: "1 or more",
        })
}

/// Result `[b, y, x, (block_y, block_x, c)]` = operand `[b, (y, block_y), (x, block_x), c]`.
fn prepare_space_to_depth(node: &Node<'_>) -> Result<Prepared, PrepareError> {
    let options = node.table()?.builtin_options_as_space_to_depth_options();
    let options = options.ok_or(PrepareError::Options {
        expected: "SpaceToDepthOptions",
    })?;
    let block = block_size(options.block_size())?;
    let input = node.input(INPUT, "input")?;
    node.output(OUTPUT, "output")?;
    let [batches, height, width, depth] = input.dims("NHWC")?;
    if height % block != 0 || width % block != 0 {
        return Err(input.shape_error(format!("height and width that {block} divides")));
    }
    let (rows, columns) = (height / block, width / block);
    let channels = depth.saturating_mul(block).saturating_mul(block);
    let shape = Shape::new(&[batches, rows, columns, channels])?;
    let split = [batches, rows, block, columns, block, depth];
    let [b, y, block_y, x, block_x, c, ..] = StridedCopy::dense_strides(&split);
    let copy = StridedCopy::new(
        input.element_bytes()?,
        &[batches, rows, columns, block, block, depth],
        &[b, y, x, block_y, block_x, c],
        0,
    );
    Ok(gathered("space_to_depth.reference", copy, shape))
}

/// Result `[b, (y, block_y), (x, block_x), c]` = operand `[b, y, x, (block_y, block_x, c)]`.
fn prepare_depth_to_space(node: &Node<'_>) -> Result<Prepared, PrepareError> {
    let options = node.table()?.builtin_options_as_depth_to_space_options();
    let options = options.ok_or(PrepareError::Options {
        expected: "DepthToSpaceOptions",
    })?;
    let block = block_size(options.block_size())?;
    let input = node.input(INPUT, "input")?;
    node.output(OUTPUT, "output")?;
    let [batches, height, width, channels] = input.dims("NHWC")?;
    let depth = channels / block / block;
    if depth.checked_mul(block).and_then(|n| n.checked_mul(block)) != Some(channels) {
        return Err(input.shape_error(format!("channels that {block} * {block} divides")));
    }
    let (rows, columns) = (height.saturating_mul(block), width.saturating_mul(block));
    let shape = Shape::new(&[batches, rows, columns, depth])?;
    let split = [batches, height, width, block, block, depth];
    let [b, y, x, block_y, block_x, c, ..] = StridedCopy::dense_strides(&split);
    let copy = StridedCopy::new(
        input.element_bytes()?,
        &[batches, height, block, width, block, depth],
        &[b, y, block_y, x, block_x, c],
        0,
    );
    Ok(gathered("depth_to_space.reference", copy, shape))
}
