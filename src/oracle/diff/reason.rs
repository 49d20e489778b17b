//! What is not the same about a layer on the two sides.

use super::Side;
use super::matching::Place;
use crate::fixedpoint::{Profile, Rounding};
use crate::model::{BuiltinOperator, Graph, Model, OperatorKind, Tensor};
use crate::oracle::compare::{channel_of, stored_codes};
use crate::tensor::TensorType;
use std::fmt;

/// Type, scale and zero point of a tensor or of one of its channels.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Grid {
    /// Type of the codes.
    pub ty: TensorType,
    /// One step in real numbers; 0 where there is none.
    pub scale: f32,
    /// The code of real zero.
    pub zero_point: i64,
}

impl Grid {
    fn real(self, code: i64) -> f64 {
        code.saturating_sub(self.zero_point) as f64 * f64::from(self.scale)
    }
}

impl fmt::Display for Grid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            ty,
            scale,
            zero_point,
        } = self;
        write!(f, "{ty} scale {scale} zero point {zero_point}")
    }
}

/// One thing that is not the same on the two sides.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum Reason {
    /// Another operator.
    Kind {
        /// In A.
        a: OperatorKind,
        /// In B.
        b: OperatorKind,
    },
    /// Type, scale or zero point of an operand or of the result.
    Quantization {
        /// What the tensor is to the operator.
        role: &'static str,
        /// The tensor's name in A.
        name: String,
        /// The first channel that is not the same, of parameters by channel.
        channel: Option<usize>,
        /// In A.
        a: Grid,
        /// In B.
        b: Grid,
    },
    /// The values of a constant: weights, biases. Other codes for the same real numbers, to half a step, are no difference
    /// of values.
    Constant {
        /// What the tensor is to the operator.
        role: &'static str,
        /// The tensor's name in A.
        name: String,
        /// Elements that are not the same.
        differing: usize,
        /// Elements.
        count: usize,
        /// The largest difference of two elements, in codes.
        largest: u64,
        /// A over B, where it is the same in all that differ.
        ratio: Option<f64>,
    },
    /// A constant has another number of elements, or is one on one side alone.
    Elements {
        /// What the tensor is to the operator.
        role: &'static str,
        /// The tensor's name in A.
        name: String,
    },
    /// The same operator with the same parameters in another arithmetic.
    Arithmetic {
        /// Which operator.
        kind: OperatorKind,
        /// A's.
        a: Profile,
        /// B's.
        b: Profile,
    },
    /// All of the above are the same: the operator's options (stride, padding, activation) or its version are not.
    Options,
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Kind { a, b } => write!(f, "operator: {a} in A, {b} in B"),
            Self::Quantization {
                role,
                name,
                channel,
                a,
                b,
            } => {
                write!(f, "parameters of the {role} {name:?}")?;
                if let Some(channel) = channel {
                    write!(f, ", first in channel {channel}")?;
                }
                write!(f, ": {a} in A, {b} in B")
            }
            Self::Constant {
                role,
                name,
                differing,
                count,
                largest,
                ratio,
            } => {
                write!(f, "{role} {name:?}: {differing} of {count} differ, by up to {largest} in codes")?;
                match ratio {
                    Some(ratio) => write!(f, "; those of A are {ratio:.3} times those of B"),
                    None => Ok(()),
                }
            }
            Self::Elements { role, name } => {
                write!(f, "{role} {name:?}: another number of elements, or not constant in both")
            }
            Self::Arithmetic { kind, a, b } => write!(
                f,
                "arithmetic of {kind}: {} in A ({a}), {} in B ({b})",
                arithmetic(kind, *a),
                arithmetic(kind, *b)
            ),
            Self::Options => f.write_str(
                "options: operator, operands and parameters are the same, so stride, padding, activation or version are not",
            ),
        }
    }
}

/// How an operator gets from its sums to codes.
fn arithmetic(kind: &OperatorKind, profile: Profile) -> &'static str {
    let is_dense = *kind == OperatorKind::Builtin(BuiltinOperator::FULLY_CONNECTED);
    match profile.rounding() {
        _ if is_dense && profile.fully_connected_in_double() => {
            "requantized in float64, rounded once"
        }
        Rounding::Double => "requantized in fixed point, rounded twice",
        Rounding::Single => "requantized in fixed point, rounded once",
    }
}

/// What operand `slot` is to an operator.
fn role(kind: &OperatorKind, slot: usize) -> &'static str {
    let OperatorKind::Builtin(code) = *kind else {
        return "operand";
    };
    let roles = match code {
        BuiltinOperator::CONV_2D
        | BuiltinOperator::DEPTHWISE_CONV_2D
        | BuiltinOperator::FULLY_CONNECTED => ["input", "weights", "bias"],
        BuiltinOperator::TRANSPOSE_CONV => ["output shape", "weights", "input"],
        _ => ["operand"; 3],
    };
    roles.get(slot).copied().unwrap_or("operand")
}

/// All that differs about two layers; of one that `is_source` something must.
pub(super) fn reasons(
    a: Side<'_>,
    b: Side<'_>,
    place_a: &Place<'_>,
    place_b: &Place<'_>,
    is_source: bool,
) -> Vec<Reason> {
    let mut reasons = Vec::new();
    let (graph_a, graph_b) = (a.model.graph(), b.model.graph());
    let (subgraph_a, subgraph_b) = (&graph_a.subgraphs()[0], &graph_b.subgraphs()[0]);
    let results = (
        &subgraph_a.tensors[place_a.tensor],
        &subgraph_b.tensors[place_b.tensor],
    );
    if place_a.kind != place_b.kind {
        reasons.push(Reason::Kind {
            a: place_a.kind.clone(),
            b: place_b.kind.clone(),
        });
    } else {
        let operands_a = &subgraph_a.operators[place_a.operator].inputs;
        let operands_b = &subgraph_b.operators[place_b.operator].inputs;
        for slot in 0..operands_a.len().max(operands_b.len()) {
            let tensor = |operands: &[Option<usize>]| operands.get(slot).copied().flatten();
            let role = role(place_a.kind, slot);
            match (tensor(operands_a), tensor(operands_b)) {
                (Some(of_a), Some(of_b)) => {
                    let (of_a, of_b) = (&subgraph_a.tensors[of_a], &subgraph_b.tensors[of_b]);
                    reasons.extend(quantization(role, graph_a, of_a, of_b));
                    reasons.extend(constant(role, graph_a, of_a, graph_b, of_b));
                }
                (None, None) => {}
                (of_a, _) => reasons.push(Reason::Elements {
                    role,
                    name: of_a
                        .map(|t| graph_a.tensor_name(&subgraph_a.tensors[t]).to_owned())
                        .unwrap_or_default(),
                }),
            }
        }
    }
    reasons.extend(quantization("result", graph_a, results.0, results.1));
    if is_source && a.profile != b.profile {
        reasons.push(Reason::Arithmetic {
            kind: place_a.kind.clone(),
            a: a.profile,
            b: b.profile,
        });
    }
    if is_source && reasons.is_empty() {
        reasons.push(Reason::Options);
    }
    reasons
}

/// Inputs whose parameters differ.
pub(super) fn inputs(a: &Model, b: &Model) -> Vec<Reason> {
    let (graph_a, graph_b) = (a.graph(), b.graph());
    let (subgraph_a, subgraph_b) = (&graph_a.subgraphs()[0], &graph_b.subgraphs()[0]);
    let pairs = subgraph_a.inputs.iter().zip(&subgraph_b.inputs);
    let pairs = pairs.map(|(&a, &b)| (&subgraph_a.tensors[a], &subgraph_b.tensors[b]));
    pairs
        .filter_map(|(a, b)| quantization("input", graph_a, a, b))
        .collect()
}

/// The grid of channel `channel`.
fn grid(tensor: &Tensor, channel: usize) -> Grid {
    let quantization = tensor.quantization.as_deref();
    let of = |numbers: usize| if numbers > 1 { channel } else { 0 };
    let scales = quantization.map_or(&[][..], |q| q.scales());
    let zero_points = quantization.map_or(&[][..], |q| q.zero_points());
    Grid {
        ty: tensor.ty,
        scale: scales.get(of(scales.len())).copied().unwrap_or_default(),
        zero_point: zero_points
            .get(of(zero_points.len()))
            .copied()
            .unwrap_or_default(),
    }
}

fn quantization(role: &'static str, graph: &Graph, a: &Tensor, b: &Tensor) -> Option<Reason> {
    let channels = |tensor: &Tensor| {
        let scales = tensor.quantization.as_deref().map(|q| q.scales().len());
        scales.unwrap_or_default().max(1)
    };
    let channels = channels(a).max(channels(b));
    let first = (0..channels).find(|&channel| grid(a, channel) != grid(b, channel))?;
    Some(Reason::Quantization {
        role,
        name: graph.tensor_name(a).to_owned(),
        channel: (channels > 1).then_some(first),
        a: grid(a, first),
        b: grid(b, first),
    })
}

fn constant(
    role: &'static str,
    graph_a: &Graph,
    a: &Tensor,
    graph_b: &Graph,
    b: &Tensor,
) -> Option<Reason> {
    let name = || graph_a.tensor_name(a).to_owned();
    let (bytes_a, bytes_b) = (graph_a.data(a), graph_b.data(b));
    if bytes_a == bytes_b {
        return None;
    }
    let elements = Reason::Elements { role, name: name() };
    let (Some(codes_a), Some(codes_b)) = (stored_codes(graph_a, a), stored_codes(graph_b, b))
    else {
        return Some(elements);
    };
    if codes_a.len() != codes_b.len() {
        return Some(elements);
    }
    // By element both codes and both real numbers, where those are not the same.
    let differing = codes_a.iter().zip(&codes_b).enumerate();
    let differing = differing.filter_map(|(index, (&code_a, &code_b))| {
        let (grid_a, grid_b) = (grid_of(a, index), grid_of(b, index));
        let (real_a, real_b) = (grid_a.real(code_a), grid_b.real(code_b));
        let is_same = match grid_a == grid_b {
            true => code_a == code_b,
            // Rounded to either grid, and a float scale beside its last place.
            false => (real_a - real_b).abs() <= half_step(grid_a, grid_b) + real_a.abs() * 1e-6,
        };
        (!is_same).then_some((code_a.abs_diff(code_b), real_a / real_b))
    });
    let differing: Vec<(u64, f64)> = differing.collect();
    let &(_, first) = differing.first()?;
    // Rounded biases are a little off from one factor.
    let is_factor = |(_, ratio): &(u64, f64)| (ratio / first - 1.0).abs() < 0.02;
    let has_ratio = differing.len() > 1 && differing.iter().all(is_factor);
    Some(Reason::Constant {
        role,
        name: name(),
        differing: differing.len(),
        count: codes_a.len(),
        largest: differing.iter().map(|(codes, _)| *codes).max()?,
        ratio: has_ratio.then_some(first),
    })
}

/// The grid of element `index`.
fn grid_of(tensor: &Tensor, index: usize) -> Grid {
    let quantization = tensor.quantization.as_deref();
    let channel = quantization.map(|q| channel_of(index, tensor.shape.dims(), q));
    grid(tensor, channel.unwrap_or_default())
}

fn half_step(a: Grid, b: Grid) -> f64 {
    f64::from(a.scale.max(b.scale)) / 2.0
}
