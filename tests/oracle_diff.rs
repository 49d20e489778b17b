//! Two models, or one in two arithmetics: what goldens of both references say, and what arithmetic says.

mod corpus;
mod model_builder;
mod tool;

use corallite::fixedpoint::Profile;
use corallite::model::Model;
use corallite::oracle::compare::Dump;
use corallite::oracle::diff::{
    DiffError, Difference, Reason, Side, Unmatched, diff, random_inputs,
};
use corallite::oracle::npy::NpyArray;
use model_builder::{INT8, INT32, Operator, Tensor, UINT8};
use serde_json::Value;
use std::path::Path;
use tool::{Folder, tool};

const BUNDLED: &str = concat!(
    env!("CARGO_MANIFEST_DIR"),
    "/examples/data/fashion_mnist_int8.tflite"
);

fn load(model: &model_builder::Model) -> Model {
    Model::from_bytes(&model.to_bytes()).unwrap_or_else(|e| panic!("{e}"))
}

fn inputs(arrays: &[(&str, &NpyArray)]) -> Dump {
    let mut dump = Dump::default();
    for (name, array) in arrays {
        dump.add(name, array).expect("finite");
    }
    dump
}

fn codes(values: &[i8], shape: &[usize]) -> NpyArray {
    NpyArray::from_slice(values, shape).expect("array")
}

fn tflite(model: &Model) -> Side<'_> {
    Side {
        model,
        profile: Profile::Tflite,
    }
}

/// Differing codes, the largest difference and the mean, of all and of the layer alone.
type Told = (u64, f64, f64, u64, f64);

fn told(difference: &Difference, layer: usize) -> Told {
    let layer = &difference.layers[layer];
    let (all, own) = (&layer.all, &layer.own);
    (all.differing, all.max, all.mean(), own.differing, own.max)
}

/// y = (weight * x + bias) * 1 / `output_scale`, int8; input and weights have scale 1.
fn conv(weight: i8, bias: i32, output_scale: f32) -> model_builder::Model {
    let mut model = model_builder::doubling();
    model.tensors[1].data = Some(vec![weight as u8]);
    model.tensors[2].data = Some(bias.to_le_bytes().to_vec());
    model.tensors[3].scales = vec![output_scale];
    model
}

/// [`conv`] with a second layer behind it: z = 2 y + 1.
fn two_convs(bias: i32) -> model_builder::Model {
    let mut model = conv(2, bias, 1.0);
    let last = model_builder::doubling();
    for tensor in &last.tensors[1..] {
        model.tensors.push(tensor.clone());
    }
    for (tensor, name) in model.tensors[4..].iter_mut().zip(["w2", "b2", "out2"]) {
        tensor.name = name;
    }
    model.operators.push(Operator::conv_2d(&[3, 4, 5], 6));
    model.outputs = vec![6];
    model
}

#[test]
fn a_changed_bias_is_the_reason_and_layers_behind_it_pass_it_on() {
    let (a, b) = (load(&two_convs(3)), load(&two_convs(1)));
    // Two inferences: y = 2x + 3 against 2x + 1, and z = 2y + 1 twice as far apart.
    let x = codes(&[0, 5, -7, 1, 2, 3], &[2, 1, 3, 1]);
    let difference = diff(tflite(&a), tflite(&b), &inputs(&[("in", &x)])).expect("diff");
    assert_eq!(difference.inferences, 2);
    assert_eq!(told(&difference, 0), (6, 2.0, 2.0, 6, 2.0));
    assert_eq!(told(&difference, 1), (6, 4.0, 4.0, 0, 0.0));
    let first = difference.first().expect("a difference");
    let bias = Reason::Constant {
        role: "bias",
        name: "bias".into(),
        differing: 1,
        count: 1,
        largest: 2,
        ratio: None,
    };
    assert_eq!(first.reasons, [bias]);
    assert_eq!(difference.layers[1].reasons, []);
    let sources: Vec<&str> = difference.sources().map(|l| l.name.as_str()).collect();
    assert_eq!(sources, ["out"]);
    let none = diff(tflite(&a), tflite(&a), &inputs(&[("in", &x)])).expect("diff");
    assert!(none.first().is_none());
}

#[test]
fn one_rounding_and_two_part_where_arithmetic_says() {
    // M = 1/4 = 2^30 / 2^31 * 2^-1. Twice rounded: 1 -> 0.5 -> 1 -> 0.5 -> 1; 5 -> 2.5 -> 3 -> 1.5 -> 2; 4 -> 2 -> 1.
    // Once: 0.25 -> 0, 1.25 -> 1, 1.
    let model = load(&conv(1, 0, 4.0));
    let side = |profile| Side {
        model: &model,
        profile,
    };
    let x = codes(&[1, 5, 4], &[1, 3, 1]);
    let (a, b) = (Profile::Tflite, Profile::SingleRounding);
    let difference = diff(side(a), side(b), &inputs(&[("in", &x)])).expect("diff");
    assert_eq!(told(&difference, 0), (2, 1.0, 2.0 / 3.0, 2, 1.0));
    let reasons = &difference.layers[0].reasons;
    assert!(
        matches!(reasons[..], [Reason::Arithmetic { a: x, b: y, .. }] if (x, y) == (a, b)),
        "{reasons:?}"
    );
    let text = reasons[0].to_string();
    assert!(
        text.contains("CONV_2D") && text.contains("rounded once in B"),
        "{text}"
    );
}

#[test]
fn other_scale_of_a_result_is_counted_in_steps_of_a() {
    // 3 x / 1 against 3 x / 2: 9 is 9 in A, 4.5 -> 5 in B, which is 10 in A's steps.
    let (a, b) = (load(&conv(3, 0, 1.0)), load(&conv(3, 0, 2.0)));
    let x = codes(&[3, 2, 0], &[1, 3, 1]);
    let difference = diff(tflite(&a), tflite(&b), &inputs(&[("in", &x)])).expect("diff");
    assert_eq!(told(&difference, 0), (1, 1.0, -1.0 / 3.0, 1, 1.0));
    let reasons: Vec<String> = difference.layers[0]
        .reasons
        .iter()
        .map(|r| r.to_string())
        .collect();
    let expected = "parameters of the result \"out\": int8 scale 1 zero point 0 in A, int8 scale 2 zero point 0 in B";
    assert_eq!(reasons, [expected]);
}

/// RESHAPE of two elements.
fn reshape(ty: i8, zero_point: i64, name: &'static str) -> model_builder::Model {
    model_builder::Model {
        tensors: vec![
            Tensor::new("x", ty, &[1, 2]).quantized(0.5, zero_point),
            Tensor::new(name, ty, &[2]).quantized(0.5, zero_point),
        ],
        operators: vec![Operator::reshape(0, 1, &[2])],
        inputs: vec![0],
        outputs: vec![1],
        ..model_builder::Model::default()
    }
}

#[test]
fn constants_on_other_scales_are_compared_as_real_numbers() {
    // Weight 2 on scale 1, and 4 on scale 0.5; biases 6 and 12, and the latter one step off: 13 * 0.5 = 6.5.
    let a = load(&conv(2, 6, 1.0));
    let with_bias = |bias| {
        let mut model = conv(4, bias, 1.0);
        model.tensors[1].scales = vec![0.5];
        model.tensors[2].scales = vec![0.5];
        load(&model)
    };
    let x = codes(&[0, 1, 2], &[1, 3, 1]);
    let reasons = |b: &Model| {
        let difference = diff(tflite(&a), tflite(b), &inputs(&[("in", &x)])).expect("diff");
        let reasons = difference.layers[0].reasons.clone();
        reasons
            .into_iter()
            .filter(|r| matches!(r, Reason::Constant { .. }))
            .count()
    };
    assert_eq!(reasons(&with_bias(12)), 0);
    assert_eq!(reasons(&with_bias(15)), 1);
}

#[test]
fn uint8_and_int8_get_the_same_real_numbers() {
    let (a, b) = (
        load(&reshape(INT8, 0, "y")),
        load(&reshape(UINT8, 128, "z")),
    );
    let x = codes(&[-128, 127], &[1, 2]);
    let difference = diff(tflite(&a), tflite(&b), &inputs(&[("x", &x)])).expect("diff");
    // Matched by order, operator and shape; -128 is 0 in B, 127 is 255: the same numbers.
    assert_eq!(difference.layers[0].partner, Ok((0, "z".to_owned())));
    assert_eq!(told(&difference, 0), (0, 0.0, 0.0, 0, 0.0));
    assert_eq!(difference.inputs.len(), 1);
}

#[test]
fn models_without_a_layer_in_common_are_refused() {
    let (a, b) = (
        load(&reshape(INT8, 0, "y")),
        load(&model_builder::doubling()),
    );
    let refused = |a: &Model, b: &Model, x: &NpyArray, name: &str| {
        let error = diff(tflite(a), tflite(b), &inputs(&[(name, x)])).expect_err("refused");
        (
            error.to_string(),
            matches!(error, DiffError::NothingMatched { .. }),
        )
    };
    let x = codes(&[0; 6], &[3, 2]);
    let (text, _) = refused(&a, &b, &x, "x");
    assert!(
        text.contains("3 inference(s) of model A and 2 of model B"),
        "{text}"
    );
    let x = codes(&[0; 5], &[5]);
    let (text, _) = refused(&a, &b, &x, "x");
    assert!(
        text.starts_with("model A: array \"x\" has shape [5]"),
        "{text}"
    );

    let mut other = reshape(INT8, 0, "y");
    other.tensors[1].shape = vec![2, 1];
    other.operators = vec![Operator::reshape(0, 1, &[2, 1])];
    other.tensors[1].name = "z";
    let x = codes(&[0; 2], &[1, 2]);
    let (text, nothing) = refused(&a, &load(&other), &x, "x");
    assert!(nothing, "{text}");
}

#[test]
fn ambiguous_layers_are_left_out() {
    let a = load(&two_convs(1));
    let mut b = two_convs(1);
    b.tensors[3].name = "elsewhere";
    // A third layer of the same shape: "out" has two candidates.
    b.tensors
        .push(Tensor::new("third", INT8, &[1, 1, 3, 1]).quantized(1.0, 0));
    b.operators.push(Operator::conv_2d(&[6, 4, 5], 7));
    b.outputs = vec![7];
    let b = load(&b);
    let x = codes(&[0, 1, 2], &[1, 3, 1]);
    let difference = diff(tflite(&a), tflite(&b), &inputs(&[("in", &x)])).expect("diff");
    assert_eq!(
        difference.layers[0].partner,
        Err(Unmatched::Ambiguous { a: 1, b: 2 })
    );
    assert_eq!(difference.layers[0].all.count, 0);
    assert_eq!(difference.layers[1].partner, Ok((1, "out2".to_owned())));
    assert_eq!(difference.unmatched, ["elsewhere", "third"]);
}

#[test]
fn random_codes_reach_both_ends_and_repeat() {
    let model = load(&model_builder::doubling());
    let draw = |seed| {
        let dump = random_inputs(&model, 1000, seed).expect("inputs");
        dump.arrays()[0].values.clone()
    };
    let values = draw(7);
    assert_eq!(values, draw(7));
    assert_ne!(values, draw(8));
    let (low, high) = values
        .iter()
        .fold((0f32, 0f32), |(l, h), &v| (l.min(v), h.max(v)));
    // 3000 draws miss one of 256 codes with a probability of e^-11.7.
    assert_eq!((low, high), (-128.0, 127.0));

    let indices = load(&reshape(INT32, 0, "y"));
    let refused = random_inputs(&indices, 1, 1).expect_err("int32");
    let expected =
        "model A: input \"x\" is int32, expected float32, or uint8, int8 or int16 with one scale";
    assert!(refused.to_string().starts_with(expected), "{refused}");
}

#[test]
fn references_differ_where_their_goldens_do() {
    let Some(data) = corpus::test_data() else {
        return;
    };
    let mut differing = 0;
    for golden in corpus::goldens(&data) {
        // The models where tflite-runtime 2.14 and LiteRT 2.3 give other outputs have goldens of both.
        let both = data
            .join("corpus/golden")
            .join(&golden.name)
            .join("tflite-2.14")
            .is_dir();
        if !both || !golden.is_chosen() || !golden.counts_for("tflite") {
            continue;
        }
        let model = Model::from_file(&golden.model).unwrap_or_else(|e| panic!("{e}"));
        let graph = model.graph();
        let subgraph = &graph.subgraphs()[0];
        let name = |tensor: usize| graph.tensor_name(&subgraph.tensors[tensor]);
        let side = |profile| Side {
            model: &model,
            profile,
        };
        let (of_tflite, of_litert) = (golden.cases("tflite"), golden.cases("litert"));
        for (tflite, litert) in of_tflite
            .iter()
            .zip(&of_litert)
            .filter(|(c, _)| c.steps == 1)
        {
            let named = subgraph.inputs.iter().map(|&tensor| name(tensor));
            let given: Vec<_> = named.zip(&tflite.inputs).collect();
            let difference = diff(
                side(Profile::Tflite),
                side(Profile::Litert),
                &inputs(&given),
            );
            let difference = difference.unwrap_or_else(|e| panic!("{}: {e}", tflite.name));
            for (index, &output) in subgraph.outputs.iter().enumerate() {
                let layer = difference.layers.iter().find(|l| l.name == name(output));
                let (Some(layer), Ok(a), Ok(b)) = (
                    layer,
                    tflite.outputs[index].to_f32_vec(),
                    litert.outputs[index].to_f32_vec(),
                ) else {
                    // A float output: what stands before it is compared.
                    continue;
                };
                let gaps: Vec<f64> = a.iter().zip(&b).map(|(a, b)| f64::from(a - b)).collect();
                let expected = (
                    gaps.iter().filter(|gap| **gap != 0.0).count() as u64,
                    gaps.iter().fold(0.0, |max: f64, gap| max.max(gap.abs())),
                    gaps.iter().sum::<f64>() / gaps.len() as f64,
                );
                let found = (layer.all.differing, layer.all.max, layer.all.mean());
                assert_eq!(found, expected, "{} output {index}", tflite.name);
                differing += expected.0;
            }
            // What differs by itself is FULLY_CONNECTED, which LiteRT requantizes in double.
            for source in difference.sources() {
                assert_eq!(
                    source.kind.to_string(),
                    "FULLY_CONNECTED",
                    "{}",
                    tflite.name
                );
            }
        }
    }
    if corpus::chosen_models().is_none() {
        assert!(differing > 0, "no golden differed");
    }
}

#[test]
fn layer_with_state_differs_by_itself_where_nothing_before_it_does() {
    let Some(data) = corpus::test_data() else {
        return;
    };
    let file = data.join("corpus/models/keras_lstm_mnist_ptq.tflite");
    let model = Model::from_file(&file).unwrap_or_else(|e| panic!("{e}"));
    let side = |profile| Side {
        model: &model,
        profile,
    };
    let given = random_inputs(&model, 2, 1).expect("inputs");
    let (a, b) = (Profile::Tflite, Profile::SingleRounding);
    let difference = diff(side(a), side(b), &given).unwrap_or_else(|e| panic!("{e}"));
    // B's state cannot be given to A, so the layer alone is not compared; but only its arithmetic is not the same.
    let first = difference.first().expect("a difference");
    assert_eq!(first.kind.to_string(), "UNIDIRECTIONAL_SEQUENCE_LSTM");
    assert!(first.is_source && first.own.count == 0);
    assert!(
        matches!(first.reasons[..], [Reason::Arithmetic { a: x, b: y, .. }] if (x, y) == (a, b)),
        "{:?}",
        first.reasons
    );
}

#[test]
fn changed_weights_of_a_trained_network_are_named() {
    let Some(data) = corpus::test_data() else {
        return;
    };
    let healthy = data.join("qat/tf113_contrib_uint8/qat.tflite");
    let mutants = data.join("qat/mutants");
    for (file, layer, expected) in [
        ("bias_values_x2.tflite", "exp4/Relu6", "bias"),
        (
            "act_range_halved.tflite",
            "exp3/Relu6",
            "parameters of the result",
        ),
    ] {
        let broken = mutants.join(file);
        let arguments = [
            "qat",
            "diff",
            text(&broken),
            text(&healthy),
            "--samples",
            "2",
            "--json",
        ];
        let ran = tool(&arguments);
        assert_eq!(ran.code, 1, "{ran:?}");
        let told: Value = serde_json::from_str(&ran.stdout).expect("JSON");
        let first = &told["first_differing"];
        assert!(
            first["name"].as_str().expect("name").contains(layer),
            "{first}"
        );
        let reason = first["reason"].as_str().expect("reason");
        assert!(reason.contains(expected), "{file}: {reason}");
        let mut layers = told["layers"].as_array().expect("layers").iter();
        let named = layers.find(|l| l["name"] == first["name"]);
        assert_eq!(named.expect("the layer")["differs_by_itself"], true);
    }
}

fn text(path: &Path) -> &str {
    path.to_str().expect("UTF-8")
}

#[test]
fn tool_tells_differences_and_their_absence() {
    let folder = Folder::new();
    let same = tool(&["qat", "diff", BUNDLED, BUNDLED, "--samples", "1"]);
    assert!(same.succeeded().contains("nothing differs"), "{same:?}");

    let a = folder.write("a.tflite", two_convs(3).to_bytes());
    let b = folder.write("b.tflite", two_convs(1).to_bytes());
    let x = folder.path("x.npy");
    codes(&[0, 5, -7], &[1, 3, 1]).write(&x).expect("file");
    let ran = tool(&["qat", "diff", text(&a), text(&b), "-i", text(&x)]);
    assert_eq!((ran.code, ran.stderr.as_str()), (1, ""));
    let last = ran.stdout.lines().last().expect("a line");
    assert!(
        last.starts_with("first differing: operator 0 CONV_2D, \"out\": 3 of 3 codes, up to 2 LSB: bias \"bias\": 1 of 1 differ"),
        "{last}"
    );
    assert!(
        last.ends_with("1 of 2 differing layer(s) differ by themselves"),
        "{last}"
    );
    let ran = tool(&["qat", "diff", text(&a), text(&b), "--seed", "5", "--json"]);
    let told: Value = serde_json::from_str(&ran.stdout).expect("JSON");
    assert_eq!((&told["seed"], &told["inferences"]), (&5.into(), &4.into()));
    assert_eq!(told["layers"][1]["own"]["differing"], 0);
}

#[test]
fn tool_refuses_what_cannot_be_compared() {
    let folder = Folder::new();
    let nan = folder.path("nan.npy");
    NpyArray::from_slice(&[f32::NAN; 784], &[1, 28, 28, 1])
        .and_then(|array| array.write(&nan))
        .expect("file");
    let short = folder.path("short.npy");
    codes(&[0; 9], &[9]).write(&short).expect("file");
    let truncated = folder.write("truncated.npz", b"PK\x03\x04");
    let cases: [(&[&str], i32, &str); 6] = [
        (&[], 2, "one model in one arithmetic"),
        (&["--samples", "0"], 2, "expected 1 to 1000"),
        (
            &["--profile-b", "litert", "-i", text(&nan)],
            1,
            "element 0 is NaN",
        ),
        (&["--profile-b", "litert", "-i", text(&short)], 1, "[9]"),
        (
            &["--profile-b", "litert", "-i", text(&truncated)],
            1,
            "not a .npz archive",
        ),
        (
            &[
                "--profile-b",
                "litert",
                "-i",
                text(&short),
                "-i",
                text(&short),
            ],
            1,
            "2 input file(s), expected 1",
        ),
    ];
    for (arguments, code, expected) in cases {
        let ran = tool(&[&["qat", "diff", BUNDLED], arguments].concat());
        let line = ran.refused(code);
        assert!(line.contains(expected), "{arguments:?}: {line}");
    }
}
