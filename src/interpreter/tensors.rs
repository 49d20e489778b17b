//! Reading a program's tensors, wherever they lie.

use crate::model::{Graph, Tensor};
use crate::ops::{Operand, Place};
use crate::tensor::{TensorError, TensorRef};

/// The memory of one program.
#[derive(Clone, Copy)]
pub(super) struct Tensors<'a> {
    pub(super) graph: &'a Graph,
    pub(super) declared: &'a [Tensor],
    pub(super) arena: &'a [u8],
    pub(super) folded: &'a [Box<[u64]>],
}

impl<'a> Tensors<'a> {
    /// The bytes of a tensor that has some.
    pub(super) fn bytes(&self, operand: &Operand) -> Option<&'a [u8]> {
        let tensor = self.declared.get(operand.tensor)?;
        match &operand.place {
            Place::Arena(range) => self.arena.get(range.clone()),
            Place::File => self.graph.data(tensor),
            Place::Folded(number) => {
                let len = tensor.ty.bytes(operand.shape.count())?;
                bytemuck::cast_slice::<u64, u8>(self.folded.get(*number)?).get(..len)
            }
            Place::Open => None,
        }
    }

    pub(super) fn view(&self, operand: &'a Operand) -> Result<TensorRef<'a>, TensorError> {
        let tensor = &self.declared[operand.tensor];
        let quantization = tensor.quantization.as_deref();
        let bytes = self.bytes(operand).unwrap_or_default();
        TensorRef::new(tensor.ty, &operand.shape, quantization, bytes)
    }
}
