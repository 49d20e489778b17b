//! Tensors with a border around them.

use super::{Integers, StridedCopy, integers};
use crate::ops::{NodeTensor, PrepareError};
use crate::tensor::{Shape, TensorType};

/// A tensor with elements added before and behind it along each axis.
#[derive(Debug, Clone)]
pub struct Border {
    /// Elements before and behind, by axis.
    pub sides: Vec<[usize; 2]>,
    /// The shape with them.
    pub shape: Shape,
    /// The tensor's place inside, to scatter to.
    pub inside: StridedCopy,
}

impl Border {
    /// The border that the operand `paddings` (`[rank, 2]`) gives `input`.
    ///
    /// # Errors
    /// Inference computes it, it is of another shape, or it takes something away.
    pub fn new(input: &NodeTensor<'_>, paddings: &NodeTensor<'_>) -> Result<Self, PrepareError> {
        let rank = input.shape.rank();
        let values = Integers::constant(paddings)?;
        if paddings.shape.dims() != [rank, 2] {
            return Err(paddings.shape_error(format!("[{rank}, 2]")));
        }
        let mut sides = Vec::with_capacity(rank);
        let mut dims = Vec::with_capacity(rank);
        for (axis, &dim) in input.shape.dims().iter().enumerate() {
            let side = |side: usize| integers::extent("paddings", values.at(2 * axis + side));
            let [before, behind] = [side(0)?, side(1)?];
            sides.push([before, behind]);
            dims.push(dim.saturating_add(before).saturating_add(behind));
        }
        let shape = Shape::new(&dims)?;
        let strides = StridedCopy::dense_strides(&dims);
        let first = sides.iter().zip(strides);
        let offset = first.map(|([before, _], stride)| before * stride.unsigned_abs());
        let inside = StridedCopy::new(
            input.element_bytes()?,
            input.shape.dims(),
            &strides[..rank],
            offset.sum(),
        );
        Ok(Self {
            sides,
            shape,
            inside,
        })
    }
}

/// The bytes of real zero, little-endian: the zero point of a quantized tensor.
pub fn real_zero(tensor: &NodeTensor<'_>) -> [u8; 8] {
    let zero_point = match tensor.ty {
        TensorType::Int8 | TensorType::UInt8 | TensorType::Int16 => {
            tensor.quantization.map_or(0, |q| q.zero_point())
        }
        _ => 0,
    };
    i64::from(zero_point).to_le_bytes()
}
