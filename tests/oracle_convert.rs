//! Conversion against converters, and written models against TFLite.
//!
//! Networks of the test data are rebuilt from their trained floats and ranges and compared with the files that toco and the
//! MLIR converter wrote. A small network of most kinds of layers runs to numbers that TFLite gave for the same file
//! (`tests/data/qat/written_*.npy`; `.ci/run written` asks it again).

mod archive;
mod corpus;

use archive::Archive;
use corallite::fixedpoint::Profile;
use corallite::model::write::{ActivationFunctionType, Padding, Window};
use corallite::oracle::convert::{NetworkBuilder, Value, Weighted, input_range};
use corallite::oracle::npy::{NpyArray, NpyType};
use corallite::oracle::{BatchNormFold, Range};
use corallite::tensor::TensorType;
use corallite::{Interpreter, Model};
use std::path::{Path, PathBuf};

const NONE: ActivationFunctionType = ActivationFunctionType::NONE;
const RELU: ActivationFunctionType = ActivationFunctionType::RELU;
const RELU6: ActivationFunctionType = ActivationFunctionType::RELU6;

fn same(stride: i32) -> Window {
    Window {
        padding: Padding::SAME,
        stride: [stride; 2],
        dilation: [1; 2],
    }
}

fn valid(stride: i32) -> Window {
    Window {
        padding: Padding::VALID,
        ..same(stride)
    }
}

fn range(min: f32, max: f32) -> Range {
    Range::new(min, max).expect("range")
}

/// The output of every image of a batch.
fn run(model: &[u8], inputs: &[u8], profile: Profile) -> Vec<u8> {
    let model = Model::from_bytes(model).expect("a model");
    let mut interpreter = Interpreter::builder(&model)
        .profile(profile)
        .build()
        .expect("runs");
    let size = interpreter.input(0).expect("input").bytes().len();
    let mut outputs = Vec::new();
    for image in inputs.chunks_exact(size) {
        let mut input = interpreter.input_mut(0).expect("input");
        if input.ty() == TensorType::UInt8 {
            input.copy_from(image).expect("fits");
        } else {
            let signed: Vec<i8> = image
                .iter()
                .map(|byte| i8::from_le_bytes([*byte]))
                .collect();
            input.copy_from(&signed).expect("fits");
        }
        interpreter.invoke().expect("runs");
        outputs.extend_from_slice(interpreter.output(0).expect("output").bytes());
    }
    outputs
}

/// Asserts that two models have the same operators on the same tensors; scales may be `ulps` apart.
fn assert_alike(built: &[u8], expected: &Path, ulps: u32) {
    let built = Model::from_bytes(built).expect("a model");
    let expected = Model::from_file(expected).expect("a model");
    let (a, b) = (built.graph(), expected.graph());
    let (ours, theirs) = (&a.subgraphs()[0], &b.subgraphs()[0]);
    assert_eq!(ours.operators.len(), theirs.operators.len());
    for (index, (x, y)) in ours.operators.iter().zip(&theirs.operators).enumerate() {
        let place = format!("operator {index} {}", y.kind);
        assert_eq!(x.kind, y.kind, "{place}");
        let operands = |o: &corallite::model::Operator| -> Vec<usize> {
            o.inputs
                .iter()
                .flatten()
                .chain(&o.outputs)
                .copied()
                .collect()
        };
        let (x, y) = (operands(x), operands(y));
        assert_eq!(x.len(), y.len(), "{place}");
        for (operand, (x, y)) in x.into_iter().zip(y).enumerate() {
            let (x, y) = (&ours.tensors[x], &theirs.tensors[y]);
            let place = format!("{place}, operand {operand} {:?}", b.tensor_name(y));
            assert_eq!((x.ty, x.shape), (y.ty, y.shape), "{place}");
            let (Some(p), Some(q)) = (&x.quantization, &y.quantization) else {
                // Axes and shapes; a shape may leave a dimension open as -1.
                assert_eq!(x.ty, TensorType::Int32, "{place}");
                continue;
            };
            assert_eq!(a.data(x), b.data(y), "{place}");
            assert_eq!(p.zero_points(), q.zero_points(), "{place}");
            assert_eq!(p.scales().len(), q.scales().len(), "{place}");
            for (s, t) in p.scales().iter().zip(q.scales()) {
                assert!(
                    s.to_bits().abs_diff(t.to_bits()) <= ulps,
                    "{place}: {s} and {t}"
                );
            }
        }
    }
}

/// A layer of the toco networks by the names of its arrays.
struct Toco<'a> {
    archive: &'a mut Archive,
    network: NetworkBuilder,
}

impl Toco<'_> {
    fn range(&mut self, node: &str) -> Range {
        let mut end = |end| {
            self.archive
                .float(&format!("{node}.FakeQuantWithMinMaxVars|{end}"))
        };
        range(end("min"), end("max"))
    }

    /// `depthwise`: also what toco makes of a convolution of one channel.
    fn layer(
        &mut self,
        x: Value,
        name: &str,
        activation: ActivationFunctionType,
        depthwise: bool,
        window: Window,
    ) -> Value {
        let weights_node = format!("{name}.weights_quant");
        let weights = self
            .archive
            .array(&format!("{weights_node}.FakeQuantWithMinMaxVars|pre"));
        let bias = if name == "logits" {
            "BiasAdd"
        } else {
            "add_fold"
        };
        let bias = self.archive.floats(&format!("{name}.{bias}|bias"));
        let layer = Weighted {
            name,
            weights: &weights.as_slice::<f32>().expect("float32"),
            weight_ranges: &[self.range(&weights_node)],
            bias: &bias,
            activation,
            output: self.range(&format!("{name}.act_quant")),
        };
        let filter = [weights.shape[0], weights.shape[1]];
        let y = if depthwise {
            self.network.depthwise_conv_2d(x, &layer, filter, window)
        } else {
            self.network.conv_2d(x, &layer, filter, window)
        };
        y.unwrap_or_else(|e| panic!("{e}"))
    }
}

#[test]
fn toco_networks_are_rebuilt_bit_for_bit() {
    let Some(folder) = corpus::test_data() else {
        return;
    };
    let folder = folder.join("qat/tf113_contrib_uint8");
    for variant in ["qat", "ptq"] {
        let mut archive = Archive::open(&folder.join(format!("{variant}_fq.npz")));
        let network = NetworkBuilder::new("rebuilt", TensorType::UInt8).expect("a type");
        let mut toco = Toco {
            archive: &mut archive,
            network,
        };
        let input = input_range(128.0, 128.0).expect("range");
        let x = toco
            .network
            .input("input", &[1, 28, 28, 1], input)
            .expect("input");
        let x = toco.layer(x, "conv1", RELU6, true, same(2));
        let x = toco.layer(x, "dw2", RELU6, true, same(1));
        let bypass = toco.layer(x, "pw2", NONE, false, same(1));
        let x = toco.layer(bypass, "exp3", RELU6, false, same(1));
        let x = toco.layer(x, "dw3", RELU6, true, same(1));
        let x = toco.layer(x, "pw3", NONE, false, same(1));
        let sum = toco.range("post_activation_bypass_quant");
        let x = toco
            .network
            .add("add3", [x, bypass], NONE, sum)
            .expect("fits");
        let x = toco.layer(x, "exp4", RELU6, false, same(1));
        let x = toco.layer(x, "dw4", RELU6, true, same(2));
        let x = toco.layer(x, "pw4", RELU6, false, same(1));
        let x = toco
            .network
            .average_pool_2d("pool", x, [7, 7], valid(7))
            .expect("fits");
        let x = toco.layer(x, "logits", NONE, false, same(1));
        let x = toco.network.reshape("squeeze", x, &[1, 10]).expect("fits");
        let x = toco.network.softmax("prob", x, 1.0).expect("fits");
        let built = toco.network.finish(&[x]).expect("a model");
        assert_alike(&built, &folder.join(format!("{variant}.tflite")), 0);

        // And it computes what TFLite's reference kernels computed with the original.
        let mut tensors = Archive::open(&folder.join(format!("{variant}_ref_tensors.npz")));
        let inputs = tensors.array("t19").data;
        let outputs = tensors.array("t24").data;
        assert_eq!(run(&built, &inputs, Profile::Tflite), outputs, "{variant}");
    }
}

/// Layers of the Keras toolkit: batch normalization stays float while training, the converter folds it.
struct Keras<'a> {
    archive: &'a mut Archive,
    network: NetworkBuilder,
}

impl Keras<'_> {
    fn range(&mut self, ends: &str) -> Range {
        let mut end = |end| self.archive.float(&format!("quant_{ends}_{end}"));
        range(end("min"), end("max"))
    }

    /// Weights, symmetric ranges and bias of a layer, `norm` folded in.
    fn folded(
        &mut self,
        name: &str,
        kernel: &str,
        norm: Option<&str>,
    ) -> (Vec<f32>, Vec<Range>, Vec<f32>) {
        let weights = self.archive.floats(&format!("quant_{name}|{kernel}"));
        let ends = self.archive.floats(&format!("quant_{name}|{kernel}_max"));
        let Some(norm) = norm else {
            let ranges = ends.iter().map(|&end| range(-end, end)).collect();
            return (
                weights,
                ranges,
                self.archive.floats(&format!("quant_{name}|bias")),
            );
        };
        let mut variable = |of: &str| self.archive.floats(&format!("quant_{norm}|{of}"));
        let norm = BatchNormFold::new(
            variable("gamma"),
            variable("beta"),
            variable("moving_mean"),
            variable("moving_variance"),
            0.001,
        )
        .expect("a batch normalization");
        let folded = norm.evaluate(&weights).expect("fits");
        // The largest weight of a channel, folded as well.
        let ends: Vec<f32> = (0..norm.channels()).map(|i| ends[i % ends.len()]).collect();
        let ends = norm.evaluate(&ends).expect("fits").weights;
        let ranges = ends
            .iter()
            .map(|end| range(-end.abs(), end.abs()))
            .collect();
        (folded.weights, ranges, folded.bias)
    }
}

#[test]
fn a_keras_network_is_rebuilt_code_for_code() {
    let Some(folder) = corpus::test_data() else {
        return;
    };
    let folder = folder.join("qat/tfmot_int8");
    let mut archive = Archive::open(&folder.join("qat_vars.npz"));
    let network = NetworkBuilder::new("rebuilt", TensorType::Int8).expect("a type");
    let mut keras = Keras {
        archive: &mut archive,
        network,
    };
    let image = range(
        keras.archive.float("quantize_layer|quantize_layer_min"),
        keras.archive.float("quantize_layer|quantize_layer_max"),
    );
    let x = keras
        .network
        .input("x", &[1, 8, 8, 1], image)
        .expect("input");
    let conv = |keras: &mut Keras<'_>, x, name, norm, output: &str, activation, stride| {
        let size = if name == "c3" { 1 } else { 3 };
        let (weights, ranges, bias) = keras.folded(name, "kernel", norm);
        let layer = Weighted {
            name,
            weights: &weights,
            weight_ranges: &ranges,
            bias: &bias,
            activation,
            output: keras.range(output),
        };
        let y = keras.network.conv_2d(x, &layer, [size; 2], same(stride));
        y.unwrap_or_else(|e| panic!("{e}"))
    };
    let x = conv(&mut keras, x, "c1", Some("bn1"), "r1|output", RELU6, 1);
    let (weights, ranges, bias) = keras.folded("dw2", "depthwise_kernel", Some("bn2"));
    let layer = Weighted {
        name: "dw2",
        weights: &weights,
        weight_ranges: &ranges,
        bias: &bias,
        activation: RELU6,
        output: keras.range("r2|output"),
    };
    let x = keras
        .network
        .depthwise_conv_2d(x, &layer, [3, 3], same(1))
        .expect("fits");
    let c3 = conv(&mut keras, x, "c3", None, "c3|post_activation", NONE, 1);
    let c4 = conv(&mut keras, x, "c4", Some("bn4"), "bn4|output", NONE, 1);
    let sum = keras.range("r5|output");
    let x = keras
        .network
        .add("add5", [c3, c4], RELU, sum)
        .expect("fits");
    // What is concatenated takes the range behind the concatenation.
    let c6 = conv(&mut keras, x, "c6", None, "cat7|output", RELU, 2);
    let pool = keras
        .network
        .max_pool_2d("mp6", x, [2, 2], valid(2))
        .expect("fits");
    let joint = keras.range("cat7|output");
    let pool = keras
        .network
        .requantize("mp6/requantized", pool, joint)
        .expect("fits");
    let x = keras
        .network
        .concatenation("cat7", &[pool, c6], 3)
        .expect("fits");
    let mean = keras.range("gap8|output");
    let x = keras
        .network
        .mean("gap8", x, &[1, 2], false, Some(mean))
        .expect("fits");
    let (weights, ranges, bias) = keras.folded("fc9", "kernel", None);
    let layer = Weighted {
        name: "fc9",
        weights: &weights,
        weight_ranges: &ranges,
        bias: &bias,
        activation: NONE,
        output: keras.range("fc9|post_activation"),
    };
    let x = keras.network.fully_connected(x, &layer).expect("fits");
    let x = keras.network.softmax("sm10", x, 1.0).expect("fits");
    let built = keras.network.finish(&[x]).expect("a model");
    // Codes and zero points are equal. Scales of folded weights come from another order of float operations.
    assert_alike(&built, &folder.join("qat_int8.tflite"), 3);

    let mut tensors = Archive::open(&folder.join("qat_int8_ref_tensors.npz"));
    let (inputs, outputs) = (tensors.array("t7").data, tensors.array("t25").data);
    assert_eq!(run(&built, &inputs, Profile::Tflite), outputs);
}

/// Numbers in [-1, 1), always the same: Knuth's MMIX generator.
struct Numbers(u64);

impl Numbers {
    fn next(&mut self) -> f32 {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        // 24 bits are exact in float32.
        (self.0 >> 40) as f32 / (1 << 23) as f32 - 1.0
    }

    fn take(&mut self, count: usize, scale: f32) -> Vec<f32> {
        (0..count).map(|_| self.next() * scale).collect()
    }
}

/// A network of most kinds of layers, on 6x6 pictures of two channels.
fn most_layers(ty: TensorType) -> Vec<u8> {
    let mut numbers = Numbers(7);
    let mut network = NetworkBuilder::new("most kinds of layers", ty).expect("a type");
    let per_channel = ty == TensorType::Int8;
    // One range per channel of different widths, or one for all; all weights lie within.
    let ranges = |channels: u8| -> Vec<Range> {
        let count = if per_channel { channels } else { 1 };
        (0..count)
            .map(|i| range(-1.0 - f32::from(i) / 8.0, 1.0 + f32::from(i) / 8.0))
            .collect()
    };
    let input = network
        .input("picture", &[1, 6, 6, 2], range(-1.0, 1.0))
        .expect("input");

    let (weights, bias) = (numbers.take(3 * 3 * 2 * 4, 1.0), numbers.take(4, 0.5));
    let layer = Weighted {
        name: "conv",
        weights: &weights,
        weight_ranges: &ranges(4),
        bias: &bias,
        activation: RELU6,
        output: range(0.0, 6.0),
    };
    let x = network
        .conv_2d(input, &layer, [3, 3], same(1))
        .expect("fits");

    let (weights, bias) = (numbers.take(3 * 3 * 4, 0.7), numbers.take(4, 0.5));
    let layer = Weighted {
        name: "depthwise",
        weights: &weights,
        weight_ranges: &ranges(4),
        bias: &bias,
        activation: NONE,
        output: range(-9.0, 8.0),
    };
    let y = network
        .depthwise_conv_2d(x, &layer, [3, 3], same(1))
        .expect("fits");
    let x = network
        .add("sum", [x, y], RELU, range(0.0, 10.0))
        .expect("fits");
    let largest = network
        .max_pool_2d("largest", x, [2, 2], valid(2))
        .expect("fits");
    let average = network
        .average_pool_2d("average", x, [3, 3], same(2))
        .expect("fits");
    let x = network
        .concatenation("both", &[largest, average], 3)
        .expect("fits");
    let x = network
        .requantize("finer", x, range(0.0, 9.0))
        .expect("fits");
    let mean = network.mean("mean", x, &[1, 2], false, None).expect("fits");

    let (weights, bias) = (numbers.take(8 * 5, 1.0), numbers.take(5, 1.0));
    let layer = Weighted {
        name: "dense",
        weights: &weights,
        weight_ranges: &[range(-1.0, 1.0)],
        bias: &bias,
        activation: NONE,
        output: range(-8.0, 7.0),
    };
    let x = network.fully_connected(mean, &layer).expect("fits");
    let x = network.reshape("row", x, &[1, 1, 5]).expect("fits");
    let x = network.softmax("probabilities", x, 1.0).expect("fits");
    network.finish(&[x]).expect("a model")
}

/// Leaves models, inputs and outputs in target/tmp, for `.ci/run written`.
#[test]
fn most_layers_run_to_the_numbers_of_tflite() {
    const PICTURES: usize = 16;
    let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR"));
    let mut all = Vec::new();
    for (name, ty) in [("uint8", TensorType::UInt8), ("int8", TensorType::Int8)] {
        let model = most_layers(ty);
        let mut numbers = Numbers(99);
        // All 256 codes are equally likely, whatever the sign of the type.
        let mut code = || ((numbers.next() + 1.0) * 128.0) as u8;
        let pictures: Vec<u8> = (0..PICTURES * 72).map(|_| code()).collect();
        std::fs::write(folder.join(format!("written_{name}.tflite")), &model).expect("file");
        let write = |file: &str, data: &[u8], shape: &[usize]| {
            let dtype = match ty {
                TensorType::UInt8 => NpyType::U8,
                _ => NpyType::I8,
            };
            let array = NpyArray {
                dtype,
                shape: shape.to_vec(),
                data: data.to_vec(),
            };
            array.write(folder.join(file)).expect("file");
            array
        };
        write(
            &format!("written_{name}_input.npy"),
            &pictures,
            &[PICTURES, 6, 6, 2],
        );
        for profile in [Profile::Tflite, Profile::Litert] {
            let file = format!("written_{name}_{profile}.npy");
            let outputs = run(&model, &pictures, profile);
            let found = write(&file, &outputs, &[PICTURES, 1, 5]);
            all.push((file, found));
        }
    }
    for (file, found) in all {
        let expected = NpyArray::read(format!("tests/data/qat/{file}")).expect("file");
        assert_eq!(found, expected, "{file}");
    }
}
