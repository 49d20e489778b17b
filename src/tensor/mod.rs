//! Tensors as plain data: element types, checked shapes, quantization parameters and borrowed typed views.
//!
//! Layout is row-major; pictures are NHWC. This folder knows nothing of files, operators or arenas and holds no
//! unsafe code: a view can only be made from bytes whose length matches its shape and element type.

mod element;
mod error;
mod quantization;
mod shape;
mod view;

pub use element::{Element, TensorType};
pub use error::{ShapeError, TensorError};
pub use quantization::Quantization;
pub use shape::{MAX_RANK, Shape};
pub(crate) use view::elements;
pub use view::{TensorMut, TensorRef};
