//! What applications do with tensors: pictures in, names out.
//!
//! Owns pictures in memory (grey and RGB, 8 bits a channel), their resampling and their way into an input tensor, and the
//! reading of output tensors: classes and labels. It knows tensors; it never decodes picture files, and it never runs a
//! model. The habits are those of pycoral and Pillow, so numbers can be compared with theirs.
//!
//! | module | what it holds |
//! | --- | --- |
//! | `image` | [`Image`]: size, channels, grey, RGB, inverted |
//! | `resize` | [`Filter`]: resampling bit for bit as Pillow does it |
//! | `preprocess` | [`PixelTable`]: pixels to input values |
//! | `classify` | [`classes`]: the best of an output tensor |
//! | `labels` | [`Labels`]: label files |
//! | `error` | [`VisionError`] |

mod classify;
mod error;
mod image;
mod labels;
mod preprocess;
mod resize;

pub use classify::{Class, classes};
pub use error::VisionError;
pub use image::{Channels, Image};
pub use labels::{Labels, LabelsError};
pub use preprocess::{Normalization, PixelTable};
pub use resize::Filter;
