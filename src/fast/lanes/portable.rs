//! Lanes in plain Rust: arrays that the compiler turns into whatever vectors its target has.
#![expect(unsafe_code, reason = "pointers of the inner loop")]

use super::operands::pairs_of_words;
#[cfg(all(test, target_arch = "x86_64"))]
use super::operands::quads_of_bytes;
use super::{Lanes, Work};
use crate::fast::Isa;
use crate::fixedpoint::{limit, rounding_divide_by_pot, saturating_rounding_doubling_high_mul};

/// Arrays of eight sums.
#[derive(Debug, Clone, Copy)]
pub struct Portable;

/// Lanes with the operands of VNNI, for tests on machines without it.
#[cfg(all(test, target_arch = "x86_64"))]
#[derive(Debug, Clone, Copy)]
pub struct EmulatedVnni;

const N: usize = 8;

#[inline(always)]
fn each(f: impl Fn(usize) -> i32) -> [i32; N] {
    std::array::from_fn(f)
}

#[inline(always)]
fn float_of(bits: i32) -> f32 {
    f32::from_bits(bits.cast_unsigned())
}

#[inline(always)]
fn bits_of(float: f32) -> i32 {
    float.to_bits().cast_signed()
}

/// Everything but the operands, `K` of which are counted.
macro_rules! common {
    ($($k:literal),*) => {
        type Sum = [i32; N];
        type Splat = [Self::Activation; Self::K];
        type Weights = [Self::Weight; N * Self::K];
        const N: usize = N;
        const ROWS: usize = 4;

        fn detect() -> Option<Self> {
            Some(Self)
        }

        fn run<W: Work>(self, work: W) -> W::Output {
            work.run(self)
        }

        #[inline(always)]
        fn load_sums(self, from: &[i32]) -> [i32; N] {
            let from = &from[..N];
            each(|i| from[i])
        }

        #[inline(always)]
        fn store_sums(self, sums: [i32; N], to: &mut [i32]) {
            to[..N].copy_from_slice(&sums);
        }

        #[inline(always)]
        fn splat_sum(self, value: i32) -> [i32; N] {
            [value; N]
        }

        #[inline(always)]
        fn add(self, a: [i32; N], b: [i32; N]) -> [i32; N] {
            each(|i| a[i].wrapping_add(b[i]))
        }

        #[inline(always)]
        fn subtract(self, a: [i32; N], b: [i32; N]) -> [i32; N] {
            each(|i| a[i].wrapping_sub(b[i]))
        }

        #[inline(always)]
        fn shift_left(self, sums: [i32; N], bits: [i32; N]) -> [i32; N] {
            each(|i| sums[i] << (bits[i] & 31))
        }

        #[inline(always)]
        fn shift_right(self, sums: [i32; N], bits: [i32; N]) -> [i32; N] {
            each(|i| sums[i] >> (bits[i] & 31))
        }

        #[inline(always)]
        fn add_float_products(self, sums: [i32; N], a: [i32; N], b: [i32; N]) -> [i32; N] {
            each(|i| bits_of(float_of(sums[i]) + float_of(a[i]) * float_of(b[i])))
        }

        #[inline(always)]
        fn finish_floats(
            self,
            sums: [i32; N],
            bias: [i32; N],
            low: [i32; N],
            high: [i32; N],
        ) -> [i32; N] {
            each(|i| {
                let range = (float_of(low[i]), float_of(high[i]));
                bits_of(limit(float_of(sums[i]) + float_of(bias[i]), range))
            })
        }

        #[inline(always)]
        unsafe fn splat(self, from: *const Self::Activation) -> Self::Splat {
            // SAFETY: the caller promises K activations.
            unsafe { from.cast::<Self::Splat>().read() }
        }

        #[inline(always)]
        unsafe fn load_weights(self, from: *const Self::Weight) -> Self::Weights {
            // SAFETY: the caller promises N * K weights.
            unsafe { from.cast::<Self::Weights>().read() }
        }

        #[inline(always)]
        fn dot(self, sums: [i32; N], activations: Self::Splat, weights: Self::Weights) -> [i32; N] {
            // Spelt out: builds that optimise little make calls of iterators.
            let product = |i: usize, k: usize| {
                i32::from(activations[k]) * i32::from(weights[i * Self::K + k])
            };
            each(|i| sums[i]$(.wrapping_add(product(i, $k)))*)
        }

        #[inline(always)]
        fn scale_right(
            self,
            sums: [i32; N],
            multipliers: [i32; N],
            rights: [i32; N],
            rest: [i32; N],
        ) -> [i32; N] {
            each(|i| {
                let high = saturating_rounding_doubling_high_mul(sums[i], multipliers[i]);
                let half = (high + (high >> 31)) >> (rights[i] & 31);
                half.wrapping_add(rest[i]) >> 1
            })
        }

        #[inline(always)]
        fn scale(
            self,
            sums: [i32; N],
            multipliers: [i32; N],
            lefts: [i32; N],
            rights: [i32; N],
            zero: [i32; N],
        ) -> [i32; N] {
            each(|i| {
                let sum = sums[i].wrapping_shl(lefts[i].cast_unsigned());
                let high = saturating_rounding_doubling_high_mul(sum, multipliers[i]);
                rounding_divide_by_pot(high, rights[i].cast_unsigned()).wrapping_add(zero[i])
            })
        }

        type Limits = (i32, i32);

        #[inline(always)]
        fn limits(self, low: i32, high: i32) -> (i32, i32) {
            (low, high)
        }

        #[inline(always)]
        fn store_codes(self, codes: [i32; N], (low, high): (i32, i32), to: &mut [u8]) {
            let codes = codes.map(|code| code.max(low).min(high) as u8);
            match to.first_chunk_mut::<N>() {
                Some(to) => *to = codes,
                None => to.copy_from_slice(&codes[..to.len()]),
            }
        }

        type Words = [i16; 2 * N];
        type PairWeights = [[i16; 2 * N]; 2];

        fn block_order(sum: usize, lane: usize) -> usize {
            sum * N + lane
        }

        #[inline(always)]
        unsafe fn load_words(self, from: *const u8, len: usize, signed: bool) -> [i16; 2 * N] {
            let mut bytes = [0u8; 2 * N];
            if len == 2 * N {
                // SAFETY: the caller promises `len` bytes.
                bytes = unsafe { from.cast::<[u8; 2 * N]>().read() };
            } else {
                // SAFETY: the caller promises `len` bytes.
                bytes[..len].copy_from_slice(unsafe { std::slice::from_raw_parts(from, len) });
            }
            if signed {
                bytes.map(|byte| i16::from(byte.cast_signed()))
            } else {
                bytes.map(i16::from)
            }
        }

        type Row = [i16; N * Self::K];

        #[inline(always)]
        unsafe fn read_unit(self, from: *const u8, signed: bool) -> Self::Row {
            // SAFETY: the caller promises as many bytes.
            let bytes = unsafe { from.cast::<[u8; N * Self::K]>().read() };
            let offset = Self::weight_offset(signed, 0) as i16;
            match signed {
                true => bytes.map(|byte| i16::from(byte.cast_signed()) + offset),
                false => bytes.map(|byte| i16::from(byte) + offset),
            }
        }

        #[inline(always)]
        fn multiply_row(self, sums: [i32; N], a: Self::Row, b: Self::Row) -> [i32; N] {
            let product = |i: usize, k: usize| {
                i32::from(a[i * Self::K + k]) * i32::from(b[i * Self::K + k])
            };
            each(|i| sums[i]$(.wrapping_add(product(i, $k)))*)
        }

        #[inline(always)]
        fn no_words(self) -> [i16; 2 * N] {
            [0; 2 * N]
        }

        #[inline(always)]
        fn splat_word(self, value: i16) -> [i16; 2 * N] {
            [value; 2 * N]
        }

        #[inline(always)]
        fn subtract_words(self, a: [i16; 2 * N], b: [i16; 2 * N]) -> [i16; 2 * N] {
            std::array::from_fn(|i| a[i].wrapping_sub(b[i]))
        }

        #[inline(always)]
        fn word_products(self, a: [i16; 2 * N], b: [i16; 2 * N]) -> [[i32; N]; 2] {
            let product = |i: usize| i32::from(a[i]) * i32::from(b[i]);
            [each(product), each(|i| product(N + i))]
        }

        #[inline(always)]
        unsafe fn load_word_weights(self, from: *const i16) -> [[i16; 2 * N]; 2] {
            // SAFETY: the caller promises as many weights.
            unsafe { from.cast::<[[i16; 2 * N]; 2]>().read() }
        }

        #[inline(always)]
        fn tap_pair(
            self,
            sums: [[i32; N]; 2],
            left: [i16; 2 * N],
            right: [i16; 2 * N],
            weights: [[i16; 2 * N]; 2],
        ) -> [[i32; N]; 2] {
            std::array::from_fn(|half| {
                each(|i| {
                    let product = |words: &[i16; 2 * N], tap: usize| {
                        i32::from(words[half * N + i]) * i32::from(weights[half][2 * i + tap])
                    };
                    sums[half][i]
                        .wrapping_add(product(&left, 0))
                        .wrapping_add(product(&right, 1))
                })
            })
        }

        #[inline(always)]
        fn store_block(self, codes: [[i32; N]; 2], limits: (i32, i32), to: &mut [u8]) {
            for (codes, to) in codes.into_iter().zip(to.chunks_mut(N)) {
                self.store_codes(codes, limits, to);
            }
        }
    };
}

impl Lanes for Portable {
    const ISA: Isa = Isa::Portable;
    pairs_of_words!();
    common!(0, 1);

    #[inline(always)]
    unsafe fn read_row(self, from: *const i16) -> Self::Row {
        // SAFETY: the caller promises as many activations.
        unsafe { from.cast::<Self::Row>().read() }
    }
}

#[cfg(all(test, target_arch = "x86_64"))]
impl Lanes for EmulatedVnni {
    const ISA: Isa = Isa::Avx512Vnni;
    quads_of_bytes!();
    common!(0, 1, 2, 3);
    const QUADS: bool = true;

    #[inline(always)]
    unsafe fn read_row(self, from: *const u8) -> Self::Row {
        // SAFETY: the caller promises as many activations.
        unsafe { from.cast::<[u8; N * Self::K]>().read() }.map(i16::from)
    }
}
