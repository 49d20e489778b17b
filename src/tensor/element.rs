//! Element types of tensors.

use bytemuck::Pod;
use std::fmt;

/// The type of a tensor's elements, as TFLite names them.
///
/// ```
/// use corallite::tensor::TensorType;
/// assert_eq!(TensorType::Int8.size(), Some(1));
/// assert_eq!(TensorType::Int8.to_string(), "int8");
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum TensorType {
    Float32,
    Float16,
    Float64,
    Int4,
    Int8,
    UInt8,
    Int16,
    UInt16,
    Int32,
    UInt32,
    Int64,
    UInt64,
    Bool,
    String,
    /// A handle to a variable that outlives one inference; four bytes here, the variable's number.
    Resource,
    /// Any type that this runtime stores in no tensor (complex, variant, bfloat16, int2): its number in the file.
    Other(i8),
}

impl TensorType {
    /// Bytes per element, or `None` where elements are not whole bytes (int4) or have no fixed size (string).
    pub fn size(self) -> Option<usize> {
        match self {
            Self::Int8 | Self::UInt8 | Self::Bool => Some(1),
            Self::Float16 | Self::Int16 | Self::UInt16 => Some(2),
            Self::Float32 | Self::Int32 | Self::UInt32 | Self::Resource => Some(4),
            Self::Float64 | Self::Int64 | Self::UInt64 => Some(8),
            Self::Int4 | Self::String | Self::Other(_) => None,
        }
    }

    /// Bytes that `count` elements need; two int4 elements share a byte. `None` on overflow or without a fixed size.
    pub fn bytes(self, count: usize) -> Option<usize> {
        match self {
            Self::Int4 => Some(count.div_ceil(2)),
            _ => count.checked_mul(self.size()?),
        }
    }

    /// The smallest and largest value of an integer type that fits `i32`, the range quantized values live in.
    pub fn integer_range(self) -> Option<(i32, i32)> {
        match self {
            Self::Int4 => Some((-8, 7)),
            Self::Int8 => Some((i8::MIN.into(), i8::MAX.into())),
            Self::UInt8 => Some((u8::MIN.into(), u8::MAX.into())),
            Self::Int16 => Some((i16::MIN.into(), i16::MAX.into())),
            Self::UInt16 => Some((u16::MIN.into(), u16::MAX.into())),
            Self::Int32 => Some((i32::MIN, i32::MAX)),
            _ => None,
        }
    }
}

impl fmt::Display for TensorType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Float32 => "float32",
            Self::Float16 => "float16",
            Self::Float64 => "float64",
            Self::Int4 => "int4",
            Self::Int8 => "int8",
            Self::UInt8 => "uint8",
            Self::Int16 => "int16",
            Self::UInt16 => "uint16",
            Self::Int32 => "int32",
            Self::UInt32 => "uint32",
            Self::Int64 => "int64",
            Self::UInt64 => "uint64",
            Self::Bool => "bool",
            Self::String => "string",
            Self::Resource => "resource",
            Self::Other(code) => return write!(f, "type#{code}"),
        })
    }
}

mod sealed {
    pub trait Sealed {}
}

/// A Rust type that can view a tensor's elements in place.
///
/// `bool` tensors are viewed as `u8` (0 or 1), because not every byte is a valid Rust `bool`; int4 tensors as the
/// `u8` that hold two elements each; float16 tensors as their `u16` bit patterns.
pub trait Element: Pod + Send + Sync + sealed::Sealed {
    /// Its name in error messages.
    const NAME: &'static str;
    /// Whether a tensor of type `ty` holds elements of this Rust type.
    fn views(ty: TensorType) -> bool;
}

/// Implements [`Element`] for a Rust type over the tensor types it views.
macro_rules! element {
    ($($rust:ty => $name:literal: $ty:pat),* $(,)?) => {$(
        impl sealed::Sealed for $rust {}
        impl Element for $rust {
            const NAME: &'static str = $name;
            fn views(ty: TensorType) -> bool {
                matches!(ty, $ty)
            }
        }
    )*};
}

element! {
    f32 => "f32": TensorType::Float32,
    f64 => "f64": TensorType::Float64,
    i8 => "i8": TensorType::Int8,
    u8 => "u8": TensorType::UInt8 | TensorType::Bool | TensorType::Int4,
    i16 => "i16": TensorType::Int16,
    u16 => "u16": TensorType::UInt16 | TensorType::Float16,
    i32 => "i32": TensorType::Int32,
    u32 => "u32": TensorType::UInt32 | TensorType::Resource,
    i64 => "i64": TensorType::Int64,
    u64 => "u64": TensorType::UInt64,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn int4_packs_two_elements_a_byte() {
        assert_eq!(TensorType::Int4.bytes(5), Some(3));
        assert_eq!(TensorType::Int4.size(), None);
    }

    #[test]
    fn byte_count_overflow_is_none() {
        assert_eq!(TensorType::Int64.bytes(usize::MAX / 4), None);
        assert_eq!(TensorType::String.bytes(1), None);
    }
}
