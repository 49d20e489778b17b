//! The error law: how far an integer layer may be from the real layer on the same input.
//!
//! For convolutions and matrix products whose input, weights and bias are known,
//!
//! ```text
//! |code - real| <= 0.5 + M/2 + 2^-(s+1)   in LSB of the output,   M = input_scale * weight_scale / output_scale
//! ```
//!
//! 0.5 is the final rounding, `M/2` the bias rounded to a whole accumulator unit, and `2^-(s+1)` the first of the two
//! roundings of the fixed-point multiplier, whose right shift is `s` bits. The training side rounds the same real number
//! once, so its code obeys the same law. Two codes that both obey it are explained by rounding; one that does not is a
//! defect, whatever the size of the difference.

use crate::fixedpoint::QuantizedMultiplier;
use crate::model::BuiltinOperator;

/// What float32 arithmetic on the training side may add, in LSB: sums of some hundred terms of at most 255 LSB, each within
/// 2^-24 of itself.
const FLOAT_ERROR: f64 = 1e-3;

/// Real multipliers and bounds by output channel.
#[derive(Debug, Clone)]
pub struct Law {
    /// `input_scale * weight_scale / output_scale`.
    pub multipliers: Vec<f64>,
    /// `M/2 + 2^-(s+1)` in LSB.
    pub bounds: Vec<f64>,
}

impl Law {
    /// The law for weights of `scales`, one or one per output channel.
    pub fn new(input_scale: f32, scales: &[f32], output_scale: f32, channels: usize) -> Self {
        let multiplier = |channel: usize| {
            let scale = scales.get(channel).or(scales.first()).copied();
            let scale = f64::from(scale.unwrap_or_default());
            f64::from(input_scale) * scale / f64::from(output_scale)
        };
        let multipliers: Vec<f64> = (0..channels).map(multiplier).collect();
        let bounds = multipliers.iter().map(|&m| bound(m)).collect();
        Self {
            multipliers,
            bounds,
        }
    }

    /// The largest `M/2 + 2^-(s+1)` of all channels.
    pub fn largest_bound(&self) -> f64 {
        self.bounds.iter().copied().fold(0.0, f64::max)
    }

    /// The largest multiplier of all channels.
    pub fn largest_multiplier(&self) -> f64 {
        self.multipliers.iter().copied().fold(0.0, f64::max)
    }

    /// How far `lsb` is from `real` as a fraction of what the law allows in `channel`: above 1 it is broken. `allowance` is
    /// what the two sides' inputs may differ in, in LSB of the output.
    pub fn ratio(&self, lsb: f64, real: f64, channel: usize, allowance: f64) -> f64 {
        let bound = self.bounds.get(channel).copied().unwrap_or_default();
        (lsb - real).abs() / (0.5 + bound + FLOAT_ERROR + allowance)
    }
}

/// `M/2 + 2^-(s+1)` for the real multiplier `M`.
pub fn bound(multiplier: f64) -> f64 {
    let shift = QuantizedMultiplier::from_real(multiplier).map_or(0, |m| (-m.shift).max(0));
    multiplier / 2.0 + 0.5f64.powi(shift + 1)
}

/// How far, in LSB, an operator without accumulator may be from the training side on the same input.
///
/// Moves copy. The rest rounds once more than the training side, LOGISTIC and TANH through tables of rounded entries.
pub fn tolerance(operator: BuiltinOperator) -> f64 {
    match operator {
        BuiltinOperator::MAX_POOL_2D
        | BuiltinOperator::RESHAPE
        | BuiltinOperator::SQUEEZE
        | BuiltinOperator::EXPAND_DIMS
        | BuiltinOperator::TRANSPOSE
        | BuiltinOperator::SLICE
        | BuiltinOperator::STRIDED_SLICE
        | BuiltinOperator::SPLIT
        | BuiltinOperator::SPLIT_V
        | BuiltinOperator::PACK
        | BuiltinOperator::UNPACK
        | BuiltinOperator::GATHER
        | BuiltinOperator::RESIZE_NEAREST_NEIGHBOR
        | BuiltinOperator::MAXIMUM
        | BuiltinOperator::MINIMUM
        | BuiltinOperator::PAD
        | BuiltinOperator::PADV2
        | BuiltinOperator::MIRROR_PAD => 0.0,
        BuiltinOperator::LOGISTIC | BuiltinOperator::TANH => 2.0,
        _ => 1.0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bound_is_half_a_unit_of_bias_and_the_first_rounding() {
        // 0.75 / 64 = 0.01171875 = 0.75 * 2^-6: shift 6, so 0.005859375 + 2^-7.
        assert_eq!(bound(0.75 / 64.0), 0.005_859_375 + 0.007_812_5);
    }

    #[test]
    fn law_is_per_channel() {
        let law = Law::new(0.5, &[0.25, 0.125], 1.0, 2);
        assert_eq!(law.multipliers, [0.125, 0.0625]);
        assert!(law.ratio(10.0, 10.5, 0, 0.0) < 1.0);
        assert!(law.ratio(11.0, 10.0, 0, 0.0) > 1.0);
        assert!(law.ratio(11.0, 10.0, 0, 0.5) < 1.0);
        assert_eq!(law.largest_bound(), bound(0.125));
    }
}
