//! Instruction sets behind one trait. The only unsafe code of the kernels is here.
//!
//! A type that implements [`Lanes`] is a token: a value of it exists only where the instructions do. Its methods are
//! `#[inline(always)]` around functions with the target's features; [`Lanes::run`] enters such a function with the whole
//! loop, so that everything inside is inlined into code that may use them.

#[cfg(any(target_arch = "x86_64", target_arch = "aarch64", test))]
mod few;
mod operands;
mod portable;

#[cfg(target_arch = "aarch64")]
mod neon;
#[cfg(target_arch = "aarch64")]
mod neon_common;
#[cfg(target_arch = "aarch64")]
mod neon_dots;
#[cfg(target_arch = "aarch64")]
mod neon_ends;
#[cfg(target_arch = "aarch64")]
mod neon_tile;

#[cfg(target_arch = "x86_64")]
mod avx2;
#[cfg(target_arch = "x86_64")]
mod avx512;
#[cfg(target_arch = "x86_64")]
mod avx512_quads;
#[cfg(target_arch = "x86_64")]
mod look_up;
#[cfg(target_arch = "x86_64")]
mod x86;

pub mod channelwise;
pub mod floats;
pub mod places;
pub mod quads;
pub mod rows;
pub mod sliding;
pub mod tile;

use super::Isa;
use super::aligned::Aligned;
use bytemuck::Pod;
use quads::QUAD;
use tile::WholeTiles;

/// The most sums any vector holds.
pub const MOST_SUMS: usize = 16;

/// Weights of a pair of taps, the same in every lane, as [`Lanes::pair_weights`] takes them.
pub fn same_pair<L: Lanes>(pair: [i16; 2]) -> Aligned {
    let mut weights = [0; 4 * MOST_SUMS];
    for lane in 0..2 * L::N {
        for (tap, weight) in pair.into_iter().enumerate() {
            weights[L::pair_order(lane, tap)] = weight;
        }
    }
    Aligned::of(&weights)
}

/// A loop to be compiled for an instruction set.
pub trait Work {
    /// What it gives.
    type Output;
    /// The loop; implementations are `#[inline(always)]`.
    fn run<L: Lanes>(self, lanes: L) -> Self::Output;
}

/// Runs `work` compiled for the instructions in a function of its own, whose loops have all registers to themselves.
#[inline(never)]
pub fn apart<L: Lanes, W: Work>(lanes: L, work: W) -> W::Output {
    lanes.run(work)
}

/// Vectors of `N` 32-bit sums, and what they are made from.
///
/// A stored activation byte `a` becomes `a + activation_offset`, a stored weight `w` becomes `w + weight_offset`; [`dot`]
/// multiplies these.
///
/// [`dot`]: Lanes::dot
pub trait Lanes: Copy + Send + Sync + 'static {
    /// `N` sums.
    type Sum: Copy;
    /// `K` activations, repeated for every sum.
    type Splat: Copy;
    /// `N * K` weights.
    type Weights: Copy;
    /// An activation in scratch memory.
    type Activation: Pod + Send + Sync;
    /// A packed weight.
    type Weight: Pod + Send + Sync;
    /// What the lanes are written for.
    const ISA: Isa;
    /// Sums in a vector.
    const N: usize;
    /// Products that one dot step adds to each sum.
    const K: usize;
    /// Weights of one lane that stand side by side in the `N * K` of a dot step: a divisor of `K`.
    const GROUP: usize = Self::K;
    /// The most rows of a tile of [`VECTORS`](Self::VECTORS) vectors that registers hold.
    const ROWS: usize;
    /// The most vectors of a tile.
    const VECTORS: usize = 2;

    /// The token, where this machine has the instructions.
    fn detect() -> Option<Self>;
    /// Runs `work` compiled for the instructions.
    fn run<W: Work>(self, work: W) -> W::Output;

    /// Added to a stored activation byte, read as int8 where `signed`.
    fn activation_offset(signed: bool) -> i32;
    /// The activation for a stored byte.
    fn activation(byte: u8, signed: bool) -> Self::Activation;
    /// Whether an activation is the stored byte as it is.
    fn reads_stored(_signed: bool) -> bool {
        false
    }
    /// Stored bytes as activations; only asked for where [`reads_stored`](Self::reads_stored).
    fn stored(_: &[u8]) -> &[Self::Activation] {
        &[]
    }
    /// The sum of activations; only asked for where weights keep their zero point.
    fn sum(activations: &[Self::Activation]) -> i32;
    /// Added to a stored weight that has zero point `zero`.
    fn weight_offset(signed: bool, zero: i32) -> i32;
    /// The packed weight for a stored weight plus its offset.
    fn weight(value: i32) -> Self::Weight;

    /// Reads `N` sums.
    fn load_sums(self, from: &[i32]) -> Self::Sum;
    /// Writes `N` sums.
    fn store_sums(self, sums: Self::Sum, to: &mut [i32]);
    /// One number in every lane.
    fn splat_sum(self, value: i32) -> Self::Sum;
    /// Wrapping sums.
    fn add(self, a: Self::Sum, b: Self::Sum) -> Self::Sum;
    /// Wrapping differences.
    fn subtract(self, a: Self::Sum, b: Self::Sum) -> Self::Sum;
    /// Sums shifted to the left by `bits`.
    fn shift_left(self, sums: Self::Sum, bits: Self::Sum) -> Self::Sum;
    /// Sums shifted to the right by `bits`, rounded down.
    fn shift_right(self, sums: Self::Sum, bits: Self::Sum) -> Self::Sum;
    /// `then` where `numbers` are negative, `otherwise` elsewhere.
    #[inline(always)]
    fn if_negative(self, numbers: Self::Sum, then: Self::Sum, otherwise: Self::Sum) -> Self::Sum {
        let mut arrays = [[0; MOST_SUMS]; 3];
        for (array, sums) in arrays.iter_mut().zip([numbers, then, otherwise]) {
            self.store_sums(sums, array);
        }
        let [numbers, then, mut chosen] = arrays;
        for (lane, chosen) in chosen[..Self::N].iter_mut().enumerate() {
            if numbers[lane] < 0 {
                *chosen = then[lane];
            }
        }
        self.load_sums(&chosen)
    }
    /// Sums of float32 plus products, which are rounded, too; all of them the bits of `N` numbers.
    fn add_float_products(self, sums: Self::Sum, a: Self::Sum, b: Self::Sum) -> Self::Sum;
    /// Sums of float32 plus `bias` within a range; all of them the bits of `N` numbers. What is no number stays what it is.
    fn finish_floats(
        self,
        sums: Self::Sum,
        bias: Self::Sum,
        low: Self::Sum,
        high: Self::Sum,
    ) -> Self::Sum;
    /// Reads `K` activations.
    ///
    /// # Safety
    /// `from` is valid for reading `K` activations.
    #[expect(unsafe_code, reason = "the inner loop checks no bounds")]
    unsafe fn splat(self, from: *const Self::Activation) -> Self::Splat;
    /// Reads `N * K` weights.
    ///
    /// # Safety
    /// `from` is valid for reading `N * K` weights.
    #[expect(unsafe_code, reason = "the inner loop checks no bounds")]
    unsafe fn load_weights(self, from: *const Self::Weight) -> Self::Weights;
    /// `sums` plus the products of `K` activations with each lane's `K` weights.
    fn dot(self, sums: Self::Sum, activations: Self::Splat, weights: Self::Weights) -> Self::Sum;
    /// Whether there is [`whole_tiles`](Self::whole_tiles).
    const WHOLE_TILES: bool = false;
    /// Whether [`whole_tiles`](Self::whole_tiles) may be called with these weights of a vector.
    fn suits_whole_tile(_: &[Self::Weight]) -> bool {
        false
    }
    /// Computes rows that begin at `begins` from their first product to the stored byte, by loops of the lanes' own: the first
    /// `channels` of `C` vectors, to `output`, where rows are `stride` apart. `terms` are added to the sums of the rows, if there
    /// are any. Gives the number of rows that it has computed, from the first on.
    ///
    /// # Safety
    /// What `tiles` points to, at each of `begins`, is valid for reading the steps it tells, and one step more but at
    /// the last three; as many terms are there
    /// as rows, or none; `output` is valid for writing the channels of all rows. The weights suit, as
    /// [`suits_whole_tile`](Self::suits_whole_tile) says.
    #[expect(unsafe_code, reason = "the inner loop checks no bounds")]
    #[inline(always)]
    unsafe fn whole_tiles<const C: usize>(
        self,
        _tiles: &WholeTiles<Self::Activation, Self::Weight>,
        _begins: &[u32],
        _terms: &[i32],
        _channels: usize,
        _output: *mut u8,
        _stride: usize,
    ) -> usize {
        0
    }

    /// A shift to the right by `bits`, at least one, as [`scale_right`](Self::scale_right) takes it.
    fn right_shift(bits: i32) -> i32 {
        bits - 1
    }
    /// Requantization with two roundings where every shift is to the right: the rounded doubling high product with
    /// `multipliers`, shifted right by what [`right_shift`](Self::right_shift) gave `rights` for, with ties away from zero, plus a
    /// zero point; `rest` is twice the zero point plus one.
    fn scale_right(
        self,
        sums: Self::Sum,
        multipliers: Self::Sum,
        rights: Self::Sum,
        rest: Self::Sum,
    ) -> Self::Sum;
    /// [`scale_right`](Self::scale_right) without the zero point where only positive results matter: negative ones may round either
    /// way.
    #[inline(always)]
    fn scale_positive(
        self,
        sums: Self::Sum,
        multipliers: Self::Sum,
        rights: Self::Sum,
    ) -> Self::Sum {
        self.scale_right(sums, multipliers, rights, self.splat_sum(1))
    }
    /// Requantization with two roundings: shifted left by `lefts`, the rounded doubling high product with `multipliers`,
    /// shifted right by `rights` with ties away from zero, plus `zero`.
    fn scale(
        self,
        sums: Self::Sum,
        multipliers: Self::Sum,
        lefts: Self::Sum,
        rights: Self::Sum,
        zero: Self::Sum,
    ) -> Self::Sum;
    /// The lowest and the highest result of an output stage.
    type Limits: Copy;
    /// Limits for bytes from `low` to `high`, which are int8 where `low` is negative.
    fn limits(self, low: i32, high: i32) -> Self::Limits;
    /// Limits results and writes the first `to.len()` (at most `N`) of them as bytes.
    fn store_codes(self, codes: Self::Sum, limits: Self::Limits, to: &mut [u8]);
    /// Limits the results of four vectors and writes the first `to.len()` (at most `4 * N`) of them as bytes.
    #[inline(always)]
    fn store_four(self, codes: [Self::Sum; 4], limits: Self::Limits, to: &mut [u8]) {
        for (codes, to) in codes.into_iter().zip(to.chunks_mut(Self::N)) {
            self.store_codes(codes, limits, to);
        }
    }
    /// Limits the results of two rows of vectors and writes as many as the rows of `to` have room for.
    #[inline(always)]
    fn store_rows<const C: usize>(
        self,
        above: [Self::Sum; C],
        below: [Self::Sum; C],
        limits: Self::Limits,
        to: [&mut [u8]; 2],
    ) {
        for (codes, to) in [above, below].into_iter().zip(to) {
            for (codes, to) in codes.into_iter().zip(to.chunks_mut(Self::N)) {
                self.store_codes(codes, limits, to);
            }
        }
    }

    /// `2 * N` neighbouring bytes, widened to 16 bits.
    type Words: Copy;
    /// The weights of a pair of taps for `2 * N` channels.
    type PairWeights: Copy;
    /// Whether neighbouring windows are computed side by side: registers hold their sums.
    const SLIDES: bool = false;
    /// Whether windows that are not are computed a few at a time.
    const NEIGHBOURS: bool = false;
    /// Which of `2 * N` neighbouring channels stands in lane `lane` of sum 0 or 1 of a block.
    fn block_order(sum: usize, lane: usize) -> usize;
    /// Where the weights of a pair of taps have that of tap 0 or 1 for the block's lane `within`.
    fn pair_order(within: usize, tap: usize) -> usize {
        2 * within + tap
    }
    /// Reads `len` bytes, at most `2 * N`, as int8 where `signed`; further words are anything.
    ///
    /// # Safety
    /// `from` is valid for reading `len` bytes.
    #[expect(unsafe_code, reason = "the inner loop checks no bounds")]
    unsafe fn load_words(self, from: *const u8, len: usize, signed: bool) -> Self::Words;
    /// Reads `N` bytes at each of two places, as int8 where `signed`.
    ///
    /// # Safety
    /// Both pointers are valid for reading `N` bytes.
    #[expect(unsafe_code, reason = "the inner loop checks no bounds")]
    #[inline(always)]
    unsafe fn load_halves(self, from: [*const u8; 2], signed: bool) -> Self::Words {
        let mut bytes = [0u8; 2 * MOST_SUMS];
        for (to, from) in bytes.chunks_exact_mut(Self::N).zip(from) {
            // SAFETY: the caller promises `N` bytes.
            to.copy_from_slice(unsafe { std::slice::from_raw_parts(from, Self::N) });
        }
        self.words(&bytes, signed)
    }
    /// At most `2 * N` bytes, as int8 where `signed`; further words are anything.
    #[expect(unsafe_code, reason = "a length that the slice proves")]
    #[inline(always)]
    fn words(self, bytes: &[u8], signed: bool) -> Self::Words {
        let len = bytes.len().min(2 * Self::N);
        // SAFETY: the slice has `len` bytes.
        unsafe { self.load_words(bytes.as_ptr(), len, signed) }
    }
    /// `N * K` neighbours of a row: activations, or weights of one unit.
    type Row: Copy;
    /// Reads `N * K` activations.
    ///
    /// # Safety
    /// `from` is valid for reading `N * K` activations.
    #[expect(unsafe_code, reason = "the inner loop checks no bounds")]
    unsafe fn read_row(self, from: *const Self::Activation) -> Self::Row;
    /// Reads `N * K` stored weights, to which it adds the [`weight_offset`](Self::weight_offset) of a zero point of 0.
    ///
    /// # Safety
    /// `from` is valid for reading `N * K` bytes.
    #[expect(unsafe_code, reason = "the inner loop checks no bounds")]
    unsafe fn read_unit(self, from: *const u8, signed: bool) -> Self::Row;
    /// `sums` plus the products of neighbours, each in some lane.
    fn multiply_row(self, sums: Self::Sum, activations: Self::Row, weights: Self::Row)
    -> Self::Sum;
    /// Whether depthwise convolutions copy quads of columns: there are four products a sum, and
    /// [`interleave`](Self::interleave) is quick.
    const QUADS: bool = false;
    /// Writes the activations of neighbouring channels at four columns, those of a channel side by side. What `to` has room for
    /// behind them may be written, too, for a vector.
    #[inline(always)]
    fn interleave(self, columns: [&[u8]; QUAD], signed: bool, to: &mut [Self::Activation]) {
        for (channel, to) in to.chunks_exact_mut(QUAD).take(columns[0].len()).enumerate() {
            for (to, column) in to.iter_mut().zip(columns) {
                *to = Self::activation(column[channel], signed);
            }
        }
    }
    /// [`interleave`](Self::interleave) for the columns of a row: `count` times four, beginning at every second one.
    #[inline(always)]
    fn interleave_row(
        self,
        row: &[u8],
        channels: usize,
        count: usize,
        signed: bool,
        to: &mut [Self::Activation],
    ) {
        for quad in 0..count {
            let columns = &row[2 * quad * channels..][..QUAD * channels];
            let columns = std::array::from_fn(|column| &columns[column * channels..][..channels]);
            self.interleave(columns, signed, &mut to[quad * channels * QUAD..]);
        }
    }
    /// `to` with its lanes from `4 * quad` on replaced by the sums of all lanes of each of four vectors.
    #[inline(always)]
    fn with_totals(self, to: Self::Sum, quad: usize, sums: [Self::Sum; 4]) -> Self::Sum {
        let mut totals = [0; MOST_SUMS];
        self.store_sums(to, &mut totals);
        for (total, sums) in totals[4 * quad..].iter_mut().zip(sums) {
            let mut array = [0; MOST_SUMS];
            self.store_sums(sums, &mut array);
            *total = array[..Self::N].iter().copied().fold(0, i32::wrapping_add);
        }
        self.load_sums(&totals)
    }
    /// Words that are all 0.
    fn no_words(self) -> Self::Words;
    /// One number in every word.
    fn splat_word(self, value: i16) -> Self::Words;
    /// Wrapping differences of words.
    fn subtract_words(self, a: Self::Words, b: Self::Words) -> Self::Words;
    /// The products of words, in the order of the sums of a block.
    fn word_products(self, a: Self::Words, b: Self::Words) -> [Self::Sum; 2];
    /// Reads the weights of a pair of taps for the lanes of both sums, in the order of [`pair_order`](Self::pair_order).
    ///
    /// # Safety
    /// `from` is valid for reading `4 * N` weights.
    #[expect(unsafe_code, reason = "the inner loop checks no bounds")]
    unsafe fn load_word_weights(self, from: *const i16) -> Self::PairWeights;
    /// The first `4 * N` weights, which are those of a pair of taps.
    #[expect(unsafe_code, reason = "a length that the slice proves")]
    #[inline(always)]
    fn pair_weights(self, weights: &[i16]) -> Self::PairWeights {
        let weights = &weights[..4 * Self::N];
        // SAFETY: the slice has as many weights.
        unsafe { self.load_word_weights(weights.as_ptr()) }
    }
    /// `sums` plus the products of two taps with their weights, channel by channel.
    fn tap_pair(
        self,
        sums: [Self::Sum; 2],
        left: Self::Words,
        right: Self::Words,
        weights: Self::PairWeights,
    ) -> [Self::Sum; 2];
    /// `sums` plus the products of the last tap with its weights, those of the pair's tap 0.
    #[inline(always)]
    fn last_tap(
        self,
        sums: [Self::Sum; 2],
        words: Self::Words,
        weights: Self::PairWeights,
    ) -> [Self::Sum; 2] {
        self.tap_pair(sums, words, self.no_words(), weights)
    }
    /// Whether there is [`byte_taps`](Self::byte_taps).
    const BYTE_TAPS: bool = false;
    /// `sums` plus the products of `G` taps with their weights, for `2 * N` neighbouring channels in the order of the sums.
    ///
    /// # Safety
    /// `taps` and `weights` are valid for reading `2 * N` activations and as many weights each. In no channel the sum of the
    /// products needs more than 16 bits.
    #[expect(unsafe_code, reason = "the inner loop checks no bounds")]
    #[inline(always)]
    unsafe fn byte_taps<const G: usize>(
        self,
        sums: [Self::Sum; 2],
        _taps: [*const u8; G],
        _weights: [*const i8; G],
    ) -> [Self::Sum; 2] {
        sums
    }
    /// Limits the results of a block and writes the first `to.len()` (at most `2 * N`) channels as bytes.
    fn store_block(self, codes: [Self::Sum; 2], limits: Self::Limits, to: &mut [u8]);
    /// Writes the results of a block, positive numbers from `low` on: the least of the byte's type, whose greatest limits them.
    #[inline(always)]
    fn store_positive(self, codes: [Self::Sum; 2], low: i32, to: &mut [u8]) {
        let low_sum = self.splat_sum(low);
        let limits = self.limits(low, low + 255);
        self.store_block(codes.map(|codes| self.add(codes, low_sum)), limits, to);
    }
}

/// Calls a macro with the name and the lanes of every instruction set, best first: all lists of variants come from here.
macro_rules! for_each_isa {
    ($list:ident) => {
        $list! {
            #[cfg(target_arch = "x86_64")] "avx512vnni" => $crate::fast::lanes::Avx512Vnni,
            #[cfg(target_arch = "x86_64")] "avx512bw" => $crate::fast::lanes::Avx512Bw,
            #[cfg(target_arch = "x86_64")] "avx2" => $crate::fast::lanes::Avx2,
            #[cfg(target_arch = "aarch64")] "dotprod" => $crate::fast::lanes::Dotprod,
            #[cfg(target_arch = "aarch64")] "neon" => $crate::fast::lanes::Neon,
            #[cfg(all())] "portable" => $crate::fast::lanes::Portable,
            #[cfg(all(test, target_arch = "x86_64"))]
            "avx512vnni-emulated" => $crate::fast::lanes::EmulatedVnni,
        }
    };
}
pub(in crate::fast) use for_each_isa;

#[cfg(target_arch = "x86_64")]
pub use avx2::Avx2;
#[cfg(target_arch = "x86_64")]
pub use avx512::{Avx512Bw, Avx512Vnni};
#[cfg(target_arch = "x86_64")]
pub use look_up::{Avx512Vbmi, LookUp};
#[cfg(target_arch = "aarch64")]
pub use neon::{Dotprod, Neon};
#[cfg(all(test, target_arch = "x86_64"))]
pub use portable::EmulatedVnni;
pub use portable::Portable;
