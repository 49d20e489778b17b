//! x86-64 with AVX-512 BW and with AVX-512 VNNI.
//!
//! BW lanes multiply pairs of 16-bit numbers by `vpmaddwd`, VNNI lanes four unsigned bytes by four signed ones by `vpdpbusd`;
//! both are exact. They share everything but operands and that step; tests have plain lanes with the operands of VNNI.
#![expect(
    unsafe_code,
    reason = "calls of functions for instructions that a token proves present"
)]

use super::avx512_quads::{interleave_channels, interleave_halves};
use super::operands::{pairs_of_words, quads_of_bytes};
use super::quads::QUAD;
use super::x86::{Limits, block_order, with_features, write_128};
use super::{Lanes, Work};
use crate::fast::Isa;
use std::arch::asm;
use std::arch::x86_64::*;

/// Proof that the machine has AVX-512 BW and VL.
#[derive(Debug, Clone, Copy)]
pub struct Avx512Bw(Common);

/// Proof that the machine has AVX-512 BW, VL and VNNI.
#[derive(Debug, Clone, Copy)]
pub struct Avx512Vnni(Common);

/// Proof that the machine has AVX-512 BW and VL; operations that all these lanes share.
#[derive(Debug, Clone, Copy)]
struct Common(());

impl Common {
    fn detect() -> Option<Self> {
        let present = is_x86_feature_detected!("avx512f")
            && is_x86_feature_detected!("avx512bw")
            && is_x86_feature_detected!("avx512vl");
        present.then_some(Self(()))
    }

    with_features! { "avx512f,avx512bw,avx512vl":
        fn splat_sum(value: i32) -> __m512i {
            _mm512_set1_epi32(value)
        }

        fn splat_word(value: i16) -> __m512i {
            _mm512_set1_epi16(value)
        }

        fn splat_byte(value: i8) -> __m512i {
            _mm512_set1_epi8(value)
        }

        fn flip(bytes: __m512i) -> __m512i {
            _mm512_xor_si512(bytes, _mm512_set1_epi8(-128))
        }

        fn add(a: __m512i, b: __m512i) -> __m512i {
            _mm512_add_epi32(a, b)
        }

        fn subtract(a: __m512i, b: __m512i) -> __m512i {
            _mm512_sub_epi32(a, b)
        }

        fn shift_left(sums: __m512i, bits: __m512i) -> __m512i {
            _mm512_sllv_epi32(sums, bits)
        }

        fn shift_right(sums: __m512i, bits: __m512i) -> __m512i {
            _mm512_srav_epi32(sums, bits)
        }

        fn add_float_products(sums: __m512i, a: __m512i, b: __m512i) -> __m512i {
            let products = _mm512_mul_ps(_mm512_castsi512_ps(a), _mm512_castsi512_ps(b));
            _mm512_castps_si512(_mm512_add_ps(_mm512_castsi512_ps(sums), products))
        }

        fn finish_floats(sums: __m512i, bias: __m512i, low: __m512i, high: __m512i) -> __m512i {
            let sums = _mm512_add_ps(_mm512_castsi512_ps(sums), _mm512_castsi512_ps(bias));
            // Where one operand is no number, the result is the second.
            let raised = _mm512_max_ps(_mm512_castsi512_ps(low), sums);
            _mm512_castps_si512(_mm512_min_ps(_mm512_castsi512_ps(high), raised))
        }

        fn if_negative(numbers: __m512i, then: __m512i, otherwise: __m512i) -> __m512i {
            let negative = _mm512_cmplt_epi32_mask(numbers, _mm512_setzero_si512());
            _mm512_mask_mov_epi32(otherwise, negative, then)
        }

        fn scale_right(sums: __m512i, multipliers: __m512i, rights: __m512i, rest: __m512i) -> __m512i {
            let high = high_product(sums, multipliers);
            let away = _mm512_add_epi32(high, _mm512_srai_epi32::<31>(high));
            let half = _mm512_srav_epi32(away, rights);
            _mm512_srai_epi32::<1>(_mm512_add_epi32(half, rest))
        }

        fn scale_positive(sums: __m512i, multipliers: __m512i, rights: __m512i) -> __m512i {
            // Positive numbers round half up twice, which one shift of the whole product does: half of its last bit and, 31 bits lower,
            // half of the product's are added.
            let one = _mm512_set1_epi64(1);
            let half = |product, right| {
                let right = _mm512_add_epi64(right, _mm512_set1_epi64(31));
                let halves = _mm512_add_epi64(_mm512_sllv_epi64(one, right), _mm512_set1_epi64(1 << 30));
                let right = _mm512_add_epi64(right, one);
                _mm512_srav_epi64(_mm512_add_epi64(product, halves), right)
            };
            let even_rights = _mm512_and_si512(rights, _mm512_set1_epi64(u32::MAX.into()));
            let even = half(products_of_even(sums, multipliers), even_rights);
            let odd = products_of_even(odd_lanes(sums), odd_lanes(multipliers));
            let odd = half(odd, _mm512_srli_epi64::<32>(rights));
            let (even, odd) = (_mm512_castsi512_ps(even), _mm512_castsi512_ps(odd));
            _mm512_castps_si512(_mm512_mask_moveldup_ps(even, ODD, odd))
        }

        fn scale(sums: __m512i, multipliers: __m512i, lefts: __m512i, rights: __m512i, zero: __m512i) -> __m512i {
            let high = high_product(_mm512_sllv_epi32(sums, lefts), multipliers);
            let one = _mm512_set1_epi32(1);
            let mask = _mm512_sub_epi32(_mm512_sllv_epi32(one, rights), one);
            let remainder = _mm512_and_si512(high, mask);
            let negative = _mm512_srai_epi32::<31>(high);
            let threshold = _mm512_sub_epi32(_mm512_srai_epi32::<1>(mask), negative);
            let up = _mm512_cmpgt_epi32_mask(remainder, threshold);
            let quotient = _mm512_srav_epi32(high, rights);
            let quotient = _mm512_mask_add_epi32(quotient, up, quotient, one);
            _mm512_add_epi32(quotient, zero)
        }

        fn with_totals(to: __m512i, quad: usize, sums: [__m512i; 4]) -> __m512i {
            let [a, b, c, d] = sums;
            let left = _mm512_add_epi32(_mm512_unpacklo_epi32(a, b), _mm512_unpackhi_epi32(a, b));
            let right = _mm512_add_epi32(_mm512_unpacklo_epi32(c, d), _mm512_unpackhi_epi32(c, d));
            // Each 128 bits hold a quarter of each total.
            let quarters = _mm512_add_epi32(
                _mm512_unpacklo_epi64(left, right),
                _mm512_unpackhi_epi64(left, right),
            );
            let halves = _mm256_add_epi32(
                _mm512_castsi512_si256(quarters),
                _mm512_extracti64x4_epi64::<1>(quarters),
            );
            let totals = _mm_add_epi32(
                _mm256_castsi256_si128(halves),
                _mm256_extracti128_si256::<1>(halves),
            );
            let lanes = 0xf << (4 * quad);
            _mm512_mask_broadcast_i32x4(to, lanes, totals)
        }

        fn no_words() -> __m512i {
            _mm512_setzero_si512()
        }

        fn subtract_words(a: __m512i, b: __m512i) -> __m512i {
            _mm512_sub_epi16(a, b)
        }

        fn word_products(a: __m512i, b: __m512i) -> [__m512i; 2] {
            let (low, high) = (_mm512_mullo_epi16(a, b), _mm512_mulhi_epi16(a, b));
            [
                _mm512_unpacklo_epi16(low, high),
                _mm512_unpackhi_epi16(low, high),
            ]
        }

        fn interleave_words(left: __m512i, right: __m512i) -> [__m512i; 2] {
            [
                _mm512_unpacklo_epi16(left, right),
                _mm512_unpackhi_epi16(left, right),
            ]
        }

        fn widen_signed(bytes: __m256i) -> __m512i {
            _mm512_cvtepi8_epi16(bytes)
        }

        fn widen_unsigned(bytes: __m256i) -> __m512i {
            _mm512_cvtepu8_epi16(bytes)
        }

        fn narrow(codes: __m512i, limits: Limits<__m512i>) -> __m128i {
            let [low, high] = limits.sums;
            _mm512_cvtepi32_epi8(_mm512_max_epi32(_mm512_min_epi32(codes, high), low))
        }

        fn narrow_block(codes: [__m512i; 2], limits: Limits<__m512i>) -> __m256i {
            // Saturating to 16 bits first changes nothing: the limits are within them.
            let [low, high] = limits.words;
            let words = _mm512_packs_epi32(codes[0], codes[1]);
            _mm512_cvtepi16_epi8(_mm512_max_epi16(_mm512_min_epi16(words, high), low))
        }

        fn narrow_rows(codes: [__m512i; 4], limits: Limits<__m512i>) -> [__m256i; 2] {
            // Saturating on the way changes nothing: the limits are within the narrower type.
            let above = _mm512_packs_epi32(codes[0], codes[1]);
            let below = _mm512_packs_epi32(codes[2], codes[3]);
            let [low, high] = limits.bytes;
            let bytes = if limits.signed {
                let bytes = _mm512_packs_epi16(above, below);
                _mm512_max_epi8(_mm512_min_epi8(bytes, high), low)
            } else {
                let bytes = _mm512_packus_epi16(above, below);
                _mm512_max_epu8(_mm512_min_epu8(bytes, high), low)
            };
            // Each 128 bits hold four codes of each vector.
            let order = _mm512_setr_epi32(0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15);
            let rows = _mm512_permutexvar_epi32(order, bytes);
            [
                _mm512_castsi512_si256(rows),
                _mm512_extracti64x4_epi64::<1>(rows),
            ]
        }
    }

    /// Reads the first `len` (at most 32) bytes.
    ///
    /// # Safety
    /// `from` is valid for reading `len` bytes.
    #[inline(always)]
    unsafe fn read_256(self, from: *const u8, len: usize) -> __m256i {
        if len == 32 {
            // SAFETY: the caller promises `len` bytes.
            return unsafe { from.cast::<__m256i>().read_unaligned() };
        }
        // SAFETY: the caller promises the bytes in the mask, the token the features.
        unsafe { read_masked(from, (1 << len) - 1) }
    }

    /// Writes the first `to.len()` (at most 32) bytes.
    #[inline(always)]
    fn write_256(self, bytes: __m256i, to: &mut [u8]) {
        if let Some(to) = to.first_chunk_mut::<32>() {
            // SAFETY: the chunk has 32 bytes.
            return unsafe { to.as_mut_ptr().cast::<__m256i>().write_unaligned(bytes) };
        }
        // SAFETY: the mask leaves out bytes beyond the slice, the token proves the features.
        unsafe { write_masked(to.as_mut_ptr(), (1 << to.len()) - 1, bytes) };
    }
}

/// `(a * b + 2^30) >> 31` in each lane: no product here saturates, for `b` is never the lowest number.
#[inline]
#[target_feature(enable = "avx512f")]
fn high_product(a: __m512i, b: __m512i) -> __m512i {
    let nudge = _mm512_set1_epi64(1 << 30);
    let even = _mm512_add_epi64(products_of_even(a, b), nudge);
    let odd = _mm512_add_epi64(products_of_even(odd_lanes(a), odd_lanes(b)), nudge);
    // Doubled, the result stands in the high half.
    let even = _mm512_castsi512_ps(_mm512_add_epi64(even, even));
    let odd = _mm512_castsi512_ps(_mm512_add_epi64(odd, odd));
    _mm512_castps_si512(_mm512_mask_movehdup_ps(odd, !ODD, even))
}

/// The odd lanes.
const ODD: __mmask16 = 0b1010_1010_1010_1010;

/// The odd lanes, each where the even one before it was.
#[inline]
#[target_feature(enable = "avx512f")]
fn odd_lanes(a: __m512i) -> __m512i {
    _mm512_castps_si512(_mm512_movehdup_ps(_mm512_castsi512_ps(a)))
}

/// The 64-bit products of the even lanes. From the intrinsic the compiler takes the widening of a factor out of loops; what is
/// left then is a product of 64-bit numbers, three multiplications.
#[inline]
#[target_feature(enable = "avx512f")]
fn products_of_even(a: __m512i, b: __m512i) -> __m512i {
    let product;
    // SAFETY: the instruction reads and writes these registers alone, and AVX-512 F has it.
    unsafe {
        asm!(
            "vpmuldq {product}, {a}, {b}",
            product = lateout(zmm_reg) product,
            a = in(zmm_reg) a,
            b = in(zmm_reg) b,
            options(pure, nomem, nostack, preserves_flags),
        );
    }
    product
}

/// The bytes whose mask bits are set; the others are not read and are 0.
///
/// # Safety
/// The bytes in the mask are valid for reading, and the machine has the features.
#[inline]
#[target_feature(enable = "avx512bw,avx512vl")]
unsafe fn read_masked(from: *const u8, mask: u32) -> __m256i {
    // SAFETY: the caller promises the bytes in the mask.
    unsafe { _mm256_maskz_loadu_epi8(mask, from.cast()) }
}

/// Writes the bytes whose mask bits are set.
///
/// # Safety
/// The bytes in the mask are valid for writing, and the machine has the features.
#[inline]
#[target_feature(enable = "avx512bw,avx512vl")]
unsafe fn write_masked(to: *mut u8, mask: u32, bytes: __m256i) {
    // SAFETY: the caller promises the bytes in the mask.
    unsafe { _mm256_mask_storeu_epi8(to.cast(), mask, bytes) }
}

/// Methods of lanes that are done by [`Common`].
macro_rules! by_common {
    ($(fn $name:ident($($arg:ident: $ty:ty),*) -> $out:ty;)*) => {$(
        #[inline(always)]
        fn $name(self, $($arg: $ty),*) -> $out {
            self.0.$name($($arg),*)
        }
    )*};
}

/// Everything but the operands' types, detection and the dot step.
macro_rules! common {
    ($lanes:ident, $features:literal) => {
        type Sum = __m512i;
        type Splat = __m512i;
        type Weights = __m512i;
        type Limits = Limits<__m512i>;
        type Words = __m512i;
        type PairWeights = [__m512i; 2];
        type Row = __m512i;
        const N: usize = 16;
        const ROWS: usize = 12;
        const SLIDES: bool = true;
        const NEIGHBOURS: bool = true;

        fn run<W: Work>(self, work: W) -> W::Output {
            #[target_feature(enable = $features)]
            fn inner<W: Work>(lanes: $lanes, work: W) -> W::Output {
                work.run(lanes)
            }
            // SAFETY: the token proves the features.
            unsafe { inner(self, work) }
        }

        by_common! {
            fn splat_sum(value: i32) -> __m512i;
            fn add(a: __m512i, b: __m512i) -> __m512i;
            fn subtract(a: __m512i, b: __m512i) -> __m512i;
            fn shift_left(sums: __m512i, bits: __m512i) -> __m512i;
            fn shift_right(sums: __m512i, bits: __m512i) -> __m512i;
            fn if_negative(numbers: __m512i, then: __m512i, otherwise: __m512i) -> __m512i;
            fn add_float_products(sums: __m512i, a: __m512i, b: __m512i) -> __m512i;
            fn finish_floats(sums: __m512i, bias: __m512i, low: __m512i, high: __m512i) -> __m512i;
            fn scale_right(sums: __m512i, multipliers: __m512i, rights: __m512i, rest: __m512i) -> __m512i;
            fn scale_positive(sums: __m512i, multipliers: __m512i, rights: __m512i) -> __m512i;
            fn scale(
                sums: __m512i, multipliers: __m512i, lefts: __m512i, rights: __m512i, zero: __m512i
            ) -> __m512i;
            fn with_totals(to: __m512i, quad: usize, sums: [__m512i; 4]) -> __m512i;
            fn no_words() -> __m512i;
            fn splat_word(value: i16) -> __m512i;
            fn subtract_words(a: __m512i, b: __m512i) -> __m512i;
            fn word_products(a: __m512i, b: __m512i) -> [__m512i; 2];
        }

        #[inline(always)]
        fn load_sums(self, from: &[i32]) -> __m512i {
            let from = from[..16].as_ptr().cast::<__m512i>();
            // SAFETY: the slice has sixteen elements.
            unsafe { from.read_unaligned() }
        }

        #[inline(always)]
        fn store_sums(self, sums: __m512i, to: &mut [i32]) {
            let to = to[..16].as_mut_ptr().cast::<__m512i>();
            // SAFETY: the slice has sixteen elements.
            unsafe { to.write_unaligned(sums) }
        }

        #[inline(always)]
        unsafe fn splat(self, from: *const Self::Activation) -> __m512i {
            // SAFETY: the caller promises K activations, which are four bytes.
            let activations = unsafe { from.cast::<i32>().read_unaligned() };
            self.splat_sum(activations)
        }

        #[inline(always)]
        unsafe fn load_weights(self, from: *const Self::Weight) -> __m512i {
            // SAFETY: the caller promises N * K weights, which are 64 bytes.
            unsafe { from.cast::<__m512i>().read_unaligned() }
        }

        #[inline(always)]
        fn limits(self, low: i32, high: i32) -> Limits<__m512i> {
            let common = self.0;
            Limits {
                sums: [common.splat_sum(low), common.splat_sum(high)],
                words: [common.splat_word(low as i16), common.splat_word(high as i16)],
                bytes: [common.splat_byte(low as i8), common.splat_byte(high as i8)],
                signed: low < 0,
            }
        }

        #[inline(always)]
        fn store_codes(self, codes: __m512i, limits: Limits<__m512i>, to: &mut [u8]) {
            write_128(self.0.narrow(codes, limits), to);
        }

        #[inline(always)]
        fn store_rows<const C: usize>(
            self,
            above: [__m512i; C],
            below: [__m512i; C],
            limits: Limits<__m512i>,
            to: [&mut [u8]; 2],
        ) {
            if let (&[a, b], &[c, d]) = (&above[..], &below[..]) {
                let rows = self.0.narrow_rows([a, b, c, d], limits);
                let [above, below] = to;
                self.0.write_256(rows[0], above);
                return self.0.write_256(rows[1], below);
            }
            for (codes, to) in [above, below].into_iter().zip(to) {
                for (codes, to) in codes.into_iter().zip(to.chunks_mut(16)) {
                    self.store_codes(codes, limits, to);
                }
            }
        }

        fn block_order(sum: usize, lane: usize) -> usize {
            block_order(sum, lane)
        }

        #[inline(always)]
        unsafe fn load_words(self, from: *const u8, len: usize, signed: bool) -> __m512i {
            // SAFETY: the caller promises `len` bytes.
            let bytes = unsafe { self.0.read_256(from, len) };
            if signed {
                self.0.widen_signed(bytes)
            } else {
                self.0.widen_unsigned(bytes)
            }
        }

        #[inline(always)]
        unsafe fn read_row(self, from: *const Self::Activation) -> __m512i {
            // SAFETY: the caller promises N * K activations, which are 64 bytes.
            unsafe { from.cast::<__m512i>().read_unaligned() }
        }

        #[inline(always)]
        fn multiply_row(self, sums: __m512i, activations: __m512i, weights: __m512i) -> __m512i {
            self.dot(sums, activations, weights)
        }

        #[inline(always)]
        unsafe fn load_word_weights(self, from: *const i16) -> [__m512i; 2] {
            // SAFETY: the caller promises 64 weights.
            unsafe { from.cast::<[__m512i; 2]>().read_unaligned() }
        }

        #[inline(always)]
        fn tap_pair(
            self,
            sums: [__m512i; 2],
            left: __m512i,
            right: __m512i,
            weights: [__m512i; 2],
        ) -> [__m512i; 2] {
            let [low, high] = self.0.interleave_words(left, right);
            [
                self.pairs(sums[0], low, weights[0]),
                self.pairs(sums[1], high, weights[1]),
            ]
        }

        #[inline(always)]
        fn store_block(self, codes: [__m512i; 2], limits: Limits<__m512i>, to: &mut [u8]) {
            self.0.write_256(self.0.narrow_block(codes, limits), to);
        }
    };
}

impl Lanes for Avx512Bw {
    const ISA: Isa = Isa::Avx512Bw;
    common!(Avx512Bw, "avx512f,avx512bw,avx512vl");
    pairs_of_words!();

    fn detect() -> Option<Self> {
        Common::detect().map(Self)
    }

    #[inline(always)]
    unsafe fn read_unit(self, from: *const u8, signed: bool) -> __m512i {
        // SAFETY: the caller promises 32 bytes.
        unsafe { self.load_words(from, 32, signed) }
    }

    #[inline(always)]
    fn dot(self, sums: __m512i, activations: __m512i, weights: __m512i) -> __m512i {
        self.pairs(sums, activations, weights)
    }
}

impl Avx512Bw {
    with_features! { "avx512bw":
        fn pairs(sums: __m512i, activations: __m512i, weights: __m512i) -> __m512i {
            _mm512_add_epi32(sums, _mm512_madd_epi16(activations, weights))
        }
    }
}

impl Lanes for Avx512Vnni {
    const ISA: Isa = Isa::Avx512Vnni;
    common!(Avx512Vnni, "avx512f,avx512bw,avx512vl,avx512vnni");
    quads_of_bytes!();

    fn detect() -> Option<Self> {
        let common = Common::detect()?;
        is_x86_feature_detected!("avx512vnni").then_some(Self(common))
    }

    #[inline(always)]
    unsafe fn read_unit(self, from: *const u8, signed: bool) -> __m512i {
        // SAFETY: the caller promises 64 bytes.
        let bytes = unsafe { from.cast::<__m512i>().read_unaligned() };
        match signed {
            true => bytes,
            false => self.0.flip(bytes),
        }
    }

    with_features! { "avx512f,avx512vnni":
        fn dot(sums: __m512i, activations: __m512i, weights: __m512i) -> __m512i {
            _mm512_dpbusd_epi32(sums, activations, weights)
        }
    }

    const QUADS: bool = true;

    #[inline(always)]
    fn interleave(self, columns: [&[u8]; QUAD], signed: bool, to: &mut [u8]) {
        let channels = columns[0].len();
        assert!(columns.iter().all(|column| column.len() == channels));
        assert!(to.len() >= channels.next_multiple_of(16) * QUAD);
        let flip = if signed { -128 } else { 0 };
        // SAFETY: columns and `to` go on for so many channels, as asserted; the token proves the features.
        unsafe {
            interleave_channels(columns.map(<[u8]>::as_ptr), channels, flip, to.as_mut_ptr())
        };
    }

    #[inline(always)]
    fn interleave_row(
        self,
        row: &[u8],
        channels: usize,
        count: usize,
        signed: bool,
        to: &mut [u8],
    ) {
        assert!(row.len() >= (2 * count + 2) * channels);
        assert!(to.len() >= (count * channels).next_multiple_of(16) * QUAD);
        let flip = if signed { -128 } else { 0 };
        let (from, to) = (row.as_ptr(), to.as_mut_ptr());
        if channels == 8 {
            for pair in 0..count.div_ceil(2) {
                let from = from.wrapping_add(pair * 4 * 8);
                // The columns of an odd last one end two earlier.
                let columns = 6.min(2 * count + 2 - 4 * pair);
                // SAFETY: row and `to` go on for so many quads, as asserted; the token proves the features.
                unsafe { interleave_halves(from, columns, flip, to.wrapping_add(pair * 64)) };
            }
            return;
        }
        for quad in 0..count {
            let from = from.wrapping_add(2 * quad * channels);
            let columns = std::array::from_fn(|column| from.wrapping_add(column * channels));
            let to = to.wrapping_add(quad * channels * QUAD);
            // SAFETY: as above.
            unsafe { interleave_channels(columns, channels, flip, to) };
        }
    }
}

impl Avx512Vnni {
    with_features! { "avx512f,avx512vnni":
        fn pairs(sums: __m512i, words: __m512i, weights: __m512i) -> __m512i {
            _mm512_dpwssd_epi32(sums, words, weights)
        }
    }
}
