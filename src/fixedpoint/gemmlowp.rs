//! Fixed-point numbers and gemmlowp's functions of them: exp, tanh, logistic and 1/(1+x), integers only.
//!
//! A [`FixedPoint<T, M>`] holds a real in \[-2^M, 2^M\) as an integer with `BITS - 1 - M` fractional bits ("Qm.n": M = 5 in
//! `i32` is Q5.26). Products add the integer bits; everything else keeps them. The functions are polynomials and Newton
//! steps whose every intermediate is rounded, so the order of operations here is part of the result.
//!
//! Source: gemmlowp `fixedpoint/fixedpoint.h` (commit 032a599); the same in every TFLite since 1.9.

use super::rounding::{
    RawInteger, add_saturating_if_16_bit, rounding_divide_by_pot, rounding_half_sum,
    saturating_rounding_doubling_high_mul, saturating_rounding_multiply_by_pot,
};

/// A real number in \[-2^M, 2^M\) stored as an `i32` or `i16`, M = `INTEGER_BITS`.
///
/// ```
/// use corallite::fixedpoint::FixedPoint;
/// // exp(-1) in Q0.31 from -1 in Q5.26, as SOFTMAX computes it.
/// let minus_one = FixedPoint::<i32, 5>::from_raw(-(1 << 26));
/// let result = minus_one.exp_on_negative_values();
/// assert_eq!(result.raw(), 790015308); // exp(-1) * 2^31 = 790015083.6; this is TFLite's number
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FixedPoint<T, const INTEGER_BITS: u32> {
    raw: T,
}

impl<T: RawInteger, const M: u32> FixedPoint<T, M> {
    /// Bits after the binary point.
    pub const FRACTIONAL_BITS: u32 = T::BITS - 1 - M;

    /// The number whose stored integer is `raw`.
    #[inline(always)]
    pub const fn from_raw(raw: T) -> Self {
        FixedPoint { raw }
    }

    /// The stored integer.
    #[inline(always)]
    pub const fn raw(self) -> T {
        self.raw
    }

    /// 0.
    #[inline(always)]
    pub fn zero() -> Self {
        Self::from_raw(T::ZERO)
    }

    /// 1; the largest number below it where the format has no integer bits.
    #[inline(always)]
    pub fn one() -> Self {
        Self::from_raw(if M == 0 {
            T::MAX
        } else {
            T::wrap(1i64 << Self::FRACTIONAL_BITS)
        })
    }

    /// `2^exponent`, where the format holds it exactly.
    #[inline(always)]
    fn constant_pot<const EXPONENT: i32>() -> Self {
        const { assert!(EXPONENT < M as i32 && EXPONENT + Self::FRACTIONAL_BITS as i32 >= 0) };
        Self::from_raw(T::wrap(1i64 << (Self::FRACTIONAL_BITS as i32 + EXPONENT)))
    }

    /// The constant whose 32-bit stored integer is `raw`; in 16 bits it is rounded.
    #[inline(always)]
    fn constant(raw: i32) -> Self {
        Self::from_raw(T::wrap(i64::from(rounding_divide_by_pot(
            raw,
            32 - T::BITS,
        ))))
    }

    /// Sum, wrapping.
    #[inline(always)]
    #[must_use]
    pub fn wrapping_add(self, other: Self) -> Self {
        Self::from_raw(self.raw.wrapping_add(other.raw))
    }

    /// Difference, wrapping.
    #[inline(always)]
    #[must_use]
    pub fn wrapping_sub(self, other: Self) -> Self {
        Self::from_raw(self.raw.wrapping_sub(other.raw))
    }

    /// The opposite, wrapping.
    #[inline(always)]
    #[must_use]
    pub fn wrapping_neg(self) -> Self {
        Self::zero().wrapping_sub(self)
    }

    /// Product by [`saturating_rounding_doubling_high_mul`]; its integer bits `C` are the sum of the factors'.
    #[inline(always)]
    #[must_use]
    pub fn times<const B: u32, const C: u32>(self, other: FixedPoint<T, B>) -> FixedPoint<T, C> {
        const { assert!(C == M + B, "integer bits add up in a product") };
        FixedPoint::from_raw(saturating_rounding_doubling_high_mul(self.raw, other.raw))
    }

    /// `self * 2^exponent` in the same format, saturating or rounding.
    #[inline(always)]
    #[must_use]
    pub fn saturating_rounding_multiply_by_pot(self, exponent: i32) -> Self {
        Self::from_raw(saturating_rounding_multiply_by_pot(self.raw, exponent))
    }

    /// The same number with `D` integer bits, saturating or rounding.
    #[inline(always)]
    #[must_use]
    pub fn rescale<const D: u32>(self) -> FixedPoint<T, D> {
        FixedPoint::from_raw(saturating_rounding_multiply_by_pot(
            self.raw,
            M as i32 - D as i32,
        ))
    }

    /// exp of this number, which is at most 0.
    #[inline]
    #[must_use]
    pub fn exp_on_negative_values(self) -> FixedPoint<T, 0> {
        exp_on_negative_values(self.raw, M)
    }

    /// tanh of any number.
    #[inline]
    #[must_use]
    pub fn tanh(self) -> FixedPoint<T, 0> {
        tanh(self.raw, M)
    }

    /// 1 / (1 + exp(-x)) of any number.
    #[inline]
    #[must_use]
    pub fn logistic(self) -> FixedPoint<T, 0> {
        logistic(self.raw, M)
    }
}

impl<T: RawInteger> FixedPoint<T, 0> {
    /// 1 / (1 + x) of this number, which is in (0, 1).
    #[inline]
    #[must_use]
    pub fn one_over_one_plus_x_for_x_in_0_1(self) -> Self {
        // half of the quotient 2 / (1 + x), read with one integer bit less: exact.
        let x = two_over_one_plus_x_for_x_in_0_1(self);
        FixedPoint::<T, 1>::from_raw(x.raw).rescale()
    }

    /// (1 - x) / (1 + x) of this number, which is in (0, 1).
    #[inline]
    #[must_use]
    pub fn one_minus_x_over_one_plus_x_for_x_in_0_1(self) -> Self {
        two_over_one_plus_x_for_x_in_0_1(self)
            .wrapping_sub(FixedPoint::one())
            .rescale()
    }
}

/// 2 / (1 + x) for x in (0, 1): three Newton-Raphson steps for the reciprocal of half the denominator, from the linear
/// estimate 48/17 - 32/17 d that is best on [1/2, 1].
#[inline(always)]
fn two_over_one_plus_x_for_x_in_0_1<T: RawInteger>(x: FixedPoint<T, 0>) -> FixedPoint<T, 2> {
    let half_denominator =
        FixedPoint::<T, 0>::from_raw(rounding_half_sum(x.raw, FixedPoint::<T, 0>::one().raw));
    let constant_48_over_17 = FixedPoint::<T, 2>::constant(1515870810);
    let constant_neg_32_over_17 = FixedPoint::<T, 2>::constant(-1010580540);
    let mut quotient =
        constant_48_over_17.wrapping_add(half_denominator.times(constant_neg_32_over_17));
    for _ in 0..3 {
        let error: FixedPoint<T, 2> =
            FixedPoint::one().wrapping_sub(half_denominator.times(quotient));
        let correction: FixedPoint<T, 4> = quotient.times(error);
        quotient = quotient.wrapping_add(correction.rescale());
    }
    quotient
}

/// exp for x in [-1/4, 0): Taylor around -1/8 to the fourth order.
#[inline(always)]
fn exp_on_interval_between_negative_one_quarter_and_0_excl<T: RawInteger>(
    a: FixedPoint<T, 0>,
) -> FixedPoint<T, 0> {
    let constant_term = FixedPoint::<T, 0>::constant(1895147668); // exp(-1/8)
    let constant_1_over_3 = FixedPoint::<T, 0>::constant(715827883);
    let x = a.wrapping_add(FixedPoint::constant_pot::<-3>());
    let x2: FixedPoint<T, 0> = x.times(x);
    let x3: FixedPoint<T, 0> = x2.times(x);
    let x4: FixedPoint<T, 0> = x2.times(x2);
    let x4_over_4 = x4.saturating_rounding_multiply_by_pot(-2);
    let third: FixedPoint<T, 0> = x4_over_4.wrapping_add(x3).times(constant_1_over_3);
    let x4_over_24_plus_x3_over_6_plus_x2_over_2 = third
        .wrapping_add(x2)
        .saturating_rounding_multiply_by_pot(-1);
    let term: FixedPoint<T, 0> =
        constant_term.times(x.wrapping_add(x4_over_24_plus_x3_over_6_plus_x2_over_2));
    FixedPoint::from_raw(add_saturating_if_16_bit(constant_term.raw, term.raw))
}

/// exp of a number at most 0 with `integer_bits` integer bits, given as its stored integer.
///
/// `integer_bits`: 0 to BITS - 4 (more are taken as that). A run-time argument because TANH doubles its argument by counting one bit more, and LSTM
/// chooses the format of its cell state per model.
#[inline(always)]
fn exp_on_negative_values<T: RawInteger>(a: T, integer_bits: u32) -> FixedPoint<T, 0> {
    /// exp(-2^k) in Q0.31 for k = -2 to 4.
    const EXP_OF_NEGATIVE_POTS: [i32; 7] = [
        1672461947, 1302514674, 790015084, 290630308, 39332535, 720401, 242,
    ];

    let integer_bits = integer_bits.min(T::BITS - 4);
    let fractional_bits = T::BITS - 1 - integer_bits;
    let one_quarter = T::wrap(1i64 << (fractional_bits - 2));
    let mask = one_quarter.wrapping_sub(T::wrap(1));
    let a_mod_quarter_minus_one_quarter = (a & mask).wrapping_sub(one_quarter);
    // What is left of -a is a multiple of 1/4: a product of the constants below, one per bit.
    let remainder = a_mod_quarter_minus_one_quarter.wrapping_sub(a);
    let fraction =
        saturating_rounding_multiply_by_pot(a_mod_quarter_minus_one_quarter, integer_bits as i32);
    let mut result =
        exp_on_interval_between_negative_one_quarter_and_0_excl(FixedPoint::from_raw(fraction));
    for (exponent, multiplier) in (-2i32..).zip(EXP_OF_NEGATIVE_POTS) {
        if integer_bits as i32 > exponent {
            let bit = T::wrap(1i64 << (fractional_bits as i32 + exponent));
            if remainder & bit != T::ZERO {
                result = result.times(FixedPoint::<T, 0>::constant(multiplier));
            }
        }
    }
    if integer_bits > 5 {
        let minus_32 = rounding_divide_by_pot(-(1i32 << (36 - integer_bits)), 32 - T::BITS);
        if a.widen() < i64::from(minus_32) {
            result = FixedPoint::zero();
        }
    }
    if a == T::ZERO {
        FixedPoint::one()
    } else {
        result
    }
}

/// tanh of a number with `integer_bits` integer bits, given as its stored integer.
///
/// The run-time form of [`FixedPoint::tanh`]. `integer_bits`: 0 to BITS - 5.
#[inline]
pub fn tanh<T: RawInteger>(a: T, integer_bits: u32) -> FixedPoint<T, 0> {
    let negative = if a < T::ZERO {
        a
    } else {
        T::ZERO.wrapping_sub(a)
    };
    // exp(2a): the same integer read with one integer bit more.
    let magnitude = exp_on_negative_values(negative, integer_bits + 1)
        .one_minus_x_over_one_plus_x_for_x_in_0_1();
    match a.cmp(&T::ZERO) {
        std::cmp::Ordering::Less => magnitude.wrapping_neg(),
        std::cmp::Ordering::Equal => FixedPoint::zero(),
        std::cmp::Ordering::Greater => magnitude,
    }
}

/// 1 / (1 + exp(-x)) of a number with `integer_bits` integer bits, given as its stored integer.
///
/// The run-time form of [`FixedPoint::logistic`]. `integer_bits`: 0 to BITS - 4.
#[inline]
pub fn logistic<T: RawInteger>(a: T, integer_bits: u32) -> FixedPoint<T, 0> {
    let negative = if a > T::ZERO {
        T::ZERO.wrapping_sub(a)
    } else {
        a
    };
    let upper_half =
        exp_on_negative_values(negative, integer_bits).one_over_one_plus_x_for_x_in_0_1();
    match a.cmp(&T::ZERO) {
        std::cmp::Ordering::Less => FixedPoint::one().wrapping_sub(upper_half),
        std::cmp::Ordering::Equal => FixedPoint::constant(1 << 30),
        std::cmp::Ordering::Greater => upper_half,
    }
}

/// Expected values: gemmlowp's own `fixedpoint.h` (the copy in TensorFlow 2.15.1), compiled with g++ and run on these inputs.
#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn functions_of_q5_26_answer_as_gemmlowp() {
        // stored integer, exp, logistic, tanh
        let cases = [
            (-1, 2147483124, 1073741693, -276),
            (-2, 2147483093, 1073741685, -304),
            (-(1 << 22), 2017374176, 1040198305, -134043240),
            (-(1 << 24) - 1, 1672461539, 940218675, -525959084), // just beyond -1/4: another interval
            (-(1 << 24), 1672462419, 940218953, -525958532),
            (-33542087, 1302754666, 810855387, -992078096),
            (-(1 << 26), 790015308, 577547421, -1635510876),
            (-200000000, 109051464, 103781343, -2136436644),
            (-(1 << 30), 242, 241, -2147483647),
            (-1234567890, 22, 25, -2147483647),
            (i32::MIN, 0, 0, -2147483647),
        ];
        for (raw, exp, logistic, tanh) in cases {
            let x = FixedPoint::<i32, 5>::from_raw(raw);
            let found = (
                x.exp_on_negative_values().raw(),
                x.logistic().raw(),
                x.tanh().raw(),
            );
            assert_eq!(found, (exp, logistic, tanh), "{raw}");
        }
        // stored integer, logistic, tanh
        let cases = [
            (0, 1 << 30, 0), // exactly 1/2 and 0
            (1, 1073741954, 276),
            (12345678, 1172229638, 390664504),
            (1 << 26, 1569936226, 1635510876),
            (i32::MAX, i32::MAX, i32::MAX),
        ];
        for (raw, logistic, tanh) in cases {
            let x = FixedPoint::<i32, 5>::from_raw(raw);
            assert_eq!(
                (x.logistic().raw(), x.tanh().raw()),
                (logistic, tanh),
                "{raw}"
            );
        }
        assert_eq!(
            FixedPoint::<i32, 5>::zero().exp_on_negative_values().raw(),
            i32::MAX
        );
    }

    #[test]
    fn exp_of_many_integer_bits_is_zero_below_minus_32() {
        let cases = [
            (-1, 2147479060),
            (-(1 << 17), 1672462419),
            (-(1 << 19), 790015308),
            (1 - (1 << 24), 0),
            (-(1 << 24) - 1, 0),
            (i32::MIN, 0), // the bits above exp(-16) are not looked at: the clamp answers
        ];
        for (raw, exp) in cases {
            assert_eq!(
                FixedPoint::<i32, 12>::from_raw(raw)
                    .exp_on_negative_values()
                    .raw(),
                exp,
                "{raw}"
            );
        }
    }

    #[test]
    fn functions_of_q3_12_answer_as_gemmlowp() {
        // stored integer, logistic, tanh: the gates of the int8x8_16 LSTM
        let cases: [(i16, i16, i16); 12] = [
            (-32768, 11, -32767),
            (-20000, 243, -32767),
            (-4096, 8815, -24964),
            (-1025, 14341, -8040),
            (-1024, 14345, -8032),
            (-1, 16383, -8),
            (0, 16384, 0),
            (1, 16384, 8),
            (777, 17932, 6144),
            (4096, 23952, 24964),
            (12288, 31216, 32612),
            (32767, 32756, 32767),
        ];
        for (raw, expected_logistic, expected_tanh) in cases {
            let x = FixedPoint::<i16, 3>::from_raw(raw);
            assert_eq!(
                (x.logistic().raw(), x.tanh().raw()),
                (expected_logistic, expected_tanh),
                "{raw}"
            );
            assert_eq!(logistic(raw, 3), x.logistic());
            assert_eq!(tanh(raw, 3), x.tanh());
        }
    }

    #[test]
    fn tanh_takes_any_16_bit_format() {
        // stored integer, tanh of it in Q0.15 and in Q6.9
        let cases: [(i16, i16, i16); 4] = [
            (-32768, -24964, -32767),
            (-5, 0, -316),
            (4096, 4076, 32767),
            (32767, 24964, 32767),
        ];
        for (raw, q0, q6) in cases {
            assert_eq!((tanh(raw, 0).raw(), tanh(raw, 6).raw()), (q0, q6), "{raw}");
        }
        let _ = (tanh(i16::MIN, 99), logistic(i32::MIN, 99)); // out of contract: no panic
    }

    #[test]
    fn conversions_between_formats_saturate_and_round() {
        let x = FixedPoint::<i32, 5>::from_raw(5); // 5 x 2^-26
        assert_eq!(x.rescale::<6>().raw(), 3); // 2.5, away from zero
        assert_eq!(x.rescale::<4>().raw(), 10);
        assert_eq!(FixedPoint::<i32, 5>::one().rescale::<0>().raw(), i32::MAX);
        assert_eq!(
            FixedPoint::<i32, 5>::one()
                .wrapping_neg()
                .rescale::<0>()
                .raw(),
            i32::MIN
        );
        assert_eq!(FixedPoint::<i16, 3>::one().raw(), 1 << 12);
        assert_eq!(FixedPoint::<i16, 3>::FRACTIONAL_BITS, 12);
    }
}
