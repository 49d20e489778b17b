//! The fast kernels of int8 with 16-bit gates, where operands and machine allow one.

use super::integer::{GateScales, Integer};
use super::{
    CELL_STATE, Geometry, INPUT, INPUT_WEIGHTS, NORMS, OUTPUT, OUTPUT_STATE, PEEPHOLES,
    RECURRENT_WEIGHTS,
};
use crate::fast::{self, LstmKernel, LstmOperands, LstmPrimitive};
use crate::fixedpoint::Rounding;
use crate::ops::{
    EvalError, Kernel, KernelIo, KernelMemory, Node, Prepared, Settings, Views, required,
};
use crate::tensor::Shape;

/// The fast kernel of a layer; `None` where the reference has to do.
pub(super) fn kernel(
    node: &Node<'_>,
    integer: &Integer,
    settings: &Settings,
) -> Option<FastSequence> {
    let is_left_out = |slot: usize| node.optional_input(slot, "").is_none();
    let is_plain = PEEPHOLES.into_iter().all(is_left_out) && (NORMS..NORMS + 4).all(is_left_out);
    let weights = |slot: usize| match node.optional_input(slot, "weights") {
        Some(weights) => weights.constant_bytes().ok(),
        None => Some(&[][..]),
    };
    let mut constants = [[&[][..]; 2]; 4];
    for (gate, [input, recurrent]) in constants.iter_mut().enumerate() {
        *input = weights(INPUT_WEIGHTS + gate)?;
        *recurrent = weights(RECURRENT_WEIGHTS + gate)?;
    }
    let problem = problem(integer, constants).filter(|_| is_plain)?;
    let kernel = fast::choose::<LstmPrimitive>(settings.kernels, &problem)?;
    Some(FastSequence {
        geometry: integer.geometry,
        kernel,
    })
}

/// The layer as fast kernels take it, if it has no operands that may be left out but those of the input gate.
fn problem<'a>(integer: &'a Integer, weights: [[&'a [u8]; 2]; 4]) -> Option<fast::Lstm<'a>> {
    let takes = integer.projection.is_none() && integer.rounding == Rounding::Double;
    takes.then(|| fast::Lstm {
        inputs: integer.geometry.inputs,
        cells: integer.geometry.cells,
        gates: std::array::from_fn(|number| {
            let scales = integer.gates[number].as_ref()?;
            Some(gate(scales, weights[number]))
        }),
        cell_bits: integer.cell_bits,
        cell_clip: integer.cell_clip,
        hidden: integer.hidden,
        hidden_zero_point: integer.hidden_zero_point,
    })
}

fn gate<'a>(scales: &'a GateScales, [input, recurrent]: [&'a [u8]; 2]) -> fast::LstmGate<'a> {
    fast::LstmGate {
        input: fast::LstmProduct {
            scale: scales.input,
            bias: &scales.input_bias,
            weights: input,
        },
        recurrent: fast::LstmProduct {
            scale: scales.recurrent,
            bias: &scales.recurrent_bias,
            weights: recurrent,
        },
    }
}

/// A fast kernel and the sequences it runs.
pub(super) struct FastSequence {
    geometry: Geometry,
    kernel: Box<dyn LstmKernel>,
}

impl FastSequence {
    pub fn prepared(self, shape: Shape) -> Prepared {
        let scratch = self.kernel.scratch_words() * size_of::<i32>();
        Prepared::new(self, [shape]).stateful().scratch(scratch)
    }

    /// Each batch through all of its steps. `states`: the outputs of the step before, and the cells.
    fn run(
        &self,
        weights: [[&[u8]; 2]; 4],
        input: &[u8],
        states: (&mut [u8], &mut [i16]),
        output: &mut [u8],
        scratch: &mut [i32],
    ) {
        let g = &self.geometry;
        let batches = states.0.chunks_exact_mut(g.cells);
        let batches = batches.zip(states.1.chunks_exact_mut(g.cells)).enumerate();
        for (batch, states) in batches {
            let rows = match g.time_major {
                true => (batch..g.batches * g.steps).step_by(g.batches),
                false => (batch * g.steps..(batch + 1) * g.steps).step_by(1),
            };
            let operands = LstmOperands {
                weights,
                input,
                rows,
            };
            self.kernel.run(operands, states, output, scratch);
        }
    }
}

/// Slots of the input and of the gates' weights.
const SLOTS: [usize; 9] = {
    let mut slots = [INPUT; 9];
    let mut gate = 0;
    while gate < 4 {
        slots[1 + gate] = INPUT_WEIGHTS + gate;
        slots[5 + gate] = RECURRENT_WEIGHTS + gate;
        gate += 1;
    }
    slots
};

impl Kernel for FastSequence {
    fn eval(&self, io: &mut KernelIo<'_>) -> Result<(), EvalError> {
        let (views, states) =
            io.views_and_state(SLOTS, [OUTPUT_STATE, CELL_STATE], [OUTPUT], [0])?;
        let Views {
            inputs: [input, weights @ ..],
            outputs: [mut output],
            scratch: [scratch],
        } = views;
        let [mut output_state, cell_state] = states;
        // Without an input gate there are no weights for it.
        let weights = weights.map(|view| view.map_or(&[][..], |view| view.bytes()));
        let scratch = &mut scratch[..self.kernel.scratch_words() * size_of::<i32>()];
        self.run(
            std::array::from_fn(|gate| [weights[gate], weights[4 + gate]]),
            required(input, INPUT)?.bytes(),
            (output_state.bytes_mut(), cell_state.into_slice()?),
            output.bytes_mut(),
            bytemuck::cast_slice_mut(scratch),
        );
        Ok(())
    }

    fn name(&self) -> &'static str {
        self.kernel.name()
    }

    fn memory(&self) -> KernelMemory {
        KernelMemory {
            packed: self.kernel.packed_bytes(),
            workspace: 0,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::Scratch;
    use super::super::weights::Weights;
    use super::*;
    use crate::fast::Primitive;
    use crate::fixedpoint::QuantizedMultiplier;
    use crate::ops::lstm::Cell;
    use crate::ops::shared::differential::{Numbers, Ran, assert_all_ran};
    use crate::tensor::{TensorRef, TensorType};

    fn multiplier(n: &mut Numbers, logs: std::ops::RangeInclusive<i64>) -> QuantizedMultiplier {
        let real = n.within(1000..=2000) as f64 * (n.within(logs) as f64 - 10.0).exp2();
        QuantizedMultiplier::from_real(real).expect("finite")
    }

    fn biases(n: &mut Numbers, cells: usize) -> Box<[i32]> {
        (0..cells)
            .map(|_| n.within(-20_000..=20_000) as i32)
            .collect()
    }

    fn integer(n: &mut Numbers) -> Integer {
        let cells = n.size(1, 40);
        let geometry = Geometry {
            batches: n.size(1, 3),
            steps: n.size(1, 4),
            inputs: n.size(1, 70),
            cells,
            outputs: cells,
            time_major: n.chance(2),
        };
        let has_input_gate = !n.chance(3);
        let gates = std::array::from_fn(|gate| {
            (gate > 0 || has_input_gate).then(|| GateScales {
                input: multiplier(n, -9..=3),
                recurrent: multiplier(n, -9..=3),
                peephole: QuantizedMultiplier::default(),
                norm: QuantizedMultiplier::default(),
                variance_guard: 1,
                input_bias: biases(n, cells),
                recurrent_bias: biases(n, cells),
            })
        });
        Integer {
            geometry,
            gates,
            cell_bits: n.size(0, 6) as u32,
            cell_clip: n.one_of(&[0, 0, 1000, i16::MAX]),
            hidden: multiplier(n, -24..=-20),
            hidden_zero_point: n.within(-128..=127) as i32,
            projection: None,
            rounding: Rounding::Double,
        }
    }

    /// What every batch has after all its steps: outputs and states.
    type Results = (Vec<u8>, Vec<u8>, Vec<i16>);

    fn reference(
        integer: &Integer,
        weights: &[[Vec<u8>; 2]; 4],
        input: &[u8],
        (mut output_states, mut cell_states): (Vec<u8>, Vec<i16>),
    ) -> Results {
        let g = integer.geometry;
        let shape = |dims: &[usize]| Shape::new(dims).expect("small");
        let shapes = [shape(&[g.cells, g.inputs]), shape(&[g.cells, g.cells])];
        let bias_shape = shape(&[g.cells]);
        let zeros = vec![0i32; g.cells];
        let mut views = [None; 22];
        let view = |ty, shape, bytes| TensorRef::new(ty, shape, None, bytes).expect("right size");
        for (gate, weights) in weights.iter().enumerate() {
            if integer.gates[gate].is_some() {
                let [input, recurrent] = weights;
                views[INPUT_WEIGHTS + gate] = Some(view(TensorType::Int8, &shapes[0], input));
                views[RECURRENT_WEIGHTS + gate] =
                    Some(view(TensorType::Int8, &shapes[1], recurrent));
                views[super::super::BIASES + gate] = Some(view(
                    TensorType::Int32,
                    &bias_shape,
                    bytemuck::cast_slice(&zeros),
                ));
            }
        }
        let weights = Weights::new(&views);
        let mut output = vec![0u8; g.batches * g.steps * g.cells];
        let [mut i, mut f, mut c, mut o, mut hidden] = [(); 5].map(|()| vec![0i16; g.cells]);
        let mut codes = vec![0u8; g.cells];
        let mut scratch = Scratch {
            gates: [&mut i, &mut f, &mut c, &mut o].map(|gate| bytemuck::cast_slice_mut(gate)),
            hidden: bytemuck::cast_slice_mut(&mut hidden),
            input_codes: &mut [],
            state_codes: &mut [],
            cell_codes: &mut codes,
        };
        for batch in 0..g.batches {
            let output_state = &mut output_states[batch * g.cells..][..g.cells];
            let cell_state = &mut cell_states[batch * g.cells..][..g.cells];
            for step in 0..g.steps {
                let row = match g.time_major {
                    true => step * g.batches + batch,
                    false => batch * g.steps + step,
                };
                let input = bytemuck::cast_slice(&input[row * g.inputs..][..g.inputs]);
                let state = bytemuck::cast_slice_mut(output_state);
                let done = integer.step(&weights, input, state, cell_state, &mut scratch);
                done.expect("every operand is there");
                output[row * g.cells..][..g.cells].copy_from_slice(output_state);
            }
        }
        (output, output_states, cell_states)
    }

    #[test]
    #[cfg_attr(miri, ignore = "hundreds of problems, hours under Miri")]
    fn variants_answer_as_the_reference() {
        let mut ran = Ran::new();
        for seed in 0..200 {
            let n = &mut Numbers::new(seed);
            let integer = integer(n);
            let g = integer.geometry;
            let weights: [[Vec<u8>; 2]; 4] = std::array::from_fn(|gate| {
                let count = if integer.gates[gate].is_some() {
                    g.cells
                } else {
                    0
                };
                [n.bytes(count * g.inputs), n.bytes(count * g.cells)]
            });
            let input = n.bytes(g.batches * g.steps * g.inputs);
            let output_states = n.bytes(g.batches * g.cells);
            let cell_states: Vec<i16> = (0..g.batches * g.cells)
                .map(|_| n.within(-32768..=32767) as i16)
                .collect();
            let states = (output_states, cell_states);
            let expected = reference(&integer, &weights, &input, states.clone());
            let slices = weights
                .each_ref()
                .map(|pair| pair.each_ref().map(|w| &w[..]));
            let problem = problem(&integer, slices).expect("a plain layer");
            for variant in LstmPrimitive::variants() {
                let Some(kernel) = (variant.prepare)(&problem) else {
                    continue;
                };
                ran.insert(variant.name);
                let name = kernel.name();
                // Whatever was in scratch memory before.
                let mut scratch = vec![-1; kernel.scratch_words()];
                let mut output = vec![0x55; expected.0.len()];
                let (mut output_states, mut cell_states) = states.clone();
                let sequence = FastSequence {
                    geometry: g,
                    kernel,
                };
                sequence.run(
                    slices,
                    &input,
                    (&mut output_states, &mut cell_states),
                    &mut output,
                    &mut scratch,
                );
                let found = (output, output_states, cell_states);
                assert_eq!(found, expected, "{name}, seed {seed}: {g:?}");
            }
        }
        assert_all_ran::<LstmPrimitive>(&ran);
    }
}
