//! int8 inputs and weights with matrix products in 8 bits: TFLite's 8x8 -> 8 LSTM, which has layer normalization, a projection
//! and no input gate. Gates pass through float functions.
//!
//! Source: TFLite `kernels/lstm_eval.cc` (`LstmStepInteger8x8_8`), `kernels/lstm.cc` (`PopulateQuantizedLstmParams8x8_8`) and
//! `kernels/internal/reference/portable_tensor_utils.cc`, LiteRT commit f674577.

use super::integer::{
    clip_codes, intermediate, multiplier, saturate, scale, shifted_product, update_cell,
};
use super::weights::{Gate, Weights};
use super::{
    CELL_GATE, CELL_STATE, Cell, FORGET_GATE, Geometry, INPUT, INPUT_WEIGHTS, NORMS, OUTPUT,
    OUTPUT_GATE, OUTPUT_STATE, Options, PROJECTION, RECURRENT_WEIGHTS, Scratch,
};
use crate::fixedpoint::{QuantizedMultiplier, Rounding};
use crate::ops::shared::hybrid;
use crate::ops::{EvalError, Node, PrepareError, Settings};

pub(super) struct Integer8 {
    geometry: Geometry,
    /// By gate, the input gate's unused.
    gates: [Option<GateScales>; 4],
    input_zero_point: i32,
    state_zero_point: i32,
    cell_clip: i16,
    projection: QuantizedMultiplier,
    projection_clip: i8,
    rounding: Rounding,
}

struct GateScales {
    input: Product,
    recurrent: Product,
    /// Of the layer norm coefficients.
    norm_scale: f32,
}

/// A matrix product: to its own 8-bit quantization, and from there to the gate's 16 bits.
struct Product {
    to_code: QuantizedMultiplier,
    zero_point: i32,
    to_gate: QuantizedMultiplier,
}

impl Product {
    fn gate_value(
        &self,
        values: &[i8],
        zero_point: i32,
        weights: &[i8],
        rounding: Rounding,
    ) -> i32 {
        let sum = hybrid::dot(values, zero_point, weights);
        let code = self
            .to_code
            .apply(sum, rounding)
            .wrapping_add(self.zero_point);
        self.to_gate
            .apply(code.clamp(-128, 127) - self.zero_point, rounding)
    }
}

impl Integer8 {
    pub fn new(
        node: &Node<'_>,
        settings: &Settings,
        options: &Options,
        geometry: Geometry,
    ) -> Result<Self, PrepareError> {
        for (slot, operand) in [
            (NORMS + FORGET_GATE, "layer norm coefficients"),
            (PROJECTION, "projection weights"),
        ] {
            node.input(slot, operand)?;
        }
        if let Some(found) = node.optional_input(INPUT_WEIGHTS, "input to input weights") {
            return Err(found.shape_error("nothing: 8-bit products go without an input gate"));
        }
        let (_, input_zero_point) = node.input(INPUT, "input")?.per_tensor()?;
        let (state_scale, state_zero_point) =
            node.input(OUTPUT_STATE, "output state")?.per_tensor()?;
        let (output_scale, _) = node.output(OUTPUT, "output")?.per_tensor()?;
        let (cell_scale, _) = node.input(CELL_STATE, "cell state")?.per_tensor()?;
        if cell_scale != 1.0 / 32768.0 {
            return Err(PrepareError::Attribute {
                name: "scale of the cell state",
                found: cell_scale.to_string(),
                expected: "2^-15",
            });
        }
        let gates = [
            None,
            Some(GateScales::new(node, FORGET_GATE)?),
            Some(GateScales::new(node, CELL_GATE)?),
            Some(GateScales::new(node, OUTPUT_GATE)?),
        ];
        let projection = f64::from(scale(node, PROJECTION)?) * 2f64.powi(-15);
        let cell_clip = options.cell_clip;
        Ok(Self {
            geometry,
            gates,
            input_zero_point,
            state_zero_point,
            cell_clip: if cell_clip < 1.0 {
                clip_codes(cell_clip, cell_scale, 32767.0)
            } else {
                0
            },
            projection: multiplier((projection / f64::from(state_scale)) as f32)?,
            projection_clip: clip_codes(options.projection_clip, output_scale, 127.0) as i8,
            rounding: settings.profile.rounding(),
        })
    }

    fn gate(
        &self,
        number: usize,
        operands: &Gate<'_, i8, i16, i16, i32>,
        input: &[i8],
        output_state: &[i8],
        gate: &mut [i16],
    ) -> Result<(), EvalError> {
        let slot = NORMS + number;
        let (Some(scales), Some(coefficients)) = (&self.gates[number], operands.norm) else {
            return Err(EvalError::Operand { slot });
        };
        let inputs = operands.input.chunks_exact(self.geometry.inputs.max(1));
        let recurrents = operands
            .recurrent
            .chunks_exact(self.geometry.outputs.max(1));
        for ((value, input_row), recurrent_row) in gate.iter_mut().zip(inputs).zip(recurrents) {
            let input =
                scales
                    .input
                    .gate_value(input, self.input_zero_point, input_row, self.rounding);
            let recurrent = scales.recurrent.gate_value(
                output_state,
                self.state_zero_point,
                recurrent_row,
                self.rounding,
            );
            *value = saturate(recurrent.wrapping_add(input));
        }
        normalize(scales.norm_scale, coefficients, operands.bias, gate);
        for value in gate {
            let real = f32::from(*value) * 2f32.powi(-12);
            let activated = match number {
                CELL_GATE => real.tanh(),
                _ => 1.0 / (1.0 + (-real).exp()),
            };
            *value = truncated(activated);
        }
        Ok(())
    }
}

/// A number of Q0.15, truncated toward zero.
fn truncated(real: f32) -> i16 {
    saturate((real * 32768.0) as i32)
}

/// Layer normalization in float32. `coefficients` and `bias`: one a cell.
fn normalize(scale: f32, coefficients: &[i16], bias: &[i32], gate: &mut [i16]) {
    let bias_scale = 2f32.powi(-10) * scale;
    let count = gate.len() as f32;
    let (sum, squares) = gate.iter().fold((0f32, 0f32), |(sum, squares), &value| {
        let value = f32::from(value);
        (sum + value, squares + value * value)
    });
    let mean = sum / count;
    let variance = squares / count - mean * mean;
    let inverse = if variance == 0.0 {
        1.0 / 1e-8f32.sqrt()
    } else {
        1.0 / variance.sqrt()
    };
    for ((value, &coefficient), &bias) in gate.iter_mut().zip(coefficients).zip(bias) {
        let normalized = (f32::from(*value) - mean) * inverse;
        let weighted = normalized * f32::from(coefficient) * scale + bias as f32 * bias_scale;
        *value = saturate((weighted * 4096.0).round() as i32);
    }
}

impl GateScales {
    fn new(node: &Node<'_>, gate: usize) -> Result<Self, PrepareError> {
        let (input_scale, _) = node.input(INPUT, "input")?.per_tensor()?;
        let (state_scale, _) = node.input(OUTPUT_STATE, "output state")?.per_tensor()?;
        // Of each gate: the sum, the product of the input, the product of the output state.
        let (sum_scale, _) = intermediate(node, 3 * gate)?;
        let product = |slot, scale_of_values: f32, number| {
            let (scale_of_product, zero_point) = intermediate(node, number)?;
            Ok::<_, PrepareError>(Product {
                to_code: multiplier(scale(node, slot)? * scale_of_values / scale_of_product)?,
                zero_point,
                to_gate: multiplier(scale_of_product / sum_scale)?,
            })
        };
        let input = product(INPUT_WEIGHTS + gate, input_scale, 3 * gate + 1)?;
        let mut recurrent = product(RECURRENT_WEIGHTS + gate, state_scale, 3 * gate + 2)?;
        if gate == OUTPUT_GATE {
            // TFLite takes another zero point here, and for the significand the one behind the array of eight, which is the
            // forget gate's exponent: the output state hardly reaches the output gate. Models are made with these numbers.
            recurrent.zero_point = intermediate(node, 7)?.1;
            let (forget_product, _) = intermediate(node, 5)?;
            let (forget_sum, _) = intermediate(node, 3)?;
            recurrent.to_gate.multiplier = multiplier(forget_product / forget_sum)?.shift;
        }
        let norm = multiplier(scale(node, NORMS + gate)?)?;
        let norm_scale = f64::from(norm.multiplier) * 2f64.powi(norm.shift - 31);
        Ok(Self {
            input,
            recurrent,
            norm_scale: norm_scale as f32,
        })
    }
}

impl Cell for Integer8 {
    type Value = i8;
    type State = i16;
    const NAME: &'static str = "lstm.integer_8x8_8_reference";
    const GATE_BYTES: usize = 2;

    fn step(
        &self,
        weights: &Weights<'_>,
        input: &[i8],
        output_state: &mut [i8],
        cell_state: &mut [i16],
        scratch: &mut Scratch<'_>,
    ) -> Result<(), EvalError> {
        let [_, forget_gate, cell_gate, output_gate] = &mut scratch.gates;
        let forget_gate: &mut [i16] = bytemuck::cast_slice_mut(forget_gate);
        let cell_gate: &mut [i16] = bytemuck::cast_slice_mut(cell_gate);
        let output_gate: &mut [i16] = bytemuck::cast_slice_mut(output_gate);
        self.gate(
            FORGET_GATE,
            &weights.gate(FORGET_GATE)?,
            input,
            output_state,
            forget_gate,
        )?;
        self.gate(
            CELL_GATE,
            &weights.gate(CELL_GATE)?,
            input,
            output_state,
            cell_gate,
        )?;
        update_cell(cell_state, 0, None, forget_gate, cell_gate, self.cell_clip);
        self.gate(
            OUTPUT_GATE,
            &weights.gate(OUTPUT_GATE)?,
            input,
            output_state,
            output_gate,
        )?;
        let hidden: &mut [i16] = bytemuck::cast_slice_mut(scratch.hidden);
        for ((hidden, &gate), &state) in hidden.iter_mut().zip(&*output_gate).zip(&*cell_state) {
            let state = truncated((f32::from(state) * 2f32.powi(-15)).tanh());
            *hidden = shifted_product(gate, state, 15);
        }
        let (matrix, bias): (&[i8], Option<&[i32]>) = weights
            .projection()?
            .ok_or(EvalError::Operand { slot: PROJECTION })?;
        let rows = matrix.chunks_exact(self.geometry.cells.max(1));
        for (row, (to, weights)) in output_state.iter_mut().zip(rows).enumerate() {
            let bias = i64::from(bias.map_or(0, |bias| bias[row]));
            let sum = hidden
                .iter()
                .zip(weights)
                .fold(bias, |sum, (&hidden, &weight)| {
                    sum + i64::from(i32::from(hidden) * i32::from(weight))
                });
            let code = self
                .projection
                .apply_i64(sum)
                .wrapping_add(self.state_zero_point);
            let code = code.clamp(-128, 127) as i8;
            *to = match self.projection_clip {
                1.. => code.clamp(-self.projection_clip, self.projection_clip),
                _ => code,
            };
        }
        Ok(())
    }
}
