//! Gives every tensor its place in the arena and turns prepared operators into steps.

use super::arena::Arena;
use super::build::check_limit;
use super::builder::InterpreterBuilder;
use super::error::BuildError;
use super::invoke::{Interpreter, Step, Variable};
use super::known::Known;
use crate::model::Subgraph;
use crate::ops::{Prepared, StepOperands};
use crate::plan::{Allocation, Lifetimes, layout};
use crate::tensor::TensorType;

/// Gives every computed tensor its place and turns prepared operators into steps.
pub(super) fn lay_out(
    builder: InterpreterBuilder,
    known: Known<'_>,
    prepared: Vec<(Prepared, bool)>,
    folded_bytes: usize,
) -> Result<Interpreter, BuildError> {
    let subgraph = known.subgraph;
    let end = subgraph.operators.len();
    let mut lives = Lifetimes::new(subgraph.tensors.len());
    // The caller's inputs keep their values for the next inference, as variables do.
    let kept = (0..subgraph.tensors.len()).filter(|&t| subgraph.tensors[t].is_variable);
    for tensor in subgraph.inputs.iter().copied().chain(kept) {
        if !known.is_constant(tensor) {
            lives.touch(tensor, 0);
            lives.touch(tensor, end);
        }
    }
    let mut scratch = Vec::new();
    for (number, (ready, constant)) in prepared.iter().enumerate() {
        if *constant {
            continue;
        }
        let operator = &subgraph.operators[number];
        for &tensor in operator
            .inputs
            .iter()
            .flatten()
            .filter(|&&t| !known.is_constant(t))
        {
            lives.touch(tensor, number);
        }
        if ready.kernel.is_none()
            && let (Some(&Some(from)), Some(&to)) =
                (operator.inputs.first(), operator.outputs.first())
        {
            lives.share(to, from);
        }
        for &tensor in &operator.outputs {
            lives.touch(tensor, number);
        }
        for &bytes in &ready.scratch {
            scratch.push((number, bytes));
        }
    }
    for &tensor in subgraph.outputs.iter().filter(|&&t| !known.is_constant(t)) {
        lives.touch(tensor, end);
    }

    let mut allocations = Vec::new();
    let owners: Vec<_> = lives.owners().collect();
    for &(tensor, life) in &owners {
        let bytes = known.bytes(tensor)?;
        allocations.push(Allocation { bytes, life });
    }
    for &(step, bytes) in &scratch {
        let life = crate::plan::Lifetime {
            first: step,
            last: step,
        };
        allocations.push(Allocation { bytes, life });
    }
    let too_large = BuildError::ArenaTooLarge {
        bytes: usize::MAX,
        limit: builder.arena_limit,
    };
    let plan = layout(&allocations).ok_or(too_large)?;
    check_limit(plan.bytes.saturating_add(folded_bytes), builder.arena_limit)?;

    let mut owner_offset = vec![None; subgraph.tensors.len()];
    for (&(tensor, _), &offset) in owners.iter().zip(&plan.offsets) {
        owner_offset[tensor] = Some(offset);
    }
    let offsets: Vec<Option<usize>> = (0..subgraph.tensors.len())
        .map(|tensor| owner_offset[lives.owner(tensor)])
        .collect();
    let mut scratch_offsets = plan.offsets[owners.len()..].iter();

    let operand = |&tensor: &usize| known.operand(tensor, &offsets);
    let mut steps = Vec::with_capacity(prepared.len());
    for (number, (ready, constant)) in prepared.into_iter().enumerate() {
        let operator = &subgraph.operators[number];
        let mut ranges = Vec::new();
        if !constant {
            for &bytes in &ready.scratch {
                let &offset = scratch_offsets
                    .next()
                    .expect("one offset per scratch buffer");
                ranges.push(offset..offset + bytes);
            }
        }
        steps.push(Step {
            operator: number,
            operands: StepOperands {
                inputs: known.inputs(number, &offsets),
                outputs: operator.outputs.iter().map(operand).collect(),
                scratch: ranges,
            },
            kernel: ready.kernel.filter(|_| !constant),
            constant,
            work: ready.work,
        });
    }
    let variables = (0..subgraph.tensors.len())
        .filter(|&t| subgraph.tensors[t].is_variable && offsets[t].is_some())
        .map(|t| Variable {
            operand: operand(&t),
            fill: variable_fill(subgraph, t),
        })
        .collect();
    let mut interpreter = Interpreter {
        inputs: subgraph.inputs.iter().map(operand).collect(),
        outputs: subgraph.outputs.iter().map(operand).collect(),
        steps,
        variables,
        arena: Arena::new(plan.bytes),
        arena_bytes: plan.bytes,
        folded: known.constants,
        settings: builder.settings,
        model: builder.model.clone(),
    };
    interpreter.reset();
    Ok(interpreter)
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
