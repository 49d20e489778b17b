//! Operators on constants are computed once, when the interpreter is built.

use super::arena::Arena;
use super::build::check_limit;
use super::error::BuildError;
use super::known::Known;
use crate::ops::{KernelIo, KnownTensors, Operand, Place, Prepared, StepOperands};

/// Computes an operator whose operands are all constants, once, and keeps the results. Returns their bytes.
pub(super) fn fold(
    known: &mut Known<'_>,
    number: usize,
    prepared: &Prepared,
    limit: usize,
) -> Result<usize, BuildError> {
    let operator = &known.subgraph.operators[number];
    let mut operands = StepOperands {
        inputs: known.inputs(number, &[]),
        ..StepOperands::default()
    };
    // Results and scratch side by side in an arena of their own.
    let mut end: usize = 0;
    let mut take = |bytes: usize| {
        let start = end;
        end = start.saturating_add(bytes).saturating_add(15) & !15;
        check_limit(end, limit).map(|()| start..start + bytes)
    };
    for &tensor in &operator.outputs {
        operands.outputs.push(Operand {
            tensor,
            shape: known.shapes[tensor],
            place: Place::Arena(take(known.bytes(tensor)?)?),
        });
    }
    for &bytes in &prepared.scratch {
        operands.scratch.push(take(bytes)?);
    }
    let mut arena = Arena::new(end);
    let constant_error = |source| BuildError::Constant {
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
    let mut total = 0;
    for output in &operands.outputs {
        let Place::Arena(range) = &output.place else {
            continue;
        };
        let bytes = &arena.bytes()[range.clone()];
        let mut words = vec![0u64; bytes.len().div_ceil(8)].into_boxed_slice();
        bytemuck::cast_slice_mut::<u64, u8>(&mut words)[..bytes.len()].copy_from_slice(bytes);
        total += bytes.len();
        known.folded[output.tensor] = Some(known.constants.len());
        known.constants.push(words);
    }
    Ok(total)
}
