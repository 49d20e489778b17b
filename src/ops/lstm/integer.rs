//! int8 inputs and weights, gates in 16 bits: TFLite's 8x8 -> 16 LSTM.
//!
//! Gates are in Q3.12 before their activation and in Q0.15 after it; the scale of the cell state is a power of two. Source:
//! TFLite `kernels/lstm_eval.cc` (`LstmStepInteger8x8_16`), `kernels/unidirectional_sequence_lstm.cc` (scales) and
//! `kernels/internal/reference/portable_tensor_utils.cc`, LiteRT commit f674577.

use super::weights::{Gate, Weights};
use super::{
    BIASES, CELL_GATE, CELL_STATE, Cell, FORGET_GATE, Geometry, INPUT, INPUT_GATE, INPUT_WEIGHTS,
    NORMS, OUTPUT, OUTPUT_GATE, OUTPUT_STATE, Options, PEEPHOLES, PROJECTION, PROJECTION_BIAS,
    RECURRENT_WEIGHTS, Scratch,
};
use crate::fixedpoint::{
    QuantizedMultiplier, Rounding, checked_log2, gemmlowp, get_inv_sqrt_quantized_multiplier_exp,
    rounding_divide_by_pot,
};
use crate::ops::{EvalError, Node, NodeTensor, PrepareError, Settings};

/// Integer bits of a gate before its activation.
const GATE_BITS: u32 = 3;
/// The place of the hidden value's quantization among the intermediate tensors.
const HIDDEN: usize = 4;

type IntegerGate<'a> = Gate<'a, i8, i16, i16, i32>;

pub(super) struct Integer {
    pub(super) geometry: Geometry,
    /// The one of the input gate is `None` where there is none.
    pub(super) gates: [Option<GateScales>; 4],
    /// Integer bits of the cell state; its scale is 2^(bits - 15).
    pub(super) cell_bits: u32,
    pub(super) cell_clip: i16,
    pub(super) hidden: QuantizedMultiplier,
    pub(super) hidden_zero_point: i32,
    pub(super) projection: Option<Projection>,
    pub(super) rounding: Rounding,
}

/// What a gate multiplies with, and its biases with the zero points of input and output state worked in.
pub(super) struct GateScales {
    pub(super) input: QuantizedMultiplier,
    pub(super) recurrent: QuantizedMultiplier,
    pub(super) peephole: QuantizedMultiplier,
    pub(super) norm: QuantizedMultiplier,
    /// Stands for a variance of 0.
    pub(super) variance_guard: i32,
    pub(super) input_bias: Box<[i32]>,
    pub(super) recurrent_bias: Box<[i32]>,
}

pub(super) struct Projection {
    scale: QuantizedMultiplier,
    bias: Box<[i32]>,
    zero_point: i32,
    clip: i8,
}

/// The scale of an operand that may be left out, then 1.
pub(super) fn scale(node: &Node<'_>, slot: usize) -> Result<f32, PrepareError> {
    match node.optional_input(slot, "weights") {
        Some(tensor) => Ok(tensor.per_tensor()?.0),
        None => Ok(1.0),
    }
}

/// The scale and zero point that intermediate tensor `number` stands for.
pub(super) fn intermediate(node: &Node<'_>, number: usize) -> Result<(f32, i32), PrepareError> {
    let operand = "intermediate";
    let index = node.operator().intermediates.get(number);
    let tensor = index.and_then(|&index| node.subgraph().tensors.get(index));
    let quantization = tensor.and_then(|tensor| tensor.quantization.as_deref());
    let quantization = quantization.ok_or(PrepareError::NotQuantized { operand })?;
    let scale = quantization
        .scale()
        .ok_or(PrepareError::NotQuantized { operand })?;
    Ok((scale, quantization.zero_point()))
}

/// A bound in codes, truncated; 0 stands for none.
pub(super) fn clip_codes(clip: f32, scale: f32, high: f32) -> i16 {
    if clip > 0.0 {
        (clip / scale).clamp(-high - 1.0, high) as i16
    } else {
        0
    }
}

pub(super) fn multiplier(real: f32) -> Result<QuantizedMultiplier, PrepareError> {
    Ok(QuantizedMultiplier::from_real(f64::from(real))?)
}

/// `bias` plus `by` times the sum of each row of `weights`.
fn effective_bias(
    weights: &NodeTensor<'_>,
    bias: Option<NodeTensor<'_>>,
    by: i32,
) -> Result<Box<[i32]>, PrepareError> {
    let [rows, depth] = weights.dims("[rows, depth]")?;
    let weights = weights.constant::<i8>()?;
    let bias = bias.map(|bias| bias.constant::<i32>()).transpose()?;
    let row = |row: usize| {
        let weights = &weights[row * depth..][..depth];
        let sum: i32 = weights.iter().map(|&weight| i32::from(weight)).sum();
        let bias = bias.map_or(0, |bias| bias[row]);
        bias.wrapping_add(sum.wrapping_mul(by))
    };
    Ok((0..rows).map(row).collect())
}

impl Integer {
    pub fn new(
        node: &Node<'_>,
        settings: &Settings,
        options: &Options,
        geometry: Geometry,
    ) -> Result<Self, PrepareError> {
        let (output_scale, _) = node.output(OUTPUT, "output")?.per_tensor()?;
        let (state_scale, state_zero_point) =
            node.input(OUTPUT_STATE, "output state")?.per_tensor()?;
        let (hidden_scale, hidden_zero_point) = intermediate(node, HIDDEN)?;
        let cell_state = node.input(CELL_STATE, "cell state")?;
        let (cell_scale, _) = cell_state.per_tensor()?;
        let cell_bits = checked_log2(cell_scale).and_then(|log2| u32::try_from(log2 + 15).ok());
        let cell_bits = cell_bits
            .filter(|&bits| bits <= 6)
            .ok_or(PrepareError::Attribute {
                name: "scale of the cell state",
                found: cell_scale.to_string(),
                expected: "a power of two from 2^-15 to 2^-9",
            })?;
        let mut gates = [const { None }; 4];
        for (number, gate) in gates.iter_mut().enumerate() {
            if node
                .optional_input(INPUT_WEIGHTS + number, "input weights")
                .is_some()
            {
                *gate = Some(GateScales::new(node, number, cell_bits)?);
            }
        }
        let projection = match node.optional_input(PROJECTION, "projection weights") {
            Some(weights) => Some(Projection {
                scale: multiplier(weights.per_tensor()?.0 * hidden_scale / state_scale)?,
                bias: effective_bias(
                    &weights,
                    node.optional_input(PROJECTION_BIAS, "projection bias"),
                    hidden_zero_point,
                )?,
                zero_point: state_zero_point,
                clip: clip_codes(options.projection_clip, output_scale, 127.0) as i8,
            }),
            None => None,
        };
        // Products of two Q0.15 numbers.
        let hidden = (2f64.powi(-15) / f64::from(hidden_scale) * 2f64.powi(-15)) as f32;
        Ok(Self {
            geometry,
            gates,
            cell_bits,
            cell_clip: clip_codes(options.cell_clip, cell_scale, 32767.0),
            hidden: multiplier(hidden)?,
            hidden_zero_point,
            projection,
            rounding: settings.profile.rounding(),
        })
    }

    /// A gate of one input after its activation.
    fn gate(
        &self,
        number: usize,
        operands: &IntegerGate<'_>,
        (input, output_state, cell_state): (&[i8], &[i8], &[i16]),
        gate: &mut [i16],
    ) -> Result<(), EvalError> {
        let slot = INPUT_WEIGHTS + number;
        let scales = self.gates[number]
            .as_ref()
            .ok_or(EvalError::Operand { slot })?;
        let Geometry {
            inputs, outputs, ..
        } = self.geometry;
        for (cell, value) in gate.iter_mut().enumerate() {
            let weights = &operands.input[cell * inputs..][..inputs];
            let sum = accumulate(scales.input_bias[cell], weights, input);
            let mut sum = saturate(scales.input.apply(sum, self.rounding));
            let weights = &operands.recurrent[cell * outputs..][..outputs];
            let recurrent = accumulate(scales.recurrent_bias[cell], weights, output_state);
            sum = saturate(
                scales
                    .recurrent
                    .apply(recurrent, self.rounding)
                    .wrapping_add(sum.into()),
            );
            if let Some(peephole) = operands.peephole {
                let product = i32::from(peephole[cell]) * i32::from(cell_state[cell]);
                let product = scales.peephole.apply(product, self.rounding);
                sum = saturate(product.wrapping_add(sum.into()));
            }
            *value = sum;
        }
        if let Some(coefficients) = operands.norm {
            self.normalize(scales, coefficients, operands.bias, gate);
        }
        for value in gate {
            *value = match number {
                CELL_GATE => gemmlowp::tanh(*value, GATE_BITS).raw(),
                _ => gemmlowp::logistic(*value, GATE_BITS).raw(),
            };
        }
        Ok(())
    }

    /// Layer normalization. `coefficients` and `bias`: one a cell.
    ///
    /// The mean has 10 bits more than the values. 2^20 / n is truncated, so that the variance is right for powers of two alone:
    /// `PortableApplyLayerNorm` has it so.
    fn normalize(&self, scales: &GateScales, coefficients: &[i16], bias: &[i32], gate: &mut [i16]) {
        let count = gate.len() as i64;
        let (sum, squares) = gate.iter().fold((0i64, 0i64), |(sum, squares), &value| {
            let value = i64::from(value);
            (sum + value, squares + value * value)
        });
        let mean = (sum * 1024 / count) as i32;
        let variance = squares * ((1 << 20) / count) - i64::from(mean) * i64::from(mean);
        let variance = (variance / (1 << 20)) as i32;
        let variance = if variance < 1 {
            scales.variance_guard
        } else {
            variance
        };
        let inverse = get_inv_sqrt_quantized_multiplier_exp(variance);
        let norm = QuantizedMultiplier {
            shift: scales.norm.shift + 12,
            ..scales.norm
        };
        for ((value, &coefficient), &bias) in gate.iter_mut().zip(coefficients).zip(bias) {
            let centred = (1024 * i32::from(*value)).wrapping_sub(mean);
            let rescaled = inverse.apply(centred, self.rounding);
            let weighted = rescaled.wrapping_mul(coefficient.into()).wrapping_add(bias);
            let half = if weighted > 0 { 512 } else { -512 };
            let rounded = ((i64::from(weighted) + half) / 1024) as i32;
            *value = saturate(norm.apply(rounded, self.rounding));
        }
    }

    /// From the cell state and the output gate to the output state.
    fn output(
        &self,
        weights: &Weights<'_>,
        output_gate: &[i16],
        cell_state: &[i16],
        hidden: &mut [i8],
        output_state: &mut [i8],
    ) -> Result<(), EvalError> {
        let outputs = output_gate.iter().zip(cell_state).map(|(&gate, &state)| {
            let product = i32::from(gate) * i32::from(gemmlowp::tanh(state, self.cell_bits).raw());
            self.hidden.apply(product, self.rounding)
        });
        let Some(projection) = &self.projection else {
            for (to, code) in output_state.iter_mut().zip(outputs) {
                *to = code.wrapping_add(self.hidden_zero_point).clamp(-128, 127) as i8;
            }
            return Ok(());
        };
        // The hidden value is stored with the opposite of its zero point, which the bias then takes back.
        for (to, code) in hidden.iter_mut().zip(outputs) {
            *to = code.wrapping_sub(self.hidden_zero_point).clamp(-128, 127) as i8;
        }
        let matrix: &[i8] = weights.required(PROJECTION)?;
        let rows = matrix.chunks_exact(self.geometry.cells.max(1));
        for ((to, row), &bias) in output_state.iter_mut().zip(rows).zip(&projection.bias) {
            let sum = accumulate(bias, row, hidden);
            let code = projection.scale.apply(sum, self.rounding);
            let code = code.wrapping_add(projection.zero_point).clamp(-128, 127) as i8;
            *to = match projection.clip {
                1.. => code.clamp(-projection.clip, projection.clip),
                _ => code,
            };
        }
        Ok(())
    }
}

impl GateScales {
    fn new(node: &Node<'_>, gate: usize, cell_bits: u32) -> Result<Self, PrepareError> {
        let (input_scale, input_zero_point) = node.input(INPUT, "input")?.per_tensor()?;
        let (state_scale, state_zero_point) =
            node.input(OUTPUT_STATE, "output state")?.per_tensor()?;
        let has_norm = node
            .optional_input(NORMS + gate, "layer norm coefficients")
            .is_some();
        let gate_scale = if has_norm {
            intermediate(node, gate)?.0
        } else {
            2f32.powi(GATE_BITS as i32 - 15)
        };
        let input_weights = node.input(INPUT_WEIGHTS + gate, "input weights")?;
        let recurrent_weights = node.input(RECURRENT_WEIGHTS + gate, "recurrent weights")?;
        let peephole = match gate {
            INPUT_GATE => scale(node, PEEPHOLES[0])?,
            FORGET_GATE => scale(node, PEEPHOLES[1])?,
            OUTPUT_GATE => scale(node, PEEPHOLES[2])?,
            _ => 1.0,
        };
        let cell_scale = 2f64.powi(cell_bits as i32 - 15);
        let peephole = (cell_scale * f64::from(peephole) / f64::from(gate_scale)) as f32;
        let norm = scale(node, NORMS + gate)?;
        let bias = node.input(BIASES + gate, "bias")?;
        let bias = (!has_norm).then_some(bias);
        Ok(Self {
            input: multiplier(input_weights.per_tensor()?.0 * input_scale / gate_scale)?,
            recurrent: multiplier(recurrent_weights.per_tensor()?.0 * state_scale / gate_scale)?,
            peephole: multiplier(peephole)?,
            norm: multiplier(norm)?,
            // Far enough from the end of the range for what follows.
            variance_guard: ((10_000.0 * norm) as i32).max(1),
            input_bias: effective_bias(&input_weights, bias, -input_zero_point)?,
            recurrent_bias: effective_bias(&recurrent_weights, None, -state_zero_point)?,
        })
    }
}

impl Cell for Integer {
    type Value = i8;
    type State = i16;
    const NAME: &'static str = "lstm.integer_8x8_16_reference";
    const GATE_BYTES: usize = 2;

    fn step(
        &self,
        weights: &Weights<'_>,
        input: &[i8],
        output_state: &mut [i8],
        cell_state: &mut [i16],
        scratch: &mut Scratch<'_>,
    ) -> Result<(), EvalError> {
        let [input_gate, forget_gate, cell_gate, output_gate] = &mut scratch.gates;
        let input_gate: &mut [i16] = bytemuck::cast_slice_mut(input_gate);
        let forget_gate: &mut [i16] = bytemuck::cast_slice_mut(forget_gate);
        let cell_gate: &mut [i16] = bytemuck::cast_slice_mut(cell_gate);
        let output_gate: &mut [i16] = bytemuck::cast_slice_mut(output_gate);
        let has_input_gate = weights.has_input_gate();
        {
            let read = (input, &*output_state, &*cell_state);
            if has_input_gate {
                self.gate(INPUT_GATE, &weights.gate(INPUT_GATE)?, read, input_gate)?;
            }
            self.gate(FORGET_GATE, &weights.gate(FORGET_GATE)?, read, forget_gate)?;
            self.gate(CELL_GATE, &weights.gate(CELL_GATE)?, read, cell_gate)?;
        }
        let input_gate = has_input_gate.then_some(&*input_gate);
        update_cell(
            cell_state,
            self.cell_bits,
            input_gate,
            forget_gate,
            cell_gate,
            self.cell_clip,
        );
        let read = (input, &*output_state, &*cell_state);
        self.gate(OUTPUT_GATE, &weights.gate(OUTPUT_GATE)?, read, output_gate)?;
        let hidden = bytemuck::cast_slice_mut(scratch.cell_codes);
        self.output(weights, output_gate, cell_state, hidden, output_state)
    }
}

/// The new cell state: what the forget gate leaves of the old one, and what the input gate lets in of the cell gate. Without an
/// input gate as much is let in as is forgotten. `bits`: integer bits of the state; `clip`: its bound, where above 0.
pub(super) fn update_cell(
    cell_state: &mut [i16],
    bits: u32,
    input_gate: Option<&[i16]>,
    forget_gate: &[i16],
    cell_gate: &[i16],
    clip: i16,
) {
    for (cell, state) in cell_state.iter_mut().enumerate() {
        let kept = shifted_product(forget_gate[cell], *state, 15);
        let let_in = input_gate.map_or_else(|| i16::MAX - forget_gate[cell], |gate| gate[cell]);
        let added = shifted_product(let_in, cell_gate[cell], 15 + bits);
        *state = kept.saturating_add(added);
        if clip > 0 {
            *state = (*state).clamp(-clip, clip);
        }
    }
}

/// A product without its last bits, rounded half away from zero; the upper bits beyond 16 are lost.
pub(super) fn shifted_product(left: i16, right: i16, bits: u32) -> i16 {
    let product = i32::from(left) * i32::from(right);
    rounding_divide_by_pot(product, bits) as i16
}

/// `sum` plus the products of two rows.
fn accumulate(sum: i32, weights: &[i8], values: &[i8]) -> i32 {
    let pairs = weights.iter().zip(values);
    pairs.fold(sum, |sum, (&weight, &value)| {
        sum.wrapping_add(i32::from(weight) * i32::from(value))
    })
}

pub(super) fn saturate(value: i32) -> i16 {
    value.clamp(i16::MIN.into(), i16::MAX.into()) as i16
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_input_gate_as_much_is_let_in_as_is_forgotten() {
        // Forget gate 1/4: state 0.5 leaves 0.125, three quarters of the cell gate 0.5 are let in (32767 - 8192 in Q0.15).
        let mut state = [16384];
        update_cell(&mut state, 0, None, &[8192], &[16384], 0);
        assert_eq!(state, [4096 + 12288]);
    }

    #[test]
    fn cell_state_saturates_and_is_clipped() {
        let mut state = [32767];
        update_cell(&mut state, 0, Some(&[32767]), &[32767], &[32767], 0);
        assert_eq!(state, [32767]);
        update_cell(&mut state, 0, Some(&[0]), &[32767], &[0], 1000);
        assert_eq!(state, [1000]);
    }
}
