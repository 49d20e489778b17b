//! Budgets against what `compare` measures on networks trained with TensorFlow.
#![cfg(feature = "npz")]

mod corpus;
mod model_builder;
mod tool;

use corallite::fixedpoint::Profile;
use corallite::model::{BuiltinOperator, Model, OperatorKind};
use corallite::oracle::budget::{Layer, budget};
use corallite::oracle::compare::{Comparison, Dump, Map, Verdict, compare};
use corallite::oracle::npz::NpzReader;
use model_builder::doubling;
use std::path::Path;

const NETWORKS: [(&str, &str); 3] = [
    (
        "tf113_contrib_uint8/qat.tflite",
        "tf113_contrib_uint8/qat_fq.npz",
    ),
    (
        "tf113_contrib_uint8/ptq.tflite",
        "tf113_contrib_uint8/ptq_fq.npz",
    ),
    (
        "tfmot_int8/qat_int8.tflite",
        "tfmot_int8/qat_fq_activations.npz",
    ),
];

fn both(folder: &Path, model: &str, dump: &str) -> (Vec<Layer>, Comparison) {
    let model = Model::from_file(folder.join(model)).expect("model");
    let mut archive = NpzReader::open(folder.join(dump)).expect("archive");
    let dump = Dump::read(&mut archive).expect("arrays");
    let comparison = compare(&model, &dump, &Map::default(), Profile::Tflite);
    (budget(&model), comparison.expect("comparison"))
}

/// Every difference that a layer makes of training's own input is within its bound.
#[test]
fn local_differences_are_within_the_bound() {
    let Some(data) = corpus::test_data() else {
        return;
    };
    let mut judged = 0;
    for (model, dump) in NETWORKS {
        let (layers, comparison) = both(&data.join("qat"), model, dump);
        for found in &comparison.layers {
            let expected = layers.iter().find(|layer| layer.tensor == found.tensor);
            let expected = expected.expect("a budget for every quantized result");
            if found.verdict == Verdict::NotJudged {
                continue;
            }
            judged += 1;
            match found.bound {
                // The distance from the real number over 0.5 + bound.
                Some(bound) => {
                    assert_eq!(expected.bound, 0.5 + bound, "{model} {}", found.name);
                    assert!(found.largest_ratio <= 1.0, "{model} {}", found.name);
                }
                // Training's values may lie between two codes.
                None => assert!(
                    found.local.max <= expected.bound + 0.501,
                    "{model} {}: {} beyond {}",
                    found.name,
                    found.local.max,
                    expected.bound
                ),
            }
        }
    }
    assert!(judged >= 36, "{judged} layers");
}

/// Predicted over measured. Over the six samples of each network it is between 0.59 and 1.89.
const BAND: std::ops::RangeInclusive<f64> = 0.5..=2.0;

#[test]
fn predicted_rms_is_of_the_measured_order() {
    let Some(data) = corpus::test_data() else {
        return;
    };
    let mut compared = 0;
    for (model, dump) in NETWORKS {
        let (layers, comparison) = both(&data.join("qat"), model, dump);
        for (position, found) in comparison.layers.iter().enumerate() {
            let expected = layers.iter().find(|layer| layer.tensor == found.tensor);
            let predicted = expected.and_then(|layer| layer.rms).expect("modelled");
            let measured = found.cumulative.rms();
            // Training gave what is concatenated a range of its own: it differs by that range, not by rounding.
            let concatenation = OperatorKind::Builtin(BuiltinOperator::CONCATENATION);
            let is_regridded = comparison.layers[position..].iter().any(|later| {
                later.kind == concatenation
                    && later.codes == found.codes
                    && later.tensor != found.tensor
            });
            let ratio = predicted / measured;
            eprintln!(
                "{model:32} {:3} {:20} n {:6} local {:.4} measured {measured:.4} predicted {predicted:.4} ratio {ratio:.2} {}",
                found.operator,
                found.kind.to_string(),
                found.cumulative.count,
                expected
                    .and_then(|layer| layer.local_rms)
                    .unwrap_or(f64::NAN),
                if is_regridded { "concatenated" } else { "" }
            );
            // Few elements, or a handful of differences, are no measurement.
            if is_regridded || found.cumulative.count < 50 || found.cumulative.differing < 4 {
                continue;
            }
            assert!(
                BAND.contains(&ratio),
                "{model} {}: {predicted} of {measured}",
                found.name
            );
            compared += 1;
        }
    }
    assert!(compared >= 30, "{compared} layers");
}

/// One weight of 2, all scales 1 but the output's 64: M = 1/64 = 0.5 * 2^-5, s = 5.
#[test]
fn one_convolution_by_hand() {
    let mut model = doubling();
    model.tensors[3].scales = vec![64.0];
    let model = Model::from_bytes(&model.to_bytes()).expect("model");
    let layers = budget(&model);
    let [layer] = layers.as_slice() else {
        panic!("{layers:?}")
    };
    assert_eq!(layer.multiplier, Some(1.0 / 64.0));
    assert_eq!(layer.bound, 0.5 + 1.0 / 128.0 + 1.0 / 64.0);
    // Two uniform numbers within a = 1/64 and b = 1/128 of zero: the mean magnitude of their sum is a/2 + b^2/(6 a), and
    // that many codes differ by 1. The prediction takes a normal distribution where that has less: sqrt(2/pi (a^2 + b^2)/3).
    let (a, b) = (1.0f64 / 64.0, 1.0 / 128.0);
    let exact = a / 2.0 + b * b / (6.0 * a);
    let normal = (2.0 / std::f64::consts::PI * (a * a + b * b) / 3.0).sqrt();
    let found = layer.local_rms.expect("modelled").powi(2);
    assert!((found / normal - 1.0).abs() < 0.02, "{found} {normal}");
    assert!((found / exact - 1.0).abs() < 0.1, "{found} {exact}");
    assert_eq!(layer.rms, layer.local_rms);
}

#[test]
fn tool_prints_a_row_per_layer() {
    let folder = tool::Folder::new();
    let model = folder.write("model.tflite", doubling().to_bytes());
    let model = model.to_str().expect("UTF-8");
    let ran = tool::tool(&["qat", "budget", model, "--json"]);
    let told: serde_json::Value = serde_json::from_str(ran.succeeded()).expect("JSON");
    let layers = told["layers"].as_array().expect("layers");
    assert_eq!((layers.len(), &layers[0]["name"]), (1, &"out".into()));
    assert_eq!(layers[0]["multiplier"], 1.0);
    let ran = tool::tool(&["qat", "budget", model]);
    let told = ran.succeeded();
    assert!(
        told.contains("CONV_2D") && told.contains("local RMS"),
        "{told}"
    );
    for (name, bytes, expected) in tool::no_models(&doubling()) {
        let model = folder.write("none.tflite", bytes);
        let ran = tool::tool(&["qat", "budget", model.to_str().expect("UTF-8")]);
        assert!(ran.refused(1).contains(expected), "{name}: {ran:?}");
    }
    for arguments in [&["qat", "budget"][..], &["qat", "budget", "a", "b"]] {
        let line = tool::tool(arguments).refused(2).to_owned();
        assert!(line.contains("see `corallite qat budget --help`"), "{line}");
    }
}
