//! Float operators between quantized ones, and fake quantization that a converter left.

use super::{nodes, report};
use crate::model::{BuiltinOperator as Op, Graph, OperatorKind, Report, Subgraph, rules};
use crate::ops::FileTensors;
use crate::tensor::TensorType;
use std::collections::BTreeSet;

/// Adds what of a subgraph computes in float32 though its operands and results are quantized.
pub(super) fn check(graph: &Graph, index: usize, to: &mut Report) {
    let subgraph = &graph.subgraphs()[index];
    let known = FileTensors(graph, subgraph);
    let writers = writers(subgraph);
    for node in nodes(graph, index, &known) {
        let operator = node.operator();
        let input = operator.inputs.first().copied().flatten();
        if operator.kind == OperatorKind::Builtin(Op::FAKE_QUANT) {
            let found = "FAKE_QUANT".to_owned();
            report(
                &node,
                input,
                rules::FAKE_QUANT_LEFT,
                found,
                "a quantized tensor",
                to,
            );
        }
        if operator.kind == OperatorKind::Builtin(Op::QUANTIZE)
            && let Some(input) = input
            && let Some(island) = Island::before(graph, subgraph, &writers, input)
        {
            report(
                &node,
                Some(input),
                rules::FLOAT_ISLAND,
                island.found(subgraph),
                "quantized operators",
                to,
            );
        }
    }
}

/// The operator that writes each tensor.
fn writers(subgraph: &Subgraph) -> Vec<Option<usize>> {
    let mut writers = vec![None; subgraph.tensors.len()];
    for (number, operator) in subgraph.operators.iter().enumerate() {
        for &output in &operator.outputs {
            writers[output] = Some(number);
        }
    }
    writers
}

/// What a QUANTIZE gets its floats from.
struct Island {
    /// Float operators, in file order.
    operators: BTreeSet<usize>,
    /// The first DEQUANTIZE of a quantized activation.
    dequantize: usize,
}

/// Operators of an island that are looked at.
const LARGEST: usize = 256;

impl Island {
    /// Follows float tensor `tensor` back to the quantized tensors it is computed from; `None` where there are none.
    fn before(
        graph: &Graph,
        subgraph: &Subgraph,
        writers: &[Option<usize>],
        tensor: usize,
    ) -> Option<Self> {
        let is_constant = |tensor: usize| graph.data(&subgraph.tensors[tensor]).is_some();
        let mut operators = BTreeSet::new();
        let mut dequantize: Option<usize> = None;
        let mut open = vec![tensor];
        while let Some(tensor) = open.pop()
            && operators.len() < LARGEST
        {
            let is_float = subgraph.tensors[tensor].ty == TensorType::Float32;
            let Some(writer) = writers[tensor].filter(|_| is_float) else {
                continue;
            };
            let operator = &subgraph.operators[writer];
            let inputs = operator.inputs.iter().flatten().copied();
            if operator.kind == OperatorKind::Builtin(Op::DEQUANTIZE) {
                // Weights that are stored in fewer bits are no activations.
                if inputs.into_iter().any(|input| !is_constant(input)) {
                    dequantize = Some(dequantize.map_or(writer, |first| first.min(writer)));
                }
            } else if operators.insert(writer) {
                open.extend(inputs);
            }
        }
        dequantize.map(|dequantize| Self {
            operators,
            dequantize,
        })
    }

    fn found(&self, subgraph: &Subgraph) -> String {
        const SHOWN: usize = 4;
        let kinds = self.operators.iter().take(SHOWN);
        let kinds: Vec<String> = kinds
            .map(|&o| subgraph.operators[o].kind.to_string())
            .collect();
        let more = match self.operators.len() {
            0 => "nothing".to_owned(),
            n if n > SHOWN => format!("{} and {} more", kinds.join(", "), n - SHOWN),
            _ => kinds.join(", "),
        };
        format!(
            "{more} in float32 between DEQUANTIZE operator {} and this QUANTIZE",
            self.dequantize
        )
    }
}
