//! From a subgraph and what is known of its inputs to a program: operators are prepared, folded and laid out, in order.

use super::control::{Control, Given};
use super::error::BuildError;
use super::fold::fold;
use super::known::Known;
use super::lay_out::lay_out;
use super::program::Program;
use super::resolve::Runner;
use super::runtime::{Runtime, work};
use crate::delegate::DelegateError;
use crate::model::{BuiltinOperator, OperatorKind, Subgraph};
use crate::ops::{ControlFlow, EvalError, KnownTensors, Node, PrepareError, Prepared, ZeroBorder};
use crate::plan::ALIGNMENT;

/// An operator that is prepared before inference.
pub(super) struct Ready {
    pub(super) prepared: Prepared,
    pub(super) control: Option<Control>,
    /// Whether the operator behind it reads its operand in place of its result.
    pub(super) is_left_out: bool,
    /// Whether its results have been computed.
    pub(super) is_constant: bool,
}

/// The operators of a subgraph, prepared as far as that is possible before inference.
pub(super) struct PreparedSubgraph {
    pub(super) ready: Vec<Ready>,
    /// What a delegate prepared of the operators behind those, by number.
    pub(super) delegated: Vec<Option<Prepared>>,
    /// The first operator behind those, where it runs subgraphs whose results' shapes cannot be foreseen.
    pub(super) early: Option<(usize, Control)>,
}

/// Prepares a subgraph, whose runners are known, for inputs of which `given` says what there is to know.
pub(super) fn build_program(
    runtime: &mut Runtime,
    index: usize,
    given: &[Given],
) -> Result<Program, BuildError> {
    let model = runtime.model.clone();
    let graph = model.graph();
    let subgraph = &graph.subgraphs()[index];
    runtime.count_program(subgraph.operators.len())?;
    let mut known = Known::new(graph, index, given);
    let folded = known.constants.iter().map(|words| size_of_val(&**words));
    let folded: usize = folded.sum();
    runtime.memory.take(folded)?;
    let mut delegated = prepare_delegated(runtime, &known)?;
    let runners = runtime.runners[index].take().unwrap_or_default();
    let prepared = prepare(runtime, &mut known, &runners, &mut delegated, folded);
    runtime.runners[index] = Some(runners);
    let (ready, early, folded) = prepared?;
    let prepared = PreparedSubgraph {
        ready,
        delegated,
        early,
    };
    lay_out(runtime, known, prepared, folded)
}

/// As [`build_program`], in the middle of an inference, whose budget pays for it.
pub(super) fn rebuild_program(
    runtime: &mut Runtime,
    index: usize,
    given: &[Given],
) -> Result<Program, BuildError> {
    during_inference(runtime, |runtime| build_program(runtime, index, given))
}

/// Builds the programs of an operator in the middle of an inference, whose budget pays for it.
pub(super) fn build_control_during_inference(
    runtime: &mut Runtime,
    flow: ControlFlow,
    given: &[Given],
) -> Result<Control, BuildError> {
    during_inference(runtime, |runtime| Control::build(runtime, flow, given)).map(|built| built.0)
}

/// Units of work for preparing an operator in the middle of an inference.
const PREPARATION: u64 = 1000;

fn during_inference<T>(
    runtime: &mut Runtime,
    build: impl FnOnce(&mut Runtime) -> Result<T, BuildError>,
) -> Result<T, BuildError> {
    runtime.recount_operators();
    let built = build(runtime)?;
    let units = runtime.operators() as u64 * PREPARATION;
    runtime.budget.spend(units).map_err(too_much_work)?;
    Ok(built)
}

type PreparedOperators = (Vec<Ready>, Option<(usize, Control)>, usize);

/// Prepares the operators up to the first that needs values. Returns with them that operator's programs, where it was one
/// that has any, and the bytes of all constants.
fn prepare(
    runtime: &mut Runtime,
    known: &mut Known<'_>,
    runners: &[Runner],
    delegated: &mut [Option<Prepared>],
    mut folded: usize,
) -> Result<PreparedOperators, BuildError> {
    let subgraph = known.subgraph;
    let readers = readers(subgraph);
    let mut ready: Vec<Ready> = Vec::with_capacity(runners.len());
    for (number, &runner) in runners.iter().enumerate() {
        let operator = &subgraph.operators[number];
        let mut prepared = match (runner, delegated[number].take()) {
            (Runner::Kernel(def), _) => {
                let settings = runtime.next_settings();
                let node = Node::new(known.graph, known.index, number, known)
                    .expect("operators were counted")
                    .with_border(border(subgraph, &readers, &ready));
                match (def.prepare)(&node, &settings) {
                    Ok(prepared) => prepared,
                    Err(PrepareError::NotConstant { .. }) => return Ok((ready, None, folded)),
                    Err(source) => {
                        return Err(BuildError::Prepare {
                            subgraph: known.index,
                            operator: number,
                            kind: operator.kind.clone(),
                            source,
                        });
                    }
                }
            }
            (Runner::Delegate(_), Some(prepared)) => prepared.stateful(),
            (Runner::Delegate(_), None) => unreachable!("every claimed operator was prepared"),
        };
        if let Some(kernel) = &prepared.kernel {
            let memory = kernel.memory();
            runtime.workers.reserve(memory.workspace);
            if memory.packed > 0 {
                // The kernel reads its own copy from here on.
                for &tensor in operator.inputs.iter().flatten() {
                    known.graph.release(&known.subgraph.tensors[tensor]);
                }
            }
        }
        let mut control = None;
        if let Some(flow) = prepared.control {
            let (built, shapes) = Control::build(runtime, flow, &known.given(number))?;
            let Some(shapes) = shapes else {
                return Ok((ready, Some((number, built)), folded));
            };
            prepared.outputs = shapes;
            control = Some(built);
        }
        for (&tensor, &shape) in operator.outputs.iter().zip(&prepared.outputs) {
            known.shapes[tensor] = shape;
        }
        let mut inputs = operator.inputs.iter().flatten();
        let is_constant = !prepared.stateful
            && !operator.outputs.is_empty()
            && (prepared.is_constant || inputs.all(|&tensor| known.is_constant(tensor)));
        if is_constant {
            let units = work(&prepared, known.input_shapes(number));
            runtime.budget.spend(units).map_err(too_much_work)?;
            folded += fold(runtime, known, number, &prepared)?;
            prepared.kernel = None;
        } else if is_shared_part(known, number, &prepared)? {
            prepared.kernel = None;
        } else if let Some(kernel) = &prepared.kernel {
            runtime.memory.take_packed(kernel.memory().packed)?;
        }
        reserve_variable(runtime, known, number)?;
        if prepared.takes_border
            && let Some(before) = ready.last_mut()
        {
            before.is_left_out = true;
        }
        ready.push(Ready {
            prepared,
            control,
            is_left_out: false,
            is_constant,
        });
    }
    Ok((ready, None, folded))
}

/// Whether an operator's result is neighbouring bytes of operand 0 that need not be copied: enough of them to be worth that all
/// of the operand stays, of an operand that nothing changes in the meantime, and none that a caller reads.
fn is_shared_part(
    known: &Known<'_>,
    number: usize,
    prepared: &Prepared,
) -> Result<bool, BuildError> {
    let subgraph = known.subgraph;
    let operator = &subgraph.operators[number];
    let (Some(at), &[Some(from), ..], &[to]) =
        (prepared.part, &*operator.inputs, &*operator.outputs)
    else {
        return Ok(false);
    };
    let keeps =
        |tensor: usize| subgraph.tensors[tensor].is_variable || subgraph.outputs.contains(&tensor);
    Ok(at.is_multiple_of(ALIGNMENT)
        && known.bytes(from)? / 2 <= known.bytes(to)?
        && !known.is_constant(from)
        && !keeps(from)
        && !keeps(to))
}

/// By tensor, how many operands and outputs of the subgraph it is.
fn readers(subgraph: &Subgraph) -> Vec<usize> {
    let mut readers = vec![0; subgraph.tensors.len()];
    let operators = subgraph.operators.iter();
    let operands = operators.flat_map(|operator| operator.inputs.iter().flatten());
    for &tensor in operands.chain(&subgraph.outputs) {
        readers[tensor] += 1;
    }
    readers
}

/// The border that the last operator of `ready` adds to operand 0 of the next, and for it alone. As they are neighbours,
/// nothing between them changes the tensor without border, or brings other shapes than were foreseen.
fn border(subgraph: &Subgraph, readers: &[usize], ready: &[Ready]) -> Option<ZeroBorder> {
    let last = ready.last().filter(|last| !last.is_constant)?;
    let border = last.prepared.border?;
    let next = ready.len();
    let &padded = subgraph.operators[next - 1].outputs.first()?;
    let is_operand = subgraph.operators[next].inputs.first() == Some(&Some(padded));
    let is_alone = readers[padded] == 1 && !subgraph.tensors[padded].is_variable;
    (is_operand && is_alone).then_some(border)
}

pub(super) fn too_much_work(error: EvalError) -> BuildError {
    match error {
        EvalError::Work { limit } => BuildError::TooMuchWork { limit },
        _ => BuildError::TooMuchWork { limit: 0 },
    }
}

/// Makes room for what an ASSIGN_VARIABLE will store, so that no inference has to.
fn reserve_variable(
    runtime: &mut Runtime,
    known: &Known<'_>,
    number: usize,
) -> Result<(), BuildError> {
    let operator = &known.subgraph.operators[number];
    let assign = OperatorKind::Builtin(BuiltinOperator::ASSIGN_VARIABLE);
    if operator.kind != assign {
        return Ok(());
    }
    if let &[Some(resource), Some(value)] = operator.inputs.as_slice()
        && let Some(handle) = known.constant(resource)
        && let Ok(handle) = <[u8; 4]>::try_from(handle)
        && let Ok(variable) = runtime.variables.number(u32::from_ne_bytes(handle))
    {
        let bytes = known.bytes(value)?;
        let reserved = runtime.variables.reserve(variable, bytes);
        if let Err(EvalError::Memory { bytes, limit }) = reserved {
            return Err(BuildError::ArenaTooLarge { bytes, limit });
        }
    }
    Ok(())
}

/// Lets each delegate prepare the operators it claimed, together. By operator.
fn prepare_delegated(
    runtime: &mut Runtime,
    known: &Known<'_>,
) -> Result<Vec<Option<Prepared>>, BuildError> {
    let runners = runtime.runners[known.index].as_deref().unwrap_or_default();
    let mut by_operator: Vec<Option<Prepared>> = runners.iter().map(|_| None).collect();
    for (number, delegate) in runtime.delegates.iter_mut().enumerate() {
        let claimed: Vec<usize> = (0..runners.len())
            .filter(|&operator| matches!(runners[operator], Runner::Delegate(d) if d == number))
            .collect();
        if claimed.is_empty() {
            continue;
        }
        let nodes: Vec<Node<'_>> = claimed
            .iter()
            .filter_map(|&op| Node::new(known.graph, known.index, op, known))
            .collect();
        let prepared = delegate
            .prepare(&nodes, &runtime.settings)
            .map_err(|source| BuildError::Delegate { source })?;
        if prepared.len() != claimed.len() {
            let source = DelegateError::Count {
                claimed: claimed.len(),
                prepared: prepared.len(),
            };
            return Err(BuildError::Delegate { source });
        }
        for (operator, ready) in claimed.into_iter().zip(prepared) {
            by_operator[operator] = Some(ready);
        }
    }
    Ok(by_operator)
}
