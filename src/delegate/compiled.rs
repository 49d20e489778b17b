//! What a model has for the Edge TPU.

pub use crate::model::EDGE_TPU_OPERATOR;
use crate::model::{Graph, OperatorKind};
use crate::package::{Package, PackageError};

/// One `edgetpu-custom-op` of a model.
#[derive(Debug)]
pub struct CompiledOperator {
    /// Index in the first subgraph.
    pub operator: usize,
    /// What it holds, or why libedgetpu never sees it.
    pub package: Result<Package, PackageError>,
}

/// Whether an operator runs on an Edge TPU alone.
pub(super) fn is_compiled_operator(kind: &OperatorKind) -> bool {
    matches!(kind, OperatorKind::Custom(name) if name == EDGE_TPU_OPERATOR)
}

/// Whether a model was compiled for the Edge TPU, in part at least.
///
/// ```
/// let file = concat!(env!("CARGO_MANIFEST_DIR"), "/examples/data/fashion_mnist_int8.tflite");
/// let model = corallite::Model::from_file(file)?;
/// assert!(!corallite::delegate::is_compiled(model.graph()));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn is_compiled(graph: &Graph) -> bool {
    let mut operators = graph.subgraphs().iter().flat_map(|s| &s.operators);
    operators.any(|operator| is_compiled_operator(&operator.kind))
}

/// Every `edgetpu-custom-op` of a model's first subgraph, with the package in it. Empty: the model is not compiled.
pub fn compiled_operators(graph: &Graph) -> Vec<CompiledOperator> {
    let operators = graph.subgraphs()[0].operators.iter().enumerate();
    operators
        .filter(|(_, operator)| is_compiled_operator(&operator.kind))
        .map(|(operator, _)| {
            let table = graph.operator_table(0, operator);
            let options = table.and_then(|table| table.custom_options());
            let options = options.map_or(&[][..], |options| options.bytes());
            CompiledOperator {
                operator,
                package: Package::from_custom_options(options),
            }
        })
        .collect()
}
