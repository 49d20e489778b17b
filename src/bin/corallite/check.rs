//! `corallite check`: every finding on a model, before anything runs.

use crate::failure::Failure;
use crate::output::{one_line, print};
use crate::table::{Align, Table};
use corallite::delegate::EDGE_TPU_OPERATOR;
use corallite::model::{Candidate, Finding, Graph, LoadError, Report, Severity};
use corallite::ops::{self, MissingOperator};
use serde_json::{Value, json};
use std::fmt::Write;
use std::path::Path;

/// Prints all findings. True when none is an error.
pub fn check(model: &Path, as_json: bool) -> Result<bool, Failure> {
    let candidate = match Candidate::from_file(model) {
        Ok(candidate) => candidate,
        Err(source) => return Err(no_model(model, source, as_json)),
    };
    let mut report = candidate.report().clone();
    let lacking = Lacking::of(candidate.graph(), &mut report);
    report.sort();
    let text = if as_json {
        format!("{:#}\n", to_json(model, &candidate, &report, &lacking))
    } else {
        to_text(&candidate, &report, &lacking)
    };
    print(&text)?;
    Ok(!report.has_errors())
}

/// The operators that the library itself does not run.
pub struct Lacking {
    /// Those that nobody runs.
    pub missing: Vec<MissingOperator>,
    /// How many the Edge TPU runs.
    pub delegated: usize,
}

impl Lacking {
    /// Those of a graph, whose other operators are judged in `report`.
    pub fn of(graph: &Graph, report: &mut Report) -> Self {
        let (delegated, missing): (Vec<_>, Vec<_>) = ops::check_graph(graph, report)
            .into_iter()
            .partition(|operator| operator.kind.to_string() == EDGE_TPU_OPERATOR);
        Self {
            missing,
            delegated: count_of(&delegated),
        }
    }
}

fn count_of(operators: &[MissingOperator]) -> usize {
    operators.iter().map(|operator| operator.count).sum()
}

/// A file that cannot be read as a model: said on stderr and, where JSON is wanted, there too.
pub fn no_model(model: &Path, source: LoadError, as_json: bool) -> Failure {
    let failure = Failure::Load {
        model: model.to_owned(),
        source: Box::new(source),
    };
    if as_json {
        let error = json!({ "model": model.to_string_lossy(), "error": failure.to_string() });
        // The exit code tells of the failure, even where nobody reads this.
        let _ = print(&format!("{error:#}\n"));
    }
    failure
}

/// Findings by severity.
pub fn count(report: &Report, severity: Severity) -> usize {
    report.of(severity).count()
}

fn to_text(candidate: &Candidate, report: &Report, lacking: &Lacking) -> String {
    let mut text = findings_text(report);
    if !lacking.missing.is_empty() {
        let _ = writeln!(text, "operators without a kernel here:");
        let mut table = Table::new(&[("operator", Align::Left), ("count", Align::Right)]);
        for operator in &lacking.missing {
            table.row([types_of(operator), operator.count.to_string()]);
        }
        table.render(&mut text);
    }
    let operators: usize = operator_count(candidate);
    let _ = write!(
        text,
        "{} error(s), {} warning(s), {} of {operators} operator(s) without a kernel here",
        count(report, Severity::Error),
        count(report, Severity::Warning),
        count_of(&lacking.missing),
    );
    if lacking.delegated > 0 {
        let _ = write!(text, ", {} for the Edge TPU", lacking.delegated);
    }
    text.push('\n');
    text
}

/// A line per finding.
pub fn findings_text(report: &Report) -> String {
    let mut text = String::new();
    for finding in report.findings() {
        let _ = writeln!(text, "{}", one_line(&finding.to_string()));
    }
    text
}

/// An operator's kind, version and types: `ADD version 2 (int8, int8) -> (int8)`.
fn types_of(operator: &MissingOperator) -> String {
    let mut one = operator.clone();
    one.count = 1;
    one.to_string()
}

/// Operators of all subgraphs.
pub fn operator_count(candidate: &Candidate) -> usize {
    let subgraphs = candidate.graph().subgraphs();
    subgraphs.iter().map(|s| s.operators.len()).sum()
}

fn to_json(model: &Path, candidate: &Candidate, report: &Report, lacking: &Lacking) -> Value {
    let findings: Vec<Value> = report.findings().iter().map(finding_json).collect();
    json!({
        "model": model.to_string_lossy(),
        "findings": findings,
        "operators_without_kernel": lacking.missing.iter().map(missing_json).collect::<Vec<_>>(),
        "summary": {
            "errors": count(report, Severity::Error),
            "warnings": count(report, Severity::Warning),
            "operators": operator_count(candidate),
            "operators_without_kernel": count_of(&lacking.missing),
            "operators_for_edge_tpu": lacking.delegated,
        },
    })
}

/// A finding.
pub fn finding_json(finding: &Finding) -> Value {
    let place = |of: &Option<(usize, String)>| match of {
        Some((index, name)) => json!({ "index": index, "name": name }),
        None => Value::Null,
    };
    json!({
        "rule": finding.rule.id,
        "severity": finding.rule.severity.to_string(),
        "subgraph": finding.location.subgraph,
        "operator": place(&finding.location.operator),
        "tensor": place(&finding.location.tensor),
        "found": finding.found,
        "expected": finding.expected,
        "remedy": finding.rule.remedy,
    })
}

/// An operator without a kernel.
pub fn missing_json(operator: &MissingOperator) -> Value {
    let types = |types: &[corallite::tensor::TensorType]| -> Vec<String> {
        types.iter().map(ToString::to_string).collect()
    };
    json!({
        "operator": operator.kind.to_string(),
        "version": operator.version,
        "inputs": types(&operator.inputs),
        "outputs": types(&operator.outputs),
        "count": operator.count,
    })
}
