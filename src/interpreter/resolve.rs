//! Which kernel or delegate runs each operator, and whether its quantization parameters allow it.

use super::error::BuildError;
use super::runtime::Runtime;
use crate::delegate::Delegate;
use crate::model::{Graph, Report};
use crate::ops::{FileTensors, MissingOperator, Node, OpDef, count_missing, registry};

/// What runs an operator.
#[derive(Clone, Copy)]
pub(super) enum Runner {
    /// This crate's kernel.
    Kernel(&'static OpDef),
    /// The delegate with this number.
    Delegate(usize),
}

/// Finds what runs the operators of a subgraph and of those it runs, and judges their quantization parameters.
///
/// # Errors
/// All operators that nothing runs, or all findings.
pub(super) fn resolve(runtime: &mut Runtime, entry: usize) -> Result<(), BuildError> {
    let model = runtime.model.clone();
    let graph = model.graph();
    let mut found = Vec::new();
    let mut missing = Vec::new();
    for index in reachable(graph, entry) {
        if runtime.runners[index].is_none() {
            let runners = find_runners(graph, index, &runtime.delegates, &mut missing);
            found.push((index, runners));
        }
    }
    if !missing.is_empty() {
        return Err(BuildError::MissingOperators { operators: missing });
    }
    let mut report = Report::errors_only();
    for (index, runners) in &found {
        check_operators(graph, *index, runners, &mut report);
    }
    if report.has_errors() {
        return Err(BuildError::Verify { report });
    }
    for (index, runners) in found {
        runtime.runners[index] = Some(runners);
    }
    Ok(())
}

/// A subgraph and those it runs, directly or through others.
fn reachable(graph: &Graph, entry: usize) -> Vec<usize> {
    let mut is_found = vec![false; graph.subgraphs().len()];
    let mut found = vec![entry];
    is_found[entry] = true;
    let mut next = 0;
    while let Some(&index) = found.get(next) {
        next += 1;
        let operators = &graph.subgraphs()[index].operators;
        for &callee in operators.iter().flat_map(|operator| &operator.calls) {
            if !std::mem::replace(&mut is_found[callee], true) {
                found.push(callee);
            }
        }
    }
    found
}

/// What runs each operator that something runs; the others are entered in `missing`.
fn find_runners(
    graph: &Graph,
    index: usize,
    delegates: &[Box<dyn Delegate>],
    missing: &mut Vec<MissingOperator>,
) -> Vec<Runner> {
    let subgraph = &graph.subgraphs()[index];
    let known = FileTensors(graph, subgraph);
    let mut runners = Vec::with_capacity(subgraph.operators.len());
    for number in 0..subgraph.operators.len() {
        let node = Node::new(graph, index, number, &known).expect("operators were counted");
        let delegate = delegates.iter().position(|delegate| delegate.claims(&node));
        let runner = delegate
            .map(Runner::Delegate)
            .or(registry::find(&node).map(Runner::Kernel));
        match runner {
            Some(runner) => runners.push(runner),
            None => count_missing(missing, &node),
        }
    }
    runners
}

/// Reports quantization parameters that make an operator's arithmetic meaningless.
fn check_operators(graph: &Graph, index: usize, runners: &[Runner], report: &mut Report) {
    let known = FileTensors(graph, &graph.subgraphs()[index]);
    for (number, runner) in runners.iter().enumerate() {
        let Runner::Kernel(def) = runner else {
            continue;
        };
        let node = Node::new(graph, index, number, &known).expect("operators were counted");
        (def.check)(&node, report);
    }
}
