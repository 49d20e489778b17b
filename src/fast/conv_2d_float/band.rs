//! Rows of a result that are computed from one copy of what they read.

use crate::fast::Window;

/// A band of output rows, or of fewer at the end of a picture.
#[derive(Clone, Copy)]
pub(super) struct Band {
    /// The problem's.
    rows: Window,
    /// Output rows.
    pub output: usize,
}

impl Band {
    /// The largest band that reads at most `most` rows; `None` where even one output row reads more. All are of like heights.
    pub fn new(rows: Window, most: usize) -> Option<Self> {
        let reach = (rows.taps - 1).checked_mul(rows.dilation)?.checked_add(1)?;
        let output = most.checked_sub(reach)? / rows.stride + 1;
        let bands = rows.output.div_ceil(output).max(1);
        Some(Self {
            rows,
            output: rows.output.div_ceil(bands).max(1),
        })
    }

    /// Input rows of a band of `output` rows.
    pub fn inputs(&self, output: usize) -> usize {
        (output - 1) * self.rows.stride + (self.rows.taps - 1) * self.rows.dilation + 1
    }

    /// Which picture output row `row` over all pictures belongs to, its number there, and how many of the next `left` rows the
    /// band from it on has.
    #[inline(always)]
    pub fn from(&self, row: usize, left: usize) -> (usize, usize, usize) {
        let (picture, y) = (row / self.rows.output, row % self.rows.output);
        let rows = self.output.min(self.rows.output - y).min(left);
        (picture, y, rows)
    }

    /// The input row that stands at `line` of the band from output row `y` on; `None` in the padding.
    #[inline(always)]
    pub fn input(&self, y: usize, line: usize) -> Option<usize> {
        let row = (y * self.rows.stride + line).wrapping_sub(self.rows.before);
        (row < self.rows.input).then_some(row)
    }
}
