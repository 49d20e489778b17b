//! The report for terminals.

use super::{Options, conclusion, given, remarks};
use crate::output::one_line;
use crate::table::{Align, Table};
use corallite::oracle::compare::Statistics;
use corallite::oracle::diff::{Difference, LayerDifference, Reason};
use std::fmt::Write;

pub fn report(options: &Options, difference: &Difference) -> String {
    let mut text = String::new();
    for (side, file, profile) in [
        ("A", &options.a, options.profile_a),
        ("B", &options.b, options.profile_b),
    ] {
        let file = one_line(&file.display().to_string());
        let _ = writeln!(text, "{side}: {file}, {profile}");
    }
    let inferences = difference.inferences;
    let given = one_line(&given(&options.inputs));
    let _ = writeln!(text, "{inferences} inference(s) on {given}\n");
    let mut table = Table::new(&[
        ("op", Align::Right),
        ("kind", Align::Left),
        ("tensor", Align::Left),
        ("in B", Align::Left),
        ("codes", Align::Right),
        ("differ", Align::Right),
        ("max", Align::Right),
        ("mean", Align::Right),
        ("own differ", Align::Right),
        ("own max", Align::Right),
    ]);
    for layer in &difference.layers {
        table.row([
            layer.operator.to_string(),
            layer.kind.to_string(),
            layer.name.clone(),
            partner(layer),
            of(&layer.all, |s| s.count.to_string()),
            of(&layer.all, |s| s.differing.to_string()),
            of(&layer.all, |s| format!("{:.1}", s.max)),
            of(&layer.all, |s| format!("{:+.4}", s.mean())),
            of(&layer.own, |s| s.differing.to_string()),
            of(&layer.own, |s| format!("{:.1}", s.max)),
        ]);
    }
    table.render(&mut text);
    text.push('\n');
    reasons(difference, &mut text);
    for remark in remarks(difference) {
        let _ = writeln!(text, "note: {remark}");
    }
    let _ = writeln!(text, "{}", conclusion(difference));
    text
}

/// The partner, short where it is found where one looks for it.
fn partner(layer: &LayerDifference) -> String {
    match &layer.partner {
        Ok((operator, name)) if *operator == layer.operator && *name == layer.name => "same".into(),
        Ok((operator, name)) => format!("{operator} {name}"),
        Err(reason) => reason.to_string(),
    }
}

/// A cell, or a dash where nothing was seen.
fn of(statistics: &Statistics, cell: impl Fn(&Statistics) -> String) -> String {
    match statistics.count {
        0 => "-".to_owned(),
        _ => cell(statistics),
    }
}

/// The reasons, each with all operators that have it. Parameters of a tensor are told once, where it is computed.
fn reasons(difference: &Difference, text: &mut String) {
    let mut groups: Vec<(String, Vec<String>)> = Vec::new();
    let mut results: Vec<&str> = Vec::new();
    for layer in difference.layers.iter().filter(|l| !l.reasons.is_empty()) {
        let reasons = layer.reasons.iter().map(|reason| match reason {
            Reason::Quantization { role, name, .. } if results.contains(&name.as_str()) => {
                format!("parameters of the {role} {name:?}, see above")
            }
            reason => reason.to_string(),
        });
        let reasons = reasons.collect::<Vec<_>>().join("; ");
        results.push(&layer.name);
        let operator = layer.operator.to_string();
        match groups.iter_mut().find(|(of, _)| *of == reasons) {
            Some((_, operators)) => operators.push(operator),
            None => groups.push((reasons, vec![operator])),
        }
    }
    for (reasons, operators) in groups {
        let _ = writeln!(
            text,
            "operator {}: {}",
            operators.join(", "),
            one_line(&reasons)
        );
    }
}
