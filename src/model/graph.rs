//! The graph a file describes: plain data, structurally sound, not yet judged by the rules on quantization.

use super::bytes::FileBytes;
use crate::schema::tflite as schema;
use crate::tensor::{Quantization, Shape, TensorRef, TensorType};
use std::fmt;
use std::ops::Range;

/// Everything a model file holds, with every index, range and edge checked.
///
/// Names and weights are read out of the file's own bytes.
#[derive(Debug)]
pub struct Graph {
    pub(super) file: schema::VerifiedModel<FileBytes>,
    pub(super) subgraphs: Vec<Subgraph>,
    pub(super) signatures: Vec<Signature>,
    pub(super) variables: Vec<ResourceName>,
    pub(super) metadata: Vec<Metadata>,
    pub(super) description: Range<usize>,
}

/// One graph of operators.
#[derive(Debug)]
#[non_exhaustive]
pub struct Subgraph {
    /// Its tensors; operators name them by index.
    pub tensors: Vec<Tensor>,
    /// Its operators in execution order: each reads only what stands before it.
    pub operators: Vec<Operator>,
    /// Indices of the tensors the caller fills.
    pub inputs: Vec<usize>,
    /// Indices of the tensors the caller reads.
    pub outputs: Vec<usize>,
    pub(super) name: Range<usize>,
}

/// A tensor as the file declares it.
#[derive(Debug)]
#[non_exhaustive]
pub struct Tensor {
    /// Element type.
    pub ty: TensorType,
    /// Declared shape; -1 in [`shape_signature`](Self::shape_signature) marks what a caller may resize.
    pub shape: Shape,
    /// The shape with -1 on axes that are open, where the file gives one.
    pub shape_signature: Option<Box<[i32]>>,
    /// Whether the file leaves even the number of axes open; [`shape`](Self::shape) is then a scalar's.
    pub is_unranked: bool,
    /// Scale and zero point, where the file gives them.
    pub quantization: Option<Box<Quantization>>,
    /// Whether the tensor keeps its value from one inference to the next.
    pub is_variable: bool,
    /// How many elements the file stores, where it does so sparsely; [`Graph::data`] is dense all the same.
    pub stored_elements: Option<usize>,
    pub(super) name: Range<usize>,
    pub(super) data: Option<Data>,
}

/// Where a constant's bytes are.
#[derive(Debug, Clone)]
pub enum Data {
    /// In the file, aligned for the element type.
    File(Range<usize>),
    /// In a copy, because the file has them at an address that is no multiple of the element size.
    Aligned(Box<[u64]>, usize),
    /// In memory of its own, because the file stores it sparsely.
    Dense(Box<[u64]>, usize),
}

/// Name of the custom operators that the Edge TPU compiler leaves in a model.
pub const EDGE_TPU_OPERATOR: &str = "edgetpu-custom-op";

/// Which operator: one of TFLite's, or a custom one by name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum OperatorKind {
    /// An operator of TFLite's list.
    Builtin(schema::BuiltinOperator),
    /// A custom operator, such as `edgetpu-custom-op`.
    Custom(String),
}

impl fmt::Display for OperatorKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Builtin(code) => match code.variant_name() {
                Some(name) => f.pad(name),
                None => write!(f, "builtin#{}", code.0),
            },
            Self::Custom(name) => f.pad(name),
        }
    }
}

/// One operator of a subgraph.
#[derive(Debug)]
#[non_exhaustive]
pub struct Operator {
    /// What it computes.
    pub kind: OperatorKind,
    /// The version of the operator the file was written for; 1 is the first.
    pub version: i32,
    /// Tensor index per operand; `None` where an optional one is left out.
    pub inputs: Vec<Option<usize>>,
    /// Tensor index per result.
    pub outputs: Vec<usize>,
    /// Tensors that describe inner values (LSTM), without data of their own.
    pub intermediates: Vec<usize>,
    /// Subgraphs it runs: then and else, condition and body, or the one. No subgraph runs itself, however indirectly.
    pub calls: Vec<usize>,
    /// The resource variable that a VAR_HANDLE names, an index into [`Graph::variables`].
    pub variable: Option<usize>,
}

/// The name of a resource variable: a tensor that operators read and assign, and that outlives an inference. Subgraphs
/// that use the same name share the variable.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub struct ResourceName {
    /// The group it belongs to; empty in most files.
    pub container: String,
    /// Its name within the group.
    pub name: String,
}

/// A named entry point: its inputs and outputs by name.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Signature {
    /// The name callers use, `serving_default` in most files.
    pub key: String,
    /// The subgraph it runs.
    pub subgraph: usize,
    /// Names of the inputs.
    pub inputs: Vec<SignatureTensor>,
    /// Names of the outputs.
    pub outputs: Vec<SignatureTensor>,
}

/// A tensor by its name in a signature.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct SignatureTensor {
    /// The name in the signature.
    pub name: String,
    /// Index of the tensor in the signature's subgraph.
    pub tensor: usize,
}

/// A named block of bytes that the file carries beside the graph.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Metadata {
    /// Its name, such as `TFLITE_METADATA` or `min_runtime_version`.
    pub name: String,
    pub(super) data: Range<usize>,
}

impl Graph {
    /// The subgraphs; the first is the one that an interpreter runs unless told otherwise.
    pub fn subgraphs(&self) -> &[Subgraph] {
        &self.subgraphs
    }

    /// Named entry points; empty in files written before signatures existed.
    pub fn signatures(&self) -> &[Signature] {
        &self.signatures
    }

    /// The named entry point `key`.
    pub fn signature(&self, key: &str) -> Option<&Signature> {
        self.signatures.iter().find(|s| s.key == key)
    }

    /// The resource variables that operators name, in order of first use.
    pub fn variables(&self) -> &[ResourceName] {
        &self.variables
    }

    /// Named blocks of bytes.
    pub fn metadata(&self) -> &[Metadata] {
        &self.metadata
    }

    /// The bytes of a metadata block.
    pub fn metadata_bytes(&self, metadata: &Metadata) -> &[u8] {
        self.range(&metadata.data)
    }

    /// The description the converter left in the file; often empty.
    pub fn description(&self) -> &str {
        self.text(&self.description)
    }

    /// The whole file.
    pub fn file(&self) -> &[u8] {
        self.file.bytes()
    }

    /// The name of a subgraph; often empty.
    pub fn subgraph_name(&self, subgraph: &Subgraph) -> &str {
        self.text(&subgraph.name)
    }

    /// The name of a tensor.
    pub fn tensor_name(&self, tensor: &Tensor) -> &str {
        self.text(&tensor.name)
    }

    /// A constant tensor's bytes, or `None` for a tensor that inference computes.
    pub fn data<'a>(&'a self, tensor: &'a Tensor) -> Option<&'a [u8]> {
        match tensor.data.as_ref()? {
            Data::File(range) => Some(self.range(range)),
            Data::Aligned(words, len) | Data::Dense(words, len) => {
                bytemuck::cast_slice::<u64, u8>(words).get(..*len)
            }
        }
    }

    /// Says that a constant tensor's bytes will hardly be read again; a mapped file then gives back their memory.
    pub fn release(&self, tensor: &Tensor) {
        if let Some(Data::File(range)) = &tensor.data {
            self.file.holder().release(range.clone());
        }
    }

    /// A constant tensor with its type and shape.
    pub fn constant<'a>(&'a self, tensor: &'a Tensor) -> Option<TensorRef<'a>> {
        let quantization = tensor.quantization.as_deref();
        TensorRef::new(tensor.ty, &tensor.shape, quantization, self.data(tensor)?).ok()
    }

    /// The operator's table in the file, for its options.
    pub fn operator_table(&self, subgraph: usize, operator: usize) -> Option<schema::Operator<'_>> {
        let subgraphs = self.file.root().subgraphs()?;
        if subgraph >= subgraphs.len() {
            return None;
        }
        let operators = subgraphs.get(subgraph).operators()?;
        (operator < operators.len()).then(|| operators.get(operator))
    }

    fn range(&self, range: &Range<usize>) -> &[u8] {
        self.file().get(range.clone()).unwrap_or_default()
    }

    fn text(&self, range: &Range<usize>) -> &str {
        std::str::from_utf8(self.range(range)).unwrap_or_default()
    }
}
