//! Windows of a picture where they stand: in the picture itself, or in a band of its rows with their padding.

use super::packed::Packed;
use crate::fast::Window;
use crate::fast::lanes::Lanes;
use crate::fast::lanes::tile::Runs;
use std::ops::Range;

/// Output positions of a band, if several output rows make one.
const BAND_POSITIONS: usize = 1024;

/// Neighbouring rows of a picture, of which neighbouring rows of the output are computed.
#[derive(Debug, Clone, Copy)]
pub(super) struct Band {
    /// Output rows.
    pub rows: usize,
    /// Activations of a row with its padding.
    width: usize,
}

impl Band {
    /// A band of at most `most` activations, if several output rows make one.
    pub fn new(rows: Window, columns: Window, channels: usize, most: usize) -> Self {
        let width = ((columns.output.max(1) - 1) * columns.stride + reach(columns)) * channels;
        let positions = (BAND_POSITIONS / columns.output.max(1)).max(1);
        // Rows of the picture that one output row reads, and every further one.
        let room = (most / width).saturating_sub(reach(rows));
        Self {
            rows: (room / rows.stride + 1).min(positions),
            width,
        }
    }

    /// Activations of all rows.
    pub fn len(&self, rows: Window) -> usize {
        ((self.rows - 1) * rows.stride + reach(rows)).saturating_mul(self.width)
    }

    /// Where windows have their rows of taps, each of `steps` dot steps.
    pub fn runs(&self, rows: Window, steps: usize) -> Runs {
        Runs {
            count: rows.taps,
            stride: rows.dilation * self.width,
            steps,
        }
    }
}

/// Input positions from the first tap to behind the last.
fn reach(window: Window) -> usize {
    (window.taps - 1)
        .saturating_mul(window.dilation)
        .saturating_add(1)
}

impl<L: Lanes> Packed<L> {
    /// How many output positions from `first` on, of `rows`, the rows of the picture that `band` holds are enough for.
    #[inline(always)]
    pub(super) fn band_positions(&self, band: Band, first: usize, rows: usize) -> usize {
        let width = self.columns.output;
        let y = first / width % self.rows.output;
        let end = band.rows.min(self.rows.output - y) * width;
        rows.min(end - first % width)
    }

    /// Writes to `panel` what the windows of the output positions `first..first + begins.len()` read, and to `begins` where each
    /// begins there.
    #[inline(always)]
    pub(super) fn fill_band(
        &self,
        band: Band,
        input: &[u8],
        first: usize,
        panel: &mut [L::Activation],
        begins: &mut [u32],
    ) {
        let [rows, columns] = [self.rows, self.columns];
        let (batch, top) = (
            first / (columns.output * rows.output),
            first / columns.output % rows.output,
        );
        let bottom = (first + begins.len() - 1) / columns.output % rows.output;
        let before = (columns.before * self.input_channels).min(band.width);
        let row = columns.input * self.input_channels;
        let inside = row.min(band.width - before);
        for at in 0..(bottom - top) * rows.stride + reach(rows) {
            // Rows that no tap reads are left out.
            let read = |tap: usize| {
                let offset = at.checked_sub(tap * rows.dilation);
                offset.is_some_and(|offset| offset.is_multiple_of(rows.stride))
            };
            if rows.taps < rows.stride && !(0..rows.taps).any(read) {
                continue;
            }
            let to = at * band.width;
            let y = (top * rows.stride + at).wrapping_sub(rows.before);
            if y >= rows.input {
                panel[to..to + band.width].fill(self.zero);
                continue;
            }
            panel[to..to + before].fill(self.zero);
            self.put(
                panel,
                to + before,
                input,
                (batch * rows.input + y) * row,
                inside,
            );
            panel[to + before + inside..to + band.width].fill(self.zero);
        }
        let [down, along] = [
            rows.stride * band.width,
            columns.stride * self.input_channels,
        ];
        self.each_row(first, begins, |_, y, x, begins| {
            fill_steps(begins, (y - top) * down + x.start * along, along);
        });
    }

    /// Writes to `begins` where the windows of output positions from `first` on, none of which is padded, begin in the picture.
    #[inline(always)]
    pub(super) fn begins_in_input(&self, first: usize, begins: &mut [u32]) {
        let [rows, columns] = [self.rows, self.columns];
        let along = columns.stride * self.input_channels;
        if rows.is_point() && columns.is_point() {
            return fill_steps(begins, first * along, along);
        }
        let row = columns.input * self.input_channels;
        self.each_row(first, begins, |batch, y, x, begins| {
            let begin = (batch * rows.input + y * rows.stride) * row + x.start * along;
            fill_steps(begins, begin, along);
        });
    }

    /// Calls `each` with the batch, the row, the columns and the piece of `begins` of output positions from `first` on, row by row.
    #[inline(always)]
    fn each_row(
        &self,
        first: usize,
        mut begins: &mut [u32],
        mut each: impl FnMut(usize, usize, Range<usize>, &mut [u32]),
    ) {
        let [height, width] = [self.rows.output, self.columns.output];
        let mut position = first;
        while !begins.is_empty() {
            let x = position % width;
            let count = begins.len().min(width - x);
            let (now, later) = begins.split_at_mut(count);
            each(
                position / (width * height),
                position / width % height,
                x..x + count,
                now,
            );
            begins = later;
            position += count;
        }
    }
}

/// Fills `to` with `first` and the numbers `step` apart that follow.
#[inline(always)]
pub(super) fn fill_steps(to: &mut [u32], first: usize, step: usize) {
    for (number, to) in (0u32..).zip(to) {
        *to = (first as u32).wrapping_add(number.wrapping_mul(step as u32));
    }
}
