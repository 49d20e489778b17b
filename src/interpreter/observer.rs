//! A look at every operator while a model runs.

use super::tensors::Tensors;
use crate::model::OperatorKind;
use crate::ops::{Operand, RunsOn};
use crate::tensor::TensorRef;
use std::time::Duration;

/// Sees each operator after it ran, in execution order.
///
/// Profilers read the time, the QAT oracle the results. See [`Interpreter::invoke_observed`](super::Interpreter::invoke_observed).
pub trait Observer {
    /// Called after each operator. Operators without work of their own are seen too: results that only give their
    /// operand another shape, and constants computed when the interpreter was built.
    fn operator(&mut self, event: &OperatorEvent<'_>);
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

/// One operator of an interpreter.
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub struct OperatorInfo<'a> {
    /// Index within the subgraph.
    pub index: usize,
    /// Which operator.
    pub kind: &'a OperatorKind,
    /// `<primitive>.<variant>` of the kernel, or why there is none: `alias`, `constant`, `dynamic` before the first
    /// inference has decided its shapes.
    pub kernel: &'static str,
    /// What computes it.
    pub runs_on: RunsOn,
    /// Multiply-accumulate operations of one inference.
    pub macs: u64,
}
