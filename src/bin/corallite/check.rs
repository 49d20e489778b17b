//! `corallite check`: every finding on a model, before anything runs.

use crate::failure::Failure;
use crate::output::{one_line, print};
use crate::table::{Align, Table};
use corallite::model::{Candidate, Finding, LoadError, Report, Severity};
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
    let missing = ops::check_graph(candidate.graph(), &mut report);
    report.sort();
    let text = if as_json {
        format!("{:#}\n", to_json(model, &candidate, &report, &missing))
    } else {
        to_text(&candidate, &report, &missing)
    };
    print(&text)?;
    Ok(!report.has_errors())
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
fn count(report: &Report, severity: Severity) -> usize {
    report.of(severity).count()
}

fn to_text(candidate: &Candidate, report: &Report, missing: &[MissingOperator]) -> String {
    let mut text = String::new();
    for finding in report.findings() {
        let _ = writeln!(text, "{}", one_line(&finding.to_string()));
    }
    if !missing.is_empty() {
        let _ = writeln!(text, "operators without a kernel here:");
        let mut table = Table::new(&[("operator", Align::Left), ("count", Align::Right)]);
        for operator in missing {
            table.row([types_of(operator), operator.count.to_string()]);
        }
        table.render(&mut text);
    }
    let operators: usize = operator_count(candidate);
    let _ = writeln!(
        text,
        "{} error(s), {} warning(s), {} of {operators} operator(s) without a kernel here",
        count(report, Severity::Error),
        count(report, Severity::Warning),
        missing.iter().map(|m| m.count).sum::<usize>(),
    );
    text
}

/// An operator's kind, version and types: `ADD version 2 (int8, int8) -> (int8)`.
fn types_of(operator: &MissingOperator) -> String {
    let mut one = operator.clone();
    one.count = 1;
    one.to_string()
}

fn operator_count(candidate: &Candidate) -> usize {
    let subgraphs = candidate.graph().subgraphs();
    subgraphs.iter().map(|s| s.operators.len()).sum()
}

fn to_json(
    model: &Path,
    candidate: &Candidate,
    report: &Report,
    missing: &[MissingOperator],
) -> Value {
    let findings: Vec<Value> = report.findings().iter().map(finding_json).collect();
    json!({
        "model": model.to_string_lossy(),
        "findings": findings,
        "operators_without_kernel": missing.iter().map(missing_json).collect::<Vec<_>>(),
        "summary": {
            "errors": count(report, Severity::Error),
            "warnings": count(report, Severity::Warning),
            "operators": operator_count(candidate),
            "operators_without_kernel": missing.iter().map(|m| m.count).sum::<usize>(),
        },
    })
}

fn finding_json(finding: &Finding) -> Value {
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
