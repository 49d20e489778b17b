//! One subgraph at one place that runs it, prepared for the shapes it is given there.
//!
//! The operators up to the first that cannot be prepared without values are steps over a fixed arena. From that operator on,
//! the [`Tail`] prepares and places each operator as it comes.

use super::arena::Arena;
use super::control::{Control, Given};
use super::error::InvokeError;
use super::observer::{Observer, OperatorEvent, OperatorInfo, OperatorResults};
use super::runtime::{Runtime, Taken};
use super::tail::Tail;
use super::tensors::Tensors;
use crate::model::{Graph, Model};
use crate::ops::{EvalError, Kernel, KernelIo, Operand, Place, RunsOn, StepOperands, Work};
use crate::tensor::{TensorError, TensorRef};
use std::time::{Duration, Instant};

pub(super) struct Program {
    pub(super) subgraph: usize,
    /// The operators that are prepared once, in execution order.
    pub(super) steps: Vec<Step>,
    pub(super) inputs: Vec<Operand>,
    /// As the last inference left them.
    pub(super) outputs: Vec<Operand>,
    pub(super) variables: Vec<VariableTensor>,
    pub(super) arena: Arena,
    /// Bytes at the front of the arena that the steps use.
    pub(super) arena_bytes: usize,
    /// Bytes of the arena once observers have been shown what they alone see.
    pub(super) observed_bytes: usize,
    pub(super) folded: Vec<Box<[u64]>>,
    /// Bytes counted for it, without the programs that it runs.
    pub(super) memory: usize,
    /// Units of work of the steps.
    pub(super) work: u64,
    /// Where shapes may depend on values.
    pub(super) tail: Option<Box<Tail>>,
}

/// One operator in execution order.
pub(super) struct Step {
    pub(super) operator: usize,
    pub(super) operands: StepOperands,
    pub(super) action: Action,
    pub(super) work: Work,
}

/// What a step does.
pub(super) enum Action {
    /// Nothing: the result is the first operand under another shape.
    Alias,
    /// Nothing: the result was computed when the program was built.
    Constant,
    /// Nothing: the convolution behind it reads the operand and pads that itself. The kernel shows observers the result.
    Padding(Box<dyn Kernel>),
    Kernel(Box<dyn Kernel>),
    Control(Control),
}

/// A tensor that keeps its value between inferences, and what fills it at first.
pub(super) struct VariableTensor {
    pub(super) operand: Operand,
    pub(super) fill: u8,
}

impl Action {
    /// What [`OperatorInfo`] says of it.
    pub(super) fn kernel(&self) -> &'static str {
        match self {
            Self::Alias => "alias",
            Self::Constant => "constant",
            Self::Padding(_) => "padding",
            Self::Kernel(kernel) => kernel.name(),
            Self::Control(control) => control.name(),
        }
    }

    pub(super) fn runs_on(&self) -> RunsOn {
        match self {
            Self::Kernel(kernel) => kernel.runs_on(),
            _ => RunsOn::Cpu,
        }
    }
}

impl Program {
    /// Computes the outputs from the inputs as they are.
    pub(super) fn run(
        &mut self,
        runtime: &mut Runtime,
        mut observer: Option<&mut dyn Observer>,
    ) -> Result<(), InvokeError> {
        let model = runtime.model.clone();
        let index = self.subgraph;
        let failed = |operator, source| InvokeError::new(&model, index, operator, source);
        runtime
            .budget
            .spend(self.work)
            .map_err(|source| failed(0, source))?;
        if let Some(tail) = &self.tail {
            tail.restore_outputs(&mut self.outputs);
        }
        let is_observed = observer.is_some();
        if is_observed {
            self.grow_arena(self.observed_bytes, runtime)
                .map_err(|source| failed(0, source))?;
        }
        let mut number = 0;
        while number < self.steps.len() {
            if !is_observed {
                number = match self.kernels(number, &model, runtime) {
                    Ok(next) if next == self.steps.len() => break,
                    Ok(next) => next,
                    Err((number, EvalError::VariableShape { .. })) if self.tail.is_some() => {
                        return self.run_tail(number, false, runtime, observer);
                    }
                    Err((number, source)) => {
                        return Err(failed(self.steps[number].operator, source));
                    }
                };
            }
            let start = is_observed.then(Instant::now);
            if let Unforeseen::Shapes { has_run } =
                self.step(number, is_observed, &model, runtime)?
            {
                return self.run_tail(number, has_run, runtime, observer);
            }
            if let (Some(observer), Some(start)) = (observer.as_deref_mut(), start) {
                observer.operator(&OperatorEvent {
                    duration: match self.steps[number].action {
                        Action::Padding(_) => Duration::ZERO,
                        _ => start.elapsed(),
                    },
                    info: self.operator_info(&model, number),
                    outputs: &self.steps[number].operands.outputs,
                    tensors: self.tensors(model.graph()),
                });
                let info = self.operator_info(&model, number);
                observer.results(&mut OperatorResults {
                    info,
                    step: &self.steps[number],
                    graph: model.graph(),
                    declared: &model.graph().subgraphs()[self.subgraph].tensors,
                    folded: &self.folded,
                    workers: &runtime.workers,
                    arena: self.arena.bytes_mut(),
                });
            }
            number += 1;
        }
        let operators = model.graph().subgraphs()[self.subgraph].operators.len();
        if self.steps.len() < operators {
            return self.run_tail(self.steps.len(), false, runtime, observer);
        }
        Ok(())
    }

    /// Runs the operators from `first` on as a tail; `has_run` says that the first of them has computed already.
    fn run_tail(
        &mut self,
        first: usize,
        has_run: bool,
        runtime: &mut Runtime,
        observer: Option<&mut dyn Observer>,
    ) -> Result<(), InvokeError> {
        let mut tail = self
            .tail
            .take()
            .expect("programs whose shapes may depend on values have a tail");
        let result = tail.run(self, first, has_run, runtime, observer);
        self.tail = Some(tail);
        result
    }

    /// Runs the kernels from step `first` on, up to the next step that is none; gives its number, or that of the step that failed
    /// and why.
    fn kernels(
        &mut self,
        first: usize,
        model: &Model,
        runtime: &mut Runtime,
    ) -> Result<usize, (usize, EvalError)> {
        let graph = model.graph();
        let declared = &graph.subgraphs()[self.subgraph].tensors;
        let operands = &self.steps[first].operands;
        let (workers, arena) = (&runtime.workers, self.arena.bytes_mut());
        let mut io = KernelIo::new(graph, declared, operands, &self.folded, workers, arena)
            .with_variables(&mut runtime.variables);
        for (number, step) in self.steps.iter().enumerate().skip(first) {
            let kernel = match &step.action {
                Action::Alias | Action::Constant | Action::Padding(_) => continue,
                Action::Kernel(kernel) => kernel,
                Action::Control(_) => return Ok(number),
            };
            io.set_operands(&step.operands);
            if let Err(source) = kernel.eval(&mut io) {
                return Err((number, source));
            }
        }
        Ok(self.steps.len())
    }

    /// Runs step `number`: one that is no kernel, or any that is observed.
    fn step(
        &mut self,
        number: usize,
        is_observed: bool,
        model: &Model,
        runtime: &mut Runtime,
    ) -> Result<Unforeseen, InvokeError> {
        let graph = model.graph();
        let declared = &graph.subgraphs()[self.subgraph].tensors;
        let step = &mut self.steps[number];
        let operands = &step.operands;
        let failed = |source| InvokeError::new(model, self.subgraph, step.operator, source);
        match &mut step.action {
            Action::Alias | Action::Constant => {}
            Action::Padding(_) if !is_observed => {}
            Action::Kernel(kernel) | Action::Padding(kernel) => {
                let arena = self.arena.bytes_mut();
                let workers = &runtime.workers;
                let io = KernelIo::new(graph, declared, operands, &self.folded, workers, arena);
                match kernel.eval(&mut io.with_variables(&mut runtime.variables)) {
                    Err(EvalError::VariableShape { .. }) if self.tail.is_some() => {
                        return Ok(Unforeseen::Shapes { has_run: false });
                    }
                    result => result.map_err(failed)?,
                }
            }
            Action::Control(control) => {
                let tensors = Tensors {
                    graph,
                    declared,
                    arena: self.arena.bytes(),
                    folded: &self.folded,
                };
                let place = (self.subgraph, step.operator);
                control.run(&operands.inputs, tensors, place, runtime)?;
                if !control.gives(&operands.outputs) {
                    return Ok(Unforeseen::Shapes { has_run: true });
                }
                control
                    .copy_results(graph, &operands.outputs, self.arena.bytes_mut())
                    .map_err(failed)?;
            }
        }
        Ok(Unforeseen::Nothing)
    }

    /// Makes the arena at least `bytes` bytes.
    pub(super) fn grow_arena(
        &mut self,
        bytes: usize,
        runtime: &mut Runtime,
    ) -> Result<(), EvalError> {
        let more = bytes.saturating_sub(self.arena.bytes().len());
        runtime.memory.take(more)?;
        self.memory += more;
        self.arena.grow(bytes);
        Ok(())
    }

    /// The memory of its tensors.
    pub(super) fn tensors<'a>(&'a self, graph: &'a Graph) -> Tensors<'a> {
        Tensors {
            graph,
            declared: &graph.subgraphs()[self.subgraph].tensors,
            arena: self.arena.bytes(),
            folded: &self.folded,
        }
    }

    /// A tensor's data.
    pub(super) fn view<'a>(
        &'a self,
        graph: &'a Graph,
        operand: &'a Operand,
    ) -> Result<TensorRef<'a>, TensorError> {
        self.tensors(graph).view(operand)
    }

    /// Gives input `index` a value of its shape; an input that is known to be constant has it already.
    pub(super) fn set_input(&mut self, index: usize, bytes: &[u8]) -> Result<(), EvalError> {
        let missing = EvalError::Operand { slot: index };
        let Some(operand) = self.inputs.get(index) else {
            return Err(missing);
        };
        if let Place::Arena(range) = &operand.place {
            self.arena
                .bytes_mut()
                .get_mut(range.clone())
                .filter(|to| to.len() == bytes.len())
                .ok_or(missing)?
                .copy_from_slice(bytes);
        }
        Ok(())
    }

    /// What it was built for.
    pub(super) fn given(&self) -> Vec<Given> {
        let given = |operand: &Operand| Given {
            shape: operand.shape,
            value: match operand.place {
                Place::Folded(number) => self.folded.get(number).cloned(),
                _ => None,
            },
        };
        self.inputs.iter().map(given).collect()
    }

    /// What `operators` of the interpreter shows of operator `number`.
    pub(super) fn operator_info<'a>(&self, model: &'a Model, number: usize) -> OperatorInfo<'a> {
        let kind = &model.graph().subgraphs()[self.subgraph].operators[number].kind;
        match (self.steps.get(number), &self.tail) {
            (Some(step), _) => OperatorInfo {
                index: number,
                kind,
                kernel: step.action.kernel(),
                runs_on: step.action.runs_on(),
                macs: step.work.macs,
            },
            (None, Some(tail)) => tail.operator_info(kind, number),
            (None, None) => unreachable!("every operator is a step or in the tail"),
        }
    }

    /// Bytes of its arena and of those of the programs it runs.
    pub(super) fn total_arena_bytes(&self) -> usize {
        let below: usize = self.programs().map(Self::total_arena_bytes).sum();
        self.arena.bytes().len().max(self.arena_bytes) + below
    }

    /// Bytes of weights that its kernels and those of the programs it runs have packed.
    pub(super) fn total_packed_bytes(&self) -> usize {
        let own = self.steps.iter().map(|step| match &step.action {
            Action::Kernel(kernel) => kernel.memory().packed,
            _ => 0,
        });
        let tail = self.tail.iter().map(|tail| tail.packed_bytes());
        own.chain(tail).sum::<usize>()
            + self.programs().map(Self::total_packed_bytes).sum::<usize>()
    }

    /// Bytes counted for it and the programs it runs.
    pub(super) fn taken(&self) -> Taken {
        Taken {
            tensors: self.total_memory(),
            packed: self.total_packed_bytes(),
        }
    }

    fn total_memory(&self) -> usize {
        self.memory + self.programs().map(Self::total_memory).sum::<usize>()
    }

    /// The programs it runs.
    fn programs(&self) -> impl Iterator<Item = &Self> {
        let steps = self.steps.iter().filter_map(|step| match &step.action {
            Action::Control(control) => Some(control),
            _ => None,
        });
        let tail = self.tail.iter().flat_map(|tail| tail.controls());
        steps.chain(tail).flat_map(Control::programs)
    }

    /// Gives its variable tensors and those of the programs it runs their first values.
    pub(super) fn reset(&mut self) {
        for variable in &self.variables {
            if let Place::Arena(range) = &variable.operand.place
                && let Some(bytes) = self.arena.bytes_mut().get_mut(range.clone())
            {
                bytes.fill(variable.fill);
            }
        }
        for step in &mut self.steps {
            match &mut step.action {
                Action::Control(control) => control.reset(),
                Action::Kernel(kernel) => kernel.reset(),
                Action::Alias | Action::Constant | Action::Padding(_) => {}
            }
        }
        for control in self.tail.iter_mut().flat_map(|tail| tail.controls_mut()) {
            control.reset();
        }
    }

    /// Takes over the values of variable tensors that have the same size in another program of the same subgraph.
    pub(super) fn keep_state(&mut self, from: &Self) {
        for variable in &self.variables {
            let same = from
                .variables
                .iter()
                .find(|other| other.operand.tensor == variable.operand.tensor);
            if let Place::Arena(to) = &variable.operand.place
                && let Some(Place::Arena(range)) = same.map(|other| &other.operand.place)
                && let Some(bytes) = from.arena.bytes().get(range.clone())
                && let Some(to) = self.arena.bytes_mut().get_mut(to.clone())
                && to.len() == bytes.len()
            {
                to.copy_from_slice(bytes);
            }
        }
    }
}

/// Whether a step's results have the shapes that were foreseen when the program was built.
enum Unforeseen {
    Nothing,
    /// They have not; the step has computed them or will do so when its place is known.
    Shapes {
        has_run: bool,
    },
}
