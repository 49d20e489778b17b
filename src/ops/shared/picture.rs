//! What operators on pictures (NHWC) have in common.

use super::{Integers, integers};
use crate::ops::{Node, PrepareError};
use crate::tensor::Shape;

/// The largest height and width to resize to: operators keep a record for each line and column.
const MAX_EXTENT: usize = 1 << 20;

/// The result's shape of an operator that resizes the pictures of operand 0 to the height and width in operand 1.
///
/// # Errors
/// Inference computes the size, it is not two extents from 1 to 2^20, or the input is not NHWC or is an empty picture.
pub fn result_size(node: &Node<'_>) -> Result<Shape, PrepareError> {
    let input = node.input(0, "input")?;
    let size = node.input(1, "size")?;
    node.output(0, "output")?;
    let [batches, height, width, depth] = input.dims("NHWC")?;
    if height == 0 || width == 0 {
        return Err(input.shape_error("height and width of 1 or more"));
    }
    let values = Integers::constant(&size)?;
    if size.shape.dims() != [2] {
        return Err(size.shape_error("[2]: height and width"));
    }
    let mut dims = [batches, 0, 0, depth];
    for (axis, value) in values.iter().enumerate() {
        let extent = integers::extent("size", value)?;
        if !(1..=MAX_EXTENT).contains(&extent) {
            return Err(PrepareError::Attribute {
                name: "size",
                found: extent.to_string(),
                expected: "1 to 2^20",
            });
        }
        dims[axis + 1] = extent;
    }
    Ok(Shape::new(&dims)?)
}
