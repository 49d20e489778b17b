//! Which kernel or delegate runs each operator, and whether its quantization parameters allow it.

use super::error::BuildError;
use crate::delegate::Delegate;
use crate::model::{Graph, Report};
use crate::ops::{FileTensors, Node, OpDef, count_missing, registry};

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
    let mut missing = Vec::new();
    for number in 0..subgraph.operators.len() {
        let node = Node::new(graph, index, number, &known).expect("operators were counted");
        let delegate = delegates.iter().position(|delegate| delegate.claims(&node));
        let runner = delegate
            .map(Runner::Delegate)
            .or(registry::find(&node).map(Runner::Kernel));
        if let Some(runner) = runner {
            runners.push(runner);
            continue;
        }
        count_missing(&mut missing, &node);
    }
    if missing.is_empty() {
        Ok(runners)
    } else {
        Err(BuildError::MissingOperators { operators: missing })
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
