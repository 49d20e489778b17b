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
        let operands = self.operands;
        // Every two are compared, and most operators have few.
        let views = match I + V + O + S {
            0..=2 => self.borrow::<I, V, O, S, 2>(inputs, state, outputs, scratch),
            3..=4 => self.borrow::<I, V, O, S, 4>(inputs, state, outputs, scratch),
            5..=8 => self.borrow::<I, V, O, S, 8>(inputs, state, outputs, scratch),
            _ => self.borrow::<I, V, O, S, MAX_VIEWS>(inputs, state, outputs, scratch),
        };
        views.ok_or_else(|| no_views(operands, &inputs, &state, &outputs))
    }

    /// As [`views_and_state`](Self::views_and_state), of `N` tensors at most; `None` where that has an error.
    fn borrow<const I: usize, const V: usize, const O: usize, const S: usize, const N: usize>(
        &mut self,
        inputs: [usize; I],
        state: [usize; V],
        outputs: [usize; O],
        scratch: [usize; S],
    ) -> Option<(Views<'_, I, O, S>, [TensorMut<'_>; V])> {
        let (graph, operands, folded) = (self.graph, self.operands, self.folded);
        let input = |slot: usize| operands.inputs.get(slot)?.as_ref();
        let output = |slot: usize| operands.outputs.get(slot);
        let inputs = inputs.map(input);
        // An operand asked for before that lies at the same place of the arena.
        let same = |id: usize, range: &Range<usize>| {
            let mut earlier = inputs[..id].iter();
            earlier.position(|&operand| arena_range(operand) == Some(range))
        };

        // Every distinct piece of the arena.
        let mut ranges = [const { 0..0 }; N];
        let mut count = 0;
        let mut add = |range: &Range<usize>| {
            let to = ranges.get_mut(count)?;
            // What is empty overlaps nothing, wherever it lies.
            if !range.is_empty() {
                to.clone_from(range);
            }
            count += 1;
            Some(())
        };
        for (id, &operand) in inputs.iter().enumerate() {
            if let Some(range) = arena_range(operand)
                && same(id, range).is_none()
            {
                add(range)?;
            }
        }
        for &slot in &state {
            add(arena_range(input(slot))?)?;
        }
        for &slot in &outputs {
            add(arena_range(output(slot))?)?;
        }
        for &slot in &scratch {
            add(operands.scratch.get(slot)?)?;
        }
        // Pieces that overlap, or that the arena does not have, are not handed out.
        let mut pieces = self.arena.get_disjoint_mut(ranges).ok()?.into_iter();

        let mut read = [const { None }; I];
        for (id, &operand) in inputs.iter().enumerate() {
            let Some(operand) = operand else { continue };
            let tensor = self.tensors.get(operand.tensor)?;
            let bytes = match &operand.place {
                Place::Arena(range) => match same(id, range) {
                    Some(earlier) => read[earlier].as_ref().map(TensorRef::bytes)?,
                    None => &*pieces.next()?,
                },
                Place::File => graph.data(tensor)?,
                Place::Folded(number) => folded_bytes(folded, *number, tensor, operand.shape)?,
                Place::Open => return None,
            };
            read[id] = Some(viewed(tensor, operand, bytes)?);
        }
        let mut changed = [const { None }; V];
        for (to, slot) in changed.iter_mut().zip(state) {
            let operand = input(slot)?;
            let tensor = self.tensors.get(operand.tensor)?;
            *to = Some(viewed_mut(tensor, operand, pieces.next()?)?);
        }
        let mut written = [const { None }; O];
        for (to, slot) in written.iter_mut().zip(outputs) {
            let operand = output(slot)?;
            let tensor = self.tensors.get(operand.tensor)?;
            *to = Some(viewed_mut(tensor, operand, pieces.next()?)?);
        }
        let mut buffers = [const { None }; S];
        for (to, _) in buffers.iter_mut().zip(scratch) {
            *to = Some(pieces.next()?);
        }
        let views = Views {
            inputs: read,
            outputs: written.map(filled),
            scratch: buffers.map(filled),
        };
        Some((views, changed.map(filled)))
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
    // No `ok_or`: it makes the error, and drops it again, for every operand that is there.
    match view {
        Some(view) => Ok(view),
        None => Err(EvalError::Operand { slot }),
    }
}

/// Why there are no views: the first of the slots that the operator does not have, or whose tensor has no bytes yet.
#[cold]
fn no_views(
    operands: &StepOperands,
    inputs: &[usize],
    state: &[usize],
    outputs: &[usize],
) -> EvalError {
    let open = |operand: Option<&Operand>| operand.is_some_and(|o| o.place == Place::Open);
    let input = |slot: usize| operands.inputs.get(slot)?.as_ref();
    let output = |slot: usize| operands.outputs.get(slot);
    let read = inputs.iter().find(|&&slot| open(input(slot)));
    let changed = state
        .iter()
        .find(|&&slot| arena_range(input(slot)).is_none());
    let written = outputs
        .iter()
        .find(|&&slot| arena_range(output(slot)).is_none());
    let slot = read.or(changed).or(written).copied().unwrap_or_default();
    EvalError::Operand { slot }
}

#[inline]
fn viewed<'v>(tensor: &'v Tensor, operand: &'v Operand, bytes: &'v [u8]) -> Option<TensorRef<'v>> {
    let quantization = tensor.quantization.as_deref();
    TensorRef::new(tensor.ty, &operand.shape, quantization, bytes).ok()
}

#[inline]
fn viewed_mut<'v>(
    tensor: &'v Tensor,
    operand: &'v Operand,
    bytes: &'v mut [u8],
) -> Option<TensorMut<'v>> {
    let quantization = tensor.quantization.as_deref();
    TensorMut::new(tensor.ty, &operand.shape, quantization, bytes).ok()
}

fn arena_range(operand: Option<&Operand>) -> Option<&Range<usize>> {
    match &operand?.place {
        Place::Arena(range) => Some(range),
        _ => None,
    }
}

/// The bytes of a constant computed at build time.
fn folded_bytes<'v>(
    folded: &'v [Box<[u64]>],
    number: usize,
    tensor: &Tensor,
    shape: Shape,
) -> Option<&'v [u8]> {
    let words = bytemuck::cast_slice::<u64, u8>(folded.get(number)?);
    words.get(..tensor.ty.bytes(shape.count())?)
}

/// Every slot has got its view.
fn filled<T>(view: Option<T>) -> T {
    view.expect("a view for every slot")
}
