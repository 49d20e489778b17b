//! The rules on quantization parameters that several operators share. Each reports and goes on: all findings at once.

use super::weight_rules;
use crate::model::{Finding, Location, Report, Rule, rules};
use crate::ops::{Node, NodeTensor, Weighted};
use crate::tensor::TensorType;

/// Adds a finding about `tensor` of `node`.
pub fn report(
    node: &Node<'_>,
    tensor: &NodeTensor<'_>,
    rule: &'static Rule,
    found: String,
    expected: String,
    report: &mut Report,
) {
    let (subgraph, operator) = node.place();
    let name = node.graph().tensor_name(tensor.declared()).to_owned();
    let location = Location {
        subgraph,
        operator: Some((operator, node.operator().kind.to_string())),
        tensor: Some((tensor.index, name)),
    };
    report.push(Finding::new(rule, location, found, expected));
}

/// No rule beyond the tensors' own.
pub fn none(_: &Node<'_>, _: &mut Report) {}

/// Result 0 has exactly the scale and zero point of operand 0: the operator moves numbers and computes none.
pub fn same_quantization(node: &Node<'_>, to: &mut Report) {
    same_as_operand(node, 0, "input", to);
}

/// Result 0 has exactly the scale and zero point of operand `slot`.
pub fn same_as_operand(node: &Node<'_>, slot: usize, operand: &'static str, to: &mut Report) {
    if let (Ok(input), Ok(output)) = (node.input(slot, operand), node.output(0, "output")) {
        same_as(node, &input, &output, to);
    }
}

/// `output` has exactly the scale and zero point of `input`.
pub fn same_as(node: &Node<'_>, input: &NodeTensor<'_>, output: &NodeTensor<'_>, to: &mut Report) {
    let is_quantized = matches!(
        input.ty,
        TensorType::Int4 | TensorType::Int8 | TensorType::UInt8 | TensorType::Int16
    );
    if !is_quantized || input.ty != output.ty {
        return;
    }
    if let (Ok((scale, zero_point)), Ok((found_scale, found_zero_point))) =
        (input.per_tensor(), output.per_tensor())
        && (scale, zero_point) != (found_scale, found_zero_point)
    {
        report(
            node,
            output,
            rules::SAME_QUANTIZATION,
            format!("scale {found_scale}, zero point {found_zero_point}"),
            format!(
                "scale {scale}, zero point {zero_point} of tensor {}",
                input.index
            ),
            to,
        );
    }
}

/// How far, relative to itself, a declared scale may be from the one a kernel writes with. Converters write 1/65535 for
/// 1/65536, which is one code off at the far end; TFLite's own check takes a thousandth (`kernels/activations.cc`,
/// SoftmaxPrepare).
const FIXED_SCALE_TOLERANCE: f32 = 1e-3;

/// Result 0 has the scale and zero point that the kernel writes with, whatever the file declares.
pub fn fixed_output(node: &Node<'_>, scale: f32, zero_point: i32, to: &mut Report) {
    if let Ok(output) = node.output(0, "output")
        && let Ok((found_scale, found_zero_point)) = output.per_tensor()
        && ((found_scale - scale).abs() > scale * FIXED_SCALE_TOLERANCE
            || found_zero_point != zero_point)
    {
        report(
            node,
            &output,
            rules::FIXED_OUTPUT,
            format!("scale {found_scale}, zero point {found_zero_point}"),
            format!("scale {scale}, zero point {zero_point}"),
            to,
        );
    }
}

/// The rules on weights, biases and the multiplier of convolutions and matrix products. `bias_scale_refused` says of the
/// operands whether TFLite refuses a per-tensor bias scale that is off by more than 2 % of the output scale.
pub fn weighted(node: &Node<'_>, bias_scale_refused: fn(&Weighted<'_>) -> bool, to: &mut Report) {
    let Some(operands) = &Weighted::of(node) else {
        return;
    };
    let filter = &operands.filter;
    let signed = matches!(
        filter.ty,
        TensorType::Int4 | TensorType::Int8 | TensorType::Int16
    );
    let Some(quantization) = filter.quantization else {
        if operands.input.ty != TensorType::Float32 {
            let found = "no scale".to_owned();
            report(
                node,
                filter,
                rules::QUANTIZATION_MISSING,
                found,
                "a scale".into(),
                to,
            );
        }
        return;
    };
    if signed && let Some(found) = quantization.zero_points().iter().find(|&&z| z != 0) {
        let found = format!("zero point {found}");
        report(
            node,
            filter,
            rules::WEIGHT_ZERO_POINT,
            found,
            "zero point 0".into(),
            to,
        );
    }
    if quantization.is_per_channel() && quantization.axis() != operands.channel_axis {
        report(
            node,
            filter,
            rules::WEIGHT_AXIS,
            format!("axis {}", quantization.axis() as i64),
            format!("axis {}, the output channel", operands.channel_axis),
            to,
        );
    }
    if to.wants_warnings() {
        weight_rules::check(node, operands, to);
        multiplier(node, operands, to);
    }
    if let Some(bias) = &operands.bias {
        check_bias(node, operands, bias, bias_scale_refused(operands), to);
    }
}

/// `input_scale * filter_scale` in double, which the bias has to match.
fn product(operands: &Weighted<'_>, channel: usize) -> Option<f64> {
    let (input_scale, _) = operands.input.per_tensor().ok()?;
    let scales = operands.filter.scales().ok()?;
    let scale = scales
        .get(channel)
        .or(scales.first().filter(|_| scales.len() == 1))?;
    Some(f64::from(input_scale) * f64::from(*scale))
}

fn multiplier(node: &Node<'_>, operands: &Weighted<'_>, to: &mut Report) {
    let Ok((output_scale, _)) = operands.output.per_tensor() else {
        return;
    };
    let channels = operands.filter.scales().map_or(0, <[f32]>::len);
    let all =
        || (0..channels).filter_map(|c| Some((c, product(operands, c)? / f64::from(output_scale))));
    if let Some((channel, found)) = all().find(|&(_, m)| m >= 1.0) {
        report(
            node,
            &operands.output,
            rules::MULTIPLIER_LARGE,
            format!("multiplier {found} at channel {channel}"),
            "below 1".into(),
            to,
        );
    }
    let tiny = 2f64.powi(-32);
    if let Some((channel, found)) = all().find(|&(_, m)| m > 0.0 && m < tiny) {
        report(
            node,
            &operands.output,
            rules::MULTIPLIER_TINY,
            format!("multiplier {found:e} at channel {channel}"),
            format!("{tiny:e} or more"),
            to,
        );
    }
}

fn check_bias(
    node: &Node<'_>,
    operands: &Weighted<'_>,
    bias: &NodeTensor<'_>,
    scale_refused: bool,
    to: &mut Report,
) {
    let Some(quantization) = bias.quantization else {
        return;
    };
    if let Some(found) = quantization.zero_points().iter().find(|&&z| z != 0) {
        let found = format!("zero point {found}");
        report(
            node,
            bias,
            rules::BIAS_ZERO_POINT,
            found,
            "zero point 0".into(),
            to,
        );
    }
    let scales = quantization.scales();
    let expected = |channel: usize| product(operands, channel);
    let differing = scales.iter().enumerate().find_map(|(channel, &found)| {
        let expected = expected(channel)?;
        let off = (f64::from(found) - expected).abs();
        (off > expected.abs() * 1e-6).then_some((channel, found, expected, off))
    });
    let Some((channel, found, expected, off)) = differing else {
        return;
    };
    let refused = scale_refused
        && scales.len() == 1
        && operands
            .output
            .per_tensor()
            .is_ok_and(|(s, _)| off / f64::from(s) > 0.02);
    report(
        node,
        bias,
        if refused {
            rules::BIAS_SCALE_REFUSED
        } else {
            rules::BIAS_SCALE
        },
        format!("scale {found} at channel {channel}"),
        format!("{expected} = input scale * weight scale"),
        to,
    );
}
