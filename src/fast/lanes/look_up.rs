//! Tables of 256 bytes by shuffles.
#![expect(
    unsafe_code,
    reason = "calls of functions for instructions that a token proves present"
)]

use super::Avx2;
use super::x86::with_features;
use std::arch::x86_64::*;

/// Looks bytes up, `N` at a time.
pub trait LookUp<const N: usize>: Sized {
    /// Writes the entry of `table` for each byte of as many blocks.
    fn blocks(self, table: &[u8; 256], from: &[[u8; N]], to: &mut [[u8; N]]);

    /// Replaces each byte by its entry of `table`.
    fn blocks_in_place(self, table: &[u8; 256], bytes: &mut [[u8; N]]);

    /// Writes the entry of `table` for each byte of `from`.
    fn look_up(self, table: &[u8; 256], from: &[u8], to: &mut [u8]) {
        let ((from, rest), (to, last)) = (from.as_chunks(), to.as_chunks_mut());
        self.blocks(table, from, to);
        for (to, &from) in last.iter_mut().zip(rest) {
            *to = table[usize::from(from)];
        }
    }

    /// Replaces each byte by its entry of `table`.
    fn look_up_in_place(self, table: &[u8; 256], bytes: &mut [u8]) {
        let (blocks, rest) = bytes.as_chunks_mut();
        self.blocks_in_place(table, blocks);
        for byte in rest {
            *byte = table[usize::from(*byte)];
        }
    }
}

/// Proof that the machine has AVX-512 BW and VBMI, whose shuffles choose among 128 bytes.
#[derive(Debug, Clone, Copy)]
pub struct Avx512Vbmi(());

impl Avx512Vbmi {
    /// The token, where this machine has the instructions.
    pub fn detect() -> Option<Self> {
        let present = is_x86_feature_detected!("avx512f")
            && is_x86_feature_detected!("avx512bw")
            && is_x86_feature_detected!("avx512vbmi");
        present.then_some(Self(()))
    }
}

impl LookUp<64> for Avx512Vbmi {
    with_features! { "avx512f,avx512bw,avx512vbmi":
        fn blocks(table: &[u8; 256], from: &[[u8; 64]], to: &mut [[u8; 64]]) {
            let quarters = bytemuck::must_cast(*table);
            for (to, from) in to.iter_mut().zip(from) {
                *to = entries_of_quarters(&quarters, *from);
            }
        }

        fn blocks_in_place(table: &[u8; 256], bytes: &mut [[u8; 64]]) {
            let quarters = bytemuck::must_cast(*table);
            for bytes in bytes {
                *bytes = entries_of_quarters(&quarters, *bytes);
            }
        }
    }
}

/// The entries for bytes, by the quarters of the table.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512vbmi")]
fn entries_of_quarters(quarters: &[[u8; 64]; 4], bytes: [u8; 64]) -> [u8; 64] {
    // SAFETY: any 64 bytes are a vector.
    let vector = |bytes: &[u8; 64]| unsafe { _mm512_loadu_si512(bytes.as_ptr().cast()) };
    let [a, b, c, d] = quarters.each_ref().map(vector);
    let indices = vector(&bytes);
    let low = _mm512_permutex2var_epi8(a, indices, b);
    let high = _mm512_permutex2var_epi8(c, indices, d);
    let found = _mm512_mask_mov_epi8(low, _mm512_movepi8_mask(indices), high);
    // SAFETY: any vector is 64 bytes.
    unsafe { std::mem::transmute::<__m512i, [u8; 64]>(found) }
}

/// Shuffles of AVX2 choose among sixteen bytes.
impl LookUp<32> for Avx2 {
    with_features! { "avx2":
        fn blocks(table: &[u8; 256], from: &[[u8; 32]], to: &mut [[u8; 32]]) {
            let (low, high) = (differences(&table[..128]), differences(&table[128..]));
            for (to, from) in to.iter_mut().zip(from) {
                *to = entries(&low, &high, *from);
            }
        }

        fn blocks_in_place(table: &[u8; 256], bytes: &mut [[u8; 32]]) {
            let (low, high) = (differences(&table[..128]), differences(&table[128..]));
            for bytes in bytes {
                *bytes = entries(&low, &high, *bytes);
            }
        }
    }
}

/// Sixteen entries at a time, what they differ in from the sixteen before, in both halves of a vector.
#[inline]
#[target_feature(enable = "avx2")]
fn differences(table: &[u8]) -> [__m256i; 8] {
    let mut vectors = [_mm256_setzero_si256(); 8];
    let mut before = [0u8; 16];
    for (vector, entries) in vectors.iter_mut().zip(table.as_chunks::<16>().0) {
        let difference: [u8; 16] = std::array::from_fn(|i| entries[i] ^ before[i]);
        *vector = _mm256_broadcastsi128_si256(bytemuck::must_cast(difference));
        before = *entries;
    }
    vectors
}

/// The entries for bytes, by the differences of the table's halves.
#[inline]
#[target_feature(enable = "avx2")]
fn entries(low: &[__m256i; 8], high: &[__m256i; 8], bytes: [u8; 32]) -> [u8; 32] {
    let indices: __m256i = bytemuck::must_cast(bytes);
    let flipped = _mm256_xor_si256(indices, _mm256_set1_epi8(-128));
    bytemuck::must_cast(_mm256_xor_si256(half(low, indices), half(high, flipped)))
}

/// The entries for `indices` from 0 to 127, and 0 for negative ones.
///
/// A shuffle takes the low four bits of an index and gives 0 for a negative one. Each index less 16, and again, meets the
/// differences up to that of its own sixteen, which together are its entry.
#[inline]
#[target_feature(enable = "avx2")]
fn half(differences: &[__m256i; 8], indices: __m256i) -> __m256i {
    let mut indices = indices;
    let mut found = _mm256_shuffle_epi8(differences[0], indices);
    for &difference in &differences[1..] {
        indices = _mm256_subs_epi8(indices, _mm256_set1_epi8(16));
        found = _mm256_xor_si256(found, _mm256_shuffle_epi8(difference, indices));
    }
    found
}
