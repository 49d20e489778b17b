//! The operators: one file each, with its option table, its rules, its preparation and its reference kernel.
//!
//! An operator is an [`OpDef`], plain data that [`registry`] lists. `check` judges an operator's quantization
//! parameters, `prepare` turns a [`Node`] into a [`Kernel`] and the shapes of its results, and the kernel computes.
//! Nothing here knows where tensors lie in memory or in which order operators run.

mod coverage;
mod error;
mod io;
mod node;
mod prepared;
pub mod registry;
mod shared;

mod add_n;
mod add_sub;
mod atan2;
mod average_pool_2d;
mod bitwise;
mod cast;
mod comparisons;
mod control_flow;
mod conv_2d;
mod cumsum;
mod depthwise_conv_2d;
mod dequantize;
mod div;
mod elementwise;
mod elu;
mod fake_quant;
mod floor_div_mod;
mod fully_connected;
mod gelu;
mod hard_swish;
mod l2_normalization;
mod leaky_relu;
mod log_softmax;
mod logical;
mod logistic;
mod max_pool_2d;
mod maximum_minimum;
mod mean_sum;
mod mul;
mod pack;
mod pad;
mod pow;
mod quantize;
mod range;
mod reduce;
mod relu;
mod reshape;
mod resources;
mod select;
mod shape;
mod softmax;
mod sqrt_rsqrt;
mod squared_difference;
mod strided_slice;
mod topk_v2;
mod transpose_conv;
mod unique;
mod variables;
mod where_;

pub use coverage::{MissingOperator, check_graph, count_missing};
pub use error::{DeviceFault, EvalError, PrepareError};
pub use io::{KernelIo, Operand, Place, StepOperands, TensorView, Views, required};
pub use node::{FileTensors, KernelChoice, KnownTensors, Node, NodeTensor, Settings};
pub use prepared::{ControlFlow, Kernel, OpDef, Prepared, RunsOn, TypeRow, Work};
pub use variables::Variables;
