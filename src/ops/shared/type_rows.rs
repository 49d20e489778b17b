//! Rows of element types for operators that move elements of many types.

/// [`TypeRow`](crate::ops::TypeRow)s in which `_` stands for each of many types: `rows![[_ Int32] -> _ => Int8 UInt8;]` is
/// `(int8, int32) -> int8` and `(uint8, int32) -> uint8`; `rows![[_] -> _ => sized]` has every type with elements of whole
/// bytes.
macro_rules! rows {
    (@type _ $ty:ident) => { $crate::tensor::TensorType::$ty };
    (@type $other:ident $ty:ident) => { $crate::tensor::TensorType::$other };
    (@row [$($operand:tt)*] $result:tt $ty:ident) => {
        $crate::ops::TypeRow::new(
            &[$($crate::ops::shared::rows!(@type $operand $ty)),*],
            &[$crate::ops::shared::rows!(@type $result $ty)],
        )
    };
    ($($operands:tt -> $result:tt),+ => sized) => {
        $crate::ops::shared::rows![$($operands -> $result =>
            Int8 UInt8 Int16 UInt16 Int32 UInt32 Int64 UInt64 Float16 Float32 Float64 Bool;
        )+]
    };
    ($($operands:tt -> $result:tt => $($ty:ident)*;)*) => {
        &[$($($crate::ops::shared::rows!(@row $operands $result $ty),)*)*]
    };
}
pub(crate) use rows;
