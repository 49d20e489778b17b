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

/// Multiplier, shift left and shift right, the same in every lane.
pub struct Scale<L: Lanes> {
    pub multiplier: L::Sum,
    pub left: L::Sum,
    pub right: L::Sum,
}

impl<L: Lanes> Scale<L> {
    /// Whether vectors can scale by `by`: they cannot double the lowest number.
    pub fn suits(by: QuantizedMultiplier) -> bool {
        by.multiplier != i32::MIN && by.shift.unsigned_abs() < 32
    }

    #[inline(always)]
    pub fn new(lanes: L, by: QuantizedMultiplier) -> Self {
        Self {
            multiplier: lanes.splat_sum(by.multiplier),
            left: lanes.splat_sum(by.shift.max(0)),
            right: lanes.splat_sum(by.shift.min(0).wrapping_neg()),
        }
    }

    /// `sums` scaled with two roundings, plus `zero`.
    #[inline(always)]
    pub fn apply(&self, lanes: L, sums: L::Sum, zero: L::Sum) -> L::Sum {
        lanes.scale(sums, self.multiplier, self.left, self.right, zero)
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
    pub fn new<L: Lanes>(stage: Stage, order: &[usize]) -> Self {
        let padded = order.len();
        let mut parameters = Aligned::new(3 * padded * size_of::<i32>());
        let (zero_point, clamp) = (stage.zero_point, stage.clamp);
        let form = match &stage.scaling {
            Scaling::Fixed(multipliers, Rounding::Double)
                if multipliers.iter().all(|m| m.multiplier != i32::MIN) =>
            {
                // A multiplier of 0 has any shift.
                let right = multipliers.iter().all(|m| m.shift < 0 || m.multiplier == 0);
                let (all, shifts) = parameters.slice_mut::<i32>().split_at_mut(padded);
                let (rights, lefts) = shifts.split_at_mut(padded);
                for (lane, &channel) in order.iter().enumerate() {
                    let Some(m) = multipliers.get(channel) else {
                        continue;
                    };
                    all[lane] = m.multiplier;
                    let bits = (m.shift.min(0).unsigned_abs() & 31) as i32;
                    rights[lane] = match right {
                        true => L::right_shift(bits.max(1)),
                        false => bits,
                    };
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

    /// What vectors read.
    #[inline(always)]
    pub fn view(&self) -> StageView<'_> {
        let parameters: &[i32] = self.parameters.slice();
        let (multipliers, shifts) = parameters.split_at(self.padded);
        let (rights, lefts) = shifts.split_at(self.padded);
        StageView {
            form: &self.form,
            multipliers,
            rights,
            lefts,
            zero_point: self.zero_point,
            clamp: self.clamp,
        }
    }
}

/// A stage as loops hold it: slices in the order of the lanes.
#[derive(Debug, Clone, Copy)]
pub struct StageView<'a> {
    form: &'a Form,
    multipliers: &'a [i32],
    rights: &'a [i32],
    lefts: &'a [i32],
    zero_point: i32,
    clamp: (i32, i32),
}

impl<'a> StageView<'a> {
    /// What scaling needs for `C` vectors, whose first lane stands at `lane` of the order.
    #[inline(always)]
    pub fn at<L: Lanes, const C: usize>(self, lanes: L, lane: usize) -> Scales<'a, L, C> {
        let right = matches!(self.form, Form::Right);
        let zero = match right {
            true => self.zero_point.wrapping_mul(2).wrapping_add(1),
            false => self.zero_point,
        };
        Scales {
            stage: self,
            right,
            lane,
            multipliers: load(lanes, &self.multipliers[lane..]),
            rights: load(lanes, &self.rights[lane..]),
            zero: lanes.splat_sum(zero),
        }
    }

    /// What scaling needs for `count` lanes from `lane` on, where all shifts are to the right and results fit 16-bit arithmetic.
    #[inline(always)]
    pub fn right(self, lane: usize, count: usize) -> Option<RightShifts<'a>> {
        // A sum that saturates at 16 bits stays beyond the limits when the zero point is added.
        let byte = |value: i32| (-128..256).contains(&value).then_some(value as i16);
        if !matches!(self.form, Form::Right) {
            return None;
        }
        Some(RightShifts {
            multipliers: &self.multipliers[lane..][..count],
            rights: &self.rights[lane..][..count],
            positive: self.is_positive(),
            zero: byte(self.zero_point)?,
            low: byte(self.clamp.0)?,
            high: byte(self.clamp.1)?,
        })
    }

    /// Whether results are `max(scaled, 0)` as far as a byte goes, stored from its least value on: an activation function has
    /// cut off negative numbers. How these round does not matter.
    #[inline(always)]
    pub fn is_positive(self) -> bool {
        matches!(
            (self.zero_point, self.clamp),
            (-128, (-128, 127)) | (0, (0, 255))
        )
    }

    /// The lowest and the highest result.
    #[inline(always)]
    pub fn limits<L: Lanes>(self, lanes: L) -> L::Limits {
        lanes.limits(self.clamp.0, self.clamp.1)
    }
}

/// Scaling by [`Lanes::scale_right`] to bytes.
pub struct RightShifts<'a> {
    /// By lane.
    pub multipliers: &'a [i32],
    /// By lane.
    pub rights: &'a [i32],
    /// As [`StageView::is_positive`] says.
    pub positive: bool,
    /// The zero point.
    pub zero: i16,
    /// The lowest result.
    pub low: i16,
    /// The highest result.
    pub high: i16,
}

/// What scaling needs for `C` neighbouring vectors.
pub struct Scales<'a, L: Lanes, const C: usize> {
    stage: StageView<'a>,
    right: bool,
    lane: usize,
    multipliers: [L::Sum; C],
    rights: [L::Sum; C],
    zero: L::Sum,
}

impl<L: Lanes, const C: usize> Scales<'_, L, C> {
    /// The least value of a byte where [`positive_part`](Self::positive_part) gives the results.
    #[inline(always)]
    pub fn positive(&self) -> Option<i32> {
        (self.right && self.stage.is_positive()).then_some(self.stage.clamp.0)
    }

    /// `sums` scaled to results counted from the least value of a byte, not yet limited; negative ones are only known to be so.
    #[inline(always)]
    pub fn positive_part<const R: usize>(
        &self,
        lanes: L,
        mut sums: [[L::Sum; C]; R],
    ) -> [[L::Sum; C]; R] {
        for sums in &mut sums {
            for (c, sums) in sums.iter_mut().enumerate() {
                *sums = lanes.scale_positive(*sums, self.multipliers[c], self.rights[c]);
            }
        }
        sums
    }

    /// Calls `then` with `sums` scaled to results that are not yet limited.
    #[inline(always)]
    pub fn apply<const R: usize>(
        &self,
        lanes: L,
        sums: [[L::Sum; C]; R],
        then: impl FnOnce([[L::Sum; C]; R]),
    ) {
        if self.right {
            // Where nothing else leads here, results stay in registers.
            then(self.right(lanes, sums))
        } else {
            then(self.any(lanes, sums))
        }
    }

    /// Whether every shift is to the right: which of [`right`](Self::right) and [`any`](Self::any) scales sums.
    #[inline(always)]
    pub fn are_right(&self) -> bool {
        self.right
    }

    /// Scales `sums` to results that are not yet limited, by shifts to the right.
    #[inline(always)]
    pub fn right<const R: usize>(&self, lanes: L, mut sums: [[L::Sum; C]; R]) -> [[L::Sum; C]; R] {
        for sums in &mut sums {
            for (c, sums) in sums.iter_mut().enumerate() {
                *sums = lanes.scale_right(*sums, self.multipliers[c], self.rights[c], self.zero);
            }
        }
        sums
    }

    /// Scales `sums` to results that are not yet limited, by any shifts.
    #[inline(always)]
    pub fn any<const R: usize>(&self, lanes: L, mut sums: [[L::Sum; C]; R]) -> [[L::Sum; C]; R] {
        let lefts: [L::Sum; C] = load(lanes, &self.stage.lefts[self.lane..]);
        for sums in &mut sums {
            for (c, sums) in sums.iter_mut().enumerate() {
                let (multiplier, right) = (self.multipliers[c], self.rights[c]);
                *sums = match self.stage.form {
                    Form::Scalar(stage, order) => {
                        scalar_codes(lanes, stage, *sums, &order[self.lane + c * L::N..])
                    }
                    _ => lanes.scale(*sums, multiplier, lefts[c], right, self.zero),
                };
            }
        }
        sums
    }
}

/// The first `C` vectors.
#[inline(always)]
fn load<L: Lanes, const C: usize>(lanes: L, from: &[i32]) -> [L::Sum; C] {
    let from = &from[..C * L::N];
    std::array::from_fn(|c| lanes.load_sums(&from[c * L::N..]))
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
