//! The inspection as tables, for people.

use super::{Inspection, groups, role, schemes};
use crate::output::one_line;
use crate::table::{Align, Table, bytes};
use corallite::model::{Severity, SignatureTensor, Subgraph, Tensor};
use std::fmt::Write;

use Align::{Left, Right};

pub fn render(inspection: &Inspection<'_>) -> String {
    let mut text = String::new();
    head(inspection, &mut text);
    if let Some(compiled) = &inspection.compiled {
        compiled.to_text(&mut text);
    }
    operators(inspection, &mut text);
    quantization(inspection, &mut text);
    let subgraphs = inspection.graph.subgraphs();
    for (number, subgraph) in subgraphs.iter().enumerate() {
        let of = if subgraphs.len() > 1 {
            format!(" of subgraph {number}")
        } else {
            String::new()
        };
        tensors(inspection, subgraph, &of, &mut text);
        steps(inspection, number, subgraph, &of, &mut text);
    }
    signatures(inspection, &mut text);
    metadata(inspection, &mut text);
    text
}

/// A line of the head: what, and the value, which may come from the file.
pub fn fact(text: &mut String, what: &str, value: &str) {
    let _ = writeln!(text, "{what:<16} {}", one_line(value));
}

fn head(inspection: &Inspection<'_>, text: &mut String) {
    let graph = inspection.graph;
    fact(text, "model", &inspection.path.to_string_lossy());
    fact(text, "size", &bytes(graph.file().len()));
    if !graph.description().is_empty() {
        fact(text, "description", graph.description());
    }
    if let Some(version) = graph.min_runtime_version() {
        fact(text, "runtime needed", &format!("TFLite {version}"));
    }
    let subgraph = &graph.subgraphs()[0];
    for (what, list) in [("input", &subgraph.inputs), ("output", &subgraph.outputs)] {
        for (i, &tensor) in list.iter().enumerate() {
            let tensor = &subgraph.tensors[tensor];
            let name = graph.tensor_name(tensor);
            let quantization = quantization_of(tensor);
            let value = format!("{} {} \"{name}\" {quantization}", tensor.ty, shape(tensor));
            fact(text, &format!("{what} {i}"), value.trim_end());
        }
    }
    match &inspection.running {
        Ok(running) => {
            fact(text, "arena", &bytes(running.arena_bytes));
            let of = if inspection.compiled.is_some() {
                " on the CPU"
            } else {
                ""
            };
            fact(text, "MACs", &format!("{}{of}", running.macs()));
        }
        Err(error) => fact(text, "does not run", error),
    }
    let report = &inspection.report;
    let (errors, warnings) = (
        report.of(Severity::Error).count(),
        report.of(Severity::Warning).count(),
    );
    let hint = if errors + warnings > 0 {
        "; `corallite check` lists them"
    } else {
        ""
    };
    fact(
        text,
        "findings",
        &format!("{errors} error(s), {warnings} warning(s){hint}"),
    );
}

fn operators(inspection: &Inspection<'_>, text: &mut String) {
    let _ = writeln!(text, "\noperators");
    let mut table = Table::new(&[
        ("operator", Left),
        ("version", Right),
        ("types", Left),
        ("count", Right),
        ("MACs", Right),
        ("status", Left),
    ]);
    for group in groups(inspection) {
        let status = group.status().to_owned();
        table.row([
            group.operator,
            group.version.to_string(),
            format!(
                "({}) -> ({})",
                group.inputs.join(", "),
                group.outputs.join(", ")
            ),
            group.count.to_string(),
            group.macs.map_or_else(String::new, |macs| macs.to_string()),
            status,
        ]);
    }
    table.render(text);
}

fn quantization(inspection: &Inspection<'_>, text: &mut String) {
    let _ = writeln!(text, "\nquantization");
    let mut table = Table::new(&[
        ("type", Left),
        ("tensors", Right),
        ("per tensor", Right),
        ("per channel", Right),
        ("none", Right),
        ("constants", Right),
        ("in bytes", Right),
    ]);
    for (ty, scheme) in schemes(inspection.graph) {
        table.row([
            ty,
            scheme.tensors.to_string(),
            scheme.per_tensor.to_string(),
            scheme.per_channel.to_string(),
            (scheme.tensors - scheme.per_tensor - scheme.per_channel).to_string(),
            scheme.constants.to_string(),
            scheme.constant_bytes.to_string(),
        ]);
    }
    table.render(text);
}

/// The shape, with -1 on axes that the model leaves open.
fn shape(tensor: &Tensor) -> String {
    match &tensor.shape_signature {
        Some(signature) => format!("{signature:?}"),
        None => tensor.shape.to_string(),
    }
}

/// `scale * (q - zero point)`, or how many scales there are.
fn quantization_of(tensor: &Tensor) -> String {
    match tensor.quantization.as_deref() {
        Some(q) if q.is_per_channel() => {
            format!("{} scales, axis {}", q.scales().len(), q.axis())
        }
        Some(q) => match (q.scale(), q.zero_point()) {
            (None, _) => String::new(),
            (Some(scale), 0) => format!("{scale} * q"),
            (Some(scale), zero) if zero < 0 => format!("{scale} * (q + {})", zero.unsigned_abs()),
            (Some(scale), zero) => format!("{scale} * (q - {zero})"),
        },
        None => String::new(),
    }
}

fn tensors(inspection: &Inspection<'_>, subgraph: &Subgraph, of: &str, text: &mut String) {
    let _ = writeln!(text, "\ntensors{of}");
    let mut table = Table::new(&[
        ("index", Right),
        ("type", Left),
        ("shape", Left),
        ("quantization", Left),
        ("role", Left),
        ("name", Left),
    ]);
    let graph = inspection.graph;
    for (index, tensor) in subgraph.tensors.iter().enumerate() {
        table.row([
            index.to_string(),
            tensor.ty.to_string(),
            shape(tensor),
            quantization_of(tensor),
            match tensor.stored_elements {
                Some(stored) => format!("constant, {stored} of {} stored", tensor.shape.count()),
                None => role(graph, subgraph, index, tensor).to_owned(),
            },
            graph.tensor_name(tensor).to_owned(),
        ]);
    }
    table.render(text);
}

fn steps(
    inspection: &Inspection<'_>,
    number: usize,
    subgraph: &Subgraph,
    of: &str,
    text: &mut String,
) {
    let _ = writeln!(text, "\noperators in order{of}");
    let mut table = Table::new(&[
        ("index", Right),
        ("operator", Left),
        ("inputs", Left),
        ("outputs", Left),
        ("MACs", Right),
        ("kernel", Left),
    ]);
    let running = inspection.running.as_ref().ok().filter(|_| number == 0);
    for (index, operator) in subgraph.operators.iter().enumerate() {
        let here = running.and_then(|running| running.operators.get(index));
        let inputs: Vec<String> = operator
            .inputs
            .iter()
            .map(|input| input.map_or_else(|| "-".to_owned(), |tensor| tensor.to_string()))
            .collect();
        let outputs: Vec<String> = operator.outputs.iter().map(ToString::to_string).collect();
        table.row([
            index.to_string(),
            operator.kind.to_string(),
            inputs.join(" "),
            outputs.join(" "),
            here.and_then(|runs| runs.macs)
                .map_or_else(String::new, |macs| macs.to_string()),
            here.map_or("", |runs| runs.kernel).to_owned(),
        ]);
    }
    table.render(text);
}

fn signatures(inspection: &Inspection<'_>, text: &mut String) {
    for signature in inspection.graph.signatures() {
        let list = |tensors: &[SignatureTensor]| {
            let names: Vec<String> = tensors
                .iter()
                .map(|entry| format!("{} = tensor {}", entry.name, entry.tensor))
                .collect();
            names.join(", ")
        };
        let _ = writeln!(text, "\nsignature \"{}\"", one_line(&signature.key));
        fact(text, "  inputs", &list(&signature.inputs));
        fact(text, "  outputs", &list(&signature.outputs));
    }
}

fn metadata(inspection: &Inspection<'_>, text: &mut String) {
    let graph = inspection.graph;
    if graph.metadata().is_empty() {
        return;
    }
    let _ = writeln!(text, "\nmetadata");
    let mut table = Table::new(&[("name", Left), ("in bytes", Right)]);
    for block in graph.metadata() {
        table.row([
            block.name.clone(),
            graph.metadata_bytes(block).len().to_string(),
        ]);
    }
    table.render(text);
    for (what, value) in &inspection.metadata.texts {
        fact(text, &format!("  {what}"), value);
    }
    for (output, file) in &inspection.metadata.files {
        let what = match output {
            Some(output) => format!("  output {output} file"),
            None => "  file".to_owned(),
        };
        fact(text, &what, file);
    }
    if let Some(error) = &inspection.metadata.error {
        fact(text, "  unreadable", error);
    }
}
