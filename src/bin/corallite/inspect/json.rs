//! The inspection as JSON, for programs: keys are only ever added.

use super::compiled::Compiled;
use super::{Inspection, groups, role, schemes};
use crate::check::missing_json;
use corallite::model::{Severity, Signature, Subgraph, Tensor};
use serde_json::{Value, json};

pub fn render(inspection: &Inspection<'_>) -> Value {
    let graph = inspection.graph;
    let subgraphs: Vec<Value> = graph
        .subgraphs()
        .iter()
        .enumerate()
        .map(|(number, subgraph)| subgraph_json(inspection, number, subgraph))
        .collect();
    let groups: Vec<Value> = groups(inspection)
        .iter()
        .map(|group| {
            json!({
                "operator": group.operator,
                "version": group.version,
                "inputs": group.inputs,
                "outputs": group.outputs,
                "count": group.count,
                "has_kernel": group.has_kernel,
                "macs": group.macs,
            })
        })
        .collect();
    let schemes: Vec<Value> = schemes(graph)
        .iter()
        .map(|(ty, scheme)| {
            json!({
                "type": ty,
                "tensors": scheme.tensors,
                "constants": scheme.constants,
                "constant_bytes": scheme.constant_bytes,
                "per_tensor": scheme.per_tensor,
                "per_channel": scheme.per_channel,
            })
        })
        .collect();
    let (arena, macs, error) = match &inspection.running {
        Ok(running) => (Some(running.arena_bytes), Some(running.macs()), None),
        Err(error) => (None, None, Some(error)),
    };
    let blocks: Vec<Value> = graph
        .metadata()
        .iter()
        .map(|block| json!({ "name": block.name, "bytes": graph.metadata_bytes(block).len() }))
        .collect();
    let texts: serde_json::Map<String, Value> = inspection
        .metadata
        .texts
        .iter()
        .map(|(what, text)| ((*what).to_owned(), json!(text)))
        .collect();
    let files: Vec<Value> = inspection
        .metadata
        .files
        .iter()
        .map(|(output, file)| json!({ "output": output, "file": file }))
        .collect();
    json!({
        "model": inspection.path.to_string_lossy(),
        "size_bytes": graph.file().len(),
        "description": graph.description(),
        "min_runtime_version": graph.min_runtime_version(),
        "subgraphs": subgraphs,
        "operator_groups": groups,
        "operators_without_kernel": inspection.missing.iter().map(missing_json).collect::<Vec<_>>(),
        "quantization": schemes,
        "arena_bytes": arena,
        "macs": macs,
        "build_error": error,
        "signatures": graph.signatures().iter().map(signature_json).collect::<Vec<_>>(),
        "metadata": blocks,
        "model_metadata": { "texts": texts, "files": files, "error": inspection.metadata.error },
        "edge_tpu": inspection.compiled.as_ref().map(Compiled::to_json),
        "findings": {
            "errors": inspection.report.of(Severity::Error).count(),
            "warnings": inspection.report.of(Severity::Warning).count(),
        },
    })
}

fn subgraph_json(inspection: &Inspection<'_>, number: usize, subgraph: &Subgraph) -> Value {
    let graph = inspection.graph;
    let running = inspection.running.as_ref().ok().filter(|_| number == 0);
    let operators: Vec<Value> = subgraph
        .operators
        .iter()
        .enumerate()
        .map(|(index, operator)| {
            let here = running.and_then(|running| running.operators.get(index));
            json!({
                "index": index,
                "operator": operator.kind.to_string(),
                "version": operator.version,
                "inputs": operator.inputs,
                "outputs": operator.outputs,
                "kernel": here.map(|runs| runs.kernel),
                "macs": here.and_then(|runs| runs.macs),
            })
        })
        .collect();
    let tensors: Vec<Value> = subgraph
        .tensors
        .iter()
        .enumerate()
        .map(|(index, tensor)| {
            let mut value = tensor_json(tensor);
            value["index"] = json!(index);
            value["name"] = json!(graph.tensor_name(tensor));
            value["role"] = json!(role(graph, subgraph, index, tensor));
            value["constant_bytes"] = json!(graph.data(tensor).map(<[u8]>::len));
            value["stored_elements"] = json!(tensor.stored_elements);
            value
        })
        .collect();
    json!({
        "name": graph.subgraph_name(subgraph),
        "inputs": subgraph.inputs,
        "outputs": subgraph.outputs,
        "operators": operators,
        "tensors": tensors,
    })
}

fn tensor_json(tensor: &Tensor) -> Value {
    let quantization = tensor
        .quantization
        .as_deref()
        .map(|q| json!({ "scales": q.scales(), "zero_points": q.zero_points(), "axis": q.axis() }));
    json!({
        "type": tensor.ty.to_string(),
        "shape": tensor.shape.dims(),
        "shape_signature": tensor.shape_signature,
        "quantization": quantization,
        "variable": tensor.is_variable,
    })
}

fn signature_json(signature: &Signature) -> Value {
    let tensors = |list: &[corallite::model::SignatureTensor]| -> Vec<Value> {
        list.iter()
            .map(|entry| json!({ "name": entry.name, "tensor": entry.tensor }))
            .collect()
    };
    json!({
        "key": signature.key,
        "subgraph": signature.subgraph,
        "inputs": tensors(&signature.inputs),
        "outputs": tensors(&signature.outputs),
    })
}
