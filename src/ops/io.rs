//! The tensors a kernel works on, carved out of the arena without overlap and without unsafe code.

use super::{EvalError, Variables};
use crate::fast::Workers;
use crate::model::{Graph, Tensor};
use crate::tensor::{Element, Shape, TensorError, TensorMut, TensorRef};
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

/// What a piece of the arena is wanted for: the number of a slot among those asked for.
#[derive(Clone, Copy)]
enum Use {
    /// The first of the operands that lie there.
    Input(usize),
    State(usize),
    Output(usize),
    Scratch(usize),
}

impl Slots<'_> {
    /// The slot of the operator.
    fn of(&self, using: Use) -> usize {
        match using {
            Use::Input(id) => self.inputs[id],
            Use::State(id) => self.state[id],
            Use::Output(id) => self.outputs[id],
            Use::Scratch(id) => self.scratch[id],
        }
    }
}

/// The most tensors one call of [`KernelIo::views`] can borrow.
const MAX_VIEWS: usize = 40;

/// As many as most operators borrow.
const FEW_VIEWS: usize = 6;

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
        // Most operators have few tensors: what is kept for each then stays small.
        let borrow = match I + V + O + S {
            ..=FEW_VIEWS => Self::borrow::<FEW_VIEWS>,
            _ => Self::borrow::<MAX_VIEWS>,
        };
        borrow(
            self,
            &slots,
            &mut views,
            &mut changed,
            &mut results,
            &mut buffers,
        )?;
        let views = Views {
            inputs: views,
            outputs: results.map(borrowed),
            scratch: buffers.map(borrowed),
        };
        Ok((views, changed.map(borrowed)))
    }

    /// Fills a view for every slot; one function for all numbers of them up to `N`.
    fn borrow<'v, const N: usize>(
        &'v mut self,
        slots: &Slots<'_>,
        inputs: &mut [TensorView<'v>],
        state: &mut [Option<TensorMut<'v>>],
        outputs: &mut [Option<TensorMut<'v>>],
        scratch: &mut [Option<&'v mut [u8]>],
    ) -> Result<(), EvalError> {
        let (operands, tensors) = (self.operands, self.tensors);
        let input = |slot: usize| operands.inputs.get(slot).and_then(Option::as_ref);
        let missing = |slot: usize| EvalError::Operand { slot };
        let tensor = |operand: &Operand, slot: usize| {
            let tensor = tensors.get(operand.tensor);
            tensor.ok_or_else(|| missing(slot))
        };
        // Every distinct piece of the arena, then sorted by position and cut off one after the other.
        let mut pieces = [(0, 0, Use::Input(0)); N];
        let mut count = 0;
        let mut add = |range: &Range<usize>, using: Use, slot: usize| {
            let piece = pieces.get_mut(count).ok_or_else(|| missing(slot))?;
            *piece = (range.start, range.end, using);
            count += 1;
            Ok::<(), EvalError>(())
        };
        for (id, &slot) in slots.inputs.iter().enumerate() {
            let Some(operand) = input(slot) else { continue };
            let bytes = match &operand.place {
                Place::Arena(range) => {
                    let mut earlier = slots.inputs[..id].iter();
                    if !earlier.any(|&earlier| same_place(input(earlier), range)) {
                        add(range, Use::Input(id), slot)?;
                    }
                    continue;
                }
                Place::Open => return Err(missing(slot)),
                Place::File => {
                    let data = self.graph.data(tensor(operand, slot)?);
                    data.ok_or_else(|| missing(slot))?
                }
                Place::Folded(number) => {
                    let words = self.folded.get(*number);
                    let words = words.ok_or_else(|| missing(slot))?;
                    let ty = tensor(operand, slot)?.ty;
                    let len = ty.bytes(operand.shape.count()).unwrap_or(0);
                    let bytes = bytemuck::cast_slice::<u64, u8>(words).get(..len);
                    bytes.ok_or_else(|| missing(slot))?
                }
            };
            inputs[id] = Some(viewed(tensor(operand, slot)?, operand, bytes)?);
        }
        for (id, &slot) in slots.state.iter().enumerate() {
            let range = arena_range(input(slot)).ok_or_else(|| missing(slot))?;
            add(range, Use::State(id), slot)?;
        }
        for (id, &slot) in slots.outputs.iter().enumerate() {
            let range = arena_range(operands.outputs.get(slot)).ok_or_else(|| missing(slot))?;
            add(range, Use::Output(id), slot)?;
        }
        for (id, &slot) in slots.scratch.iter().enumerate() {
            let range = operands.scratch.get(slot).ok_or_else(|| missing(slot))?;
            add(range, Use::Scratch(id), slot)?;
        }
        let pieces = &mut pieces[..count];
        pieces.sort_unstable_by_key(|&(start, end, _)| (start, end));

        let mut rest: &mut [u8] = self.arena;
        let mut position = 0;
        for &(start, end, using) in pieces.iter() {
            // Pieces that overlap, or that the arena does not have, are not handed out.
            let cut = start.checked_sub(position).and_then(|skip| {
                let (_, rest) = std::mem::take(&mut rest).split_at_mut_checked(skip)?;
                rest.split_at_mut_checked(end.checked_sub(start)?)
            });
            let Some((piece, tail)) = cut else {
                return Err(missing(slots.of(using)));
            };
            (rest, position) = (tail, end);
            match using {
                Use::Input(first) => {
                    let range = start..end;
                    let piece = &*piece;
                    for (id, &slot) in slots.inputs.iter().enumerate().skip(first) {
                        if let Some(operand) = input(slot)
                            && same_place(Some(operand), &range)
                        {
                            inputs[id] = Some(viewed(tensor(operand, slot)?, operand, piece)?);
                        }
                    }
                }
                Use::State(id) => {
                    let slot = slots.state[id];
                    let operand = input(slot).ok_or_else(|| missing(slot))?;
                    state[id] = Some(viewed_mut(tensor(operand, slot)?, operand, piece)?);
                }
                Use::Output(id) => {
                    let slot = slots.outputs[id];
                    let operand = operands.outputs.get(slot).ok_or_else(|| missing(slot))?;
                    outputs[id] = Some(viewed_mut(tensor(operand, slot)?, operand, piece)?);
                }
                Use::Scratch(id) => scratch[id] = Some(piece),
            }
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

fn viewed<'v>(
    tensor: &'v Tensor,
    operand: &Operand,
    bytes: &'v [u8],
) -> Result<TensorRef<'v>, TensorError> {
    let quantization = tensor.quantization.as_deref();
    TensorRef::new(tensor.ty, operand.shape, quantization, bytes)
}

fn viewed_mut<'v>(
    tensor: &'v Tensor,
    operand: &Operand,
    bytes: &'v mut [u8],
) -> Result<TensorMut<'v>, TensorError> {
    let quantization = tensor.quantization.as_deref();
    TensorMut::new(tensor.ty, operand.shape, quantization, bytes)
}

fn arena_range(operand: Option<&Operand>) -> Option<&Range<usize>> {
    match &operand?.place {
        Place::Arena(range) => Some(range),
        _ => None,
    }
}

fn same_place(operand: Option<&Operand>, range: &Range<usize>) -> bool {
    matches!(operand, Some(Operand { place: Place::Arena(other), .. }) if other == range)
}

/// What [`KernelIo::borrow`] has filled.
fn borrowed<T>(view: Option<T>) -> T {
    view.expect("every slot was filled")
}
