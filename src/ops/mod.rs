//! The operators: one file each, with its option table, its rules, its preparation and its reference kernel.
//!
//! An operator is an [`OpDef`], plain data that [`registry`] lists. `check` judges an operator's quantization
//! parameters, `prepare` turns a [`Node`] into a [`Kernel`] and the shapes of its results, and the kernel computes.
//! Nothing here knows where tensors lie in memory or in which order operators run.

mod attributes;
mod coverage;
mod cut;
mod error;
mod io;
mod node;
mod prepared;
pub mod registry;
mod shared;
mod weighted;

mod add_n;
mod add_sub;
mod arg_max;
mod atan2;
mod average_pool_2d;
mod batch_matmul;
mod bitcast;
mod bitwise;
mod broadcast_args;
mod cast;
mod comparisons;
mod concatenation;
mod control_flow;
mod conv_2d;
mod conv_3d;
mod cumsum;
mod densify;
mod depthwise_conv_2d;
mod dequantize;
mod detection_postprocess;
mod div;
mod dynamic_update_slice;
mod elementwise;
mod elu;
mod embedding_lookup;
pub(crate) mod fake_quant;
mod fill;
mod floor_div_mod;
mod fully_connected;
mod gather;
mod gelu;
mod hard_swish;
mod hashtable_lookup;
mod l2_normalization;
mod leaky_relu;
mod log_softmax;
mod logical;
mod logistic;
mod lstm;
mod matrix_diag;
mod max_pool_2d;
mod maximum_minimum;
mod mean_sum;
mod mirror_pad;
mod mul;
mod one_hot;
mod pack;
mod pad;
mod pow;
mod quantize;
mod range;
mod reduce;
mod relu;
mod reshape;
mod resize_bilinear;
mod resize_nearest_neighbor;
mod resources;
mod reverse;
mod scatter_nd;
mod select;
mod shape;
mod slice;
mod softmax;
mod space_to_batch_nd;
mod space_to_depth;
mod sparse_to_dense;
mod split;
mod sqrt_rsqrt;
mod squared_difference;
mod squeeze;
mod strided_slice;
mod svdf;
mod tile;
mod topk_v2;
mod transpose;
mod transpose_conv;
mod unique;
mod unpack;
mod variables;
mod where_;

pub use crate::fast::KernelChoice;
pub use attributes::Attributes;
pub use coverage::{MissingOperator, check_graph, count_missing};
pub use error::{DeviceFault, EvalError, PrepareError};
pub use io::{KernelIo, Operand, Place, StepOperands, TensorView, Views, required};
pub use node::{FileTensors, KnownTensors, Node, NodeTensor, Settings};
pub use prepared::{
    Accumulators, ControlFlow, Kernel, KernelMemory, OpDef, Prepared, RunsOn, TypeRow, Work,
    ZeroBorder,
};
pub use variables::Variables;
pub use weighted::Weighted;
