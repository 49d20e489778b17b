//! A look at every operator while a model runs.

use super::invoke::Interpreter;
use crate::model::OperatorKind;
use crate::ops::RunsOn;
use crate::tensor::TensorRef;
use std::time::Duration;

/// Sees each operator after it ran, in execution order.
///
/// Profilers read the time, the QAT oracle the results. See [`Interpreter::invoke_observed`].
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
    pub(super) interpreter: &'a Interpreter,
    pub(super) step: usize,
    pub(super) duration: Duration,
}

impl<'a> OperatorEvent<'a> {
    /// Which operator it is and what runs it.
    pub fn info(&self) -> OperatorInfo<'a> {
        self.interpreter.operator_info(self.step)
    }

    /// Wall time of this operator alone.
    pub fn duration(&self) -> Duration {
        self.duration
    }

    /// The results, with their tensors' indices.
    pub fn outputs(&self) -> impl Iterator<Item = (usize, TensorRef<'a>)> {
        self.interpreter.step_outputs(self.step)
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
    /// `<primitive>.<variant>` of the kernel, or why there is none: `alias`, `constant`.
    pub kernel: &'static str,
    /// What computes it.
    pub runs_on: RunsOn,
    /// Multiply-accumulate operations of one inference.
    pub macs: u64,
}
