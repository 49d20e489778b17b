//! The operands of operators with weights, by role, for rules and for the QAT oracle.

use super::{Node, NodeTensor};
use crate::model::{BuiltinOperator as Op, OperatorKind};
use crate::tensor::TensorType;

/// The operands of a convolution or matrix product with weights.
#[derive(Clone, Copy)]
#[non_exhaustive]
pub struct Weighted<'a> {
    /// Activations: channels along the last axis.
    pub input: NodeTensor<'a>,
    /// Weights: OHWI, of matrix products OI, of depthwise convolutions 1HW(IM) with a multiplier of M.
    pub filter: NodeTensor<'a>,
    /// Added to the accumulator, one per output channel.
    pub bias: Option<NodeTensor<'a>>,
    /// Results.
    pub output: NodeTensor<'a>,
    /// The axis of `filter` that the output channels lie along.
    pub channel_axis: usize,
}

impl<'a> Weighted<'a> {
    /// The operands of CONV_2D, DEPTHWISE_CONV_2D, FULLY_CONNECTED and TRANSPOSE_CONV; `None` of other operators and where
    /// one is missing.
    pub fn of(node: &Node<'a>) -> Option<Self> {
        let OperatorKind::Builtin(code) = node.operator().kind else {
            return None;
        };
        let ([input, filter, bias], channel_axis) = match code {
            Op::CONV_2D | Op::FULLY_CONNECTED => ([0, 1, 2], 0),
            Op::DEPTHWISE_CONV_2D => ([0, 1, 2], 3),
            Op::TRANSPOSE_CONV => ([2, 1, 3], 0),
            _ => return None,
        };
        Some(Self {
            input: node.input(input, "input").ok()?,
            filter: node.input(filter, "filter").ok()?,
            bias: node.optional_input(bias, "bias"),
            output: node.output(0, "output").ok()?,
            channel_axis,
        })
    }

    /// By output channel the weights as distances from their zero point, in codes, in the order of the file. `None` where
    /// they are no constants of 8 bits.
    pub fn channels(&self) -> Option<Vec<Vec<i32>>> {
        let filter = &self.filter;
        let zero_point = filter.quantization?.zero_point();
        let codes: Vec<i32> = match filter.ty {
            TensorType::Int8 => widen(filter.constant::<i8>().ok()?),
            TensorType::UInt8 => widen(filter.constant::<u8>().ok()?),
            _ => return None,
        };
        let count = filter.shape.dim(self.channel_axis).filter(|&n| n > 0)?;
        let inner: usize = filter.shape.dims()[self.channel_axis + 1..]
            .iter()
            .product();
        let mut channels = vec![Vec::with_capacity(codes.len() / count); count];
        for (index, code) in codes.into_iter().enumerate() {
            channels[index / inner.max(1) % count].push(code.saturating_sub(zero_point));
        }
        Some(channels)
    }
}

fn widen<T: Copy + Into<i32>>(codes: &[T]) -> Vec<i32> {
    codes.iter().map(|&code| code.into()).collect()
}
