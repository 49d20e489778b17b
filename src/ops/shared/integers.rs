//! Operands that hold indices, axes or extents, in whichever integer type the model stores them.

use crate::ops::{EvalError, NodeTensor, PrepareError, TensorView, required};
use crate::tensor::{TensorError, TensorRef, TensorType};

/// The elements of an integer tensor, read as `i64`.
#[derive(Debug, Clone, Copy)]
pub enum Integers<'a> {
    I8(&'a [i8]),
    I16(&'a [i16]),
    I32(&'a [i32]),
    I64(&'a [i64]),
}

impl<'a> Integers<'a> {
    /// The value of an operand that has to be known before inference, because the result's shape depends on it.
    ///
    /// # Errors
    /// The model computes it, or its elements are no integers.
    pub fn constant(operand: &NodeTensor<'a>) -> Result<Self, PrepareError> {
        Ok(match operand.ty {
            TensorType::Int8 => Self::I8(operand.constant()?),
            TensorType::Int16 => Self::I16(operand.constant()?),
            TensorType::Int64 => Self::I64(operand.constant()?),
            _ => Self::I32(operand.constant()?),
        })
    }

    /// As [`constant`](Self::constant), of exactly one element.
    ///
    /// # Errors
    /// Also another number of elements.
    pub fn constant_scalar(operand: &NodeTensor<'a>) -> Result<i64, PrepareError> {
        let values = Self::constant(operand)?;
        match values.len() {
            1 => Ok(values.at(0)),
            _ => Err(operand.shape_error("one element")),
        }
    }

    /// The value of the operand in `slot` during inference.
    ///
    /// # Errors
    /// It is left out, or its elements are no integers.
    pub fn view(operand: TensorView<'a>, slot: usize) -> Result<Self, EvalError> {
        Ok(Self::of(required(operand, slot)?)?)
    }

    fn of(tensor: TensorRef<'a>) -> Result<Self, TensorError> {
        Ok(match tensor.ty() {
            TensorType::Int8 => Self::I8(tensor.as_slice()?),
            TensorType::Int16 => Self::I16(tensor.as_slice()?),
            TensorType::Int64 => Self::I64(tensor.as_slice()?),
            _ => Self::I32(tensor.as_slice()?),
        })
    }

    /// The number of elements.
    pub fn len(self) -> usize {
        match self {
            Self::I8(values) => values.len(),
            Self::I16(values) => values.len(),
            Self::I32(values) => values.len(),
            Self::I64(values) => values.len(),
        }
    }

    /// Element `index`, which must be below the number of elements.
    #[inline(always)]
    pub fn at(self, index: usize) -> i64 {
        match self {
            Self::I8(values) => values[index].into(),
            Self::I16(values) => values[index].into(),
            Self::I32(values) => values[index].into(),
            Self::I64(values) => values[index],
        }
    }

    /// Every element.
    pub fn iter(self) -> impl Iterator<Item = i64> + Clone + 'a {
        (0..self.len()).map(move |index| self.at(index))
    }
}

/// `index` as one of `extent` positions.
///
/// # Errors
/// It is below 0, or `extent` or more.
#[inline(always)]
pub fn position(operand: &'static str, index: i64, extent: usize) -> Result<usize, EvalError> {
    usize::try_from(index)
        .ok()
        .filter(|&index| index < extent)
        .ok_or(EvalError::Value {
            operand,
            found: index,
            expected: "an index within the axis it addresses",
        })
}

/// `value` as an extent.
///
/// # Errors
/// It is below 0 or above TFLite's limit of 2^31 - 1.
pub fn extent(name: &'static str, value: i64) -> Result<usize, PrepareError> {
    i32::try_from(value)
        .ok()
        .and_then(|value| usize::try_from(value).ok())
        .ok_or(PrepareError::Attribute {
            name,
            found: value.to_string(),
            expected: "0 or more, and below 2^31",
        })
}

/// `axis` of a tensor with `rank` axes, negative counting from the end.
///
/// # Errors
/// There is no such axis.
pub fn axis(name: &'static str, axis: i64, rank: usize) -> Result<usize, PrepareError> {
    let from_front = if axis < 0 {
        axis.saturating_add(rank as i64)
    } else {
        axis
    };
    usize::try_from(from_front)
        .ok()
        .filter(|&axis| axis < rank)
        .ok_or(PrepareError::Attribute {
            name,
            found: axis.to_string(),
            expected: "an axis of the tensor",
        })
}
