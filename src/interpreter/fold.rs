//! Operators on constants are computed once, when a program is built.

use super::arena::Arena;
use super::error::BuildError;
use super::known::{Known, words};
use super::runtime::Runtime;
use crate::ops::{KernelIo, KnownTensors, Operand, Place, Prepared, StepOperands};

/// Computes an operator whose operands are all constants, once, and keeps the results. Returns their bytes, which are
/// taken from the memory that is left.
pub(super) fn fold(
    runtime: &mut Runtime,
    known: &mut Known<'_>,
    number: usize,
    prepared: &Prepared,
) -> Result<usize, BuildError> {
    let operator = &known.subgraph.operators[number];
    let mut operands = StepOperands {
        inputs: known.inputs(number, &[]),
        ..StepOperands::default()
    };
    // Results and scratch side by side in an arena of their own, for as long as this takes.
    let mut end: usize = 0;
    let mut take = |bytes: usize| {
        let start = end;
        end = start.saturating_add(bytes).saturating_add(15) & !15;
        start..start.saturating_add(bytes)
    };
    let mut kept = 0;
    for &tensor in &operator.outputs {
        let bytes = known.bytes(tensor)?;
        kept += bytes;
        operands.outputs.push(Operand {
            tensor,
            shape: known.shapes[tensor],
            place: Place::Arena(take(bytes)),
        });
    }
    for &bytes in &prepared.scratch {
        operands.scratch.push(take(bytes));
    }
    let before = runtime.memory;
    runtime.memory.take(end)?;
    runtime.memory = before;
    runtime.memory.take(kept)?;
    let mut arena = Arena::new(end);
    let constant_error = |source| BuildError::Constant {
        subgraph: known.index,
        operator: number,
        kind: operator.kind.clone(),
        source,
    };
    match &prepared.kernel {
        Some(kernel) => {
            let tensors = &known.subgraph.tensors;
            let mut io = KernelIo::new(
                known.graph,
                tensors,
                &operands,
                &known.constants,
                &runtime.workers,
                arena.bytes_mut(),
            );
            kernel.eval(&mut io).map_err(constant_error)?;
        }
        None => {
            if let (Some(&Some(from)), Some(to)) =
                (operator.inputs.first(), operands.outputs.first())
                && let (Some(bytes), Place::Arena(range)) = (known.constant(from), &to.place)
                && let Some(to) = arena.bytes_mut().get_mut(range.clone())
            {
                to.copy_from_slice(&bytes[..to.len()]);
            }
        }
    }
    for output in &operands.outputs {
        let Place::Arena(range) = &output.place else {
            continue;
        };
        known.folded[output.tensor] = Some(known.constants.len());
        known.constants.push(words(&arena.bytes()[range.clone()]));
    }
    Ok(kept)
}
