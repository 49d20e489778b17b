//! The tensors a kernel works on, carved out of the arena without overlap and without unsafe code.

use super::cut::{Around, Cut, Rest, nothing};
use super::{EvalError, Variables};
use crate::fast::Workers;
use crate::model::{Graph, Tensor};
use crate::tensor::{Element, Shape, TensorError, TensorMut, TensorRef};
use bytemuck::Pod;
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
    constants: Constants<'a>,
    operands: &'a StepOperands,
    workers: &'a Workers,
    arena: &'a mut [u8],
    variables: Option<&'a mut Variables>,
}

/// The tensors of a subgraph, and the data of those that no inference computes.
#[derive(Clone, Copy)]
struct Constants<'a> {
    graph: &'a Graph,
    tensors: &'a [Tensor],
    folded: &'a [Box<[u64]>],
}

impl<'a> Constants<'a> {
    /// The data of an operand, which may lie in an arena.
    #[inline(always)]
    fn read(self, arena: &impl Rest<'a>, operand: &Operand) -> Option<&'a [u8]> {
        match &operand.place {
            Place::Arena(range) => arena.read(range),
            _ => self.stored(operand),
        }
    }

    /// The data of an operand that no inference computes.
    #[inline(always)]
    fn stored(self, operand: &Operand) -> Option<&'a [u8]> {
        match &operand.place {
            Place::File => self.graph.data(&self.tensors[operand.tensor]),
            Place::Folded(number) => {
                let words = bytemuck::cast_slice::<u64, u8>(self.folded.get(*number)?);
                let ty = self.tensors[operand.tensor].ty;
                words.get(..ty.bytes(operand.shape.count())?)
            }
            Place::Arena(_) | Place::Open => None,
        }
    }
}

/// An operand: absent, or its data.
pub type TensorView<'v> = Option<TensorRef<'v>>;

/// Operands that may lie where the result lies, of those that do `None`, and the result.
pub type InPlace<'v, E, const I: usize> = ([Option<&'v [E]>; I], &'v mut [E]);

/// Operands, results and scratch buffers of one operator, borrowed at the same time.
pub struct Views<'v, const I: usize, const O: usize, const S: usize> {
    /// The operands asked for; `None` where one is left out.
    pub inputs: [TensorView<'v>; I],
    /// The results asked for.
    pub outputs: [TensorMut<'v>; O],
    /// The scratch buffers asked for, at least as long as prepare asked for and aligned to 16 bytes.
    pub scratch: [&'v mut [u8]; S],
}

/// The most tensors that one call of [`KernelIo::views`] can borrow for writing.
const MOST_WRITTEN: usize = 40;

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
            constants: Constants {
                graph,
                tensors,
                folded,
            },
            operands,
            workers,
            arena,
            variables: None,
        }
    }

    /// The same for another operator.
    pub fn set_operands(&mut self, operands: &'a StepOperands) {
        self.operands = operands;
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
        // No `ok_or`, as below.
        let Some(variables) = self.variables.as_deref_mut() else {
            return Err(EvalError::Operand { slot: 0 });
        };
        let io = KernelIo {
            constants: self.constants,
            operands: self.operands,
            workers: self.workers,
            arena: self.arena,
            variables: None,
        };
        Ok((variables, io))
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
        const { assert!(V + O + S <= MOST_WRITTEN) };
        let operands = self.operands;
        let views = match V + O + S {
            0..=1 => self.borrow::<I, V, O, S, 1>(inputs, state, outputs, scratch),
            2..=4 => self.borrow::<I, V, O, S, 4>(inputs, state, outputs, scratch),
            _ => self.borrow::<I, V, O, S, MOST_WRITTEN>(inputs, state, outputs, scratch),
        };
        match views {
            Some(views) => Ok(views),
            None => Err(no_views(operands, &inputs, &state, &outputs)),
        }
    }

    /// As [`views_and_state`](Self::views_and_state), of which `N` at most are written; `None` where that has an error.
    #[inline(always)]
    fn borrow<const I: usize, const V: usize, const O: usize, const S: usize, const N: usize>(
        &mut self,
        inputs: [usize; I],
        state: [usize; V],
        outputs: [usize; O],
        scratch: [usize; S],
    ) -> Option<(Views<'_, I, O, S>, [TensorMut<'_>; V])> {
        let (constants, operands) = (self.constants, self.operands);
        let tensors = constants.tensors;
        let inputs = inputs.map(|slot| operands.inputs.get(slot)?.as_ref());
        let state = state.map(|slot| operands.inputs.get(slot)?.as_ref());
        let outputs = outputs.map(|slot| operands.outputs.get(slot));
        let scratch = scratch.map(|slot| operands.scratch.get(slot));
        let mut ranges = [const { 0..0 }; N];
        let written = state.iter().chain(&outputs).map(|&o| arena_range(o));
        for (to, range) in ranges.iter_mut().zip(written.chain(scratch)) {
            to.clone_from(range?);
        }
        let cut = Cut::new(self.arena, ranges)?;
        let mut found = true;
        let inputs = inputs.map(|operand| {
            let operand = operand?;
            let tensor = &tensors[operand.tensor];
            let bytes = constants.read(&cut, operand);
            found &= bytes.is_some();
            let quantization = tensor.quantization.as_deref();
            Some(TensorRef::sized(
                tensor.ty,
                &operand.shape,
                quantization,
                bytes?,
            ))
        });
        if !found {
            return None;
        }
        let mut pieces = cut.pieces.into_iter();
        let mut piece = || pieces.next().unwrap_or_else(nothing);
        let mut written = |operand: Option<&'a Operand>| {
            let operand = operand.expect("a range was found for it");
            let tensor = &tensors[operand.tensor];
            let quantization = tensor.quantization.as_deref();
            TensorMut::sized(tensor.ty, &operand.shape, quantization, piece())
        };
        let state = state.map(&mut written);
        let views = Views {
            inputs,
            outputs: outputs.map(&mut written),
            scratch: scratch.map(|_| piece()),
        };
        Some((views, state))
    }

    /// The stored elements of the operands in the given slots and of the result in slot `output`, for kernels that know no tensors.
    ///
    /// # Errors
    /// A slot that the operator does not have, an operand that is left out, or elements that are not aligned.
    pub fn elements<E: Pod, const I: usize>(
        &mut self,
        inputs: [usize; I],
        output: usize,
    ) -> Result<([&[E]; I], &mut [E]), EvalError> {
        let (constants, operands) = (self.constants, self.operands);
        match borrow_elements(constants, operands, self.arena, inputs, output) {
            Some(elements) => Ok(elements),
            None => Err(no_elements::<E>(constants, operands, &inputs, output)),
        }
    }

    /// As [`elements`](Self::elements), for kernels whose operands may lie where the result lies: of those that do there is `None`,
    /// and the result holds their elements until it is written.
    ///
    /// # Errors
    /// As [`elements`](Self::elements).
    pub fn elements_in_place<E: Pod, const I: usize>(
        &mut self,
        inputs: [usize; I],
        output: usize,
    ) -> Result<InPlace<'_, E, I>, EvalError> {
        let (constants, operands) = (self.constants, self.operands);
        match borrow_in_place(constants, operands, self.arena, inputs, output) {
            Some(elements) => Ok(elements),
            None => Err(no_elements::<E>(constants, operands, &inputs, output)),
        }
    }

    /// As [`unary`](Self::unary), with `None` for an operand that lies where the result lies, which then holds its elements.
    ///
    /// # Errors
    /// As [`unary`](Self::unary).
    pub fn unary_in_place<T: Element, U: Element>(
        &mut self,
    ) -> Result<(Option<&[T]>, &mut [U]), EvalError> {
        let ([input], output) = self.typed_in_place::<U, 1>([0])?;
        Ok((elements_of(input)?, output))
    }

    /// As [`binary`](Self::binary), with `None` for a left operand that lies where the result lies, which then holds its elements.
    ///
    /// # Errors
    /// As [`binary`](Self::binary).
    #[expect(clippy::type_complexity, reason = "two operands and a result")]
    pub fn binary_in_place<A: Element, B: Element, O: Element>(
        &mut self,
    ) -> Result<(Option<&[A]>, &[B], &mut [O]), EvalError> {
        let ([left, right], output) = self.typed_in_place::<O, 2>([0, 1])?;
        Ok((elements_of(left)?, required(right, 1)?.as_slice()?, output))
    }

    /// As [`elements_in_place`](Self::elements_in_place) of result 0, with the operands' types.
    fn typed_in_place<O: Element, const I: usize>(
        &mut self,
        inputs: [usize; I],
    ) -> Result<([TensorView<'_>; I], &mut [O]), EvalError> {
        let (tensors, operands) = (self.constants.tensors, self.operands);
        let (read, output) = self.elements_in_place::<u8, I>(inputs, 0)?;
        let mut views = [None; I];
        for ((view, bytes), slot) in views.iter_mut().zip(read).zip(inputs) {
            if let (Some(operand), Some(bytes)) = (&operands.inputs[slot], bytes) {
                let ty = tensors[operand.tensor].ty;
                *view = Some(TensorRef::sized(ty, &operand.shape, None, bytes));
            }
        }
        let operand = &operands.outputs[0];
        let ty = tensors[operand.tensor].ty;
        let output = TensorMut::sized(ty, &operand.shape, None, output);
        Ok((views, output.into_slice()?))
    }

    /// The stored bytes of the operand in slot `slot`.
    ///
    /// # Errors
    /// A slot that the operator does not have, or an operand that is left out.
    pub fn bytes(&self, slot: usize) -> Result<&[u8], EvalError> {
        let bytes = match self.operands.inputs.get(slot) {
            Some(Some(operand)) => match &operand.place {
                Place::Arena(range) => self.arena.get(range.clone()),
                _ => self.constants.stored(operand),
            },
            _ => None,
        };
        match bytes {
            Some(bytes) => Ok(bytes),
            None => Err(EvalError::Operand { slot }),
        }
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

/// The elements of an operand, where it does not lie where the result lies.
fn elements_of<T: Element>(view: TensorView<'_>) -> Result<Option<&[T]>, EvalError> {
    Ok(view.map(|view| view.as_slice()).transpose()?)
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

/// As [`KernelIo::elements`]; `None` where that has an error.
#[inline(always)]
fn borrow_elements<'v, E: Pod, const I: usize>(
    constants: Constants<'v>,
    operands: &StepOperands,
    arena: &'v mut [u8],
    inputs: [usize; I],
    output: usize,
) -> Option<([&'v [E]; I], &'v mut [E])> {
    let written = arena_range(operands.outputs.get(output))?;
    let (around, output) = Around::new(arena, written)?;
    let mut read = [&[][..]; I];
    for (to, slot) in read.iter_mut().zip(inputs) {
        let operand = operands.inputs.get(slot)?.as_ref()?;
        *to = bytemuck::try_cast_slice(constants.read(&around, operand)?).ok()?;
    }
    Some((read, bytemuck::try_cast_slice_mut(output).ok()?))
}

/// As [`KernelIo::elements_in_place`]; `None` where that has an error.
#[inline(always)]
fn borrow_in_place<'v, E: Pod, const I: usize>(
    constants: Constants<'v>,
    operands: &StepOperands,
    arena: &'v mut [u8],
    inputs: [usize; I],
    output: usize,
) -> Option<InPlace<'v, E, I>> {
    let written = arena_range(operands.outputs.get(output))?;
    let (around, output) = Around::new(arena, written)?;
    let mut read = [None; I];
    for (to, slot) in read.iter_mut().zip(inputs) {
        let operand = operands.inputs.get(slot)?.as_ref()?;
        if !lies_at(operand, written) {
            let bytes = constants.read(&around, operand)?;
            *to = Some(bytemuck::try_cast_slice(bytes).ok()?);
        }
    }
    Some((read, bytemuck::try_cast_slice_mut(output).ok()?))
}

/// Whether an operand lies where a result lies.
#[inline(always)]
fn lies_at(operand: &Operand, written: &Range<usize>) -> bool {
    matches!(&operand.place, Place::Arena(range) if range == written && !range.is_empty())
}

/// Why there are no elements.
#[cold]
fn no_elements<E>(
    constants: Constants<'_>,
    operands: &StepOperands,
    inputs: &[usize],
    output: usize,
) -> EvalError {
    let absent = |&&slot: &&usize| !matches!(operands.inputs.get(slot), Some(Some(_)));
    if let Some(&slot) = inputs.iter().find(absent) {
        return EvalError::Operand { slot };
    }
    match operands.outputs.get(output) {
        Some(operand) if size_of::<E>() > 1 => TensorError::Misaligned {
            ty: constants.tensors[operand.tensor].ty,
        }
        .into(),
        _ => no_views(operands, inputs, &[], &[output]),
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

fn arena_range(operand: Option<&Operand>) -> Option<&Range<usize>> {
    match &operand?.place {
        Place::Arena(range) => Some(range),
        _ => None,
    }
}
