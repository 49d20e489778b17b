//! The fused activation of float results.

use super::float_range;
use crate::fixedpoint::{FusedActivation, limit};

/// The bounds that a float result is clamped to.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct FloatRange((f32, f32));

impl FloatRange {
    /// The bounds of `activation`.
    pub fn new(activation: FusedActivation) -> Self {
        Self(float_range(activation))
    }

    /// `value` within the bounds; NaN stays NaN.
    #[inline(always)]
    pub fn clamp(self, value: f32) -> f32 {
        limit(value, self.0)
    }
}
