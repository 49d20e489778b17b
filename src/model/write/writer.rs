//! A graph that grows tensor by tensor and operator by operator.

use super::{Operation, WriteError, file};
use crate::model::Candidate;
use crate::tensor::{Quantization, TensorType};

/// A tensor of a [`ModelWriter`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct TensorId(pub(super) i32);

/// A model in the making: one subgraph.
///
/// ```
/// use corallite::Model;
/// use corallite::model::write::{ModelWriter, Operation};
/// use corallite::tensor::{Quantization, TensorType};
/// let mut writer = ModelWriter::new("halves and rounds");
/// let scale = |scale| Some(Quantization::per_tensor(scale, 0));
/// let x = writer.tensor("x", TensorType::Int8, &[4], scale(1.0))?;
/// let y = writer.tensor("y", TensorType::Int8, &[4], scale(2.0))?;
/// writer.operator(Operation::quantize(), &[Some(x)], &[y])?;
/// let bytes = writer.finish(&[x], &[y])?;
///
/// let mut interpreter = corallite::Interpreter::builder(&Model::from_bytes(&bytes)?).build()?;
/// interpreter.input_mut(0)?.copy_from(&[10i8, 20, -10, 1])?;
/// interpreter.invoke()?;
/// assert_eq!(interpreter.output(0)?.as_slice::<i8>()?, [5, 10, -5, 1]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone)]
pub struct ModelWriter {
    pub(super) description: String,
    pub(super) tensors: Vec<NewTensor>,
    pub(super) operators: Vec<NewOperator>,
    /// Bytes of all constants.
    bytes: usize,
}

#[derive(Debug, Clone)]
pub(super) struct NewTensor {
    pub(super) name: String,
    pub(super) ty: TensorType,
    pub(super) shape: Vec<i32>,
    pub(super) quantization: Option<Quantization>,
    pub(super) data: Option<Vec<u8>>,
}

#[derive(Debug, Clone)]
pub(super) struct NewOperator {
    pub(super) operation: Operation,
    pub(super) version: i32,
    /// -1 where an optional operand is left out.
    pub(super) inputs: Vec<i32>,
    pub(super) outputs: Vec<i32>,
}

/// FlatBuffers end at 2 GiB; what is not constants is far below 64 MiB.
const CONSTANTS_LIMIT: usize = (2 << 30) - (64 << 20);

impl ModelWriter {
    /// An empty graph; the description goes into the file.
    pub fn new(description: &str) -> Self {
        Self {
            description: description.to_owned(),
            tensors: Vec::new(),
            operators: Vec::new(),
            bytes: 0,
        }
    }

    /// A tensor that the caller fills or an operator computes.
    ///
    /// # Errors
    /// A dimension does not fit the file.
    pub fn tensor(
        &mut self,
        name: &str,
        ty: TensorType,
        shape: &[usize],
        quantization: Option<Quantization>,
    ) -> Result<TensorId, WriteError> {
        self.push(name, ty, shape, quantization, None)
    }

    /// A constant; `data`: elements in C order, little-endian.
    ///
    /// # Errors
    /// A dimension does not fit the file, or the bytes are not what type and shape need.
    pub fn constant(
        &mut self,
        name: &str,
        ty: TensorType,
        shape: &[usize],
        quantization: Option<Quantization>,
        data: Vec<u8>,
    ) -> Result<TensorId, WriteError> {
        let count = shape.iter().try_fold(1usize, |n, &dim| n.checked_mul(dim));
        let expected = count.and_then(|count| ty.bytes(count));
        if expected != Some(data.len()) {
            return Err(WriteError::DataSize {
                tensor: name.to_owned(),
                ty,
                found: data.len(),
                expected,
            });
        }
        self.bytes = self.bytes.saturating_add(data.len());
        self.push(name, ty, shape, quantization, Some(data))
    }

    fn push(
        &mut self,
        name: &str,
        ty: TensorType,
        shape: &[usize],
        quantization: Option<Quantization>,
        data: Option<Vec<u8>>,
    ) -> Result<TensorId, WriteError> {
        let dimension = |&found: &usize| {
            i32::try_from(found).map_err(|_| WriteError::Dimension {
                tensor: name.to_owned(),
                found,
            })
        };
        let shape = shape.iter().map(dimension).collect::<Result<_, _>>()?;
        let what = "tensors";
        let id = i32::try_from(self.tensors.len()).map_err(|_| WriteError::TooMany { what })?;
        self.tensors.push(NewTensor {
            name: name.to_owned(),
            ty,
            shape,
            quantization,
            data,
        });
        Ok(TensorId(id))
    }

    /// Appends an operator; operators run in the order they are appended. `None` leaves an optional operand out.
    ///
    /// # Errors
    /// A tensor is another writer's.
    pub fn operator(
        &mut self,
        operation: Operation,
        inputs: &[Option<TensorId>],
        outputs: &[TensorId],
    ) -> Result<(), WriteError> {
        for id in inputs.iter().flatten().chain(outputs) {
            self.check(*id)?;
        }
        let first = inputs.first().copied().flatten();
        let ty = first.and_then(|id| self.get(id)).map(|tensor| tensor.ty);
        self.operators.push(NewOperator {
            version: operation.version_for(ty),
            operation,
            inputs: inputs.iter().map(|id| id.map_or(-1, |id| id.0)).collect(),
            outputs: outputs.iter().map(|id| id.0).collect(),
        });
        Ok(())
    }

    /// The file, with these tensors as the graph's inputs and outputs. The same graph gives the same bytes.
    ///
    /// # Errors
    /// A tensor is another writer's, or what was written does not load: the graph is out of order, refers to nothing, or
    /// its quantization parameters are refused.
    pub fn finish(&self, inputs: &[TensorId], outputs: &[TensorId]) -> Result<Vec<u8>, WriteError> {
        for id in inputs.iter().chain(outputs) {
            self.check(*id)?;
        }
        if self.bytes > CONSTANTS_LIMIT {
            return Err(WriteError::TooLarge { bytes: self.bytes });
        }
        let bytes = file::write(self, inputs, outputs);
        Candidate::from_bytes(&bytes)
            .and_then(Candidate::into_model)
            .map_err(|error| WriteError::Invalid(Box::new(error)))?;
        Ok(bytes)
    }

    fn get(&self, id: TensorId) -> Option<&NewTensor> {
        self.tensors.get(usize::try_from(id.0).ok()?)
    }

    fn check(&self, id: TensorId) -> Result<(), WriteError> {
        match self.get(id) {
            Some(_) => Ok(()),
            None => Err(WriteError::UnknownTensor {
                index: usize::try_from(id.0).unwrap_or_default(),
                tensors: self.tensors.len(),
            }),
        }
    }
}
