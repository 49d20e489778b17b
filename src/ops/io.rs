//! The tensors a kernel works on, carved out of the arena without overlap and without unsafe code.

use super::{EvalError, Variables};
use crate::fast::Workers;
use crate::model::{Graph, Tensor};
use crate::tensor::{Element, Shape, TensorMut, TensorRef};
use std::ops::Range;

/// Where a tensor's bytes lie.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Place {
    /// In the arena, at these bytes.
    Arena(Range<usize>),
    /// In the model file.
    File,
    /// Among the constants computed at build time, by number.
    Folded(usize),
    /// Nowhere yet: its shape follows from values, and the inference that computes it decides.
    Open,
}

/// A tensor as a step of the plan knows it.
#[derive(Debug, Clone)]
pub struct Operand {
    /// Index within the subgraph.
    pub tensor: usize,
    /// Its shape.
    pub shape: Shape,
    /// Where its bytes lie.
    pub place: Place,
}

/// The tensors of one step.
#[derive(Debug, Clone, Default)]
pub struct StepOperands {
    /// Operands by slot.
    pub inputs: Vec<Option<Operand>>,
    /// Results by slot.
    pub outputs: Vec<Operand>,
    /// Arena bytes of each scratch buffer.
    pub scratch: Vec<Range<usize>>,
}

/// Access to the tensors of one operator during one inference.
pub struct KernelIo<'a> {
    graph: &'a Graph,
    tensors: &'a [Tensor],
    operands: &'a StepOperands,
    folded: &'a [Box<[u64]>],
    workers: &'a Workers,
    arena: &'a mut [u8],
    variables: Option<&'a mut Variables>,
}

/// An operand: absent, or its data.
pub type TensorView<'v> = Option<TensorRef<'v>>;

/// Operands, results and scratch buffers of one operator, borrowed at the same time.
pub struct Views<'v, const I: usize, const O: usize, const S: usize> {
    /// The operands asked for; `None` where one is left out.
    pub inputs: [TensorView<'v>; I],
    /// The results asked for.
    pub outputs: [TensorMut<'v>; O],
    /// The scratch buffers asked for, at least as long as prepare asked for and aligned to 16 bytes.
    pub scratch: [&'v mut [u8]; S],
}

/// What is asked for: slots of the operator, and numbers of scratch buffers.
struct Slots<'s> {
    inputs: &'s [usize],
    state: &'s [usize],
    outputs: &'s [usize],
    scratch: &'s [usize],
}

/// The most tensors one call of [`KernelIo::views`] can borrow.
const MAX_VIEWS: usize = 40;

impl<'a> KernelIo<'a> {
    /// Access to `operands` in `arena`.
    pub fn new(
        graph: &'a Graph,
        tensors: &'a [Tensor],
        operands: &'a StepOperands,
        folded: &'a [Box<[u64]>],
        workers: &'a Workers,
        arena: &'a mut [u8],
    ) -> Self {
        Self {
            graph,
            tensors,
            operands,
            folded,
            workers,
            arena,
            variables: None,
        }
    }

    /// The threads, with scratch memory of their own.
    pub fn workers(&self) -> &'a Workers {
        self.workers
    }

    /// With the interpreter's resource variables.
    pub fn with_variables(mut self, variables: &'a mut Variables) -> Self {
        self.variables = Some(variables);
        self
    }

    /// The resource variables, and the operands beside them.
    ///
    /// # Errors
    /// The operator runs where there are none: while constants are computed.
    pub fn split_variables(&mut self) -> Result<(&mut Variables, KernelIo<'_>), EvalError> {
        let variables = self.variables.as_deref_mut();
        let io = KernelIo {
            graph: self.graph,
            tensors: self.tensors,
            operands: self.operands,
            folded: self.folded,
            workers: self.workers,
            arena: self.arena,
            variables: None,
        };
        Ok((variables.ok_or(EvalError::Operand { slot: 0 })?, io))
    }

    /// The number of operands, left-out ones included.
    pub fn input_count(&self) -> usize {
        self.operands.inputs.len()
    }

    /// The number of results.
    pub fn output_count(&self) -> usize {
        self.operands.outputs.len()
    }

    /// Borrows the operands, results and scratch buffers in the given slots at once.
    ///
    /// # Errors
    /// A slot that the operator does not have; an operand left out is `None`, not an error.
    pub fn views<const I: usize, const O: usize, const S: usize>(
        &mut self,
        inputs: [usize; I],
        outputs: [usize; O],
        scratch: [usize; S],
    ) -> Result<Views<'_, I, O, S>, EvalError> {
        let (views, []) = self.views_and_state(inputs, [], outputs, scratch)?;
        Ok(views)
    }

    /// As [`views`](Self::views), with operands that the operator changes: variable tensors, which keep what it writes
    /// until the next inference. `state` gives their slots among the operands, none of which may be in `inputs`.
    ///
    /// # Errors
    /// A slot that the operator does not have, or state that is left out or no tensor of the arena.
    pub fn views_and_state<const I: usize, const V: usize, const O: usize, const S: usize>(
        &mut self,
        inputs: [usize; I],
        state: [usize; V],
        outputs: [usize; O],
        scratch: [usize; S],
    ) -> Result<(Views<'_, I, O, S>, [TensorMut<'_>; V]), EvalError> {
        let mut views = [const { None }; I];
        let mut changed = [const { None }; V];
        let mut results = [const { None }; O];
        let mut buffers = [const { None }; S];
        let slots = Slots {
            inputs: &inputs,
            state: &state,
            outputs: &outputs,
            scratch: &scratch,
        };
        self.borrow(&slots, &mut views, &mut changed, &mut results, &mut buffers)?;
        let views = Views {
            inputs: views,
            outputs: results.map(borrowed),
            scratch: buffers.map(borrowed),
        };
        Ok((views, changed.map(borrowed)))
    }

    /// Fills a view for every slot; one function for all numbers of them.
    fn borrow<'v>(
        &'v mut self,
        slots: &Slots<'_>,
        inputs: &mut [TensorView<'v>],
        state: &mut [Option<TensorMut<'v>>],
        outputs: &mut [Option<TensorMut<'v>>],
        scratch: &mut [Option<&'v mut [u8]>],
    ) -> Result<(), EvalError> {
        let operands = self.operands;
        let input = |slot: usize| operands.inputs.get(slot).and_then(Option::as_ref);
        // Every distinct piece of the arena, then sorted by position and cut off one after the other.
        let mut pieces: [(Range<usize>, usize); MAX_VIEWS] =
            std::array::from_fn(|_| (0..0, usize::MAX));
        let mut count = 0;
        let mut add = |range: &Range<usize>, id: usize| {
            let piece = pieces
                .get_mut(count)
                .ok_or(EvalError::Operand { slot: id })?;
            *piece = (range.clone(), id);
            count += 1;
            Ok::<(), EvalError>(())
        };
        for (id, &slot) in slots.inputs.iter().enumerate() {
            if let Some(Operand {
                place: Place::Arena(range),
                ..
            }) = input(slot)
                && !slots.inputs[..id]
                    .iter()
                    .any(|&earlier| same_place(input(earlier), range))
            {
                add(range, id)?;
            }
        }
        // What is written, each with its operand.
        let states = slots.state.len();
        let written = |id: usize| -> Result<&Operand, EvalError> {
            let (operand, slot) = match id.checked_sub(states) {
                None => (input(slots.state[id]), slots.state[id]),
                Some(id) => (operands.outputs.get(slots.outputs[id]), slots.outputs[id]),
            };
            operand.ok_or(EvalError::Operand { slot })
        };
        let all_written = states + slots.outputs.len();
        for id in 0..all_written {
            let operand = written(id)?;
            let Place::Arena(range) = &operand.place else {
                return Err(EvalError::Operand { slot: id });
            };
            add(range, slots.inputs.len() + id)?;
        }
        for (id, &slot) in slots.scratch.iter().enumerate() {
            let range = operands
                .scratch
                .get(slot)
                .ok_or(EvalError::Operand { slot })?;
            add(range, slots.inputs.len() + all_written + id)?;
        }
        let pieces = &mut pieces[..count];
        pieces.sort_unstable_by_key(|(range, _)| (range.start, range.end));

        let mut taken: [Option<&mut [u8]>; MAX_VIEWS] = [const { None }; MAX_VIEWS];
        let mut rest: &mut [u8] = self.arena;
        let mut position = 0;
        for (range, id) in pieces.iter() {
            let overlap = EvalError::Operand { slot: *id };
            let skip = range.start.checked_sub(position).ok_or(overlap.clone())?;
            let (_, tail) = rest.split_at_mut_checked(skip).ok_or(overlap.clone())?;
            let (piece, tail) = tail
                .split_at_mut_checked(range.len())
                .ok_or(overlap.clone())?;
            *taken.get_mut(*id).ok_or(overlap)? = Some(piece);
            rest = tail;
            position = range.end;
        }

        let (taken_inputs, taken_rest) = taken.split_at_mut(slots.inputs.len());
        let (taken_written, taken_scratch) = taken_rest.split_at_mut(all_written);
        let mut shared: [&[u8]; MAX_VIEWS] = [&[]; MAX_VIEWS];
        for (to, piece) in shared.iter_mut().zip(taken_inputs) {
            *to = piece.take().map_or(&[], |piece| &*piece);
        }
        let tensors = self.tensors;
        for (id, view) in state.iter_mut().chain(outputs).enumerate() {
            let operand = written(id)?;
            let missing = EvalError::Operand { slot: id };
            let bytes = taken_written[id].take().ok_or(missing.clone())?;
            let tensor = tensors.get(operand.tensor).ok_or(missing)?;
            let quantization = tensor.quantization.as_deref();
            *view = Some(TensorMut::new(
                tensor.ty,
                operand.shape,
                quantization,
                bytes,
            )?);
        }
        for (id, view) in scratch.iter_mut().enumerate() {
            let slot = slots.scratch[id];
            *view = Some(
                taken_scratch[id]
                    .take()
                    .ok_or(EvalError::Operand { slot })?,
            );
        }
        for (id, view) in inputs.iter_mut().enumerate() {
            let slot = slots.inputs[id];
            let Some(operand) = input(slot) else { continue };
            let tensor = tensors
                .get(operand.tensor)
                .ok_or(EvalError::Operand { slot })?;
            let bytes = match &operand.place {
                Place::Arena(range) => {
                    let first = slots
                        .inputs
                        .iter()
                        .position(|&s| same_place(input(s), range));
                    shared[first.unwrap_or(id)]
                }
                Place::Open => return Err(EvalError::Operand { slot }),
                Place::File => self.graph.data(tensor).ok_or(EvalError::Operand { slot })?,
                Place::Folded(number) => {
                    let words = self
                        .folded
                        .get(*number)
                        .ok_or(EvalError::Operand { slot })?;
                    let len = tensor.ty.bytes(operand.shape.count()).unwrap_or(0);
                    bytemuck::cast_slice::<u64, u8>(words)
                        .get(..len)
                        .ok_or(EvalError::Operand { slot })?
                }
            };
            let quantization = tensor.quantization.as_deref();
            *view = Some(TensorRef::new(
                tensor.ty,
                operand.shape,
                quantization,
                bytes,
            )?);
        }
        Ok(())
    }

    /// The elements of operand 0 and of result 0.
    ///
    /// # Errors
    /// Another element type.
    pub fn unary<T: Element, U: Element>(&mut self) -> Result<(&[T], &mut [U]), EvalError> {
        let Views {
            inputs: [input],
            outputs: [output],
            ..
        } = self.views([0], [0], [])?;
        Ok((required(input, 0)?.as_slice()?, output.into_slice()?))
    }

    /// The elements of operands 0 and 1 and of result 0.
    ///
    /// # Errors
    /// Another element type.
    #[expect(clippy::type_complexity, reason = "two operands and a result")]
    pub fn binary<T: Element, U: Element>(&mut self) -> Result<(&[T], &[T], &mut [U]), EvalError> {
        let Views {
            inputs: [left, right],
            outputs: [output],
            ..
        } = self.views([0, 1], [0], [])?;
        Ok((
            required(left, 0)?.as_slice()?,
            required(right, 1)?.as_slice()?,
            output.into_slice()?,
        ))
    }
}

/// The data of an operand that may not be left out.
///
/// # Errors
/// It is left out.
pub fn required(view: TensorView<'_>, slot: usize) -> Result<TensorRef<'_>, EvalError> {
    view.ok_or(EvalError::Operand { slot })
}

fn same_place(operand: Option<&Operand>, range: &Range<usize>) -> bool {
    matches!(operand, Some(Operand { place: Place::Arena(other), .. }) if other == range)
}

/// What [`KernelIo::borrow`] has filled.
fn borrowed<T>(view: Option<T>) -> T {
    view.expect("every slot was filled")
}
