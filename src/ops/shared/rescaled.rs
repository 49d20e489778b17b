//! Sums and differences of quantized tensors whose scales differ.

use super::{Integer, quantized_clamp, symmetric_i16};
use crate::fast::{AddSub, AddSubInt16, Element8};
use crate::fixedpoint::{
    FusedActivation, QuantizedMultiplier, Rounding, checked_log2, rounding_divide_by_pot,
};
use crate::ops::{NodeTensor, PrepareError, Settings};
use crate::tensor::TensorType;

/// ADD and SUB of two scales: both operands are brought to twice the larger scale with bits to spare, combined there, and
/// brought to the output's.
///
/// Source: TFLite `kernels/add.cc` and `kernels/sub.cc` (`Prepare`), `kernels/internal/reference/add.h` and `sub.h`.
#[derive(Debug, Clone, Copy)]
pub struct Rescaled {
    left: (i32, QuantizedMultiplier),
    right: (i32, QuantizedMultiplier),
    output: (i32, QuantizedMultiplier),
    /// Bits to spare: 20 for 8-bit operands, 15 for 16-bit ones.
    left_shift: u32,
    rounding: Rounding,
    clamp: (i32, i32),
}

impl Rescaled {
    /// The arithmetic for left operand, right operand and result.
    ///
    /// # Errors
    /// A tensor that is not quantized as a whole, scales whose quotients fixed point cannot hold, or an activation without
    /// codes.
    pub fn new(
        [left, right, output]: [&NodeTensor<'_>; 3],
        activation: FusedActivation,
        settings: &Settings,
    ) -> Result<Self, PrepareError> {
        let (left_scale, left_zero_point) = left.per_tensor()?;
        let (right_scale, right_zero_point) = right.per_tensor()?;
        let (output_scale, output_zero_point) = output.per_tensor()?;
        let left_shift = if output.ty == TensorType::Int16 {
            15
        } else {
            20
        };
        // The two products by powers of two are float32 upstream, and exact.
        let twice_max = f64::from(2.0 * left_scale.max(right_scale));
        let scaled_output = f64::from((1u32 << left_shift) as f32 * output_scale);
        let below_one = QuantizedMultiplier::from_real_smaller_than_one;
        Ok(Self {
            left: (
                left_zero_point,
                below_one(f64::from(left_scale) / twice_max)?,
            ),
            right: (
                right_zero_point,
                below_one(f64::from(right_scale) / twice_max)?,
            ),
            output: (
                output_zero_point,
                QuantizedMultiplier::from_real(twice_max / scaled_output)?,
            ),
            left_shift,
            rounding: settings.profile.rounding(),
            clamp: quantized_clamp(output, activation)?,
        })
    }

    /// This, where the output's multiplier is below 1, which ADD demands.
    ///
    /// # Errors
    /// It is not: the output's scale is far too small for its operands. (TFLite aborts the process.)
    pub fn output_below_one(self) -> Result<Self, PrepareError> {
        QuantizedMultiplier::from_real_smaller_than_one(self.output.1.to_real())?;
        Ok(self)
    }

    /// The problem of `count` results for vectors of bytes; `None` where they do not know the rounding.
    pub fn bytes(&self, element: Element8, subtract: bool, count: usize) -> Option<AddSub> {
        (self.rounding == Rounding::Double).then_some(AddSub {
            element,
            subtract,
            operands: [self.left, self.right],
            left_shift: self.left_shift,
            output: self.output,
            clamp: self.clamp,
            count,
        })
    }

    /// The problem for vectors of int16, whose zero points are 0; `None` where they do not know the rounding.
    pub fn int16(&self, subtract: bool) -> Option<AddSubInt16> {
        (self.rounding == Rounding::Double).then_some(AddSubInt16 {
            subtract,
            operands: [self.left.1, self.right.1],
            output: self.output.1,
            clamp: (i16::saturate(self.clamp.0), i16::saturate(self.clamp.1)),
        })
    }

    /// The stored sum, or difference where `SUB`.
    #[inline(always)]
    pub fn apply<const SUB: bool, T: Integer>(self, left: T, right: T) -> T {
        let left = self.scaled(left, self.left);
        let right = self.scaled(right, self.right);
        let raw = if SUB {
            left.wrapping_sub(right)
        } else {
            left.wrapping_add(right)
        };
        let (zero_point, multiplier) = self.output;
        let output = multiplier
            .apply(raw, self.rounding)
            .wrapping_add(zero_point);
        T::saturate(output.max(self.clamp.0).min(self.clamp.1))
    }

    #[inline(always)]
    fn scaled<T: Integer>(self, q: T, (zero_point, multiplier): (i32, QuantizedMultiplier)) -> i32 {
        let shifted = q
            .widen()
            .wrapping_sub(zero_point)
            .wrapping_shl(self.left_shift);
        multiplier.apply(shifted, self.rounding)
    }
}

/// ADD and SUB of int16 tensors whose scales are powers of two: one operand has the output's scale, the other is shifted.
///
/// Source: TFLite `kernels/internal/reference/add.h` and `sub.h`, the overloads for int16.
#[derive(Debug, Clone, Copy)]
pub struct ShiftedI16 {
    left_shift: u32,
    right_shift: u32,
    clamp: (i16, i16),
}

impl ShiftedI16 {
    /// The arithmetic for left operand, right operand and result; `None` where the model does not ask for it
    /// (`pot_scale_int16`) or a scale is no power of two.
    ///
    /// # Errors
    /// A zero point that is not 0, or powers of two that no single right shift reconciles.
    pub fn new(
        operands: [&NodeTensor<'_>; 3],
        pot_scale_int16: bool,
        activation: FusedActivation,
    ) -> Result<Option<Self>, PrepareError> {
        symmetric_i16(&operands)?;
        let mut scales = [0.0; 3];
        for (scale, operand) in scales.iter_mut().zip(operands) {
            *scale = operand.per_tensor()?.0;
        }
        let [Some(left), Some(right), Some(output)] = scales.map(checked_log2) else {
            return Ok(None);
        };
        if !pot_scale_int16 {
            return Ok(None);
        }
        let shift = |log2: i32| u32::try_from(output - log2).ok();
        let (Some(left_shift), Some(right_shift)) = (shift(left), shift(right)) else {
            return Err(unreconciled(left, right, output));
        };
        if left_shift != 0 && right_shift != 0 {
            return Err(unreconciled(left, right, output));
        }
        let [.., output] = operands;
        let (low, high) = quantized_clamp(output, activation)?;
        Ok(Some(Self {
            left_shift,
            right_shift,
            clamp: (i16::saturate(low), i16::saturate(high)),
        }))
    }

    /// The stored sum, or difference where `SUB`.
    #[inline(always)]
    pub fn apply<const SUB: bool>(self, left: i16, right: i16) -> i16 {
        let left = rounding_divide_by_pot(left, self.left_shift);
        let right = rounding_divide_by_pot(right, self.right_shift);
        let output = if SUB {
            left.saturating_sub(right)
        } else {
            left.saturating_add(right)
        };
        output.max(self.clamp.0).min(self.clamp.1)
    }
}

fn unreconciled(left: i32, right: i32, output: i32) -> PrepareError {
    PrepareError::Attribute {
        name: "pot_scale_int16",
        found: format!("true with scales 2^{left}, 2^{right} and output scale 2^{output}"),
        expected: "an output scale equal to the larger input scale",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fast::{AddSubInt16Primitive, AddSubPrimitive, Primitive};
    use crate::ops::shared::differential::{Numbers, Ran, assert_all_ran};

    fn add_sub(left: f64, right: f64, output: f64, clamp: (i32, i32)) -> Rescaled {
        let m = |real| QuantizedMultiplier::from_real(real).expect("finite");
        let twice_max = 2.0 * left.max(right);
        Rescaled {
            left: (0, m(left / twice_max)),
            right: (0, m(right / twice_max)),
            output: (0, m(twice_max / (output * f64::from(1 << 20)))),
            left_shift: 20,
            rounding: Rounding::Double,
            clamp,
        }
    }

    #[test]
    fn unlike_scales_meet_in_the_output_scale() {
        let step = add_sub(0.5, 0.25, 0.25, (-128, 127));
        // 3 * 0.5 + 2 * 0.25 = 2 = 8 * 0.25; 3 * 0.5 - 2 * 0.25 = 1 = 4 * 0.25
        assert_eq!(
            (
                step.apply::<false, i8>(3i8, 2i8),
                step.apply::<true, i8>(3i8, 2i8)
            ),
            (8, 4)
        );
        // 100 * 0.5 + 100 * 0.25 = 300 * 0.25: beyond the type.
        assert_eq!(step.apply::<false, i8>(100i8, 100i8), 127);
    }

    #[test]
    fn shifted_operand_is_rounded_away_from_zero() {
        let step = ShiftedI16 {
            left_shift: 0,
            right_shift: 2,
            clamp: (i16::MIN, i16::MAX),
        };
        // -6 / 4 = -1.5 -> -2; 32767 + 2 saturates
        assert_eq!(
            (step.apply::<false>(10, -6), step.apply::<true>(10, -6)),
            (8, 12)
        );
        assert_eq!(step.apply::<false>(32767, 6), 32767);
    }

    /// Every pair of bytes, for every variant, with few results and with many; under Miri, which would take hours, of sixteen
    /// bytes and with few results.
    #[test]
    fn variants_give_the_bits_of_apply() {
        let bytes: Vec<u8> = (0..=255).step_by(if cfg!(miri) { 17 } else { 1 }).collect();
        let pairs = bytes
            .iter()
            .flat_map(|&a| bytes.iter().map(move |&b| (a, b)));
        let (left, right): (Vec<u8>, Vec<u8>) = pairs.unzip();
        let scales = [
            (0.5, 0.25, 0.25, (-5, 3, 0)),
            (0.0231, 0.0472, 0.0519, (-128, 127, -128)),
            (0.1, 0.1, 0.2, (0, 0, 0)),
            (1.0, 0.003, 1.9, (17, -90, 60)),
            (0.02, 0.02, 1e-4, (1, -1, 0)),
            (0.5, 0.5, 3e-8, (0, 0, -7)),
            (0.0273, 0.0106, 0.0288, (-4, 11, -20)),
            (0.031, 0.0297, 0.00617, (-128, 6, -61)),
        ];
        let mut ran = 0;
        for (case, (a, b, o, zeros)) in scales.into_iter().enumerate() {
            for signed in [true, false] {
                let offset = if signed { 0 } else { 128 };
                let low = offset - 128;
                let clamp = [(low, low + 255), (low + 9, low + 201)][case % 2];
                let mut step = add_sub(a, b, o, clamp);
                step.left.0 = zeros.0 + offset;
                step.right.0 = zeros.1 + offset;
                step.output.0 = zeros.2 + offset;
                for subtract in [false, true] {
                    let expected = expected(step, signed, subtract, &left, &right);
                    let element = if signed {
                        Element8::Int8
                    } else {
                        Element8::UInt8
                    };
                    for count in [1, left.len()] {
                        let problem = step.bytes(element, subtract, count);
                        let problem = problem.expect("two roundings");
                        for variant in AddSubPrimitive::variants() {
                            let Some(kernel) = (variant.prepare)(&problem) else {
                                eprintln!("NOT RUN: {}", variant.name);
                                continue;
                            };
                            ran += 1;
                            // Also a length that no vector divides.
                            for len in [left.len(), left.len().min(1003) - 5, 5] {
                                let mut output = vec![0x55; len];
                                kernel.run(Some(&left[..len]), Some(&right[..len]), &mut output);
                                let equal = output == expected[..len];
                                assert!(equal, "{}, {problem:?}, {len}", kernel.name());
                            }
                        }
                    }
                }
            }
        }
        assert!(ran >= 8 * scales.len(), "portable vectors run everywhere");
    }

    #[test]
    fn int16_variants_give_the_bits_of_apply() {
        let mut ran = Ran::new();
        for seed in 0..if cfg!(miri) { 6 } else { 600 } {
            let n = &mut Numbers::new(seed);
            let (m, pot) = (QuantizedMultiplier::from_real, n.chance(4));
            let scale = |n: &mut Numbers| match pot {
                true => 2f64.powi(n.within(-20..=-8) as i32),
                false => n.within(1..=1 << 20) as f64 * 1e-9,
            };
            let (left, right, output) = (scale(n), scale(n), scale(n));
            let twice_max = 2.0 * left.max(right);
            let clamp = match n.chance(2) {
                true => (i16::MIN.into(), i16::MAX.into()),
                false => (n.within(-32768..=0) as i32, n.within(0..=32767) as i32),
            };
            let step = Rescaled {
                left: (0, m(left / twice_max).expect("finite")),
                right: (0, m(right / twice_max).expect("finite")),
                output: (0, m(twice_max / (output * 32768.0)).expect("finite")),
                left_shift: 15,
                rounding: Rounding::Double,
                clamp,
            };
            let len = n.size(0, 300);
            let words = |n: &mut Numbers| -> Vec<i16> {
                let bytes = n.bytes(2 * len);
                let words = bytes.as_chunks().0.iter();
                words.map(|&word| i16::from_le_bytes(word)).collect()
            };
            let (a, b) = (words(n), words(n));
            for subtract in [false, true] {
                let pairs = a.iter().zip(&b);
                let expected: Vec<i16> = pairs
                    .map(|(&a, &b)| match subtract {
                        true => step.apply::<true, i16>(a, b),
                        false => step.apply::<false, i16>(a, b),
                    })
                    .collect();
                let problem = step.int16(subtract).expect("two roundings");
                for variant in AddSubInt16Primitive::variants() {
                    let Some(kernel) = (variant.prepare)(&problem) else {
                        continue;
                    };
                    ran.insert(variant.name);
                    let mut output = vec![0x55; len];
                    kernel.run(Some(&a), Some(&b), &mut output);
                    assert!(
                        output == expected,
                        "{}, seed {seed}, {problem:?}",
                        kernel.name()
                    );
                }
            }
        }
        assert_all_ran::<AddSubInt16Primitive>(&ran);
    }

    fn expected(
        step: Rescaled,
        signed: bool,
        subtract: bool,
        left: &[u8],
        right: &[u8],
    ) -> Vec<u8> {
        let pair = |(&a, &b): (&u8, &u8)| match (signed, subtract) {
            (true, false) => step
                .apply::<false, i8>(a.cast_signed(), b.cast_signed())
                .cast_unsigned(),
            (true, true) => step
                .apply::<true, i8>(a.cast_signed(), b.cast_signed())
                .cast_unsigned(),
            (false, false) => step.apply::<false, u8>(a, b),
            (false, true) => step.apply::<true, u8>(a, b),
        };
        left.iter().zip(right).map(pair).collect()
    }
}
