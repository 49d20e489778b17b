//! The FlatBuffer, tables and field numbers as in `schema/tflite.fbs`.

use super::operation::{Field, Operation};
use super::writer::{ModelWriter, NewOperator, NewTensor};
use super::{BuiltinOptions, TensorId};
use crate::schema::tflite::{BuiltinOperator, TensorType as Number};
use crate::tensor::{Quantization, TensorType};
use flatbuffers::{FlatBufferBuilder, Push, UnionWIPOffset, WIPOffset};

type Builder = FlatBufferBuilder<'static>;
type Offset = WIPOffset<UnionWIPOffset>;

/// Constants lie at multiples of this, as TFLite's own files have them.
const ALIGNMENT: usize = 16;

/// The schema's version and the file identifier.
const VERSION: u32 = 3;
const IDENTIFIER: &str = "TFL3";

/// Operators from this number on are only in `OperatorCode.builtin_code`; the byte-sized field then holds this.
const DEPRECATED_CODE_LIMIT: i32 = 127;

pub(super) fn write(writer: &ModelWriter, inputs: &[TensorId], outputs: &[TensorId]) -> Vec<u8> {
    let b = &mut Builder::new();
    // Buffer 0 is empty by convention: tensors without data name it.
    let mut buffers = vec![table(b, |_| {})];
    let tensors: Vec<Offset> = writer
        .tensors
        .iter()
        .map(|tensor| write_tensor(b, tensor, &mut buffers))
        .collect();

    let mut codes: Vec<(BuiltinOperator, i32)> = Vec::new();
    let operators: Vec<Offset> = writer
        .operators
        .iter()
        .map(|operator| {
            let code = (operator.operation.code, operator.version);
            let index = codes.iter().position(|&known| known == code);
            let index = index.unwrap_or_else(|| {
                codes.push(code);
                codes.len() - 1
            });
            write_operator(b, operator, index as u32)
        })
        .collect();
    let codes: Vec<Offset> = codes
        .into_iter()
        .map(|(code, version)| write_code(b, code, version))
        .collect();

    // SubGraph: 0 tensors, 1 inputs, 2 outputs, 3 operators, 4 name.
    let ids = |ids: &[TensorId]| -> Vec<i32> { ids.iter().map(|id| id.0).collect() };
    let tensors = vector(b, &tensors);
    let inputs = vector(b, &ids(inputs));
    let outputs = vector(b, &ids(outputs));
    let operators = vector(b, &operators);
    let name = text(b, "main");
    let subgraph = table(b, |b| {
        b.push_slot_always(slot(0), tensors);
        b.push_slot_always(slot(1), inputs);
        b.push_slot_always(slot(2), outputs);
        b.push_slot_always(slot(3), operators);
        b.push_slot_always(slot(4), name);
    });

    // Model: 0 version, 1 operator_codes, 2 subgraphs, 3 description, 4 buffers.
    let codes = vector(b, &codes);
    let subgraphs = vector(b, &[subgraph]);
    let description = text(b, &writer.description);
    let buffers = vector(b, &buffers);
    let model = table(b, |b| {
        b.push_slot_always::<u32>(slot(0), VERSION);
        b.push_slot_always(slot(1), codes);
        b.push_slot_always(slot(2), subgraphs);
        b.push_slot_always(slot(3), description);
        b.push_slot_always(slot(4), buffers);
    });
    // Positions count from the end of the file; its length must be a multiple too. `finish` adds eight bytes.
    pad_before(b, 8);
    b.finish(model, Some(IDENTIFIER));
    b.finished_data().to_vec()
}

/// The place of field `id` in the vtable.
fn slot(id: u16) -> u16 {
    4 + 2 * id
}

fn offset<T>(of: WIPOffset<T>) -> Offset {
    WIPOffset::new(of.value())
}

/// A table whose fields `fill` pushes.
fn table(b: &mut Builder, fill: impl FnOnce(&mut Builder)) -> Offset {
    let start = b.start_table();
    fill(b);
    let end = b.end_table(start);
    offset(end)
}

fn vector<T: Push<Output: 'static> + Copy>(b: &mut Builder, items: &[T]) -> Offset {
    offset(b.create_vector(items))
}

fn text(b: &mut Builder, text: &str) -> Offset {
    offset(b.create_string(text))
}

/// Pushes zeros, so that what begins `bytes` bytes further on lies at a multiple of [`ALIGNMENT`].
fn pad_before(b: &mut Builder, bytes: usize) {
    while !(b.unfinished_data().len() + bytes).is_multiple_of(ALIGNMENT) {
        b.push(0u8);
    }
}

/// Buffer: 0 data.
fn write_buffer(b: &mut Builder, data: &[u8]) -> Offset {
    pad_before(b, data.len());
    let data = vector(b, data);
    table(b, |b| b.push_slot_always(slot(0), data))
}

/// Tensor: 0 shape, 1 type, 2 buffer, 3 name, 4 quantization, 8 has_rank.
fn write_tensor(b: &mut Builder, tensor: &NewTensor, buffers: &mut Vec<Offset>) -> Offset {
    let buffer = match &tensor.data {
        Some(data) => {
            buffers.push(write_buffer(b, data));
            buffers.len() as u32 - 1
        }
        None => 0,
    };
    let shape = vector(b, &tensor.shape);
    let name = text(b, &tensor.name);
    let quantization = tensor
        .quantization
        .as_ref()
        .map(|q| write_quantization(b, q));
    table(b, |b| {
        b.push_slot_always(slot(0), shape);
        b.push_slot_always::<i8>(slot(1), number(tensor.ty));
        b.push_slot_always::<u32>(slot(2), buffer);
        b.push_slot_always(slot(3), name);
        if let Some(quantization) = quantization {
            b.push_slot_always(slot(4), quantization);
        }
        b.push_slot_always::<bool>(slot(8), true);
    })
}

/// QuantizationParameters: 2 scale, 3 zero_point, 6 quantized_dimension.
fn write_quantization(b: &mut Builder, quantization: &Quantization) -> Offset {
    let scales = vector(b, quantization.scales());
    let zero_points = vector(b, quantization.zero_points());
    // A shape has at most eight axes.
    let axis = i32::try_from(quantization.axis()).unwrap_or(i32::MAX);
    table(b, |b| {
        b.push_slot_always(slot(2), scales);
        b.push_slot_always(slot(3), zero_points);
        b.push_slot_always::<i32>(slot(6), axis);
    })
}

/// OperatorCode: 0 deprecated_builtin_code, 2 version, 3 builtin_code.
fn write_code(b: &mut Builder, code: BuiltinOperator, version: i32) -> Offset {
    let deprecated = i8::try_from(code.0.min(DEPRECATED_CODE_LIMIT)).unwrap_or(i8::MAX);
    table(b, |b| {
        b.push_slot_always::<i8>(slot(0), deprecated);
        b.push_slot_always::<i32>(slot(2), version);
        b.push_slot_always::<i32>(slot(3), code.0);
    })
}

/// Operator: 0 opcode_index, 1 inputs, 2 outputs, 3 and 4 builtin_options.
fn write_operator(b: &mut Builder, operator: &NewOperator, code: u32) -> Offset {
    let inputs = vector(b, &operator.inputs);
    let outputs = vector(b, &operator.outputs);
    let kind = operator.operation.options;
    let options = (kind != BuiltinOptions::NONE).then(|| write_options(b, &operator.operation));
    table(b, |b| {
        b.push_slot_always::<u32>(slot(0), code);
        b.push_slot_always(slot(1), inputs);
        b.push_slot_always(slot(2), outputs);
        if let Some(options) = options {
            b.push_slot_always::<u8>(slot(3), kind.0);
            b.push_slot_always(slot(4), options);
        }
    })
}

fn write_options(b: &mut Builder, operation: &Operation) -> Offset {
    // What a table refers to is written before the table.
    let vectors: Vec<Option<Offset>> = operation
        .fields
        .iter()
        .map(|(_, field)| match field {
            Field::Ints(values) => Some(vector(b, values)),
            _ => None,
        })
        .collect();
    table(b, |b| {
        for ((id, field), vector) in operation.fields.iter().zip(vectors) {
            match (field, vector) {
                (Field::Bool(value), _) => b.push_slot_always::<bool>(slot(*id), *value),
                (Field::Byte(value), _) => b.push_slot_always::<i8>(slot(*id), *value),
                (Field::Int(value), _) => b.push_slot_always::<i32>(slot(*id), *value),
                (Field::Float(value), _) => b.push_slot_always::<f32>(slot(*id), *value),
                (Field::Ints(_), Some(vector)) => b.push_slot_always(slot(*id), vector),
                (Field::Ints(_), None) => {}
            }
        }
    })
}

/// The number of an element type in the file.
fn number(ty: TensorType) -> i8 {
    match ty {
        TensorType::Float32 => Number::FLOAT32.0,
        TensorType::Float16 => Number::FLOAT16.0,
        TensorType::Float64 => Number::FLOAT64.0,
        TensorType::Int4 => Number::INT4.0,
        TensorType::Int8 => Number::INT8.0,
        TensorType::UInt8 => Number::UINT8.0,
        TensorType::Int16 => Number::INT16.0,
        TensorType::UInt16 => Number::UINT16.0,
        TensorType::Int32 => Number::INT32.0,
        TensorType::UInt32 => Number::UINT32.0,
        TensorType::Int64 => Number::INT64.0,
        TensorType::UInt64 => Number::UINT64.0,
        TensorType::Bool => Number::BOOL.0,
        TensorType::String => Number::STRING.0,
        TensorType::Resource => Number::RESOURCE.0,
        TensorType::Other(number) => number,
    }
}
