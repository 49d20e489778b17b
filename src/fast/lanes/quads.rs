//! The inner loop of depthwise convolutions that multiply four columns of a channel in one step.
//!
//! A row of the picture is copied with four neighbouring columns of each channel side by side, a quad, beginning at every second
//! column. Two windows one column apart read the same quads, with weights that are one byte apart; windows two columns apart read quads of
//! their own.
#![expect(unsafe_code, reason = "pointers of the inner loop")]

use super::{Lanes, MOST_SUMS};
use crate::fast::stage::StageView;

/// Columns in a quad.
pub const QUAD: usize = 4;

/// Windows along a row of the output, of `ROWS` by `QUADS` quads. `SETS` is 2 where they are one column apart, and 1 where they
/// are two columns apart.
pub struct QuadWindows<'a, L: Lanes, const ROWS: usize, const QUADS: usize, const SETS: usize> {
    /// By row of taps: quads of all channels, those of the row's first column first; in the padding of the first tile alone. Behind
    /// them is room for a vector.
    pub rows: [&'a [L::Activation]; ROWS],
    /// By row of taps: whether it lies in the padding.
    pub padded: [bool; ROWS],
    /// How many channels there are.
    pub channels: usize,
    /// Vector after vector of channels: by row of taps, quad and set a vector of weights; and as many that are added to them.
    pub weights: &'a [i8],
    /// By vector of channels: whether what is added to its weights is nothing.
    pub fits: &'a [bool],
    /// Added to the sums, by lane.
    pub bias: &'a [i32],
    /// From sums to results.
    pub stage: StageView<'a>,
    /// Whether the `N / 2` channels of two quads fill a vector, whose weights, biases and scales are there twice.
    pub halves: bool,
}

/// Channels that fill half a vector, if any do.
const HALF: usize = MOST_SUMS / 2;

/// Positions of a tile, where a vector holds channels of one of them.
const PAIR: usize = 2;

/// The positions that are computed together.
pub const fn tile(halves: bool) -> usize {
    if halves { 2 * PAIR } else { PAIR }
}

impl<L: Lanes, const ROWS: usize, const QUADS: usize, const SETS: usize>
    QuadWindows<'_, L, ROWS, QUADS, SETS>
{
    /// Vectors of weights of a vector of channels.
    const STEPS: usize = ROWS * QUADS * SETS;

    /// Computes positions `first` and the following, as many as `output` has room for.
    #[inline(always)]
    pub fn run(&self, lanes: L, first: usize, output: &mut [u8]) {
        let positions = output.len() / self.channels;
        let (tile, vectors) = (tile(self.halves), self.channels.div_ceil(L::N));
        // What the pointers below read. The last quads of the last tile, and a vector:
        let ahead = match SETS {
            1 => tile / PAIR,
            _ => 0,
        };
        let reach = |tiles: usize| {
            let quad = (tiles - 1) * (tile / SETS) + ahead + 2 * (QUADS - 1);
            (quad * self.channels + vectors * L::N) * QUAD
        };
        let tiles = (first + positions).div_ceil(tile);
        const { assert!(!L::QUADS || L::K == QUAD) };
        assert!(tiles > 0 && L::QUADS && output.len() == positions * self.channels);
        for (row, &padded) in self.rows.iter().zip(&self.padded) {
            assert!(row.len() >= reach(if padded { 1 } else { tiles }));
        }
        assert!(self.weights.len() >= vectors * 2 * Self::STEPS * L::N * QUAD);
        assert!(!self.halves || 2 * self.channels == L::N);
        for vector in (0..vectors).step_by(2) {
            match vectors - vector {
                // SAFETY: rows and weights are there, as asserted.
                1 => unsafe { self.vectors::<1>(lanes, vector, first, output) },
                // SAFETY: as above.
                _ => unsafe { self.vectors::<2>(lanes, vector, first, output) },
            }
        }
    }

    /// Computes `V` neighbouring vectors of channels at all positions.
    ///
    /// # Safety
    /// Rows and weights are as long as [`run`](Self::run) asserts.
    #[inline(always)]
    unsafe fn vectors<const V: usize>(
        &self,
        lanes: L,
        vector: usize,
        first: usize,
        output: &mut [u8],
    ) {
        let scales = self.stage.at::<L, V>(lanes, vector * L::N);
        // A loop for each, so that results stay in registers.
        if let Some(low) = scales.positive() {
            let low = lanes.splat_sum(low);
            let scale = |sums: [[L::Sum; V]; PAIR]| {
                let mut codes = scales.positive_part(lanes, sums);
                for codes in &mut codes {
                    for codes in codes {
                        *codes = lanes.add(*codes, low);
                    }
                }
                codes
            };
            // SAFETY: what the caller promises.
            unsafe { self.tiles(lanes, vector, first, output, scale) }
        } else if scales.are_right() {
            // SAFETY: as above.
            unsafe {
                self.tiles(lanes, vector, first, output, |sums| {
                    scales.right(lanes, sums)
                })
            }
        } else {
            // SAFETY: as above.
            unsafe {
                self.tiles(lanes, vector, first, output, |sums| scales.any(lanes, sums));
            }
        }
    }

    /// Computes them with results scaled by `scale`.
    ///
    /// # Safety
    /// Rows and weights are as long as [`run`](Self::run) asserts.
    #[inline(always)]
    unsafe fn tiles<const V: usize>(
        &self,
        lanes: L,
        vector: usize,
        first: usize,
        output: &mut [u8],
        scale: impl Fn([[L::Sum; V]; PAIR]) -> [[L::Sum; V]; PAIR],
    ) {
        let channel = vector * L::N;
        let len = (self.channels - channel).min(V * L::N);
        let (end, tile) = (first + output.len() / self.channels, tile(self.halves));
        let mut bias = [lanes.splat_sum(0); V];
        for (v, bias) in bias.iter_mut().enumerate() {
            *bias = lanes.load_sums(&self.bias[channel + v * L::N..]);
        }
        let limits = self.stage.limits(lanes);
        let parts = match self.fits[vector..][..V].iter().all(|&fits| fits) {
            true => 1,
            false => 2,
        };
        let mut rows = [(std::ptr::null(), 0); ROWS];
        for (row, (begin, step)) in rows.iter_mut().enumerate() {
            *begin = self.rows[row].as_ptr().wrapping_add(channel * QUAD);
            *step = match self.padded[row] {
                true => 0,
                false => self.channels * QUAD,
            };
        }
        for position in (first / tile * tile..end).step_by(tile) {
            let begins = rows.map(|(begin, step)| begin.wrapping_add(position / SETS * step));
            // SAFETY: what the caller promises.
            let sums = unsafe { self.sums::<V>(lanes, begins, vector, bias, parts) };
            let [above, below] = scale(sums);
            let whole = first <= position && position + tile <= end;
            if whole && !self.halves {
                let output = &mut output[(position - first) * self.channels..];
                let (output, next) = output.split_at_mut(self.channels);
                let to = [&mut output[channel..][..len], &mut next[channel..][..len]];
                lanes.store_rows(above, below, limits, to);
                continue;
            }
            let mut bytes = [[0u8; 2 * MOST_SUMS]; PAIR];
            let [output_above, output_below] = bytes.each_mut();
            let to = [&mut output_above[..V * L::N], &mut output_below[..V * L::N]];
            lanes.store_rows(above, below, limits, to);
            if whole && self.channels == HALF {
                let output = &mut output[(position - first) * HALF..][..2 * PAIR * HALF];
                for (number, to) in output.as_chunks_mut::<HALF>().0.iter_mut().enumerate() {
                    let (set, half) = match SETS {
                        1 => (number / PAIR, number % PAIR),
                        _ => (number % PAIR, number / PAIR),
                    };
                    to.copy_from_slice(&bytes[set][half * HALF..][..HALF]);
                }
                continue;
            }
            self.scatter(&bytes, channel, len, position, [first, end], output);
        }
    }

    /// The sums of a tile whose quads begin at `rows`.
    ///
    /// # Safety
    /// Rows and weights are as long as [`run`](Self::run) asserts.
    #[inline(always)]
    unsafe fn sums<const V: usize>(
        &self,
        lanes: L,
        rows: [*const L::Activation; ROWS],
        vector: usize,
        bias: [L::Sum; V],
        parts: usize,
    ) -> [[L::Sum; V]; PAIR] {
        let mut sums = [bias; PAIR];
        // From the quads of the first window to those of the second, where they are not the same.
        let ahead = match (SETS, self.halves) {
            (1, true) => L::N * QUAD,
            (1, false) => self.channels * QUAD,
            _ => 0,
        };
        for part in 0..parts {
            for (row, &begin) in rows.iter().enumerate() {
                for quad in 0..QUADS {
                    let begin = begin.wrapping_add(2 * quad * self.channels * QUAD);
                    let step = (part * ROWS + row) * QUADS + quad;
                    for v in 0..V {
                        let weights = (vector + v) * 2 * Self::STEPS + step * SETS;
                        let weights = self.weights.as_ptr().wrapping_add(weights * L::N * QUAD);
                        for (set, sums) in sums.iter_mut().enumerate() {
                            let from = begin.wrapping_add(set * ahead + v * L::N * QUAD);
                            let weights = weights.wrapping_add(set % SETS * L::N * QUAD);
                            // SAFETY: the caller promises the quads.
                            let quads = unsafe { lanes.read_row(from) };
                            // SAFETY: the caller promises the weights.
                            let weights = unsafe { lanes.read_unit(weights.cast(), true) };
                            sums[v] = lanes.multiply_row(sums[v], quads, weights);
                        }
                    }
                }
            }
        }
        sums
    }

    /// Writes what of a tile's results lies within the positions `first` to `end`, channels `channel` to `channel + len`.
    #[inline(never)]
    fn scatter(
        &self,
        bytes: &[[u8; 2 * MOST_SUMS]; PAIR],
        channel: usize,
        len: usize,
        position: usize,
        [first, end]: [usize; 2],
        output: &mut [u8],
    ) {
        for (set, bytes) in bytes.iter().enumerate() {
            for (half, bytes) in bytes.chunks(len).take(tile(self.halves) / PAIR).enumerate() {
                let position = match (self.halves, SETS) {
                    (false, _) => position + set,
                    (true, 1) => position + PAIR * set + half,
                    (true, _) => position + set + PAIR * half,
                };
                if (first..end).contains(&position) {
                    let to = (position - first) * self.channels + channel;
                    output[to..][..len].copy_from_slice(bytes);
                }
            }
        }
    }
}
