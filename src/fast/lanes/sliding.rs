//! The inner loop of depthwise convolutions at neighbouring positions: windows that overlap share what they read.
#![expect(unsafe_code, reason = "pointers of the inner loop")]

use super::Lanes;
use crate::fast::stage::{Scales, StageView};

/// The most positions that are computed side by side.
pub const POSITIONS: usize = 4;

/// The fewest.
pub const FEWEST: usize = 2;

/// What taps are multiplied with.
#[derive(Clone, Copy)]
pub enum Weights<'a> {
    /// Words, for stored bytes that are int8 or not: block after block, pair of taps after pair of taps, `2 * N` pairs of weights.
    Words(&'a [i16], bool),
    /// Those of each block as bytes or, where they do not fit, as words, for activations of [`Lanes::byte_taps`].
    Bytes {
        /// Block after block, tap after tap, `2 * N` weights.
        bytes: &'a [i8],
        /// As above.
        words: &'a [i16],
        /// By block: see [`group`].
        groups: &'a [usize],
    },
}

/// Numbers of neighbouring taps whose products are added in 16 bits, the greatest first.
const GROUPS: [usize; 3] = [9, 3, 2];

/// How many neighbouring taps of a block have their products added in 16 bits, by whether `fits` allows a number of them; 0 where
/// none are.
pub fn group(fits: impl Fn(usize) -> bool) -> usize {
    GROUPS.into_iter().find(|&taps| fits(taps)).unwrap_or(0)
}

/// Neighbouring windows of `ROWS` by `COLUMNS` taps, `STRIDE` columns apart, none of which reaches over the picture's sides.
pub struct Sliding<'a, const ROWS: usize, const COLUMNS: usize, const STRIDE: usize> {
    /// By row of taps, what the windows read: bytes of all channels, those of the first window's first column first. In the
    /// padding there are zero points for [`POSITIONS`] windows.
    pub rows: [&'a [u8]; ROWS],
    /// By row of taps: whether it lies in the padding.
    pub padded: [bool; ROWS],
    /// How many lanes a position has: whole blocks.
    pub channels: usize,
    /// Bytes from one column to the next: as many as a position has lanes, or half as many where it stands for two neighbouring
    /// windows of a stride of 1, whose `N` channels fill one block. `STRIDE` is then 2.
    pub column: usize,
    /// In the order of the lanes.
    pub weights: Weights<'a>,
    /// Added to the sums, in the order of the lanes.
    pub bias: &'a [i32],
    /// From sums to results.
    pub stage: StageView<'a>,
}

impl<const ROWS: usize, const COLUMNS: usize, const STRIDE: usize>
    Sliding<'_, ROWS, COLUMNS, STRIDE>
{
    const TAPS: usize = ROWS * COLUMNS;
    /// Weights of a channel as words, which are pairs.
    const WORDS: usize = Self::TAPS.div_ceil(2) * 2;
    /// Columns that [`POSITIONS`] windows read.
    pub const REACH: usize = (POSITIONS - 1) * STRIDE + COLUMNS;

    /// Computes as many positions as `output` has room for, at least [`FEWEST`].
    #[inline(always)]
    pub fn run<L: Lanes>(&self, lanes: L, output: &mut [u8]) {
        let block = 2 * L::N;
        let blocks = self.channels / block;
        match self.weights {
            Weights::Bytes {
                bytes,
                words,
                groups,
            } => {
                let (len, words_len) = (Self::TAPS * block, Self::WORDS * block);
                assert!(L::BYTE_TAPS && bytes.len() >= blocks * len);
                assert!(words.len() >= blocks * words_len);
                self.blocks(lanes, output, |number| Either {
                    bytes: bytes[number * len..].as_ptr(),
                    words: words[number * words_len..].as_ptr(),
                    group: groups[number],
                });
            }
            Weights::Words(weights, signed) => {
                let len = Self::WORDS * block;
                assert!(weights.len() >= blocks * len);
                let weights = |number: usize| weights[number * len..].as_ptr();
                if signed {
                    self.blocks(lanes, output, |number| Words::<true>(weights(number)));
                } else {
                    self.blocks(lanes, output, |number| Words::<false>(weights(number)));
                }
            }
        }
    }

    /// Block after block of channels; `products` gives a block's weights.
    #[inline(always)]
    fn blocks<L: Lanes, P: Products<L>>(
        &self,
        lanes: L,
        output: &mut [u8],
        products: impl Fn(usize) -> P,
    ) {
        let channels = self.channels;
        let positions = output.len() / channels;
        // What the pointers below read.
        assert!(positions >= FEWEST && output.len() == positions * channels);
        assert!(channels.is_multiple_of(2 * L::N));
        for (row, padded) in self.rows.iter().zip(self.padded) {
            let last = if padded { POSITIONS } else { positions } - 1;
            assert!(row.len() >= (last * STRIDE + COLUMNS - 1) * self.column + channels);
        }
        let output = output.as_mut_ptr();
        let steps = self
            .padded
            .map(|padded| if padded { 0 } else { STRIDE * self.column });
        // Positions that are computed four at a time.
        let fours = match positions % POSITIONS {
            _ if positions < POSITIONS => 0,
            rest if rest > FEWEST => positions,
            rest => positions - rest,
        };
        let limits = self.stage.limits(lanes);
        for (number, first) in (0..channels).step_by(2 * L::N).enumerate() {
            let bias = &self.bias[first..][..2 * L::N];
            let block = Block {
                channels,
                column: self.column,
                products: products(number),
                bias: [lanes.load_sums(bias), lanes.load_sums(&bias[L::N..])],
                scales: self.stage.at(lanes, first),
                limits,
            };
            let starts = self.rows.map(|row| row[first..].as_ptr());
            let rows = |position: usize| {
                std::array::from_fn(|row| starts[row].wrapping_add(position * steps[row]))
            };
            let to = |position: usize| output.wrapping_add(position * channels + first);
            // The last positions may be computed twice.
            for position in (0..fours).step_by(POSITIONS) {
                let position = position.min(positions - POSITIONS);
                // SAFETY: rows and results go on for so many positions, as asserted.
                unsafe {
                    block.positions::<POSITIONS, ROWS, COLUMNS, STRIDE>(
                        lanes,
                        rows(position),
                        to(position),
                    );
                }
            }
            for position in (fours..positions).step_by(FEWEST) {
                let position = position.min(positions - FEWEST);
                // SAFETY: as above.
                unsafe {
                    block.positions::<FEWEST, ROWS, COLUMNS, STRIDE>(
                        lanes,
                        rows(position),
                        to(position),
                    );
                }
            }
        }
    }
}

/// A block's weights.
trait Products<L: Lanes>: Copy {
    /// Adds to the sums of `P` positions the products of `taps` taps; `at` gives where a tap's channels begin for a position.
    ///
    /// # Safety
    /// Weights of as many taps are there, and a block's channels wherever `at` points to.
    unsafe fn add<const P: usize>(
        self,
        lanes: L,
        sums: &mut [[L::Sum; 2]; P],
        taps: usize,
        at: impl Fn(usize, usize) -> *const u8,
    );
}

#[derive(Clone, Copy)]
struct Words<const SIGNED: bool>(*const i16);

impl<L: Lanes, const SIGNED: bool> Products<L> for Words<SIGNED> {
    #[inline(always)]
    unsafe fn add<const P: usize>(
        self,
        lanes: L,
        sums: &mut [[L::Sum; 2]; P],
        taps: usize,
        at: impl Fn(usize, usize) -> *const u8,
    ) {
        let block = 2 * L::N;
        for tap in (0..taps).step_by(2) {
            // SAFETY: a block has weights for `taps` rounded up to pairs, `2 * block` a pair.
            let weights = unsafe { lanes.load_word_weights(self.0.wrapping_add(tap * block)) };
            for (position, sums) in sums.iter_mut().enumerate() {
                // No closure, which may stay a call and lose the vectors. SAFETY: the caller promises the channels.
                let left = unsafe { lanes.load_words(at(tap, position), block, SIGNED) };
                *sums = if tap + 1 < taps {
                    // SAFETY: as above.
                    let right = unsafe { lanes.load_words(at(tap + 1, position), block, SIGNED) };
                    lanes.tap_pair(*sums, left, right, weights)
                } else {
                    lanes.last_tap(*sums, left, weights)
                };
            }
        }
    }
}

/// Bytes, of `G` neighbouring taps of which the products fit 16 bits.
#[derive(Clone, Copy)]
struct Bytes<const G: usize>(*const i8);

impl<L: Lanes, const G: usize> Products<L> for Bytes<G> {
    #[inline(always)]
    unsafe fn add<const P: usize>(
        self,
        lanes: L,
        sums: &mut [[L::Sum; 2]; P],
        taps: usize,
        at: impl Fn(usize, usize) -> *const u8,
    ) {
        let weights = |tap: usize| self.0.wrapping_add(tap * 2 * L::N);
        for first in (0..taps).step_by(G) {
            for (position, sums) in sums.iter_mut().enumerate() {
                if first + G <= taps {
                    let group = std::array::from_fn::<_, G, _>(|tap| at(first + tap, position));
                    let weights = std::array::from_fn(|tap| weights(first + tap));
                    // SAFETY: the caller promises the channels, and a block's weights for each tap.
                    *sums = unsafe { lanes.byte_taps(*sums, group, weights) };
                    continue;
                }
                for tap in first..taps {
                    // SAFETY: as above.
                    *sums = unsafe { lanes.byte_taps(*sums, [at(tap, position)], [weights(tap)]) };
                }
            }
        }
    }
}

/// A block's weights in the form that suits them.
#[derive(Clone, Copy)]
struct Either {
    bytes: *const i8,
    words: *const i16,
    /// See [`group`].
    group: usize,
}

impl<L: Lanes> Products<L> for Either {
    #[inline(always)]
    unsafe fn add<const P: usize>(
        self,
        lanes: L,
        sums: &mut [[L::Sum; 2]; P],
        taps: usize,
        at: impl Fn(usize, usize) -> *const u8,
    ) {
        match self.group {
            // SAFETY: what the caller promises, in each case.
            9 => unsafe { Bytes::<9>(self.bytes).add(lanes, sums, taps, at) },
            // SAFETY: as above.
            3 => unsafe { Bytes::<3>(self.bytes).add(lanes, sums, taps, at) },
            // SAFETY: as above.
            2 => unsafe { Bytes::<2>(self.bytes).add(lanes, sums, taps, at) },
            // SAFETY: as above.
            _ => unsafe { Words::<true>(self.words).add(lanes, sums, taps, at) },
        }
    }
}

/// What all positions of a block of channels share.
struct Block<'a, L: Lanes, P> {
    /// Channels of all blocks.
    channels: usize,
    /// Bytes from one column to the next.
    column: usize,
    products: P,
    bias: [L::Sum; 2],
    scales: Scales<'a, L, 2>,
    limits: L::Limits,
}

impl<L: Lanes, P: Products<L>> Block<'_, L, P> {
    /// `COUNT` positions; each of `rows` and the output begin with the block's channels of the first of them.
    ///
    /// # Safety
    /// The rows have the columns of so many windows, the output so many positions.
    #[inline(always)]
    unsafe fn positions<
        const COUNT: usize,
        const ROWS: usize,
        const COLUMNS: usize,
        const STRIDE: usize,
    >(
        &self,
        lanes: L,
        rows: [*const u8; ROWS],
        output: *mut u8,
    ) {
        let block = 2 * L::N;
        let at = |tap: usize, position: usize| {
            let column = position * STRIDE + tap % COLUMNS;
            rows[tap / COLUMNS].wrapping_add(column * self.column)
        };
        let mut sums = [self.bias; COUNT];
        // SAFETY: each column of the windows has the block's channels, and the block weights for each tap.
        unsafe { self.products.add(lanes, &mut sums, ROWS * COLUMNS, at) };
        let to = |position: usize| {
            let to = output.wrapping_add(position * self.channels);
            // SAFETY: the output has the block's channels there, and positions do not overlap.
            unsafe { std::slice::from_raw_parts_mut(to, block) }
        };
        if let Some(low) = self.scales.positive() {
            for (position, codes) in self
                .scales
                .positive_part(lanes, sums)
                .into_iter()
                .enumerate()
            {
                lanes.store_positive(codes, low, to(position));
            }
            return;
        }
        self.scales.apply(lanes, sums, |codes: [_; COUNT]| {
            for (position, codes) in codes.into_iter().enumerate() {
                lanes.store_block(codes, self.limits, to(position));
            }
        });
    }
}
