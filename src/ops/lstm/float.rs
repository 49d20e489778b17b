//! Floats, with weights in float32 or in int8.
//!
//! Source: TFLite `kernels/lstm_eval.cc` (`LstmStepFloat`, `LstmStepHybrid`), LiteRT commit f674577.

use super::integer::scale;
use super::weights::{Gate, Weights};
use super::{
    CELL_GATE, Cell, FORGET_GATE, Geometry, INPUT_GATE, INPUT_WEIGHTS, OUTPUT_GATE, Options,
    PEEPHOLES, PROJECTION, RECURRENT_WEIGHTS, Scratch,
};
use crate::ops::shared::hybrid::{self, RowCodes, RowScale};
use crate::ops::{EvalError, Node, PrepareError, Settings};
use crate::schema::tflite::ActivationFunctionType;
use crate::tensor::TensorType;

pub(super) struct Float {
    geometry: Geometry,
    activation: fn(f32) -> f32,
    cell_clip: f32,
    projection_clip: f32,
    /// Scales of int8 weights; `None` of float32.
    scales: Option<Scales>,
}

struct Scales {
    input: [f32; 4],
    recurrent: [f32; 4],
    peephole: [f32; 4],
    projection: f32,
    codes: RowCodes,
}

impl Float {
    pub fn new(
        node: &Node<'_>,
        settings: &Settings,
        options: &Options,
        geometry: Geometry,
    ) -> Result<Self, PrepareError> {
        let weights = node.input(INPUT_WEIGHTS + OUTPUT_GATE, "input to output weights")?;
        let by_gate = |first| -> Result<[f32; 4], PrepareError> {
            Ok([
                scale(node, first)?,
                scale(node, first + 1)?,
                scale(node, first + 2)?,
                scale(node, first + 3)?,
            ])
        };
        let scales = match weights.ty {
            TensorType::Float32 => None,
            _ => Some(Scales {
                input: by_gate(INPUT_WEIGHTS)?,
                recurrent: by_gate(RECURRENT_WEIGHTS)?,
                peephole: [
                    scale(node, PEEPHOLES[0])?,
                    scale(node, PEEPHOLES[1])?,
                    1.0,
                    scale(node, PEEPHOLES[2])?,
                ],
                projection: scale(node, PROJECTION)?,
                codes: RowCodes::new(options.asymmetric, settings),
            }),
        };
        let activation = match options.activation {
            ActivationFunctionType::NONE => std::convert::identity,
            ActivationFunctionType::TANH => f32::tanh,
            ActivationFunctionType::RELU => |x: f32| x.max(0.0),
            ActivationFunctionType::RELU6 => |x: f32| x.clamp(0.0, 6.0),
            other => {
                return Err(PrepareError::Attribute {
                    name: "fused_activation_function",
                    found: format!("{other:?}"),
                    expected: "NONE, RELU, RELU6 or TANH",
                });
            }
        };
        Ok(Self {
            geometry,
            activation,
            cell_clip: options.cell_clip,
            projection_clip: options.projection_clip,
            scales,
        })
    }

    /// A gate after its activation. `read`: input and output state, and their codes where the weights are int8.
    fn gate(
        &self,
        number: usize,
        weights: &Weights<'_>,
        read: &Read<'_>,
        cell_state: &[f32],
        gate: &mut [f32],
    ) -> Result<(), EvalError> {
        match &self.scales {
            None => {
                let operands: Gate<'_, f32, f32, f32, f32> = weights.gate(number)?;
                self.sums(
                    &operands,
                    gate,
                    |cell| {
                        let input =
                            dot(row(operands.input, cell, self.geometry.inputs), read.input);
                        let state = dot(
                            row(operands.recurrent, cell, self.geometry.outputs),
                            read.output_state,
                        );
                        [input, state]
                    },
                    |cell| {
                        operands
                            .peephole
                            .map(|weights| weights[cell] * cell_state[cell])
                    },
                );
                self.finish(number, operands.norm, operands.bias, gate);
            }
            Some(scales) => {
                let operands: Gate<'_, i8, i8, f32, f32> = weights.gate(number)?;
                let (input_scale, state_scale) = (
                    scales.input[number] * read.input_codes.1.scale,
                    scales.recurrent[number] * read.state_codes.1.scale,
                );
                self.sums(
                    &operands,
                    gate,
                    |cell| {
                        let (codes, scale) = read.input_codes;
                        let input = hybrid::dot(
                            codes,
                            scale.offset,
                            row(operands.input, cell, self.geometry.inputs),
                        );
                        let (codes, scale) = read.state_codes;
                        let state = hybrid::dot(
                            codes,
                            scale.offset,
                            row(operands.recurrent, cell, self.geometry.outputs),
                        );
                        [input as f32 * input_scale, state as f32 * state_scale]
                    },
                    |cell| {
                        operands.peephole.map(|weights| {
                            scales.peephole[number] * f32::from(weights[cell]) * cell_state[cell]
                        })
                    },
                );
                self.finish(number, operands.norm, operands.bias, gate);
            }
        }
        Ok(())
    }

    /// The gate before normalization and activation.
    fn sums<W, P>(
        &self,
        operands: &Gate<'_, W, P, f32, f32>,
        gate: &mut [f32],
        products: impl Fn(usize) -> [f32; 2],
        peephole: impl Fn(usize) -> Option<f32>,
    ) {
        for (cell, value) in gate.iter_mut().enumerate() {
            let bias = if operands.norm.is_some() {
                0.0
            } else {
                operands.bias[cell]
            };
            let [input, state] = products(cell);
            *value = bias + input + state;
            if let Some(product) = peephole(cell) {
                *value += product;
            }
        }
    }

    fn finish(&self, number: usize, norm: Option<&[f32]>, bias: &[f32], gate: &mut [f32]) {
        if let Some(coefficients) = norm {
            normalize(gate);
            for ((value, &coefficient), &bias) in gate.iter_mut().zip(coefficients).zip(bias) {
                *value = *value * coefficient + bias;
            }
        }
        for value in gate {
            *value = match number {
                CELL_GATE => (self.activation)(*value),
                _ => 1.0 / (1.0 + (-*value).exp()),
            };
        }
    }

    fn output(
        &self,
        weights: &Weights<'_>,
        hidden: &[f32],
        codes: &mut [i8],
        output_state: &mut [f32],
    ) -> Result<(), EvalError> {
        let cells = self.geometry.cells;
        match &self.scales {
            None => match weights.projection::<f32, f32>()? {
                None => output_state.copy_from_slice(hidden),
                Some((matrix, bias)) => {
                    self.project(bias, output_state, |output| {
                        dot(row(matrix, output, cells), hidden)
                    });
                }
            },
            Some(scales) => match weights.projection::<i8, f32>()? {
                None => output_state.copy_from_slice(hidden),
                Some((matrix, bias)) => {
                    let found = hybrid::quantize_row(hidden.iter().copied(), codes, scales.codes);
                    let scale = scales.projection * found.scale;
                    self.project(bias, output_state, |output| {
                        hybrid::dot(codes, found.offset, row(matrix, output, cells)) as f32 * scale
                    });
                }
            },
        }
        Ok(())
    }

    fn project(
        &self,
        bias: Option<&[f32]>,
        output_state: &mut [f32],
        product: impl Fn(usize) -> f32,
    ) {
        for (output, value) in output_state.iter_mut().enumerate() {
            *value = bias.map_or(0.0, |bias| bias[output]) + product(output);
            if self.projection_clip > 0.0 {
                *value = value.clamp(-self.projection_clip, self.projection_clip);
            }
        }
    }
}

/// What a step reads.
struct Read<'a> {
    input: &'a [f32],
    output_state: &'a [f32],
    input_codes: (&'a [i8], RowScale),
    state_codes: (&'a [i8], RowScale),
}

fn row<W>(matrix: &[W], row: usize, len: usize) -> &[W] {
    &matrix[row * len..][..len]
}

fn dot(weights: &[f32], values: &[f32]) -> f32 {
    let pairs = weights.iter().zip(values);
    pairs.fold(0.0, |sum, (&weight, &value)| sum + weight * value)
}

/// To mean 0 and variance 1.
fn normalize(values: &mut [f32]) {
    let count = values.len() as f32;
    let mean = values.iter().sum::<f32>() / count;
    let squares = values
        .iter()
        .fold(0.0, |sum, &value| sum + (value - mean) * (value - mean));
    let inverse = 1.0 / (squares / count + 1e-8).sqrt();
    for value in values {
        *value = (*value - mean) * inverse;
    }
}

impl Cell for Float {
    type Value = f32;
    type State = f32;
    const NAME: &'static str = "lstm.float_reference";
    const GATE_BYTES: usize = 4;

    fn step(
        &self,
        weights: &Weights<'_>,
        input: &[f32],
        output_state: &mut [f32],
        cell_state: &mut [f32],
        scratch: &mut Scratch<'_>,
    ) -> Result<(), EvalError> {
        let [input_gate, forget_gate, cell_gate, output_gate] = &mut scratch.gates;
        let input_gate: &mut [f32] = bytemuck::cast_slice_mut(input_gate);
        let forget_gate: &mut [f32] = bytemuck::cast_slice_mut(forget_gate);
        let cell_gate: &mut [f32] = bytemuck::cast_slice_mut(cell_gate);
        let output_gate: &mut [f32] = bytemuck::cast_slice_mut(output_gate);
        let input_codes: &mut [i8] = bytemuck::cast_slice_mut(scratch.input_codes);
        let state_codes: &mut [i8] = bytemuck::cast_slice_mut(scratch.state_codes);
        let mut scales = [RowScale {
            scale: 1.0,
            offset: 0,
        }; 2];
        if let Some(Scales { codes, .. }) = &self.scales {
            scales = [
                hybrid::quantize_row(input.iter().copied(), input_codes, *codes),
                hybrid::quantize_row(output_state.iter().copied(), state_codes, *codes),
            ];
        }
        let read = Read {
            input,
            output_state,
            input_codes: (input_codes, scales[0]),
            state_codes: (state_codes, scales[1]),
        };
        let has_input_gate = weights.has_input_gate();
        if has_input_gate {
            self.gate(INPUT_GATE, weights, &read, cell_state, input_gate)?;
        }
        self.gate(FORGET_GATE, weights, &read, cell_state, forget_gate)?;
        self.gate(CELL_GATE, weights, &read, cell_state, cell_gate)?;
        for (cell, state) in cell_state.iter_mut().enumerate() {
            let let_in = if has_input_gate {
                input_gate[cell]
            } else {
                1.0 - forget_gate[cell]
            };
            *state = forget_gate[cell] * *state + cell_gate[cell] * let_in;
            if self.cell_clip > 0.0 {
                *state = state.clamp(-self.cell_clip, self.cell_clip);
            }
        }
        self.gate(OUTPUT_GATE, weights, &read, cell_state, output_gate)?;
        let hidden: &mut [f32] = bytemuck::cast_slice_mut(scratch.hidden);
        for ((hidden, &gate), &state) in hidden.iter_mut().zip(&*output_gate).zip(&*cell_state) {
            *hidden = gate * (self.activation)(state);
        }
        let codes = bytemuck::cast_slice_mut(scratch.cell_codes);
        self.output(weights, hidden, codes, output_state)
    }
}
