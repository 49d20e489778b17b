//! The Edge TPU compiler's conditions, operator by operator.
//!
//! Source: <https://coral.ai/docs/edgetpu/models-intro/>, "Model requirements" and "Supported operations" of compiler 16.
//! The compiler knows more than it publishes: what this file lets pass may still stay on the CPU.

use crate::model::{BuiltinOperator as Op, OperatorKind, Rule, Tensor, rules};
use crate::ops::{Node, NodeTensor};
use crate::tensor::TensorType;

/// Whether the compiler maps an operator.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Support {
    /// It meets every published condition.
    Maps,
    /// It does where the compiler finds it precise enough.
    Perhaps,
    /// It breaks a condition.
    Refused(Refusal),
}

/// The condition that an operator breaks.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Refusal {
    pub(super) rule: &'static Rule,
    pub(super) tensor: Option<usize>,
    pub(super) found: String,
    pub(super) expected: String,
}

impl Refusal {
    fn new(rule: &'static Rule, found: impl Into<String>, expected: impl Into<String>) -> Self {
        Self {
            rule,
            tensor: None,
            found: found.into(),
            expected: expected.into(),
        }
    }

    fn condition(found: impl Into<String>, expected: impl Into<String>) -> Self {
        Self::new(rules::EDGETPU_CONDITION, found, expected)
    }

    fn of(self, tensor: usize) -> Self {
        Self {
            tensor: Some(tensor),
            ..self
        }
    }
}

/// The axis of samples, where a tensor has one.
const BATCH: usize = 0;

/// The most elements that SOFTMAX takes.
const SOFTMAX_ELEMENTS: usize = 16_000;

/// Judges an operator by itself, wherever it stands in the graph.
pub(super) fn judge(node: &Node<'_>) -> Support {
    let OperatorKind::Builtin(code) = node.operator().kind else {
        let name = node.operator().kind.to_string();
        let expected = "an operator of the compiler's list";
        return Support::Refused(Refusal::new(rules::EDGETPU_OPERATOR, name, expected));
    };
    let refusal = known(code)
        .and_then(|()| types(node))
        .and_then(|()| shapes(node))
        .and_then(|()| condition(node, code));
    match refusal {
        Err(refusal) => Support::Refused(refusal),
        Ok(()) if matches!(code, Op::RESIZE_BILINEAR | Op::RESIZE_NEAREST_NEIGHBOR) => {
            Support::Perhaps
        }
        Ok(()) => Support::Maps,
    }
}

fn known(code: Op) -> Result<(), Refusal> {
    match code {
        Op::ADD
        | Op::AVERAGE_POOL_2D
        | Op::CONCATENATION
        | Op::CONV_2D
        | Op::DEPTHWISE_CONV_2D
        | Op::EXPAND_DIMS
        | Op::FULLY_CONNECTED
        | Op::L2_NORMALIZATION
        | Op::LOGISTIC
        | Op::LSTM
        | Op::MAXIMUM
        | Op::MAX_POOL_2D
        | Op::MEAN
        | Op::MINIMUM
        | Op::MUL
        | Op::PACK
        | Op::PAD
        | Op::PRELU
        | Op::QUANTIZE
        | Op::REDUCE_MAX
        | Op::REDUCE_MIN
        | Op::RELU
        | Op::RELU6
        | Op::RELU_N1_TO_1
        | Op::RESHAPE
        | Op::RESIZE_BILINEAR
        | Op::RESIZE_NEAREST_NEIGHBOR
        | Op::RSQRT
        | Op::SLICE
        | Op::SOFTMAX
        | Op::SPACE_TO_DEPTH
        | Op::SPLIT
        | Op::SQUARED_DIFFERENCE
        | Op::SQUEEZE
        | Op::STRIDED_SLICE
        | Op::SUB
        | Op::SUM
        | Op::TANH
        | Op::TRANSPOSE
        | Op::TRANSPOSE_CONV
        | Op::UNIDIRECTIONAL_SEQUENCE_LSTM => Ok(()),
        _ => Err(Refusal::new(
            rules::EDGETPU_OPERATOR,
            format!("{}", OperatorKind::Builtin(code)),
            "an operator of the compiler's list",
        )),
    }
}

/// The tensors around an operator, left-out ones excluded.
fn tensors<'a>(node: &Node<'a>) -> impl Iterator<Item = (usize, &'a Tensor)> {
    let (subgraph, operator) = (node.subgraph(), node.operator());
    let inputs = operator.inputs.iter().flatten();
    let all = inputs.chain(&operator.outputs);
    all.map(|&index| (index, &subgraph.tensors[index]))
}

fn is_constant(node: &Node<'_>, tensor: &Tensor) -> bool {
    node.graph().data(tensor).is_some()
}

/// Activations of 8 bits; constants of 8 bits, or int32 as biases and shapes are.
fn types(node: &Node<'_>) -> Result<(), Refusal> {
    for (index, tensor) in tensors(node) {
        let is_8_bit = matches!(tensor.ty, TensorType::UInt8 | TensorType::Int8);
        let is_parameter = tensor.ty == TensorType::Int32 && is_constant(node, tensor);
        // The state of an LSTM.
        let is_state = tensor.is_variable && tensor.ty == TensorType::Int16;
        // The constants of an LSTM's layer normalization.
        let is_coefficient = tensor.ty == TensorType::Int16 && is_constant(node, tensor);
        if !(is_8_bit || is_parameter || is_state || is_coefficient) {
            let found = format!("{} elements", tensor.ty);
            let expected = "uint8 or int8";
            return Err(Refusal::new(rules::EDGETPU_TYPE, found, expected).of(index));
        }
    }
    Ok(())
}

/// Known shapes of which the three innermost axes alone are longer than 1.
fn shapes(node: &Node<'_>) -> Result<(), Refusal> {
    for (index, tensor) in tensors(node) {
        if is_constant(node, tensor) {
            continue;
        }
        let signature = tensor.shape_signature.as_deref().unwrap_or_default();
        let open = signature.iter().enumerate().find(|&(axis, &dim)| {
            // An open batch is compiled as the 1 that the shape says.
            dim < 0 && !(axis == BATCH && tensor.shape.dim(BATCH) == Some(1))
        });
        if open.is_some() || tensor.is_unranked {
            let found = match open {
                Some((axis, _)) => format!("axis {axis} open"),
                None => "the number of axes open".to_owned(),
            };
            let refusal = Refusal::new(rules::EDGETPU_DYNAMIC, found, "a fixed shape");
            return Err(refusal.of(index));
        }
        let dims = tensor.shape.dims();
        let outer = dims.len().saturating_sub(3);
        if dims[..outer].iter().any(|&dim| dim > 1) {
            let found = format!("shape {}", tensor.shape);
            let expected = "1 on all but the three innermost axes";
            return Err(Refusal::new(rules::EDGETPU_SHAPE, found, expected).of(index));
        }
    }
    Ok(())
}

fn condition(node: &Node<'_>, code: Op) -> Result<(), Refusal> {
    let attributes = node.attributes();
    match code {
        Op::CONV_2D | Op::DEPTHWISE_CONV_2D => {
            let [y, x] = attributes.dilation;
            if y != x {
                return Err(Refusal::condition(
                    format!("dilation {y} along y and {x} along x"),
                    "the same along both",
                ));
            }
            parameters(node, &[1, 2])
        }
        Op::TRANSPOSE_CONV => parameters(node, &[0, 1, 3]),
        Op::FULLY_CONNECTED => {
            if !attributes.plain_weights {
                let found = "shuffled weights";
                return Err(Refusal::condition(found, "the default weights format"));
            }
            one_dimensional(node.output(0, "output").ok())?;
            parameters(node, &[1, 2])
        }
        Op::AVERAGE_POOL_2D | Op::MAX_POOL_2D => no_activation(node),
        Op::CONCATENATION => {
            no_activation(node)?;
            zero_padding(node)
        }
        Op::MEAN => {
            let axes = axes(node)?;
            let input = node.input(0, "input").ok();
            let channels = input.and_then(|input| {
                let last = input.shape.rank().checked_sub(1)?;
                axes.contains(&last).then_some(input.shape.last())
            });
            match channels {
                Some(channels) if channels % 4 != 0 => Err(Refusal::condition(
                    format!("a mean over {channels} channels"),
                    "a multiple of 4 channels",
                )),
                _ => not_batch(node, axes.contains(&BATCH)),
            }
        }
        Op::REDUCE_MAX | Op::REDUCE_MIN | Op::SUM => not_batch(node, axes(node)?.contains(&BATCH)),
        Op::PACK => not_batch(node, attributes.axis == 0),
        Op::PAD => {
            let paddings = integers(node, 1)?;
            not_batch(node, paddings.iter().take(2).any(|&padding| padding != 0))
        }
        Op::SPLIT => not_batch(node, integers(node, 0)?.contains(&0)),
        Op::PRELU => {
            parameters(node, &[1])?;
            one_dimensional(node.input(1, "alpha").ok())
        }
        Op::SOFTMAX => {
            one_dimensional(node.input(0, "input").ok())?;
            match node.input(0, "input") {
                Ok(input) if input.shape.count() > SOFTMAX_ELEMENTS => Err(Refusal::condition(
                    format!("{} elements", input.shape.count()),
                    format!("{SOFTMAX_ELEMENTS} at most"),
                )),
                _ => Ok(()),
            }
        }
        Op::STRIDED_SLICE => {
            if attributes.ellipsis_or_new_axis {
                let found = "an ellipsis or a new axis";
                return Err(Refusal::condition(found, "begin, end and strides alone"));
            }
            match integers(node, 3)?.iter().find(|&&stride| stride != 1) {
                Some(stride) => Err(Refusal::condition(format!("stride {stride}"), "stride 1")),
                None => Ok(()),
            }
        }
        _ => Ok(()),
    }
}

/// Operands in these slots are constants where they are present.
fn parameters(node: &Node<'_>, slots: &[usize]) -> Result<(), Refusal> {
    for &slot in slots {
        if let Some(operand) = node.optional_input(slot, "parameter")
            && !operand.is_constant()
        {
            let found = format!("operand {slot} computed by the model");
            return Err(Refusal::condition(found, "a constant").of(operand.index));
        }
    }
    Ok(())
}

fn no_activation(node: &Node<'_>) -> Result<(), Refusal> {
    match node.attributes().activation {
        crate::fixedpoint::FusedActivation::None => Ok(()),
        activation => Err(Refusal::condition(
            format!("fused activation {activation:?}"),
            "none",
        )),
    }
}

/// The innermost axis alone is longer than 1.
fn one_dimensional(tensor: Option<NodeTensor<'_>>) -> Result<(), Refusal> {
    match tensor {
        Some(tensor) if tensor.shape.count() != tensor.shape.last() => {
            let found = format!("{} of shape {}", tensor.operand, tensor.shape);
            Err(Refusal::condition(found, "1 on all but the innermost axis").of(tensor.index))
        }
        _ => Ok(()),
    }
}

/// A constant operand is joined to one other, and all zeros.
fn zero_padding(node: &Node<'_>) -> Result<(), Refusal> {
    let count = node.operator().inputs.len();
    let operands = (0..count).filter_map(|slot| node.optional_input(slot, "input"));
    for operand in operands.filter(NodeTensor::is_constant) {
        let zero = operand.quantization.map_or(0, |q| q.zero_point()) as u8;
        let bytes = operand.constant_bytes().unwrap_or_default();
        if count != 2 || bytes.iter().any(|&byte| byte != zero) {
            let found = format!("a constant among {count} operands");
            return Err(
                Refusal::condition(found, "one other operand and zeros alone").of(operand.index),
            );
        }
    }
    Ok(())
}

/// Nothing is done along the axis of samples: axis 0 of tensors of two or four axes.
fn not_batch(node: &Node<'_>, touches_first: bool) -> Result<(), Refusal> {
    let rank = node
        .output(0, "output")
        .map_or(0, |output| output.shape.rank());
    let rank = node
        .input(0, "input")
        .map_or(rank, |input| input.shape.rank().max(rank));
    if touches_first && matches!(rank, 2 | 4) {
        return Err(Refusal::condition(
            "the batch axis changed",
            "the batch left alone",
        ));
    }
    Ok(())
}

/// The constant int32 operand in `slot`.
fn integers<'a>(node: &Node<'a>, slot: usize) -> Result<&'a [i32], Refusal> {
    let operand = node.input(slot, "operand");
    operand
        .and_then(|operand| operand.constant::<i32>())
        .map_err(|_| {
            Refusal::condition(
                format!("operand {slot} computed by the model"),
                "a constant",
            )
        })
}

/// The axes that a reduction runs over.
fn axes(node: &Node<'_>) -> Result<Vec<usize>, Refusal> {
    let rank = node.input(0, "input").map_or(0, |input| input.shape.rank());
    let rank = i32::try_from(rank).unwrap_or(i32::MAX);
    let from_front = |axis: i32| {
        if axis < 0 {
            axis.saturating_add(rank)
        } else {
            axis
        }
    };
    let axes = integers(node, 1)?.iter().map(|&axis| from_front(axis));
    Ok(axes.filter_map(|axis| usize::try_from(axis).ok()).collect())
}
