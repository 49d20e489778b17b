//! `corallite qat lint`, as a user runs it: broken copies, healthy models, what an Edge TPU takes, and a model per rule.

mod corpus;
mod model_builder;
mod tool;

use corallite::model::Candidate;
use corallite::model::rules::{RULES, Stage};
use corallite::oracle::lint::lint;
use model_builder::{CUSTOM, Field, INT8, INT32, Model, Operator, QUANTIZE, Tensor, doubling};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use tool::{Folder, Ran, tool};

const BUNDLED: &str = concat!(
    env!("CARGO_MANIFEST_DIR"),
    "/examples/data/fashion_mnist_int8.tflite"
);

fn qat_lint(model: &Path, options: &[&str]) -> Ran {
    let model = model.to_str().expect("UTF-8");
    tool(&[&["qat", "lint", model], options].concat())
}

fn json(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_else(|e| panic!("{e}: {text}"))
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

/// Rule, severity and tensor name of each finding.
fn findings(told: &Value) -> Vec<(String, String, String)> {
    let findings = told["findings"].as_array().expect("list").iter();
    let row = |f: &Value| {
        let name = text(&f["tensor"]["name"]).to_owned();
        (
            text(&f["rule"]).to_owned(),
            text(&f["severity"]).to_owned(),
            name,
        )
    };
    findings.map(row).collect()
}

/// The broken copies and what is wrong with them, as their maker wrote it down.
#[test]
fn broken_copies_are_named() {
    let Some(data) = corpus::test_data() else {
        return;
    };
    let mutants = data.join("qat/mutants");
    let expected = std::fs::read_to_string(mutants.join("expected.json")).expect("expected.json");
    let expected = json(&expected);
    let expected = expected.as_array().expect("list");
    assert_eq!(expected.len(), 10);
    let dump = data.join("qat/tf113_contrib_uint8/qat_fq.npz");
    for mutant in expected {
        let (file, layer) = (text(&mutant["file"]), text(&mutant["layer"]));
        let model = mutants.join(file);
        let ran = qat_lint(&model, &["--json"]);
        let found = findings(&json(&ran.stdout));
        let has_error = found.iter().any(|(_, severity, _)| severity == "error");
        assert_eq!(ran.code, i32::from(has_error), "{file}: {found:?}");
        if text(&mutant["detected_by"]) == "layer-diff" {
            // Its parameters are legal. The layer in front of it, or values, must tell.
            assert!(!has_error, "{file}: {found:?}");
            let model = model.to_str().expect("UTF-8");
            let ran = tool(&[
                "qat",
                "compare",
                model,
                dump.to_str().expect("UTF-8"),
                "--json",
            ]);
            assert_eq!(ran.code, 1, "{file}");
            assert_eq!(
                json(&ran.stdout)["first_unexplained"]["name"],
                layer,
                "{file}"
            );
            continue;
        }
        // Our names for the rules of the list, and whether TFLite could not run the model at all or as it says.
        let (rule, severity) = match text(&mutant["rule"]) {
            "bias-scale" => ("bias-scale", "warning"),
            "bias-zero-point" => ("bias-zero-point", "error"),
            "weight-narrow-range" => ("weight-lowest-code", "warning"),
            "fixed-output-qparams" => ("fixed-output", "error"),
            "same-qparams" => ("same-quantization", "error"),
            "zero-point-range" => ("zero-point-range", "error"),
            "scale-positive" => ("scale-invalid", "error"),
            other => panic!("{file}: unknown rule {other}"),
        };
        // The tensor is the layer's result, or one of its parameters, which begin with the layer's name.
        let scope = layer.split('/').next().expect("name");
        let is_named = found
            .iter()
            .any(|(r, s, tensor)| r == rule && s == severity && tensor.starts_with(scope));
        assert!(is_named, "{file}: {rule} at {layer} in {found:?}");
    }
}

/// What lint says of networks that work: nothing of most, and what is known of one.
#[test]
fn healthy_networks_have_no_findings_but_true_ones() {
    assert_eq!(
        qat_lint(Path::new(BUNDLED), &["--edgetpu"])
            .succeeded()
            .lines()
            .last(),
        Some("0 error(s), 0 warning(s)")
    );
    let Some(data) = corpus::test_data() else {
        return;
    };
    for file in [
        "tf113_contrib_uint8/qat.tflite",
        "tf113_contrib_uint8/ptq.tflite",
        "tfmot_int8/ptq_int8.tflite",
    ] {
        let ran = qat_lint(&data.join("qat").join(file), &[]);
        assert_eq!(ran.succeeded(), "0 error(s), 0 warning(s)\n", "{file}");
    }
    // Trained for 252 steps, in which the toolkit's moving averages kept -6 * 0.999^252 = -4.66 of their first minimum.
    let ran = qat_lint(&data.join("qat/tfmot_int8/qat_int8.tflite"), &["--json"]);
    let told = json(ran.succeeded());
    let found = findings(&told);
    assert_eq!(found.len(), 6, "{found:?}");
    for (finding, (rule, ..)) in told["findings"]
        .as_array()
        .expect("list")
        .iter()
        .zip(&found)
    {
        assert_eq!(rule, "range-not-converged");
        let told = text(&finding["found"]);
        assert!(told.contains("as in 6 ranges"), "{told}");
        let steps = told
            .split("0.999^")
            .nth(1)
            .and_then(|rest| rest.split(';').next());
        let steps: i32 = steps.expect("steps").parse().expect("number");
        assert!((250..=254).contains(&steps), "{told}");
    }
}

#[test]
fn corpus_has_no_errors() {
    let Some(data) = corpus::test_data() else {
        return;
    };
    let mut models = 0;
    for entry in std::fs::read_dir(data.join("corpus/models")).expect("models") {
        let path = entry.expect("entry").path();
        let candidate = Candidate::from_file(&path).expect("model");
        let lint = lint(&candidate, true);
        assert!(
            !lint.report.has_errors(),
            "{}: {}",
            path.display(),
            lint.report
        );
        let mapping = lint.edge_tpu.expect("asked for");
        let operators = candidate.graph().subgraphs()[0].operators.len();
        assert_eq!(mapping.places.len(), operators, "{}", path.display());
        models += 1;
    }
    assert!(models > 80, "{models} models");
}

/// Operators left to the CPU, by kind.
type OnCpu = BTreeMap<String, u64>;

/// Compiled models say what the compiler left to the CPU: the forecast from their twins is that, or leaves it open.
#[test]
fn edge_tpu_compiler_maps_what_is_forecast() {
    let Some(data) = corpus::test_data() else {
        return;
    };
    let models = data.join("corpus/models");
    let mut twins = 0;
    for entry in std::fs::read_dir(&models).expect("models") {
        let compiled = entry.expect("entry").path();
        let name = compiled
            .file_name()
            .and_then(|name| name.to_str())
            .expect("UTF-8");
        let Some(twin) = name.strip_suffix("_edgetpu.tflite") else {
            continue;
        };
        let twin = models.join(format!("{twin}.tflite"));
        if !twin.exists() {
            continue;
        }
        let compiled = compiled.to_str().expect("UTF-8");
        let told = json(tool(&["inspect", compiled, "--json"]).succeeded());
        let actual = told["edge_tpu"]["cpu_operators"]
            .as_object()
            .expect("counts")
            .iter();
        let actual: OnCpu = actual
            .map(|(kind, count)| (kind.clone(), count.as_u64().expect("count")))
            .collect();

        let candidate = Candidate::from_file(&twin).expect("model");
        let told = json(qat_lint(&twin, &["--edgetpu", "--json"]).succeeded());
        let places = told["edge_tpu"]["places"]
            .as_array()
            .expect("places")
            .iter();
        let operators = &candidate.graph().subgraphs()[0].operators;
        let (mut least, mut most) = (OnCpu::new(), OnCpu::new());
        for (operator, place) in operators.iter().zip(places) {
            let kind = operator.kind.to_string();
            match text(place) {
                "edge_tpu" => continue,
                "uncertain" => {}
                _ => *least.entry(kind.clone()).or_default() += 1,
            }
            *most.entry(kind).or_default() += 1;
        }
        // The compiler took all of the uncertain ones or none.
        assert!(
            actual == least || actual == most,
            "{name}: {actual:?}, {least:?} to {most:?}"
        );
        twins += 1;
    }
    assert!(twins >= 5, "{twins} twins");
}

/// A convolution of ReLU `activation` (0 none, 1 ReLU) whose result has zero point `zero_point`.
fn rectified(activation: i8, scale: f32, zero_point: i64) -> Model {
    let mut model = doubling();
    model.tensors[3] = Tensor::new("out", INT8, &[1, 1, 3, 1]).quantized(scale, zero_point);
    let options = model.operators[0].options.as_mut().expect("options");
    options.1.push((3, Field::Byte(activation)));
    model
}

/// The doubling model with `count` channels whose single weights are `weights`.
fn channels(weights: &[i8], bias: i32) -> Model {
    let count = weights.len() as i32;
    let bytes: Vec<u8> = weights.iter().map(|&w| w as u8).collect();
    let biases: Vec<u8> = weights.iter().flat_map(|_| bias.to_le_bytes()).collect();
    let mut model = doubling();
    model.tensors[1] = Tensor::new("weights", INT8, &[count, 1, 1, 1])
        .quantized(0.25, 0)
        .constant(&bytes);
    model.tensors[2] = Tensor::new("bias", INT32, &[count])
        .quantized(0.25, 0)
        .constant(&biases);
    model.tensors[3] = Tensor::new("out", INT8, &[1, 1, 3, count]).quantized(1.0, 0);
    model
}

/// A model of one operator on int8 tensors of scale 1/256, with `inputs` before and one result behind it.
fn single(operator: Operator, tensors: Vec<Tensor>) -> Model {
    let inputs = tensors.iter().enumerate();
    let inputs = inputs.filter(|(index, tensor)| {
        tensor.data.is_none() && !operator.outputs.contains(&(*index as i32))
    });
    Model {
        inputs: inputs.map(|(index, _)| index as i32).collect(),
        outputs: operator.outputs.clone(),
        operators: vec![operator],
        tensors,
        ..Model::default()
    }
}

fn activation(name: &'static str, shape: &[i32]) -> Tensor {
    Tensor::new(name, INT8, shape).quantized(1.0 / 256.0, -128)
}

fn ints(name: &'static str, values: &[i32]) -> Tensor {
    let bytes: Vec<u8> = values.iter().flat_map(|v| v.to_le_bytes()).collect();
    Tensor::new(name, INT32, &[values.len() as i32]).constant(&bytes)
}

fn float(name: &'static str) -> Tensor {
    Tensor::new(name, model_builder::FLOAT32, &[1, 4])
}

const DEQUANTIZE: i32 = 6;
const FAKE_QUANT: i32 = 80;
const FULLY_CONNECTED: i32 = 9;
const MAX_POOL_2D: i32 = 17;
const SOFTMAX: i32 = 25;
const PACK: i32 = 83;
const PAD: i32 = 34;
const SPLIT: i32 = 49;
const TANH: i32 = 28;
const MEAN: i32 = 40;
const ABS: i32 = 101;
const CONCATENATION: i32 = 2;
const RESIZE_BILINEAR: i32 = 23;

/// int8 to float to int8 again, with nothing between.
fn island() -> Model {
    Model {
        tensors: vec![
            activation("in", &[1, 4]),
            float("real"),
            Tensor::new("out", INT8, &[1, 4]).quantized(1.0, 0),
        ],
        operators: vec![
            Operator::new(DEQUANTIZE, &[0], &[1]),
            Operator::new(QUANTIZE, &[1], &[2]),
        ],
        inputs: vec![0],
        outputs: vec![2],
        ..Model::default()
    }
}

/// A TANH whose result a QUANTIZE gives a range of -8 to 8: a sixteenth of the codes is left.
fn squeezed() -> Model {
    Model {
        tensors: vec![
            activation("in", &[1, 4]),
            Tensor::new("tanh", INT8, &[1, 4]).quantized(1.0 / 128.0, 0),
            Tensor::new("wide", INT8, &[1, 4]).quantized(1.0 / 16.0, 0),
        ],
        operators: vec![
            Operator::new(TANH, &[0], &[1]),
            Operator::new(QUANTIZE, &[1], &[2]),
        ],
        inputs: vec![0],
        outputs: vec![2],
        ..Model::default()
    }
}

/// Two convolutions with ReLU whose ranges both begin near -3.
fn unconverged() -> Model {
    let mut model = rectified(1, 0.03, -28);
    let tensor = |name, scale, zero_point| {
        Tensor::new(name, INT8, &[1, 1, 3, 1]).quantized(scale, zero_point)
    };
    model.tensors.push(tensor("second", 0.04, -53));
    let mut second = model.operators[0].clone();
    (second.inputs, second.outputs) = (vec![3, 1, 2], vec![4]);
    model.operators.push(second);
    model.outputs = vec![4];
    model
}

/// An operator that does not map between two that do.
fn cut() -> Model {
    Model {
        tensors: vec![
            activation("a", &[1, 4]),
            activation("b", &[1, 4]),
            activation("c", &[1, 4]),
            activation("d", &[1, 4]),
        ],
        operators: vec![
            Operator::reshape(0, 1, &[1, 4]),
            Operator::new(ABS, &[1], &[2]),
            Operator::reshape(2, 3, &[1, 4]),
        ],
        inputs: vec![0],
        outputs: vec![3],
        ..Model::default()
    }
}

fn with_options(mut operator: Operator, table: u8, fields: &[(u16, Field)]) -> Operator {
    operator.options = Some((table, fields.to_vec()));
    operator
}

/// Every rule of the lint's own stages has a model that breaks it, and the place is named.
#[test]
fn each_rule_is_broken_by_a_model() {
    let pooled = |activation: i8| {
        // Pool2DOptions (5): 0 padding, 1 stride_w, 2 stride_h, 3 filter_width, 4 filter_height, 5 activation.
        let mut fields = vec![(0, Field::Byte(1))];
        fields.extend((1..=4).map(|id| (id, Field::Int(1))));
        fields.push((5, Field::Byte(activation)));
        with_options(Operator::new(MAX_POOL_2D, &[0], &[1]), 5, &fields)
    };
    let picture = |name| activation(name, &[1, 2, 2, 4]);
    let cases: Vec<(&str, Model, &str)> = vec![
        // 127 + 28 codes from real 0 up, 100 below it.
        ("range-unused", rectified(1, 1.0, -28), "out"),
        // One step of the output is 100, so 6 is code 0 as 0 is.
        ("activation-range", rectified(3, 100.0, 0), "out"),
        ("range-squeezed", squeezed(), "wide"),
        ("range-not-converged", unconverged(), "second"),
        ("float-island", island(), "real"),
        (
            "fake-quant-left",
            single(
                // FakeQuantOptions (49): 2 num_bits.
                with_options(
                    Operator::new(FAKE_QUANT, &[0], &[1]),
                    49,
                    &[(2, Field::Int(8))],
                ),
                vec![float("in"), float("out")],
            ),
            "in",
        ),
        ("channel-dead", channels(&[1, 0, 3], 1), "weights"),
        ("channel-spread", channels(&[1, 127, 100], 1), "weights"),
        (
            "accumulator-overflow",
            channels(&[127, 1], i32::MAX),
            "weights",
        ),
        (
            "edgetpu-operator",
            single(
                Operator::new(ABS, &[0], &[1]),
                vec![picture("in"), picture("out")],
            ),
            "",
        ),
        (
            "edgetpu-operator",
            single(
                Operator {
                    custom: Some("Nobody"),
                    ..Operator::new(CUSTOM, &[0], &[1])
                },
                vec![picture("in"), picture("out")],
            ),
            "",
        ),
        (
            "edgetpu-type",
            single(
                Operator::new(TANH, &[0], &[1]),
                vec![float("in"), float("out")],
            ),
            "in",
        ),
        (
            "edgetpu-dynamic",
            single(
                Operator::reshape(0, 1, &[1, 2, 2, 4]),
                vec![picture("in").open(&[1, -1, 2, 4]), picture("out")],
            ),
            "in",
        ),
        (
            "edgetpu-shape",
            single(
                Operator::reshape(0, 1, &[2, 2, 2, 4]),
                vec![
                    activation("in", &[2, 2, 2, 4]),
                    activation("out", &[2, 2, 2, 4]),
                ],
            ),
            "in",
        ),
        (
            "edgetpu-condition",
            single(pooled(1), vec![picture("in"), picture("out")]),
            "",
        ),
        (
            "edgetpu-condition",
            single(
                Operator::new(SOFTMAX, &[0], &[1]),
                vec![activation("in", &[2, 4]), activation("out", &[2, 4])],
            ),
            "in",
        ),
        (
            "edgetpu-condition",
            single(
                Operator::new(FULLY_CONNECTED, &[0, 1, -1], &[2]),
                vec![
                    activation("in", &[2, 4]),
                    Tensor::new("w", INT8, &[1, 4])
                        .quantized(1.0, 0)
                        .constant(&[1; 4]),
                    activation("out", &[2, 1]),
                ],
            ),
            "out",
        ),
        (
            "edgetpu-condition",
            single(
                // ReducerOptions (27): 0 keep_dims.
                with_options(
                    Operator::new(MEAN, &[0, 1], &[2]),
                    27,
                    &[(0, Field::Byte(1))],
                ),
                vec![
                    activation("in", &[1, 2, 2, 3]),
                    ints("axes", &[-1]),
                    activation("out", &[1, 2, 2, 1]),
                ],
            ),
            "",
        ),
        (
            "edgetpu-condition",
            single(
                Operator::new(PAD, &[0, 1], &[2]),
                vec![
                    activation("in", &[1, 4]),
                    ints("paddings", &[0, 1, 0, 0]),
                    activation("out", &[2, 4]),
                ],
            ),
            "",
        ),
        (
            "edgetpu-condition",
            single(
                Operator::new(SPLIT, &[0, 1], &[2]),
                vec![ints("axis", &[0]), picture("in"), picture("out")],
            ),
            "",
        ),
        (
            "edgetpu-condition",
            single(
                // PackOptions (59): 0 values_count, 1 axis.
                with_options(
                    Operator::new(PACK, &[0], &[1]),
                    59,
                    &[(0, Field::Int(1)), (1, Field::Int(0))],
                ),
                vec![
                    activation("in", &[2, 2, 4]),
                    activation("out", &[1, 2, 2, 4]),
                ],
            ),
            "",
        ),
        (
            "edgetpu-condition",
            single(
                // ConcatenationOptions (10): 0 axis.
                with_options(
                    Operator::new(CONCATENATION, &[0, 1], &[2]),
                    10,
                    &[(0, Field::Int(3))],
                ),
                vec![
                    picture("in"),
                    picture("fixed").constant(&[7; 16]),
                    activation("out", &[1, 2, 2, 8]),
                ],
            ),
            "fixed",
        ),
        (
            "edgetpu-uncertain",
            single(
                Operator::new(RESIZE_BILINEAR, &[0, 1], &[2]),
                vec![
                    picture("in"),
                    ints("size", &[4, 4]),
                    activation("out", &[1, 4, 4, 4]),
                ],
            ),
            "out",
        ),
        ("edgetpu-cut", cut(), ""),
    ];
    let mut broken = BTreeSet::new();
    for (rule, model, tensor) in cases {
        let bytes = model.to_bytes();
        let candidate = Candidate::from_bytes(&bytes).unwrap_or_else(|e| panic!("{rule}: {e}"));
        let lint = lint(&candidate, true);
        let named = lint.report.findings().iter().any(|finding| {
            let name = finding
                .location
                .tensor
                .as_ref()
                .map_or("", |(_, name)| name);
            finding.rule.id == rule && name == tensor && finding.location.operator.is_some()
        });
        assert!(
            named,
            "{rule} at {tensor:?} in {:#?}",
            lint.report.findings()
        );
        broken.insert(rule);
    }
    let mut rules = RULES.iter().filter(|rule| rule.stage != Stage::Check);
    assert!(rules.all(|rule| broken.contains(rule.id)));
}

#[test]
fn sound_neighbours_of_broken_models_pass() {
    // No ReLU: codes below zero are used. Narrow and wide channels that are few. A QUANTIZE that keeps most codes.
    let mut weights = [100i8; 20];
    weights[3] = 1;
    for model in [
        rectified(0, 4.0, -28),
        rectified(1, 4.0, -127),
        channels(&weights, 1),
    ] {
        let candidate = Candidate::from_bytes(&model.to_bytes()).expect("model");
        let lint = lint(&candidate, true);
        let found: Vec<_> = lint.report.findings().iter().map(|f| f.rule.id).collect();
        assert!(
            found.is_empty() || found == ["multiplier-large"],
            "{found:?}"
        );
    }
}

#[test]
fn cut_is_told_with_what_lies_behind_it() {
    let folder = Folder::new();
    let model = folder.write("model.tflite", cut().to_bytes());
    let ran = qat_lint(&model, &["--edgetpu"]);
    let told = ran.succeeded();
    assert!(
        told.contains("[edgetpu-cut] operator 1 ABS: found 1 operator(s) behind it"),
        "{told}"
    );
    assert!(told.contains("Edge TPU: 1 of 3 operators"), "{told}");
    assert!(
        told.contains("the graph is cut at operator 1 ABS"),
        "{told}"
    );
    let told = json(qat_lint(&model, &["--edgetpu", "--json"]).succeeded());
    let mapping = &told["edge_tpu"];
    assert_eq!(
        mapping["places"],
        serde_json::json!(["edge_tpu", "cpu", "behind_cut"])
    );
    assert_eq!(
        (&mapping["cut"], &mapping["mapped_operators"]["least"]),
        (&1.into(), &1.into())
    );
    assert!(json(qat_lint(&model, &["--json"]).succeeded())["edge_tpu"].is_null());
}

#[test]
fn errors_are_exit_code_1_and_wrong_usage_2() {
    let folder = Folder::new();
    let mut model = doubling();
    model.tensors[3].scales = vec![-1.0];
    let model = folder.write("model.tflite", model.to_bytes());
    let ran = qat_lint(&model, &["--edgetpu"]);
    assert_eq!((ran.code, ran.stderr.as_str()), (1, ""), "{ran:?}");
    assert!(ran.stdout.contains("error [scale-invalid]"), "{ran:?}");
    assert!(ran.stdout.contains("not counted"), "{ran:?}");
    for (name, bytes, expected) in tool::no_models(&doubling()) {
        let model = folder.write("none.tflite", bytes);
        let ran = qat_lint(&model, &["--json"]);
        let line = ran.refused(1).to_owned();
        assert!(line.contains(expected), "{name}: {line}");
        assert_eq!(json(&ran.stdout)["error"], line, "{name}");
    }
    for arguments in [
        &["qat", "lint"][..],
        &["qat", "lint", "a", "b"],
        &["qat", "lint", "a", "--x"],
    ] {
        let line = tool(arguments).refused(2).to_owned();
        assert!(line.contains("see `corallite qat lint --help`"), "{line}");
    }
    assert!(
        tool(&["qat", "lint", "--help"])
            .succeeded()
            .contains("usage: corallite qat lint")
    );
}

/// Every bit of small models flipped, one at a time: an answer, whatever the file then says.
#[test]
fn flipped_bits_are_answered() {
    // Of scale 1 a single bit makes infinity.
    let unit = rectified(1, 1.0, 0);
    for model in [unit, unconverged(), squeezed(), island(), cut()] {
        let bytes = model.to_bytes();
        for bit in 0..bytes.len() * 8 {
            let mut flipped = bytes.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            if let Ok(candidate) = Candidate::from_bytes(&flipped) {
                let _ = lint(&candidate, true);
            }
        }
    }
}
