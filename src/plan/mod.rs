//! Where tensors lie during inference: lifetimes and a layout of the arena, as pure functions.
//!
//! Knows neither kernels nor memory: from what each step reads and writes it computes byte offsets.

mod first_fit;
mod layout;
mod lifetime;

pub use first_fit::first_fit;
pub use layout::{ALIGNMENT, Allocation, Layout, layout};
pub use lifetime::{Lifetime, Lifetimes};
