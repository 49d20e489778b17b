//! The numbers a quantized network really produces, side by side with other people's.
//!
//! Owns what quantization-aware training needs: reading and writing arrays as NumPy stores them, the mathematics of
//! simulated quantization exactly as TensorFlow computes it, and the way from trained floats to integer tensors. What the
//! integers then do is the runtime's own kernels: there is no second implementation of any operator here. It may know the
//! interpreter and everything below it, never `vision`.
//!
//! | module | what it holds |
//! | --- | --- |
//! | [`npy`] | one array in a `.npy` file |
//! | `npz` | named arrays in a `.npz` file (feature `npz`) |
//! | [`qparams`] | scales and zero points from ranges, as training and as converters choose them |
//! | [`fake_quant`] | quantization simulated in float32, forward and backward |
//! | [`observe`] | ranges from observed values, and when quantization begins |
//! | [`batch_norm`] | batch normalization folded into weights, in training and after |
//! | [`convert`] | from trained floats and ranges to integer tensors and a model file |
//! | [`codes`] | which real number each code of an activation stands for |
//! | [`law`] | how far rounding may take an integer layer from the real one |
//! | [`lint`] | a model held to the rules: what is wrong, what is wasted, what an Edge TPU cannot take |
//! | [`budget`] | how far each layer may be from the trained one, and is likely to be |
//! | `compare` | the training side's activations against the integer model's, layer by layer (feature `npz`) |
//! | `diff` | two models, or one in two arithmetics, layer by layer (feature `npz`) |

pub mod batch_norm;
pub mod budget;
pub mod codes;
#[cfg(feature = "npz")]
pub mod compare;
pub mod convert;
#[cfg(feature = "npz")]
pub mod diff;
pub mod fake_quant;
pub mod law;
pub mod lint;
pub mod npy;
#[cfg(feature = "npz")]
pub mod npz;
pub mod observe;
pub mod qparams;

pub use batch_norm::BatchNormFold;
pub use fake_quant::{FakeQuant, FakeQuantProfile};
pub use observe::Observer;
pub use qparams::{Grid, Range};
