//! The values that can occur in each tensor, and the codes that cannot.

use super::{nodes, report};
use crate::fixedpoint::quantized_activation_range;
use crate::model::{BuiltinOperator as Op, Graph, OperatorKind, Report, Tensor, rules};
use crate::ops::{FileTensors, Node};
use crate::oracle::codes::Codes;

/// Real numbers between which all values of a tensor lie.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Bounds {
    low: f64,
    high: f64,
}

/// A range that wastes more than this fraction of its codes is worth a word: half of a bit is 0.3.
const UNUSED: f64 = 0.125;

/// A QUANTIZE to a range that others decide, as a CONCATENATION's, wastes some codes by design; not two thirds of them.
const SQUEEZED: f64 = 2.0 / 3.0;

/// What the moving averages of TensorFlow's Keras toolkit begin with, and what they keep at each step. Source:
/// tensorflow-model-optimization 0.8.0, `quantizers.py` and `quant_ops.py`.
const FIRST_MINIMUM: f64 = -6.0;
const DECAY: f64 = 0.999;

/// A range that begins below the zero of the ReLU in front of it.
struct BelowZero<'a> {
    node: Node<'a>,
    tensor: usize,
    codes: Codes,
    minimum: f64,
}

/// Adds what the ranges of a subgraph waste.
pub(super) fn check(graph: &Graph, index: usize, to: &mut Report) {
    let subgraph = &graph.subgraphs()[index];
    let known = FileTensors(graph, subgraph);
    let mut values: Vec<Option<Bounds>> = subgraph.tensors.iter().map(represented).collect();
    let mut below_zero = Vec::new();
    for node in nodes(graph, index, &known) {
        let Some(&output) = node.operator().outputs.first() else {
            continue;
        };
        // A zero point that is no code has a finding already, and no meaning.
        let codes = Codes::of(&subgraph.tensors[output]);
        let Some(codes) = codes.filter(|c| (c.range.0..=c.range.1).contains(&c.zero_point)) else {
            continue;
        };
        clamp_leaves_codes(&node, output, &codes, to);
        let possible = possible(&node, &values);
        let all = Bounds {
            low: codes.real(codes.range.0),
            high: codes.real(codes.range.1),
        };
        values[output] = Some(Bounds {
            low: possible.low.clamp(all.low, all.high),
            high: possible.high.clamp(all.low, all.high),
        });
        // 16-bit activations are symmetric by definition, which leaves half of the codes to values below zero.
        if codes.range.1 > i32::from(u8::MAX) {
            continue;
        }
        // What a range of its own wastes is told once, not again at every operator that hands it on.
        let inherits = node
            .operator()
            .inputs
            .iter()
            .flatten()
            .any(|&input| Codes::of(&subgraph.tensors[input]) == Some(codes));
        let lowest = codes.quantize(possible.low as f32);
        let highest = codes.quantize(possible.high as f32);
        let unused = (lowest - codes.range.0) + (codes.range.1 - highest);
        if inherits || f64::from(unused) <= UNUSED * f64::from(codes.count()) {
            continue;
        }
        if possible.low == 0.0 && lowest - codes.range.0 == unused {
            let minimum = codes.real(codes.range.0);
            below_zero.push(BelowZero {
                node,
                tensor: output,
                codes,
                minimum,
            });
            continue;
        }
        unused_codes(&node, output, &codes, (lowest, highest), to);
    }
    minima_below_zero(&below_zero, to);
}

/// What a tensor's codes stand for.
fn represented(tensor: &Tensor) -> Option<Bounds> {
    let codes = Codes::of(tensor)?;
    Some(Bounds {
        low: codes.real(codes.range.0),
        high: codes.real(codes.range.1),
    })
}

/// What an operator can give, by its definition, its fused activation and its operands.
fn possible(node: &Node<'_>, values: &[Option<Bounds>]) -> Bounds {
    let anything = Bounds {
        low: f64::NEG_INFINITY,
        high: f64::INFINITY,
    };
    let between = |low: f64, high: f64| Bounds { low, high };
    let operand = |slot: usize| {
        let tensor = node.operator().inputs.get(slot).copied().flatten();
        tensor.and_then(|tensor| values[tensor]).unwrap_or(anything)
    };
    let OperatorKind::Builtin(code) = node.operator().kind else {
        return anything;
    };
    let of_operator = match code {
        Op::LOGISTIC | Op::SOFTMAX => between(0.0, 1.0),
        Op::TANH | Op::L2_NORMALIZATION => between(-1.0, 1.0),
        Op::LOG_SOFTMAX => between(f64::NEG_INFINITY, 0.0),
        Op::RELU | Op::ABS | Op::SQUARE | Op::SQRT | Op::RSQRT | Op::EXP => {
            between(0.0, f64::INFINITY)
        }
        Op::RELU6 => between(0.0, 6.0),
        Op::RELU_0_TO_1 => between(0.0, 1.0),
        Op::RELU_N1_TO_1 => between(-1.0, 1.0),
        // These hand on values of their first operand, or means of several.
        Op::QUANTIZE
        | Op::RESHAPE
        | Op::SQUEEZE
        | Op::EXPAND_DIMS
        | Op::TRANSPOSE
        | Op::SLICE
        | Op::STRIDED_SLICE
        | Op::GATHER
        | Op::MAX_POOL_2D
        | Op::AVERAGE_POOL_2D
        | Op::MEAN
        | Op::RESIZE_BILINEAR
        | Op::RESIZE_NEAREST_NEIGHBOR => operand(0),
        Op::CONCATENATION => {
            let slots = 0..node.operator().inputs.len();
            slots
                .map(operand)
                .fold(between(f64::INFINITY, f64::NEG_INFINITY), |all, one| {
                    between(all.low.min(one.low), all.high.max(one.high))
                })
        }
        _ => anything,
    };
    let (low, high) = node.attributes().activation.bounds();
    Bounds {
        low: of_operator
            .low
            .max(low.map_or(f64::NEG_INFINITY, f64::from)),
        high: of_operator.high.min(high.map_or(f64::INFINITY, f64::from)),
    }
}

fn clamp_leaves_codes(node: &Node<'_>, tensor: usize, codes: &Codes, to: &mut Report) {
    let activation = node.attributes().activation;
    let (scale, zero_point) = (codes.scale as f32, codes.zero_point);
    let clamp = quantized_activation_range(activation, scale, zero_point, codes.range);
    let found = match clamp {
        Ok((low, high)) if low < high => return,
        Ok((low, _)) => format!("code {low} alone within the activation"),
        Err(error) => error.to_string(),
    };
    report(
        node,
        Some(tensor),
        rules::ACTIVATION_RANGE,
        found,
        "several codes",
        to,
    );
}

fn unused_codes(
    node: &Node<'_>,
    tensor: usize,
    codes: &Codes,
    (lowest, highest): (i32, i32),
    to: &mut Report,
) {
    let (used, all) = (highest - lowest + 1, codes.count());
    let rule = match node.operator().kind {
        OperatorKind::Builtin(Op::QUANTIZE)
            if f64::from(all - used) > SQUEEZED * f64::from(all) =>
        {
            rules::RANGE_SQUEEZED
        }
        OperatorKind::Builtin(Op::QUANTIZE) => return,
        _ => rules::RANGE_UNUSED,
    };
    let (low, high) = (codes.real(lowest), codes.real(highest));
    let found = format!(
        "codes {lowest} to {highest} ({low:.3} to {high:.3}) alone can occur: {used} of {all}"
    );
    let expected = format!("a range of {low:.3} to {high:.3}");
    report(node, Some(tensor), rule, found, expected, to);
}

/// Where most ranges behind ReLUs begin at the same minimum below zero, it was never observed: it is what is left of a
/// moving average's first value. Others have other reasons.
fn minima_below_zero(found: &[BelowZero<'_>], to: &mut Report) {
    let mut minima: Vec<f64> = found.iter().map(|range| range.minimum).collect();
    minima.sort_by(f64::total_cmp);
    for range in found {
        // A zero point is rounded, which moves a minimum by half a step; the other range's may be moved the other way.
        let (minimum, step) = (range.minimum, range.codes.scale);
        let first = minima.partition_point(|&other| other < minimum - step);
        let count = minima.partition_point(|&other| other <= minimum + step) - first;
        let is_remainder = minimum > FIRST_MINIMUM && count > 1 && 2 * count > found.len();
        if !is_remainder {
            let ends = (range.codes.zero_point, range.codes.range.1);
            let (node, tensor) = (&range.node, range.tensor);
            unused_codes(node, tensor, &range.codes, ends, to);
            continue;
        }
        let alike = &minima[first..first + count];
        let mean = alike.iter().sum::<f64>() / count as f64;
        let steps = (mean / FIRST_MINIMUM).ln() / DECAY.ln();
        let unused = range.codes.zero_point - range.codes.range.0;
        let text = format!(
            "minimum {minimum:.2}, as in {count} ranges behind ReLUs: -6 * 0.999^{steps:.0}; {unused} of {} codes never occur",
            range.codes.count()
        );
        let rule = rules::RANGE_NOT_CONVERGED;
        report(&range.node, Some(range.tensor), rule, text, "minimum 0", to);
    }
}
