//! What the windows of a float convolution read, and their sums.

use super::Conv2dFloat;
use crate::fast::Window;
use crate::fast::lanes::Lanes;
use crate::fast::lanes::floats::{Steps, add_products};
use std::ops::Range;

/// Numbers of a copied window's rows at most: they stand on the stack.
pub(super) const MOST_COPIED: usize = 2048;

/// What windows read.
pub(super) struct Geometry {
    pub rows: Window,
    pub columns: Window,
    pub input_channels: usize,
    filter_channels: usize,
    pub steps: Steps,
}

impl Geometry {
    /// The problem's, with windows along H and W of their own; `None` where offsets need too many bits.
    pub fn new(problem: &Conv2dFloat<'_>, rows: Window, columns: Window) -> Option<Self> {
        let offset = |step: usize| {
            let (tap, channel) = (
                step / problem.filter_channels,
                step % problem.filter_channels,
            );
            let row = tap / columns.taps * rows.dilation;
            let column = tap % columns.taps * columns.dilation;
            let position = row.checked_mul(columns.input)?.checked_add(column)?;
            let offset = position
                .checked_mul(problem.input_channels)?
                .checked_add(channel)?;
            u32::try_from(offset).ok()
        };
        let steps = problem.filter.len() / problem.output_channels;
        Some(Self {
            rows,
            columns,
            input_channels: problem.input_channels,
            filter_channels: problem.filter_channels,
            steps: Steps::new((0..steps).map(offset).collect::<Option<_>>()?),
        })
    }

    /// That of a copy of the rows which an output row reads, with zeros around the picture, where some window reaches beyond it and
    /// the copy is small. A zero changes no sum: it begins with 0, so it is never -0, and weights are finite.
    pub fn copied(problem: &Conv2dFloat<'_>) -> Option<Self> {
        let columns = problem.columns;
        let last = columns.output.checked_sub(1)?.checked_mul(columns.stride)?;
        let reach = columns.taps.checked_sub(1)?.checked_mul(columns.dilation)?;
        let width = last.checked_add(reach)?.checked_add(1)?;
        let rows = Window {
            input: problem.rows.taps,
            stride: 1,
            dilation: 1,
            before: 0,
            output: 1,
            ..problem.rows
        };
        let columns = Window {
            input: width,
            before: 0,
            ..columns
        };
        let count = width
            .checked_mul(rows.input)?
            .checked_mul(problem.input_channels)?;
        let pads = problem.rows.pads() || problem.columns.pads();
        let pads = pads && problem.columns.before <= width;
        let finite = problem.filter.iter().all(|weight| weight.is_finite());
        match pads && finite && count <= MOST_COPIED {
            true => Self::new(problem, rows, columns),
            false => None,
        }
    }

    /// Copies what the windows of row `y` of the result read, `width` columns a row. What lies around the picture is zero in `to`
    /// or, where a row of the picture stood there before, made so.
    #[inline(always)]
    pub fn copy(&self, picture: &[f32], y: usize, width: usize, to: &mut [f32]) {
        let (width, row) = (
            width * self.input_channels,
            self.columns.input * self.input_channels,
        );
        let before = self.columns.before * self.input_channels;
        let len = row.min(width - before);
        for (tap, to) in to.chunks_exact_mut(width).take(self.rows.taps).enumerate() {
            let inside = &mut to[before..][..len];
            match self.rows.position(y, tap) {
                Some(y) => inside.copy_from_slice(&picture[y * row..][..len]),
                None => inside.fill(0.0),
            }
        }
    }

    /// The sums of `P` neighbouring positions, of whose taps those of `columns` are inside, along W.
    #[inline(always)]
    pub fn sums<L: Lanes, const V: usize, const P: usize>(
        &self,
        lanes: L,
        taps: &Taps<'_>,
        columns: Range<usize>,
    ) -> [[L::Sum; V]; P] {
        let (width, depth) = (self.columns.taps, self.filter_channels);
        // Rows of whole width are one run of steps.
        let (runs, len) = match columns.len() == width {
            true => (1, taps.rows.len() * width * depth),
            false => (taps.rows.len(), columns.len() * depth),
        };
        let stride = self.columns.stride * self.input_channels;
        let mut sums = [[lanes.splat_sum(0); V]; P];
        if len == 0 {
            return sums;
        }
        for run in 0..runs {
            let first = ((taps.rows.start + run) * width + columns.start) * depth;
            let steps = self.steps.part(first..first + len);
            let begin = taps.window.wrapping_add(steps.begin());
            add_products::<L, V, P, false>(
                lanes,
                &mut sums,
                &taps.input[begin..],
                stride,
                steps,
                &taps.weights[first * V * L::N..],
            );
        }
        sums
    }
}

/// What a block's sums are made from at a position.
pub(super) struct Taps<'a> {
    /// By step.
    pub weights: &'a [f32],
    /// A picture.
    pub input: &'a [f32],
    /// Where the window begins, perhaps before the input: wrapped then.
    pub window: usize,
    /// Taps inside the input along H.
    pub rows: Range<usize>,
}
