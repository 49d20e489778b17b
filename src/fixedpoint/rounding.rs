//! The integer primitives of gemmlowp: rounding high multiply, rounding shifts, saturation.
//!
//! A *tie* is a value exactly half way between two integers. Three rules occur, and which one applies where is the whole
//! difficulty of bit-exactness:
//!
//! | function | tie rule | -1.5 | 1.5 |
//! | --- | --- | --- | --- |
//! | [`saturating_rounding_doubling_high_mul`] | upward | -1 | 2 |
//! | [`rounding_divide_by_pot`], [`rounding_half_sum`] | away from zero | -2 | 2 |
//! | [`round_half_away`](super::round_half_away) (floats) | away from zero | -2 | 2 |
//!
//! Source: gemmlowp `fixedpoint/fixedpoint.h` (commit 032a599), the functions of the same names.

mod sealed {
    pub trait Sealed {}
    impl Sealed for i16 {}
    impl Sealed for i32 {}
}

/// The integers that gemmlowp stores fixed-point numbers in: `i32` and `i16`.
///
/// Sealed. Its methods are the standard ones of the same names, so that the primitives here are written once.
pub trait RawInteger:
    Copy + Ord + std::fmt::Debug + std::ops::BitAnd<Output = Self> + sealed::Sealed
{
    /// Bits including the sign.
    const BITS: u32;
    /// The smallest value.
    const MIN: Self;
    /// The largest value.
    const MAX: Self;
    /// Zero.
    const ZERO: Self;

    /// The same number in 64 bits.
    fn widen(self) -> i64;
    /// The low bits of `value`.
    fn wrap(value: i64) -> Self;
    /// Sum modulo 2^BITS.
    fn wrapping_add(self, other: Self) -> Self;
    /// Difference modulo 2^BITS.
    fn wrapping_sub(self, other: Self) -> Self;
    /// `self * 2^bits` modulo 2^BITS; `bits` modulo BITS.
    fn wrapping_shl(self, bits: u32) -> Self;
    /// Arithmetic right shift, rounding down; `bits` modulo BITS.
    fn wrapping_shr(self, bits: u32) -> Self;
}

/// Implements [`RawInteger`] by the inherent methods of the type.
macro_rules! raw_integer {
    ($($int:ty)*) => {$(impl RawInteger for $int {
        const BITS: u32 = <$int>::BITS;
        const MIN: Self = <$int>::MIN;
        const MAX: Self = <$int>::MAX;
        const ZERO: Self = 0;
        #[inline(always)] fn widen(self) -> i64 { i64::from(self) }
        #[inline(always)] fn wrap(value: i64) -> Self { value as $int }
        #[inline(always)] fn wrapping_add(self, other: Self) -> Self { <$int>::wrapping_add(self, other) }
        #[inline(always)] fn wrapping_sub(self, other: Self) -> Self { <$int>::wrapping_sub(self, other) }
        #[inline(always)] fn wrapping_shl(self, bits: u32) -> Self { <$int>::wrapping_shl(self, bits) }
        #[inline(always)] fn wrapping_shr(self, bits: u32) -> Self { <$int>::wrapping_shr(self, bits) }
    })*};
}
raw_integer!(i16 i32);

/// `a * b / 2^(BITS-1)` rounded to nearest, ties upward: the product of two numbers in \[-1, 1\).
///
/// `MIN * MIN`, which is +1, saturates to `MAX`. For `i32` this is ARM's `SQRDMULH`.
///
/// ```
/// use corallite::fixedpoint::saturating_rounding_doubling_high_mul;
/// assert_eq!(saturating_rounding_doubling_high_mul(3, 1 << 30), 2); // 1.5
/// assert_eq!(saturating_rounding_doubling_high_mul(-3, 1 << 30), -1); // -1.5
/// assert_eq!(saturating_rounding_doubling_high_mul(i16::MIN, i16::MIN), i16::MAX);
/// ```
#[inline(always)]
pub fn saturating_rounding_doubling_high_mul<T: RawInteger>(a: T, b: T) -> T {
    if a == T::MIN && b == T::MIN {
        return T::MAX;
    }
    // gemmlowp adds a nudge that depends on the sign and divides truncating; (p + half) >> n is the same number:
    // for p < 0, trunc((p + 1 - half) / 2^n) = ceil((p + 1 - half) / 2^n) = floor((p + half) / 2^n), half = 2^(n-1).
    let bits = T::BITS - 1;
    T::wrap((a.widen() * b.widen() + (1 << (bits - 1))) >> bits)
}

/// `x / 2^exponent` rounded to nearest, ties away from zero.
///
/// `exponent`: bits. Upstream asserts 0 to BITS-1; SOFTMAX nevertheless gets to BITS when its row sums to 512 or more, which
/// aborts ai-edge-litert 2.3 and makes every output of tflite-runtime 2.14 the maximum. Here the quotient is right there too.
///
/// ```
/// use corallite::fixedpoint::rounding_divide_by_pot;
/// assert_eq!([5, -5, 4, -6].map(|x| rounding_divide_by_pot(x, 1)), [3, -3, 2, -3]);
/// ```
#[inline(always)]
pub fn rounding_divide_by_pot<T: RawInteger>(x: T, exponent: u32) -> T {
    if exponent >= T::BITS {
        // Below one half, but for MIN / 2^BITS, which is the tie -1/2.
        return T::wrap(-i64::from(exponent == T::BITS && x == T::MIN));
    }
    let one = |condition: bool| T::wrap(i64::from(condition));
    // All ones below `exponent`: MAX with its top bits shifted out.
    let mask = T::wrap(1).wrapping_shl(exponent).wrapping_sub(T::wrap(1));
    let remainder = x & mask;
    let threshold = mask.wrapping_shr(1).wrapping_add(one(x < T::ZERO));
    x.wrapping_shr(exponent)
        .wrapping_add(one(remainder > threshold))
}

/// `x * 2^exponent`: saturating for a positive exponent, [`rounding_divide_by_pot`] for a negative one.
///
/// `exponent`: bits, `1 - BITS` to `BITS - 1`; outside, a left shift saturates and a right shift is taken at the bound.
/// Also upstream's `SaturatingRoundingMultiplyByPOTParam` (TFLite `kernels/internal/common.h`), which takes exponents >= 0.
#[inline(always)]
pub fn saturating_rounding_multiply_by_pot<T: RawInteger>(x: T, exponent: i32) -> T {
    let bits = exponent.unsigned_abs().min(T::BITS - 1);
    if exponent <= 0 {
        return rounding_divide_by_pot(x, bits);
    }
    let threshold = (1i64 << (T::BITS - 1 - bits)) - 1;
    if x.widen() > threshold {
        T::MAX
    } else if x.widen() < -threshold {
        T::MIN
    } else {
        x.wrapping_shl(bits)
    }
}

/// `(a + b) / 2` rounded to nearest, ties away from zero.
#[inline(always)]
pub fn rounding_half_sum<T: RawInteger>(a: T, b: T) -> T {
    let sum = a.widen() + b.widen();
    let away = if sum >= 0 { 1 } else { -1 };
    T::wrap((sum + away) / 2)
}

/// `a + b`, saturating for `i16`, wrapping for `i32`: gemmlowp's rule inside its polynomials.
#[inline(always)]
pub fn add_saturating_if_16_bit<T: RawInteger>(a: T, b: T) -> T {
    if T::BITS > 16 {
        return a.wrapping_add(b);
    }
    T::wrap((a.widen() + b.widen()).clamp(T::MIN.widen(), T::MAX.widen()))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// gemmlowp's own formulation: nudge by sign, then divide truncating toward zero.
    fn high_mul_by_nudge(a: i32, b: i32) -> i32 {
        if a == i32::MIN && b == i32::MIN {
            return i32::MAX;
        }
        let product = i64::from(a) * i64::from(b);
        let nudge = if product >= 0 {
            1i64 << 30
        } else {
            1 - (1i64 << 30)
        };
        i32::try_from((product + nudge) / (1i64 << 31)).unwrap()
    }

    #[test]
    fn saturating_rounding_doubling_high_mul_rounds_ties_upward() {
        struct Case {
            a: i32,
            b: i32,
            expected: i32,
            why: &'static str,
        }
        let half = 1 << 30; // 0.5 in Q31
        let cases = [
            Case {
                a: 1,
                b: half,
                expected: 1,
                why: "0.5 is a tie: up",
            },
            Case {
                a: -1,
                b: half,
                expected: 0,
                why: "-0.5 is a tie: up, to zero",
            },
            Case {
                a: 3,
                b: half,
                expected: 2,
                why: "1.5 is a tie: up",
            },
            Case {
                a: -3,
                b: half,
                expected: -1,
                why: "-1.5 is a tie: up",
            },
            Case {
                a: -5,
                b: half,
                expected: -2,
                why: "-2.5 is a tie: up",
            },
            Case {
                a: -5,
                b: half + 1,
                expected: -3,
                why: "-2.5 - 5/2^31 is past the tie",
            },
            Case {
                a: i32::MIN,
                b: i32::MIN,
                expected: i32::MAX,
                why: "+1 saturates",
            },
            Case {
                a: i32::MIN,
                b: i32::MAX,
                expected: -i32::MAX,
                why: "-(1 - 2^-31) x 2^31 = -2^31 + 1",
            },
            Case {
                a: i32::MAX,
                b: i32::MAX,
                expected: i32::MAX - 1,
                why: "(2^31-1)^2/2^31 = 2^31 - 2 + 2^-31",
            },
            Case {
                a: i32::MIN,
                b: 1,
                expected: -1,
                why: "exactly -1",
            },
            Case {
                a: i32::MIN,
                b: 0,
                expected: 0,
                why: "zero",
            },
        ];
        for Case {
            a,
            b,
            expected,
            why,
        } in cases
        {
            assert_eq!(
                saturating_rounding_doubling_high_mul(a, b),
                expected,
                "{a} x {b}: {why}"
            );
            assert_eq!(
                high_mul_by_nudge(a, b),
                expected,
                "the test's own oracle, {a} x {b}: {why}"
            );
        }
    }

    #[test]
    fn saturating_rounding_doubling_high_mul_equals_the_nudge_form() {
        let edges = [
            i32::MIN,
            i32::MIN + 1,
            -(1 << 30),
            -3,
            -2,
            -1,
            0,
            1,
            2,
            3,
            1 << 30,
            i32::MAX - 1,
            i32::MAX,
        ];
        let mut state = 1u64;
        for i in 0..20_000 {
            state = state
                .wrapping_mul(6364136223846793005)
                .wrapping_add(1442695040888963407);
            let (a, b) = ((state >> 32) as i32 >> (i % 31), state as i32);
            let b = if i % 3 == 0 {
                edges[i % edges.len()]
            } else {
                b
            };
            assert_eq!(
                saturating_rounding_doubling_high_mul(a, b),
                high_mul_by_nudge(a, b),
                "{a} x {b}"
            );
        }
        for (a, b) in edges.into_iter().flat_map(|a| edges.map(|b| (a, b))) {
            assert_eq!(
                saturating_rounding_doubling_high_mul(a, b),
                high_mul_by_nudge(a, b),
                "{a} x {b}"
            );
        }
    }

    #[test]
    fn saturating_rounding_doubling_high_mul_of_16_bits() {
        let cases: [(i16, i16, i16); 6] = [
            (i16::MIN, i16::MIN, i16::MAX), // +1 saturates
            (1, 1 << 14, 1),                // 0.5, a tie: up
            (-1, 1 << 14, 0),               // -0.5, a tie: up
            (-3, 1 << 14, -1),              // -1.5, a tie: up
            (i16::MAX, i16::MAX, 32766),    // 32767^2 / 2^15 = 32766.00003
            (i16::MIN, i16::MAX, -32767),   // exact
        ];
        for (a, b, expected) in cases {
            assert_eq!(
                saturating_rounding_doubling_high_mul(a, b),
                expected,
                "{a} x {b}"
            );
        }
    }

    #[test]
    fn rounding_divide_by_pot_rounds_ties_away_from_zero() {
        let cases = [
            (5, 1, 3),   // 2.5
            (-5, 1, -3), // -2.5: the case that tells away-from-zero from upward
            (-3, 1, -2), // -1.5
            (-1, 1, -1), // -0.5
            (3, 2, 1),   // 0.75
            (-3, 2, -1), // -0.75
            (-2, 2, -1), // -0.5
            (-1, 2, 0),  // -0.25
            (7, 0, 7),   // no shift
            (i32::MIN, 0, i32::MIN),
            (i32::MIN, 31, -1),   // exactly -1
            (i32::MAX, 31, 1),    // 1 - 2^-31
            (1 << 30, 31, 1),     // 0.5
            (-(1 << 30), 31, -1), // -0.5
            ((1 << 30) - 1, 31, 0),
            (1 - (1 << 30), 31, 0),
            (i32::MAX, 32, 0),  // 1/2 - 2^-32
            (i32::MIN, 32, -1), // -1/2
            (i32::MIN, 33, 0),
            (i32::MIN, u32::MAX, 0),
        ];
        for (x, exponent, expected) in cases {
            assert_eq!(
                rounding_divide_by_pot(x, exponent),
                expected,
                "{x} / 2^{exponent}"
            );
        }
        // -2.5 and 2.5 again, and both ends, in 16 bits.
        let cases: [(i16, u32, i16); 4] = [
            (-5, 1, -3),
            (5, 1, 3),
            (i16::MIN, 15, -1),
            (i16::MAX, 15, 1),
        ];
        for (x, exponent, expected) in cases {
            assert_eq!(
                rounding_divide_by_pot(x, exponent),
                expected,
                "{x} / 2^{exponent}"
            );
        }
    }

    #[test]
    fn saturating_rounding_multiply_by_pot_saturates_left_and_rounds_right() {
        let cases = [
            (5, -1, 3), // 2.5 away from zero
            (-5, -1, -3),
            (9, 0, 9),
            ((1 << 28) - 1, 3, i32::MAX - 7), // the largest that fits: (2^28 - 1) x 8
            (1 << 28, 3, i32::MAX),           // 2^31 does not
            (-(1 << 28), 3, i32::MIN),        // exactly -2^31
            (-(1 << 28) - 1, 3, i32::MIN),
            (0, 31, 0),
            (1, 31, i32::MAX),
            (-1, 31, i32::MIN),
            (1, 40, i32::MAX),   // beyond upstream's range: still saturates
            (i32::MIN, -40, -1), // and a right shift stops at 31
        ];
        for (x, exponent, expected) in cases {
            assert_eq!(
                saturating_rounding_multiply_by_pot(x, exponent),
                expected,
                "{x} x 2^{exponent}"
            );
        }
    }

    #[test]
    fn rounding_half_sum_and_16_bit_addition() {
        assert_eq!(rounding_half_sum(1, 2), 2); // 1.5
        assert_eq!(rounding_half_sum(-1, -2), -2); // -1.5
        assert_eq!(rounding_half_sum(i32::MAX, i32::MAX), i32::MAX);
        assert_eq!(rounding_half_sum(i32::MIN, i32::MIN), i32::MIN);
        assert_eq!(add_saturating_if_16_bit(i16::MAX, 1), i16::MAX);
        assert_eq!(add_saturating_if_16_bit(i32::MAX, 1), i32::MIN);
    }
}
