//! gemmlowp's tanh and logistic of 16-bit numbers, without branches: the compiler makes vectors of blocks of them.
//!
//! The steps are those of [`fixedpoint::gemmlowp`](crate::fixedpoint::gemmlowp) on 16 bits, computed in 32, where no argument makes
//! any of them wrap. The tests compare every argument.

/// exp(-2^k) in Q0.15 for k = -2 to 4.
const EXP_OF_NEGATIVE_POTS: [i32; 7] = [25520, 19875, 12055, 4435, 600, 11, 0];

/// What exp has to know of the numbers it is given.
#[derive(Debug, Clone, Copy)]
pub struct Format {
    integer_bits: u32,
    one_quarter: i32,
    /// Which bit of the argument stands for each of the constants; 0 where none does.
    pots: [i32; 7],
    /// The least argument whose exp is not 0 by decree.
    least: i32,
}

impl Format {
    /// Numbers with `integer_bits` integer bits, 0 to 7.
    pub fn new(integer_bits: u32) -> Self {
        let fractional_bits = 15 - integer_bits;
        let pots = std::array::from_fn(|number| match number as u32 {
            number if number < integer_bits + 2 => 1 << (fractional_bits - 2 + number),
            _ => 0,
        });
        Self {
            integer_bits,
            one_quarter: 1 << (fractional_bits - 2),
            pots,
            least: match integer_bits {
                // -32.
                6.. => -(1 << (20 - integer_bits)),
                _ => i16::MIN.into(),
            },
        }
    }

    /// What [`tanh`] takes for numbers with `integer_bits` integer bits, 0 to 6: it doubles them.
    pub fn of_tanh(integer_bits: u32) -> Self {
        Self::new(integer_bits + 1)
    }
}

/// tanh in Q0.15 of a number.
#[inline(always)]
pub fn tanh(a: i16, doubled: &Format) -> i16 {
    let a = i32::from(a);
    let quotient = two_over_one_plus(exp_on_negative_values(a.min(-a), doubled));
    let magnitude = ((quotient - (1 << 13)) << 2).min(i16::MAX.into());
    let result = if a < 0 { -magnitude } else { magnitude };
    (if a == 0 { 0 } else { result }) as i16
}

/// 1 / (1 + exp(-x)) in Q0.15 of a number.
#[inline(always)]
pub fn logistic(a: i16, format: &Format) -> i16 {
    let a = i32::from(a);
    let quotient = two_over_one_plus(exp_on_negative_values(a.min(-a), format));
    let upper_half = (quotient << 1).min(i16::MAX.into());
    let lower_half = i32::from(i16::MAX) - upper_half;
    let result = if a < 0 { lower_half } else { upper_half };
    (if a == 0 { 1 << 14 } else { result }) as i16
}

/// `x / 2^bits` rounded to nearest, ties away from zero; `bits` from 1 on.
#[inline(always)]
pub fn rounding_divide_by_pot(x: i32, bits: u32) -> i32 {
    (x + (1 << (bits - 1)) + (x >> 31)) >> bits
}

/// exp of a number below 0, in Q0.15.
#[inline(always)]
fn exp_on_negative_values(a: i32, format: &Format) -> i32 {
    let fraction = (a & (format.one_quarter - 1)) - format.one_quarter;
    // What is left of -a is a multiple of 1/4: a product of the constants, one per bit.
    let remainder = fraction - a;
    let mut result = exp_on_the_last_quarter(fraction << format.integer_bits);
    for (pot, factor) in format.pots.into_iter().zip(EXP_OF_NEGATIVE_POTS) {
        let product = times(result, factor);
        result = if remainder & pot != 0 {
            product
        } else {
            result
        };
    }
    if a < format.least { 0 } else { result }
}

/// exp on [-1/4, 0): Taylor around -1/8 to the fourth order.
#[inline(always)]
fn exp_on_the_last_quarter(a: i32) -> i32 {
    const EXP_OF_NEGATIVE_EIGHTH: i32 = 28918;
    const ONE_THIRD: i32 = 10923;
    let x = a + (1 << 12);
    let x2 = times(x, x);
    let x3 = times(x2, x);
    let x4 = times(x2, x2);
    let third = times(rounding_divide_by_pot(x4, 2) + x3, ONE_THIRD);
    let higher = rounding_divide_by_pot(third + x2, 1);
    let term = times(EXP_OF_NEGATIVE_EIGHTH, x + higher);
    (EXP_OF_NEGATIVE_EIGHTH + term).min(i16::MAX.into())
}

/// 2 / (1 + x) in Q2.13 for x in [0, 1): three Newton-Raphson steps from 48/17 - 32/17 d, d = (1 + x) / 2.
#[inline(always)]
fn two_over_one_plus(x: i32) -> i32 {
    let half_denominator = (x + (1 << 15)) >> 1;
    let mut quotient = 23130 + times(half_denominator, -15420);
    for _ in 0..3 {
        let error = (1 << 13) - times(half_denominator, quotient);
        quotient += times(quotient, error) << 2;
    }
    quotient
}

/// The product of numbers in Q0.15, ties upward.
#[inline(always)]
fn times(a: i32, b: i32) -> i32 {
    (a * b + (1 << 14)) >> 15
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixedpoint::{gemmlowp, rounding};

    #[test]
    #[cfg_attr(miri, ignore = "every number, hours under Miri")]
    fn every_number_of_every_format_gets_what_gemmlowp_gives() {
        for integer_bits in 0..=6 {
            let (doubled, format) = (Format::of_tanh(integer_bits), Format::new(integer_bits));
            for a in i16::MIN..=i16::MAX {
                let found = (tanh(a, &doubled), logistic(a, &format));
                let expected = (
                    gemmlowp::tanh(a, integer_bits).raw(),
                    gemmlowp::logistic(a, integer_bits).raw(),
                );
                assert_eq!(found, expected, "{a} with {integer_bits} integer bits");
            }
        }
    }

    #[test]
    fn quotients_round_ties_away_from_zero() {
        for x in [
            0,
            1,
            -1,
            2,
            -2,
            3,
            -3,
            5,
            -5,
            6,
            -6,
            7,
            -7,
            1 << 30,
            -(1 << 30),
        ] {
            for bits in [1, 2, 15, 21] {
                let expected = rounding::rounding_divide_by_pot(x, bits);
                assert_eq!(rounding_divide_by_pot(x, bits), expected, "{x} >> {bits}");
            }
        }
    }
}
