//! LSTM of int8 with gates in 16 bits.
//!
//! Products with the weights are summed along the depth, where the model stores the weights, and scaled in vectors. Everything
//! behind them is plain loops over the cells, which are padded to whole vectors.

mod activation;

use super::lanes::rows::{fill, padded_words};
use super::lanes::{Lanes, Work, for_each_isa};
use super::scaled_products::{ScaledProducts, scale_to_int8};
use super::stage::Scale;
use super::{Primitive, Variant};
use crate::fixedpoint::QuantizedMultiplier;
use activation::{Format, logistic, rounding_divide_by_pot, tanh};
use std::iter::StepBy;
use std::ops::Range;

/// The gates in the order of their operands.
const INPUT_GATE: usize = 0;
const FORGET_GATE: usize = 1;
const CELL_GATE: usize = 2;
const OUTPUT_GATE: usize = 3;

/// Integer bits of a gate before its activation.
const GATE_BITS: u32 = 3;

/// Cells that are computed together, in local arrays: the compiler makes vectors of such loops.
const BLOCK: usize = 8;

/// A layer without peepholes, layer normalization and projection, scaled with two roundings.
#[derive(Debug)]
pub struct Lstm<'a> {
    /// Values of an input.
    pub inputs: usize,
    /// Cells, and values of an output.
    pub cells: usize,
    /// Input, forget, cell and output gate; the input gate may be left out.
    pub gates: [Option<LstmGate<'a>>; 4],
    /// Integer bits of the cell state, at most 6.
    pub cell_bits: u32,
    /// The bound of the cell state, where above 0.
    pub cell_clip: i16,
    /// From the product of output gate and cell state's tanh to an output.
    pub hidden: QuantizedMultiplier,
    /// Zero point of the output.
    pub hidden_zero_point: i32,
}

/// What a gate adds up from the input and from the output of the step before.
#[derive(Debug, Clone, Copy)]
pub struct LstmGate<'a> {
    /// From the products with the input.
    pub input: LstmProduct<'a>,
    /// From the products with the output.
    pub recurrent: LstmProduct<'a>,
}

/// How sums of products are made parts of a gate.
#[derive(Debug, Clone, Copy)]
pub struct LstmProduct<'a> {
    /// From a sum to the gate's 16 bits.
    pub scale: QuantizedMultiplier,
    /// One per cell, with everything that depends on no activation.
    pub bias: &'a [i32],
    /// int8, those that a sequence is run with.
    pub weights: &'a [u8],
}

/// What one sequence is computed from.
#[derive(Debug, Clone)]
pub struct LstmOperands<'a> {
    /// Of each gate those of the input, cells x inputs, and those of the output, cells x cells; all int8.
    pub weights: [[&'a [u8]; 2]; 4],
    /// Rows of int8.
    pub input: &'a [u8],
    /// The rows of input and output that the steps read and write.
    pub rows: StepBy<Range<usize>>,
}

/// A prepared layer.
pub trait LstmKernel: Send + Sync {
    /// `lstm.<isa>`.
    fn name(&self) -> &'static str;
    /// Computes the steps of one sequence. `states`: the output of the step before, and the cells. `scratch`: as many words as
    /// [`scratch_words`](Self::scratch_words) says.
    fn run(
        &self,
        operands: LstmOperands<'_>,
        states: (&mut [u8], &mut [i16]),
        output: &mut [u8],
        scratch: &mut [i32],
    );
    /// Words of scratch memory.
    fn scratch_words(&self) -> usize;
    /// Bytes of packed biases.
    fn packed_bytes(&self) -> usize;
}

macro_rules! list {
    ($($(#[$cfg:meta])* $isa:literal => $lanes:ty,)*) => {
        &[$($(#[$cfg])* Variant {
            name: concat!("lstm.", $isa),
            isa: <$lanes as Lanes>::ISA,
            prepare: |problem| prepare::<$lanes>(concat!("lstm.", $isa), problem),
        },)*]
    };
}

/// LSTM and UNIDIRECTIONAL_SEQUENCE_LSTM of int8 with gates in 16 bits.
pub struct LstmPrimitive;

impl Primitive for LstmPrimitive {
    type Problem<'a> = Lstm<'a>;
    type Kernel = dyn LstmKernel;

    fn variants() -> &'static [Variant<Self>] {
        for_each_isa!(list)
    }
}

fn prepare<L: Lanes>(name: &'static str, problem: &Lstm<'_>) -> Option<Box<dyn LstmKernel>> {
    let lanes = L::detect()?;
    let p = problem;
    let gates = p.gates.iter().flatten();
    let scales = gates.flat_map(|gate| [gate.input.scale, gate.recurrent.scale]);
    let is_sound = p.inputs > 0
        && p.cells > 0
        && p.cell_bits <= 6
        && p.gates[FORGET_GATE..].iter().all(Option::is_some)
        && scales.chain([p.hidden]).all(Scale::<L>::suits);
    is_sound.then(|| {
        Box::new(Vectors {
            name,
            lanes,
            inputs: p.inputs,
            cells: p.cells,
            gates: p.gates.map(|gate| {
                gate.map(|gate| {
                    let product = |product: LstmProduct<'_>, depth| {
                        let LstmProduct {
                            scale,
                            bias,
                            weights,
                        } = product;
                        ScaledProducts::new::<L>(scale, bias, weights, depth)
                    };
                    [
                        product(gate.input, p.inputs),
                        product(gate.recurrent, p.cells),
                    ]
                })
            }),
            cell_bits: p.cell_bits,
            cell_clip: p.cell_clip,
            hidden: p.hidden,
            hidden_zero_point: p.hidden_zero_point,
        }) as Box<dyn LstmKernel>
    })
}

struct Vectors<L: Lanes> {
    name: &'static str,
    lanes: L,
    inputs: usize,
    cells: usize,
    /// The products with the input and with the output.
    gates: [Option<[ScaledProducts; 2]>; 4],
    cell_bits: u32,
    cell_clip: i16,
    hidden: QuantizedMultiplier,
    hidden_zero_point: i32,
}

impl<L: Lanes> Vectors<L> {
    /// Words of memory for an input, and for an output, as products read them.
    fn row_words(&self) -> [usize; 2] {
        [self.inputs, self.cells].map(padded_words::<L>)
    }

    fn padded_cells(&self) -> usize {
        self.cells.next_multiple_of(L::N.max(BLOCK))
    }
}

impl<L: Lanes> LstmKernel for Vectors<L> {
    fn name(&self) -> &'static str {
        self.name
    }

    fn run(
        &self,
        operands: LstmOperands<'_>,
        states: (&mut [u8], &mut [i16]),
        output: &mut [u8],
        scratch: &mut [i32],
    ) {
        self.lanes.run(Run {
            vectors: self,
            operands,
            states,
            output,
            scratch,
        });
    }

    fn scratch_words(&self) -> usize {
        let cells = self.padded_cells();
        2 * cells + self.row_words().iter().sum::<usize>() + (5 * cells).div_ceil(2)
    }

    fn packed_bytes(&self) -> usize {
        let products = self.gates.iter().flatten().flatten();
        products.map(ScaledProducts::bytes).sum()
    }
}

/// Memory of a sequence; all but `rows` by cell.
struct Memory<'a, L: Lanes> {
    /// What the products with the input and with the output add to a gate.
    sums: [&'a mut [i32]; 2],
    /// The input and the output of the step before.
    rows: [&'a mut [L::Activation]; 2],
    gates: [&'a mut [i16]; 4],
    cells: &'a mut [i16],
}

impl<'a, L: Lanes> Memory<'a, L> {
    #[inline(always)]
    fn new(vectors: &Vectors<L>, scratch: &'a mut [i32]) -> Self {
        scratch.fill(0);
        let count = vectors.padded_cells();
        let [inputs, outputs] = vectors.row_words();
        let (sums, words) = scratch.split_at_mut(2 * count);
        let (from_input, from_output) = sums.split_at_mut(count);
        let (input, words) = words.split_at_mut(inputs);
        let (output, words) = words.split_at_mut(outputs);
        let words: &mut [i16] = bytemuck::cast_slice_mut(words);
        let (cells, words) = words.split_at_mut(count);
        let (i, words) = words.split_at_mut(count);
        let (f, words) = words.split_at_mut(count);
        let (c, words) = words.split_at_mut(count);
        let (o, _) = words.split_at_mut(count);
        Self {
            sums: [from_input, from_output],
            rows: [input, output].map(bytemuck::cast_slice_mut),
            gates: [i, f, c, o],
            cells,
        }
    }
}

/// One call of [`LstmKernel::run`].
struct Run<'a, L: Lanes> {
    vectors: &'a Vectors<L>,
    operands: LstmOperands<'a>,
    states: (&'a mut [u8], &'a mut [i16]),
    output: &'a mut [u8],
    scratch: &'a mut [i32],
}

impl<L: Lanes> Work for Run<'_, L> {
    type Output = ();

    #[inline(always)]
    fn run<M: Lanes>(self, _: M) {
        let v = self.vectors;
        let mut memory = Memory::new(v, self.scratch);
        let (output_state, cell_state) = self.states;
        let functions = Functions::new(v);
        fill::<L>(memory.rows[1], v.cells, &*output_state, true);
        memory.cells[..v.cells].copy_from_slice(cell_state);
        for row in self.operands.rows {
            let input = &self.operands.input[row * v.inputs..][..v.inputs];
            fill::<L>(memory.rows[0], v.inputs, input, true);
            for gate in INPUT_GATE..=OUTPUT_GATE {
                v.gate(gate, self.operands.weights[gate], &mut memory, &functions);
            }
            v.update_cells(&mut memory, functions.tanh_of_cells);
            let output = &mut self.output[row * v.cells..][..v.cells];
            let products = &*memory.sums[0];
            scale_to_int8(v.lanes, products, v.hidden, v.hidden_zero_point, output);
            fill::<L>(memory.rows[1], v.cells, &*output, true);
            output_state.copy_from_slice(output);
        }
        cell_state.copy_from_slice(&memory.cells[..v.cells]);
    }
}

/// The formats of the functions' arguments.
struct Functions {
    logistic: Format,
    tanh: Format,
    tanh_of_cells: Format,
}

impl Functions {
    fn new<L: Lanes>(vectors: &Vectors<L>) -> Self {
        Self {
            logistic: Format::new(GATE_BITS),
            tanh: Format::of_tanh(GATE_BITS),
            tanh_of_cells: Format::of_tanh(vectors.cell_bits),
        }
    }
}

impl<L: Lanes> Vectors<L> {
    /// A gate after its activation.
    #[inline(always)]
    fn gate(
        &self,
        number: usize,
        weights: [&[u8]; 2],
        memory: &mut Memory<'_, L>,
        functions: &Functions,
    ) {
        let Some(products) = &self.gates[number] else {
            return;
        };
        let depths = [self.inputs, self.cells];
        for (operand, product) in products.iter().enumerate() {
            let (row, sums) = (&*memory.rows[operand], &mut *memory.sums[operand]);
            product.run(self.lanes, weights[operand], depths[operand], row, sums);
        }
        let gate = &mut *memory.gates[number];
        let [input, recurrent] = &memory.sums;
        match number {
            CELL_GATE => activate(gate, input, recurrent, functions.tanh, tanh),
            _ => activate(gate, input, recurrent, functions.logistic, logistic),
        }
    }

    /// Updates the cells: what the forget gate leaves of them, and what the input gate lets in of the cell gate. The products of
    /// their tanh with the output gate take the place of sums.
    #[inline(always)]
    fn update_cells(&self, memory: &mut Memory<'_, L>, format: Format) {
        let [input, forget, cell, output] = &mut memory.gates;
        if self.gates[INPUT_GATE].is_none() {
            for (input, &forget) in input.iter_mut().zip(&**forget) {
                *input = i16::MAX - forget;
            }
        }
        let clip = match self.cell_clip {
            clip @ 1.. => (-clip, clip),
            _ => (i16::MIN, i16::MAX),
        };
        let added_bits = 15 + self.cell_bits;
        let gates = blocks(input).iter().zip(blocks(forget));
        let gates = gates.zip(blocks(cell).iter().zip(blocks(output)));
        let cells = blocks_mut(memory.cells).iter_mut();
        let products = blocks_mut(memory.sums[0]).iter_mut();
        for ((states, to), ((input, forget), (cell, output))) in cells.zip(products).zip(gates) {
            let (input, forget, cell, output) = (*input, *forget, *cell, *output);
            let mut state = *states;
            let mut products = [0; BLOCK];
            for lane in 0..BLOCK {
                let kept = i32::from(forget[lane]) * i32::from(state[lane]);
                let added = i32::from(input[lane]) * i32::from(cell[lane]);
                let kept = rounding_divide_by_pot(kept, 15) as i16;
                let added = rounding_divide_by_pot(added, added_bits) as i16;
                state[lane] = kept.saturating_add(added).clamp(clip.0, clip.1);
                products[lane] = i32::from(output[lane]) * i32::from(tanh(state[lane], &format));
            }
            (*states, *to) = (state, products);
        }
    }
}

/// The activation of what a gate is made from, the sums saturating to 16 bits.
#[inline(always)]
fn activate(
    gate: &mut [i16],
    input: &[i32],
    recurrent: &[i32],
    format: Format,
    function: impl Fn(i16, &Format) -> i16,
) {
    let parts = blocks(input).iter().zip(blocks(recurrent));
    for (to, (input, recurrent)) in blocks_mut(gate).iter_mut().zip(parts) {
        let (input, recurrent) = (*input, *recurrent);
        let mut gate = [0; BLOCK];
        for lane in 0..BLOCK {
            let sum = i32::from(saturate(input[lane]));
            let sum = saturate(recurrent[lane].wrapping_add(sum));
            gate[lane] = function(sum, &format);
        }
        *to = gate;
    }
}

#[inline(always)]
fn blocks<T>(cells: &[T]) -> &[[T; BLOCK]] {
    cells.as_chunks().0
}

#[inline(always)]
fn blocks_mut<T>(cells: &mut [T]) -> &mut [[T; BLOCK]] {
    cells.as_chunks_mut().0
}

#[inline(always)]
fn saturate(value: i32) -> i16 {
    value.clamp(i16::MIN.into(), i16::MAX.into()) as i16
}
