//! What is known of a subgraph's tensors while its operators are prepared: before inference, and during one.

use super::control::Given;
use super::error::BuildError;
use super::tensors::Tensors;
use crate::model::{Graph, Subgraph};
use crate::ops::{KnownTensors, Operand, Place, Variables};
use crate::tensor::Shape;
use std::cell::Cell;

/// What is known of the tensors while operators are prepared in order.
pub(super) struct Known<'a> {
    pub(super) graph: &'a Graph,
    pub(super) index: usize,
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

impl<'a> Known<'a> {
    /// The file's shapes and constants, with what is given of the inputs.
    pub(super) fn new(graph: &'a Graph, index: usize, given: &[Given]) -> Self {
        let subgraph = &graph.subgraphs()[index];
        let mut known = Self {
            graph,
            index,
            subgraph,
            shapes: subgraph.tensors.iter().map(|tensor| tensor.shape).collect(),
            folded: vec![None; subgraph.tensors.len()],
            constants: Vec::new(),
        };
        for (&tensor, given) in subgraph.inputs.iter().zip(given) {
            known.shapes[tensor] = given.shape;
            if let Some(value) = &given.value {
                known.folded[tensor] = Some(known.constants.len());
                known.constants.push(value.clone());
            }
        }
        known
    }

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
            (None, None) if self.is_constant(tensor) => Place::File,
            (None, None) => Place::Open,
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

    /// The shapes of operator `number`'s operands.
    pub(super) fn input_shapes(&self, number: usize) -> impl Iterator<Item = &Shape> {
        let inputs = self.subgraph.operators[number].inputs.iter().flatten();
        inputs.map(|&tensor| &self.shapes[tensor])
    }

    /// What is known of operator `number`'s operands.
    pub(super) fn given(&self, number: usize) -> Vec<Given> {
        let inputs = self.subgraph.operators[number].inputs.iter().flatten();
        inputs
            .map(|&tensor| Given {
                shape: self.shapes[tensor],
                value: self.constant(tensor).map(words),
            })
            .collect()
    }
}

/// What is known of the tensors in the middle of an inference: everything that has been computed.
pub(super) struct Current<'a> {
    tensors: Tensors<'a>,
    now: &'a [Operand],
    variables: &'a Variables,
    asked: Cell<bool>,
}

impl<'a> Current<'a> {
    /// For the tensors' places `now`.
    pub(super) fn new(tensors: Tensors<'a>, now: &'a [Operand], variables: &'a Variables) -> Self {
        Self {
            tensors,
            now,
            variables,
            asked: Cell::new(false),
        }
    }

    /// Whether anyone asked for what another inference may bring otherwise.
    pub(super) fn was_asked(&self) -> bool {
        self.asked.get()
    }
}

impl KnownTensors for Current<'_> {
    fn shape(&self, index: usize) -> Option<Shape> {
        Some(self.now.get(index)?.shape)
    }

    fn constant(&self, index: usize) -> Option<&[u8]> {
        let operand = self.now.get(index)?;
        let is_constant = matches!(operand.place, Place::File | Place::Folded(_));
        self.tensors.bytes(operand).filter(|_| is_constant)
    }

    fn value(&self, index: usize) -> Option<&[u8]> {
        self.constant(index).or_else(|| {
            self.asked.set(true);
            self.tensors.bytes(self.now.get(index)?)
        })
    }

    fn variable(&self, number: usize) -> Option<Shape> {
        self.asked.set(true);
        Some(self.variables.get(number)?.shape())
    }
}

/// What is known of a tensor for a program that takes it: its value where no inference changes that.
pub(super) fn given(tensors: Tensors<'_>, operand: &Operand) -> Given {
    let is_constant = matches!(operand.place, Place::File | Place::Folded(_));
    Given {
        shape: operand.shape,
        value: tensors.bytes(operand).filter(|_| is_constant).map(words),
    }
}

/// A copy of bytes, aligned for every element type.
pub(super) fn words(bytes: &[u8]) -> Box<[u64]> {
    let mut words = vec![0u64; bytes.len().div_ceil(size_of::<u64>())].into_boxed_slice();
    bytemuck::cast_slice_mut::<u64, u8>(&mut words)[..bytes.len()].copy_from_slice(bytes);
    words
}
