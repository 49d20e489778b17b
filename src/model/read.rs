//! Reads the verified FlatBuffer into a [`Graph`] and checks everything that an index, a range or an edge can have wrong.

use super::bytes::{FileBytes, aligned_copy};
use super::calls::{called, check_calls};
use super::error::{LoadError, Place};
use super::graph::{Data, Graph, Metadata, Operator, OperatorKind, ResourceName, Subgraph, Tensor};
use super::signatures::signatures;
use super::sparse::{Sparse, SparseError, in_proportion};
use crate::schema::tflite::{self as schema, BuiltinOperator};
use crate::schema::{StableBytes, verifier_options};
use crate::tensor::{Quantization, Shape, TensorType};
use std::collections::HashMap;
use std::ops::Range;

/// The most tables a model file may hold: some twenty times the largest known, and a bound on what reading it can
/// allocate.
const MAX_TABLES: usize = 200_000;

/// The graph in a file's bytes, whose sparse constants may take `dense_limit` bytes as kernels read them.
pub(super) fn read(bytes: FileBytes, dense_limit: Option<usize>) -> Result<Graph, LoadError> {
    let len = bytes.stable_bytes().len();
    if len == 0 {
        return Err(LoadError::Empty);
    }
    let mut options = verifier_options(len);
    options.max_tables = MAX_TABLES;
    // Names and quantization parameters that many tensors share are read once per tensor.
    options.max_apparent_size = options
        .max_apparent_size
        .min(len.saturating_mul(2) + (1 << 16));
    let file = schema::VerifiedModel::with_options(bytes, &options)
        .map_err(|source| LoadError::Structure { source })?;
    let model = file.root();
    if model.version() != 3 {
        return Err(LoadError::SchemaVersion {
            found: model.version(),
        });
    }
    let mut reader = Reader {
        file: file.bytes(),
        model,
        buffers: buffers(file.bytes(), model)?,
        codes: operator_codes(model)?,
        variables: HashMap::new(),
        dense: 0,
        dense_limit: dense_limit.unwrap_or(in_proportion(len)),
    };
    let subgraphs = reader.subgraphs()?;
    check_calls(&subgraphs)?;
    let signatures = signatures(model, &subgraphs)?;
    let metadata = reader.metadata()?;
    let description = reader.range_of(model.description());
    let mut variables: Vec<(ResourceName, usize)> = reader.variables.into_iter().collect();
    variables.sort_unstable_by_key(|&(_, number)| number);
    Ok(Graph {
        subgraphs,
        signatures,
        variables: variables.into_iter().map(|(name, _)| name).collect(),
        metadata,
        description,
        file,
    })
}

/// The position of `part` within `file`; empty for a part that lies elsewhere.
fn range_within(file: &[u8], part: &[u8]) -> Range<usize> {
    let start = (part.as_ptr() as usize).wrapping_sub(file.as_ptr() as usize);
    match start.checked_add(part.len()) {
        Some(end) if end <= file.len() => start..end,
        _ => 0..0,
    }
}

/// Where each buffer's bytes lie.
fn buffers(file: &[u8], model: schema::Model<'_>) -> Result<Vec<Range<usize>>, LoadError> {
    let Some(buffers) = model.buffers() else {
        return Ok(Vec::new());
    };
    let mut ranges = Vec::with_capacity(buffers.len());
    for (index, buffer) in buffers.iter().enumerate() {
        // Offsets 0 and 1 mean "no data outside the FlatBuffer".
        let range = if buffer.offset() > 1 {
            let error = LoadError::BufferRange {
                buffer: index,
                offset: buffer.offset(),
                size: buffer.size(),
                file: file.len(),
            };
            let start = usize::try_from(buffer.offset()).ok();
            let size = usize::try_from(buffer.size()).ok();
            match start
                .zip(size)
                .and_then(|(start, size)| Some(start..start.checked_add(size)?))
            {
                Some(range) if range.end <= file.len() => range,
                _ => return Err(error),
            }
        } else {
            buffer
                .data()
                .map_or(0..0, |data| range_within(file, data.bytes()))
        };
        ranges.push(range);
    }
    Ok(ranges)
}

fn operator_codes(model: schema::Model<'_>) -> Result<Vec<(OperatorKind, i32)>, LoadError> {
    let Some(codes) = model.operator_codes() else {
        return Ok(Vec::new());
    };
    let mut kinds = Vec::with_capacity(codes.len());
    for (index, code) in codes.iter().enumerate() {
        // Old files have the number in the byte-sized field, new ones in both or in the wider one alone.
        let number = i32::from(code.deprecated_builtin_code()).max(code.builtin_code().0);
        let builtin = BuiltinOperator(number);
        let kind = if builtin == BuiltinOperator::CUSTOM {
            let name = code.custom_code().filter(|name| !name.is_empty());
            OperatorKind::Custom(
                name.ok_or(LoadError::CustomName {
                    operator_code: index,
                })?
                .to_owned(),
            )
        } else {
            OperatorKind::Builtin(builtin)
        };
        kinds.push((kind, code.version()));
    }
    Ok(kinds)
}

struct Reader<'a> {
    file: &'a [u8],
    model: schema::Model<'a>,
    buffers: Vec<Range<usize>>,
    codes: Vec<(OperatorKind, i32)>,
    /// Numbers of the resource variables met so far.
    variables: HashMap<ResourceName, usize>,
    /// Bytes of the sparse constants that were expanded so far, and the most that they may be.
    dense: usize,
    dense_limit: usize,
}

impl<'a> Reader<'a> {
    fn range_of(&self, text: Option<&str>) -> Range<usize> {
        text.map_or(0..0, |text| range_within(self.file, text.as_bytes()))
    }

    fn subgraphs(&mut self) -> Result<Vec<Subgraph>, LoadError> {
        let tables = self
            .model
            .subgraphs()
            .filter(|subgraphs| !subgraphs.is_empty());
        let tables = tables.ok_or(LoadError::NoSubgraph)?;
        let count = tables.len();
        let read = |(index, table)| self.subgraph(index, count, table);
        tables.iter().enumerate().map(read).collect()
    }

    fn subgraph(
        &mut self,
        index: usize,
        subgraphs: usize,
        table: schema::SubGraph<'a>,
    ) -> Result<Subgraph, LoadError> {
        let place = Place {
            subgraph: index,
            operator: None,
        };
        let mut tensors = Vec::new();
        for (number, tensor) in table.tensors().iter().flatten().enumerate() {
            tensors.push(self.tensor(index, number, tensor)?);
        }
        let count = tensors.len();
        let inputs = indices(table.inputs(), count, place, "input tensor")?;
        let outputs = indices(table.outputs(), count, place, "output tensor")?;
        let mut operators = Vec::new();
        for (number, operator) in table.operators().iter().flatten().enumerate() {
            let place = Place {
                subgraph: index,
                operator: Some(number),
            };
            operators.push(self.operator(place, operator, count, subgraphs)?);
        }
        let mut subgraph = Subgraph {
            tensors,
            operators,
            inputs,
            outputs,
            name: self.range_of(table.name()),
        };
        check_edges(index, &mut subgraph)?;
        Ok(subgraph)
    }

    fn tensor(
        &mut self,
        subgraph: usize,
        index: usize,
        table: schema::Tensor<'a>,
    ) -> Result<Tensor, LoadError> {
        let ty = tensor_type(table.type_());
        let dims: Vec<i32> = table.shape().iter().flatten().collect();
        let signature: Vec<i32> = table.shape_signature().iter().flatten().collect();
        // An open axis is -1 in the signature and usually 1 in the shape; take 1 where a file repeats the -1.
        let stated: Vec<i32> = dims
            .iter()
            .map(|&dim| if dim == -1 { 1 } else { dim })
            .collect();
        let shape = Shape::from_i32(&stated).map_err(|source| LoadError::Shape {
            subgraph,
            tensor: index,
            source,
        })?;
        let signature = match signature.len() {
            0 if dims.contains(&-1) => Some(dims.into_boxed_slice()),
            n if n == dims.len() && n > 0 => Some(signature.into_boxed_slice()),
            _ => None,
        };
        let buffer = usize::try_from(table.buffer())
            .ok()
            .and_then(|b| self.buffers.get(b));
        let buffer = match (buffer, table.buffer()) {
            (Some(range), _) => range.clone(),
            (None, 0) => 0..0,
            (None, found) => {
                return Err(LoadError::Index {
                    place: Place {
                        subgraph,
                        operator: None,
                    },
                    what: "a tensor's buffer",
                    found: found.into(),
                    count: self.buffers.len(),
                });
            }
        };
        let mut stored_elements = None;
        let data = if let Some(encoding) = table.sparsity() {
            let sparse = Sparse::new(encoding, ty, shape, &self.file[buffer]);
            let sparse = sparse.and_then(|sparse| self.within_limit(sparse));
            let sparse = sparse.map_err(|source| LoadError::Sparse {
                subgraph,
                tensor: index,
                source,
            })?;
            stored_elements = Some(sparse.elements());
            Some(Data::Dense(sparse.expand(), sparse.dense_bytes()))
        } else if buffer.is_empty() {
            None
        } else {
            Some(self.data(subgraph, index, ty, shape, buffer)?)
        };
        Ok(Tensor {
            ty,
            shape,
            shape_signature: signature,
            is_unranked: !table.has_rank() && shape.rank() == 0,
            quantization: table.quantization().and_then(quantization).map(Box::new),
            is_variable: table.is_variable(),
            stored_elements,
            name: self.range_of(table.name()),
            data,
        })
    }

    /// Counts what a sparse constant becomes.
    fn within_limit(&mut self, sparse: Sparse<'a>) -> Result<Sparse<'a>, SparseError> {
        let bytes = self.dense.saturating_add(sparse.dense_bytes());
        let limit = self.dense_limit;
        if bytes > limit {
            return Err(SparseError::TooLarge { bytes, limit });
        }
        self.dense = bytes;
        Ok(sparse)
    }

    fn data(
        &self,
        subgraph: usize,
        tensor: usize,
        ty: TensorType,
        shape: Shape,
        range: Range<usize>,
    ) -> Result<Data, LoadError> {
        if let Some(expected) = ty.bytes(shape.count())
            && expected != range.len()
        {
            return Err(LoadError::BufferSize {
                subgraph,
                tensor,
                ty,
                found: range.len(),
                expected,
            });
        }
        let bytes = &self.file[range.clone()];
        if bytes.as_ptr().align_offset(ty.size().unwrap_or(1)) == 0 {
            return Ok(Data::File(range));
        }
        Ok(Data::Aligned(aligned_copy(bytes), bytes.len()))
    }

    fn operator(
        &mut self,
        place: Place,
        table: schema::Operator<'a>,
        tensors: usize,
        subgraphs: usize,
    ) -> Result<Operator, LoadError> {
        let code = table.opcode_index();
        let (kind, version) = usize::try_from(code)
            .ok()
            .and_then(|code| self.codes.get(code))
            .ok_or(LoadError::Index {
                place,
                what: "operator code",
                found: code.into(),
                count: self.codes.len(),
            })?;
        if *version < 1 {
            return Err(LoadError::OperatorVersion {
                place,
                found: *version,
            });
        }
        let (kind, version) = (kind.clone(), *version);
        let calls = called(&kind, table);
        let calls = calls
            .into_iter()
            .map(|callee| index_below(callee, subgraphs, place, "called subgraph"));
        let calls = calls.collect::<Result<_, _>>()?;
        let variable = self.variable(&kind, table);
        let mut inputs = Vec::new();
        for found in table.inputs().iter().flatten() {
            inputs.push(match found {
                -1 => None,
                _ => Some(index_below(found, tensors, place, "operand tensor")?),
            });
        }
        Ok(Operator {
            kind,
            version,
            inputs,
            outputs: indices(table.outputs(), tensors, place, "result tensor")?,
            intermediates: indices(table.intermediates(), tensors, place, "intermediate tensor")?,
            calls,
            variable,
        })
    }

    /// The number of the resource variable that a VAR_HANDLE names.
    fn variable(&mut self, kind: &OperatorKind, table: schema::Operator<'a>) -> Option<usize> {
        if *kind != OperatorKind::Builtin(BuiltinOperator::VAR_HANDLE) {
            return None;
        }
        let options = table.builtin_options_as_var_handle_options()?;
        let name = ResourceName {
            container: options.container().unwrap_or_default().to_owned(),
            name: options.shared_name().unwrap_or_default().to_owned(),
        };
        let next = self.variables.len();
        Some(*self.variables.entry(name).or_insert(next))
    }

    fn metadata(&self) -> Result<Vec<Metadata>, LoadError> {
        let mut metadata = Vec::new();
        for table in self.model.metadata().iter().flatten() {
            let found = table.buffer();
            let data = usize::try_from(found)
                .ok()
                .and_then(|b| self.buffers.get(b))
                .cloned();
            metadata.push(Metadata {
                name: table.name().unwrap_or_default().to_owned(),
                data: data.ok_or(LoadError::Index {
                    place: Place {
                        subgraph: 0,
                        operator: None,
                    },
                    what: "a metadata entry's buffer",
                    found: found.into(),
                    count: self.buffers.len(),
                })?,
            });
        }
        Ok(metadata)
    }
}

/// An index as the file has it, where it is one.
pub(super) fn index_below(
    found: impl Into<i64>,
    count: usize,
    place: Place,
    what: &'static str,
) -> Result<usize, LoadError> {
    let found = found.into();
    let index = usize::try_from(found).ok().filter(|&index| index < count);
    index.ok_or(LoadError::Index {
        place,
        what,
        found,
        count,
    })
}

fn indices(
    vector: Option<flatbuffers::Vector<'_, i32>>,
    count: usize,
    place: Place,
    what: &'static str,
) -> Result<Vec<usize>, LoadError> {
    vector
        .iter()
        .flatten()
        .map(|found| index_below(found, count, place, what))
        .collect()
}

fn tensor_type(ty: schema::TensorType) -> TensorType {
    use schema::TensorType as T;
    match ty {
        T::FLOAT32 => TensorType::Float32,
        T::FLOAT16 => TensorType::Float16,
        T::FLOAT64 => TensorType::Float64,
        T::INT4 => TensorType::Int4,
        T::INT8 => TensorType::Int8,
        T::UINT8 => TensorType::UInt8,
        T::INT16 => TensorType::Int16,
        T::UINT16 => TensorType::UInt16,
        T::INT32 => TensorType::Int32,
        T::UINT32 => TensorType::UInt32,
        T::INT64 => TensorType::Int64,
        T::UINT64 => TensorType::UInt64,
        T::BOOL => TensorType::Bool,
        T::STRING => TensorType::String,
        T::RESOURCE => TensorType::Resource,
        other => TensorType::Other(other.0),
    }
}

/// Scales and zero points, or `None` where the table holds no scale (training ranges alone).
fn quantization(table: schema::QuantizationParameters<'_>) -> Option<Quantization> {
    let scales: Vec<f32> = table.scale().iter().flatten().collect();
    if scales.is_empty() {
        return None;
    }
    let zero_points = table.zero_point().iter().flatten().collect();
    // A negative axis is out of every tensor's range and reported by verification.
    let axis = usize::try_from(table.quantized_dimension()).unwrap_or(usize::MAX);
    Some(Quantization::new(scales, zero_points, axis))
}

/// Checks that operators stand in execution order and that every tensor has exactly one source.
fn check_edges(index: usize, subgraph: &mut Subgraph) -> Result<(), LoadError> {
    let mut written: Vec<bool> = subgraph
        .tensors
        .iter()
        .map(|tensor| tensor.data.is_some() || tensor.is_variable)
        .collect();
    let mut by_operator = vec![false; written.len()];
    for &input in &subgraph.inputs {
        written[input] = true;
    }
    for operator in &subgraph.operators {
        for &output in &operator.outputs {
            by_operator[output] = true;
        }
    }
    // A constant without elements needs no bytes.
    for (tensor, value) in subgraph
        .tensors
        .iter_mut()
        .zip(&mut written)
        .enumerate()
        .filter_map(|(i, (tensor, value))| {
            (!by_operator[i] && !*value && tensor.shape.count() == 0).then_some((tensor, value))
        })
    {
        tensor.data = Some(Data::File(0..0));
        *value = true;
    }
    for (number, operator) in subgraph.operators.iter().enumerate() {
        let place = Place {
            subgraph: index,
            operator: Some(number),
        };
        for &tensor in operator.inputs.iter().flatten() {
            if !written[tensor] {
                return Err(LoadError::ReadBeforeWrite { place, tensor });
            }
        }
        for &tensor in &operator.outputs {
            if std::mem::replace(&mut written[tensor], true) {
                return Err(LoadError::WrittenTwice { place, tensor });
            }
        }
    }
    match subgraph.outputs.iter().find(|&&tensor| !written[tensor]) {
        Some(&tensor) => Err(LoadError::OutputUnwritten {
            subgraph: index,
            tensor,
        }),
        None => Ok(()),
    }
}
