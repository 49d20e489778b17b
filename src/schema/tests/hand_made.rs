//! The accessors on hand-made buffers.

use std::sync::Arc;

use flatbuffers::{FlatBufferBuilder, TableUnfinishedWIPOffset, WIPOffset};

use super::super::tflite::{
    self, BuiltinOperator, BuiltinOptions, BuiltinOptions2, Model, TensorType,
};
use super::super::tflite::{Padding, VerifiedModel};
use super::super::{InvalidFlatbuffer, RootError, StableBytes, verifier_options};
use super::contents;

type Table = WIPOffset<TableUnfinishedWIPOffset>;

/// The place of field `id` in the vtable.
fn slot(id: u16) -> u16 {
    4 + 2 * id
}

/// A table whose fields are offsets, by id.
fn table<T>(b: &mut FlatBufferBuilder<'_>, fields: &[(u16, WIPOffset<T>)]) -> Table {
    let start = b.start_table();
    for &(id, field) in fields {
        b.push_slot_always(slot(id), field);
    }
    WIPOffset::new(b.end_table(start).value())
}

/// A model with one subgraph, of the tensors and operators given.
fn model(
    b: &mut FlatBufferBuilder<'_>,
    tensors: &[Table],
    operators: &[Table],
    identifier: &str,
) -> Vec<u8> {
    let tensors = WIPOffset::<()>::new(b.create_vector(tensors).value());
    let operators = WIPOffset::<()>::new(b.create_vector(operators).value());
    let subgraph = table(b, &[(0, tensors), (3, operators)]);
    let subgraphs = b.create_vector(&[subgraph]);
    let model = table(b, &[(2, subgraphs)]);
    b.finish(model, Some(identifier));
    b.finished_data().to_vec()
}

fn read(bytes: &[u8]) -> Result<Model<'_>, RootError> {
    tflite::root_as_model(bytes, &verifier_options(bytes.len()))
}

#[test]
fn model_reads_stored_fields_and_defaults() {
    let b = &mut FlatBufferBuilder::new();
    // Conv2DOptions: 0 padding, 1 stride_w, 2 stride_h, 3 activation, 4 and 5 dilations = 1, 6 bias type.
    let start = b.start_table();
    b.push_slot_always::<i8>(slot(0), 1);
    b.push_slot_always::<i32>(slot(2), 3);
    b.push_slot_always::<i32>(slot(5), 2);
    let conv = b.end_table(start);
    let inputs = b.create_vector::<i32>(&[0, -1]);
    let custom = b.create_vector::<u8>(&[7, 8]);
    // Operator: 0 opcode_index, 1 inputs, 3 and 4 builtin_options, 5 custom_options, 9 large offset, 13 debug = -1.
    let start = b.start_table();
    b.push_slot_always::<u32>(slot(0), 5);
    b.push_slot_always(slot(1), inputs);
    b.push_slot_always::<u8>(slot(3), 1);
    b.push_slot_always(slot(4), conv);
    b.push_slot_always(slot(5), custom);
    b.push_slot_always::<u64>(slot(9), u64::MAX - 1);
    let operator = Table::new(b.end_table(start).value());
    let name = b.create_string("x");
    let shape = b.create_vector::<i32>(&[1, 2]);
    // Tensor: 0 shape, 1 type, 2 buffer, 3 name, 4 quantization, 5 is_variable.
    let start = b.start_table();
    b.push_slot_always(slot(0), shape);
    b.push_slot_always::<i8>(slot(1), 9);
    b.push_slot_always::<u32>(slot(2), 4);
    b.push_slot_always(slot(3), name);
    b.push_slot_always::<bool>(slot(5), true);
    let tensor = Table::new(b.end_table(start).value());
    let bytes = model(b, &[tensor], &[operator], "TFL3");

    let model = read(&bytes).unwrap();
    assert_eq!(model.version(), 0);
    assert!(model.description().is_none() && model.buffers().is_none());
    let graph = model.subgraphs().unwrap().get(0);
    assert_eq!(graph.debug_metadata_index(), -1);
    let tensor = graph.tensors().unwrap().get(0);
    assert_eq!(tensor.shape().unwrap().iter().collect::<Vec<_>>(), [1, 2]);
    assert_eq!(tensor.type_(), TensorType::INT8);
    assert_eq!((tensor.buffer(), tensor.name()), (4, Some("x")));
    assert!(tensor.is_variable() && !tensor.has_rank());
    assert!(tensor.quantization().is_none());
    let operator = graph.operators().unwrap().get(0);
    assert_eq!(operator.opcode_index(), 5);
    assert_eq!(
        operator.inputs().unwrap().iter().collect::<Vec<_>>(),
        [0, -1]
    );
    assert_eq!(operator.custom_options().unwrap().bytes(), [7, 8]);
    assert_eq!(operator.large_custom_options_offset(), u64::MAX - 1);
    assert_eq!(operator.debug_metadata_index(), -1);
    assert_eq!(
        operator.builtin_options_type(),
        BuiltinOptions::CONV2D_OPTIONS
    );
    assert!(operator.builtin_options_as_pool2d_options().is_none());
    assert_eq!(operator.builtin_options_2_type(), BuiltinOptions2::NONE);
    let conv = operator.builtin_options_as_conv2d_options().unwrap();
    assert_eq!(conv.padding(), Padding::VALID);
    assert_eq!((conv.stride_w(), conv.stride_h()), (0, 3));
    assert_eq!((conv.dilation_w_factor(), conv.dilation_h_factor()), (1, 2));
    assert_eq!(conv.quantized_bias_type(), TensorType::FLOAT32);
}

/// A model with one operator whose union type and value are given by `fields`.
fn with_options(fields: impl Fn(&mut FlatBufferBuilder<'_>, WIPOffset<()>)) -> Vec<u8> {
    let b = &mut FlatBufferBuilder::new();
    // AddOptions: 0 activation, 1 pot_scale_int16 = true.
    let start = b.start_table();
    b.push_slot_always::<i8>(slot(0), 3);
    let add = WIPOffset::new(b.end_table(start).value());
    let start = b.start_table();
    fields(b, add);
    let operator = Table::new(b.end_table(start).value());
    model(b, &[], &[operator], "TFL3")
}

#[test]
fn union_without_its_counterpart_reads_as_none() {
    struct Case {
        member: Option<u8>,
        value: bool,
        read: Option<bool>,
    }
    let cases = [
        Case {
            member: Some(11),
            value: true,
            read: Some(true),
        },
        Case {
            member: Some(11),
            value: false,
            read: None,
        },
        Case {
            member: None,
            value: true,
            read: None,
        },
        Case {
            member: Some(0),
            value: false,
            read: None,
        },
        Case {
            member: Some(255),
            value: true,
            read: None,
        },
    ];
    for Case {
        member,
        value,
        read: expected,
    } in cases
    {
        let bytes = with_options(|b, add| {
            if let Some(member) = member {
                b.push_slot_always::<u8>(slot(3), member);
            }
            if value {
                b.push_slot_always(slot(4), add);
            }
        });
        let model = read(&bytes).unwrap();
        let operator = model
            .subgraphs()
            .unwrap()
            .get(0)
            .operators()
            .unwrap()
            .get(0);
        let add = operator.builtin_options_as_add_options();
        assert_eq!(
            add.map(|add| add.pot_scale_int16()),
            expected,
            "{member:?} {value}"
        );
        assert_eq!(operator.builtin_options_type().0, member.unwrap_or(0));
    }
}

/// Moves everything behind the file identifier by four bytes: offsets are relative, so only the root's changes.
fn shifted(bytes: &[u8]) -> Vec<u8> {
    let root = u32::from_le_bytes(bytes[..4].try_into().unwrap()) + 4;
    [&root.to_le_bytes(), &bytes[4..8], &[0; 4], &bytes[8..]].concat()
}

#[test]
fn eight_byte_scalars_are_read_at_multiples_of_four() {
    let b = &mut FlatBufferBuilder::new();
    let zero_points = b.create_vector::<i64>(&[-1, i64::MIN, 1 << 40]);
    let zero_points = WIPOffset::<()>::new(zero_points.value());
    let quantization = table(b, &[(3, zero_points)]);
    let tensor = table(b, &[(4, quantization)]);
    // RandomOptions: 0 seed, 1 seed2; union member 114.
    let start = b.start_table();
    b.push_slot_always::<i64>(slot(0), -5);
    let random = b.end_table(start);
    let start = b.start_table();
    b.push_slot_always::<u8>(slot(3), 114);
    b.push_slot_always(slot(4), random);
    b.push_slot_always::<u64>(slot(10), 1 << 33);
    let operator = Table::new(b.end_table(start).value());
    let aligned = model(b, &[tensor], &[operator], "TFL3");
    let mut places = Vec::new();
    for bytes in [aligned.clone(), shifted(&aligned)] {
        let model = read(&bytes).unwrap();
        let graph = model.subgraphs().unwrap().get(0);
        let tensor = graph.tensors().unwrap().get(0);
        let zero_point = tensor.quantization().unwrap().zero_point().unwrap();
        assert_eq!(
            zero_point.iter().collect::<Vec<i64>>(),
            [-1, i64::MIN, 1 << 40]
        );
        let operator = graph.operators().unwrap().get(0);
        assert_eq!(operator.large_custom_options_size(), 1 << 33);
        assert_eq!(
            operator.builtin_options_as_random_options().unwrap().seed(),
            -5
        );
        places.push((zero_point.bytes().as_ptr().addr() - bytes.as_ptr().addr()) % 8);
    }
    assert_eq!(places, [0, 4]);
}

#[test]
fn enumerations_carry_the_numbers_of_the_format() {
    // Numbers from the public schema (source at the head of tflite.fbs): first, last, and around the escape 127.
    let operators = [
        (BuiltinOperator::ADD, 0, "ADD"),
        (BuiltinOperator::CONV_2D, 3, "CONV_2D"),
        (BuiltinOperator::CUSTOM, 32, "CUSTOM"),
        (BuiltinOperator::QUANTIZE, 114, "QUANTIZE"),
        (BuiltinOperator::BATCH_MATMUL, 126, "BATCH_MATMUL"),
        (BuiltinOperator::CUMSUM, 128, "CUMSUM"),
        (BuiltinOperator::STABLEHLO_CASE, 209, "STABLEHLO_CASE"),
    ];
    for (operator, number, name) in operators {
        assert_eq!((operator.0, operator.variant_name()), (number, Some(name)));
        assert_eq!(format!("{operator:?}"), name);
    }
    let unknown = BuiltinOperator(9999);
    assert_eq!(unknown.variant_name(), None);
    assert_eq!(format!("{unknown:?}"), "BuiltinOperator(9999)");
    // No number is missing from the middle.
    let numbers = |count: usize, last: usize| assert_eq!(count, last + 1);
    numbers(BuiltinOperator::ENUM_VALUES.len(), 209);
    numbers(BuiltinOptions::ENUM_VALUES.len(), 126);
    numbers(BuiltinOptions2::ENUM_VALUES.len(), 23);
    numbers(TensorType::ENUM_VALUES.len(), 22);
    assert_eq!(BuiltinOptions::RIGHT_SHIFT_OPTIONS.0, 126);
    assert_eq!(BuiltinOptions2::STABLEHLO_CASE_OPTIONS.0, 23);
    assert_eq!(TensorType::INT2.0, 19);
}

#[test]
fn errors_say_what_to_look_at() {
    let good = with_options(|_, _| {});
    let mut other = good.clone();
    other[4..8].copy_from_slice(b"DWN1");
    let mut beyond = good.clone();
    beyond[0] = 0xfc;
    let cases = [
        (
            &b"TFL3"[..],
            "4 bytes are too few for a FlatBuffer: is the file complete?",
        ),
        (
            &other,
            "file identifier is \"DWN1\", expected \"TFL3\": is this the right file?",
        ),
        (
            &beyond,
            "FlatBuffer is corrupt: bytes 252..256 are beyond the end: is the file complete?",
        ),
    ];
    for (bytes, message) in cases {
        assert_eq!(read(bytes).unwrap_err().to_string(), message);
    }
    // The trace runs from the root to the place: a name whose terminator was overwritten.
    let b = &mut FlatBufferBuilder::new();
    let name = WIPOffset::<()>::new(b.create_string("abc").value());
    let tensor = table(b, &[(3, name)]);
    let mut bytes = model(b, &[tensor], &[], "TFL3");
    let end = bytes
        .windows(4)
        .position(|window| window == b"abc\0")
        .unwrap()
        + 3;
    bytes[end] = b'd';
    let range = end - 3..end;
    assert_eq!(
        read(&bytes).unwrap_err().to_string(),
        format!(
            "FlatBuffer is corrupt: string in bytes {range:?} has no terminator \
             at subgraphs[0].tensors[0].name"
        )
    );
}

#[test]
fn tables_shared_too_often_are_refused_in_bounded_time() {
    // 20,000 references to one tensor whose name is 20,000 bytes long: 400 MB to look at in a file of 100 kB.
    let b = &mut FlatBufferBuilder::new();
    let name = WIPOffset::<()>::new(b.create_string(&"n".repeat(20_000)).value());
    let tensor = table(b, &[(3, name)]);
    let bytes = model(b, &vec![tensor; 20_000], &[], "TFL3");
    let error = read(&bytes).unwrap_err();
    assert_eq!(
        error,
        RootError::Invalid(InvalidFlatbuffer::ApparentSizeTooLarge)
    );
    assert_eq!(
        error.to_string(),
        "FlatBuffer is corrupt: its parts are shared so often that reading it would take too long"
    );
}

#[test]
fn damaged_models_are_refused_or_readable() {
    let good = with_options(|b, add| {
        b.push_slot_always::<u8>(slot(3), 11);
        b.push_slot_always(slot(4), add);
    });
    let mut accepted = 0;
    for position in 0..good.len() {
        for bit in 0..8 {
            let mut bytes = good.clone();
            bytes[position] ^= 1 << bit;
            accepted += read(&bytes)
                .map(|model| contents(model, &bytes).operators.len())
                .is_ok() as usize;
        }
        let _ = read(&good[..position]).map(|model| contents(model, &good));
    }
    assert!(accepted > 0, "no damaged model was read at all");
}

#[test]
fn verified_bytes_can_be_shared_and_given_back() {
    let bytes = with_options(|_, _| {});
    let shared: Arc<dyn StableBytes + Send + Sync> = Arc::new(bytes.clone());
    let verified = VerifiedModel::new(shared).unwrap();
    assert_eq!(
        verified.root().subgraphs().map(|graphs| graphs.len()),
        Some(1)
    );
    assert_eq!(verified.bytes(), bytes);
    let lent = VerifiedModel::new(bytes.as_slice()).unwrap();
    assert_eq!(lent.root().subgraphs().map(|graphs| graphs.len()), Some(1));
    assert_eq!(lent.into_inner(), bytes);
}
