//! Operations that the lanes of aarch64 share.
#![expect(
    unsafe_code,
    reason = "calls of functions for instructions that a token proves present"
)]

use std::arch::aarch64::*;

/// Proof that the machine has NEON; operations that all lanes of aarch64 share.
#[derive(Debug, Clone, Copy)]
pub struct Common(());

/// The lowest and the highest result, as vectors of each width that results pass through.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    sums: [int32x4_t; 2],
    words: [int16x8_t; 2],
}

/// Defines methods of lanes by code that is compiled with NEON.
macro_rules! with_neon {
    ($($(#[$doc:meta])* $vis:vis fn $name:ident($($arg:ident: $ty:ty),*) $(-> $out:ty)? $body:block)*) => {$(
        #[inline(always)]
        $vis fn $name(self, $($arg: $ty),*) $(-> $out)? {
            #[inline]
            #[target_feature(enable = "neon")]
            fn inner($($arg: $ty),*) $(-> $out)? $body
            // SAFETY: a token exists only where NEON does.
            unsafe { inner($($arg),*) }
        }
    )*};
}

impl Common {
    pub fn detect() -> Option<Self> {
        std::arch::is_aarch64_feature_detected!("neon").then_some(Self(()))
    }

    with_neon! {
        pub fn splat_sum(value: i32) -> int32x4_t {
            vdupq_n_s32(value)
        }

        pub fn splat_word(value: i16) -> int16x8_t {
            vdupq_n_s16(value)
        }

        pub fn splat_four(activations: i32) -> int8x16_t {
            vreinterpretq_s8_s32(vdupq_n_s32(activations))
        }

        pub fn add(a: int32x4_t, b: int32x4_t) -> int32x4_t {
            vaddq_s32(a, b)
        }

        pub fn subtract(a: int32x4_t, b: int32x4_t) -> int32x4_t {
            vsubq_s32(a, b)
        }

        pub fn shift_left(sums: int32x4_t, bits: int32x4_t) -> int32x4_t {
            vshlq_s32(sums, bits)
        }

        pub fn shift_right(sums: int32x4_t, bits: int32x4_t) -> int32x4_t {
            vshlq_s32(sums, vnegq_s32(bits))
        }

        // All lanes are one quad.
        pub fn with_totals(_to: int32x4_t, _quad: usize, sums: [int32x4_t; 4]) -> int32x4_t {
            let [a, b, c, d] = sums;
            vpaddq_s32(vpaddq_s32(a, b), vpaddq_s32(c, d))
        }

        pub fn scale_right(
            sums: int32x4_t, multipliers: int32x4_t, rights: int32x4_t, rest: int32x4_t
        ) -> int32x4_t {
            let high = vqrdmulhq_s32(sums, multipliers);
            // Shifts round ties up; one less makes those of negative numbers round away from zero.
            let high = vsraq_n_s32::<31>(high, high);
            vaddq_s32(vrshlq_s32(high, rights), vshrq_n_s32::<1>(rest))
        }

        pub fn add_float_products(sums: int32x4_t, a: int32x4_t, b: int32x4_t) -> int32x4_t {
            let products = vmulq_f32(vreinterpretq_f32_s32(a), vreinterpretq_f32_s32(b));
            vreinterpretq_s32_f32(vaddq_f32(vreinterpretq_f32_s32(sums), products))
        }

        pub fn finish_floats(
            sums: int32x4_t, bias: int32x4_t, low: int32x4_t, high: int32x4_t
        ) -> int32x4_t {
            let sums = vaddq_f32(vreinterpretq_f32_s32(sums), vreinterpretq_f32_s32(bias));
            let [low, high] = [vreinterpretq_f32_s32(low), vreinterpretq_f32_s32(high)];
            let raised = vbslq_f32(vcltq_f32(sums, low), low, sums);
            vreinterpretq_s32_f32(vbslq_f32(vcltq_f32(high, raised), high, raised))
        }

        pub fn scale_positive(
            sums: int32x4_t, multipliers: int32x4_t, rights: int32x4_t
        ) -> int32x4_t {
            vrshlq_s32(vqrdmulhq_s32(sums, multipliers), rights)
        }

        pub fn positive_eight(codes: [int32x4_t; 2], low: i32) -> uint8x8_t {
            let words = vqmovn_high_s32(vqmovn_s32(codes[0]), codes[1]);
            veor_u8(vqmovun_s16(words), vdup_n_u8(low as u8))
        }

        pub fn byte_products(
            sums: [int32x4_t; 2], products: int16x8_t
        ) -> [int32x4_t; 2] {
            let low = vaddw_s16(sums[0], vget_low_s16(products));
            [low, vaddw_high_s16(sums[1], products)]
        }

        pub fn multiply_bytes(a: int8x8_t, b: int8x8_t) -> int16x8_t {
            vmull_s8(a, b)
        }

        pub fn add_products(products: int16x8_t, a: int8x8_t, b: int8x8_t) -> int16x8_t {
            vmlal_s8(products, a, b)
        }

        pub fn scale(
            sums: int32x4_t, multipliers: int32x4_t, lefts: int32x4_t, rights: int32x4_t, zero: int32x4_t
        ) -> int32x4_t {
            let high = vqrdmulhq_s32(vshlq_s32(sums, lefts), multipliers);
            let shifts = vnegq_s32(rights);
            // As above, but a shift by 0 leaves the number as it is.
            let high = vsraq_n_s32::<31>(high, vandq_s32(high, shifts));
            vaddq_s32(vrshlq_s32(high, shifts), zero)
        }

        pub fn narrow_four(codes: int32x4_t, limits: Limits) -> u32 {
            let [low, high] = limits.sums;
            let codes = vmaxq_s32(vminq_s32(codes, high), low);
            let words = vmovn_s32(codes);
            let bytes = vmovn_s16(vcombine_s16(words, words));
            vget_lane_u32::<0>(vreinterpret_u32_s8(bytes))
        }

        pub fn narrow_eight(codes: [int32x4_t; 2], limits: Limits) -> uint8x8_t {
            // Saturating to 16 bits first changes nothing: the limits are within them.
            let [low, high] = limits.words;
            let words = vqmovn_high_s32(vqmovn_s32(codes[0]), codes[1]);
            vmovn_u16(vreinterpretq_u16_s16(vmaxq_s16(vminq_s16(words, high), low)))
        }

        pub fn narrow_sixteen(codes: [int32x4_t; 4], limits: Limits) -> uint8x16_t {
            let [low, high] = limits.words;
            let left = vqmovn_high_s32(vqmovn_s32(codes[0]), codes[1]);
            let right = vqmovn_high_s32(vqmovn_s32(codes[2]), codes[3]);
            let left = vmaxq_s16(vminq_s16(left, high), low);
            let right = vmaxq_s16(vminq_s16(right, high), low);
            // The low byte of each word.
            vuzp1q_u8(vreinterpretq_u8_s16(left), vreinterpretq_u8_s16(right))
        }

        pub fn widen(bytes: uint8x8_t, signed: bool) -> int16x8_t {
            if signed {
                vmovl_s8(vreinterpret_s8_u8(bytes))
            } else {
                vreinterpretq_s16_u16(vmovl_u8(bytes))
            }
        }

        pub fn flip(bytes: int8x16_t) -> int8x16_t {
            veorq_s8(bytes, vdupq_n_s8(-128))
        }

        pub fn no_words() -> int16x8_t {
            vdupq_n_s16(0)
        }

        pub fn subtract_words(a: int16x8_t, b: int16x8_t) -> int16x8_t {
            vsubq_s16(a, b)
        }

        pub fn word_products(a: int16x8_t, b: int16x8_t) -> [int32x4_t; 2] {
            [vmull_s16(vget_low_s16(a), vget_low_s16(b)), vmull_high_s16(a, b)]
        }

        pub fn tap_pair(
            sums: [int32x4_t; 2], left: int16x8_t, right: int16x8_t, weights: [int16x8_t; 2]
        ) -> [int32x4_t; 2] {
            let mut sums = sums;
            for (words, weights) in [(left, weights[0]), (right, weights[1])] {
                let low = vmlal_s16(sums[0], vget_low_s16(words), vget_low_s16(weights));
                sums = [low, vmlal_high_s16(sums[1], words, weights)];
            }
            sums
        }

        pub fn last_tap(
            sums: [int32x4_t; 2], words: int16x8_t, weights: [int16x8_t; 2]
        ) -> [int32x4_t; 2] {
            let low = vmlal_s16(sums[0], vget_low_s16(words), vget_low_s16(weights[0]));
            [low, vmlal_high_s16(sums[1], words, weights[0])]
        }
    }

    #[inline(always)]
    pub fn limits(self, low: i32, high: i32) -> Limits {
        Limits {
            sums: [self.splat_sum(low), self.splat_sum(high)],
            words: [self.splat_word(low as i16), self.splat_word(high as i16)],
        }
    }

    /// Writes the first `to.len()` (at most 16) bytes.
    #[inline(always)]
    pub fn write_16(self, bytes: uint8x16_t, to: &mut [u8]) {
        if let Some(to) = to.first_chunk_mut::<16>() {
            // SAFETY: the chunk has sixteen bytes.
            return unsafe { to.as_mut_ptr().cast::<uint8x16_t>().write_unaligned(bytes) };
        }
        let mut array = [0u8; 16];
        // SAFETY: the array has sixteen bytes.
        unsafe {
            array
                .as_mut_ptr()
                .cast::<uint8x16_t>()
                .write_unaligned(bytes)
        };
        to.copy_from_slice(&array[..to.len()]);
    }

    /// Writes the first `to.len()` (at most 8) bytes.
    #[inline(always)]
    pub fn write_8(self, bytes: uint8x8_t, to: &mut [u8]) {
        if let Some(to) = to.first_chunk_mut::<8>() {
            // SAFETY: the chunk has eight bytes.
            return unsafe { to.as_mut_ptr().cast::<uint8x8_t>().write_unaligned(bytes) };
        }
        let mut array = [0u8; 8];
        // SAFETY: the array has eight bytes.
        unsafe {
            array
                .as_mut_ptr()
                .cast::<uint8x8_t>()
                .write_unaligned(bytes)
        };
        to.copy_from_slice(&array[..to.len()]);
    }
}

/// The sum of signed bytes.
#[inline]
#[target_feature(enable = "neon")]
pub fn sum_of_blocks(blocks: &[[i8; 16]]) -> i32 {
    let mut sums = vdupq_n_s32(0);
    for block in blocks {
        // SAFETY: the block has sixteen bytes.
        let bytes = unsafe { block.as_ptr().cast::<int8x16_t>().read_unaligned() };
        sums = vpadalq_s16(sums, vpaddlq_s8(bytes));
    }
    vaddvq_s32(sums)
}

/// Calls `compute` with the beginnings, the terms (or null), the output, its stride and the number of tiles of four rows by `C`
/// vectors; gives the number of rows that are done. Of a single row that remains a tile would waste most; more are computed together
/// with some that a tile has had before.
///
/// # Safety
/// The output, whose rows are as far apart as told, is valid for writing `channels` results in as many rows as begin.
#[inline(always)]
pub unsafe fn each_tile<const C: usize>(
    begins: &[u32],
    terms: &[i32],
    channels: usize,
    (output, stride): (*mut u8, usize),
    compute: impl Fn(*const u32, *const i32, *mut u8, usize, usize),
) -> usize {
    let rows = begins.len();
    let done = match rows {
        ..4 => 0,
        _ if rows % 4 == 1 => rows - 1,
        _ => rows,
    };
    let whole = channels == 4 * C;
    let mut spare = [0u8; 64];
    let mut row = 0;
    while row < done {
        // Many tiles at once, unless some of their channels are to be left out.
        let tiles = (rows - row) / 4;
        let (first, count) = match tiles {
            0 => (rows - 4, 1),
            _ if whole => (row, tiles),
            _ => (row, 1),
        };
        let begins = begins[first..][..4 * count].as_ptr();
        let terms = match terms.is_empty() {
            true => std::ptr::null(),
            false => terms[first..][..4 * count].as_ptr(),
        };
        let output = output.wrapping_add(first * stride);
        if whole {
            compute(begins, terms, output, stride, count);
        } else {
            compute(begins, terms, spare.as_mut_ptr(), 16, count);
            for (number, bytes) in spare.chunks_exact(16).enumerate() {
                let to = output.wrapping_add(number * stride);
                // SAFETY: the caller promises so many results in each row.
                unsafe { to.copy_from_nonoverlapping(bytes.as_ptr(), channels) };
            }
        }
        row += 4 * count;
    }
    done
}

pub(super) use with_neon;
