//! One operator and the tensors around it, as `check` and `prepare` see them.

use super::shared::StridedCopy;
use super::{PrepareError, ZeroBorder};
use crate::fast::KernelChoice;
use crate::fixedpoint::Profile;
use crate::model::{Graph, Operator, Subgraph, Tensor};
use crate::schema::tflite as schema;
use crate::tensor::{Element, Quantization, Shape, TensorType, elements};

/// What the caller asked for, the same for every operator of an interpreter.
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub struct Settings {
    /// Whose arithmetic.
    pub profile: Profile,
    /// Which variants.
    pub kernels: KernelChoice,
    /// How many threads an operator may use, at least 1.
    pub threads: usize,
    /// The most bytes that an operator may take for itself where they follow from what the model computes.
    pub memory: usize,
    /// Whether preparing may take a millisecond where an inference gains by it. Interpreters grant it to a number of operators.
    pub thorough: bool,
}

impl Settings {
    /// Refuses to take `bytes` bytes that are too many.
    ///
    /// # Errors
    /// They are.
    pub fn may_take(&self, bytes: usize) -> Result<(), PrepareError> {
        let limit = self.memory;
        match bytes <= limit {
            true => Ok(()),
            false => Err(PrepareError::Memory { bytes, limit }),
        }
    }
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            profile: Profile::default(),
            kernels: KernelChoice::default(),
            threads: 1,
            memory: usize::MAX,
            thorough: true,
        }
    }
}

/// An operator in its graph.
#[derive(Clone, Copy)]
pub struct Node<'a> {
    graph: &'a Graph,
    subgraph: &'a Subgraph,
    subgraph_index: usize,
    index: usize,
    operator: &'a Operator,
    known: &'a dyn KnownTensors,
    border: Option<ZeroBorder>,
}

/// What is known of tensors beyond the file: the shapes after resizing and the constants computed at build time.
pub trait KnownTensors {
    /// The shape of tensor `index`.
    fn shape(&self, index: usize) -> Option<Shape>;
    /// The bytes of tensor `index` where no inference changes them.
    fn constant(&self, index: usize) -> Option<&[u8]>;
    /// The bytes of tensor `index` where they are known now. Operators that are prepared during an inference know what
    /// has been computed before them; what they make of it holds for this inference alone.
    fn value(&self, index: usize) -> Option<&[u8]> {
        self.constant(index)
    }
    /// The shape that resource variable `number` has now, where it is known.
    fn variable(&self, _number: usize) -> Option<Shape> {
        None
    }
}

/// Nothing beyond the file.
pub struct FileTensors<'a>(pub &'a Graph, pub &'a Subgraph);

impl KnownTensors for FileTensors<'_> {
    fn shape(&self, index: usize) -> Option<Shape> {
        self.1.tensors.get(index).map(|t| t.shape)
    }

    fn constant(&self, index: usize) -> Option<&[u8]> {
        self.0.data(self.1.tensors.get(index)?)
    }
}

/// A tensor in the role it has for an operator.
#[derive(Clone, Copy)]
pub struct NodeTensor<'a> {
    /// Index within the subgraph.
    pub index: usize,
    /// The role, for messages.
    pub operand: &'static str,
    /// Element type.
    pub ty: TensorType,
    /// Shape, after resizing.
    pub shape: Shape,
    /// Scale and zero point.
    pub quantization: Option<&'a Quantization>,
    tensor: &'a Tensor,
    known: &'a dyn KnownTensors,
}

impl<'a> Node<'a> {
    /// The operator `index` of subgraph `subgraph_index`; `None` where there is none.
    pub fn new(
        graph: &'a Graph,
        subgraph_index: usize,
        index: usize,
        known: &'a dyn KnownTensors,
    ) -> Option<Self> {
        let subgraph = graph.subgraphs().get(subgraph_index)?;
        Some(Self {
            graph,
            subgraph,
            subgraph_index,
            index,
            operator: subgraph.operators.get(index)?,
            known,
            border: None,
        })
    }

    /// The same operator, where operand 0 is another tensor within `border` and nothing else reads it so.
    pub fn with_border(self, border: Option<ZeroBorder>) -> Self {
        Self { border, ..self }
    }

    /// The border that was added to operand 0. A kernel that has such padding itself may read the tensor without it and say so
    /// in [`Prepared::takes_border`](super::Prepared::takes_border).
    pub fn border(&self) -> Option<ZeroBorder> {
        self.border
    }

    /// The graph.
    pub fn graph(&self) -> &'a Graph {
        self.graph
    }

    /// The subgraph's index and the operator's within it.
    pub fn place(&self) -> (usize, usize) {
        (self.subgraph_index, self.index)
    }

    /// The operator.
    pub fn operator(&self) -> &'a Operator {
        self.operator
    }

    /// The subgraph.
    pub fn subgraph(&self) -> &'a Subgraph {
        self.subgraph
    }

    /// The operator's table in the file, for its options.
    ///
    /// # Errors
    /// The file has no such table (it was checked at load).
    pub fn table(&self) -> Result<schema::Operator<'a>, PrepareError> {
        self.graph
            .operator_table(self.subgraph_index, self.index)
            .ok_or(PrepareError::Options {
                expected: "Operator",
            })
    }

    fn tensor(&self, index: usize, operand: &'static str) -> Option<NodeTensor<'a>> {
        let tensor = self.subgraph.tensors.get(index)?;
        Some(NodeTensor {
            index,
            operand,
            ty: tensor.ty,
            shape: self.known.shape(index)?,
            quantization: tensor.quantization.as_deref(),
            tensor,
            known: self.known,
        })
    }

    /// The shape that resource variable `number` has now, where it is known.
    pub fn variable(&self, number: usize) -> Option<Shape> {
        self.known.variable(number)
    }

    /// The operand in `slot`, or `None` where it is left out.
    pub fn optional_input(&self, slot: usize, operand: &'static str) -> Option<NodeTensor<'a>> {
        self.tensor(self.operator.inputs.get(slot).copied()??, operand)
    }

    /// The operand in `slot`; `operand` names it in messages.
    ///
    /// # Errors
    /// It is left out.
    pub fn input(
        &self,
        slot: usize,
        operand: &'static str,
    ) -> Result<NodeTensor<'a>, PrepareError> {
        self.optional_input(slot, operand)
            .ok_or(PrepareError::Missing { operand })
    }

    /// The result in `slot`; its shape is the file's, which `prepare` replaces.
    ///
    /// # Errors
    /// There is none.
    pub fn output(
        &self,
        slot: usize,
        operand: &'static str,
    ) -> Result<NodeTensor<'a>, PrepareError> {
        self.operator
            .outputs
            .get(slot)
            .and_then(|&index| self.tensor(index, operand))
            .ok_or(PrepareError::Missing { operand })
    }
}

impl<'a> NodeTensor<'a> {
    /// The tensor as the file declares it.
    pub fn declared(&self) -> &'a Tensor {
        self.tensor
    }

    /// Whether the value is the same at every inference, so that work on it is worth keeping.
    pub fn is_constant(&self) -> bool {
        self.known.constant(self.index).is_some()
    }

    /// The value, where it is known. An operator that gets none may be prepared again during each inference, when its
    /// operands have been computed: whatever needs a value can ask for it here.
    ///
    /// # Errors
    /// The model computes it and has not done so yet, or `T` is not its element type.
    pub fn constant<T: Element>(&self) -> Result<&'a [T], PrepareError> {
        let operand = self.operand;
        let bytes = self.constant_bytes()?;
        elements(self.ty, &self.shape, bytes)
            .map_err(|source| PrepareError::Tensor { operand, source })
    }

    /// The bytes of the value, where it is known; as [`constant`](Self::constant).
    ///
    /// # Errors
    /// The model computes it and has not done so yet.
    pub fn constant_bytes(&self) -> Result<&'a [u8], PrepareError> {
        let operand = self.operand;
        self.known
            .value(self.index)
            .ok_or(PrepareError::NotConstant { operand })
    }

    /// The one scale and zero point of the tensor.
    ///
    /// # Errors
    /// It has none, or is quantized per channel.
    pub fn per_tensor(&self) -> Result<(f32, i32), PrepareError> {
        let operand = self.operand;
        let quantization = self
            .quantization
            .filter(|q| !q.is_per_channel())
            .ok_or(PrepareError::NotQuantized { operand })?;
        let scale = quantization
            .scale()
            .ok_or(PrepareError::NotQuantized { operand })?;
        Ok((scale, quantization.zero_point()))
    }

    /// The scales of a tensor quantized as a whole or per channel.
    ///
    /// # Errors
    /// It has none.
    pub fn scales(&self) -> Result<&'a [f32], PrepareError> {
        self.quantization
            .map(Quantization::scales)
            .filter(|scales| !scales.is_empty())
            .ok_or(PrepareError::NotQuantized {
                operand: self.operand,
            })
    }

    /// The shape as exactly `N` dimensions.
    ///
    /// # Errors
    /// The rank is another; `expected` says which layout was expected.
    pub fn dims<const N: usize>(&self, expected: &'static str) -> Result<[usize; N], PrepareError> {
        self.shape
            .dims()
            .try_into()
            .map_err(|_| self.shape_error(expected))
    }

    /// Bytes per element.
    ///
    /// # Errors
    /// Elements are not whole bytes or have no fixed size.
    pub fn element_bytes(&self) -> Result<usize, PrepareError> {
        self.ty
            .size()
            .ok_or_else(|| self.type_error("elements of whole bytes"))
    }

    /// What [`StridedCopy`](super::shared::StridedCopy) calls an element: its bytes, or its mark for int4.
    ///
    /// # Errors
    /// Elements have no fixed size.
    pub(super) fn copied_element(&self) -> Result<usize, PrepareError> {
        match self.ty {
            TensorType::Int4 => Ok(StridedCopy::INT4),
            _ => self.element_bytes(),
        }
    }

    /// Bytes of one position along the axes before `axis`: those of all axes from `axis` on.
    ///
    /// # Errors
    /// These are not whole bytes, or elements have no fixed size.
    pub fn bytes_from(&self, axis: usize) -> Result<usize, PrepareError> {
        let inner = self.shape.dims().get(axis..).unwrap_or_default();
        let elements: usize = inner.iter().product();
        match self.ty {
            TensorType::Int4 if elements.is_multiple_of(2) => Ok(elements / 2),
            TensorType::Int4 => Err(self.shape_error(format!(
                "an even number of int4 elements from axis {axis} on"
            ))),
            _ => Ok(elements.saturating_mul(self.element_bytes()?)),
        }
    }

    /// A refusal of this operand's shape.
    pub fn shape_error(&self, expected: impl Into<String>) -> PrepareError {
        PrepareError::Shape {
            operand: self.operand,
            found: self.shape.into(),
            expected: expected.into(),
        }
    }

    /// A refusal of this operand's type.
    pub fn type_error(&self, expected: &'static str) -> PrepareError {
        PrepareError::Type {
            operand: self.operand,
            found: self.ty,
            expected,
        }
    }
}
