//! Small models made by hand: a model file from plain data, sound or broken on purpose.
//!
//! Nothing here is checked: the point is to write what a converter would not.
#![allow(dead_code, reason = "each test file uses a part")]

use flatbuffers::{FlatBufferBuilder, Push, UnionWIPOffset, WIPOffset};

/// Numbers of TFLite's element types.
pub const FLOAT32: i8 = 0;
pub const INT32: i8 = 2;
pub const UINT8: i8 = 3;
pub const INT64: i8 = 4;
pub const BOOL: i8 = 6;
pub const INT16: i8 = 7;
pub const INT8: i8 = 9;
pub const INT4: i8 = 17;
pub const RESOURCE: i8 = 13;

/// Numbers of TFLite's operators.
pub const CONV_2D: i32 = 3;
pub const RESHAPE: i32 = 22;
pub const CUSTOM: i32 = 32;
pub const QUANTIZE: i32 = 114;

/// A tensor as the file declares it.
#[derive(Clone, Default)]
pub struct Tensor {
    pub name: &'static str,
    pub ty: i8,
    pub shape: Vec<i32>,
    /// With -1 on open axes.
    pub signature: Option<Vec<i32>>,
    /// A constant's bytes.
    pub data: Option<Vec<u8>>,
    pub scales: Vec<f32>,
    pub zero_points: Vec<i64>,
    pub axis: i32,
    /// How the data are stored, where that is sparsely.
    pub sparsity: Option<Sparsity>,
    pub is_variable: bool,
    /// Whether even the number of axes is open.
    pub is_unranked: bool,
}

/// A sparse encoding, its fields as the schema names them.
#[derive(Clone, Default)]
pub struct Sparsity {
    pub traversal_order: Vec<i32>,
    pub block_map: Vec<i32>,
    pub dim_metadata: Vec<Dimension>,
}

/// A level of a sparse encoding.
#[derive(Clone, Default)]
pub struct Dimension {
    pub format: i8,
    pub dense_size: i32,
    /// `array_segments` and `array_indices`.
    pub rows: Option<[SparseIndices; 2]>,
}

/// A vector of indices, in one of its three widths.
#[derive(Clone)]
pub enum SparseIndices {
    I32(Vec<i32>),
    U16(Vec<u16>),
    U8(Vec<u8>),
}

/// One field of an option table.
#[derive(Clone)]
pub enum Field {
    Byte(i8),
    Int(i32),
    Ints(Vec<i32>),
    Text(&'static str),
}

/// An operator; its code is entered in the file's list of codes once per operator.
#[derive(Clone, Default)]
pub struct Operator {
    pub code: i32,
    pub custom: Option<&'static str>,
    pub version: i32,
    pub inputs: Vec<i32>,
    pub outputs: Vec<i32>,
    /// The number of the option table in its union, and its fields by id.
    pub options: Option<(u8, Vec<(u16, Field)>)>,
    /// Of custom operators.
    pub custom_options: Option<Vec<u8>>,
}

/// A named entry point.
#[derive(Clone, Default)]
pub struct Signature {
    pub key: &'static str,
    pub subgraph: u32,
    pub inputs: Vec<(&'static str, u32)>,
    pub outputs: Vec<(&'static str, u32)>,
}

/// A subgraph beside the first.
#[derive(Clone, Default)]
pub struct Subgraph {
    pub tensors: Vec<Tensor>,
    pub operators: Vec<Operator>,
    pub inputs: Vec<i32>,
    pub outputs: Vec<i32>,
}

/// A model whose first subgraph stands in its own fields.
#[derive(Clone)]
pub struct Model {
    pub version: u32,
    pub description: &'static str,
    pub tensors: Vec<Tensor>,
    pub operators: Vec<Operator>,
    pub inputs: Vec<i32>,
    pub outputs: Vec<i32>,
    /// Subgraphs from number 1 on.
    pub others: Vec<Subgraph>,
    pub metadata: Vec<(&'static str, Vec<u8>)>,
    pub signatures: Vec<Signature>,
}

impl Default for Model {
    fn default() -> Self {
        Self {
            version: 3,
            description: "",
            tensors: Vec::new(),
            operators: Vec::new(),
            inputs: Vec::new(),
            outputs: Vec::new(),
            others: Vec::new(),
            metadata: Vec::new(),
            signatures: Vec::new(),
        }
    }
}

impl Tensor {
    /// A tensor that inference computes.
    pub fn new(name: &'static str, ty: i8, shape: &[i32]) -> Self {
        Self {
            name,
            ty,
            shape: shape.to_vec(),
            ..Self::default()
        }
    }

    /// With one scale and zero point.
    pub fn quantized(mut self, scale: f32, zero_point: i64) -> Self {
        self.scales = vec![scale];
        self.zero_points = vec![zero_point];
        self
    }

    /// With a constant value.
    pub fn constant(mut self, data: &[u8]) -> Self {
        self.data = Some(data.to_vec());
        self
    }

    /// With a constant value that is stored sparsely.
    pub fn sparse(mut self, data: &[u8], sparsity: Sparsity) -> Self {
        self.sparsity = Some(sparsity);
        self.constant(data)
    }

    /// With open axes: -1 in `signature`.
    pub fn open(mut self, signature: &[i32]) -> Self {
        self.signature = Some(signature.to_vec());
        self
    }
}

impl Operator {
    /// Version 1 of an operator, without options.
    pub fn new(code: i32, inputs: &[i32], outputs: &[i32]) -> Self {
        Self {
            code,
            version: 1,
            inputs: inputs.to_vec(),
            outputs: outputs.to_vec(),
            ..Self::default()
        }
    }

    /// A RESHAPE to `shape`.
    pub fn reshape(input: i32, output: i32, shape: &[i32]) -> Self {
        // ReshapeOptions (number 17): 0 new_shape.
        Self {
            options: Some((17, vec![(0, Field::Ints(shape.to_vec()))])),
            ..Self::new(RESHAPE, &[input], &[output])
        }
    }

    /// A CONV_2D with stride 1, VALID padding and no activation.
    pub fn conv_2d(inputs: &[i32], output: i32) -> Self {
        // Conv2DOptions (number 1): 0 padding (1 = VALID), 1 stride_w, 2 stride_h.
        let fields = vec![(0, Field::Byte(1)), (1, Field::Int(1)), (2, Field::Int(1))];
        Self {
            options: Some((1, fields)),
            ..Self::new(CONV_2D, inputs, &[output])
        }
    }
}

/// A model of one 1x1 convolution, int8: with all scales 1 it doubles each element and adds 1.
pub fn doubling() -> Model {
    Model {
        tensors: vec![
            Tensor::new("in", INT8, &[1, 1, 3, 1]).quantized(1.0, 0),
            Tensor::new("weights", INT8, &[1, 1, 1, 1])
                .quantized(1.0, 0)
                .constant(&[2]),
            Tensor::new("bias", INT32, &[1])
                .quantized(1.0, 0)
                .constant(&1i32.to_le_bytes()),
            Tensor::new("out", INT8, &[1, 1, 3, 1]).quantized(1.0, 0),
        ],
        operators: vec![Operator::conv_2d(&[0, 1, 2], 3)],
        inputs: vec![0],
        outputs: vec![3],
        ..Model::default()
    }
}

pub type Builder = FlatBufferBuilder<'static>;
pub type Offset = WIPOffset<UnionWIPOffset>;

/// The place of field `id` in the vtable.
pub fn slot(id: u16) -> u16 {
    4 + 2 * id
}

pub fn offset<T>(of: WIPOffset<T>) -> Offset {
    WIPOffset::new(of.value())
}

/// A table whose fields `fill` pushes.
pub fn table(b: &mut Builder, fill: impl FnOnce(&mut Builder)) -> Offset {
    let start = b.start_table();
    fill(b);
    let end = b.end_table(start);
    offset(end)
}

pub fn vector<T: Push<Output: 'static> + Copy>(b: &mut Builder, items: &[T]) -> Offset {
    offset(b.create_vector(items))
}

pub fn text(b: &mut Builder, text: &str) -> Offset {
    offset(b.create_string(text))
}

impl Model {
    /// The file.
    pub fn to_bytes(&self) -> Vec<u8> {
        let b = &mut Builder::new();
        // Model: 0 version, 1 operator_codes, 2 subgraphs, 3 description, 4 buffers, 6 metadata, 7 signature_defs.
        let mut buffers = vec![buffer(b, None)];
        let first = Subgraph {
            tensors: self.tensors.clone(),
            operators: self.operators.clone(),
            inputs: self.inputs.clone(),
            outputs: self.outputs.clone(),
        };
        let all: Vec<&Subgraph> = std::iter::once(&first).chain(&self.others).collect();
        let operators = all.iter().flat_map(|subgraph| &subgraph.operators);
        let codes: Vec<_> = operators.map(|o| o.write_code(b)).collect();
        let mut code = 0;
        let mut subgraphs = Vec::new();
        for subgraph in all {
            subgraphs.push(subgraph.write(b, &mut buffers, code));
            code += subgraph.operators.len() as u32;
        }
        let mut metadata = Vec::new();
        for (name, data) in &self.metadata {
            let name = text(b, name);
            let number = buffers.len() as u32;
            buffers.push(buffer(b, Some(data)));
            metadata.push(table(b, |b| {
                b.push_slot_always(slot(0), name);
                b.push_slot_always::<u32>(slot(1), number);
            }));
        }
        let signatures: Vec<_> = self.signatures.iter().map(|s| s.write(b)).collect();
        let codes = vector(b, &codes);
        let subgraphs = vector(b, &subgraphs);
        let description = text(b, self.description);
        let buffers = vector(b, &buffers);
        let metadata = vector(b, &metadata);
        let signatures = vector(b, &signatures);
        let model = table(b, |b| {
            b.push_slot_always::<u32>(slot(0), self.version);
            b.push_slot_always(slot(1), codes);
            b.push_slot_always(slot(2), subgraphs);
            b.push_slot_always(slot(3), description);
            b.push_slot_always(slot(4), buffers);
            b.push_slot_always(slot(6), metadata);
            b.push_slot_always(slot(7), signatures);
        });
        b.finish(model, Some("TFL3"));
        b.finished_data().to_vec()
    }
}

impl Subgraph {
    /// SubGraph: 0 tensors, 1 inputs, 2 outputs, 3 operators. `code` is the place of the first operator's code.
    fn write(&self, b: &mut Builder, buffers: &mut Vec<Offset>, code: u32) -> Offset {
        let tensors: Vec<_> = self.tensors.iter().map(|t| t.write(b, buffers)).collect();
        let operators: Vec<_> = (code..)
            .zip(&self.operators)
            .map(|(code, operator)| operator.write(b, code))
            .collect();
        let tensors = vector(b, &tensors);
        let operators = vector(b, &operators);
        let inputs = vector(b, &self.inputs);
        let outputs = vector(b, &self.outputs);
        table(b, |b| {
            b.push_slot_always(slot(0), tensors);
            b.push_slot_always(slot(1), inputs);
            b.push_slot_always(slot(2), outputs);
            b.push_slot_always(slot(3), operators);
        })
    }
}

/// A buffer with `data`, or an empty one.
fn buffer(b: &mut Builder, data: Option<&[u8]>) -> Offset {
    let data = data.map(|data| vector(b, data));
    table(b, |b| {
        if let Some(data) = data {
            b.push_slot_always(slot(0), data);
        }
    })
}

impl Sparsity {
    /// SparsityParameters: 0 traversal_order, 1 block_map, 2 dim_metadata.
    fn write(&self, b: &mut Builder) -> Offset {
        let order = vector(b, &self.traversal_order);
        let map = vector(b, &self.block_map);
        let levels: Vec<_> = self.dim_metadata.iter().map(|d| d.write(b)).collect();
        let levels = vector(b, &levels);
        table(b, |b| {
            b.push_slot_always(slot(0), order);
            b.push_slot_always(slot(1), map);
            b.push_slot_always(slot(2), levels);
        })
    }
}

impl Dimension {
    /// DimensionMetadata: 0 format, 1 dense_size, 2 and 3 array_segments, 4 and 5 array_indices.
    fn write(&self, b: &mut Builder) -> Offset {
        let rows = self
            .rows
            .as_ref()
            .map(|rows| [rows[0].write(b), rows[1].write(b)]);
        table(b, |b| {
            b.push_slot_always::<i8>(slot(0), self.format);
            b.push_slot_always::<i32>(slot(1), self.dense_size);
            for (id, (member, values)) in [2, 4].into_iter().zip(rows.into_iter().flatten()) {
                b.push_slot_always::<u8>(slot(id), member);
                b.push_slot_always(slot(id + 1), values);
            }
        })
    }
}

impl SparseIndices {
    /// The number of the table in its union, and the table: 0 values.
    fn write(&self, b: &mut Builder) -> (u8, Offset) {
        let (member, values) = match self {
            Self::I32(values) => (1, vector(b, values)),
            Self::U16(values) => (2, vector(b, values)),
            Self::U8(values) => (3, vector(b, values)),
        };
        (member, table(b, |b| b.push_slot_always(slot(0), values)))
    }
}

impl Tensor {
    /// Tensor: 0 shape, 1 type, 2 buffer, 3 name, 4 quantization, 5 is_variable, 6 sparsity, 7 shape_signature, 8 has_rank.
    fn write(&self, b: &mut Builder, buffers: &mut Vec<Offset>) -> Offset {
        let shape = vector(b, &self.shape);
        let name = text(b, self.name);
        let signature = self.signature.as_ref().map(|s| vector(b, s));
        let number = match &self.data {
            Some(data) => {
                buffers.push(buffer(b, Some(data)));
                buffers.len() as u32 - 1
            }
            None => 0,
        };
        let quantization = (!self.scales.is_empty()).then(|| {
            // QuantizationParameters: 2 scale, 3 zero_point, 6 quantized_dimension.
            let scales = vector(b, &self.scales);
            let zero_points = vector(b, &self.zero_points);
            table(b, |b| {
                b.push_slot_always(slot(2), scales);
                b.push_slot_always(slot(3), zero_points);
                b.push_slot_always::<i32>(slot(6), self.axis);
            })
        });
        let sparsity = self.sparsity.as_ref().map(|s| s.write(b));
        table(b, |b| {
            b.push_slot_always(slot(0), shape);
            b.push_slot_always::<i8>(slot(1), self.ty);
            b.push_slot_always::<u32>(slot(2), number);
            b.push_slot_always(slot(3), name);
            if let Some(quantization) = quantization {
                b.push_slot_always(slot(4), quantization);
            }
            b.push_slot_always::<bool>(slot(5), self.is_variable);
            if let Some(sparsity) = sparsity {
                b.push_slot_always(slot(6), sparsity);
            }
            if let Some(signature) = signature {
                b.push_slot_always(slot(7), signature);
            }
            b.push_slot_always::<bool>(slot(8), !self.is_unranked);
        })
    }
}

impl Operator {
    /// OperatorCode: 0 deprecated_builtin_code, 1 custom_code, 2 version, 3 builtin_code.
    fn write_code(&self, b: &mut Builder) -> Offset {
        let custom = self.custom.map(|name| text(b, name));
        table(b, |b| {
            b.push_slot_always::<i8>(slot(0), i8::try_from(self.code).unwrap_or(127));
            if let Some(custom) = custom {
                b.push_slot_always(slot(1), custom);
            }
            b.push_slot_always::<i32>(slot(2), self.version);
            b.push_slot_always::<i32>(slot(3), self.code);
        })
    }

    /// Operator: 0 opcode_index, 1 inputs, 2 outputs, 3 and 4 builtin_options, 5 custom_options.
    fn write(&self, b: &mut Builder, code: u32) -> Offset {
        let inputs = vector(b, &self.inputs);
        let outputs = vector(b, &self.outputs);
        let options = self.options.as_ref().map(|(number, fields)| {
            let mut vectors = Vec::new();
            for (_, field) in fields {
                match field {
                    Field::Ints(values) => vectors.push(vector(b, values)),
                    Field::Text(value) => vectors.push(text(b, value)),
                    Field::Byte(_) | Field::Int(_) => {}
                }
            }
            let mut vectors = vectors.into_iter();
            let options = table(b, |b| {
                for (id, field) in fields {
                    match field {
                        Field::Byte(value) => b.push_slot_always::<i8>(slot(*id), *value),
                        Field::Int(value) => b.push_slot_always::<i32>(slot(*id), *value),
                        Field::Ints(_) | Field::Text(_) => {
                            let vector = vectors.next().expect("one per field");
                            b.push_slot_always(slot(*id), vector);
                        }
                    }
                }
            });
            (*number, options)
        });
        let custom = self.custom_options.as_ref().map(|bytes| vector(b, bytes));
        table(b, |b| {
            b.push_slot_always::<u32>(slot(0), code);
            b.push_slot_always(slot(1), inputs);
            b.push_slot_always(slot(2), outputs);
            if let Some((number, options)) = options {
                b.push_slot_always::<u8>(slot(3), number);
                b.push_slot_always(slot(4), options);
            }
            if let Some(custom) = custom {
                b.push_slot_always(slot(5), custom);
            }
        })
    }
}

impl Signature {
    /// SignatureDef: 0 inputs, 1 outputs, 2 signature_key, 4 subgraph_index. TensorMap: 0 name, 1 tensor_index.
    fn write(&self, b: &mut Builder) -> Offset {
        let maps = |b: &mut Builder, entries: &[(&str, u32)]| {
            let mut maps = Vec::new();
            for &(name, tensor) in entries {
                let name = text(b, name);
                maps.push(table(b, |b| {
                    b.push_slot_always(slot(0), name);
                    b.push_slot_always::<u32>(slot(1), tensor);
                }));
            }
            vector(b, &maps)
        };
        let inputs = maps(b, &self.inputs);
        let outputs = maps(b, &self.outputs);
        let key = text(b, self.key);
        table(b, |b| {
            b.push_slot_always(slot(0), inputs);
            b.push_slot_always(slot(1), outputs);
            b.push_slot_always(slot(2), key);
            b.push_slot_always::<u32>(slot(4), self.subgraph);
        })
    }
}
