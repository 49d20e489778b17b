//! x86-64 with AVX2: pairs of 16-bit numbers are multiplied by `vpmaddwd`, which is exact.
#![expect(
    unsafe_code,
    reason = "calls of functions for instructions that a token proves present"
)]

use super::few::read_few;
use super::operands::pairs_of_words;
use super::x86::{Limits, block_order, with_features, write_128};
use super::{Lanes, Work};
use crate::fast::Isa;
use std::arch::asm;
use std::arch::x86_64::*;

/// Proof that the machine has AVX2.
#[derive(Debug, Clone, Copy)]
pub struct Avx2(());

impl Lanes for Avx2 {
    type Sum = __m256i;
    type Splat = __m256i;
    type Weights = __m256i;
    type Limits = Limits<__m256i>;
    type Words = __m256i;
    type PairWeights = [__m256i; 2];
    type Row = __m256i;
    const ISA: Isa = Isa::Avx2;
    const N: usize = 8;
    const ROWS: usize = 6;
    const SLIDES: bool = true;
    const NEIGHBOURS: bool = true;
    pairs_of_words!();

    fn detect() -> Option<Self> {
        is_x86_feature_detected!("avx2").then_some(Self(()))
    }

    fn run<W: Work>(self, work: W) -> W::Output {
        #[target_feature(enable = "avx2")]
        fn inner<W: Work>(lanes: Avx2, work: W) -> W::Output {
            work.run(lanes)
        }
        // SAFETY: the token proves AVX2.
        unsafe { inner(self, work) }
    }

    #[inline(always)]
    unsafe fn splat(self, from: *const i16) -> __m256i {
        // SAFETY: the caller promises two activations.
        let pair = unsafe { from.cast::<i32>().read_unaligned() };
        self.splat_sum(pair)
    }

    #[inline(always)]
    unsafe fn load_weights(self, from: *const i16) -> __m256i {
        // SAFETY: the caller promises 16 weights.
        unsafe { from.cast::<__m256i>().read_unaligned() }
    }

    #[inline(always)]
    fn load_sums(self, from: &[i32]) -> __m256i {
        let from = from[..8].as_ptr().cast::<__m256i>();
        // SAFETY: the slice has eight elements.
        unsafe { from.read_unaligned() }
    }

    #[inline(always)]
    fn store_sums(self, sums: __m256i, to: &mut [i32]) {
        let to = to[..8].as_mut_ptr().cast::<__m256i>();
        // SAFETY: the slice has eight elements.
        unsafe { to.write_unaligned(sums) }
    }

    #[inline(always)]
    fn limits(self, low: i32, high: i32) -> Limits<__m256i> {
        Limits {
            sums: [self.splat_sum(low), self.splat_sum(high)],
            words: [self.splat_word(low as i16), self.splat_word(high as i16)],
            bytes: [self.splat_byte(low as i8), self.splat_byte(high as i8)],
            signed: low < 0,
        }
    }

    #[inline(always)]
    fn store_codes(self, codes: __m256i, limits: Limits<__m256i>, to: &mut [u8]) {
        let bytes = self.narrow(codes, limits).to_le_bytes();
        match to.first_chunk_mut::<8>() {
            Some(to) => *to = bytes,
            None => to.copy_from_slice(&bytes[..to.len()]),
        }
    }

    #[inline(always)]
    fn store_rows<const C: usize>(
        self,
        above: [__m256i; C],
        below: [__m256i; C],
        limits: Limits<__m256i>,
        to: [&mut [u8]; 2],
    ) {
        if let (&[a, b], &[c, d]) = (&above[..], &below[..]) {
            let rows = self.narrow_rows([a, b, c, d], limits);
            let [above, below] = to;
            write_128(rows[0], above);
            return write_128(rows[1], below);
        }
        for (codes, to) in [above, below].into_iter().zip(to) {
            for (codes, to) in codes.into_iter().zip(to.chunks_mut(8)) {
                self.store_codes(codes, limits, to);
            }
        }
    }

    fn block_order(sum: usize, lane: usize) -> usize {
        block_order(sum, lane)
    }

    #[inline(always)]
    unsafe fn load_words(self, from: *const u8, len: usize, signed: bool) -> __m256i {
        let bytes = match len {
            // SAFETY: the caller promises `len` bytes.
            16 => unsafe { from.cast::<[u64; 2]>().read_unaligned() },
            8..16 => {
                // SAFETY: as above; the second eight end where the bytes end.
                let first = unsafe { from.cast::<u64>().read_unaligned() };
                let end = from.wrapping_add(len - 8).cast::<u64>();
                // SAFETY: as above.
                let last = unsafe { end.read_unaligned() };
                // What the first eight have already is shifted out.
                let rest = last.checked_shr(8 * (16 - len as u32)).unwrap_or(0);
                [first, rest]
            }
            // SAFETY: as above.
            _ => [unsafe { read_few(from, len) }, 0],
        };
        // SAFETY: any sixteen bytes are a vector.
        let bytes = unsafe { std::mem::transmute::<[u64; 2], __m128i>(bytes) };
        if signed {
            self.widen_signed(bytes)
        } else {
            self.widen_unsigned(bytes)
        }
    }

    #[inline(always)]
    unsafe fn load_halves(self, from: [*const u8; 2], signed: bool) -> __m256i {
        // SAFETY: the caller promises eight bytes at each place.
        let halves = from.map(|from| unsafe { from.cast::<u64>().read_unaligned() });
        let bytes: __m128i = bytemuck::must_cast(halves);
        match signed {
            true => self.widen_signed(bytes),
            false => self.widen_unsigned(bytes),
        }
    }

    #[inline(always)]
    fn with_totals(self, to: __m256i, quad: usize, sums: [__m256i; 4]) -> __m256i {
        match quad {
            0 => self.with_low(to, self.total_four(sums)),
            _ => self.with_high(to, self.total_four(sums)),
        }
    }

    #[inline(always)]
    unsafe fn read_row(self, from: *const i16) -> __m256i {
        // SAFETY: the caller promises sixteen activations.
        unsafe { from.cast::<__m256i>().read_unaligned() }
    }

    #[inline(always)]
    unsafe fn read_unit(self, from: *const u8, signed: bool) -> __m256i {
        // SAFETY: the caller promises sixteen bytes.
        unsafe { self.load_words(from, 16, signed) }
    }

    #[inline(always)]
    fn multiply_row(self, sums: __m256i, activations: __m256i, weights: __m256i) -> __m256i {
        self.dot(sums, activations, weights)
    }

    #[inline(always)]
    unsafe fn load_word_weights(self, from: *const i16) -> [__m256i; 2] {
        // SAFETY: the caller promises 32 weights.
        unsafe { from.cast::<[__m256i; 2]>().read_unaligned() }
    }

    #[inline(always)]
    fn store_block(self, codes: [__m256i; 2], limits: Limits<__m256i>, to: &mut [u8]) {
        write_128(self.narrow_block(codes, limits), to);
    }

    with_features! { "avx2":
        fn splat_sum(value: i32) -> __m256i {
            _mm256_set1_epi32(value)
        }

        fn add(a: __m256i, b: __m256i) -> __m256i {
            _mm256_add_epi32(a, b)
        }

        fn subtract(a: __m256i, b: __m256i) -> __m256i {
            _mm256_sub_epi32(a, b)
        }

        fn shift_left(sums: __m256i, bits: __m256i) -> __m256i {
            _mm256_sllv_epi32(sums, bits)
        }

        fn shift_right(sums: __m256i, bits: __m256i) -> __m256i {
            _mm256_srav_epi32(sums, bits)
        }

        fn add_float_products(sums: __m256i, a: __m256i, b: __m256i) -> __m256i {
            let products = _mm256_mul_ps(_mm256_castsi256_ps(a), _mm256_castsi256_ps(b));
            _mm256_castps_si256(_mm256_add_ps(_mm256_castsi256_ps(sums), products))
        }

        fn finish_floats(sums: __m256i, bias: __m256i, low: __m256i, high: __m256i) -> __m256i {
            let sums = _mm256_add_ps(_mm256_castsi256_ps(sums), _mm256_castsi256_ps(bias));
            // Where one operand is no number, the result is the second.
            let raised = _mm256_max_ps(_mm256_castsi256_ps(low), sums);
            _mm256_castps_si256(_mm256_min_ps(_mm256_castsi256_ps(high), raised))
        }

        fn if_negative(numbers: __m256i, then: __m256i, otherwise: __m256i) -> __m256i {
            // The highest bit of each lane chooses.
            _mm256_castps_si256(_mm256_blendv_ps(
                _mm256_castsi256_ps(otherwise),
                _mm256_castsi256_ps(then),
                _mm256_castsi256_ps(numbers),
            ))
        }

        fn dot(sums: __m256i, activations: __m256i, weights: __m256i) -> __m256i {
            _mm256_add_epi32(sums, _mm256_madd_epi16(activations, weights))
        }

        fn scale_right(sums: __m256i, multipliers: __m256i, rights: __m256i, rest: __m256i) -> __m256i {
            let high = high_product(sums, multipliers);
            let away = _mm256_add_epi32(high, _mm256_srai_epi32::<31>(high));
            let half = _mm256_srav_epi32(away, rights);
            _mm256_srai_epi32::<1>(_mm256_add_epi32(half, rest))
        }

        fn scale(sums: __m256i, multipliers: __m256i, lefts: __m256i, rights: __m256i, zero: __m256i) -> __m256i {
            let high = high_product(_mm256_sllv_epi32(sums, lefts), multipliers);
            let one = _mm256_set1_epi32(1);
            let mask = _mm256_sub_epi32(_mm256_sllv_epi32(one, rights), one);
            let remainder = _mm256_and_si256(high, mask);
            let negative = _mm256_srai_epi32::<31>(high);
            let threshold = _mm256_sub_epi32(_mm256_srai_epi32::<1>(mask), negative);
            let up = _mm256_cmpgt_epi32(remainder, threshold);
            let quotient = _mm256_sub_epi32(_mm256_srav_epi32(high, rights), up);
            _mm256_add_epi32(quotient, zero)
        }

        fn no_words() -> __m256i {
            _mm256_setzero_si256()
        }

        fn splat_word(value: i16) -> __m256i {
            _mm256_set1_epi16(value)
        }

        fn subtract_words(a: __m256i, b: __m256i) -> __m256i {
            _mm256_sub_epi16(a, b)
        }

        fn word_products(a: __m256i, b: __m256i) -> [__m256i; 2] {
            let (low, high) = (_mm256_mullo_epi16(a, b), _mm256_mulhi_epi16(a, b));
            [
                _mm256_unpacklo_epi16(low, high),
                _mm256_unpackhi_epi16(low, high),
            ]
        }

        fn tap_pair(sums: [__m256i; 2], left: __m256i, right: __m256i, weights: [__m256i; 2]) -> [__m256i; 2] {
            let low = _mm256_madd_epi16(_mm256_unpacklo_epi16(left, right), weights[0]);
            let high = _mm256_madd_epi16(_mm256_unpackhi_epi16(left, right), weights[1]);
            [_mm256_add_epi32(sums[0], low), _mm256_add_epi32(sums[1], high)]
        }
    }
}

impl Avx2 {
    with_features! { "avx2":
        fn splat_byte(value: i8) -> __m256i {
            _mm256_set1_epi8(value)
        }

        fn with_low(to: __m256i, low: __m128i) -> __m256i {
            _mm256_inserti128_si256::<0>(to, low)
        }

        fn with_high(to: __m256i, high: __m128i) -> __m256i {
            _mm256_inserti128_si256::<1>(to, high)
        }

        fn total_four(sums: [__m256i; 4]) -> __m128i {
            let left = _mm256_hadd_epi32(sums[0], sums[1]);
            let right = _mm256_hadd_epi32(sums[2], sums[3]);
            // Each 128 bits hold half of each total.
            let halves = _mm256_hadd_epi32(left, right);
            _mm_add_epi32(
                _mm256_castsi256_si128(halves),
                _mm256_extracti128_si256::<1>(halves),
            )
        }

        fn widen_signed(bytes: __m128i) -> __m256i {
            _mm256_cvtepi8_epi16(bytes)
        }

        fn widen_unsigned(bytes: __m128i) -> __m256i {
            _mm256_cvtepu8_epi16(bytes)
        }

        fn narrow(codes: __m256i, limits: Limits<__m256i>) -> i64 {
            let [low, high] = limits.sums;
            let codes = _mm256_max_epi32(_mm256_min_epi32(codes, high), low);
            // The low byte of each lane, gathered within 128 bits.
            let bytes = _mm256_shuffle_epi8(codes, _mm256_set1_epi32(0x0c_08_04_00));
            let pair = _mm_unpacklo_epi32(
                _mm256_castsi256_si128(bytes),
                _mm256_extracti128_si256::<1>(bytes),
            );
            _mm_cvtsi128_si64(pair)
        }

        fn narrow_block(codes: [__m256i; 2], limits: Limits<__m256i>) -> __m128i {
            // Saturating to 16 bits first changes nothing: the limits are within them.
            let [low, high] = limits.words;
            let words = _mm256_packs_epi32(codes[0], codes[1]);
            let words = _mm256_max_epi16(_mm256_min_epi16(words, high), low);
            let bytes = _mm256_and_si256(words, _mm256_set1_epi16(0xff));
            _mm_packus_epi16(
                _mm256_castsi256_si128(bytes),
                _mm256_extracti128_si256::<1>(bytes),
            )
        }

        fn narrow_rows(codes: [__m256i; 4], limits: Limits<__m256i>) -> [__m128i; 2] {
            // Saturating on the way changes nothing: the limits are within the narrower type.
            let above = _mm256_packs_epi32(codes[0], codes[1]);
            let below = _mm256_packs_epi32(codes[2], codes[3]);
            let [low, high] = limits.bytes;
            let bytes = if limits.signed {
                let bytes = _mm256_packs_epi16(above, below);
                _mm256_max_epi8(_mm256_min_epi8(bytes, high), low)
            } else {
                let bytes = _mm256_packus_epi16(above, below);
                _mm256_max_epu8(_mm256_min_epu8(bytes, high), low)
            };
            // Each 128 bits hold four codes of each vector.
            let order = _mm256_setr_epi32(0, 4, 1, 5, 2, 6, 3, 7);
            let rows = _mm256_permutevar8x32_epi32(bytes, order);
            [
                _mm256_castsi256_si128(rows),
                _mm256_extracti128_si256::<1>(rows),
            ]
        }
    }
}

/// `(a * b + 2^30) >> 31` in each lane: no product here saturates, for `b` is never the lowest number.
#[inline]
#[target_feature(enable = "avx2")]
fn high_product(a: __m256i, b: __m256i) -> __m256i {
    let nudge = _mm256_set1_epi64x(1 << 30);
    let even = _mm256_add_epi64(products_of_even(a, b), nudge);
    let odd = products_of_even(_mm256_srli_epi64::<32>(a), _mm256_srli_epi64::<32>(b));
    let odd = _mm256_add_epi64(odd, nudge);
    // Doubled, the result stands in the high half.
    let odd = _mm256_add_epi64(odd, odd);
    _mm256_blend_epi32::<0b1010_1010>(_mm256_srli_epi64::<31>(even), odd)
}

/// The 64-bit products of the even lanes. From the intrinsic the compiler takes the widening of a factor out of loops; what is
/// left then is a product of 64-bit numbers, three multiplications.
#[inline]
#[target_feature(enable = "avx2")]
fn products_of_even(a: __m256i, b: __m256i) -> __m256i {
    let product;
    // SAFETY: the instruction reads and writes these registers alone, and AVX2 has it.
    unsafe {
        asm!(
            "vpmuldq {product}, {a}, {b}",
            product = lateout(ymm_reg) product,
            a = in(ymm_reg) a,
            b = in(ymm_reg) b,
            options(pure, nomem, nostack, preserves_flags),
        );
    }
    product
}
