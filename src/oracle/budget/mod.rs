//! How far an integer model may be from the one that was trained, before either runs.
//!
//! Two numbers per layer. The *bound* says what rounding can do to this layer alone, on the training side's own input: the
//! error law of [`law`], or the operator's tolerance. The *predicted RMS* says what all layers up to here
//! make of it together. It follows variances, not worst cases: the sum of all that could go wrong at once passes the range
//! of a tensor after three layers and says nothing.
//!
//! | file | content |
//! | --- | --- |
//! | `errors.rs` | the differences in a tensor, as moments |
//! | `propagate.rs` | what each operator makes of them |
//!
//! What is assumed, because no data is read: differences of different elements are independent; values lie anywhere between
//! two codes; half of the values in front of a ReLU are below zero; SOFTMAX finds all classes equally likely. The
//! prediction is of the order of what `oracle::compare` measures, not more.

mod errors;
mod propagate;

use super::codes::Codes;
use super::law::{self, Law};
use crate::model::{Graph, Model, OperatorKind};
use crate::ops::{FileTensors, Node, Weighted};
use errors::Errors;

/// What is to be expected of one result of one operator.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Layer {
    /// The operator that computes it: its index.
    pub operator: usize,
    /// The operator that computes it: its kind.
    pub kind: OperatorKind,
    /// Index of the tensor.
    pub tensor: usize,
    /// Name of the tensor.
    pub name: String,
    /// `input_scale * weight_scale / output_scale`, the largest of all channels, of operators with weights.
    pub multiplier: Option<f64>,
    /// How far the layer may be off by rounding alone, in LSB: of operators with weights from the real number,
    /// `0.5 + M/2 + 2^-(s+1)`, the largest of all channels; of others from the training side's code.
    pub bound: f64,
    /// Predicted root mean square of the differences that this layer adds, in LSB; `None` where the operator's arithmetic
    /// is not modelled.
    pub local_rms: Option<f64>,
    /// Predicted root mean square of all differences up to here, in LSB; `None` behind an operator that is not modelled.
    pub rms: Option<f64>,
}

/// The budget of every quantized result of a model's first subgraph, in execution order.
///
/// ```no_run
/// use corallite::Model;
/// use corallite::oracle::budget::budget;
///
/// let model = Model::from_file("model.tflite")?;
/// for layer in budget(&model) {
///     println!("{}: {:.3} LSB alone, {:?} LSB in all", layer.name, layer.bound, layer.rms);
/// }
/// # Ok::<(), corallite::model::LoadError>(())
/// ```
pub fn budget(model: &Model) -> Vec<Layer> {
    let graph = model.graph();
    let subgraph = &graph.subgraphs()[0];
    let known = FileTensors(graph, subgraph);
    // Codes of inputs and constants are the training side's own.
    let is_computed = computed(graph);
    let mut errors: Vec<Option<Errors>> = is_computed
        .iter()
        .map(|&is_computed| (!is_computed).then(Errors::none))
        .collect();
    let none = Errors::none();
    let mut layers = Vec::new();
    for index in 0..subgraph.operators.len() {
        let Some(node) = Node::new(graph, 0, index, &known) else {
            continue;
        };
        let operator = node.operator();
        for &tensor in &operator.outputs {
            let declared = &subgraph.tensors[tensor];
            let Some(codes) = Codes::of(declared) else {
                continue;
            };
            let local = propagate::result(&node, tensor, &|_| Some(&none));
            let all = propagate::result(&node, tensor, &|before| errors[before].as_ref());
            let weighted = Weighted::of(&node);
            let law = weighted
                .as_ref()
                .and_then(|operands| law_of(operands, &codes));
            layers.push(Layer {
                operator: index,
                kind: operator.kind.clone(),
                tensor,
                name: graph.tensor_name(declared).to_owned(),
                multiplier: law.as_ref().map(Law::largest_multiplier),
                bound: match (&law, &operator.kind) {
                    (Some(law), _) => 0.5 + law.largest_bound(),
                    (None, OperatorKind::Builtin(code)) => law::tolerance(*code),
                    (None, OperatorKind::Custom(_)) => 1.0,
                },
                local_rms: local.map(|errors| errors.rms()),
                rms: all.as_ref().map(Errors::rms),
            });
            errors[tensor] = all;
        }
    }
    layers
}

/// By tensor, whether an operator writes it.
fn computed(graph: &Graph) -> Vec<bool> {
    let subgraph = &graph.subgraphs()[0];
    let mut computed = vec![false; subgraph.tensors.len()];
    for operator in &subgraph.operators {
        for &output in &operator.outputs {
            computed[output] = true;
        }
    }
    computed
}

/// The error law of an operator with weights.
fn law_of(operands: &Weighted<'_>, codes: &Codes) -> Option<Law> {
    let (input_scale, _) = operands.input.per_tensor().ok()?;
    let scales = operands.filter.scales().ok()?;
    let channels = operands.filter.shape.dim(operands.channel_axis)?;
    Some(Law::new(input_scale, scales, codes.scale as f32, channels))
}
