//! What lanes multiply.

/// The operands of lanes that multiply pairs of 16-bit numbers: a byte is widened, a weight has its zero point taken off and then has
/// nine bits.
macro_rules! pairs_of_words {
    () => {
        type Activation = i16;
        type Weight = i16;
        const K: usize = 2;

        #[inline(always)]
        fn activation_offset(_: bool) -> i32 {
            0
        }

        #[inline(always)]
        fn activation(byte: u8, signed: bool) -> i16 {
            if signed {
                i16::from(byte.cast_signed())
            } else {
                i16::from(byte)
            }
        }

        #[inline(always)]
        fn sum(activations: &[i16]) -> i32 {
            activations.iter().map(|&a| i32::from(a)).sum()
        }

        #[inline(always)]
        fn weight_offset(_: bool, zero: i32) -> i32 {
            zero.wrapping_neg()
        }

        #[inline(always)]
        fn weight(value: i32) -> i16 {
            value as i16
        }
    };
}
pub(super) use pairs_of_words;

/// The operands of lanes that multiply four unsigned bytes by four signed ones.
#[cfg(target_arch = "x86_64")]
macro_rules! quads_of_bytes {
    () => {
        type Activation = u8;
        type Weight = i8;
        const K: usize = 4;

        #[inline(always)]
        fn activation_offset(signed: bool) -> i32 {
            if signed { 128 } else { 0 }
        }

        #[inline(always)]
        fn activation(byte: u8, signed: bool) -> u8 {
            byte ^ if signed { 0x80 } else { 0 }
        }

        #[inline(always)]
        fn sum(activations: &[u8]) -> i32 {
            activations.iter().map(|&a| i32::from(a)).sum()
        }

        #[inline(always)]
        fn weight_offset(signed: bool, _: i32) -> i32 {
            if signed { 0 } else { -128 }
        }

        #[inline(always)]
        fn weight(value: i32) -> i8 {
            value as i8
        }
    };
}
#[cfg(target_arch = "x86_64")]
pub(super) use quads_of_bytes;
