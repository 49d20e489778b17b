//! Float activations with int8 weights: each row of activations is quantized on its own at run time, the products are summed in
//! integers, and the sum is scaled back.
//!
//! Source: TFLite `kernels/internal/reference/portable_tensor_utils.cc` at LiteRT commit f674577, which tflite-runtime 2.14 computes
//! as well, and `kernels/internal/optimized/neon_tensor_utils.cc`, which LiteRT's wheels use on x86-64 too.

use super::{Arithmetic, FloatRange, Problem, Scaled, unpack_int4};
use crate::fixedpoint::{Profile, round_half_away};
use crate::ops::{EvalError, Kernel, KernelIo, PrepareError, Prepared, Settings, Views, required};
use crate::tensor::{Shape, TensorType};
use std::sync::Arc;

/// How the activations of a weighted operator are quantized and its sums scaled back.
#[derive(Debug, Clone, Copy)]
pub struct Scheme {
    pub codes: RowCodes,
    /// The sum is multiplied by the scale of the weights first, by that of the activations then; else by the product of both.
    pub weights_first: bool,
}

/// A weighted operator on floats with int8 or int4 weights. `problem` is the geometry of one piece of the input, a row or a
/// picture of `piece` elements, which is quantized on its own; a piece of the result has `results` elements.
///
/// # Errors
/// Weights without scales, or int4 weights that the model computes.
pub fn prepare<P: Problem>(
    problem: P,
    [piece, results]: [usize; 2],
    scaled: &Scaled<'_>,
    scheme: Scheme,
    shape: Shape,
) -> Result<Prepared, PrepareError> {
    let scales = scaled.filter.scales()?;
    let scales = match scales {
        &[scale] => vec![scale; scaled.channels],
        scales if scales.len() == scaled.channels => scales.to_vec(),
        _ => {
            let expected = format!("one scale or {}", scaled.channels);
            return Err(scaled.filter.shape_error(expected));
        }
    };
    let filter = match scaled.filter.ty {
        TensorType::Int4 => Some(unpack_int4(scaled.filter)?),
        _ => None,
    };
    let kernel = Pieces {
        problem,
        piece,
        results,
        filter,
        scales: scales.into(),
        scheme,
        range: FloatRange::new(scaled.activation),
    };
    Ok(Prepared::new(kernel, [shape]).scratch(piece))
}

struct Pieces<P> {
    problem: P,
    piece: usize,
    results: usize,
    /// The weights where they are not used as the file stores them.
    filter: Option<Box<[i8]>>,
    scales: Arc<[f32]>,
    scheme: Scheme,
    range: FloatRange,
}

impl<P: Problem> Kernel for Pieces<P> {
    fn eval(&self, io: &mut KernelIo<'_>) -> Result<(), EvalError> {
        let Views {
            inputs: [input, filter, bias],
            outputs: [output],
            scratch: [codes],
        } = io.views(P::SLOTS, [0], [0])?;
        let filter = match &self.filter {
            Some(filter) => filter,
            None => required(filter, P::SLOTS[1])?.as_slice()?,
        };
        let bias = bias.map(|bias| bias.as_slice()).transpose()?;
        let codes = &mut bytemuck::cast_slice_mut(codes)[..self.piece];
        let pieces = required(input, P::SLOTS[0])?.as_slice::<f32>()?;
        let pieces = pieces.chunks_exact(self.piece.max(1));
        let results = output.into_slice()?.chunks_exact_mut(self.results.max(1));
        for (piece, result) in pieces.zip(results) {
            let arithmetic = HybridSums {
                row: quantize_row(piece.iter().copied(), codes, self.scheme.codes),
                scales: self.scales.clone(),
                weights_first: self.scheme.weights_first,
                range: self.range,
            };
            self.problem.run(&arithmetic, codes, filter, bias, result);
        }
        Ok(())
    }

    fn name(&self) -> &'static str {
        P::NAME
    }
}

/// Integer sums of codes, scaled back to floats.
struct HybridSums {
    row: RowScale,
    scales: Arc<[f32]>,
    weights_first: bool,
    range: FloatRange,
}

impl Arithmetic for HybridSums {
    type Input = i8;
    type Filter = i8;
    type Bias = f32;
    type Output = f32;
    type Sum = i32;
    const ZERO: i32 = 0;

    #[inline(always)]
    fn accumulate(&self, sum: i32, input: i8, filter: i8) -> i32 {
        let input = i32::from(input) - self.row.offset;
        sum.wrapping_add(i32::from(filter) * input)
    }

    #[inline(always)]
    fn finish(&self, sum: i32, bias: Option<f32>, channel: usize) -> f32 {
        let (row, weights) = (self.row.scale, self.scales[channel]);
        let real = if self.weights_first {
            sum as f32 * weights * row
        } else {
            sum as f32 * (weights * row)
        };
        self.range.clamp(bias.unwrap_or(0.0) + real)
    }

    /// Without the bias, which is in the units of the result.
    fn total(&self, sum: i32, _: Option<f32>) -> f64 {
        f64::from(sum)
    }

    /// Floats have no codes.
    fn clamp(&self) -> (i32, i32) {
        (i32::MIN, i32::MAX)
    }
}

/// How a row of floats was made int8: `real = scale * (code - offset)`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct RowScale {
    pub scale: f32,
    pub offset: i32,
}

/// Which codes the values of a row get.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RowCodes {
    /// From -127 to 127, around 0.
    Symmetric,
    /// All 256 over the values' range; its width in double, the offset added before rounding.
    Asymmetric,
    /// As [`Asymmetric`](Self::Asymmetric), the width in float32 and the offset added after rounding: LiteRT.
    AsymmetricLitert,
}

impl RowCodes {
    /// Codes around 0, or over the range as the profile has it.
    pub fn new(asymmetric: bool, settings: &Settings) -> Self {
        match (asymmetric, settings.profile) {
            (false, _) => Self::Symmetric,
            (true, Profile::Litert) => Self::AsymmetricLitert,
            (true, _) => Self::Asymmetric,
        }
    }
}

/// Quantizes a row of floats.
pub fn quantize_row(
    values: impl Iterator<Item = f32> + Clone,
    codes: &mut [i8],
    scheme: RowCodes,
) -> RowScale {
    let (low, high) = extremes(values.clone());
    match scheme {
        RowCodes::Symmetric => quantize_symmetric(values, codes, low.abs().max(high.abs())),
        _ => quantize_asymmetric(values, codes, (low.min(0.0), high.max(0.0)), scheme),
    }
}

/// The least and the greatest value; (0, 0) of none.
fn extremes(mut values: impl Iterator<Item = f32>) -> (f32, f32) {
    let Some(first) = values.next() else {
        return (0.0, 0.0);
    };
    values.fold((first, first), |(low, high), value| {
        (
            if value < low { value } else { low },
            if value < high { high } else { value },
        )
    })
}

fn quantize_symmetric(values: impl Iterator<Item = f32>, codes: &mut [i8], range: f32) -> RowScale {
    if range == 0.0 {
        codes.fill(0);
        return RowScale {
            scale: 1.0,
            offset: 0,
        };
    }
    let inverse = 127.0 / range;
    for (code, value) in codes.iter_mut().zip(values) {
        *code = (round_half_away(value * inverse) as i32).clamp(-127, 127) as i8;
    }
    RowScale {
        scale: range / 127.0,
        offset: 0,
    }
}

fn quantize_asymmetric(
    values: impl Iterator<Item = f32>,
    codes: &mut [i8],
    (low, high): (f32, f32),
    scheme: RowCodes,
) -> RowScale {
    if low == high {
        codes.fill(0);
        return RowScale {
            scale: 1.0,
            offset: 0,
        };
    }
    let in_float32 = scheme == RowCodes::AsymmetricLitert;
    let width_in_float32 = f64::from(high - low);
    let (low, high) = (f64::from(low), f64::from(high));
    let width = if in_float32 {
        width_in_float32
    } else {
        high - low
    };
    let real = width / 255.0;
    let (from_low, from_high) = (-128.0 - low / real, 127.0 - high / real);
    // The end that lies nearer to zero loses less to rounding.
    let nearer_low = 128.0 + (low / real).abs() < 127.0 + (high / real).abs();
    let exact = if nearer_low { from_low } else { from_high };
    let offset = exact.clamp(-128.0, 127.0).round() as i32;
    let scale = real as f32;
    let inverse = 1.0 / scale;
    for (code, value) in codes.iter_mut().zip(values) {
        let rounded = if in_float32 {
            (round_half_away(value * inverse) as i32).saturating_add(offset)
        } else {
            round_half_away(offset as f32 + value * inverse) as i32
        };
        *code = rounded.clamp(-128, 127) as i8;
    }
    RowScale { scale, offset }
}

/// The sum of the products of a row of codes, less `offset`, with a row of weights.
pub fn dot(codes: &[i8], offset: i32, weights: &[i8]) -> i32 {
    let pairs = codes.iter().zip(weights);
    let (sum, weight_sum) = pairs.fold((0i32, 0i32), |(sum, weight_sum), (&code, &weight)| {
        let weight = i32::from(weight);
        (
            sum.wrapping_add(i32::from(code) * weight),
            weight_sum.wrapping_add(weight),
        )
    });
    sum.wrapping_sub(weight_sum.wrapping_mul(offset))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn symmetric_codes_reach_127_at_the_largest_magnitude() {
        // Range 2: 127 / 2 = 63.5 codes a unit; 0.5 is 31.75, -1 is the tie -63.5, away from zero.
        let mut codes = [0; 3];
        let row = quantize_row(
            [0.5, -1.0, 2.0].into_iter(),
            &mut codes,
            RowCodes::Symmetric,
        );
        assert_eq!(codes, [32, -64, 127]);
        assert_eq!((row.scale, row.offset), (2.0 / 127.0, 0));
    }

    #[test]
    fn asymmetric_codes_span_the_range_with_zero_exact() {
        // 0 to 2.55 in steps of 0.01: zero is code -128, 2.55 code 127, 1.0 code -28.
        let mut codes = [0; 3];
        let row = quantize_row(
            [0.0, 2.55, 1.0].into_iter(),
            &mut codes,
            RowCodes::Asymmetric,
        );
        assert_eq!((codes, row.offset), ([-128, 127, -28], -128));
    }

    #[test]
    fn litert_adds_the_offset_after_rounding() {
        // Steps of 1/128, offset -64; 1/256 is half a code. -63.5 rounds to -64; 0.5 rounds to 1, and 64 less is -63.
        let row = [-0.5, 1.492_187_5, 1.0 / 256.0];
        for (scheme, expected) in [
            (RowCodes::Asymmetric, -64),
            (RowCodes::AsymmetricLitert, -63),
        ] {
            let mut codes = [0; 3];
            quantize_row(row.into_iter(), &mut codes, scheme);
            assert_eq!(codes, [-128, 127, expected]);
        }
    }

    #[test]
    fn rows_of_zeros_have_scale_one() {
        let mut codes = [1; 2];
        let row = quantize_row([0.0; 2].into_iter(), &mut codes, RowCodes::Asymmetric);
        assert_eq!((codes, row.scale, row.offset), ([0, 0], 1.0, 0));
    }

    #[test]
    fn dot_subtracts_the_offset_from_every_code() {
        // (3 - 1) * 2 + (-1 - 1) * 5 = -6.
        assert_eq!(dot(&[3, -1], 1, &[2, 5]), -6);
    }
}
