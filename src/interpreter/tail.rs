//! The part of a program whose shapes depend on values: each operator is prepared when its operands have been computed,
//! and its results are placed behind the fixed part of the arena, where nothing that is still needed lies.
//!
//! What was prepared is kept for the next inference where no value went into it and the operands' shapes are the same.

use super::control::{Control, Given};
use super::error::InvokeError;
use super::known::{Current, given};
use super::observer::{Observer, OperatorEvent, OperatorInfo};
use super::prepare::build_control_during_inference;
use super::program::{Action, Program};
use super::resolve::Runner;
use super::runtime::{Runtime, Taken, work};
use crate::model::{Model, OperatorKind, Subgraph};
use crate::ops::{
    EvalError, KernelIo, Node, Operand, Place, PrepareError, Prepared, RunsOn, StepOperands,
};
use crate::plan::first_fit;
use crate::tensor::Shape;
use std::ops::Range;
use std::time::Instant;

pub(super) struct Tail {
    /// By tensor, its shape and place as the program was built; open where the tail computes it.
    fixed: Vec<Operand>,
    /// The same as far as this inference has come.
    now: Vec<Operand>,
    /// By tensor, the last operator that reads it.
    last_use: Vec<usize>,
    /// The subgraph's outputs.
    outputs: Vec<usize>,
    /// By operator, what the last inference prepared.
    prepared: Vec<Option<TailStep>>,
    /// What lies behind the fixed part, in order of start.
    live: Vec<Live>,
}

/// An operator as it was prepared last.
struct TailStep {
    /// The operands it was prepared for: shapes, and whether they are constants.
    operands: Vec<Option<(Shape, bool)>>,
    /// Whether it holds for any values of these.
    is_general: bool,
    prepared: Prepared,
    control: Option<Control>,
    places: StepOperands,
}

impl TailStep {
    fn packed_bytes(&self) -> usize {
        let kernel = self.prepared.kernel.as_ref();
        kernel.map_or(0, |kernel| kernel.memory().packed)
    }
}

struct Live {
    range: Range<usize>,
    /// The last operator that needs it.
    until: usize,
}

impl Tail {
    /// For a subgraph whose tensors were placed as `fixed` says. `delegated` are operators that a delegate prepared, by
    /// number, with the shapes it was given.
    pub(super) fn new(
        subgraph: &Subgraph,
        fixed: Vec<Operand>,
        delegated: Vec<Option<Prepared>>,
        early: Option<(usize, Control)>,
    ) -> Self {
        let mut last_use = vec![0; subgraph.tensors.len()];
        for (number, operator) in subgraph.operators.iter().enumerate() {
            for &tensor in operator.inputs.iter().flatten() {
                last_use[tensor] = number;
            }
        }
        for &tensor in &subgraph.outputs {
            last_use[tensor] = usize::MAX;
        }
        let mut tail = Self {
            now: fixed.clone(),
            fixed,
            last_use,
            outputs: subgraph.outputs.clone(),
            prepared: Vec::new(),
            live: Vec::new(),
        };
        for (number, prepared) in delegated.into_iter().enumerate() {
            let step = prepared.map(|prepared| TailStep {
                operands: tail.operands(subgraph, number),
                is_general: true,
                prepared,
                control: None,
                places: StepOperands::default(),
            });
            tail.prepared.push(step);
        }
        if let Some((number, control)) = early {
            tail.prepared[number] = Some(TailStep {
                operands: tail.operands(subgraph, number),
                is_general: true,
                prepared: Prepared::control(control.flow()),
                control: Some(control),
                places: StepOperands::default(),
            });
        }
        tail
    }

    /// Bytes that the kernels prepared last have packed.
    pub(super) fn packed_bytes(&self) -> usize {
        self.prepared
            .iter()
            .flatten()
            .map(TailStep::packed_bytes)
            .sum()
    }

    /// Takes back what an earlier inference made of the outputs.
    pub(super) fn restore_outputs(&self, outputs: &mut [Operand]) {
        for (to, &tensor) in outputs.iter_mut().zip(&self.outputs) {
            to.clone_from(&self.fixed[tensor]);
        }
    }

    /// Runs the operators from `first` on; `has_run` says that the first, a step of the program, has computed already.
    pub(super) fn run(
        &mut self,
        program: &mut Program,
        first: usize,
        has_run: bool,
        runtime: &mut Runtime,
        mut observer: Option<&mut dyn Observer>,
    ) -> Result<(), InvokeError> {
        let model = runtime.model.clone();
        let subgraph = &model.graph().subgraphs()[program.subgraph];
        self.now.clone_from(&self.fixed);
        self.live.clear();
        for number in first..subgraph.operators.len() {
            let start = observer.is_some().then(Instant::now);
            let is_constant = self.is_constant(program, subgraph, number);
            if !is_constant {
                let has_run = has_run && number == first;
                self.operator(program, number, has_run, &model, runtime)?;
            }
            if let (Some(observer), Some(start)) = (observer.as_deref_mut(), start) {
                let outputs: Vec<Operand> = subgraph.operators[number]
                    .outputs
                    .iter()
                    .map(|&tensor| self.now[tensor].clone())
                    .collect();
                let kind = &subgraph.operators[number].kind;
                observer.operator(&OperatorEvent {
                    duration: start.elapsed(),
                    info: match is_constant {
                        true => program.operator_info(&model, number),
                        false => self.operator_info(kind, number),
                    },
                    outputs: &outputs,
                    tensors: program.tensors(model.graph()),
                });
            }
            self.live.retain(|live| live.until > number);
        }
        for (to, &tensor) in program.outputs.iter_mut().zip(&self.outputs) {
            to.clone_from(&self.now[tensor]);
        }
        Ok(())
    }

    /// Whether an operator was computed when the program was built, from what still is constant.
    fn is_constant(&self, program: &Program, subgraph: &Subgraph, number: usize) -> bool {
        let step = program.steps.get(number);
        step.is_some_and(|step| matches!(step.action, Action::Constant))
            && self
                .operands(subgraph, number)
                .iter()
                .flatten()
                .all(|&(_, is_constant)| is_constant)
    }

    /// The operands of an operator: shapes, and whether they are constants.
    fn operands(&self, subgraph: &Subgraph, number: usize) -> Vec<Option<(Shape, bool)>> {
        let inputs = subgraph.operators[number].inputs.iter();
        let operand = |&tensor: &Option<usize>| {
            let operand = &self.now[tensor?];
            let is_constant = matches!(operand.place, Place::File | Place::Folded(_));
            Some((operand.shape, is_constant))
        };
        inputs.map(operand).collect()
    }

    /// Prepares, places and computes one operator.
    fn operator(
        &mut self,
        program: &mut Program,
        number: usize,
        has_run: bool,
        model: &Model,
        runtime: &mut Runtime,
    ) -> Result<(), InvokeError> {
        let graph = model.graph();
        let subgraph = &graph.subgraphs()[program.subgraph];
        let index = program.subgraph;
        let failed = |source| InvokeError::new(model, index, number, source);

        // A step that has run holds its results; they only need other places.
        if has_run {
            let shapes = match &program.steps[number].action {
                Action::Control(control) => control.result_shapes(),
                _ => Vec::new(),
            };
            let outputs = self.place_outputs(program, subgraph, number, &shapes, runtime);
            let outputs = outputs.map_err(failed)?;
            let Program { steps, arena, .. } = program;
            if let Action::Control(control) = &steps[number].action {
                let copied = control.copy_results(graph, &outputs, arena.bytes_mut());
                copied.map_err(failed)?;
            }
            return Ok(());
        }

        let mut step = self.ready(program, number, model, runtime)?;
        let computed = self.compute(program, number, &mut step, model, runtime);
        // Kept whatever came of it: an operator that failed may succeed at the next inference.
        self.prepared[number] = Some(step);
        computed
    }

    /// Places and computes an operator that is prepared.
    fn compute(
        &mut self,
        program: &mut Program,
        number: usize,
        step: &mut TailStep,
        model: &Model,
        runtime: &mut Runtime,
    ) -> Result<(), InvokeError> {
        let graph = model.graph();
        let index = program.subgraph;
        let subgraph = &graph.subgraphs()[index];
        let failed = |source| InvokeError::new(model, index, number, source);
        let inputs = subgraph.operators[number].inputs.iter();
        step.places.inputs = inputs
            .map(|tensor| tensor.map(|tensor| self.now[tensor].clone()))
            .collect();
        let shapes = step.places.inputs.iter().flatten();
        let units = work(&step.prepared, shapes.map(|operand| &operand.shape));
        runtime.budget.spend(units).map_err(failed)?;
        match &mut step.control {
            Some(control) => {
                let tensors = program.tensors(graph);
                control.run(&step.places.inputs, tensors, (index, number), runtime)?;
                let shapes = control.result_shapes();
                let outputs = self.place_outputs(program, subgraph, number, &shapes, runtime);
                step.places.outputs = outputs.map_err(failed)?;
                let arena = program.arena.bytes_mut();
                let copied = control.copy_results(graph, &step.places.outputs, arena);
                copied.map_err(failed)?;
            }
            None => {
                if step.prepared.kernel.is_none()
                    && self.alias(program, subgraph, number, &step.prepared.outputs)
                {
                    return Ok(());
                }
                let shapes = &step.prepared.outputs;
                let outputs = self.place_outputs(program, subgraph, number, shapes, runtime);
                step.places.outputs = outputs.map_err(failed)?;
                step.places.scratch.clear();
                for &bytes in &step.prepared.scratch {
                    let range = self.place(program, bytes, number, runtime);
                    step.places.scratch.push(range.map_err(failed)?);
                }
                let Program { arena, folded, .. } = program;
                let arena = arena.bytes_mut();
                if let Some(kernel) = &step.prepared.kernel {
                    runtime.workers.reserve(kernel.memory().workspace);
                }
                let workers = &runtime.workers;
                let io = KernelIo::new(
                    graph,
                    &subgraph.tensors,
                    &step.places,
                    folded,
                    workers,
                    arena,
                );
                let mut io = io.with_variables(&mut runtime.variables);
                match &step.prepared.kernel {
                    Some(kernel) => kernel.eval(&mut io).map_err(failed)?,
                    None => copy_first(&mut io).map_err(failed)?,
                }
            }
        }
        Ok(())
    }

    /// The operator prepared for its operands as they are.
    fn ready(
        &mut self,
        program: &Program,
        number: usize,
        model: &Model,
        runtime: &mut Runtime,
    ) -> Result<TailStep, InvokeError> {
        let graph = model.graph();
        let index = program.subgraph;
        let subgraph = &graph.subgraphs()[index];
        let failed = |source| InvokeError::new(model, index, number, source);
        let operands = self.operands(subgraph, number);
        let runner = runtime.runners[index]
            .as_ref()
            .map(|runners| runners[number]);
        let last = self.prepared[number].take();
        if let Some(last) = last {
            if last.is_general && last.operands == operands {
                return Ok(last);
            }
            if let Some(Runner::Delegate(_)) = runner {
                let error = other_shape(&last.operands, &operands);
                self.prepared[number] = Some(last);
                return Err(failed(error.into()));
            }
            let below = last.control.iter().flat_map(Control::programs);
            runtime.memory.give_back(below.map(Program::taken).sum());
            runtime.memory.give_back(Taken {
                packed: last.packed_bytes(),
                ..Taken::default()
            });
        }
        let Some(Runner::Kernel(def)) = runner else {
            let unknown = PrepareError::Attribute {
                name: "shapes",
                found: "decided by a variable's value".to_owned(),
                expected: "shapes known before inference, as a device needs them",
            };
            return Err(failed(unknown.into()));
        };
        let current = Current::new(program.tensors(graph), &self.now, &runtime.variables);
        let node = Node::new(graph, index, number, &current).expect("operators were counted");
        let prepared =
            (def.prepare)(&node, &runtime.settings).map_err(|source| failed(source.into()))?;
        let packed = prepared
            .kernel
            .as_ref()
            .map(|kernel| kernel.memory().packed);
        let packed = runtime.memory.take_packed(packed.unwrap_or(0));
        packed.map_err(|exceeded| failed(exceeded.into()))?;
        let is_general = !current.was_asked();
        let control = match prepared.control {
            Some(flow) => {
                let given: Vec<Given> = subgraph.operators[number]
                    .inputs
                    .iter()
                    .flatten()
                    .map(|&tensor| given(program.tensors(graph), &self.now[tensor]))
                    .collect();
                let built = build_control_during_inference(runtime, flow, &given);
                Some(built.map_err(|error| error.at_inference(model, (index, number)))?)
            }
            None => None,
        };
        Ok(TailStep {
            operands,
            is_general,
            prepared,
            control,
            places: StepOperands::default(),
        })
    }

    /// Lets the result be the first operand's bytes, where the two can share them.
    fn alias(
        &mut self,
        program: &Program,
        subgraph: &Subgraph,
        number: usize,
        shapes: &[Shape],
    ) -> bool {
        let operator = &subgraph.operators[number];
        let (Some(&Some(from)), Some(&to), Some(&shape)) = (
            operator.inputs.first(),
            operator.outputs.first(),
            shapes.first(),
        ) else {
            return false;
        };
        let place = self.now[from].place.clone();
        match &place {
            Place::Arena(range) => {
                if range.start >= program.arena_bytes {
                    let until = self.last_use[to].max(number);
                    self.keep(range.clone(), until);
                }
            }
            Place::Folded(_) => {}
            // The file's bytes are those of one tensor.
            Place::File | Place::Open => return false,
        }
        self.now[to] = Operand {
            tensor: to,
            shape,
            place,
        };
        true
    }

    /// Gives each result of an operator a place of its own.
    fn place_outputs(
        &mut self,
        program: &mut Program,
        subgraph: &Subgraph,
        number: usize,
        shapes: &[Shape],
        runtime: &mut Runtime,
    ) -> Result<Vec<Operand>, EvalError> {
        let mut operands = Vec::with_capacity(shapes.len());
        for (&tensor, &shape) in subgraph.operators[number].outputs.iter().zip(shapes) {
            let ty = subgraph.tensors[tensor].ty;
            let bytes = ty.bytes(shape.count()).ok_or(PrepareError::Type {
                operand: "result",
                found: ty,
                expected: "elements of a fixed size",
            })?;
            let until = self.last_use[tensor].max(number);
            self.now[tensor] = Operand {
                tensor,
                shape,
                place: Place::Arena(self.place(program, bytes, until, runtime)?),
            };
            operands.push(self.now[tensor].clone());
        }
        Ok(operands)
    }

    /// Takes bytes behind the fixed part of the arena that nothing needs before `until` is over.
    fn place(
        &mut self,
        program: &mut Program,
        bytes: usize,
        until: usize,
        runtime: &mut Runtime,
    ) -> Result<Range<usize>, EvalError> {
        let occupied: Vec<Range<usize>> = self.live.iter().map(|l| l.range.clone()).collect();
        let exceeded = EvalError::Memory {
            bytes: usize::MAX,
            limit: runtime.limits.arena,
        };
        let start = first_fit(&occupied, program.arena_bytes, bytes).ok_or(exceeded)?;
        let end = start + bytes;
        program.grow_arena(end, runtime)?;
        if bytes > 0 {
            self.keep(start..end, until);
        }
        Ok(start..end)
    }

    fn keep(&mut self, range: Range<usize>, until: usize) {
        let at = self.live.partition_point(|l| l.range.start < range.start);
        self.live.insert(at, Live { range, until });
    }

    pub(super) fn operator_info<'a>(
        &self,
        kind: &'a OperatorKind,
        number: usize,
    ) -> OperatorInfo<'a> {
        let step = self.prepared[number].as_ref();
        let kernel = step.and_then(|step| step.prepared.kernel.as_ref());
        let control = step.and_then(|step| step.control.as_ref());
        OperatorInfo {
            index: number,
            kind,
            kernel: match (step, kernel, control) {
                (None, ..) => "dynamic",
                (_, Some(kernel), _) => kernel.name(),
                (.., Some(control)) => control.name(),
                (_, None, None) => "alias",
            },
            runs_on: kernel.map_or(RunsOn::Cpu, |kernel| kernel.runs_on()),
            macs: step.map_or(0, |step| step.prepared.work.macs),
        }
    }

    /// The operators that run subgraphs, as they were prepared last.
    pub(super) fn controls(&self) -> impl Iterator<Item = &Control> {
        let steps = self.prepared.iter().flatten();
        steps.filter_map(|step| step.control.as_ref())
    }

    /// As [`controls`](Self::controls).
    pub(super) fn controls_mut(&mut self) -> impl Iterator<Item = &mut Control> {
        let steps = self.prepared.iter_mut().flatten();
        steps.filter_map(|step| step.control.as_mut())
    }
}

/// Copies operand 0 to result 0: the same elements under another shape.
fn copy_first(io: &mut KernelIo<'_>) -> Result<(), EvalError> {
    let mut views = io.views([0], [0], [])?;
    let [input] = views.inputs;
    let input = input.ok_or(EvalError::Operand { slot: 0 })?;
    Ok(views.outputs[0].copy_from_bytes(input.bytes())?)
}

/// Which operand has another shape than the device was prepared for.
fn other_shape(
    prepared: &[Option<(Shape, bool)>],
    found: &[Option<(Shape, bool)>],
) -> PrepareError {
    let mut pairs = prepared.iter().flatten().zip(found.iter().flatten());
    let pair = pairs.find(|(prepared, found)| prepared.0 != found.0);
    let (prepared, found) = pair.map_or((Shape::SCALAR, Shape::SCALAR), |(p, f)| (p.0, f.0));
    PrepareError::Shape {
        operand: "input",
        found: found.into(),
        expected: format!("{prepared}, which the operator was compiled for"),
    }
}
