//! GELU: `x` times the normal distribution function of `x`, or its approximation by a hyperbolic tangent.

use super::shared::{check, function};
use super::{Node, OpDef, PrepareError, Prepared, Settings, TypeRow};
use crate::model::BuiltinOperator;
use crate::tensor::TensorType as T;
use std::f32::consts::FRAC_1_SQRT_2;
use std::f64::consts::{FRAC_1_SQRT_2 as FRAC_1_SQRT_2_F64, FRAC_2_SQRT_PI, PI};

pub(super) const DEF: OpDef = OpDef {
    code: BuiltinOperator::GELU,
    name: "GELU",
    versions: 1..=2,
    types: &[
        TypeRow::new(&[T::Float32], &[T::Float32]),
        TypeRow::new(&[T::UInt8], &[T::UInt8]),
        TypeRow::new(&[T::Int8], &[T::Int8]),
        TypeRow::new(&[T::Int16], &[T::Int16]),
    ],
    check: check::none,
    prepare,
};

fn prepare(node: &Node<'_>, _: &Settings) -> Result<Prepared, PrepareError> {
    let options = node.table()?.builtin_options_as_gelu_options();
    if options.is_some_and(|options| options.approximate()) {
        function("gelu_tanh.reference", node, gelu_tanh)
    } else {
        function("gelu.reference", node, gelu)
    }
}

/// `x / 2 * erfc(-x / sqrt(2))`. Source: TFLite `kernels/internal/reference/gelu.h`, `GeluTransform`.
fn gelu(x: f32) -> f32 {
    0.5 * x * erfc((x * -FRAC_1_SQRT_2).into()) as f32
}

/// `x / 2 * (1 + tanh(sqrt(2 / pi) * (x + 0.044715 * x^3)))`. Source: as [`gelu`], `GeluTransformApproximate`.
fn gelu_tanh(x: f32) -> f32 {
    const SQRT_2_OVER_PI: f32 = (FRAC_2_SQRT_PI * FRAC_1_SQRT_2_F64) as f32;
    let cubic = x + 0.044_715 * x * x * x;
    0.5 * x * (1.0 + (SQRT_2_OVER_PI * cubic).tanh())
}

/// The complementary error function, to more digits than a float32 has: the standard library has none.
///
/// Up to 2.5 by the series `erf(x) = 2 / sqrt(pi) * exp(-x^2) * sum of 2^n x^(2n+1) / (2n+1)!!`, whose terms are all
/// positive; beyond by the continued fraction `exp(-x^2) / sqrt(pi) / (x + (1/2) / (x + 1 / (x + (3/2) / (x + ...))))`
/// (Abramowitz and Stegun, 7.1.6 and 7.1.14).
fn erfc(x: f64) -> f64 {
    let magnitude = x.abs();
    let bell = (-magnitude * magnitude).exp();
    let upper = if magnitude < 2.5 {
        let (mut term, mut sum) = (magnitude, magnitude);
        // 2.5: the terms shrink below 1e-17 of the sum before the 60th.
        for n in 1..60 {
            term *= 2.0 * magnitude * magnitude / f64::from(2 * n + 1);
            sum += term;
        }
        1.0 - FRAC_2_SQRT_PI * bell * sum
    } else {
        let fraction = (1..60)
            .rev()
            .fold(magnitude, |below, n| magnitude + f64::from(n) / 2.0 / below);
        bell / PI.sqrt() / fraction
    };
    if x < 0.0 { 2.0 - upper } else { upper }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Values of the complementary error function to 15 digits: Python 3.11, `math.erfc`.
    #[test]
    fn erfc_has_more_digits_than_float32() {
        let cases = [
            (0.0, 1.0),
            (1e-9, 0.999_999_998_871_620_8),
            (0.5, 0.479_500_122_186_953_5),
            (-1.0, 1.842_700_792_949_715),
            (2.0, 0.004_677_734_981_047_266),
            (2.4999, 0.000_407_169_900_333_451_4),
            (2.5, 0.000_406_952_017_444_958_9),
            (3.5, 7.430_983_723_414_127e-7),
            (9.0, 4.137_031_746_513_81e-37),
            (-9.0, 2.0),
        ];
        for (x, expected) in cases {
            let error = (erfc(x) / expected - 1.0).abs();
            assert!(error < 1e-10, "{x}: {} for {expected}", erfc(x));
        }
    }

    #[test]
    fn both_forms_are_odd_about_half_of_x() {
        assert_eq!([0.0, 10.0, -40.0].map(gelu), [0.0, 10.0, -0.0]);
        assert_eq!([0.0, 10.0, -40.0].map(gelu_tanh), [0.0, 10.0, -0.0]);
        assert!((gelu(1.0) - 0.841_344_7).abs() < 1e-6);
        // The approximation is off by 1.5e-4 at 1.
        assert!((gelu_tanh(1.0) - 0.841_192).abs() < 1e-6);
    }
}
