//! What is known of a subgraph's tensors while its operators are prepared, in order.

use super::error::BuildError;
use crate::model::{Graph, Subgraph};
use crate::ops::{KnownTensors, Operand, Place};
use crate::tensor::Shape;

/// What is known of the tensors while operators are prepared in order.
pub(super) struct Known<'a> {
    pub(super) graph: &'a Graph,
    pub(super) subgraph: &'a Subgraph,
    pub(super) shapes: Vec<Shape>,
    /// Per tensor, the number of the folded constant that holds its value.
    pub(super) folded: Vec<Option<usize>>,
    pub(super) constants: Vec<Box<[u64]>>,
}

impl KnownTensors for Known<'_> {
    fn shape(&self, index: usize) -> Option<Shape> {
        self.shapes.get(index).copied()
    }

    fn constant(&self, index: usize) -> Option<&[u8]> {
        let tensor = self.subgraph.tensors.get(index)?;
        match self.folded.get(index).copied()? {
            Some(number) => {
                let len = tensor.ty.bytes(self.shapes.get(index)?.count())?;
                bytemuck::cast_slice::<u64, u8>(self.constants.get(number)?).get(..len)
            }
            None => self.graph.data(tensor),
        }
    }
}

impl Known<'_> {
    /// Bytes of a tensor.
    pub(super) fn bytes(&self, index: usize) -> Result<usize, BuildError> {
        let ty = self.subgraph.tensors[index].ty;
        ty.bytes(self.shapes[index].count())
            .ok_or(BuildError::Unsized { tensor: index, ty })
    }

    /// Whether the value is known before inference.
    pub(super) fn is_constant(&self, index: usize) -> bool {
        self.constant(index).is_some()
    }

    /// A tensor with its place; `offsets` gives the arena offset of those that have one.
    pub(super) fn operand(&self, tensor: usize, offsets: &[Option<usize>]) -> Operand {
        let place = match (self.folded[tensor], offsets.get(tensor).copied().flatten()) {
            (Some(number), _) => Place::Folded(number),
            (None, Some(offset)) => Place::Arena(offset..offset + self.bytes(tensor).unwrap_or(0)),
            (None, None) => Place::File,
        };
        Operand {
            tensor,
            shape: self.shapes[tensor],
            place,
        }
    }

    /// The operands of operator `number` with their places.
    pub(super) fn inputs(&self, number: usize, offsets: &[Option<usize>]) -> Vec<Option<Operand>> {
        let inputs = self.subgraph.operators[number].inputs.iter();
        inputs
            .map(|input| input.map(|tensor| self.operand(tensor, offsets)))
            .collect()
    }
}
