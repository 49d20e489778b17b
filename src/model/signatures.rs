//! The named entry points of a file.

use super::error::{LoadError, Place};
use super::graph::{Signature, SignatureTensor, Subgraph};
use super::read::index_below;
use crate::schema::tflite as schema;

/// Reads them all, every index checked.
pub(super) fn signatures(
    model: schema::Model<'_>,
    subgraphs: &[Subgraph],
) -> Result<Vec<Signature>, LoadError> {
    let mut signatures = Vec::new();
    for table in model.signature_defs().iter().flatten() {
        let place = |subgraph| Place {
            subgraph,
            operator: None,
        };
        let number = table.subgraph_index();
        let subgraph = index_below(number, subgraphs.len(), place(0), "a signature's subgraph")?;
        let place = place(subgraph);
        let count = subgraphs[subgraph].tensors.len();
        let mut inputs = Vec::new();
        for map in table.inputs().iter().flatten() {
            inputs.push(signature_tensor(map, count, place)?);
        }
        let mut outputs = Vec::new();
        for map in table.outputs().iter().flatten() {
            outputs.push(signature_tensor(map, count, place)?);
        }
        signatures.push(Signature {
            key: table.signature_key().unwrap_or_default().to_owned(),
            subgraph,
            inputs,
            outputs,
        });
    }
    Ok(signatures)
}

fn signature_tensor(
    map: schema::TensorMap<'_>,
    tensors: usize,
    place: Place,
) -> Result<SignatureTensor, LoadError> {
    Ok(SignatureTensor {
        name: map.name().unwrap_or_default().to_owned(),
        tensor: index_below(map.tensor_index(), tensors, place, "a signature's tensor")?,
    })
}
