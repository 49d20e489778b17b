//! An entry of a model: a subgraph that callers run, with the shapes they gave its inputs.

use super::control::Given;
use super::error::BuildError;
use super::prepare::build_program;
use super::program::Program;
use super::resolve::resolve;
use super::runtime::Runtime;
use crate::model::{Subgraph, Tensor};
use crate::tensor::Shape;

pub(super) struct Entry {
    pub(super) program: Program,
    /// The inputs whose shape is not the file's.
    pub(super) shapes: Vec<(usize, Shape)>,
}

/// Prepares a subgraph and all it runs. What fails leaves no trace.
pub(super) fn build_entry(
    runtime: &mut Runtime,
    index: usize,
    shapes: Vec<(usize, Shape)>,
) -> Result<Entry, BuildError> {
    let memory = runtime.memory;
    runtime.start();
    let built = try_build(runtime, index, &shapes);
    if built.is_err() {
        runtime.memory = memory;
    }
    Ok(Entry {
        program: built?,
        shapes,
    })
}

fn try_build(
    runtime: &mut Runtime,
    index: usize,
    shapes: &[(usize, Shape)],
) -> Result<Program, BuildError> {
    let model = runtime.model.clone();
    let subgraph = &model.graph().subgraphs()[index];
    let given = inputs(subgraph, shapes)?;
    resolve(runtime, index)?;
    build_program(runtime, index, &given).map_err(|error| name_axis(subgraph, shapes, error))
}

/// The declared shapes with those that the caller gave in their place.
fn inputs(subgraph: &Subgraph, shapes: &[(usize, Shape)]) -> Result<Vec<Given>, BuildError> {
    let declared = subgraph.inputs.iter();
    let mut inputs: Vec<Given> = declared
        .map(|&tensor| Given {
            shape: subgraph.tensors[tensor].shape,
            value: None,
        })
        .collect();
    for &(index, shape) in shapes {
        let count = inputs.len();
        let input = inputs
            .get_mut(index)
            .ok_or(BuildError::InputIndex { index, count })?;
        let declared = &subgraph.tensors[subgraph.inputs[index]];
        if shape.rank() != declared.shape.rank() && !declared.is_unranked {
            return Err(BuildError::InputShape {
                index,
                found: shape.into(),
                declared: declared.shape.into(),
            });
        }
        input.shape = shape;
    }
    Ok(inputs)
}

/// Blames an axis that the file fixes, and the caller changed, for an operator that cannot be prepared.
fn name_axis(subgraph: &Subgraph, shapes: &[(usize, Shape)], error: BuildError) -> BuildError {
    if !matches!(
        error,
        BuildError::Prepare { .. } | BuildError::Constant { .. }
    ) {
        return error;
    }
    for &(index, shape) in shapes {
        let declared = &subgraph.tensors[subgraph.inputs[index]];
        let pairs = shape.dims().iter().zip(declared.shape.dims());
        let changed = |&(axis, (found, expected)): &(usize, (&usize, &usize))| {
            found != expected && !is_open(declared, axis)
        };
        if let Some((axis, (&found, &expected))) = pairs.enumerate().find(changed) {
            return BuildError::InputAxis {
                index,
                axis,
                found,
                expected,
                source: Box::new(error),
            };
        }
    }
    error
}

/// Whether the file leaves the extent of an axis to the caller.
fn is_open(tensor: &Tensor, axis: usize) -> bool {
    let signature = tensor.shape_signature.as_deref().unwrap_or_default();
    signature.get(axis) == Some(&-1)
}
