//! The report as a page of its own: a picture of the error by layer, a table, a histogram per layer.

use super::{conclusion, paired_by, partner, remarks};
use corallite::oracle::compare::{Comparison, Dump, Layer, Statistics, Verdict};
use std::fmt::Write;
use std::path::Path;

const STYLE: &str = "\
body{font:15px/1.45 system-ui,sans-serif;margin:2em auto;max-width:92em;padding:0 1em;color:#1c2733;background:#fff}
h1,p,b{overflow-wrap:anywhere}h1{font-size:1.4em}h2{font-size:1.1em;margin-top:2em}
table{border-collapse:collapse;font-size:.86em}
th,td{padding:.3em .5em;text-align:right;border-bottom:1px solid #dde3ea;white-space:nowrap;vertical-align:top}
th{background:#f4f6f9}th.g{text-align:center;border-left:2px solid #fff}td.g{border-left:1px solid #dde3ea}
td.l,th.l{text-align:left}td.n{min-width:17em;max-width:26em;white-space:normal;overflow-wrap:anywhere}
small{display:block;color:#5b6877}
.exact{color:#1a7f4b}.explained{color:#2563a8}.unexplained{color:#fff;background:#c0392b;font-weight:600}
.none{color:#5b6877}.box{padding:.8em 1em;border-left:4px solid #1a7f4b;background:#f0f8f3}
.box.bad{border-color:#c0392b;background:#fdf1ef}.box.note{border-color:#b7791f;background:#fdf7ea}.scroll{overflow-x:auto}
.cards{display:flex;flex-wrap:wrap;gap:1em}.card{border:1px solid #dde3ea;border-radius:6px;padding:.6em .8em}
.card b{display:block;max-width:17em;font-size:.86em}
svg text{font:11px system-ui,sans-serif;fill:#44515e}";

pub fn page(model: &Path, archive: &Path, dump: &Dump, comparison: &Comparison) -> String {
    let mut page = String::new();
    let is_bad = comparison.first_unexplained.is_some();
    let _ = write!(
        page,
        "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">\
         <meta name=\"viewport\" content=\"width=device-width\"><title>{title}</title>\
         <style>{STYLE}</style></head><body>\n<h1>{title}</h1>\n<p>Training's values: {archive}, {n} inference(s). All \
         differences in LSB, one step of the tensor's scale.</p>\n<p class=\"box{bad}\">{conclusion}</p>\n",
        title = escape(&format!("{} beside its training", model.display())),
        archive = escape(&archive.display().to_string()),
        n = comparison.inferences,
        bad = if is_bad { " bad" } else { "" },
        conclusion = escape(&conclusion(comparison)),
    );
    for remark in remarks(dump, comparison) {
        let _ = writeln!(page, "<p class=\"box note\">{}</p>", escape(&remark));
    }
    page.push_str("<h2>Error by layer</h2>\n");
    chart(comparison, &mut page);
    page.push_str("<h2>Layers</h2>\n");
    table(dump, comparison, &mut page);
    page.push_str("<h2>Local differences</h2>\n<p>On training's own inputs, elements by LSB.</p>\n<div class=\"cards\">\n");
    for layer in comparison.layers.iter().filter(|l| l.local.count > 0) {
        card(layer, &mut page);
    }
    page.push_str("</div>\n</body></html>\n");
    page
}

/// Text with the characters that mean something in HTML written out.
fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            _ => escaped.push(c),
        }
    }
    escaped
}

fn class(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Exact => "exact",
        Verdict::Explained => "explained",
        Verdict::Unexplained => "unexplained",
        Verdict::NotJudged => "none",
    }
}

/// Two bars a layer on a logarithmic scale: root mean square of cumulative and of local differences.
fn chart(comparison: &Comparison, page: &mut String) {
    const LEFT: f64 = 46.0;
    const HEIGHT: f64 = 220.0;
    const STEP: f64 = 26.0;
    /// Width of the line below the picture.
    const LEGEND: f64 = 600.0;
    /// Powers of ten shown, from 0.01 to 1000 LSB.
    const DECADES: f64 = 5.0;
    let layers: Vec<&Layer> = comparison
        .layers
        .iter()
        .filter(|layer| layer.cumulative.count > 0)
        .collect();
    let width = (LEFT + STEP * layers.len() as f64 + 20.0).max(LEFT + LEGEND);
    let y = |rms: f64| {
        let decades = (rms.max(0.01).log10() + 2.0).min(DECADES);
        HEIGHT - HEIGHT * decades / DECADES
    };
    let _ = write!(
        page,
        "<div class=\"scroll\"><svg role=\"img\" aria-label=\"error by layer\" width=\"{width}\" height=\"{}\" \
         viewBox=\"0 -8 {width} {}\">",
        HEIGHT + 62.0,
        HEIGHT + 62.0
    );
    for power in -2..=3 {
        let value = 10f64.powi(power);
        let at = y(value);
        let _ = write!(
            page,
            "<line x1=\"{LEFT}\" x2=\"{width}\" y1=\"{at}\" y2=\"{at}\" stroke=\"#dde3ea\"/>\
             <text x=\"{}\" y=\"{}\" text-anchor=\"end\">{value}</text>",
            LEFT - 6.0,
            at + 4.0
        );
    }
    for (number, layer) in layers.iter().enumerate() {
        let x = LEFT + 6.0 + STEP * number as f64;
        let colour = match layer.verdict {
            Verdict::Unexplained => "#c0392b",
            _ => "#2563a8",
        };
        for (dx, fill, statistics) in [
            (0.0, "#b9c7d6", &layer.cumulative),
            (9.0, colour, &layer.local),
        ] {
            if statistics.count == 0 {
                continue;
            }
            let top = y(statistics.rms());
            let _ = write!(
                page,
                "<rect x=\"{}\" y=\"{top}\" width=\"8\" height=\"{}\" fill=\"{fill}\"><title>{}: {:.4} LSB rms</title></rect>",
                x + dx,
                HEIGHT - top,
                escape(&layer.name),
                statistics.rms()
            );
        }
        let _ = write!(
            page,
            "<text x=\"{}\" y=\"{}\" text-anchor=\"middle\">{}</text>",
            x + 8.0,
            HEIGHT + 16.0,
            layer.operator
        );
    }
    let _ = writeln!(
        page,
        "<text x=\"{LEFT}\" y=\"{}\">root mean square in LSB by operator: grey cumulative, blue local, red local and \
         unexplained</text></svg></div>",
        HEIGHT + 38.0
    );
}

/// The columns of numbers by group: of the layer alone, of the run as it is, of the tensor.
const COLUMNS: [(&str, &[&str]); 3] = [
    (
        "local: this layer alone",
        &["differ", "max", "bound", "of bound"],
    ),
    (
        "cumulative: with all before it",
        &[
            "differ", "max", "mean", "rms", "SQNR dB", "bits", "sat low", "sat high", "codes",
            "range",
        ],
    ),
    ("tensor", &["scale", "zero"]),
];

fn table(dump: &Dump, comparison: &Comparison, page: &mut String) {
    page.push_str(
        "<div class=\"scroll\"><table><thead><tr><th rowspan=\"2\">op</th><th class=\"l\" rowspan=\"2\">tensor, array</th>\
         <th class=\"l\" rowspan=\"2\">verdict</th>",
    );
    for (group, columns) in COLUMNS {
        let _ = write!(
            page,
            "<th class=\"g\" colspan=\"{}\">{group}</th>",
            columns.len()
        );
    }
    page.push_str("</tr><tr>");
    for column in COLUMNS.iter().flat_map(|(_, columns)| *columns) {
        let _ = write!(page, "<th>{column}</th>");
    }
    page.push_str("</tr></thead><tbody>\n");
    for layer in &comparison.layers {
        let _ = write!(
            page,
            "<tr><td>{}</td><td class=\"l n\">{}<small>{}; {}</small></td><td class=\"l {}\">{}</td>",
            layer.operator,
            name(&layer.name),
            layer.kind,
            match &layer.pairing {
                Ok(_) => format!(
                    "{}, by {}",
                    name(&partner(layer, dump)),
                    escape(&paired_by(layer))
                ),
                Err(_) => escape(&partner(layer, dump)),
            },
            class(layer.verdict),
            match layer.verdict {
                Verdict::Unexplained => format!("unexplained ({})", layer.unexplained),
                Verdict::NotJudged => "not judged".to_owned(),
                verdict => verdict.to_string(),
            },
        );
        cells(page, &layer.local, |s| {
            let bound = layer.bound.map(|bound| format!("{:.4}", 0.5 + bound));
            let ratio = layer.bound.map(|_| format!("{:.4}", layer.largest_ratio));
            let dash = || "-".to_owned();
            vec![
                percent(s.fraction_differing()),
                format!("{:.1}", s.max),
                bound.unwrap_or_else(dash),
                ratio.unwrap_or_else(dash),
            ]
        });
        cells(page, &layer.cumulative, |s| {
            vec![
                percent(s.fraction_differing()),
                format!("{:.1}", s.max),
                format!("{:+.3}", s.mean()),
                format!("{:.3}", s.rms()),
                format!("{:.1}", s.sqnr_db()),
                format!("{:.1}", s.effective_bits()),
                percent(s.fraction_saturated_low()),
                percent(s.fraction_saturated_high()),
                s.codes_used().to_string(),
                percent(s.range_use()),
            ]
        });
        let _ = writeln!(
            page,
            "<td class=\"g\">{:.6}</td><td>{}</td></tr>",
            layer.codes.scale, layer.codes.zero_point
        );
    }
    page.push_str("</tbody></table></div>\n");
}

/// A name that may be broken where its parts end.
fn name(name: &str) -> String {
    let parts = name.split_inclusive(['/', '.', ';']).map(escape);
    parts.collect::<Vec<_>>().join("<wbr>")
}

/// Cells of numbers, the first at the border of a group, or as many dashes where nothing was seen.
fn cells(page: &mut String, statistics: &Statistics, texts: impl Fn(&Statistics) -> Vec<String>) {
    for (index, text) in texts(statistics).iter().enumerate() {
        let class = if index == 0 { " class=\"g\"" } else { "" };
        let shown = if statistics.count == 0 { "-" } else { text };
        let _ = write!(page, "<td{class}>{shown}</td>");
    }
}

fn percent(fraction: f64) -> String {
    format!("{:.2} %", 100.0 * fraction)
}

/// A histogram of local differences; the height is the logarithm of the count.
fn card(layer: &Layer, page: &mut String) {
    const HEIGHT: f64 = 70.0;
    let largest = layer.local.histogram.iter().copied().max().unwrap_or(1);
    let height = |count: u64| HEIGHT * (1.0 + count as f64).ln() / (1.0 + largest as f64).ln();
    let _ = write!(
        page,
        "<div class=\"card\"><b>{} {}</b><svg width=\"230\" height=\"92\" role=\"img\" aria-label=\"histogram\">",
        layer.operator,
        name(&layer.name)
    );
    for (bin, &count) in layer.local.histogram.iter().enumerate() {
        let lsb = bin as i64 - 8;
        let fill = match (lsb, layer.verdict) {
            (0, _) => "#1a7f4b",
            (_, Verdict::Unexplained) => "#c0392b",
            _ => "#2563a8",
        };
        let _ = write!(
            page,
            "<rect x=\"{}\" y=\"{}\" width=\"11\" height=\"{}\" fill=\"{fill}\"><title>{lsb} LSB: {count}</title></rect>",
            6 + 13 * bin,
            HEIGHT - height(count),
            height(count)
        );
    }
    let _ = writeln!(
        page,
        "<text x=\"6\" y=\"86\">-8</text><text x=\"115\" y=\"86\" text-anchor=\"middle\">0</text>\
         <text x=\"222\" y=\"86\" text-anchor=\"end\">8</text></svg></div>"
    );
}
