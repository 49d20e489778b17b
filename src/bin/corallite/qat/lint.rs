//! `corallite qat lint`: a model held to every rule.

use crate::check::{count, finding_json, findings_text, no_model, operator_count};
use crate::failure::Failure;
use crate::output::print;
use crate::table::{Align, Table};
use corallite::model::{Candidate, Severity};
use corallite::oracle::lint::{self, Lint, Mapping, Place};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::fmt::Write;
use std::path::PathBuf;
use std::process::ExitCode;

/// Options of `corallite qat lint`.
pub struct Options {
    /// The model file.
    pub model: PathBuf,
    /// Whether the rules of the Edge TPU count.
    pub edge_tpu: bool,
    /// Whether JSON is wanted.
    pub json: bool,
}

/// Prints all findings. Exit code 1 when one is an error.
pub fn lint(options: &Options) -> Result<ExitCode, Failure> {
    let candidate = match Candidate::from_file(&options.model) {
        Ok(candidate) => candidate,
        Err(source) => return Err(no_model(&options.model, source, options.json)),
    };
    let lint = lint::lint(&candidate, options.edge_tpu);
    let text = match options.json {
        true => format!("{:#}\n", to_json(options, &candidate, &lint)),
        false => to_text(&candidate, &lint),
    };
    print(&text)?;
    Ok(match lint.report.has_errors() {
        true => ExitCode::FAILURE,
        false => ExitCode::SUCCESS,
    })
}

fn to_text(candidate: &Candidate, lint: &Lint) -> String {
    let mut text = findings_text(&lint.report);
    if let Some(mapping) = &lint.edge_tpu {
        let mut table = Table::new(&[
            ("operator", Align::Left),
            ("count", Align::Right),
            ("status", Align::Left),
        ]);
        for ((operator, status), count) in statuses(candidate, mapping) {
            table.row([operator, count.to_string(), status.to_owned()]);
        }
        table.render(&mut text);
        let _ = writeln!(text, "{}", conclusion(candidate, mapping));
    }
    let _ = writeln!(
        text,
        "{} error(s), {} warning(s)",
        count(&lint.report, Severity::Error),
        count(&lint.report, Severity::Warning)
    );
    text
}

/// By kind of operator and where it would run, how many.
fn statuses(candidate: &Candidate, mapping: &Mapping) -> BTreeMap<(String, &'static str), usize> {
    let operators = &candidate.graph().subgraphs()[0].operators;
    let mut statuses = BTreeMap::new();
    for (operator, place) in operators.iter().zip(&mapping.places) {
        let status = match place {
            Place::EdgeTpu => "Edge TPU",
            Place::Uncertain => "Edge TPU, unless the compiler leaves out a RESIZE",
            Place::Cpu => "CPU: does not map",
            Place::BehindCut => "CPU: behind the cut",
        };
        *statuses
            .entry((operator.kind.to_string(), status))
            .or_default() += 1;
    }
    statuses
}

/// How much of the model an Edge TPU takes, in a line.
fn conclusion(candidate: &Candidate, mapping: &Mapping) -> String {
    if mapping.is_compiled {
        return "the model is compiled already: lint the one that it was compiled from".to_owned();
    }
    let (least, most) = mapping.mapped_operators;
    let mut text = format!(
        "Edge TPU: {} of {} operators",
        span(least, most),
        mapping.places.len()
    );
    if let Some((least, most)) = mapping.mapped_percent() {
        let span = span(format!("{least:.1}"), format!("{most:.1}"));
        let _ = write!(text, ", {span} % of the multiply-accumulates");
    } else if mapping.macs.is_none() {
        text += ", multiply-accumulates not counted: the model does not run here";
    }
    if let Some(cut) = mapping.cut {
        let kind = &candidate.graph().subgraphs()[0].operators[cut].kind;
        let _ = write!(text, "; the graph is cut at operator {cut} {kind}");
    }
    text
}

/// `least to most`, or one where they are the same.
fn span<T: PartialEq + std::fmt::Display>(least: T, most: T) -> String {
    match least == most {
        true => least.to_string(),
        false => format!("{least} to {most}"),
    }
}

fn to_json(options: &Options, candidate: &Candidate, lint: &Lint) -> Value {
    let findings: Vec<Value> = lint.report.findings().iter().map(finding_json).collect();
    let mapping = lint.edge_tpu.as_ref();
    json!({
        "model": options.model.to_string_lossy(),
        "findings": findings,
        "edge_tpu": mapping.map(mapping_json),
        "summary": {
            "errors": count(&lint.report, Severity::Error),
            "warnings": count(&lint.report, Severity::Warning),
            "operators": operator_count(candidate),
            "operators_without_kernel": lint.missing.iter().map(|m| m.count).sum::<usize>(),
        },
    })
}

fn mapping_json(mapping: &Mapping) -> Value {
    let places: Vec<&str> = mapping
        .places
        .iter()
        .map(|place| match place {
            Place::EdgeTpu => "edge_tpu",
            Place::Uncertain => "uncertain",
            Place::Cpu => "cpu",
            Place::BehindCut => "behind_cut",
        })
        .collect();
    let range = |least: Value, most: Value| json!({ "least": least, "most": most });
    let (least, most) = mapping.mapped_operators;
    json!({
        "places": places,
        "mapped_operators": range(least.into(), most.into()),
        "macs": mapping.macs,
        "mapped_macs": mapping.mapped_macs.map(|(l, m)| range(l.into(), m.into())),
        "mapped_percent": mapping.mapped_percent().map(|(l, m)| range(l.into(), m.into())),
        "cut": mapping.cut,
        "is_compiled": mapping.is_compiled,
    })
}
