//! Elements as kernels take them that know no tensors: bytes of either signedness, or any numbers.

use crate::ops::EvalError;
use crate::tensor::{TensorError, TensorMut, TensorRef, TensorType};
use bytemuck::Pod;

/// The stored elements.
///
/// # Errors
/// They are not aligned.
pub fn stored<E: Pod>(tensor: TensorRef<'_>) -> Result<&[E], EvalError> {
    bytemuck::try_cast_slice(tensor.bytes()).map_err(|_| misaligned(tensor.ty()))
}

/// The stored elements, to be written.
///
/// # Errors
/// They are not aligned.
pub fn stored_mut<'v, E: Pod>(tensor: &'v mut TensorMut<'_>) -> Result<&'v mut [E], EvalError> {
    let ty = tensor.ty();
    bytemuck::try_cast_slice_mut(tensor.bytes_mut()).map_err(|_| misaligned(ty))
}

fn misaligned(ty: TensorType) -> EvalError {
    TensorError::Misaligned { ty }.into()
}
