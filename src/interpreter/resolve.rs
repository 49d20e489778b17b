//! Which kernel or delegate runs each operator, and whether its quantization parameters allow it.

use super::error::{BuildError, MissingOperator};
use crate::delegate::Delegate;
use crate::model::{Graph, Operator, Report, Subgraph};
use crate::ops::{FileTensors, Node, OpDef, registry};

/// What runs an operator.
#[derive(Clone, Copy)]
pub(super) enum Runner {
    /// This crate's kernel.
    Kernel(&'static OpDef),
    /// The delegate with this number.
    Delegate(usize),
}

/// What runs each operator, or all operators that nothing runs.
pub(super) fn find_runners(
    graph: &Graph,
    index: usize,
    delegates: &[Box<dyn Delegate>],
) -> Result<Vec<Runner>, BuildError> {
    let subgraph = &graph.subgraphs()[index];
    let known = FileTensors(graph, subgraph);
    let mut runners = Vec::with_capacity(subgraph.operators.len());
    let mut missing: Vec<MissingOperator> = Vec::new();
    for (number, operator) in subgraph.operators.iter().enumerate() {
        let node = Node::new(graph, index, number, &known).expect("operators were counted");
        let delegate = delegates.iter().position(|delegate| delegate.claims(&node));
        let runner = delegate
            .map(Runner::Delegate)
            .or(registry::find(&node).map(Runner::Kernel));
        if let Some(runner) = runner {
            runners.push(runner);
            continue;
        }
        let found = missing_operator(subgraph, operator);
        match missing.iter_mut().find(|other| {
            (&other.kind, other.version, &other.inputs, &other.outputs)
                == (&found.kind, found.version, &found.inputs, &found.outputs)
        }) {
            Some(other) => other.count += 1,
            None => missing.push(found),
        }
    }
    if missing.is_empty() {
        Ok(runners)
    } else {
        Err(BuildError::MissingOperators { operators: missing })
    }
}

fn missing_operator(subgraph: &Subgraph, operator: &Operator) -> MissingOperator {
    let ty = |&tensor: &usize| subgraph.tensors[tensor].ty;
    MissingOperator {
        kind: operator.kind.clone(),
        version: operator.version,
        inputs: operator.inputs.iter().flatten().map(ty).collect(),
        outputs: operator.outputs.iter().map(ty).collect(),
        count: 1,
    }
}

/// Refuses quantization parameters that make an operator's arithmetic meaningless.
pub(super) fn check_operators(
    graph: &Graph,
    index: usize,
    runners: &[Runner],
) -> Result<(), BuildError> {
    let known = FileTensors(graph, &graph.subgraphs()[index]);
    let mut report = Report::errors_only();
    for (number, runner) in runners.iter().enumerate() {
        let Runner::Kernel(def) = runner else {
            continue;
        };
        let node = Node::new(graph, index, number, &known).expect("operators were counted");
        (def.check)(&node, &mut report);
    }
    if report.has_errors() {
        return Err(BuildError::Verify { report });
    }
    Ok(())
}
