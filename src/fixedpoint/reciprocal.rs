//! Reciprocal, inverse square root and logarithm of positive integers, as SOFTMAX, L2_NORMALIZATION, RSQRT and LOG_SOFTMAX
//! use them.
//!
//! Source: TFLite `kernels/internal/common.h` (google-ai-edge/LiteRT commit 14906c9), `GetReciprocal`,
//! `GetInvSqrtQuantizedMultiplierExp` and `log_x_for_x_greater_than_or_equal_to_1`.

use super::gemmlowp::FixedPoint;
use super::multiplier::QuantizedMultiplier;
use super::rounding::{rounding_half_sum, saturating_rounding_multiply_by_pot};

type F0 = FixedPoint<i32, 0>;
type F3 = FixedPoint<i32, 3>;

/// `1 / x` for a positive number `x` with `x_integer_digits` integer bits, as a number in \[1/2, 1\) and a shift.
///
/// Returns the Q0.31 reciprocal of `x / 2^n` and `n`, the bits of `x` above the unit: `1 / x = reciprocal / 2^31 / 2^n`.
///
/// ```
/// use corallite::fixedpoint::get_reciprocal;
/// // 3 in Q12.19: n = 1, 1 / 1.5 = 2/3.
/// let (reciprocal, num_bits_over_unit) = get_reciprocal(3 << 19, 12);
/// assert_eq!(num_bits_over_unit, 1);
/// assert!((f64::from(reciprocal) / f64::from(1u32 << 31) - 2.0 / 3.0).abs() < 1e-8);
/// ```
#[inline]
pub fn get_reciprocal(x: i32, x_integer_digits: i32) -> (i32, i32) {
    let bits = x as u32; // positive: the same number
    let headroom_plus_one = bits.leading_zeros();
    // x / 2^n - 1 in Q0.31. (x = 0 has no reciprocal; its 32 leading zeros must not overflow the shift.)
    let minus_one = bits
        .checked_shl(headroom_plus_one)
        .unwrap_or(0)
        .wrapping_sub(1 << 31) as i32;
    let reciprocal = F0::from_raw(minus_one).one_over_one_plus_x_for_x_in_0_1();
    (
        reciprocal.raw(),
        x_integer_digits - headroom_plus_one as i32,
    )
}

/// `1 / sqrt(input)` for a non-negative integer, as a multiplier with a right shift turned into TFLite's left shift.
///
/// Five Newton-Raphson steps from 1 on the input scaled by a power of four into \[2^27, 2^29\). 0 and 1 both give
/// `i32::MAX` with shift 0. Upstream's `reverse_shift` is always -1 and applied here.
///
/// `input`: at least 0 (a negative one is taken as 0).
///
/// ```
/// use corallite::fixedpoint::get_inv_sqrt_quantized_multiplier_exp;
/// let inverse = get_inv_sqrt_quantized_multiplier_exp(10_000);
/// assert!((inverse.to_real() - 0.01).abs() < 1e-8);
/// ```
#[inline]
pub fn get_inv_sqrt_quantized_multiplier_exp(input: i32) -> QuantizedMultiplier {
    if input <= 1 {
        return QuantizedMultiplier {
            multiplier: i32::MAX,
            shift: 0,
        };
    }
    let mut input = input;
    let mut right_shift = 11i32;
    while input >= 1 << 29 {
        input /= 4;
        right_shift += 1;
    }
    // 2 <= input < 2^29: 3 to 30 leading zeros, one to 14 pairs below the sign bit.
    let left_shift_bit_pairs = (input.leading_zeros() - 1) / 2 - 1;
    right_shift -= left_shift_bit_pairs as i32;
    input <<= 2 * left_shift_bit_pairs;

    let fixedpoint_input = F3::from_raw(input >> 1);
    let half_input = fixedpoint_input.saturating_rounding_multiply_by_pot(-1);
    let half_three = F3::from_raw((1 << 28) + (1 << 27));
    let mut x = F3::one();
    for _ in 0..5 {
        let x2: FixedPoint<i32, 6> = x.times(x);
        let x3: F3 = x2.times::<3, 9>(x).rescale();
        let next: FixedPoint<i32, 6> = half_three.times(x);
        x = next.wrapping_sub(half_input.times(x3)).rescale();
    }
    let half_sqrt_2 = F0::from_raw(1518500250);
    let x: F3 = x.times(half_sqrt_2);
    let mut multiplier = x.raw();
    if right_shift < 0 {
        multiplier = multiplier.wrapping_shl(right_shift.unsigned_abs());
        right_shift = 0;
    }
    QuantizedMultiplier {
        multiplier,
        shift: -right_shift,
    }
}

/// The natural logarithm of a number of at least 1 with `IN` integer bits, in a format with `OUT` integer bits.
///
/// `ACCUM` must be `OUT + 1`: the sum is formed with a bit of headroom. `OUT` must hold the logarithm of the largest input:
/// `OUT` = 5 for `IN` = 12 in LOG_SOFTMAX. (A number below 1, down to the reciprocal of the largest, works too.)
///
/// ```
/// use corallite::fixedpoint::{FixedPoint, log_x_for_x_greater_than_or_equal_to_1};
/// // ln 10 = 2.302585 from Q12.19 to Q5.26.
/// let ten = FixedPoint::<i32, 12>::from_raw(10 << 19);
/// let log = log_x_for_x_greater_than_or_equal_to_1::<5, 6, 12>(ten);
/// assert!((f64::from(log.raw()) / f64::from(1 << 26) - 10f64.ln()).abs() < 1e-6);
/// ```
#[inline]
pub fn log_x_for_x_greater_than_or_equal_to_1<const OUT: u32, const ACCUM: u32, const IN: u32>(
    input: FixedPoint<i32, IN>,
) -> FixedPoint<i32, OUT> {
    const { assert!(ACCUM == OUT + 1, "one bit of headroom") };
    const {
        assert!(
            OUT >= min_log_x_output_bits(IN),
            "the output must hold the logarithm of the largest input"
        )
    };

    let log_2 = F0::from_raw(1488522236);
    let sqrt_sqrt_half = F0::from_raw(1805811301);
    let sqrt_half = F0::from_raw(1518500250);
    let one_quarter = F0::from_raw(536870912);
    let alpha_n = F0::from_raw(117049297); // 11/240 sqrt(sqrt 2)
    let alpha_d = F0::from_raw(127690142); // 1/20 sqrt(sqrt 2)
    let alpha_i = F0::from_raw(1057819769); // 2 / sqrt(sqrt 2) - sqrt(sqrt 2)
    let alpha_f = F0::from_raw(638450708); // 1/4 sqrt(sqrt 2)
    let shifted_quarter = one_quarter.rescale::<ACCUM>().raw();
    let accum = |integer: i32| saturating_rounding_multiply_by_pot(integer, 31 - ACCUM as i32);

    // The input is 2^power * r with r near sqrt(sqrt(1/2)). Two candidates: the input itself (a) and the input times
    // sqrt(1/2) (b); the smaller r and the larger power are of the same one.
    let z_a = F0::from_raw(input.raw());
    let z_a_headroom_plus_1 = z_a.raw().leading_zeros() as i32;
    // A negative or zero input is out of contract; the shift is kept in range all the same.
    let r_a: F0 = z_a
        .saturating_rounding_multiply_by_pot((z_a_headroom_plus_1 - 1).clamp(0, 31))
        .times(sqrt_half);
    let r_a = saturating_rounding_multiply_by_pot(r_a.raw(), 1);
    let z_a_pow_2_adj = accum(IN as i32 - z_a_headroom_plus_1).saturating_add(shifted_quarter);

    let z_b: F0 = z_a.times(sqrt_half);
    let z_b_headroom = z_b.raw().leading_zeros() as i32 - 1;
    let r_b = saturating_rounding_multiply_by_pot(z_a.raw(), z_b_headroom.clamp(0, 31));
    let z_b_pow_2_adj = accum(IN as i32 - z_b_headroom).saturating_sub(shifted_quarter);

    let r = F0::from_raw(r_a.min(r_b));
    let z_pow_2_adj = FixedPoint::<i32, ACCUM>::from_raw(z_a_pow_2_adj.max(z_b_pow_2_adj));

    // log r as a rational function of q = 2 (r - sqrt(sqrt(1/2))).
    let p = F0::from_raw(rounding_half_sum(r.raw(), sqrt_sqrt_half.raw()));
    let q = r.wrapping_sub(sqrt_sqrt_half);
    let q = q.wrapping_add(q);
    let common_sq: F0 = q.times(q);
    let q_cubed: F0 = q.times(common_sq);
    let num = q.times::<0, 0>(r).wrapping_add(q_cubed.times(alpha_n));
    let inner = alpha_i
        .wrapping_add(q)
        .wrapping_add(alpha_d.times(common_sq));
    let denom_minus_one: F0 = p.times::<0, 0>(inner).wrapping_add(alpha_f.times(q));
    let recip_denom = denom_minus_one.one_over_one_plus_x_for_x_in_0_1();

    let num_scaled = num.rescale::<ACCUM>();
    let whole: FixedPoint<i32, ACCUM> = z_pow_2_adj.times(log_2);
    whole.wrapping_add(num_scaled.times(recip_denom)).rescale()
}

/// Integer bits that the natural logarithm of any number with `input_bits` integer bits needs.
const fn min_log_x_output_bits(input_bits: u32) -> u32 {
    match input_bits {
        0..=1 => 1,
        2..=4 => 2,
        5..=10 => 3,
        11..=21 => 4,
        22..=44 => 5,
        45..=90 => 6,
        _ => 7,
    }
}

/// Expected values: TFLite's own `common.h` (tflite-micro's copy, commit 90b983c) over gemmlowp, compiled with g++ and run on
/// these inputs.
#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn inverse_square_root_and_reciprocal_answer_as_tflite() {
        struct Case {
            x: i32,
            inv_sqrt: (i32, i32),
            reciprocal: (i32, i32),
        }
        let cases = [
            Case {
                x: 2,
                inv_sqrt: (1518498372, 0),
                reciprocal: (2147483647, -18),
            },
            Case {
                x: 3,
                inv_sqrt: (1239850284, 0),
                reciprocal: (1431655762, -18),
            },
            Case {
                x: 16,
                inv_sqrt: (536870914, 0),
                reciprocal: (2147483647, -15),
            },
            Case {
                x: 100,
                inv_sqrt: (214748363, 0),
                reciprocal: (1374389534, -13),
            },
            Case {
                x: 65535,
                inv_sqrt: (268437511, -5),
                reciprocal: (1073758212, -4),
            },
            Case {
                x: 1 << 19,
                inv_sqrt: (379624593, -7),
                reciprocal: (2147483647, 0),
            },
            Case {
                x: (1 << 20) + 1,
                inv_sqrt: (268435327, -7),
                reciprocal: (2147481596, 1),
            },
            Case {
                x: 10 << 19,
                inv_sqrt: (240095975, -8),
                reciprocal: (1717986914, 3),
            },
            Case {
                x: (1 << 29) - 1,
                inv_sqrt: (189812531, -11),
                reciprocal: (1073741824, 9),
            },
            Case {
                x: 1 << 29,
                inv_sqrt: (379624593, -12),
                reciprocal: (2147483647, 10),
            },
            Case {
                x: i32::MAX,
                inv_sqrt: (189812531, -12),
                reciprocal: (1073741820, 11),
            },
        ];
        for Case {
            x,
            inv_sqrt,
            reciprocal,
        } in cases
        {
            let found = get_inv_sqrt_quantized_multiplier_exp(x);
            assert_eq!((found.multiplier, found.shift), inv_sqrt, "1 / sqrt {x}");
            assert_eq!(get_reciprocal(x, 12), reciprocal, "1 / {x}");
        }
        for x in [i32::MIN, -1, 0, 1] {
            let found = get_inv_sqrt_quantized_multiplier_exp(x);
            assert_eq!(
                (found.multiplier, found.shift),
                (i32::MAX, 0),
                "{x} is taken as 1"
            );
        }
    }

    #[test]
    fn logarithm_answers_as_tflite() {
        let cases = [
            ((1 << 20) + 1, 46516384),
            (10 << 19, 154523870),
            ((1 << 29) - 1, 465163198),
            (1 << 29, 465163198),
            (i32::MAX, 558195838), // ln 4096 = 8.317766 x 2^26 = 558195870
        ];
        for (x, expected) in cases {
            let log: FixedPoint<i32, 5> =
                log_x_for_x_greater_than_or_equal_to_1::<5, 6, 12>(FixedPoint::from_raw(x));
            assert_eq!(log.raw(), expected, "ln of {x} / 2^19");
        }
    }

    #[test]
    fn out_of_contract_inputs_do_not_panic() {
        for x in [i32::MIN, -1, 0, 1] {
            let _ = get_reciprocal(x, 12);
            let _ = log_x_for_x_greater_than_or_equal_to_1::<5, 6, 12>(FixedPoint::from_raw(x));
        }
    }
}
