//! The numbers a quantized network really produces, side by side with other people's.
//!
//! Owns what quantization-aware training needs: reading and writing arrays as NumPy stores them, and the integer-only
//! oracle built on the reference kernels. It may know the interpreter and everything below it, never `vision`.
//!
//! | module | what it holds |
//! | --- | --- |
//! | [`npy`] | one array in a `.npy` file |
//! | `npz` | named arrays in a `.npz` file (feature `npz`) |

pub mod npy;
#[cfg(feature = "npz")]
pub mod npz;
