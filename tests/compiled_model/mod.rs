//! Models as the Edge TPU compiler leaves them, made by hand: `edgetpu-custom-op` with a package that says what its layers
//! are. There is no program in it: the stand-in for libedgetpu computes from the layers alone.
#![allow(dead_code, reason = "each test file uses a part")]

use crate::model_builder::{
    Builder, CUSTOM, INT8, INT16, Model, Offset, Operator, Tensor, UINT8, offset, slot, table,
    text, vector,
};

/// An input or output of a package.
#[derive(Clone)]
pub struct Layer {
    pub name: &'static str,
    /// Number of the element type in TFLite.
    pub ty: i8,
    /// Elements of one inference.
    pub len: i32,
}

/// A layer.
pub fn layer(name: &'static str, ty: i8, len: i32) -> Layer {
    Layer { name, ty, len }
}

/// An `edgetpu-custom-op` with these layers.
pub fn edge_tpu_operator(
    inputs: &[i32],
    outputs: &[i32],
    layers_in: &[Layer],
    layers_out: &[Layer],
) -> Operator {
    Operator {
        custom: Some("edgetpu-custom-op"),
        custom_options: Some(custom_options(&package(layers_in, layers_out))),
        ..Operator::new(CUSTOM, inputs, outputs)
    }
}

/// A model of one operator: `input` of type `ty` and shape [1, `input_len`] to `output` of [1, `output_len`].
pub fn single(ty: i8, input_len: i32, output_len: i32) -> Model {
    Model {
        tensors: vec![
            Tensor::new("input", ty, &[1, input_len]).quantized(1.0, 0),
            Tensor::new("output", ty, &[1, output_len]).quantized(1.0, 0),
        ],
        operators: vec![edge_tpu_operator(
            &[0],
            &[1],
            &[layer("input", ty, input_len)],
            &[layer("output", ty, output_len)],
        )],
        inputs: vec![0],
        outputs: vec![1],
        ..Model::default()
    }
}

/// A package of one stand-alone executable.
pub fn package(inputs: &[Layer], outputs: &[Layer]) -> Vec<u8> {
    let executable = executable(inputs, outputs);
    let b = &mut Builder::new();
    // MultiExecutable: 0 serialized_executables, strings that hold bytes.
    let string = offset(b.create_byte_string(&executable));
    let strings = vector(b, &[string]);
    let multi = table(b, |b| b.push_slot_always(slot(0), strings));
    b.finish(multi, None);
    let multi = b.finished_data().to_vec();

    let b = &mut Builder::new();
    // Package: 0 min_runtime_version, 1 serialized_multi_executable, 4 compiler_version.
    let multi = vector(b, &multi);
    let compiler = text(b, "made by hand");
    let package = table(b, |b| {
        b.push_slot_always::<i32>(slot(0), 13);
        b.push_slot_always(slot(1), multi);
        b.push_slot_always(slot(4), compiler);
    });
    b.finish(package, Some("DWN1"));
    b.finished_data().to_vec()
}

/// Executable: 3 batch_size, 7 dma_hints, 8 input_layers, 9 output_layers, 10 chip, 13 type.
fn executable(inputs: &[Layer], outputs: &[Layer]) -> Vec<u8> {
    let b = &mut Builder::new();
    let inputs: Vec<_> = inputs.iter().map(|layer| layer.write(b, false)).collect();
    let outputs: Vec<_> = outputs.iter().map(|layer| layer.write(b, true)).collect();
    let inputs = vector(b, &inputs);
    let outputs = vector(b, &outputs);
    // DmaHints: 1 fully_deterministic.
    let hints = table(b, |b| b.push_slot_always(slot(1), true));
    let chip = text(b, "beagle");
    let executable = table(b, |b| {
        b.push_slot_always::<i32>(slot(3), 1);
        b.push_slot_always(slot(7), hints);
        b.push_slot_always(slot(8), inputs);
        b.push_slot_always(slot(9), outputs);
        b.push_slot_always(slot(10), chip);
    });
    b.finish(executable, None);
    b.finished_data().to_vec()
}

impl Layer {
    /// Layer: 0 name, 1 size_bytes, 2 y_dim, 3 x_dim, 4 z_dim, 6 data_type, 7 and 8 any_layer.
    fn write(&self, b: &mut Builder, is_output: bool) -> Offset {
        let (data_type, size) = match self.ty {
            UINT8 => (0_i16, 1),
            INT8 => (8, 1),
            INT16 => (9, 2),
            other => panic!("no layer of type {other}"),
        };
        let name = text(b, self.name);
        let any_layer = table(b, |_| {});
        let bytes = self.len * size;
        table(b, |b| {
            b.push_slot_always(slot(0), name);
            b.push_slot_always::<i32>(slot(1), (bytes + 7) / 8 * 8);
            b.push_slot_always::<i32>(slot(2), 1);
            b.push_slot_always::<i32>(slot(3), 1);
            b.push_slot_always::<i32>(slot(4), self.len);
            b.push_slot_always::<i16>(slot(6), data_type);
            b.push_slot_always::<u8>(slot(7), if is_output { 1 } else { 2 });
            b.push_slot_always(slot(8), any_layer);
        })
    }
}

/// A FlexBuffer map {"1": 0, "4": package}, everything 4 bytes wide. Offsets count back from where they stand; the length
/// of a vector or string stands before it.
pub fn custom_options(package: &[u8]) -> Vec<u8> {
    const WIDTH: u32 = 4;
    // Type numbers of FlexBuffers, and the width 4 in the two low bits.
    const INT: u8 = 1 << 2 | 2;
    const STRING: u8 = 5 << 2 | 2;
    const MAP: u8 = 9 << 2 | 2;
    let mut bytes = b"1\x004\0".to_vec();
    let number = |bytes: &mut Vec<u8>, value: u32| bytes.extend_from_slice(&value.to_le_bytes());
    let back_to = |bytes: &Vec<u8>, target: usize| (bytes.len() - target) as u32;

    number(&mut bytes, package.len() as u32);
    let string = bytes.len();
    bytes.extend_from_slice(package);
    bytes.push(0);
    bytes.resize(bytes.len().next_multiple_of(4), 0);

    number(&mut bytes, 2);
    let keys = bytes.len();
    for key in [0, 2] {
        let offset = back_to(&bytes, key);
        number(&mut bytes, offset);
    }
    let offset = back_to(&bytes, keys);
    number(&mut bytes, offset);
    number(&mut bytes, WIDTH);
    number(&mut bytes, 2);
    let map = bytes.len();
    number(&mut bytes, 0);
    let offset = back_to(&bytes, string);
    number(&mut bytes, offset);
    bytes.extend_from_slice(&[INT, STRING]);
    bytes.resize(bytes.len().next_multiple_of(4), 0);

    let offset = back_to(&bytes, map);
    number(&mut bytes, offset);
    bytes.extend_from_slice(&[MAP, WIDTH as u8]);
    bytes
}
