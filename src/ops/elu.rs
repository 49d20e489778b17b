//! ELU: `x` from 0 up, `exp(x) - 1` below.

use super::shared::{check, function};
use super::{OpDef, Settings, TypeRow};
use crate::model::BuiltinOperator;
use crate::tensor::TensorType as T;

pub(super) const DEF: OpDef = OpDef {
    code: BuiltinOperator::ELU,
    name: "ELU",
    versions: 1..=1,
    types: &[
        TypeRow::new(&[T::Float32], &[T::Float32]),
        TypeRow::new(&[T::Int8], &[T::Int8]),
    ],
    check: check::none,
    prepare: |node, _: &Settings| function("elu.reference", node, elu),
};

/// Source: TFLite `kernels/activations.cc`, `EluPrepare`; `kernels/internal/reference/elu.h`.
fn elu(x: f32) -> f32 {
    if x < 0.0 { x.exp_m1() } else { x }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_below_zero_approach_minus_one() {
        assert_eq!([2.5, 0.0, -200.0].map(elu), [2.5, 0.0, -1.0]);
        // exp(-1e-8) - 1 to the last digit: -1e-8.
        assert_eq!(elu(-1e-8), -1e-8);
    }
}
