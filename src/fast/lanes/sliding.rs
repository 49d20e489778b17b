//! The inner loop of depthwise convolutions at neighbouring positions: windows that overlap share what they read.
#![expect(unsafe_code, reason = "pointers of the inner loop")]

use super::Lanes;
use crate::fast::stage::{Scales, StageView};

/// Positions that are computed side by side.
pub const POSITIONS: usize = 4;

/// Neighbouring windows of `ROWS` by `COLUMNS` taps, `STRIDE` columns apart, none of which reaches over the picture's sides.
pub struct Sliding<'a, const ROWS: usize, const COLUMNS: usize, const STRIDE: usize> {
    /// By row of taps, what the windows read: bytes of all channels, those of the first window's first column first. In the
    /// padding there are zero points for [`POSITIONS`] windows.
    pub rows: [&'a [u8]; ROWS],
    /// By row of taps: whether it lies in the padding.
    pub padded: [bool; ROWS],
    /// How many channels there are: whole blocks.
    pub channels: usize,
    /// Block after block, pair of taps after pair of taps: `2 * N` pairs of weights.
    pub weights: &'a [i16],
    /// Added to the sums, in the order of the lanes.
    pub bias: &'a [i32],
    /// From sums to results.
    pub stage: StageView<'a>,
}

impl<const ROWS: usize, const COLUMNS: usize, const STRIDE: usize>
    Sliding<'_, ROWS, COLUMNS, STRIDE>
{
    const TAPS: usize = ROWS * COLUMNS;
    /// Columns that [`POSITIONS`] windows read.
    pub const REACH: usize = (POSITIONS - 1) * STRIDE + COLUMNS;

    /// Computes as many positions as `output` has room for, at least [`POSITIONS`]. Stored bytes are int8 where `SIGNED`.
    #[inline(always)]
    pub fn run<L: Lanes, const SIGNED: bool>(&self, lanes: L, output: &mut [u8]) {
        let channels = self.channels;
        let positions = output.len() / channels;
        let per_block = Self::TAPS.div_ceil(2) * 4 * L::N;
        // What the pointers below read.
        assert!(positions >= POSITIONS && output.len() == positions * channels);
        assert!(channels.is_multiple_of(2 * L::N));
        let reach = Self::REACH + (positions - POSITIONS) * STRIDE;
        for (row, padded) in self.rows.iter().zip(self.padded) {
            let columns = if padded { Self::REACH } else { reach };
            assert!(row.len() >= columns * channels);
        }
        assert!(self.weights.len() >= channels / (2 * L::N) * per_block);
        let limits = self.stage.limits(lanes);
        for (number, first) in (0..channels).step_by(2 * L::N).enumerate() {
            let bias = &self.bias[first..][..2 * L::N];
            let block = Block {
                channels,
                weights: self.weights[number * per_block..].as_ptr(),
                bias: [lanes.load_sums(bias), lanes.load_sums(&bias[L::N..])],
                scales: self.stage.at(lanes, first),
                limits,
            };
            let mut position = 0;
            loop {
                let rows = std::array::from_fn(|row| {
                    let columns = if self.padded[row] {
                        0
                    } else {
                        position * STRIDE
                    };
                    let row = self.rows[row].as_ptr();
                    row.wrapping_add(columns * channels + first)
                });
                let output = &mut output[position * channels + first..];
                block.positions::<SIGNED, ROWS, COLUMNS, STRIDE>(lanes, rows, output);
                if position + POSITIONS == positions {
                    break;
                }
                // The last positions may be computed twice.
                position = (position + POSITIONS).min(positions - POSITIONS);
            }
        }
    }
}

/// What all positions of a block of channels share.
struct Block<'a, L: Lanes> {
    /// Channels of all blocks.
    channels: usize,
    weights: *const i16,
    bias: [L::Sum; 2],
    scales: Scales<'a, L, 2>,
    limits: L::Limits,
}

impl<L: Lanes> Block<'_, L> {
    /// [`POSITIONS`] positions; each of `rows` and the output begin with the block's channels of the first of them.
    #[inline(always)]
    fn positions<
        const SIGNED: bool,
        const ROWS: usize,
        const COLUMNS: usize,
        const STRIDE: usize,
    >(
        &self,
        lanes: L,
        rows: [*const u8; ROWS],
        output: &mut [u8],
    ) {
        let block = 2 * L::N;
        let words = |tap: usize, position: usize| {
            let column = position * STRIDE + tap % COLUMNS;
            let from = rows[tap / COLUMNS].wrapping_add(column * self.channels);
            // SAFETY: each column of the windows has the block's channels there.
            unsafe { lanes.load_words(from, block, SIGNED) }
        };
        let taps = ROWS * COLUMNS;
        let mut sums = [self.bias; POSITIONS];
        for tap in (0..taps).step_by(2) {
            // SAFETY: a block has weights for `taps` rounded up to pairs, `2 * block` a pair.
            let weights =
                unsafe { lanes.load_word_weights(self.weights.wrapping_add(tap * block)) };
            for (position, sums) in sums.iter_mut().enumerate() {
                let left = words(tap, position);
                *sums = if tap + 1 < taps {
                    lanes.tap_pair(*sums, left, words(tap + 1, position), weights)
                } else {
                    lanes.last_tap(*sums, left, weights)
                };
            }
        }
        assert!(output.len() >= (POSITIONS - 1) * self.channels + block);
        self.scales.apply(lanes, sums, |codes: [_; POSITIONS]| {
            for (position, codes) in codes.into_iter().enumerate() {
                let to = output.as_mut_ptr().wrapping_add(position * self.channels);
                // SAFETY: the output has the block's channels there, as asserted.
                let to = unsafe { std::slice::from_raw_parts_mut(to, block) };
                lanes.store_block(codes, self.limits, to);
            }
        });
    }
}
