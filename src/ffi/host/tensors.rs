//! Tensors as the delegate sees them: what they are, and the memory behind them.
#![allow(unsafe_code, reason = "views aligned blocks as bytes")]

use std::ffi::c_int;

use crate::ffi::tflite::{TfLiteIntArray, TfLiteQuantizationParams};
use crate::tensor::{Shape, TensorType};

/// The value of `TfLiteType` for the element types that libedgetpu takes; `None` for the others.
pub(super) const fn type_code(ty: TensorType) -> Option<c_int> {
    match ty {
        TensorType::Float32 => Some(1),
        TensorType::Int32 => Some(2),
        TensorType::UInt8 => Some(3),
        TensorType::Int16 => Some(7),
        TensorType::Int8 => Some(9),
        TensorType::Float16 => Some(10),
        _ => None,
    }
}

/// One input or output of a node.
///
/// ```
/// use corallite::ffi::TensorSpec;
/// use corallite::tensor::{Shape, TensorType};
///
/// let image = TensorSpec::new(TensorType::UInt8, Shape::new(&[1, 224, 224, 3])?);
/// assert_eq!(image.byte_count(), Some(150_528));
/// # Ok::<(), corallite::tensor::ShapeError>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct TensorSpec {
    /// Element type: uint8, int8, int16, int32, float32 or float16.
    pub ty: TensorType,
    /// Shape without zeros; NHWC, dense, first dimension the batch.
    pub shape: Shape,
    /// Quantization: scale and zero point. libedgetpu reads them only where a float classifier feeds a uint8 output.
    pub scale: f32,
    /// See `scale`.
    pub zero_point: i32,
    /// The input is state: it keeps its bytes between inferences, and libedgetpu writes the next state into it (LSTM).
    /// The session owns such bytes; they start at the zero point.
    pub is_variable: bool,
}

impl TensorSpec {
    /// A tensor of real = quantized that is no state.
    pub fn new(ty: TensorType, shape: Shape) -> Self {
        Self {
            ty,
            shape,
            scale: 1.0,
            zero_point: 0,
            is_variable: false,
        }
    }

    /// Sets the quantization.
    #[must_use]
    pub fn quantized(mut self, scale: f32, zero_point: i32) -> Self {
        self.scale = scale;
        self.zero_point = zero_point;
        self
    }

    /// Makes it state.
    #[must_use]
    pub fn variable(mut self) -> Self {
        self.is_variable = true;
        self
    }

    /// Length in bytes; `None` if libedgetpu does not take the type, a dimension is zero, or the length is above 2 GiB.
    pub fn byte_count(&self) -> Option<usize> {
        byte_count(self.ty, self.shape)
    }

    pub(super) fn params(&self) -> TfLiteQuantizationParams {
        TfLiteQuantizationParams {
            scale: self.scale,
            zero_point: self.zero_point,
        }
    }
}

/// Length in bytes of a dense tensor; `None` if it is none that the device or C's `int` can hold.
pub(super) fn byte_count(ty: TensorType, shape: Shape) -> Option<usize> {
    type_code(ty)?;
    let bytes = ty.bytes(shape.count())?;
    (bytes > 0 && i32::try_from(bytes).is_ok()).then_some(bytes)
}

/// A shape as C has it. Its dimensions fit: their product does.
pub(super) fn dims_of(shape: Shape) -> Option<IntArray> {
    IntArray::new(
        shape
            .dims()
            .iter()
            .map(|&dim| c_int::try_from(dim).unwrap_or(c_int::MAX)),
    )
}

/// A `TfLiteIntArray` of the host: the count, then the numbers, in one allocation.
#[derive(Debug)]
pub(super) struct IntArray {
    words: Vec<c_int>,
}

impl IntArray {
    /// `None` if there are more numbers than C's `int` can count.
    pub(super) fn new(numbers: impl IntoIterator<Item = c_int>) -> Option<Self> {
        let mut words = vec![0];
        words.extend(numbers);
        words[0] = c_int::try_from(words.len() - 1).ok()?;
        Some(Self { words })
    }

    pub(super) fn as_mut_ptr(&mut self) -> *mut TfLiteIntArray {
        self.words.as_mut_ptr().cast()
    }
}

/// Bytes at an address that is a multiple of 64, readable up to the next multiple of 64.
///
/// libedgetpu sends an input from where it lies if the address is a multiple of 8, and reads up to the next multiple
/// of 8 behind its end; from any other address it makes a copy first.
#[derive(Debug)]
pub(super) struct AlignedBytes {
    blocks: Vec<Block>,
    len: usize,
}

#[repr(C, align(64))]
#[derive(Debug, Clone, Copy)]
struct Block([u8; 64]);

impl AlignedBytes {
    /// `len` zero bytes.
    pub(super) fn zeroed(len: usize) -> Self {
        Self {
            blocks: vec![Block([0; 64]); len.div_ceil(64)],
            len,
        }
    }

    pub(super) fn copy_of(bytes: &[u8]) -> Self {
        let mut copy = Self::zeroed(bytes.len());
        copy.as_mut_slice().copy_from_slice(bytes);
        copy
    }

    pub(super) fn as_slice(&self) -> &[u8] {
        // SAFETY: the blocks are `div_ceil(len, 64)` times 64 initialised bytes in one allocation, so at least `len`;
        // an empty Vec's pointer goes with length 0.
        unsafe { std::slice::from_raw_parts(self.blocks.as_ptr().cast::<u8>(), self.len) }
    }

    pub(super) fn as_mut_slice(&mut self) -> &mut [u8] {
        // SAFETY: as in as_slice, and the borrow of self is exclusive.
        unsafe { std::slice::from_raw_parts_mut(self.blocks.as_mut_ptr().cast::<u8>(), self.len) }
    }

    pub(super) fn as_mut_ptr(&mut self) -> *mut u8 {
        self.blocks.as_mut_ptr().cast()
    }
}

/// Whether libedgetpu stays inside `bytes` when it reads a tensor of `len` bytes in place: either the slice reaches to
/// the end of the last 8-byte word, or the address is odd enough that libedgetpu copies exactly `len`.
pub(super) fn can_be_read_in_place(bytes: &[u8], len: usize) -> bool {
    !bytes.as_ptr().addr().is_multiple_of(8) || bytes.len() >= len.next_multiple_of(8)
}

/// Fills state with the element that stands for zero.
pub(crate) fn fill_with_zero_point(bytes: &mut [u8], ty: TensorType, zero_point: i32) {
    // Truncation keeps the bits of every value the type can hold; the model's verifier refuses others.
    let word = zero_point.to_le_bytes();
    match ty {
        TensorType::UInt8 | TensorType::Int8 => bytes.fill(word[0]),
        TensorType::Int16 => {
            for element in bytes.chunks_exact_mut(2) {
                element.copy_from_slice(&i16::from_le_bytes([word[0], word[1]]).to_ne_bytes());
            }
        }
        TensorType::Int32 => {
            for element in bytes.chunks_exact_mut(4) {
                element.copy_from_slice(&zero_point.to_ne_bytes());
            }
        }
        _ => bytes.fill(0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn byte_count_refuses_shapes_that_c_cannot_hold() {
        let cases: [(TensorType, &[usize], Option<usize>); 8] = [
            (TensorType::UInt8, &[], Some(1)),
            (TensorType::Int16, &[1, 3, 5], Some(30)),
            (TensorType::Float32, &[2, 2], Some(16)),
            (TensorType::UInt8, &[0], None),
            (TensorType::Int64, &[1], None),
            (TensorType::UInt8, &[1, 0, 3], None),
            (TensorType::UInt8, &[i32::MAX as usize], Some(2_147_483_647)),
            (TensorType::Int16, &[i32::MAX as usize], None),
        ];
        for (ty, dims, expected) in cases {
            let shape = Shape::new(dims).expect("TFLite could hold it");
            assert_eq!(byte_count(ty, shape), expected, "{ty:?} {dims:?}");
        }
    }

    #[test]
    fn aligned_bytes_start_at_a_multiple_of_64_and_are_zero() {
        for len in [0, 1, 63, 64, 65, 4096] {
            let mut bytes = AlignedBytes::zeroed(len);
            assert!(bytes.as_mut_ptr().addr().is_multiple_of(64));
            assert_eq!(bytes.as_slice(), vec![0; len]);
        }
        assert_eq!(AlignedBytes::copy_of(b"abc").as_slice(), b"abc");
    }

    #[test]
    fn in_place_reading_needs_the_whole_last_word() {
        let bytes = AlignedBytes::zeroed(32);
        let bytes = bytes.as_slice();
        assert!(can_be_read_in_place(&bytes[..16], 16));
        assert!(!can_be_read_in_place(&bytes[..15], 15));
        assert!(can_be_read_in_place(&bytes[..16], 15));
        assert!(can_be_read_in_place(&bytes[1..16], 15));
    }

    #[test]
    fn state_starts_at_its_zero_point() {
        let mut bytes = [9; 4];
        fill_with_zero_point(&mut bytes, TensorType::Int8, -3);
        assert_eq!(bytes, [0xfd; 4]);
        fill_with_zero_point(&mut bytes, TensorType::Int16, -2);
        assert_eq!(bytes[..2], (-2_i16).to_ne_bytes());
        assert_eq!(bytes[2..], (-2_i16).to_ne_bytes());
        fill_with_zero_point(&mut bytes, TensorType::Int32, -2);
        assert_eq!(bytes, (-2_i32).to_ne_bytes());
        fill_with_zero_point(&mut bytes, TensorType::Float32, 7);
        assert_eq!(bytes, [0; 4]);
    }

    #[test]
    fn int_array_counts_its_numbers() {
        let array = IntArray::new([4, 5]).expect("two numbers");
        assert_eq!(array.words, [2, 4, 5]);
    }
}
