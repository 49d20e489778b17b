//! A look at every operator while a model runs.

use super::program::{Action, Step};
use super::tensors::Tensors;
use crate::fast::Workers;
use crate::model::{Graph, OperatorKind, Tensor};
use crate::ops::{Accumulators, EvalError, KernelIo, Operand, Place, RunsOn};
use crate::tensor::TensorRef;
use std::time::Duration;

/// Sees each operator after it ran, in execution order.
///
/// Profilers read the time, the QAT oracle the results. See [`Interpreter::invoke_observed`](super::Interpreter::invoke_observed).
pub trait Observer {
    /// Called after each operator. Operators without work of their own are seen too: results that only give their
    /// operand another shape, constants computed when the interpreter was built, and pictures that a convolution pads itself.
    fn operator(&mut self, event: &OperatorEvent<'_>);

    /// Called after [`operator`](Self::operator), for observers that change what the operators behind it read. Operators
    /// whose shapes depend on values are not offered.
    fn results(&mut self, results: &mut OperatorResults<'_>) {
        let _ = results;
    }
}

impl<F: FnMut(&OperatorEvent<'_>)> Observer for F {
    fn operator(&mut self, event: &OperatorEvent<'_>) {
        self(event);
    }
}

/// One operator that just ran.
pub struct OperatorEvent<'a> {
    pub(super) duration: Duration,
    pub(super) info: OperatorInfo<'a>,
    pub(super) outputs: &'a [Operand],
    pub(super) tensors: Tensors<'a>,
}

impl<'a> OperatorEvent<'a> {
    /// Which operator it is and what runs it.
    pub fn info(&self) -> OperatorInfo<'a> {
        self.info
    }

    /// Wall time of this operator alone, with all that it runs.
    pub fn duration(&self) -> Duration {
        self.duration
    }

    /// The results, with their tensors' indices.
    pub fn outputs(&self) -> impl Iterator<Item = (usize, TensorRef<'a>)> {
        let tensors = self.tensors;
        let outputs = self.outputs.iter();
        outputs.filter_map(move |operand| Some((operand.tensor, tensors.view(operand).ok()?)))
    }
}

/// The results of one operator that just ran, before any other has read them.
pub struct OperatorResults<'a> {
    pub(super) info: OperatorInfo<'a>,
    pub(super) step: &'a Step,
    pub(super) graph: &'a Graph,
    pub(super) declared: &'a [Tensor],
    pub(super) folded: &'a [Box<[u64]>],
    pub(super) workers: &'a Workers,
    pub(super) arena: &'a mut [u8],
}

impl OperatorResults<'_> {
    /// Which operator it is and what runs it.
    pub fn info(&self) -> OperatorInfo<'_> {
        self.info
    }

    /// The sums behind result 0; `None` of operators that have none, and of kernel variants that do not keep them (the
    /// reference kernels do).
    ///
    /// # Errors
    /// As the operator itself.
    pub fn accumulators(&mut self) -> Result<Option<Accumulators>, EvalError> {
        let Action::Kernel(kernel) = &self.step.action else {
            return Ok(None);
        };
        let operands = &self.step.operands;
        let mut io = KernelIo::new(
            self.graph,
            self.declared,
            operands,
            self.folded,
            self.workers,
            self.arena,
        );
        kernel.accumulators(&mut io)
    }

    /// Replaces the value of tensor `index`, where it is a result that lies in the arena, is read there, and `bytes` is its
    /// size. Says whether it did.
    pub fn replace(&mut self, index: usize, bytes: &[u8]) -> bool {
        if let Action::Padding(_) = self.step.action {
            return false;
        }
        let mut outputs = self.step.operands.outputs.iter();
        let Some(Operand {
            place: Place::Arena(range),
            ..
        }) = outputs.find(|operand| operand.tensor == index)
        else {
            return false;
        };
        match self.arena.get_mut(range.clone()) {
            Some(to) if to.len() == bytes.len() => {
                to.copy_from_slice(bytes);
                true
            }
            _ => false,
        }
    }
}

/// One operator of an interpreter.
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub struct OperatorInfo<'a> {
    /// Index within the subgraph.
    pub index: usize,
    /// Which operator.
    pub kind: &'a OperatorKind,
    /// `<primitive>.<variant>` of the kernel, or why there is none: `alias`, `constant`, `padding` of the convolution
    /// behind it, `dynamic` before the first inference has decided its shapes.
    pub kernel: &'static str,
    /// What computes it.
    pub runs_on: RunsOn,
    /// Multiply-accumulate operations of one inference.
    pub macs: u64,
}
