//! Vectorised inner loops, per primitive and instruction set, and the threads that share them.
//!
//! A primitive (a convolution, a depthwise convolution, ...) has a list of [`Variant`]s, best first. Listing one declares
//! that it gives the reference kernels' bits: [`choose`] picks from the list when an operator is prepared, the differential
//! tests and the bench iterate it. This folder knows bytes, geometry and [`fixedpoint`](crate::fixedpoint); tensors, models and
//! operators are not its business.
//!
//! Operators without a primitive of their own run their reference loop compiled for the machine ([`Target`]).
//!
//! # How exactness is kept
//!
//! 32-bit sums wrap, so their order is free: products are summed in whatever order suits the machine. Instructions that
//! saturate on the way (`vpmaddubsw`) are not used. uint8 and int8 share every loop: a stored byte becomes the lanes' own
//! activation, and zero points are folded into the bias when weights are packed. Requantization is done in vectors with the
//! same two roundings as the reference.
//!
//! # A new instruction set
//!
//! 1. A name in [`Isa`], in [`Isa::ALL`] at its rank.
//! 2. One file in `lanes/` with a token type that implements `Lanes`: how many sums a vector holds, what one dot step
//!    multiplies, how sums become codes. Everything else is written once over that trait: `lanes/tile.rs` and `lanes/rows.rs` (matrix
//!    products), `lanes/channelwise.rs`, `lanes/sliding.rs` and `lanes/quads.rs` (depthwise), `binary.rs` (ADD, SUB, MUL),
//!    `conv_2d_float.rs`, `prelu.rs`, `resize_bilinear.rs`, `arg_max.rs`, `softmax.rs`, `pool_2d.rs`, `lstm/`, `svdf.rs`
//!    and `scaled_products.rs`.
//! 3. One line in `for_each_isa!` (`lanes/mod.rs`); all primitives then list it, and all tests and benches run it.

mod add_sub;
mod aligned;
mod arg_max;
mod binary;
mod channel_sums;
mod conv_2d;
mod conv_2d_float;
mod convolution;
mod copies;
mod depthwise_conv_2d;
mod isa;
mod lanes;
mod lstm;
mod matrix_product;
mod mul;
mod picture;
mod pool_2d;
mod prelu;
mod resize_bilinear;
mod scaled_products;
mod softmax;
mod stage;
mod svdf;
mod target;
mod transpose_conv;
mod variant;
mod window;
mod workers;

pub use add_sub::{AddSub, AddSubInt16, AddSubInt16Primitive, AddSubPrimitive};
pub use arg_max::{ArgMax, ArgMaxKernel, ArgMaxPrimitive, Positions};
pub use binary::{BinaryKernel, Pair};
pub use channel_sums::{ChannelSums, ChannelSumsPrimitive};
pub use conv_2d::{Conv2d, Conv2dPrimitive, FullyConnectedPrimitive};
pub use conv_2d_float::{Conv2dFloat, Conv2dFloatPrimitive};
use convolution::TASK_MACS;
pub use convolution::{ConvKernel, Element8, Operands, Part};
pub use copies::{copies_hold, over_copies};
pub use depthwise_conv_2d::{DepthwiseConv2d, DepthwiseConv2dPrimitive};
pub use isa::Isa;
pub use lstm::{Lstm, LstmGate, LstmKernel, LstmOperands, LstmPrimitive, LstmProduct};
pub use matrix_product::{MatrixProduct, MatrixProductKernel, MatrixProductPrimitive};
pub use mul::{Mul, MulPrimitive};
pub use picture::PictureKernel;
pub use pool_2d::{
    Pool2d, Pool2dFloat, Pool2dFloatPrimitive, Pool2dPrimitive, PoolWindows, Pooling,
};
pub use prelu::{Prelu, PreluKernel, PreluPrimitive};
pub use resize_bilinear::{Means, ResizeBilinear, ResizeBilinearPrimitive, Tap};
pub use softmax::{Probabilities, Softmax, SoftmaxKernel, SoftmaxPrimitive};
pub use stage::{Scaling, Stage};
pub use svdf::{Svdf, SvdfKernel, SvdfPrimitive};
pub use target::Target;
pub use transpose_conv::{Spread, TransposeConv, TransposeConvPrimitive};
pub use variant::{KernelChoice, Primitive, UnknownKernels, Variant, choose};
pub use window::Window;
pub use workers::{Workers, Workspace, shares_elements};
