//! Pools: windows reduced for blocks of neighbouring channels.

mod bytes;
mod float;
mod windows;

pub use bytes::{Pool2d, Pool2dPrimitive};
pub use float::{Pool2dFloat, Pool2dFloatPrimitive};
pub use windows::PoolWindows;

/// What becomes of the values of a window.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pooling {
    /// The largest.
    Max,
    /// The mean, rounded half away from zero where results are integers.
    Mean,
}
