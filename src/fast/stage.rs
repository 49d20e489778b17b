//! From sums to stored results, as arrays over output channels.

use super::aligned::Aligned;
use super::lanes::Lanes;
use crate::fixedpoint::{QuantizedMultiplier, Rounding, round_half_away_f64};

/// How a sum is scaled, one entry per output channel.
#[derive(Debug, Clone)]
pub enum Scaling {
    /// Fixed-point multipliers.
    Fixed(Box<[QuantizedMultiplier]>, Rounding),
    /// Doubles, rounded half away from zero.
    Real(Box<[f64]>),
}

/// From a sum to a stored byte: scale, add the zero point, clamp.
#[derive(Debug, Clone)]
pub struct Stage {
    /// By output channel.
    pub scaling: Scaling,
    /// Added after scaling.
    pub zero_point: i32,
    /// The lowest and the highest result.
    pub clamp: (i32, i32),
}

impl Stage {
    /// The result for `sum` in output channel `channel`.
    #[inline(always)]
    pub fn code(&self, sum: i32, channel: usize) -> u8 {
        let scaled = match &self.scaling {
            Scaling::Fixed(multipliers, rounding) => multipliers[channel].apply(sum, *rounding),
            Scaling::Real(scales) => round_half_away_f64(f64::from(sum) * scales[channel]) as i32,
        };
        let code = scaled.wrapping_add(self.zero_point);
        code.clamp(self.clamp.0, self.clamp.1) as u8
    }
}

/// A stage as vectors read it: parameters side by side, padded to whole vectors.
#[derive(Debug)]
pub struct StageVectors {
    /// What scaling needs, by output channel.
    form: Form,
    zero_point: i32,
    clamp: (i32, i32),
    /// Where each lane position finds its channel: see [`StageVectors::new`].
    parameters: Aligned,
    padded: usize,
}

#[derive(Debug)]
enum Form {
    /// Every shift is to the right by at least one bit, with two roundings: the usual case.
    Right,
    /// Any shift, with two roundings.
    Any,
    /// Whatever vectors do not know, one sum at a time.
    Scalar(Stage, Box<[usize]>),
}

impl StageVectors {
    /// The stage for lanes that hold `channels` in the order given by `order`, which has `usize::MAX` for lanes without one.
    pub fn new(stage: Stage, order: &[usize]) -> Self {
        let padded = order.len();
        let mut parameters = Aligned::new(3 * padded * size_of::<i32>());
        let (zero_point, clamp) = (stage.zero_point, stage.clamp);
        let form = match &stage.scaling {
            Scaling::Fixed(multipliers, Rounding::Double)
                if multipliers.iter().all(|m| m.multiplier != i32::MIN) =>
            {
                let right = multipliers.iter().all(|m| m.shift < 0);
                let (all, shifts) = parameters.slice_mut::<i32>().split_at_mut(padded);
                let (rights, lefts) = shifts.split_at_mut(padded);
                for (lane, &channel) in order.iter().enumerate() {
                    let Some(m) = multipliers.get(channel) else {
                        continue;
                    };
                    all[lane] = m.multiplier;
                    let bits = (m.shift.min(0).unsigned_abs() & 31) as i32;
                    rights[lane] = if right { bits - 1 } else { bits };
                    lefts[lane] = m.shift.max(0) & 31;
                }
                if right { Form::Right } else { Form::Any }
            }
            _ => Form::Scalar(stage, order.into()),
        };
        Self {
            form,
            zero_point,
            clamp,
            parameters,
            padded,
        }
    }

    /// Bytes of the parameters.
    pub fn bytes(&self) -> usize {
        self.parameters.bytes()
    }

    /// Scales rows of sums in `C` vectors, whose first lane stands at `lane` of the order, to results that are not yet
    /// limited.
    #[inline(always)]
    pub fn codes<L: Lanes, const R: usize, const C: usize>(
        &self,
        lanes: L,
        mut sums: [[L::Sum; C]; R],
        lane: usize,
    ) -> [[L::Sum; C]; R] {
        let all: &[i32] = self.parameters.slice();
        let parameters = |kind: usize| -> [L::Sum; C] {
            std::array::from_fn(|c| lanes.load_sums(&all[kind * self.padded + lane + c * L::N..]))
        };
        let (multipliers, rights) = (parameters(0), parameters(1));
        match &self.form {
            Form::Right => {
                let rest = lanes.splat_sum(self.zero_point.wrapping_mul(2).wrapping_add(1));
                for sums in &mut sums {
                    for (c, sums) in sums.iter_mut().enumerate() {
                        *sums = lanes.scale_right(*sums, multipliers[c], rights[c], rest);
                    }
                }
            }
            Form::Any => {
                let lefts = parameters(2);
                let zero = lanes.splat_sum(self.zero_point);
                for sums in &mut sums {
                    for (c, sums) in sums.iter_mut().enumerate() {
                        *sums = lanes.scale(*sums, multipliers[c], lefts[c], rights[c], zero);
                    }
                }
            }
            Form::Scalar(stage, order) => {
                for sums in &mut sums {
                    for (c, sums) in sums.iter_mut().enumerate() {
                        *sums = scalar_codes(lanes, stage, *sums, &order[lane + c * L::N..]);
                    }
                }
            }
        }
        sums
    }

    /// The lowest and the highest result.
    #[inline(always)]
    pub fn limits<L: Lanes>(&self, lanes: L) -> L::Limits {
        lanes.limits(self.clamp.0, self.clamp.1)
    }
}

/// One sum at a time; `order` begins with the channels of the lanes.
#[inline(never)]
fn scalar_codes<L: Lanes>(lanes: L, stage: &Stage, sums: L::Sum, order: &[usize]) -> L::Sum {
    let mut array = [0i32; super::lanes::MOST_SUMS];
    lanes.store_sums(sums, &mut array);
    for (sum, &channel) in array[..L::N].iter_mut().zip(order) {
        if channel == usize::MAX {
            continue;
        }
        let code = stage.code(*sum, channel);
        // A signed range has its codes sign-extended.
        *sum = if stage.clamp.0 < 0 {
            i32::from(code.cast_signed())
        } else {
            i32::from(code)
        };
    }
    lanes.load_sums(&array)
}
