//! aarch64 with NEON, which every such machine has, and with the dot products of Armv8.2.
//!
//! NEON lanes multiply bytes to 16 bits and add pairs of products to 32. A dot step takes four activations: products with the
//! first two weights of each lane stand in one vector, those with the other two in another. Dotprod lanes have one instruction
//! for a step and everything else in common.
#![expect(
    unsafe_code,
    reason = "calls of functions for instructions that a token proves present"
)]

use super::few::read_few;
use super::neon_common::{Common, Limits, each_tile, sum_of_blocks, with_neon};
use super::neon_dots::{dots, four_by_four_dots, four_by_two_dots};
use super::neon_tile::{four_by_four, four_by_two};
use super::tile::WholeTiles;
use super::{Lanes, Work};
use crate::fast::Isa;
use std::arch::aarch64::*;

/// Proof that the machine has NEON.
#[derive(Debug, Clone, Copy)]
pub struct Neon(Common);

/// Proof that the machine has NEON and dot products.
#[derive(Debug, Clone, Copy)]
pub struct Dotprod(Common);

/// Methods of lanes that are done by [`Common`].
macro_rules! by_common {
    ($(fn $name:ident($($arg:ident: $ty:ty),*) -> $out:ty;)*) => {$(
        #[inline(always)]
        fn $name(self, $($arg: $ty),*) -> $out {
            self.0.$name($($arg),*)
        }
    )*};
}

/// Everything but detection and the dot step.
macro_rules! common {
    ($lanes:ident, $features:literal, $four:ident, $two:ident) => {
        type Sum = int32x4_t;
        type Activation = i8;
        type Weight = i8;
        type Limits = Limits;
        type Words = int16x8_t;
        type PairWeights = [int16x8_t; 2];
        type Row = int8x16_t;
        const N: usize = 4;
        const K: usize = 4;
        const ROWS: usize = 4;
        const VECTORS: usize = 4;
        const WHOLE_TILES: bool = true;
        const SLIDES: bool = true;
        const BYTE_TAPS: bool = true;

        fn run<W: Work>(self, work: W) -> W::Output {
            #[target_feature(enable = $features)]
            fn inner<W: Work>(lanes: $lanes, work: W) -> W::Output {
                work.run(lanes)
            }
            // SAFETY: the token proves the features.
            unsafe { inner(self, work) }
        }

        #[inline(always)]
        fn activation_offset(signed: bool) -> i32 {
            if signed { 0 } else { -128 }
        }

        #[inline(always)]
        fn activation(byte: u8, signed: bool) -> i8 {
            (byte ^ if signed { 0 } else { 0x80 }).cast_signed()
        }

        fn reads_stored(signed: bool) -> bool {
            signed
        }

        #[inline(always)]
        fn stored(bytes: &[u8]) -> &[i8] {
            bytemuck::cast_slice(bytes)
        }

        #[inline(always)]
        fn sum(activations: &[i8]) -> i32 {
            let (blocks, rest) = activations.as_chunks::<16>();
            // SAFETY: every machine with these lanes has NEON.
            let sum = unsafe { sum_of_blocks(blocks) };
            rest.iter().fold(sum, |sum, &a| sum + i32::from(a))
        }

        #[inline(always)]
        fn weight_offset(signed: bool, _: i32) -> i32 {
            if signed { 0 } else { -128 }
        }

        #[inline(always)]
        fn weight(value: i32) -> i8 {
            value as i8
        }

        #[inline(always)]
        unsafe fn whole_tiles<const C: usize>(
            self,
            tiles: &WholeTiles<i8, i8>,
            begins: &[u32],
            terms: &[i32],
            channels: usize,
            output: *mut u8,
            stride: usize,
        ) -> usize {
            if C % 2 != 0 {
                return 0;
            }
            let compute = |begins, terms, to, apart, count| {
                // SAFETY: the token proves the instructions; the caller and `each_tile` promise the rest.
                unsafe {
                    match C {
                        4 => $four(tiles, begins, terms, to, apart, count),
                        _ => $two(tiles, begins, terms, to, apart, count),
                    }
                }
            };
            // SAFETY: the caller promises so many results in each row.
            unsafe { each_tile::<C>(begins, terms, channels, (output, stride), compute) }
        }

        by_common! {
            fn splat_sum(value: i32) -> int32x4_t;
            fn add(a: int32x4_t, b: int32x4_t) -> int32x4_t;
            fn subtract(a: int32x4_t, b: int32x4_t) -> int32x4_t;
            fn shift_left(sums: int32x4_t, bits: int32x4_t) -> int32x4_t;
            fn shift_right(sums: int32x4_t, bits: int32x4_t) -> int32x4_t;
            fn add_float_products(sums: int32x4_t, a: int32x4_t, b: int32x4_t) -> int32x4_t;
            fn finish_floats(
                sums: int32x4_t, bias: int32x4_t, low: int32x4_t, high: int32x4_t
            ) -> int32x4_t;
            fn with_totals(to: int32x4_t, quad: usize, sums: [int32x4_t; 4]) -> int32x4_t;
            fn scale_right(
                sums: int32x4_t, multipliers: int32x4_t, rights: int32x4_t, rest: int32x4_t
            ) -> int32x4_t;
            fn scale_positive(
                sums: int32x4_t, multipliers: int32x4_t, rights: int32x4_t
            ) -> int32x4_t;
            fn scale(
                sums: int32x4_t, multipliers: int32x4_t, lefts: int32x4_t, rights: int32x4_t, zero: int32x4_t
            ) -> int32x4_t;
            fn no_words() -> int16x8_t;
            fn splat_word(value: i16) -> int16x8_t;
            fn subtract_words(a: int16x8_t, b: int16x8_t) -> int16x8_t;
            fn word_products(a: int16x8_t, b: int16x8_t) -> [int32x4_t; 2];
            fn tap_pair(
                sums: [int32x4_t; 2], left: int16x8_t, right: int16x8_t, weights: [int16x8_t; 2]
            ) -> [int32x4_t; 2];
            fn last_tap(
                sums: [int32x4_t; 2], words: int16x8_t, weights: [int16x8_t; 2]
            ) -> [int32x4_t; 2];
        }

        #[inline(always)]
        fn load_sums(self, from: &[i32]) -> int32x4_t {
            let from = from[..4].as_ptr().cast::<int32x4_t>();
            // SAFETY: the slice has four elements.
            unsafe { from.read_unaligned() }
        }

        #[inline(always)]
        fn store_sums(self, sums: int32x4_t, to: &mut [i32]) {
            let to = to[..4].as_mut_ptr().cast::<int32x4_t>();
            // SAFETY: the slice has four elements.
            unsafe { to.write_unaligned(sums) }
        }

        #[inline(always)]
        fn limits(self, low: i32, high: i32) -> Limits {
            self.0.limits(low, high)
        }

        #[inline(always)]
        fn store_codes(self, codes: int32x4_t, limits: Limits, to: &mut [u8]) {
            let bytes = self.0.narrow_four(codes, limits).to_le_bytes();
            match to.first_chunk_mut::<4>() {
                Some(to) => *to = bytes,
                None => to.copy_from_slice(&bytes[..to.len()]),
            }
        }

        #[inline(always)]
        fn store_four(self, codes: [int32x4_t; 4], limits: Limits, to: &mut [u8]) {
            self.0.write_16(self.0.narrow_sixteen(codes, limits), to);
        }

        #[inline(always)]
        fn store_rows<const C: usize>(
            self,
            above: [int32x4_t; C],
            below: [int32x4_t; C],
            limits: Limits,
            to: [&mut [u8]; 2],
        ) {
            for (codes, to) in [above, below].into_iter().zip(to) {
                match codes[..] {
                    [a, b, c, d] => self.store_four([a, b, c, d], limits, to),
                    [a, b] => self.store_block([a, b], limits, to),
                    _ => {
                        for (codes, to) in codes.into_iter().zip(to.chunks_mut(4)) {
                            self.store_codes(codes, limits, to);
                        }
                    }
                }
            }
        }

        fn right_shift(bits: i32) -> i32 {
            -bits
        }

        fn block_order(sum: usize, lane: usize) -> usize {
            sum * 4 + lane
        }

        fn pair_order(within: usize, tap: usize) -> usize {
            tap * 8 + within
        }

        #[inline(always)]
        unsafe fn load_words(self, from: *const u8, len: usize, signed: bool) -> int16x8_t {
            let bytes = match len {
                // SAFETY: the caller promises `len` bytes.
                8 => unsafe { from.cast::<[u8; 8]>().read() },
                // SAFETY: as above.
                _ => unsafe { read_few(from, len) }.to_le_bytes(),
            };
            let bytes = bytes.as_ptr().cast::<uint8x8_t>();
            // SAFETY: the array has eight bytes.
            self.0.widen(unsafe { bytes.read_unaligned() }, signed)
        }

        #[inline(always)]
        unsafe fn read_row(self, from: *const i8) -> int8x16_t {
            // SAFETY: the caller promises sixteen activations.
            unsafe { from.cast::<int8x16_t>().read_unaligned() }
        }

        #[inline(always)]
        unsafe fn read_unit(self, from: *const u8, signed: bool) -> int8x16_t {
            // SAFETY: the caller promises sixteen bytes.
            let bytes = unsafe { from.cast::<int8x16_t>().read_unaligned() };
            match signed {
                true => bytes,
                false => self.0.flip(bytes),
            }
        }

        #[inline(always)]
        unsafe fn load_word_weights(self, from: *const i16) -> [int16x8_t; 2] {
            // SAFETY: the caller promises sixteen weights.
            unsafe { from.cast::<[int16x8_t; 2]>().read_unaligned() }
        }

        #[inline(always)]
        unsafe fn byte_taps<const G: usize>(
            self,
            sums: [int32x4_t; 2],
            taps: [*const u8; G],
            weights: [*const i8; G],
        ) -> [int32x4_t; 2] {
            let read = |from: *const i8| {
                // SAFETY: the caller promises eight activations and weights each.
                unsafe { from.cast::<int8x8_t>().read_unaligned() }
            };
            let mut products = self.0.multiply_bytes(read(taps[0].cast()), read(weights[0]));
            for tap in 1..G {
                products =
                    self.0.add_products(products, read(taps[tap].cast()), read(weights[tap]));
            }
            self.0.byte_products(sums, products)
        }

        #[inline(always)]
        fn store_positive(self, codes: [int32x4_t; 2], low: i32, to: &mut [u8]) {
            self.0.write_8(self.0.positive_eight(codes, low), to);
        }

        #[inline(always)]
        fn store_block(self, codes: [int32x4_t; 2], limits: Limits, to: &mut [u8]) {
            self.0.write_8(self.0.narrow_eight(codes, limits), to);
        }
    };
}

impl Lanes for Neon {
    type Splat = [int8x8_t; 2];
    type Weights = [int8x8_t; 2];
    const ISA: Isa = Isa::Neon;
    const GROUP: usize = 2;
    common!(Neon, "neon", four_by_four, four_by_two);

    fn detect() -> Option<Self> {
        Common::detect().map(Self)
    }

    fn suits_whole_tile(weights: &[i8]) -> bool {
        let collide = |step: &[i8; 16]| {
            let (left, right) = step.split_at(8);
            left.iter().zip(right).any(|pair| pair == (&-128, &-128))
        };
        !weights.as_chunks().0.iter().any(collide)
    }

    #[inline(always)]
    unsafe fn splat(self, from: *const i8) -> [int8x8_t; 2] {
        // SAFETY: the caller promises four activations.
        let pairs = unsafe { from.cast::<[i16; 2]>().read_unaligned() };
        pairs.map(|pair| self.splat_pair(pair))
    }

    #[inline(always)]
    unsafe fn load_weights(self, from: *const i8) -> [int8x8_t; 2] {
        // SAFETY: the caller promises sixteen weights.
        unsafe { from.cast::<[int8x8_t; 2]>().read_unaligned() }
    }

    with_neon! {
        fn dot(sums: int32x4_t, activations: [int8x8_t; 2], weights: [int8x8_t; 2]) -> int32x4_t {
            // Each pair of products is added by itself: two products of -128 and -128 exceed 16 bits.
            let sums = vpadalq_s16(sums, vmull_s8(activations[0], weights[0]));
            vpadalq_s16(sums, vmull_s8(activations[1], weights[1]))
        }

        fn multiply_row(sums: int32x4_t, activations: int8x16_t, weights: int8x16_t) -> int32x4_t {
            let low = vmull_s8(vget_low_s8(activations), vget_low_s8(weights));
            vpadalq_s16(vpadalq_s16(sums, low), vmull_high_s8(activations, weights))
        }
    }
}

impl Lanes for Dotprod {
    type Splat = int8x16_t;
    type Weights = int8x16_t;
    const ISA: Isa = Isa::Dotprod;
    common!(Dotprod, "neon,dotprod", four_by_four_dots, four_by_two_dots);

    fn detect() -> Option<Self> {
        let common = Common::detect()?;
        std::arch::is_aarch64_feature_detected!("dotprod").then_some(Self(common))
    }

    fn suits_whole_tile(_: &[i8]) -> bool {
        true
    }

    #[inline(always)]
    unsafe fn splat(self, from: *const i8) -> int8x16_t {
        // SAFETY: the caller promises four activations.
        let four = unsafe { from.cast::<i32>().read_unaligned() };
        self.0.splat_four(four)
    }

    #[inline(always)]
    unsafe fn load_weights(self, from: *const i8) -> int8x16_t {
        // SAFETY: the caller promises sixteen weights.
        unsafe { from.cast::<int8x16_t>().read_unaligned() }
    }

    #[inline(always)]
    fn dot(self, sums: int32x4_t, activations: int8x16_t, weights: int8x16_t) -> int32x4_t {
        // SAFETY: the token proves dot products.
        unsafe { dots(sums, activations, weights) }
    }

    #[inline(always)]
    fn multiply_row(
        self,
        sums: int32x4_t,
        activations: int8x16_t,
        weights: int8x16_t,
    ) -> int32x4_t {
        self.dot(sums, activations, weights)
    }
}

impl Neon {
    with_neon! {
        fn splat_pair(pair: i16) -> int8x8_t {
            vreinterpret_s8_s16(vdup_n_s16(pair))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whole_tile_is_refused_weights_whose_products_exceed_16_bits() {
        let mut weights = [-127i8; 32];
        assert!(Neon::suits_whole_tile(&weights));
        // -128 * -128 + -127 * -128 = 32640, within 16 bits.
        weights[16] = -128;
        weights[25] = -128;
        assert!(Neon::suits_whole_tile(&weights));
        // 2 * -128 * -128 = 32768, beyond.
        weights[24] = -128;
        assert!(!Neon::suits_whole_tile(&weights));
    }
}
