//! Which operators of a graph have a kernel, and what the rules of those that have one say.

use super::{FileTensors, Node, registry};
use crate::model::{Graph, OperatorKind, Report};
use crate::tensor::TensorType;
use std::fmt;

/// An operator that has no kernel, with all its uses of the same types counted.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct MissingOperator {
    /// Which operator.
    pub kind: OperatorKind,
    /// Its version in the file.
    pub version: i32,
    /// Types of its operands, left-out ones excluded.
    pub inputs: Vec<TensorType>,
    /// Types of its results.
    pub outputs: Vec<TensorType>,
    /// How often the model uses it.
    pub count: usize,
}

impl fmt::Display for MissingOperator {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let list = |types: &[TensorType]| {
            types
                .iter()
                .map(ToString::to_string)
                .collect::<Vec<_>>()
                .join(", ")
        };
        write!(
            f,
            "{} version {} ({}) -> ({})",
            self.kind,
            self.version,
            list(&self.inputs),
            list(&self.outputs)
        )?;
        if self.count > 1 {
            write!(f, " x {}", self.count)?;
        }
        Ok(())
    }
}

/// Judges the quantization parameters of every operator that has a kernel, in every subgraph, and returns the operators
/// that have none.
///
/// Works on a graph whose tensors have findings of their own, so that all can be told at once.
///
/// ```no_run
/// use corallite::{model::Candidate, ops};
/// let candidate = Candidate::from_file("model.tflite")?;
/// let mut report = candidate.report().clone();
/// let missing = ops::check_graph(candidate.graph(), &mut report);
/// report.sort();
/// # Ok::<(), corallite::model::LoadError>(())
/// ```
pub fn check_graph(graph: &Graph, report: &mut Report) -> Vec<MissingOperator> {
    let mut missing = Vec::new();
    for (index, subgraph) in graph.subgraphs().iter().enumerate() {
        let known = FileTensors(graph, subgraph);
        let nodes = (0..subgraph.operators.len())
            .filter_map(|number| Node::new(graph, index, number, &known));
        for node in nodes {
            match registry::find(&node) {
                Some(def) => (def.check)(&node, report),
                None => count_missing(&mut missing, &node),
            }
        }
    }
    missing
}

/// Enters an operator without a kernel in a list: once per kind and types.
pub fn count_missing(list: &mut Vec<MissingOperator>, node: &Node<'_>) {
    let operator = node.operator();
    let tensors = &node.subgraph().tensors;
    let ty = |&tensor: &usize| tensors.get(tensor).map(|tensor| tensor.ty);
    let found = MissingOperator {
        kind: operator.kind.clone(),
        version: operator.version,
        inputs: operator.inputs.iter().flatten().filter_map(ty).collect(),
        outputs: operator.outputs.iter().filter_map(ty).collect(),
        count: 1,
    };
    let same = list.iter_mut().find(|other| {
        (&other.kind, other.version, &other.inputs, &other.outputs)
            == (&found.kind, found.version, &found.inputs, &found.outputs)
    });
    match same {
        Some(other) => other.count += 1,
        None => list.push(found),
    }
}
