//! What the lanes of x86-64 have in common.
#![expect(unsafe_code, reason = "a store of a whole vector")]

use std::arch::x86_64::__m128i;

/// Defines methods of lanes by code that is compiled with the features of their token.
macro_rules! with_features {
    ($features:literal: $($(#[$doc:meta])* fn $name:ident($($arg:ident: $ty:ty),*) $(-> $out:ty)? $body:block)*) => {$(
        #[inline(always)]
        fn $name(self, $($arg: $ty),*) $(-> $out)? {
            #[inline]
            #[target_feature(enable = $features)]
            fn inner($($arg: $ty),*) $(-> $out)? $body
            // SAFETY: a token exists only where these features were detected.
            unsafe { inner($($arg),*) }
        }
    )*};
}
pub(super) use with_features;

/// The lowest and the highest result, as vectors of each width that results pass through.
#[derive(Debug, Clone, Copy)]
pub struct Limits<V> {
    pub sums: [V; 2],
    pub words: [V; 2],
    pub bytes: [V; 2],
    /// Whether bytes are int8.
    pub signed: bool,
}

/// Which of a block's channels stands in lane `lane` of a sum: interleaving and packing work within 128 bits.
pub fn block_order(sum: usize, lane: usize) -> usize {
    lane / 4 * 8 + sum * 4 + lane % 4
}

/// Writes the first `to.len()` (at most 16) bytes.
#[inline(always)]
pub fn write_128(bytes: __m128i, to: &mut [u8]) {
    let mut array = [0u8; 16];
    let whole = to.len() >= 16;
    let target = if whole {
        to.as_mut_ptr()
    } else {
        array.as_mut_ptr()
    };
    // SAFETY: either place has sixteen bytes.
    unsafe { target.cast::<__m128i>().write_unaligned(bytes) };
    match to.len() {
        16.. => {}
        // Two writes of eight, which may overlap, in place of a loop.
        len @ 8.. => {
            to[..8].copy_from_slice(&array[..8]);
            to[len - 8..].copy_from_slice(&array[len - 8..len]);
        }
        len => to.copy_from_slice(&array[..len]),
    }
}
