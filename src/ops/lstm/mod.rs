//! LSTM and UNIDIRECTIONAL_SEQUENCE_LSTM: layers with four gates, whose state lasts from one input to the next and from one
//! inference to the next.
//!
//! This folder has the operands and their shapes here, what one input does to the state for int8 with 16-bit gates in
//! [`integer`], with 8-bit matrix products in [`integer_8x8_8`], and for floats in [`float`]; [`fast_integer`] has the fast kernels
//! of the first.

mod fast_integer;
mod float;
mod integer;
mod integer_8x8_8;
mod weights;

use super::shared::check;
use super::{
    EvalError, Kernel, KernelIo, Node, OpDef, PrepareError, Prepared, Settings, TypeRow, Views,
    required,
};
use crate::model::BuiltinOperator;
use crate::schema::tflite::{ActivationFunctionType, LSTMKernelType};
use crate::tensor::{Element, Shape, TensorType as T};
use weights::Weights;

const INPUT: usize = 0;
/// Slots of the gates' operands: of the input gate, the others following.
const INPUT_WEIGHTS: usize = 1;
const RECURRENT_WEIGHTS: usize = 5;
const BIASES: usize = 12;
const NORMS: usize = 20;
/// Peephole weights of the input, the forget and the output gate.
const PEEPHOLES: [usize; 3] = [9, 10, 11];
const PROJECTION: usize = 16;
const PROJECTION_BIAS: usize = 17;
const OUTPUT_STATE: usize = 18;
const CELL_STATE: usize = 19;
const OUTPUT: usize = 0;

/// The gates in the order of their operands.
const INPUT_GATE: usize = 0;
const FORGET_GATE: usize = 1;
const CELL_GATE: usize = 2;
const OUTPUT_GATE: usize = 3;

const I8: T = T::Int8;
const F32: T = T::Float32;
const INTEGER: &[T] = &[
    I8,
    I8,
    I8,
    I8,
    I8,
    I8,
    I8,
    I8,
    I8,
    T::Int16,
    T::Int16,
    T::Int16,
    T::Int32,
    T::Int32,
    T::Int32,
    T::Int32,
    I8,
    T::Int32,
    I8,
    T::Int16,
];
const HYBRID: &[T] = &[
    F32, I8, I8, I8, I8, I8, I8, I8, I8, I8, I8, I8, F32, F32, F32, F32, I8, F32,
];
const TYPES: &[TypeRow] = &[
    TypeRow::new(INTEGER, &[I8]),
    TypeRow::new(&[F32], &[F32]),
    TypeRow::new(HYBRID, &[F32]),
];

pub(super) const DEF: OpDef = OpDef {
    code: BuiltinOperator::LSTM,
    name: "LSTM",
    versions: 1..=5,
    types: TYPES,
    check: check::none,
    prepare: prepare_step,
};

pub(super) const DEF_SEQUENCE: OpDef = OpDef {
    code: BuiltinOperator::UNIDIRECTIONAL_SEQUENCE_LSTM,
    name: "UNIDIRECTIONAL_SEQUENCE_LSTM",
    versions: 1..=4,
    types: TYPES,
    check: check::none,
    prepare: prepare_sequence,
};

/// The option table.
#[derive(Debug, Clone, Copy)]
struct Options {
    activation: ActivationFunctionType,
    /// Bounds of the cell state and of the projection; none where 0.
    cell_clip: f32,
    projection_clip: f32,
    time_major: bool,
    asymmetric: bool,
}

/// The lengths of everything.
#[derive(Debug, Clone, Copy)]
struct Geometry {
    batches: usize,
    steps: usize,
    inputs: usize,
    cells: usize,
    outputs: usize,
    time_major: bool,
}

/// One input at a time for each of the batches.
fn prepare_step(node: &Node<'_>, settings: &Settings) -> Result<Prepared, PrepareError> {
    let options = node.table()?.builtin_options_as_lstm_options();
    let options = options.ok_or(PrepareError::Options {
        expected: "LSTMOptions",
    })?;
    if options.kernel_type() != LSTMKernelType::FULL {
        return Err(PrepareError::Attribute {
            name: "kernel_type",
            found: format!("{:?}", options.kernel_type()),
            expected: "FULL",
        });
    }
    let input = node.input(INPUT, "input")?;
    let [batches, inputs] = input.dims("[batches, inputs]")?;
    let options = Options {
        activation: options.fused_activation_function(),
        cell_clip: options.cell_clip(),
        projection_clip: options.proj_clip(),
        time_major: false,
        asymmetric: options.asymmetric_quantize_inputs(),
    };
    prepare(node, settings, options, [batches, 1, inputs])
}

/// A series of inputs for each of the batches.
fn prepare_sequence(node: &Node<'_>, settings: &Settings) -> Result<Prepared, PrepareError> {
    let options = node
        .table()?
        .builtin_options_as_unidirectional_sequence_lstm_options();
    let options = options.ok_or(PrepareError::Options {
        expected: "UnidirectionalSequenceLSTMOptions",
    })?;
    let input = node.input(INPUT, "input")?;
    let [first, second, inputs] = input.dims("[batches, steps, inputs]")?;
    let (batches, steps) = match options.time_major() {
        true => (second, first),
        false => (first, second),
    };
    let options = Options {
        activation: options.fused_activation_function(),
        cell_clip: options.cell_clip(),
        projection_clip: options.proj_clip(),
        time_major: options.time_major(),
        asymmetric: options.asymmetric_quantize_inputs(),
    };
    prepare(node, settings, options, [batches, steps, inputs])
}

fn prepare(
    node: &Node<'_>,
    settings: &Settings,
    options: Options,
    [batches, steps, inputs]: [usize; 3],
) -> Result<Prepared, PrepareError> {
    let input = node.input(INPUT, "input")?;
    let weights = node.input(INPUT_WEIGHTS + OUTPUT_GATE, "input to output weights")?;
    let recurrent = node.input(RECURRENT_WEIGHTS + OUTPUT_GATE, "recurrent output weights")?;
    let [cells, _] = weights.dims("[cells, inputs]")?;
    let [_, outputs] = recurrent.dims("[cells, outputs]")?;
    let geometry = Geometry {
        batches,
        steps,
        inputs,
        cells,
        outputs,
        time_major: options.time_major,
    };
    check_shapes(node, &geometry)?;
    check_clips(&options)?;
    let (&last, front) = input.shape.dims().split_last().unwrap_or((&1, &[]));
    debug_assert_eq!(last, inputs);
    let shape = Shape::new(&[front, &[outputs]].concat())?;
    let macs = (batches * steps * cells) as u64 * 4 * (inputs + outputs) as u64;
    let prepared = match (input.ty, node.operator().intermediates.len()) {
        (T::Int8, 5) => {
            let cell = integer::Integer::new(node, settings, &options, geometry)?;
            match fast_integer::kernel(node, &cell, settings) {
                Some(kernel) => kernel.prepared(shape),
                None => sequence(geometry, cell, shape),
            }
        }
        (T::Int8, 12) => {
            let cell = integer_8x8_8::Integer8::new(node, settings, &options, geometry)?;
            sequence(geometry, cell, shape)
        }
        (T::Int8, found) => {
            return Err(PrepareError::Attribute {
                name: "intermediates",
                found: found.to_string(),
                expected: "5 tensors for 16-bit gates, or 12 for 8-bit products",
            });
        }
        _ => {
            let cell = float::Float::new(node, settings, &options, geometry)?;
            sequence(geometry, cell, shape)
        }
    };
    Ok(prepared.macs(macs))
}

/// Every operand has the shape that follows from the input's and the output gate's.
fn check_shapes(node: &Node<'_>, geometry: &Geometry) -> Result<(), PrepareError> {
    let Geometry {
        batches,
        inputs,
        cells,
        outputs,
        ..
    } = *geometry;
    let has_input_gate = node.optional_input(INPUT_WEIGHTS, "").is_some();
    let has_norms = node.optional_input(NORMS + FORGET_GATE, "").is_some();
    let has_peepholes = node.optional_input(PEEPHOLES[2], "").is_some();
    let projection = node.optional_input(PROJECTION, "projection weights");
    let expect = |slot, operand, dims: &[usize], wanted: bool| match node
        .optional_input(slot, operand)
    {
        Some(tensor) if wanted && tensor.shape.dims() == dims => Ok(()),
        Some(tensor) if wanted => Err(tensor.shape_error(format!("{dims:?}"))),
        Some(tensor) => Err(tensor.shape_error("nothing: the operands it goes with are left out")),
        None if wanted => Err(PrepareError::Missing { operand }),
        None => Ok(()),
    };
    for gate in [INPUT_GATE, FORGET_GATE, CELL_GATE, OUTPUT_GATE] {
        let wanted = gate != INPUT_GATE || has_input_gate;
        expect(
            INPUT_WEIGHTS + gate,
            "input weights",
            &[cells, inputs],
            wanted,
        )?;
        expect(
            RECURRENT_WEIGHTS + gate,
            "recurrent weights",
            &[cells, outputs],
            wanted,
        )?;
        expect(BIASES + gate, "bias", &[cells], wanted)?;
        expect(
            NORMS + gate,
            "layer norm coefficients",
            &[cells],
            wanted && has_norms,
        )?;
    }
    for (number, slot) in PEEPHOLES.into_iter().enumerate() {
        let wanted = has_peepholes && (number > 0 || has_input_gate);
        expect(slot, "peephole weights", &[cells], wanted)?;
    }
    if projection.is_some() {
        expect(PROJECTION, "projection weights", &[outputs, cells], true)?;
        if node.optional_input(PROJECTION_BIAS, "").is_some() {
            expect(PROJECTION_BIAS, "projection bias", &[outputs], true)?;
        }
    } else if outputs != cells {
        let recurrent = node.input(RECURRENT_WEIGHTS + OUTPUT_GATE, "recurrent weights")?;
        return Err(recurrent.shape_error(format!("{cells} outputs where nothing is projected")));
    }
    for (slot, operand, count) in [
        (OUTPUT_STATE, "output state", batches * outputs),
        (CELL_STATE, "cell state", batches * cells),
    ] {
        let state = node.input(slot, operand)?;
        if state.shape.count() != count {
            return Err(state.shape_error(format!("{count} elements")));
        }
        if !state.declared().is_variable {
            return Err(PrepareError::Attribute {
                name: "is_variable of a state",
                found: "false".into(),
                expected: "true",
            });
        }
    }
    Ok(())
}

fn check_clips(options: &Options) -> Result<(), PrepareError> {
    for (name, clip) in [
        ("cell_clip", options.cell_clip),
        ("proj_clip", options.projection_clip),
    ] {
        if clip.is_nan() || clip < 0.0 {
            return Err(PrepareError::Attribute {
                name,
                found: clip.to_string(),
                expected: "0 or more",
            });
        }
    }
    Ok(())
}

/// What one input does to the state of one batch.
trait Cell: Send + 'static {
    /// Inputs, outputs and the output state.
    type Value: Element;
    /// The cell state.
    type State: Element;
    /// `<primitive>.<variant>`.
    const NAME: &'static str;
    /// Bytes of a gate's value.
    const GATE_BYTES: usize;

    fn step(
        &self,
        weights: &Weights<'_>,
        input: &[Self::Value],
        output_state: &mut [Self::Value],
        cell_state: &mut [Self::State],
        scratch: &mut Scratch<'_>,
    ) -> Result<(), EvalError>;
}

/// Memory of one step.
struct Scratch<'v> {
    /// A value for each cell, of [`Cell::GATE_BYTES`] bytes.
    gates: [&'v mut [u8]; 4],
    /// As many again.
    hidden: &'v mut [u8],
    /// A byte for each input, each output and each cell.
    input_codes: &'v mut [u8],
    state_codes: &'v mut [u8],
    cell_codes: &'v mut [u8],
}

fn sequence<C: Cell>(geometry: Geometry, cell: C, shape: Shape) -> Prepared {
    let gate = geometry.cells * C::GATE_BYTES;
    let mut prepared = Prepared::new(Sequence { geometry, cell }, [shape]).stateful();
    for bytes in [
        gate,
        gate,
        gate,
        gate,
        gate,
        geometry.inputs,
        geometry.outputs,
        geometry.cells,
    ] {
        prepared = prepared.scratch(bytes);
    }
    prepared
}

struct Sequence<C> {
    geometry: Geometry,
    cell: C,
}

impl<C: Cell> Kernel for Sequence<C> {
    /// Batches do not meet, so each goes through all of its steps at once.
    fn eval(&self, io: &mut KernelIo<'_>) -> Result<(), EvalError> {
        let g = &self.geometry;
        let (views, states) = io.views_and_state(
            weights::SLOTS,
            [OUTPUT_STATE, CELL_STATE],
            [OUTPUT],
            [0, 1, 2, 3, 4, 5, 6, 7],
        )?;
        let Views {
            inputs,
            outputs: [output],
            scratch: [i, f, c, o, hidden, input_codes, state_codes, cell_codes],
        } = views;
        let gate = g.cells * C::GATE_BYTES;
        let mut scratch = Scratch {
            gates: [
                &mut i[..gate],
                &mut f[..gate],
                &mut c[..gate],
                &mut o[..gate],
            ],
            hidden: &mut hidden[..gate],
            input_codes: &mut input_codes[..g.inputs],
            state_codes: &mut state_codes[..g.outputs],
            cell_codes: &mut cell_codes[..g.cells],
        };
        let weights = Weights::new(&inputs);
        let input = required(inputs[INPUT], INPUT)?.as_slice::<C::Value>()?;
        let output = output.into_slice::<C::Value>()?;
        let [output_state, cell_state] = states;
        let output_states = output_state.into_slice::<C::Value>()?;
        let cell_states = cell_state.into_slice::<C::State>()?;
        for batch in 0..g.batches {
            let output_state = &mut output_states[batch * g.outputs..][..g.outputs];
            let cell_state = &mut cell_states[batch * g.cells..][..g.cells];
            for step in 0..g.steps {
                let row = match g.time_major {
                    true => step * g.batches + batch,
                    false => batch * g.steps + step,
                };
                let input = &input[row * g.inputs..][..g.inputs];
                self.cell
                    .step(&weights, input, output_state, cell_state, &mut scratch)?;
                output[row * g.outputs..][..g.outputs].copy_from_slice(output_state);
            }
        }
        Ok(())
    }

    fn name(&self) -> &'static str {
        C::NAME
    }
}
