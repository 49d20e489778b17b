//! The inner loop of depthwise convolutions: blocks of neighbouring channels, tap by tap.
#![expect(unsafe_code, reason = "pointers of the inner loop")]

use super::Lanes;
use crate::fast::stage::StageView;

/// The most taps that a window may have here.
pub const MOST_TAPS: usize = 81;

/// What a tap reads at neighbouring output positions.
#[derive(Clone, Copy)]
pub struct Tap<'a> {
    /// Stored bytes, those of the first position first.
    pub bytes: &'a [u8],
    /// Bytes from one position to the next; 0 in the padding.
    pub step: usize,
}

/// Channels with windows of their own, at neighbouring output positions.
pub struct Windows<'a> {
    /// Tap by tap; zero points in the padding.
    pub taps: &'a [Tap<'a>],
    /// How many channels there are.
    pub channels: usize,
    /// Whether stored bytes are int8.
    pub signed: bool,
    /// Block after block, pair of taps after pair of taps: `2 * N` pairs of weights in the order of the lanes.
    pub weights: &'a [i16],
    /// Added to the sums, in the order of the lanes, padded to whole blocks.
    pub bias: &'a [i32],
    /// From sums to results.
    pub stage: StageView<'a>,
}

impl Windows<'_> {
    /// Computes neighbouring output positions, as many as `output` has room for. `T` is the number of taps, or 0 where it is
    /// not known.
    #[inline(always)]
    pub fn run<L: Lanes, const T: usize>(&self, lanes: L, output: &mut [u8]) {
        let count = if T == 0 { self.taps.len() } else { T };
        let pairs = count.div_ceil(2);
        let block = 2 * L::N;
        let positions = output.len() / self.channels;
        // What the pointers below read.
        assert!(count == self.taps.len() && count <= MOST_TAPS);
        let last = positions.saturating_sub(1);
        let reaches = |tap: &Tap<'_>| tap.bytes.len() >= last * tap.step + self.channels;
        assert!(self.taps.iter().all(reaches));
        let per_block = pairs * 2 * block;
        assert!(self.weights.len() >= self.channels.div_ceil(block) * per_block);
        let limits = self.stage.limits(lanes);
        let mut from = [std::ptr::null(); MOST_TAPS];
        for (from, tap) in from.iter_mut().zip(self.taps) {
            *from = tap.bytes.as_ptr();
        }
        for output in output.chunks_exact_mut(self.channels) {
            for (number, output) in output.chunks_mut(block).enumerate() {
                let first = number * block;
                let weights = self.weights.as_ptr().wrapping_add(number * per_block);
                let words = |tap: *const u8| {
                    // SAFETY: at each position a tap has `channels` bytes, of which `output.len()` follow `first`.
                    unsafe { lanes.load_words(tap.wrapping_add(first), output.len(), self.signed) }
                };
                let pair = |number: usize| {
                    // SAFETY: a block has `pairs` times `2 * block` weights, as asserted.
                    unsafe { lanes.load_word_weights(weights.wrapping_add(number * 2 * block)) }
                };
                let mut sums = [
                    lanes.load_sums(&self.bias[first..]),
                    lanes.load_sums(&self.bias[first + L::N..]),
                ];
                for number in 0..count / 2 {
                    let (left, right) = (words(from[2 * number]), words(from[2 * number + 1]));
                    sums = lanes.tap_pair(sums, left, right, pair(number));
                }
                if count % 2 == 1 {
                    // The last pair's second weights are 0.
                    let left = words(from[count - 1]);
                    sums = lanes.tap_pair(sums, left, lanes.no_words(), pair(pairs - 1));
                }
                let scales = self.stage.at(lanes, first);
                scales.apply(lanes, [sums], |[codes]| {
                    lanes.store_block(codes, limits, output)
                });
            }
            for (from, tap) in from[..count].iter_mut().zip(self.taps) {
                *from = from.wrapping_add(tap.step);
            }
        }
    }
}
