//! Columns of a picture side by side, by AVX-512: see [`quads`](super::quads).
#![expect(unsafe_code, reason = "pointers of the inner loop")]

use super::quads::QUAD;
use std::arch::asm;
use std::arch::x86_64::*;

/// The lanes in the given order. From the intrinsic and the shuffle behind it the compiler makes ten instructions.
#[inline]
#[target_feature(enable = "avx512f")]
fn permute(order: __m512i, lanes: __m512i) -> __m512i {
    let permuted;
    // SAFETY: the instruction reads and writes these registers alone, and AVX-512 F has it.
    unsafe {
        asm!(
            "vpermd {permuted}, {order}, {lanes}",
            permuted = lateout(zmm_reg) permuted,
            order = in(zmm_reg) order,
            lanes = in(zmm_reg) lanes,
            options(pure, nomem, nostack, preserves_flags),
        );
    }
    permuted
}

/// Writes the quads of `channels` channels at four columns, and anything up to a whole vector.
///
/// # Safety
/// Columns are valid for reading so many bytes and `to` for writing so many vectors, and the machine has the features.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512vl")]
pub unsafe fn interleave_channels(
    mut columns: [*const u8; QUAD],
    channels: usize,
    flip: i8,
    to: *mut u8,
) {
    let mut to = to.cast::<__m512i>();
    for _ in 0..channels / 16 {
        // SAFETY: the caller promises the bytes.
        let bytes = columns.map(|from| unsafe { _mm_loadu_si128(from.cast()) });
        let quads = interleave(bytes, flip);
        // SAFETY: the caller promises the vector.
        unsafe { to.write_unaligned(quads) };
        columns = columns.map(|from| from.wrapping_add(16));
        to = to.wrapping_add(1);
    }
    if !channels.is_multiple_of(16) {
        let mask = (1 << (channels % 16)) - 1;
        // SAFETY: the caller promises the bytes in the mask.
        let last = columns.map(|from| unsafe { _mm_maskz_loadu_epi8(mask, from.cast()) });
        let quads = interleave(last, flip);
        // SAFETY: the caller promises the vector.
        unsafe { to.write_unaligned(quads) };
    }
}

/// The bytes of sixteen channels at four columns, those of a channel side by side, with `flip` by exclusive or.
#[inline]
#[target_feature(enable = "avx512f,avx512bw")]
fn interleave([a, b, c, d]: [__m128i; QUAD], flip: i8) -> __m512i {
    let columns = _mm512_inserti32x4::<1>(_mm512_castsi128_si512(a), b);
    let columns = _mm512_inserti32x4::<3>(_mm512_inserti32x4::<2>(columns, c), d);
    // Four channels of all columns to each 128 bits, then their bytes.
    let order = _mm512_setr_epi32(0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15);
    transpose_fours(permute(order, columns), flip)
}

/// Writes the quads of eight channels at columns 0 to 3, then those at columns 2 to 5, as a whole vector.
///
/// # Safety
/// So many of the six columns as `count` says are valid for reading and `to` for writing a vector, and the machine has the features.
#[inline]
#[target_feature(enable = "avx512f,avx512bw")]
pub unsafe fn interleave_halves(columns: *const u8, count: usize, flip: i8, to: *mut u8) {
    // SAFETY: the caller promises so many columns, which are two lanes each.
    let columns = unsafe { _mm512_maskz_loadu_epi32((1 << (2 * count)) - 1, columns.cast()) };
    let order = _mm512_setr_epi32(0, 2, 4, 6, 1, 3, 5, 7, 4, 6, 8, 10, 5, 7, 9, 11);
    let quads = transpose_fours(permute(order, columns), flip);
    // SAFETY: the caller promises the vector.
    unsafe { to.cast::<__m512i>().write_unaligned(quads) };
}

/// In each 128 bits four times four bytes, transposed, with `flip` by exclusive or.
#[inline]
#[target_feature(enable = "avx512f,avx512bw")]
fn transpose_fours(fours: __m512i, flip: i8) -> __m512i {
    let within = _mm_setr_epi8(0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15);
    let quads = _mm512_shuffle_epi8(fours, _mm512_broadcast_i32x4(within));
    _mm512_xor_si512(quads, _mm512_set1_epi8(flip))
}
