//! Which rows of the registry the vectors exercise.

use super::archive::{Answer, Archive, Case};
use corallite::model::{Candidate, Graph};
use corallite::ops::registry::{self, OPERATORS};
use corallite::ops::{FileTensors, Node, OpDef, TypeRow};
use corallite::tensor::TensorType;
use std::collections::HashSet;

/// The rows that no case with expected outputs reaches, as `OPERATOR (operands) -> (results)`.
pub fn rows_without_vectors(archives: &[Archive]) -> Vec<String> {
    let mut covered = HashSet::new();
    for case in archives.iter().flat_map(|archive| &archive.cases) {
        let has_outputs = case.answers.iter().any(|a| matches!(a, Answer::Outputs(_)));
        if let (true, Ok(candidate)) = (has_outputs, Candidate::from_bytes(&case.model)) {
            enter_rows(candidate.graph(), &mut covered);
        }
    }
    let rows = OPERATORS.iter().flat_map(|def| rows(def, |_| true));
    rows.filter(|row| !covered.contains(row)).collect()
}

fn enter_rows(graph: &Graph, covered: &mut HashSet<String>) {
    for (index, subgraph) in graph.subgraphs().iter().enumerate() {
        let known = FileTensors(graph, subgraph);
        let nodes = (0..subgraph.operators.len())
            .filter_map(|number| Node::new(graph, index, number, &known));
        for node in nodes {
            if let Some(def) = registry::find(&node) {
                covered.extend(rows(def, |row| row.matches(&node)));
            }
        }
    }
}

/// The rows of an operator that `is_wanted` takes; its name alone where it takes any types.
fn rows(def: &OpDef, is_wanted: impl Fn(&TypeRow) -> bool) -> Vec<String> {
    if def.types.is_empty() {
        return vec![def.name.into()];
    }
    let rows = def.types.iter().filter(|row| is_wanted(row));
    rows.map(|row| row_text(def, row)).collect()
}

fn row_text(def: &OpDef, row: &TypeRow) -> String {
    format!(
        "{} ({}) -> ({})",
        def.name,
        list(row.inputs),
        list(row.outputs)
    )
}

fn list(types: &[TensorType]) -> String {
    let names: Vec<String> = types.iter().map(ToString::to_string).collect();
    names.join(", ")
}

/// The operator a case is about, with the types of its operands and results.
pub fn label(case: &Case) -> String {
    let operator = case.name.split('/').next().unwrap_or_default();
    let Ok(candidate) = Candidate::from_bytes(&case.model) else {
        return operator.into();
    };
    let subgraph = &candidate.graph().subgraphs()[0];
    let Some(node) = subgraph
        .operators
        .iter()
        .find(|o| o.kind.to_string() == operator)
    else {
        return operator.into();
    };
    let ty = |&tensor: &usize| subgraph.tensors[tensor].ty;
    let mut inputs: Vec<TensorType> = node.inputs.iter().flatten().map(ty).collect();
    if inputs.len() > 5 {
        // The types at their first occurrence tell enough of a long list.
        let mut seen = Vec::new();
        inputs.retain(|ty| {
            !seen.contains(ty) && {
                seen.push(*ty);
                true
            }
        });
    }
    let outputs: Vec<TensorType> = node.outputs.iter().map(ty).collect();
    format!("{operator} ({}) -> ({})", list(&inputs), list(&outputs))
}
