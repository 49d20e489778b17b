//! Sliding windows of convolutions and pools: output extent, padding, and which taps fall inside the input.

use crate::fast::Window;
use crate::ops::{Node, PrepareError, ZeroBorder};
use crate::schema::tflite;

/// How a window treats the input's border.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Padding {
    /// Zeros are taken in around the input, so that the output has `ceil(input / stride)` positions.
    Same,
    /// Only whole windows count.
    Valid,
}

/// Decodes a padding attribute.
///
/// # Errors
/// An unknown number.
pub fn padding(padding: tflite::Padding) -> Result<Padding, PrepareError> {
    match padding {
        tflite::Padding::SAME => Ok(Padding::Same),
        tflite::Padding::VALID => Ok(Padding::Valid),
        other => Err(PrepareError::Attribute {
            name: "padding",
            found: other.0.to_string(),
            expected: "SAME or VALID",
        }),
    }
}

/// The `kernel` for rows and columns of a window over the operand that [`Node::border`] speaks of; `None` where that keeps its
/// border, or there is no such kernel.
///
/// # Errors
/// Those of `kernel`.
pub fn without_border<K>(
    node: &Node<'_>,
    [rows, columns]: [Axis; 2],
    kernel: impl FnOnce([Axis; 2]) -> Result<Option<K>, PrepareError>,
) -> Result<Option<K>, PrepareError> {
    let within = |border: ZeroBorder| {
        let rows = rows.within(border.rows)?;
        Some([rows, columns.within(border.columns)?])
    };
    match node.border().and_then(within) {
        Some(axes) => kernel(axes),
        None => Ok(None),
    }
}

/// A window's movement along one axis.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Axis {
    /// Positions of the input.
    pub input: usize,
    /// Taps of the filter.
    pub taps: usize,
    /// Input positions from one output to the next.
    pub stride: usize,
    /// Input positions from one tap to the next.
    pub dilation: usize,
    /// Zeros before the first input position.
    pub before: usize,
    /// Positions of the output.
    pub output: usize,
}

impl Axis {
    /// The geometry along one axis. Source: TFLite `kernels/padding.h`, `ComputePaddingHeightWidth`.
    ///
    /// # Errors
    /// A stride or dilation below 1, or a window without taps.
    pub fn new(
        input: usize,
        taps: usize,
        stride: i32,
        dilation: i32,
        padding: Padding,
    ) -> Result<Self, PrepareError> {
        let positive = |name: &'static str, value: i32| {
            usize::try_from(value)
                .ok()
                .filter(|&v| v > 0)
                .ok_or(PrepareError::Attribute {
                    name,
                    found: value.to_string(),
                    expected: "1 or more",
                })
        };
        let stride = positive("stride", stride)?;
        let dilation = positive("dilation", dilation)?;
        if taps == 0 {
            return Err(PrepareError::Attribute {
                name: "window",
                found: "0".into(),
                expected: "1 tap or more",
            });
        }
        let reach = (taps - 1).saturating_mul(dilation).saturating_add(1);
        let output = match padding {
            Padding::Same => input.div_ceil(stride),
            Padding::Valid => (input + 1).saturating_sub(reach).div_ceil(stride),
        };
        let needed = output
            .saturating_sub(1)
            .saturating_mul(stride)
            .saturating_add(reach);
        let before = if output == 0 {
            0
        } else {
            needed.saturating_sub(input) / 2
        };
        Ok(Self {
            input,
            taps,
            stride,
            dilation,
            before,
            output,
        })
    }

    /// The same over an input without `border`, whose zeros it adds to its own; `None` where some window would have nothing but
    /// zeros.
    pub fn within(self, border: [usize; 2]) -> Option<Self> {
        let input = self.input.checked_sub(border[0])?.checked_sub(border[1])?;
        let before = self.before + border[0];
        let last = self.output.checked_sub(1)? * self.stride;
        let reach = (self.taps - 1).saturating_mul(self.dilation);
        let touches = input > 0 && before <= reach && last < before + input;
        touches.then_some(Self {
            input,
            before,
            ..self
        })
    }

    /// The same in plain numbers, for the fast kernels.
    pub fn window(&self) -> Window {
        Window {
            input: self.input,
            taps: self.taps,
            stride: self.stride,
            dilation: self.dilation,
            before: self.before,
            output: self.output,
        }
    }

    /// The taps of output position `output` that fall inside the input, and the input position of the first of them.
    #[inline]
    pub fn taps_inside(&self, output: usize) -> (std::ops::Range<usize>, usize) {
        let start = output * self.stride;
        let taps = self.window().taps_inside(output);
        let position = start + taps.start * self.dilation;
        (taps, position.saturating_sub(self.before))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn same_padding_puts_the_odd_zero_behind() {
        // 224 positions, 3 taps, stride 2: output 112, needed (112-1)*2+3 = 225, one zero in all: none before.
        let axis = Axis::new(224, 3, 2, 1, Padding::Same).expect("valid");
        assert_eq!((axis.output, axis.before), (112, 0));
        assert_eq!(axis.taps_inside(0), (0..3, 0));
        assert_eq!(axis.taps_inside(111), (0..2, 222));
    }

    #[test]
    fn dilated_taps_outside_the_input_are_left_out() {
        // 5 positions, taps at 0, 2, 4, stride 1, SAME: two zeros before, two behind.
        let axis = Axis::new(5, 3, 1, 2, Padding::Same).expect("valid");
        assert_eq!((axis.output, axis.before), (5, 2));
        assert_eq!(axis.taps_inside(0), (1..3, 0));
        assert_eq!(axis.taps_inside(1), (1..3, 1));
        assert_eq!(axis.taps_inside(4), (0..2, 2));
    }

    #[test]
    fn a_border_joins_the_zeros_of_the_window_itself() {
        // 5 of 8 positions are left, 3 taps, stride 2, SAME: output 4, needed (4-1)*2+3 = 9, the one zero of its own behind.
        let axis = Axis::new(8, 3, 2, 1, Padding::Same).expect("valid");
        let within = axis.within([2, 1]).expect("every window has an input");
        assert_eq!((within.input, within.before, within.output), (5, 2, 4));
        assert_eq!(within.taps_inside(0), (2..3, 0));
        assert_eq!(within.taps_inside(3), (0..1, 4));
        // The first window, then the last, would have none.
        assert_eq!(axis.within([3, 1]), None);
        assert_eq!(axis.within([0, 3]), None);
    }

    #[test]
    fn valid_window_larger_than_the_input_has_no_output() {
        let axis = Axis::new(2, 3, 1, 1, Padding::Valid).expect("valid");
        assert_eq!(axis.output, 0);
    }
}
