//! Operators that run subgraphs, each with the programs it runs.

use super::error::{BuildError, InvokeError};
use super::prepare::{build_program, rebuild_program};
use super::program::Program;
use super::runtime::Runtime;
use super::tensors::Tensors;
use crate::model::{Graph, Model};
use crate::ops::{ControlFlow, EvalError, Operand, Place};
use crate::tensor::{Shape, TensorRef};

/// What is known of a program's input before it runs.
#[derive(Clone)]
pub(super) struct Given {
    pub(super) shape: Shape,
    /// The value, where it is the same at every run.
    pub(super) value: Option<Box<[u64]>>,
}

pub(super) struct Control {
    flow: ControlFlow,
    /// Both branches of an IF, condition and body of a WHILE, or what CALL_ONCE runs.
    programs: Vec<Program>,
    results: Results,
}

/// Which tensors of which program are the results of the last run.
#[derive(Clone, Copy)]
enum Results {
    /// The outputs of this branch.
    Outputs(usize),
    /// What a loop carries: the inputs of its condition.
    Carried,
}

const CONDITION: usize = 0;
const BODY: usize = 1;

impl Control {
    /// Builds the programs for operands. With them come the results' shapes where every run gives these.
    pub(super) fn build(
        runtime: &mut Runtime,
        flow: ControlFlow,
        operands: &[Given],
    ) -> Result<(Self, Option<Vec<Shape>>), BuildError> {
        let control = |programs, results| Self {
            flow,
            programs,
            results,
        };
        Ok(match flow {
            ControlFlow::If { then, otherwise } => {
                let given = operands.get(1..).unwrap_or_default();
                let programs = vec![
                    build_program(runtime, then, given)?,
                    build_program(runtime, otherwise, given)?,
                ];
                let shapes = foreseen(&programs[0]);
                let shapes =
                    shapes.filter(|shapes| foreseen(&programs[1]).as_ref() == Some(shapes));
                (control(programs, Results::Outputs(0)), shapes)
            }
            ControlFlow::While { condition, body } => {
                let subgraph = &runtime.model.graph().subgraphs()[body];
                // Only what the body hands on untouched is the same in every round.
                let carried: Vec<Given> = operands
                    .iter()
                    .enumerate()
                    .map(|(i, given)| Given {
                        shape: given.shape,
                        value: given
                            .value
                            .clone()
                            .filter(|_| subgraph.outputs.get(i) == subgraph.inputs.get(i)),
                    })
                    .collect();
                let programs = vec![
                    build_program(runtime, condition, &carried)?,
                    build_program(runtime, body, &carried)?,
                ];
                let shapes: Vec<Shape> = operands.iter().map(|given| given.shape).collect();
                let is_foreseen = foreseen(&programs[BODY]).as_ref() == Some(&shapes);
                let control = control(programs, Results::Carried);
                (control, is_foreseen.then_some(shapes))
            }
            ControlFlow::Once { init } => {
                let programs = vec![build_program(runtime, init, &[])?];
                (control(programs, Results::Outputs(0)), Some(Vec::new()))
            }
        })
    }

    pub(super) fn name(&self) -> &'static str {
        match self.flow {
            ControlFlow::If { .. } => "if",
            ControlFlow::While { .. } => "while",
            ControlFlow::Once { .. } => "call_once",
        }
    }

    pub(super) fn flow(&self) -> ControlFlow {
        self.flow
    }

    pub(super) fn programs(&self) -> &[Program] {
        &self.programs
    }

    /// Runs what the operands ask for. `place` is the operator's subgraph and number.
    pub(super) fn run(
        &mut self,
        operands: &[Option<Operand>],
        tensors: Tensors<'_>,
        place: (usize, usize),
        runtime: &mut Runtime,
    ) -> Result<(), InvokeError> {
        let model = runtime.model.clone();
        let failed = |source| InvokeError::new(&model, place.0, place.1, source);
        let operand = |slot: usize| {
            let operand = operands.get(slot).and_then(Option::as_ref);
            let bytes = operand.and_then(|operand| tensors.bytes(operand));
            bytes.ok_or_else(|| failed(EvalError::Operand { slot }))
        };
        match self.flow {
            ControlFlow::If { .. } => {
                let taken = usize::from(operand(0)?.first() == Some(&0));
                self.results = Results::Outputs(taken);
                let branch = &mut self.programs[taken];
                for index in 0..branch.inputs.len() {
                    branch
                        .set_input(index, operand(index + 1)?)
                        .map_err(failed)?;
                }
                branch.run(runtime, None)
            }
            ControlFlow::While { .. } => {
                // The last run may have left the programs at other shapes.
                let carried = &self.programs[CONDITION].inputs;
                let given = operands.iter().flatten().map(|operand| operand.shape);
                if !carried
                    .iter()
                    .map(|operand| operand.shape)
                    .eq(given.clone())
                {
                    let [condition, body] = self.programs.as_slice() else {
                        return Err(failed(EvalError::Operand { slot: 0 }));
                    };
                    let shapes: Vec<Shape> = given.collect();
                    let (condition, body) = resized(condition, body, &shapes, runtime)
                        .map_err(|error| error.at_inference(&model, place))?;
                    self.programs = vec![condition, body];
                }
                let condition = &mut self.programs[CONDITION];
                for index in 0..condition.inputs.len() {
                    condition
                        .set_input(index, operand(index)?)
                        .map_err(failed)?;
                }
                self.repeat(&model, place, runtime)
            }
            ControlFlow::Once { init } => {
                if !runtime.initialised[init] {
                    self.programs[0].run(runtime, None)?;
                    runtime.initialised[init] = true;
                }
                Ok(())
            }
        }
    }

    /// Runs the body for as long as the condition holds of what is carried.
    fn repeat(
        &mut self,
        model: &Model,
        place: (usize, usize),
        runtime: &mut Runtime,
    ) -> Result<(), InvokeError> {
        let graph = model.graph();
        let failed = |source| InvokeError::new(model, place.0, place.1, source);
        let [condition, body] = self.programs.as_mut_slice() else {
            return Err(failed(EvalError::Operand { slot: 0 }));
        };
        loop {
            condition.run(runtime, None)?;
            let verdict = output(graph, condition, 0).map_err(failed)?;
            let &[verdict] = verdict.bytes() else {
                return Err(failed(EvalError::Value {
                    operand: "cond_subgraph",
                    found: verdict.shape().count() as i64,
                    expected: "1 element in the condition's output",
                }));
            };
            if verdict == 0 {
                return Ok(());
            }
            runtime.budget.round().map_err(failed)?;
            copy(graph, condition, &condition.inputs, body).map_err(failed)?;
            body.run(runtime, None)?;
            let shapes: fn(&Operand) -> Shape = |operand| operand.shape;
            if (body.outputs.iter().map(shapes)).eq(condition.inputs.iter().map(shapes)) {
                copy(graph, body, &body.outputs, condition).map_err(failed)?;
            } else {
                let shapes: Vec<Shape> = body.outputs.iter().map(shapes).collect();
                let grown = resized(condition, body, &shapes, runtime);
                let (mut next, next_body) =
                    grown.map_err(|error| error.at_inference(model, place))?;
                copy(graph, body, &body.outputs, &mut next).map_err(failed)?;
                (*condition, *body) = (next, next_body);
            }
        }
    }

    /// Whether the last run's results have these operands' shapes.
    pub(super) fn gives(&self, outputs: &[Operand]) -> bool {
        let shapes = outputs.iter().map(|operand| operand.shape);
        self.results().1.iter().map(|o| o.shape).eq(shapes)
    }

    /// The shapes of the last run's results.
    pub(super) fn result_shapes(&self) -> Vec<Shape> {
        self.results().1.iter().map(|o| o.shape).collect()
    }

    /// Copies the last run's results to their places in `arena`.
    pub(super) fn copy_results(
        &self,
        graph: &Graph,
        outputs: &[Operand],
        arena: &mut [u8],
    ) -> Result<(), EvalError> {
        let (program, results) = self.results();
        for (slot, (from, to)) in results.iter().zip(outputs).enumerate() {
            let missing = EvalError::Operand { slot };
            let bytes = program.tensors(graph).bytes(from).ok_or(missing.clone())?;
            let Place::Arena(range) = &to.place else {
                return Err(missing);
            };
            let to = arena.get_mut(range.clone());
            to.filter(|to| to.len() == bytes.len())
                .ok_or(missing)?
                .copy_from_slice(bytes);
        }
        Ok(())
    }

    fn results(&self) -> (&Program, &[Operand]) {
        match self.results {
            Results::Outputs(number) => {
                let program = &self.programs[number];
                (program, &program.outputs)
            }
            Results::Carried => {
                let condition = &self.programs[CONDITION];
                (condition, &condition.inputs)
            }
        }
    }

    /// Gives the variable tensors of its programs their first values.
    pub(super) fn reset(&mut self) {
        for program in &mut self.programs {
            program.reset();
        }
    }
}

/// The shapes of a program's outputs where every run gives these.
fn foreseen(program: &Program) -> Option<Vec<Shape>> {
    let outputs = program.outputs.iter();
    outputs
        .map(|operand| (operand.place != Place::Open).then_some(operand.shape))
        .collect()
}

/// An output of the last run.
fn output<'a>(
    graph: &'a Graph,
    program: &'a Program,
    index: usize,
) -> Result<TensorRef<'a>, EvalError> {
    let operand = program.outputs.get(index);
    let operand = operand.ok_or(EvalError::Operand { slot: index })?;
    Ok(program.view(graph, operand)?)
}

/// Copies tensors of `from` to the inputs of `to`.
fn copy(
    graph: &Graph,
    from: &Program,
    operands: &[Operand],
    to: &mut Program,
) -> Result<(), EvalError> {
    for (slot, operand) in operands.iter().enumerate() {
        let bytes = from.tensors(graph).bytes(operand);
        to.set_input(slot, bytes.ok_or(EvalError::Operand { slot })?)?;
    }
    Ok(())
}

/// Condition and body of a loop anew, for these shapes of what is carried. The old ones make room: they go when the new
/// ones are there.
fn resized(
    condition: &Program,
    body: &Program,
    shapes: &[Shape],
    runtime: &mut Runtime,
) -> Result<(Program, Program), BuildError> {
    let mut given = condition.given();
    for (given, &shape) in given.iter_mut().zip(shapes) {
        given.shape = shape;
    }
    let before = runtime.memory;
    let taken = [condition, body].into_iter().map(Program::taken).sum();
    runtime.memory.give_back(taken);
    let mut build = |index| rebuild_program(runtime, index, &given);
    let built = build(condition.subgraph).and_then(|next| Ok((next, build(body.subgraph)?)));
    match built {
        Ok((mut next, mut next_body)) => {
            next.keep_state(condition);
            next_body.keep_state(body);
            Ok((next, next_body))
        }
        Err(error) => {
            runtime.memory = before;
            Err(error)
        }
    }
}
