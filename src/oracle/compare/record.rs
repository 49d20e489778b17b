//! What a model computes, as the arrays that a training side would leave.

use super::dump::DumpArray;
use super::inputs::{self, Input};
use super::passes::{codes_of, interpreter, straight};
use super::{Codes, CompareError};
use crate::fixedpoint::Profile;
use crate::interpreter::OperatorEvent;
use crate::model::Model;
use crate::tensor::Shape;

/// A quantized activation of a model with its values.
pub(in crate::oracle) struct Recorded {
    /// The operator that computes it: its index.
    pub(in crate::oracle) operator: usize,
    /// Index of the tensor.
    pub(in crate::oracle) tensor: usize,
    /// Extents.
    pub(in crate::oracle) shape: Shape,
    /// The real numbers that its codes stand for, under the tensor's name.
    pub(in crate::oracle) array: DumpArray,
}

/// Runs a model on the first `runs` of `inferences` and keeps every quantized activation, in execution order. State goes on
/// from inference to inference.
pub(in crate::oracle) fn record(
    model: &Model,
    inputs: &[Input],
    inferences: usize,
    runs: usize,
    profile: Profile,
) -> Result<Vec<Recorded>, CompareError> {
    let graph = model.graph();
    let subgraph = straight(graph)?;
    let mut interpreter = interpreter(model, profile)?;
    let mut recorded: Vec<Recorded> = Vec::new();
    let mut place_of: Vec<Option<usize>> = vec![None; subgraph.tensors.len()];
    for number in 0..runs {
        inputs::write(inputs, &mut interpreter, number, inferences)?;
        let mut observer = |event: &OperatorEvent<'_>| {
            for (tensor, view) in event.outputs() {
                let declared = &subgraph.tensors[tensor];
                let (Some(grid), Some(stored)) = (Codes::of(declared), codes_of(&view)) else {
                    continue;
                };
                let place = *place_of[tensor].get_or_insert_with(|| {
                    recorded.push(Recorded {
                        operator: event.info().index,
                        tensor,
                        shape: view.shape(),
                        array: DumpArray {
                            name: graph.tensor_name(declared).to_owned(),
                            shape: [&[runs], view.shape().dims()].concat(),
                            values: Vec::new(),
                            is_integer: false,
                        },
                    });
                    recorded.len() - 1
                });
                let real = stored.iter().map(|&code| grid.real(code) as f32);
                recorded[place].array.values.extend(real);
            }
        };
        interpreter
            .invoke_observed(&mut observer)
            .map_err(|source| CompareError::Invoke { source })?;
    }
    Ok(recorded)
}
