//! A window's movement along one axis, in plain numbers.

use std::ops::Range;

/// How output positions, taps and input positions of one axis relate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Window {
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

impl Window {
    /// One tap on each of `positions`.
    pub const fn point(positions: usize) -> Self {
        Self {
            input: positions,
            taps: 1,
            stride: 1,
            dilation: 1,
            before: 0,
            output: positions,
        }
    }

    /// Whether output and input positions are the same and nothing is padded.
    pub fn is_point(&self) -> bool {
        *self == Self::point(self.input)
    }

    /// Whether the only output reads every input position once and in order.
    pub fn is_whole(&self) -> bool {
        let neighbours = self.dilation == 1 || self.taps == 1;
        self.output == 1 && self.before == 0 && self.taps == self.input && neighbours
    }

    /// Whether any output reads padding.
    pub fn pads(&self) -> bool {
        self.whole() != (0..self.output)
    }

    /// The input position that tap `tap` of output `output` reads; `None` in the padding.
    #[inline(always)]
    pub fn position(&self, output: usize, tap: usize) -> Option<usize> {
        let position = (output * self.stride + tap * self.dilation).wrapping_sub(self.before);
        (position < self.input).then_some(position)
    }

    /// The output positions all of whose taps fall inside the input.
    pub fn whole(&self) -> Range<usize> {
        let reach = (self.taps - 1) * self.dilation + 1;
        let first = self.before.div_ceil(self.stride);
        let end = match (self.input + self.before).checked_sub(reach) {
            Some(last) => (last / self.stride + 1).min(self.output),
            None => 0,
        };
        first..end.max(first)
    }

    /// The taps of `output` that fall inside the input.
    #[inline(always)]
    pub fn taps_inside(&self, output: usize) -> Range<usize> {
        let start = output * self.stride;
        let until = |end: usize| match self.dilation {
            // Spares the usual case a division.
            1 => end.saturating_sub(start),
            dilation => end.saturating_sub(start).div_ceil(dilation),
        };
        let end = until(self.input + self.before).min(self.taps);
        until(self.before).min(end)..end
    }

    /// For a dilation of 1: the taps of `output` that fall inside the input, as first and end, and the input position of the
    /// first.
    #[inline(always)]
    pub fn inside(&self, output: usize) -> (usize, usize, usize) {
        let start = output * self.stride;
        let first = self.before.saturating_sub(start).min(self.taps);
        let end = (self.input + self.before)
            .saturating_sub(start)
            .min(self.taps);
        (
            first,
            end.max(first),
            (start + first) - self.before.min(start + first),
        )
    }
}
