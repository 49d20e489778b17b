//! The inner loop of depthwise convolutions: blocks of neighbouring channels, tap by tap.
#![expect(unsafe_code, reason = "pointers of the inner loop")]

use super::{Lanes, Work, apart};
use crate::fast::stage::StageView;
use std::marker::PhantomData;
use std::mem::MaybeUninit;

/// The most taps that a window may have here.
pub const MOST_TAPS: usize = 81;

/// The taps of windows at neighbouring output positions, at most `MOST`.
pub struct Taps<'a, const MOST: usize> {
    taps: [MaybeUninit<Tap>; MOST],
    count: usize,
    positions: usize,
    channels: usize,
    bytes: PhantomData<&'a [u8]>,
}

/// What a tap reads.
#[derive(Clone, Copy)]
struct Tap {
    /// The stored bytes at the first position.
    begin: *const u8,
    /// Bytes from one position to the next; 0 in the padding.
    step: usize,
}

impl<'a, const MOST: usize> Taps<'a, MOST> {
    /// None yet, of windows at `positions` with `channels` each.
    #[inline(always)]
    pub fn new(positions: usize, channels: usize) -> Self {
        Self {
            taps: [const { MaybeUninit::uninit() }; MOST],
            count: 0,
            positions,
            channels,
            bytes: PhantomData,
        }
    }

    /// Adds one that reads the first of `bytes`, then those `step` bytes on, and so on.
    #[inline(always)]
    pub fn push(&mut self, bytes: &'a [u8], step: usize) {
        let reach = self.positions.saturating_sub(1) * step + self.channels;
        assert!(self.count < MOST && reach <= bytes.len());
        self.taps[self.count].write(Tap {
            begin: bytes.as_ptr(),
            step,
        });
        self.count += 1;
    }

    /// Adds those of a grid, of which the first reads the first of `bytes`: `rows` and `columns`, and how far apart each are.
    #[inline(always)]
    pub fn push_grid(
        &mut self,
        bytes: &'a [u8],
        [rows, row_step]: [usize; 2],
        [columns, column_step]: [usize; 2],
        step: usize,
    ) {
        let last = |count: usize, step: usize| count.saturating_sub(1) * step;
        let reach = last(rows, row_step) + last(columns, column_step) + last(self.positions, step);
        assert!(self.count + rows * columns <= MOST && reach + self.channels <= bytes.len());
        // A column is filled as a row is.
        let ([rows, row_step], [columns, column_step]) = match columns {
            1 => ([1, 0], [rows, row_step]),
            _ => ([rows, row_step], [columns, column_step]),
        };
        let mut free = self.taps[self.count..].iter_mut();
        for row in 0..rows {
            let mut begin = bytes.as_ptr().wrapping_add(row * row_step);
            for tap in free.by_ref().take(columns) {
                tap.write(Tap { begin, step });
                begin = begin.wrapping_add(column_step);
            }
        }
        self.count += rows * columns;
    }

    /// Those that were added. There are none then: whoever takes them moves them on.
    #[inline(always)]
    fn take(&mut self) -> &mut [Tap] {
        let count = std::mem::take(&mut self.count);
        let taps = &mut self.taps[..count];
        // SAFETY: `push` has written the first `count`, and `MaybeUninit` is laid out as what it holds.
        unsafe { &mut *(std::ptr::from_mut(taps) as *mut [Tap]) }
    }
}

/// Channels with windows of their own, at neighbouring output positions.
pub struct Windows<'a> {
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
    /// Computes the positions of `taps`, for which `output` has room. `T` is the number of taps, or 0 where it is not known.
    #[inline(always)]
    pub fn run<L: Lanes, const T: usize, const MOST: usize>(
        &self,
        lanes: L,
        taps: &mut Taps<'_, MOST>,
        output: &mut [u8],
    ) {
        let count = if T == 0 { taps.count } else { T };
        let block = 2 * L::N;
        // What the pointers below read.
        assert!(count == taps.count && self.channels == taps.channels);
        assert!(output.len() == taps.positions * self.channels);
        let per_block = count.div_ceil(2) * 2 * block;
        assert!(self.weights.len() >= self.channels.div_ceil(block) * per_block);
        assert!(!self.halves || self.channels == L::N);
        let taps = taps.take();
        if !L::NEIGHBOURS && !self.halves {
            // What bytes are is chosen here, not tap by tap.
            let taps = &mut taps[..count];
            return match self.signed {
                true => apart(lanes, OneByOne::<L, true>(lanes, self, taps, output)),
                false => apart(lanes, OneByOne::<L, false>(lanes, self, taps, output)),
            };
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
                    taps: &taps[..count],
                    number,
                    len: block.min(self.channels - first),
                };
                match (now, at.len == block) {
                    // SAFETY: taps go on for as many positions, and a block has its weights, as asserted.
                    _ if halves => unsafe { self.block::<L, GROUP, HALVES>(lanes, at, to) },
                    // SAFETY: as above.
                    (1, true) => unsafe { self.block::<L, 1, WHOLE>(lanes, at, to) },
                    // SAFETY: as above.
                    (1, false) => unsafe { self.block::<L, 1, PART>(lanes, at, to) },
                    // SAFETY: as above.
                    (_, true) => unsafe { self.block::<L, GROUP, WHOLE>(lanes, at, to) },
                    // SAFETY: as above.
                    (_, false) => unsafe { self.block::<L, GROUP, PART>(lanes, at, to) },
                }
            }
            for tap in &mut *taps {
                tap.begin = tap.begin.wrapping_add(now * tap.step);
            }
        }
    }

    /// Computes position after position, several blocks of channels at a time.
    ///
    /// # Safety
    /// At each position of `output` each tap has all channels, and blocks have weights for each tap.
    #[inline(always)]
    unsafe fn one_by_one<L: Lanes, const SIGNED: bool>(
        &self,
        lanes: L,
        taps: &mut [Tap],
        output: &mut [u8],
    ) {
        let block = 2 * L::N;
        let whole = self.channels / block;
        let mut rest = output;
        while !rest.is_empty() {
            let (output, later) = std::mem::take(&mut rest).split_at_mut(self.channels);
            rest = later;
            let mut number = 0;
            while number < whole {
                let to = &mut output[number * block..];
                number += match whole - number {
                    // SAFETY: so many whole blocks follow.
                    4.. => unsafe { self.side_by_side::<L, 4, SIGNED>(lanes, taps, number, to) },
                    // SAFETY: as above.
                    2.. => unsafe { self.side_by_side::<L, 2, SIGNED>(lanes, taps, number, to) },
                    // SAFETY: as above.
                    _ => unsafe { self.side_by_side::<L, 1, SIGNED>(lanes, taps, number, to) },
                };
            }
            let len = self.channels - whole * block;
            if len > 0 {
                let at = Block { taps, number, len };
                // SAFETY: the caller promises the channels that are left.
                unsafe { self.block::<L, 1, PART>(lanes, at, output) };
            }
            if rest.is_empty() {
                return;
            }
            for tap in &mut *taps {
                tap.begin = tap.begin.wrapping_add(tap.step);
            }
        }
    }

    /// Computes `B` whole blocks from block `number` on at the position of `taps`, to the front of `output`; gives `B`.
    ///
    /// # Safety
    /// Each tap has the channels of the blocks, and these have weights for each tap.
    #[inline(always)]
    unsafe fn side_by_side<L: Lanes, const B: usize, const SIGNED: bool>(
        &self,
        lanes: L,
        taps: &[Tap],
        number: usize,
        output: &mut [u8],
    ) -> usize {
        let block = 2 * L::N;
        let first = number * block;
        let per_block = taps.len().div_ceil(2) * 2 * block;
        let begin = self.weights.as_ptr().wrapping_add(number * per_block);
        let mut weights: [*const i16; B] =
            std::array::from_fn(|b| begin.wrapping_add(b * per_block));
        let bias = &self.bias[first..][..B * block];
        let mut sums: [[L::Sum; 2]; B] = std::array::from_fn(|b| {
            let bias = &bias[b * block..][..block];
            [lanes.load_sums(bias), lanes.load_sums(&bias[L::N..])]
        });
        let (pairs, last) = taps.as_chunks::<2>();
        for pair in pairs {
            let [left, right] = [0, 1].map(|tap| pair[tap].begin.wrapping_add(first));
            for b in 0..B {
                // SAFETY: the caller promises `2 * block` weights a pair for taps rounded up to pairs.
                let by = unsafe { lanes.load_word_weights(weights[b]) };
                weights[b] = weights[b].wrapping_add(2 * block);
                // SAFETY: the caller promises the channels.
                let left = unsafe { lanes.load_words(left.wrapping_add(b * block), block, SIGNED) };
                // SAFETY: as above.
                let right =
                    unsafe { lanes.load_words(right.wrapping_add(b * block), block, SIGNED) };
                sums[b] = lanes.tap_pair(sums[b], left, right, by);
            }
        }
        if let [last] = last {
            let last = last.begin.wrapping_add(first);
            for b in 0..B {
                // SAFETY: as above.
                let by = unsafe { lanes.load_word_weights(weights[b]) };
                // SAFETY: as above.
                let words =
                    unsafe { lanes.load_words(last.wrapping_add(b * block), block, SIGNED) };
                sums[b] = lanes.last_tap(sums[b], words, by);
            }
        }
        let limits = self.stage.limits(lanes);
        let output = &mut output[..B * block];
        if let Some(right) = self.stage.right(first, B * block) {
            let rest = lanes.splat_sum(2 * i32::from(right.zero) + 1);
            for b in 0..B {
                let mut codes = sums[b];
                for (half, codes) in codes.iter_mut().enumerate() {
                    let at = b * block + half * L::N;
                    let multipliers = lanes.load_sums(&right.multipliers[at..]);
                    let rights = lanes.load_sums(&right.rights[at..]);
                    *codes = lanes.scale_right(*codes, multipliers, rights, rest);
                }
                lanes.store_block(codes, limits, &mut output[b * block..][..block]);
            }
            return B;
        }
        // A copy that this loop may index: the sums above stay in registers.
        let sums = sums;
        for (b, to) in output.chunks_exact_mut(block).enumerate() {
            let scales = self.stage.at(lanes, first + b * block);
            let [codes] = match scales.are_right() {
                true => scales.right(lanes, [sums[b]]),
                false => scales.any(lanes, [sums[b]]),
            };
            lanes.store_block(codes, limits, to);
        }
        B
    }

    /// Computes `P` blocks at neighbouring positions, of which `output` has all channels.
    ///
    /// # Safety
    /// At each position each tap has the channels of the block, and the block weights for each.
    #[inline(always)]
    unsafe fn block<L: Lanes, const P: usize, const KIND: usize>(
        &self,
        lanes: L,
        at: Block<'_>,
        output: &mut [u8],
    ) {
        let block = 2 * L::N;
        let first = at.number * block;
        let per_block = at.taps.len().div_ceil(2) * 2 * block;
        let weights = self.weights.as_ptr().wrapping_add(at.number * per_block);
        let bias = &self.bias[first..][..block];
        let mut sums = [[lanes.load_sums(bias), lanes.load_sums(&bias[L::N..])]; P];
        let (pairs, last) = at.taps.as_chunks::<2>();
        for (number, &[left, right]) in pairs.iter().enumerate() {
            let weights = weights.wrapping_add(number * 2 * block);
            // SAFETY: the caller promises weights for taps rounded up to pairs, `2 * block` a pair.
            let weights = unsafe { lanes.load_word_weights(weights) };
            for (position, sums) in sums.iter_mut().enumerate() {
                // SAFETY: the caller promises the channels.
                let left = unsafe { self.words::<L, KIND>(lanes, &at, left, position) };
                // SAFETY: as above.
                let right = unsafe { self.words::<L, KIND>(lanes, &at, right, position) };
                *sums = lanes.tap_pair(*sums, left, right, weights);
            }
        }
        if let &[last] = last {
            let weights = weights.wrapping_add(pairs.len() * 2 * block);
            // SAFETY: as above.
            let weights = unsafe { lanes.load_word_weights(weights) };
            for (position, sums) in sums.iter_mut().enumerate() {
                // SAFETY: as above.
                let words = unsafe { self.words::<L, KIND>(lanes, &at, last, position) };
                *sums = lanes.last_tap(*sums, words, weights);
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
        tap: Tap,
        position: usize,
    ) -> L::Words {
        let step = tap.step;
        let begin = tap.begin.wrapping_add(at.number * 2 * L::N);
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

/// [`Windows::one_by_one`], of taps that go on for all positions of the output, in a function of its own.
struct OneByOne<'a, L: Lanes, const SIGNED: bool>(L, &'a Windows<'a>, &'a mut [Tap], &'a mut [u8]);

impl<L: Lanes, const SIGNED: bool> Work for OneByOne<'_, L, SIGNED> {
    type Output = ();

    #[inline(always)]
    fn run<M: Lanes>(self, _: M) {
        let Self(lanes, windows, taps, output) = self;
        // SAFETY: `Windows::run` has asserted that taps have all channels and blocks their weights.
        unsafe { windows.one_by_one::<L, SIGNED>(lanes, taps, output) }
    }
}

/// A block of channels.
struct Block<'a> {
    /// At the first position.
    taps: &'a [Tap],
    number: usize,
    /// Channels that exist.
    len: usize,
}
