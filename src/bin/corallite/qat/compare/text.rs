//! The report for terminals.

use super::{conclusion, paired_by, partner, remarks};
use crate::table::{Align, Table};
use corallite::oracle::compare::{Comparison, Dump, Layer, Statistics, Verdict};
use std::fmt::Write;

pub fn report(dump: &Dump, comparison: &Comparison, local: bool) -> String {
    let mut text = String::new();
    let mut table = Table::new(&[
        ("op", Align::Right),
        ("kind", Align::Left),
        ("tensor", Align::Left),
        ("array", Align::Left),
        ("by", Align::Left),
        ("differ", Align::Right),
        ("max", Align::Right),
        ("mean", Align::Right),
        ("SQNR dB", Align::Right),
        ("sat", Align::Right),
        ("codes", Align::Right),
        ("local differ", Align::Right),
        ("max", Align::Right),
        ("of bound", Align::Right),
        ("verdict", Align::Left),
    ]);
    for layer in &comparison.layers {
        let by = paired_by(layer);
        table.row([
            layer.operator.to_string(),
            layer.kind.to_string(),
            layer.name.clone(),
            partner(layer, dump),
            by.split(' ').next().unwrap_or_default().to_owned(),
            of(&layer.cumulative, |s| percent(s.fraction_differing())),
            of(&layer.cumulative, |s| lsb(s.max)),
            of(&layer.cumulative, |s| format!("{:+.3}", s.mean())),
            of(&layer.cumulative, |s| format!("{:.1}", s.sqnr_db())),
            of(&layer.cumulative, |s| {
                percent(s.fraction_saturated_low() + s.fraction_saturated_high())
            }),
            of(&layer.cumulative, |s| s.codes_used().to_string()),
            of(&layer.local, |s| percent(s.fraction_differing())),
            of(&layer.local, |s| lsb(s.max)),
            bound(layer),
            verdict(layer),
        ]);
    }
    table.render(&mut text);
    let _ = writeln!(
        text,
        "\n{} inference(s). differ, max, mean: codes against training's values in LSB, with all differences before them. \
         local: with training's own inputs. of bound: the largest distance from the real number over what rounding explains.",
        comparison.inferences
    );
    if local {
        histograms(comparison, &mut text);
    }
    for remark in remarks(dump, comparison) {
        let _ = writeln!(text, "note: {remark}");
    }
    let _ = writeln!(text, "{}", conclusion(comparison));
    text
}

/// A cell, or a dash where nothing was seen.
fn of(statistics: &Statistics, cell: impl Fn(&Statistics) -> String) -> String {
    match statistics.count {
        0 => "-".to_owned(),
        _ => cell(statistics),
    }
}

fn percent(fraction: f64) -> String {
    format!("{:.2} %", 100.0 * fraction)
}

fn lsb(value: f64) -> String {
    format!("{value:.1}")
}

fn bound(layer: &Layer) -> String {
    match layer.bound {
        Some(_) if layer.local.count > 0 => format!("{:.4}", layer.largest_ratio),
        _ => "-".to_owned(),
    }
}

fn verdict(layer: &Layer) -> String {
    match layer.verdict {
        Verdict::Unexplained => format!("UNEXPLAINED ({})", layer.unexplained),
        verdict => verdict.to_string(),
    }
}

/// The local differences of each layer, counted from -8 to 8 LSB.
fn histograms(comparison: &Comparison, text: &mut String) {
    let _ = writeln!(
        text,
        "local differences, elements by LSB from -8 or less to 8 or more:"
    );
    for layer in comparison
        .layers
        .iter()
        .filter(|layer| layer.local.count > 0)
    {
        let counts: Vec<String> = layer.local.histogram.iter().map(u64::to_string).collect();
        let name = crate::output::one_line(&layer.name);
        let _ = writeln!(text, "  {:>3} {name}: {}", layer.operator, counts.join(" "));
    }
}
