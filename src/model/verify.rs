//! The rules on tensors' quantization parameters that need no knowledge of an operator's arithmetic.

use super::graph::{Graph, Operator, OperatorKind, Subgraph, Tensor};
use super::report::{Finding, Location, Report};
use super::rules::{self, Rule};
use crate::schema::tflite::BuiltinOperator;
use crate::tensor::{Quantization, TensorType};

/// Judges every tensor of every subgraph.
pub(super) fn verify(graph: &Graph) -> Report {
    let mut report = Report::default();
    for (index, subgraph) in graph.subgraphs().iter().enumerate() {
        let operators = first_operator(subgraph);
        for (tensor, declared) in subgraph.tensors.iter().enumerate() {
            if let Some(quantization) = declared.quantization.as_deref()
                && is_judged(declared, quantization)
            {
                let location = || Location {
                    subgraph: index,
                    operator: operators[tensor]
                        .map(|op| (op, subgraph.operators[op].kind.to_string())),
                    tensor: Some((tensor, graph.tensor_name(declared).to_owned())),
                };
                let mut add = |rule: &'static Rule, found: String, expected: String| {
                    report.push(Finding::new(rule, location(), found, expected));
                };
                check_tensor(declared, quantization, &mut add);
            }
        }
        double_quantization(graph, index, subgraph, &mut report);
    }
    report
}

/// The operator that writes each tensor, or else the first that reads it.
fn first_operator(subgraph: &Subgraph) -> Vec<Option<usize>> {
    let mut first = vec![None; subgraph.tensors.len()];
    for (number, operator) in subgraph.operators.iter().enumerate() {
        for &tensor in operator.inputs.iter().flatten().chain(&operator.outputs) {
            first[tensor].get_or_insert(number);
        }
    }
    first
}

/// Whether the parameters mean anything: of integers, and not the zero scale that converters leave on plain int32.
fn is_judged(tensor: &Tensor, quantization: &Quantization) -> bool {
    let plain = matches!(tensor.ty, TensorType::Int32 | TensorType::Int64)
        && tensor.data.is_none()
        && quantization.scales() == [0.0];
    !plain && (tensor.ty.integer_range().is_some() || tensor.ty == TensorType::Int64)
}

fn check_tensor(
    tensor: &Tensor,
    quantization: &Quantization,
    add: &mut dyn FnMut(&'static Rule, String, String),
) {
    let scales = quantization.scales();
    let invalid = |s: &f32| !(s.is_finite() && *s > 0.0);
    if let Some(channel) = scales.iter().position(invalid) {
        let count = scales.iter().filter(|s| invalid(s)).count();
        add(
            rules::SCALE_INVALID,
            format!(
                "scale {} at channel {channel} ({count} such)",
                scales[channel]
            ),
            "a finite scale above 0".into(),
        );
    } else if let Some(channel) = scales.iter().position(|s| !s.is_normal()) {
        add(
            rules::SCALE_SUBNORMAL,
            format!("scale {:e} at channel {channel}", scales[channel]),
            format!("{:e} or more", f32::MIN_POSITIVE),
        );
    }
    if scales.len() > 1 {
        let is_vector = tensor.shape.rank() == 1;
        if is_vector && quantization.axis() != 0 {
            let found = format!("axis {}", quantization.axis() as i64);
            add(rules::AXIS_OF_VECTOR, found, "axis 0".into());
        }
        let axis = if is_vector { 0 } else { quantization.axis() };
        match tensor.shape.dim(axis) {
            None => add(
                rules::AXIS_RANGE,
                format!("axis {}", quantization.axis() as i64),
                format!("an axis below the rank {}", tensor.shape.rank()),
            ),
            Some(extent) if extent != scales.len() => add(
                rules::SCALE_COUNT,
                format!("{} scales", scales.len()),
                format!("1 or {extent}, the extent of axis {axis}"),
            ),
            Some(_) => {}
        }
        if !matches!(
            tensor.ty,
            TensorType::Int4
                | TensorType::Int8
                | TensorType::Int16
                | TensorType::Int32
                | TensorType::Int64
        ) {
            add(
                rules::PER_CHANNEL_TYPE,
                format!("{} scales on {} elements", scales.len(), tensor.ty),
                "one scale".into(),
            );
        }
    }
    let zero_points = quantization.zero_points();
    if !zero_points.is_empty() && zero_points.len() != scales.len() && zero_points.len() != 1 {
        add(
            rules::ZERO_POINT_COUNT,
            format!("{} zero points", zero_points.len()),
            format!("{}, one per scale", scales.len()),
        );
    }
    // The zero point of an int64 bias is limited by the rule on biases.
    if let Some((min, max)) = tensor.ty.integer_range()
        && let Some(found) = zero_points
            .iter()
            .find(|&&z| z < min.into() || z > max.into())
    {
        add(
            rules::ZERO_POINT_RANGE,
            format!("zero point {found}"),
            format!("{min} to {max} for {}", tensor.ty),
        );
    }
}

/// Whether a QUANTIZE between two integer tensors rounds nothing: the same scale, and zero points as far apart as the types,
/// as from uint8 to int8.
fn is_exact(from: &Tensor, to: &Tensor) -> bool {
    let scale = |tensor: &Tensor| tensor.quantization.as_deref()?.scale();
    let above_lowest = |tensor: &Tensor| {
        let zero_point = tensor.quantization.as_deref()?.zero_point();
        Some(i64::from(zero_point) - i64::from(tensor.ty.integer_range()?.0))
    };
    scale(from).is_some() && scale(from) == scale(to) && above_lowest(from) == above_lowest(to)
}

/// A QUANTIZE that reads what another QUANTIZE wrote from real values or another range.
fn double_quantization(graph: &Graph, index: usize, subgraph: &Subgraph, report: &mut Report) {
    let quantize = OperatorKind::Builtin(BuiltinOperator::QUANTIZE);
    let mut written_by = vec![None; subgraph.tensors.len()];
    let rounds = |operator: &Operator| {
        let input = operator.inputs.first().copied().flatten();
        let tensors = input.zip(operator.outputs.first().copied());
        tensors.is_none_or(|(input, output)| {
            !is_exact(&subgraph.tensors[input], &subgraph.tensors[output])
        })
    };
    for (number, operator) in subgraph.operators.iter().enumerate() {
        if operator.kind == quantize
            && let Some(&Some(input)) = operator.inputs.first()
            && let Some(writer) = written_by[input]
            && rounds(operator)
        {
            let writer: usize = writer;
            report.push(Finding::new(
                rules::DOUBLE_QUANTIZATION,
                Location {
                    subgraph: index,
                    operator: Some((number, operator.kind.to_string())),
                    tensor: Some((
                        input,
                        graph.tensor_name(&subgraph.tensors[input]).to_owned(),
                    )),
                },
                format!("QUANTIZE operator {writer} writes what this QUANTIZE reads"),
                "one QUANTIZE".into(),
            ));
        }
        if operator.kind == quantize && rounds(operator) {
            for &output in &operator.outputs {
                written_by[output] = Some(number);
            }
        }
    }
}
