//! From a model to steps and an arena: operators are matched, judged, prepared, folded and laid out, in this order.

use super::builder::InterpreterBuilder;
use super::error::BuildError;
use super::fold::fold;
use super::invoke::Interpreter;
use super::known::Known;
use super::lay_out::lay_out;
use super::resolve::{Runner, check_operators, find_runners};
use crate::delegate::DelegateError;
use crate::model::Subgraph;
use crate::ops::{Node, Prepared};
use crate::tensor::Shape;

pub(super) fn build(mut builder: InterpreterBuilder) -> Result<Interpreter, BuildError> {
    let model = builder.model.clone();
    let graph = model.graph();
    let index = 0;
    let subgraph = &graph.subgraphs()[index];
    let runners = find_runners(graph, index, &builder.delegates)?;
    check_operators(graph, index, &runners)?;

    let mut known = Known {
        graph,
        subgraph,
        shapes: input_shapes(subgraph, &builder.shapes)?,
        folded: vec![None; subgraph.tensors.len()],
        constants: Vec::new(),
    };
    let mut delegated = prepare_delegated(&mut builder, &known, &runners)?;
    let mut prepared = Vec::with_capacity(runners.len());
    let mut folded_bytes = 0;
    for (number, &runner) in runners.iter().enumerate() {
        let operator = &subgraph.operators[number];
        let node = Node::new(graph, index, number, &known).expect("operators were counted");
        let prepare_error = |source| BuildError::Prepare {
            operator: number,
            kind: operator.kind.clone(),
            source,
        };
        let ready = match (runner, delegated[number].take()) {
            (Runner::Kernel(def), _) => {
                (def.prepare)(&node, &builder.settings).map_err(prepare_error)?
            }
            (Runner::Delegate(_), Some(ready)) => ready.stateful(),
            (Runner::Delegate(_), None) => unreachable!("every claimed operator was prepared"),
        };
        for (&tensor, &shape) in operator.outputs.iter().zip(&ready.outputs) {
            known.shapes[tensor] = shape;
        }
        let constant = !ready.stateful
            && !operator.outputs.is_empty()
            && (ready.is_constant
                || operator
                    .inputs
                    .iter()
                    .flatten()
                    .all(|&tensor| known.is_constant(tensor)));
        if constant {
            folded_bytes += fold(&mut known, number, &ready, builder.arena_limit)?;
            check_limit(folded_bytes, builder.arena_limit)?;
        }
        prepared.push((ready, constant));
    }
    lay_out(builder, known, prepared, folded_bytes)
}

/// Refuses to take more memory than the caller allows.
pub(super) fn check_limit(bytes: usize, limit: usize) -> Result<(), BuildError> {
    if bytes > limit {
        return Err(BuildError::ArenaTooLarge { bytes, limit });
    }
    Ok(())
}

/// Lets each delegate prepare the operators it claimed, together. By operator.
fn prepare_delegated(
    builder: &mut InterpreterBuilder,
    known: &Known<'_>,
    runners: &[Runner],
) -> Result<Vec<Option<Prepared>>, BuildError> {
    let mut by_operator: Vec<Option<Prepared>> = runners.iter().map(|_| None).collect();
    for (number, delegate) in builder.delegates.iter_mut().enumerate() {
        let claimed: Vec<usize> = (0..runners.len())
            .filter(|&operator| matches!(runners[operator], Runner::Delegate(d) if d == number))
            .collect();
        if claimed.is_empty() {
            continue;
        }
        let nodes: Vec<Node<'_>> = claimed
            .iter()
            .filter_map(|&op| Node::new(known.graph, 0, op, known))
            .collect();
        let prepared = delegate
            .prepare(&nodes, &builder.settings)
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

/// The declared shapes with those that the caller gave in their place.
fn input_shapes(subgraph: &Subgraph, given: &[(usize, Shape)]) -> Result<Vec<Shape>, BuildError> {
    let mut shapes: Vec<Shape> = subgraph.tensors.iter().map(|tensor| tensor.shape).collect();
    for &(index, shape) in given {
        let count = subgraph.inputs.len();
        let &tensor = subgraph
            .inputs
            .get(index)
            .ok_or(BuildError::InputIndex { index, count })?;
        let declared = &subgraph.tensors[tensor];
        if shape.rank() != declared.shape.rank() {
            return Err(BuildError::InputShape {
                index,
                found: shape.into(),
                declared: declared.shape.into(),
            });
        }
        shapes[tensor] = shape;
    }
    Ok(shapes)
}
