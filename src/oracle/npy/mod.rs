//! Arrays in NumPy's `.npy` format, versions 1, 2 and 3.
//!
//! The format is a magic string, a version, a header that is a Python dictionary literal (`descr`, `fortran_order`,
//! `shape`), and the elements. What is written is what `numpy.save` writes for the same array, byte for byte. Source: the
//! module documentation and `_write_array_header` of `numpy/lib/format.py`, NumPy 1.26.
//!
//! | module | what it holds |
//! | --- | --- |
//! | `array` | [`NpyArray`], [`NpyType`], [`NpyElement`] |
//! | `header` | the bytes before the elements, in both directions |
//! | `error` | [`NpyError`] |

mod array;
mod error;
mod header;

pub use array::{NpyArray, NpyElement, NpyType};
pub use error::{HeaderProblem, NpyError};
