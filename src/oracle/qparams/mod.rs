//! Scales and zero points from ranges of real numbers.
//!
//! A range `[min, max]` becomes a grid of reals `scale * (q - zero_point)`. Real zero must lie on it exactly, because zero
//! padding adds it, so either the zero point or the range is moved ("nudged"). Training and conversion each do this on
//! their own:
//!
//! | path | arithmetic | zero point from |
//! | --- | --- | --- |
//! | [`FakeQuantParams`]: TensorFlow's FakeQuant operators | float32 | `min` alone |
//! | [`ConverterParams`]: toco, the MLIR converter | float64 | whichever end has the smaller error bound |
//!
//! Where the exact zero point lies near a half the two may round to different sides; the deployed network then differs
//! from the trained one by a whole step, everywhere. [`Paths`] computes both and says so.
//!
//! | module | what it holds |
//! | --- | --- |
//! | `grid` | [`Grid`]: the integer codes |
//! | `range` | [`Range`]: the reals |
//! | `nudge` | [`FakeQuantParams`] |
//! | `converter` | [`ConverterParams`] |
//! | `paths` | [`Paths`], [`PathDifference`] |
//! | `error` | [`RangeError`] |

mod converter;
mod error;
mod grid;
mod nudge;
mod paths;
mod range;

pub use converter::ConverterParams;
pub use error::RangeError;
pub use grid::Grid;
pub use nudge::FakeQuantParams;
pub use paths::{PathDifference, Paths};
pub use range::Range;
