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
    /// Whether there are `N` channels whose weights, biases and scales are there twice.
    pub halves: bool,
    /// Block after block, pair of taps after pair of taps: `2 * N` pairs of weights in the order of the lanes.
    pub weights: &'a [i16],
    /// Added to the sums, in the order of the lanes, padded to whole blocks.
    pub bias: &'a [i32],
    /// From sums to results.
    pub stage: StageView<'a>,
}

/// Blocks of lanes that are computed together, at neighbouring positions.
const GROUP: usize = 4;

/// What a block of `2 * N` lanes holds: as many channels, fewer, or all of the `N` channels of two neighbouring positions.
const WHOLE: usize = 0;
const PART: usize = 1;
const HALVES: usize = 2;

impl Windows<'_> {
    /// Computes neighbouring output positions, as many as `output` has room for. `T` is the number of taps, or 0 where it is
    /// not known; there are at most `MOST`.
    #[inline(always)]
    pub fn run<L: Lanes, const T: usize, const MOST: usize>(&self, lanes: L, output: &mut [u8]) {
        let count = if T == 0 { self.taps.len() } else { T };
        let block = 2 * L::N;
        let positions = output.len() / self.channels;
        // What the pointers below read.
        assert!(count == self.taps.len() && count <= MOST);
        let last = positions.saturating_sub(1);
        let reaches = |tap: &Tap<'_>| tap.bytes.len() >= last * tap.step + self.channels;
        assert!(self.taps.iter().all(reaches));
        let per_block = count.div_ceil(2) * 2 * block;
        assert!(self.weights.len() >= self.channels.div_ceil(block) * per_block);
        assert!(!self.halves || self.channels == L::N);
        let mut begin = [std::ptr::null(); MOST];
        for (begin, tap) in begin.iter_mut().zip(self.taps) {
            *begin = tap.bytes.as_ptr();
        }
        let mut output = output;
        while !output.is_empty() {
            let left = output.len() / self.channels;
            let halves = L::NEIGHBOURS && self.halves && left >= 2 * GROUP;
            let now = match left {
                _ if halves => 2 * GROUP,
                GROUP.. if L::NEIGHBOURS => GROUP,
                _ => 1,
            };
            let (to, later) = std::mem::take(&mut output).split_at_mut(now * self.channels);
            output = later;
            for (number, first) in (0..self.channels).step_by(block).enumerate() {
                let at = Block {
                    begin: &begin[..count],
                    number,
                    len: block.min(self.channels - first),
                };
                match (now, at.len == block) {
                    // SAFETY: taps go on for as many positions, and a block has its weights, as asserted.
                    _ if halves => unsafe { self.block::<L, T, GROUP, HALVES>(lanes, at, to) },
                    // SAFETY: as above.
                    (1, true) => unsafe { self.block::<L, T, 1, WHOLE>(lanes, at, to) },
                    // SAFETY: as above.
                    (1, false) => unsafe { self.block::<L, T, 1, PART>(lanes, at, to) },
                    // SAFETY: as above.
                    (_, true) => unsafe { self.block::<L, T, GROUP, WHOLE>(lanes, at, to) },
                    // SAFETY: as above.
                    (_, false) => unsafe { self.block::<L, T, GROUP, PART>(lanes, at, to) },
                }
            }
            for (begin, tap) in begin[..count].iter_mut().zip(self.taps) {
                *begin = begin.wrapping_add(now * tap.step);
            }
        }
    }

    /// Computes `P` blocks at neighbouring positions, of which `output` has all channels.
    ///
    /// # Safety
    /// At each position each tap has the channels of the block, and the block weights for each.
    #[inline(always)]
    unsafe fn block<L: Lanes, const T: usize, const P: usize, const KIND: usize>(
        &self,
        lanes: L,
        at: Block<'_>,
        output: &mut [u8],
    ) {
        let count = if T == 0 { at.begin.len() } else { T };
        let block = 2 * L::N;
        let first = at.number * block;
        let per_block = count.div_ceil(2) * 2 * block;
        let weights = self.weights.as_ptr().wrapping_add(at.number * per_block);
        let bias = &self.bias[first..][..block];
        let mut sums = [[lanes.load_sums(bias), lanes.load_sums(&bias[L::N..])]; P];
        for tap in (0..count).step_by(2) {
            // SAFETY: the caller promises weights for `count` rounded up to pairs, `2 * block` a pair.
            let weights = unsafe { lanes.load_word_weights(weights.wrapping_add(tap * block)) };
            for (position, sums) in sums.iter_mut().enumerate() {
                // SAFETY: the caller promises the channels.
                let left = unsafe { self.words::<L, KIND>(lanes, &at, tap, position) };
                *sums = if tap + 1 < count {
                    // SAFETY: as above.
                    let right = unsafe { self.words::<L, KIND>(lanes, &at, tap + 1, position) };
                    lanes.tap_pair(*sums, left, right, weights)
                } else {
                    lanes.last_tap(*sums, left, weights)
                };
            }
        }
        let scales = self.stage.at(lanes, first);
        // A branch for each, so that results stay in registers.
        if scales.are_right() {
            self.store::<L, P, KIND>(lanes, scales.right(lanes, sums), &at, output);
        } else {
            self.store::<L, P, KIND>(lanes, scales.any(lanes, sums), &at, output);
        }
    }

    /// What block `position` of the neighbours reads at a tap. No closure, which could stay a call.
    ///
    /// # Safety
    /// The tap has the channels of the block there.
    #[inline(always)]
    unsafe fn words<L: Lanes, const KIND: usize>(
        &self,
        lanes: L,
        at: &Block<'_>,
        tap: usize,
        position: usize,
    ) -> L::Words {
        let step = self.taps[tap].step;
        let begin = at.begin[tap].wrapping_add(at.number * 2 * L::N);
        if KIND == HALVES {
            let from = begin.wrapping_add(2 * position * step);
            // SAFETY: the caller promises the channels.
            return unsafe { lanes.load_halves([from, from.wrapping_add(step)], self.signed) };
        }
        let from = begin.wrapping_add(position * step);
        let len = if KIND == WHOLE { 2 * L::N } else { at.len };
        // SAFETY: as above.
        unsafe { lanes.load_words(from, len, self.signed) }
    }

    /// Limits and writes the results of `P` blocks.
    #[inline(always)]
    fn store<L: Lanes, const P: usize, const KIND: usize>(
        &self,
        lanes: L,
        codes: [[L::Sum; 2]; P],
        at: &Block<'_>,
        output: &mut [u8],
    ) {
        let limits = self.stage.limits(lanes);
        let (step, len) = match KIND {
            HALVES => (2 * L::N, 2 * L::N),
            WHOLE => (self.channels, 2 * L::N),
            _ => (self.channels, at.len),
        };
        for (position, codes) in codes.into_iter().enumerate() {
            let from = position * step + at.number * 2 * L::N;
            lanes.store_block(codes, limits, &mut output[from..][..len]);
        }
    }
}

/// A block of channels.
struct Block<'a> {
    /// Where each tap begins at the first position.
    begin: &'a [*const u8],
    number: usize,
    /// Channels that exist.
    len: usize,
}
