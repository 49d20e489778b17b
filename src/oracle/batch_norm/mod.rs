//! Batch normalization folded into the weights before it, as `tf.contrib.quantize` folds it.
//!
//! An integer network has no batch normalization: it is multiplied into the weights and added to the bias. What training
//! quantizes must be those folded weights, so training folds too, and corrects for the difference between the batch's and
//! the moving statistics behind the convolution. Per channel, with `b` the batch's and `m` the moving statistics and
//! `r = 1 / sqrt(variance + epsilon)`:
//!
//! | quantity | training | training, frozen | evaluation |
//! | --- | --- | --- | --- |
//! | folded weights (FakeQuant goes here) | `W * (r_m / r_b) * (gamma * r_b)` | the same | `W * (gamma * r_m)` |
//! | convolution is multiplied by | `r_b / r_m` | 1 | - |
//! | then is added | 0 | `gamma * (mean_b * r_b - mean_m * r_m)` | - |
//! | bias | `beta - mean_b * gamma * r_b` | the same | `beta - mean_m * gamma * r_m` |
//!
//! The folded weights are `W * gamma * r_m` in all three: they change as slowly as the moving statistics. The convolutions
//! are not here: the caller runs one on the weights themselves for the batch's statistics and one on the folded weights,
//! and passes gradients back through both. Arithmetic is float32 in TensorFlow's order. Source: `fold_batch_norms.py`,
//! TensorFlow 1.13.1, fused batch normalization.
//!
//! | module | what it holds |
//! | --- | --- |
//! | `statistics` | [`BatchStatistics`] |
//! | `fold` | [`BatchNormFold`], [`TrainingFold`], [`Folded`] |
//! | `backward` | [`FoldGradients`] |
//! | `error` | [`FoldError`] |

mod backward;
mod error;
mod fold;
mod statistics;

pub use backward::{FoldGradients, UpstreamGradients};
pub use error::FoldError;
pub use fold::{BatchNormFold, Folded, TrainingFold};
pub use statistics::BatchStatistics;
