//! What operators on pictures (NHWC) have in common.

use super::{Integers, integers};
use crate::ops::{Node, PrepareError};
use crate::tensor::Shape;

/// The result's shape of an operator that resizes the pictures of operand 0 to the height and width in operand 1.
///
/// # Errors
/// Inference computes the size, it is not two extents of 1 or more, or the input is not NHWC or is an empty picture.
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
        dims[axis + 1] = match integers::extent("size", value)? {
            0 => {
                return Err(PrepareError::Attribute {
                    name: "size",
                    found: "0".into(),
                    expected: "1 or more",
                });
            }
            extent => extent,
        };
    }
    Ok(Shape::new(&dims)?)
}
