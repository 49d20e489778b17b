//! Gives every tensor its place in the arena and turns prepared operators into steps.

use super::arena::Arena;
use super::error::BuildError;
use super::known::Known;
use super::prepare::{PreparedSubgraph, Ready};
use super::program::{Action, Program, Step, VariableTensor};
use super::runtime::{Runtime, work};
use super::tail::Tail;
use crate::model::{BuiltinOperator, OperatorKind, Subgraph};
use crate::ops::{Operand, Prepared, StepOperands};
use crate::plan::{Allocation, Lifetime, Lifetimes, layout};
use crate::tensor::TensorType;

/// Gives every tensor that is computed before the tail its place and turns prepared operators into steps.
/// `folded_bytes` of constants have been counted.
pub(super) fn lay_out(
    runtime: &mut Runtime,
    known: Known<'_>,
    prepared: PreparedSubgraph,
    folded_bytes: usize,
) -> Result<Program, BuildError> {
    let subgraph = known.subgraph;
    let PreparedSubgraph {
        ready,
        delegated,
        early,
    } = prepared;
    let mut lives = lifetimes(&known, &ready);
    compute_in_place(&known, &ready, &mut lives);
    let mut allocations = Vec::new();
    let owners: Vec<_> = lives.owners().collect();
    for &(tensor, life) in &owners {
        let bytes = known.bytes(tensor)?;
        allocations.push(Allocation { bytes, life });
    }
    for (number, ready) in ready.iter().enumerate().filter(|(_, r)| !r.is_constant) {
        let life = Lifetime {
            first: number,
            last: number,
        };
        let scratch = ready.prepared.scratch.iter();
        allocations.extend(scratch.map(|&bytes| Allocation { bytes, life }));
    }
    let limit = runtime.limits.arena;
    let too_large = || BuildError::ArenaTooLarge {
        bytes: usize::MAX,
        limit,
    };
    let plan = layout(&allocations).ok_or_else(too_large)?;
    runtime.memory.take(plan.bytes)?;

    let mut owner_offset = vec![None; subgraph.tensors.len()];
    for (&(tensor, _), &offset) in owners.iter().zip(&plan.offsets) {
        owner_offset[tensor] = Some(offset);
    }
    let mut offsets: Vec<Option<usize>> = (0..subgraph.tensors.len())
        .map(|tensor| Some(owner_offset[lives.owner(tensor)]? + lives.offset(tensor)))
        .collect();
    // Results that observers alone see have a place behind all others, where the arena ends until there is one.
    let mut observed_bytes = plan.bytes;
    for (number, _) in ready.iter().enumerate().filter(|(_, r)| r.is_left_out) {
        let padded = subgraph.operators[number].outputs[0];
        offsets[padded] = Some(plan.bytes);
        let end = plan.bytes.checked_add(known.bytes(padded)?);
        observed_bytes = observed_bytes.max(end.ok_or_else(too_large)?);
    }
    let mut scratch_offsets = plan.offsets[owners.len()..].iter();

    let operand = |&tensor: &usize| known.operand(tensor, &offsets);
    let needs_tail = needs_tail(subgraph, &ready);
    let mut total_work = 0u64;
    let mut steps = Vec::with_capacity(ready.len());
    for (number, ready) in ready.into_iter().enumerate() {
        let operator = &subgraph.operators[number];
        let mut ranges = Vec::new();
        if !ready.is_constant {
            let units = work(&ready.prepared, known.input_shapes(number));
            total_work = total_work.saturating_add(units);
            for &bytes in &ready.prepared.scratch {
                let &offset = scratch_offsets
                    .next()
                    .expect("one offset per scratch buffer");
                ranges.push(offset..offset + bytes);
            }
        }
        let mut inputs = known.inputs(number, &offsets);
        if ready.prepared.takes_border {
            // What the operator before adds the border to.
            let unpadded = subgraph.operators[number - 1].inputs[0];
            inputs[0] = unpadded.as_ref().map(operand);
        }
        steps.push(Step {
            operator: number,
            operands: StepOperands {
                inputs,
                outputs: operator.outputs.iter().map(operand).collect(),
                scratch: ranges,
            },
            work: ready.prepared.work,
            action: action(ready),
        });
    }
    if total_work > runtime.limits.work {
        let limit = runtime.limits.work;
        return Err(BuildError::TooMuchWork { limit });
    }
    log_kernels(&steps);
    let variables = (0..subgraph.tensors.len())
        .filter(|&t| subgraph.tensors[t].is_variable && offsets[t].is_some())
        .map(|t| VariableTensor {
            operand: operand(&t),
            fill: variable_fill(subgraph, t),
        })
        .collect();
    let tail = needs_tail.then(|| {
        let fixed: Vec<Operand> = (0..subgraph.tensors.len()).map(|t| operand(&t)).collect();
        Box::new(Tail::new(subgraph, fixed, delegated, early))
    });
    let mut program = Program {
        subgraph: known.index,
        inputs: subgraph.inputs.iter().map(operand).collect(),
        outputs: subgraph.outputs.iter().map(operand).collect(),
        steps,
        variables,
        arena: Arena::for_delegates(plan.bytes, &mut runtime.delegates),
        arena_bytes: plan.bytes,
        observed_bytes,
        memory: plan.bytes + folded_bytes,
        folded: known.constants,
        work: total_work,
        tail,
    };
    program.reset();
    Ok(program)
}

/// Tells which kernels were chosen, each once.
fn log_kernels(steps: &[Step]) {
    let mut names: Vec<_> = steps.iter().map(|step| step.action.kernel()).collect();
    names.sort_unstable();
    names.dedup();
    log::debug!("kernels: {}", names.join(", "));
}

/// When each tensor that has a place before the tail is needed. What the tail reads stays until it does.
fn lifetimes(known: &Known<'_>, ready: &[Ready]) -> Lifetimes {
    let subgraph = known.subgraph;
    let end = subgraph.operators.len();
    let mut lives = Lifetimes::new(subgraph.tensors.len());
    // Tensors that the tail computes have no place yet.
    let mut is_open = vec![false; subgraph.tensors.len()];
    for operator in &subgraph.operators[ready.len()..] {
        for &tensor in &operator.outputs {
            is_open[tensor] = true;
        }
    }
    let is_placed = |tensor: usize| !known.is_constant(tensor) && !is_open[tensor];
    // The caller's inputs keep their values for the next inference, as variables do.
    let kept = (0..subgraph.tensors.len()).filter(|&t| subgraph.tensors[t].is_variable);
    for tensor in subgraph.inputs.iter().copied().chain(kept) {
        if is_placed(tensor) {
            lives.touch(tensor, 0);
            lives.touch(tensor, end);
        }
    }
    for (number, operator) in subgraph.operators.iter().enumerate() {
        let ready = ready.get(number);
        if ready.is_some_and(|ready| ready.is_constant) {
            continue;
        }
        for &tensor in operator.inputs.iter().flatten().filter(|&&t| is_placed(t)) {
            lives.touch(tensor, number);
        }
        let Some(ready) = ready else {
            continue;
        };
        // What reads the result of an operator that is left out reads its operand.
        if (is_alias(&ready.prepared) || ready.is_left_out)
            && let (Some(&Some(from)), Some(&to)) =
                (operator.inputs.first(), operator.outputs.first())
        {
            lives.share(to, from, ready.prepared.part.unwrap_or(0));
        }
        for &tensor in &operator.outputs {
            lives.touch(tensor, number);
        }
    }
    for &tensor in subgraph.outputs.iter().filter(|&&t| is_placed(t)) {
        lives.touch(tensor, end);
    }
    lives
}

/// Lets results lie where operands lie that nothing reads any more.
fn compute_in_place(known: &Known<'_>, ready: &[Ready], lives: &mut Lifetimes) {
    let operators = &known.subgraph.operators;
    let bytes = |tensor| known.bytes(tensor).ok();
    for (number, ready) in ready.iter().enumerate().filter(|(_, r)| !r.is_constant) {
        let (slots, inputs) = (ready.prepared.in_place, &operators[number].inputs);
        let &[result] = operators[number].outputs.as_slice() else {
            continue;
        };
        let is_as_large = |tensor| bytes(tensor) == bytes(result);
        for operand in slots.iter().filter_map(|&slot| *inputs.get(slot)?) {
            let owner = lives.owner(operand);
            // The kernel has to know of every operand that it overwrites.
            let mut overwritten = inputs.iter().enumerate().filter_map(|(slot, &input)| {
                let input = input.filter(|&input| lives.owner(input) == owner)?;
                Some((slot, input))
            });
            let may_overwrite =
                overwritten.all(|(slot, input)| slots.contains(&slot) && is_as_large(input));
            if may_overwrite && is_as_large(owner) && lives.take_over(result, operand, number) {
                break;
            }
        }
    }
}

fn is_alias(prepared: &Prepared) -> bool {
    prepared.kernel.is_none() && prepared.control.is_none()
}

fn action(ready: Ready) -> Action {
    match (ready.is_constant, ready.prepared.kernel, ready.control) {
        (true, ..) => Action::Constant,
        (_, Some(kernel), _) if ready.is_left_out => Action::Padding(kernel),
        (_, Some(kernel), _) => Action::Kernel(kernel),
        (.., Some(control)) => Action::Control(control),
        (_, None, None) => Action::Alias,
    }
}

/// Whether shapes may depend on values: some operators could not be prepared, or some may give others than foreseen.
fn needs_tail(subgraph: &Subgraph, ready: &[Ready]) -> bool {
    let read = OperatorKind::Builtin(BuiltinOperator::READ_VARIABLE);
    ready.len() < subgraph.operators.len()
        || ready.iter().any(|ready| ready.control.is_some())
        || subgraph.operators.iter().any(|o| o.kind == read)
}

/// The byte a variable is filled with at first: its zero point where it is int8, otherwise zero, as TFLite's
/// `ResetVariableTensors` does.
fn variable_fill(subgraph: &Subgraph, tensor: usize) -> u8 {
    let declared = &subgraph.tensors[tensor];
    match (declared.ty, declared.quantization.as_deref()) {
        (TensorType::Int8, Some(q)) => {
            i8::try_from(q.zero_point()).map_or(0, |zero_point| zero_point.to_ne_bytes()[0])
        }
        _ => 0,
    }
}
