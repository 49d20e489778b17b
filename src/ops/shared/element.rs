//! Quantized elements: the reference kernels are written once for all of them.

use crate::fast::Element8;
use crate::tensor::{Element, TensorType};

/// How the fast kernels name the one-byte type `ty`; `None` of other types.
pub fn element8(ty: TensorType) -> Option<Element8> {
    match ty {
        TensorType::Int8 => Some(Element8::Int8),
        TensorType::UInt8 => Some(Element8::UInt8),
        _ => None,
    }
}

/// An integer type of at most 32 bits.
pub trait Integer: Element + Ord + Send + Sync {
    /// The smallest and the largest value.
    const RANGE: (i32, i32);
    /// The smallest value.
    const LOWEST: Self;

    /// The stored value.
    fn widen(self) -> i32;

    /// The value, limited to the type's range.
    fn saturate(value: i32) -> Self;
}

/// An integer type that quantized activations are stored in.
pub trait Quantized: Integer {
    /// `self - zero_point`; exact, because a verified zero point is a value of the type: an 8-bit difference has nine
    /// bits. (int16 zero points are 0 wherever products are formed.)
    fn offset(self, zero_point: i16) -> i16;
}

/// Implements [`Integer`] for integer types.
macro_rules! integer {
    ($($ty:ty),*) => {$(
        impl Integer for $ty {
            const RANGE: (i32, i32) = (<$ty>::MIN as i32, <$ty>::MAX as i32);
            const LOWEST: Self = <$ty>::MIN;

            #[inline(always)]
            fn widen(self) -> i32 {
                i32::from(self)
            }

            #[inline(always)]
            fn saturate(value: i32) -> Self {
                value.clamp(Self::RANGE.0, Self::RANGE.1) as $ty
            }
        }
    )*};
}

/// Implements [`Quantized`] for integer types.
macro_rules! quantized {
    ($($ty:ty),*) => {$(
        impl Quantized for $ty {
            #[inline(always)]
            fn offset(self, zero_point: i16) -> i16 {
                i16::from(self).wrapping_sub(zero_point)
            }
        }
    )*};
}

integer!(i8, u8, i16, i32);
quantized!(i8, u8, i16);

/// The codes of a tensor of int4, two a byte: the low half comes first, the sign is extended. One too many where their
/// number is odd.
///
/// Source: TFLite `kernels/internal/tensor_utils`, `UnpackDenseInt4IntoInt8`.
pub fn int4_codes(packed: &[u8]) -> impl Iterator<Item = i8> {
    packed.iter().flat_map(|&byte| {
        let byte = i8::from_ne_bytes([byte]);
        [byte.wrapping_shl(4) >> 4, byte >> 4]
    })
}
