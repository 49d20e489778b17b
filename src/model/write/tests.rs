//! What is written is read back: options through the generated accessors, bytes at their alignment.

use super::*;
use crate::model::{BuiltinOperator, Model};
use crate::schema::tflite as schema;
use crate::tensor::{Quantization, TensorType};

/// A model of one operator on floats, read back.
fn one(operation: Operation) -> Model {
    let mut writer = ModelWriter::new("one operator");
    let x = writer.tensor("x", TensorType::Float32, &[1, 4, 4, 2], None);
    let y = writer.tensor("y", TensorType::Float32, &[1, 4, 4, 2], None);
    let (x, y) = (x.expect("fits"), y.expect("fits"));
    writer.operator(operation, &[Some(x)], &[y]).expect("known");
    let bytes = writer.finish(&[x], &[y]).expect("a model");
    Model::from_bytes(&bytes).expect("a model")
}

fn with_options<R>(operation: Operation, read: impl FnOnce(schema::Operator<'_>) -> R) -> R {
    let model = one(operation);
    read(model.graph().operator_table(0, 0).expect("an operator"))
}

const WINDOW: Window = Window {
    padding: Padding::VALID,
    stride: [2, 3],
    dilation: [4, 5],
};

#[test]
fn windows_are_read_back() {
    let relu6 = ActivationFunctionType::RELU6;
    with_options(Operation::conv_2d(WINDOW, relu6), |operator| {
        let o = operator
            .builtin_options_as_conv2d_options()
            .expect("options");
        assert_eq!(o.padding(), Padding::VALID);
        assert_eq!((o.stride_h(), o.stride_w()), (2, 3));
        assert_eq!((o.dilation_h_factor(), o.dilation_w_factor()), (4, 5));
        assert_eq!(o.fused_activation_function(), relu6);
    });
    with_options(Operation::depthwise_conv_2d(WINDOW, 7, relu6), |operator| {
        let o = operator
            .builtin_options_as_depthwise_conv2d_options()
            .expect("options");
        assert_eq!(o.padding(), Padding::VALID);
        assert_eq!(
            (o.stride_h(), o.stride_w(), o.depth_multiplier()),
            (2, 3, 7)
        );
        assert_eq!((o.dilation_h_factor(), o.dilation_w_factor()), (4, 5));
        assert_eq!(o.fused_activation_function(), relu6);
    });
    for operation in [
        Operation::average_pool_2d(WINDOW, [6, 8], relu6),
        Operation::max_pool_2d(WINDOW, [6, 8], relu6),
    ] {
        with_options(operation, |operator| {
            let o = operator
                .builtin_options_as_pool2d_options()
                .expect("options");
            assert_eq!(o.padding(), Padding::VALID);
            assert_eq!((o.stride_h(), o.stride_w()), (2, 3));
            assert_eq!((o.filter_height(), o.filter_width()), (6, 8));
            assert_eq!(o.fused_activation_function(), relu6);
        });
    }
}

#[test]
fn other_options_are_read_back() {
    let relu = ActivationFunctionType::RELU;
    with_options(Operation::fully_connected(relu), |operator| {
        let o = operator
            .builtin_options_as_fully_connected_options()
            .expect("options");
        assert_eq!(o.fused_activation_function(), relu);
        assert!(!o.keep_num_dims());
    });
    with_options(Operation::add(relu), |operator| {
        let o = operator.builtin_options_as_add_options().expect("options");
        assert_eq!(
            (o.fused_activation_function(), o.pot_scale_int16()),
            (relu, false)
        );
    });
    with_options(Operation::sub(relu), |operator| {
        let o = operator.builtin_options_as_sub_options().expect("options");
        assert_eq!(
            (o.fused_activation_function(), o.pot_scale_int16()),
            (relu, false)
        );
    });
    with_options(Operation::mul(relu), |operator| {
        let o = operator.builtin_options_as_mul_options().expect("options");
        assert_eq!(o.fused_activation_function(), relu);
    });
    with_options(Operation::mean(true), |operator| {
        let o = operator
            .builtin_options_as_reducer_options()
            .expect("options");
        assert!(o.keep_dims());
    });
    with_options(Operation::reshape(&[2, 16]), |operator| {
        let o = operator
            .builtin_options_as_reshape_options()
            .expect("options");
        let shape: Vec<i32> = o.new_shape().expect("shape").iter().collect();
        assert_eq!(shape, [2, 16]);
    });
    with_options(Operation::softmax(0.5), |operator| {
        let o = operator
            .builtin_options_as_softmax_options()
            .expect("options");
        assert_eq!(o.beta(), 0.5);
    });
    with_options(Operation::concatenation(-1), |operator| {
        let o = operator
            .builtin_options_as_concatenation_options()
            .expect("options");
        assert_eq!(o.axis(), -1);
    });
    with_options(Operation::fake_quant(-1.0, 2.0, 5, true), |operator| {
        let o = operator
            .builtin_options_as_fake_quant_options()
            .expect("options");
        let found = (o.min(), o.max(), o.num_bits(), o.narrow_range());
        assert_eq!(found, (-1.0, 2.0, 5, true));
    });
}

#[test]
fn operators_without_options_are_what_they_say() {
    let cases = [
        (Operation::pad(), BuiltinOperator::PAD),
        (Operation::quantize(), BuiltinOperator::QUANTIZE),
        (Operation::dequantize(), BuiltinOperator::DEQUANTIZE),
        (Operation::logistic(), BuiltinOperator::LOGISTIC),
        (Operation::tanh(), BuiltinOperator::TANH),
        (Operation::relu(), BuiltinOperator::RELU),
        (Operation::relu6(), BuiltinOperator::RELU6),
    ];
    for (operation, code) in cases {
        let model = one(operation);
        let operator = &model.graph().subgraphs()[0].operators[0];
        assert_eq!(operator.kind, crate::model::OperatorKind::Builtin(code));
        assert_eq!(operator.version, 1);
    }
    // Numbers beyond a byte have a field of their own.
    let gelu = Operation::new(
        BuiltinOperator::GELU,
        1,
        BuiltinOptions::GELU_OPTIONS,
        vec![(0, Field::Bool(true))],
    );
    with_options(gelu, |operator| {
        assert!(
            operator
                .builtin_options_as_gelu_options()
                .expect("options")
                .approximate()
        );
    });
}

#[test]
fn versions_follow_the_types() {
    let version = |ty, operation: Operation| operation.version_for(Some(ty));
    let conv = || Operation::conv_2d(WINDOW, ActivationFunctionType::NONE);
    assert_eq!(version(TensorType::UInt8, conv()), 1);
    assert_eq!(version(TensorType::Int8, conv()), 3);
    assert_eq!(version(TensorType::Int16, conv()), 4);
    assert_eq!(version(TensorType::Int8, conv().version(6)), 6);
}

#[test]
fn constants_lie_at_multiples_of_sixteen() {
    let mut writer = ModelWriter::new("aligned");
    let scale = || Some(Quantization::per_tensor(0.5, 0));
    let mut ids = Vec::new();
    for length in [1usize, 3, 16, 21] {
        let data = vec![0xA0 + length as u8; length];
        let name = format!("constant {length}");
        let id = writer.constant(&name, TensorType::Int8, &[length], scale(), data);
        ids.push(id.expect("fits"));
    }
    let bytes = writer.finish(&[], &ids).expect("a model");
    assert!(bytes.len().is_multiple_of(16));
    for length in [1usize, 3, 16, 21] {
        let data = vec![0xA0 + length as u8; length];
        let at = bytes.windows(length).position(|window| window == data);
        assert_eq!(at.expect("present") % 16, 0, "{length}");
    }
}

#[test]
fn graphs_that_are_no_model_are_refused() {
    let mut writer = ModelWriter::new("");
    let refused = writer.constant("c", TensorType::Int32, &[3], None, vec![0; 8]);
    let message = "constant \"c\" has 8 bytes, its shape needs 12 of int32";
    assert_eq!(refused.unwrap_err().to_string(), message);
    let huge = writer.constant("h", TensorType::Int8, &[usize::MAX, 2], None, Vec::new());
    let message =
        "constant \"h\" has 0 bytes, its shape needs more int8 elements than memory holds";
    assert_eq!(huge.unwrap_err().to_string(), message);

    // Another writer's tensor.
    let mut other = ModelWriter::new("");
    let foreign = other
        .tensor("x", TensorType::Int8, &[1], None)
        .expect("fits");
    let refused = writer.finish(&[foreign], &[]).unwrap_err().to_string();
    let message = "tensor 0 is none of the writer's 0; use what this writer returned";
    assert_eq!(refused, message);

    // An operator that reads what nothing has written.
    let x = writer
        .tensor("x", TensorType::Float32, &[1], None)
        .expect("fits");
    let y = writer
        .tensor("y", TensorType::Float32, &[1], None)
        .expect("fits");
    writer
        .operator(Operation::relu(), &[Some(x)], &[y])
        .expect("known");
    let refused = writer.finish(&[], &[y]).unwrap_err();
    assert!(matches!(refused, WriteError::Invalid(_)), "{refused}");
}
