//! A model held to the rules, before it runs anywhere: what is wrong, what is wasted, what an Edge TPU cannot take.
//!
//! The rules are those of [`model::rules`](crate::model::rules), with the findings of loading and of the operators' own
//! checks among them. Nothing runs and no data is needed: weights, scales and the graph are enough to say which codes a
//! range wastes. Which codes real inputs use is the affair of `oracle::compare`.
//!
//! | file | content |
//! | --- | --- |
//! | `ranges.rs` | the values that can occur, and the codes that cannot |
//! | `floats.rs` | float operators between quantized ones |
//! | `edge_tpu.rs` | [`Mapping`]: which operators an Edge TPU takes, and where the graph is cut |
//! | `conditions.rs` | the Edge TPU compiler's conditions, operator by operator |

mod conditions;
mod edge_tpu;
mod floats;
mod ranges;

pub use edge_tpu::{Mapping, Place};

use crate::model::{Candidate, EDGE_TPU_OPERATOR, Finding, Graph, Location, Report, Rule};
use crate::ops::{self, FileTensors, MissingOperator, Node};

/// What is known of a model without running it.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Lint {
    /// Every finding, in file order.
    pub report: Report,
    /// Operators that have no kernel here and are not the Edge TPU's; no rule looked at them.
    pub missing: Vec<MissingOperator>,
    /// What an Edge TPU would take, where that was asked for.
    pub edge_tpu: Option<Mapping>,
}

/// Holds a model to the rules of all stages; to those of the Edge TPU with `edge_tpu`.
///
/// ```no_run
/// use corallite::model::Candidate;
/// use corallite::oracle::lint::lint;
///
/// let lint = lint(&Candidate::from_file("model.tflite")?, true);
/// for finding in lint.report.findings() {
///     println!("{finding}");
/// }
/// # Ok::<(), corallite::model::LoadError>(())
/// ```
pub fn lint(candidate: &Candidate, edge_tpu: bool) -> Lint {
    let graph = candidate.graph();
    let mut report = candidate.report().clone();
    let mut missing = ops::check_graph(graph, &mut report);
    missing.retain(|operator| operator.kind.to_string() != EDGE_TPU_OPERATOR);
    for subgraph in 0..graph.subgraphs().len() {
        ranges::check(graph, subgraph, &mut report);
        floats::check(graph, subgraph, &mut report);
    }
    let edge_tpu = edge_tpu.then(|| Mapping::of(graph, &mut report));
    report.sort();
    Lint {
        report,
        missing,
        edge_tpu,
    }
}

/// The operators of a subgraph in execution order, as rules see them.
fn nodes<'a>(
    graph: &'a Graph,
    subgraph: usize,
    known: &'a FileTensors<'a>,
) -> impl Iterator<Item = Node<'a>> {
    let count = graph.subgraphs()[subgraph].operators.len();
    (0..count).filter_map(move |index| Node::new(graph, subgraph, index, known))
}

/// Adds a finding about operator `node`, and about a tensor around it.
fn report(
    node: &Node<'_>,
    tensor: Option<usize>,
    rule: &'static Rule,
    found: String,
    expected: impl Into<String>,
    to: &mut Report,
) {
    let (subgraph, operator) = node.place();
    let named = |index: usize| {
        let tensor = &node.subgraph().tensors[index];
        (index, node.graph().tensor_name(tensor).to_owned())
    };
    let location = Location {
        subgraph,
        operator: Some((operator, node.operator().kind.to_string())),
        tensor: tensor.map(named),
    };
    to.push(Finding::new(rule, location, found, expected.into()));
}
