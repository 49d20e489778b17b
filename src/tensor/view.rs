//! Borrowed, typed views of tensor data.

use super::{Element, Quantization, Shape, TensorError, TensorType};

/// A tensor's data, shape, type and quantization, borrowed for reading.
///
/// ```
/// use corallite::tensor::{Shape, TensorRef, TensorType};
/// let bytes = [1u8, 2, 3, 4];
/// let shape = Shape::new(&[2, 2])?;
/// let tensor = TensorRef::new(TensorType::UInt8, &shape, None, &bytes)?;
/// assert_eq!(tensor.as_slice::<u8>()?, &[1, 2, 3, 4]);
/// assert!(tensor.as_slice::<f32>().is_err());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, Copy)]
pub struct TensorRef<'a> {
    ty: TensorType,
    shape: &'a Shape,
    quantization: Option<&'a Quantization>,
    bytes: &'a [u8],
}

/// A tensor's data borrowed for writing, with its shape, type and quantization.
#[derive(Debug)]
pub struct TensorMut<'a> {
    ty: TensorType,
    shape: &'a Shape,
    quantization: Option<&'a Quantization>,
    bytes: &'a mut [u8],
}

/// Refuses `found` bytes where the type and shape need another number.
#[inline]
fn check_bytes(ty: TensorType, shape: &Shape, found: usize) -> Result<(), TensorError> {
    let expected = ty.bytes(shape.count()).ok_or(TensorError::Unsized { ty })?;
    if found != expected {
        return Err(TensorError::Bytes {
            ty,
            shape: (*shape).into(),
            found,
            expected,
        });
    }
    Ok(())
}

/// Refuses a Rust type that does not view elements of `ty`.
fn check_element<T: Element>(ty: TensorType) -> Result<(), TensorError> {
    if !T::views(ty) {
        return Err(TensorError::Type {
            tensor: ty,
            asked: T::NAME,
        });
    }
    Ok(())
}

/// The elements that `bytes` hold.
pub(crate) fn elements<'a, T: Element>(
    ty: TensorType,
    shape: &Shape,
    bytes: &'a [u8],
) -> Result<&'a [T], TensorError> {
    check_bytes(ty, shape, bytes.len())?;
    check_element::<T>(ty)?;
    bytemuck::try_cast_slice(bytes).map_err(|_| TensorError::Misaligned { ty })
}

impl<'a> TensorRef<'a> {
    /// A view of `bytes`.
    ///
    /// # Errors
    /// The number of bytes is not what the type and shape need, or the type has no fixed size.
    #[inline]
    pub fn new(
        ty: TensorType,
        shape: &'a Shape,
        quantization: Option<&'a Quantization>,
        bytes: &'a [u8],
    ) -> Result<Self, TensorError> {
        check_bytes(ty, shape, bytes.len())?;
        Ok(Self::sized(ty, shape, quantization, bytes))
    }

    /// A view of `bytes`, whose number is known to be what the type and shape need.
    #[inline(always)]
    pub(crate) fn sized(
        ty: TensorType,
        shape: &'a Shape,
        quantization: Option<&'a Quantization>,
        bytes: &'a [u8],
    ) -> Self {
        debug_assert_eq!(check_bytes(ty, shape, bytes.len()), Ok(()));
        Self {
            ty,
            shape,
            quantization,
            bytes,
        }
    }

    /// The element type.
    pub fn ty(&self) -> TensorType {
        self.ty
    }

    /// The shape.
    pub fn shape(&self) -> Shape {
        *self.shape
    }

    /// Scale and zero point, where the model gives them.
    pub fn quantization(&self) -> Option<&'a Quantization> {
        self.quantization
    }

    /// The data as stored: little-endian elements in row-major order.
    pub fn bytes(&self) -> &'a [u8] {
        self.bytes
    }

    /// The elements in row-major order.
    ///
    /// # Errors
    /// `T` is not the Rust type of the tensor's elements.
    pub fn as_slice<T: Element>(&self) -> Result<&'a [T], TensorError> {
        check_element::<T>(self.ty)?;
        bytemuck::try_cast_slice(self.bytes).map_err(|_| TensorError::Misaligned { ty: self.ty })
    }

    /// The real values: float32 elements as they are, quantized integers as `scale * (stored - zero_point)`.
    ///
    /// # Errors
    /// The elements are integers without one scale for the whole tensor, or of a type that is never quantized.
    pub fn dequantize(&self) -> Result<Vec<f32>, TensorError> {
        if self.ty == TensorType::Float32 {
            return Ok(self.as_slice::<f32>()?.to_vec());
        }
        let quantization = self
            .quantization
            .filter(|q| q.scales().len() == 1)
            .ok_or(TensorError::NotQuantized { ty: self.ty })?;
        let real = |stored: i32| quantization.dequantize(stored).unwrap_or(f32::NAN);
        Ok(match self.ty {
            TensorType::Int8 => self
                .as_slice::<i8>()?
                .iter()
                .map(|&q| real(q.into()))
                .collect(),
            TensorType::UInt8 => self
                .as_slice::<u8>()?
                .iter()
                .map(|&q| real(q.into()))
                .collect(),
            TensorType::Int16 => self
                .as_slice::<i16>()?
                .iter()
                .map(|&q| real(q.into()))
                .collect(),
            TensorType::Int32 => self.as_slice::<i32>()?.iter().map(|&q| real(q)).collect(),
            ty => return Err(TensorError::NotQuantized { ty }),
        })
    }
}

impl<'a> TensorMut<'a> {
    /// A view of `bytes`.
    ///
    /// # Errors
    /// The number of bytes is not what the type and shape need, or the type has no fixed size.
    #[inline]
    pub fn new(
        ty: TensorType,
        shape: &'a Shape,
        quantization: Option<&'a Quantization>,
        bytes: &'a mut [u8],
    ) -> Result<Self, TensorError> {
        check_bytes(ty, shape, bytes.len())?;
        Ok(Self::sized(ty, shape, quantization, bytes))
    }

    /// A view of `bytes`, whose number is known to be what the type and shape need.
    #[inline(always)]
    pub(crate) fn sized(
        ty: TensorType,
        shape: &'a Shape,
        quantization: Option<&'a Quantization>,
        bytes: &'a mut [u8],
    ) -> Self {
        debug_assert_eq!(check_bytes(ty, shape, bytes.len()), Ok(()));
        Self {
            ty,
            shape,
            quantization,
            bytes,
        }
    }

    /// The element type.
    pub fn ty(&self) -> TensorType {
        self.ty
    }

    /// The shape.
    pub fn shape(&self) -> Shape {
        *self.shape
    }

    /// Scale and zero point, where the model gives them.
    pub fn quantization(&self) -> Option<&'a Quantization> {
        self.quantization
    }

    /// The data as stored: little-endian elements in row-major order.
    pub fn bytes_mut(&mut self) -> &mut [u8] {
        self.bytes
    }

    /// The elements in row-major order.
    ///
    /// # Errors
    /// `T` is not the Rust type of the tensor's elements.
    pub fn as_slice_mut<T: Element>(&mut self) -> Result<&mut [T], TensorError> {
        check_element::<T>(self.ty)?;
        bytemuck::try_cast_slice_mut(self.bytes)
            .map_err(|_| TensorError::Misaligned { ty: self.ty })
    }

    /// Like [`as_slice_mut`](Self::as_slice_mut), for as long as the underlying bytes are borrowed.
    ///
    /// # Errors
    /// `T` is not the Rust type of the tensor's elements.
    pub fn into_slice<T: Element>(self) -> Result<&'a mut [T], TensorError> {
        check_element::<T>(self.ty)?;
        bytemuck::try_cast_slice_mut(self.bytes)
            .map_err(|_| TensorError::Misaligned { ty: self.ty })
    }

    /// Overwrites the whole tensor.
    ///
    /// # Errors
    /// `T` is not the Rust type of the tensor's elements, or the number of elements differs.
    pub fn copy_from<T: Element>(&mut self, elements: &[T]) -> Result<(), TensorError> {
        let shape = self.shape;
        let to = self.as_slice_mut::<T>()?;
        if to.len() != elements.len() {
            return Err(TensorError::Length {
                shape: (*shape).into(),
                found: elements.len(),
                expected: to.len(),
            });
        }
        to.copy_from_slice(elements);
        Ok(())
    }

    /// Overwrites the whole tensor with elements as stored: little-endian, row-major.
    ///
    /// # Errors
    /// The number of bytes differs.
    pub fn copy_from_bytes(&mut self, bytes: &[u8]) -> Result<(), TensorError> {
        check_bytes(self.ty, self.shape, bytes.len())?;
        self.bytes.copy_from_slice(bytes);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shape(dims: &[usize]) -> Shape {
        Shape::new(dims).expect("small")
    }

    #[test]
    fn view_refuses_a_wrong_byte_count() {
        let found = TensorRef::new(TensorType::Int16, &shape(&[3]), None, &[0; 5]).unwrap_err();
        assert_eq!(found.to_string(), "5 bytes given for int16 [3], expected 6");
    }

    #[test]
    fn copy_from_refuses_type_and_length() {
        let (shape, mut bytes) = (shape(&[4]), [0u8; 4]);
        let mut tensor = TensorMut::new(TensorType::Int8, &shape, None, &mut bytes).expect("fits");
        assert!(matches!(
            tensor.copy_from(&[0u8; 4]),
            Err(TensorError::Type { .. })
        ));
        assert!(matches!(
            tensor.copy_from(&[0i8; 3]),
            Err(TensorError::Length { .. })
        ));
        tensor.copy_from(&[1i8, -2, 3, -4]).expect("fits");
        assert_eq!(bytes, [1, 254, 3, 252]);
    }

    #[test]
    fn dequantize_applies_scale_and_zero_point() {
        let quantization = Quantization::per_tensor(0.5, -3);
        let (shape, bytes) = (shape(&[2]), [0, 0xfd]);
        let tensor =
            TensorRef::new(TensorType::Int8, &shape, Some(&quantization), &bytes).expect("fits");
        // 0.5 * (0 + 3) = 1.5; 0.5 * (-3 + 3) = 0.
        assert_eq!(tensor.dequantize(), Ok(vec![1.5, 0.0]));
    }
}
