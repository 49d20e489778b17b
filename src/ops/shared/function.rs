//! Functions of one real number, of stored integers: tables filled in float32 while a model is prepared.

use super::{map, symmetric_i16, table};
use crate::fixedpoint::{
    LUT_I16_LEN, TableSide, lut_lookup_i8, lut_lookup_i16, lut_populate_i8, lut_populate_i16,
    lut_populate_u8,
};
use crate::ops::{Node, NodeTensor, PrepareError, Prepared};
use crate::tensor::TensorType;

/// Result 0 = `f` of operand 0: floats directly, 8-bit codes by a table of 256, int16 ones by a table of 513 points.
///
/// # Errors
/// Integers that are not quantized as a whole, or int16 ones with a zero point.
pub fn function(
    name: &'static str,
    node: &Node<'_>,
    f: impl Fn(f32) -> f32 + Send + Sync + 'static,
) -> Result<Prepared, PrepareError> {
    let input = node.input(0, "input")?;
    let output = node.output(0, "output")?;
    let shape = input.shape;
    if input.ty == TensorType::Float32 {
        return Ok(map(name, shape, f));
    }
    if input.ty == TensorType::Int16 {
        let samples = samples_i16(&input, &output, f)?;
        return Ok(map(name, shape, move |q| lut_lookup_i16(q, &samples)));
    }
    let (from, to) = (side(&input)?, side(&output)?);
    Ok(if input.ty == TensorType::UInt8 {
        let codes = lut_populate_u8(from, to, f);
        table(name, shape, |q: u8| codes[usize::from(q)])
    } else {
        let codes = lut_populate_i8(from, to, f);
        table(name, shape, |q: i8| lut_lookup_i8(q, &codes))
    })
}

/// The points between which `f` of int16 codes is interpolated.
///
/// # Errors
/// As [`function`].
pub fn samples_i16(
    input: &NodeTensor<'_>,
    output: &NodeTensor<'_>,
    f: impl Fn(f32) -> f32,
) -> Result<Box<[i16; LUT_I16_LEN]>, PrepareError> {
    symmetric_i16(&[input, output])?;
    Ok(Box::new(lut_populate_i16(side(input)?, side(output)?, f)))
}

fn side(tensor: &NodeTensor<'_>) -> Result<TableSide, PrepareError> {
    let (scale, zero_point) = tensor.per_tensor()?;
    Ok(TableSide { scale, zero_point })
}
