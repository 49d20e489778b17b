//! What the windows of a float convolution read, copies of it, and their sums.

use super::Conv2dFloat;
use super::band::Band;
use crate::fast::Window;
use crate::fast::lanes::Lanes;
use crate::fast::lanes::floats::{Steps, add_products};
use std::ops::Range;

/// Numbers of a band's copies at most: they stand on the stack.
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

/// Copies of the rows that a band reads, with zeros around the picture.
pub(super) struct Copied {
    pub band: Band,
    /// The copies'.
    pub geometry: Geometry,
    /// Columns of the picture, and zeros before them.
    inside: usize,
    before: usize,
}

impl Copied {
    /// Those for `problem`, where some window reaches beyond the picture and a copy is small.
    pub fn new(problem: &Conv2dFloat<'_>) -> Option<Self> {
        let (rows, columns) = (problem.rows, problem.columns);
        let last = columns.output.checked_sub(1)?.checked_mul(columns.stride)?;
        let reach = columns.taps.checked_sub(1)?.checked_mul(columns.dilation)?;
        let width = last.checked_add(reach)?.checked_add(1)?;
        if !problem.pads() || columns.before > width || !problem.bears_zeros() {
            return None;
        }
        let row = width.checked_mul(problem.input_channels)?;
        let band = Band::new(rows, MOST_COPIED / row)?;
        let rows = Window {
            input: band.inputs(band.output),
            before: 0,
            output: band.output,
            ..rows
        };
        let copied = Window {
            input: width,
            before: 0,
            ..columns
        };
        Some(Self {
            band,
            geometry: Geometry::new(problem, rows, copied)?,
            inside: columns.input.min(width - columns.before),
            before: columns.before,
        })
    }

    /// Copies what `rows` output rows from `y` on read. What lies around the picture is zero in `to` or, where a row of the picture
    /// stood there before, made so.
    #[inline(always)]
    pub fn copy(&self, picture: &[f32], row: usize, y: usize, rows: usize, to: &mut [f32]) {
        let channels = self.geometry.input_channels;
        let width = self.geometry.columns.input * channels;
        let lines = to.chunks_exact_mut(width).take(self.band.inputs(rows));
        for (line, to) in lines.enumerate() {
            let inside = &mut to[self.before * channels..][..self.inside * channels];
            match self.band.input(y, line) {
                Some(y) => inside.copy_from_slice(&picture[y * row..][..inside.len()]),
                None => inside.fill(0.0),
            }
        }
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
