//! The accessors on hand-made buffers and on the corpus of real models.

mod corpus;
mod hand_made;

use std::collections::BTreeMap;

use super::tflite::{BuiltinOperator, Model};

/// What a walk over a model finds.
#[derive(Debug, Default)]
struct Contents {
    /// Number of operators by name.
    operators: BTreeMap<String, u64>,
    /// Operators whose options are there but not of a known table.
    unknown_options: u64,
    inputs: Vec<(String, Vec<i32>, Vec<i64>)>,
    /// Vectors of zero points that do not lie at a multiple of eight.
    misaligned: usize,
}

/// Walks over the graphs of `model`, which was read from `bytes`; missing parts count as empty.
fn contents(model: Model<'_>, bytes: &[u8]) -> Contents {
    let mut contents = Contents::default();
    let codes: Vec<_> = model.operator_codes().iter().flatten().collect();
    for (i, graph) in model.subgraphs().iter().flatten().enumerate() {
        let tensors: Vec<_> = graph.tensors().iter().flatten().collect();
        for tensor in &tensors {
            let zero_point = tensor.quantization().and_then(|q| q.zero_point());
            let place = zero_point.map(|z| {
                z.bytes()
                    .as_ptr()
                    .addr()
                    .wrapping_sub(bytes.as_ptr().addr())
            });
            contents.misaligned += usize::from(place.is_some_and(|place| place % 8 != 0));
        }
        for index in graph.inputs().iter().flatten().filter(|_| i == 0) {
            let Some(tensor) = usize::try_from(index).ok().and_then(|i| tensors.get(i)) else {
                continue;
            };
            let quantization = tensor.quantization();
            contents.inputs.push((
                tensor.name().unwrap_or_default().to_string(),
                tensor.shape().iter().flatten().collect(),
                quantization
                    .and_then(|q| q.zero_point())
                    .iter()
                    .flatten()
                    .collect(),
            ));
        }
        for operator in graph.operators().iter().flatten() {
            let known = operator.builtin_options_type().variant_name().is_some()
                && operator.builtin_options_2_type().variant_name().is_some();
            contents.unknown_options += u64::from(!known);
            let index = usize::try_from(operator.opcode_index());
            let name = match index.ok().and_then(|index| codes.get(index)) {
                None => "none".to_string(),
                Some(code) => {
                    let builtin = code
                        .builtin_code()
                        .0
                        .max(code.deprecated_builtin_code().into());
                    let builtin = format!("{:?}", BuiltinOperator(builtin));
                    match code.custom_code() {
                        Some(custom) => format!("{builtin}:{custom}"),
                        None => builtin,
                    }
                }
            };
            *contents.operators.entry(name).or_default() += 1;
        }
    }
    contents
}
