//! The training side against the integer model: networks trained with TensorFlow, and broken copies of one of them.
#![cfg(feature = "npz")]

mod corpus;

use corallite::fixedpoint::Profile;
use corallite::model::{LoadError, Model};
use corallite::oracle::compare::{Cause, Comparison, Dump, Map, Verdict, compare};
use corallite::oracle::npz::NpzReader;
use serde_json::Value;
use std::path::Path;

fn run(model: &Path, dump: &Path) -> Result<Comparison, LoadError> {
    let model = Model::from_file(model)?;
    let mut archive = NpzReader::open(dump).expect("archive");
    let dump = Dump::read(&mut archive).expect("arrays");
    let comparison = compare(&model, &dump, &Map::default(), Profile::Tflite);
    Ok(comparison.unwrap_or_else(|e| panic!("{e}")))
}

fn print(comparison: &Comparison) {
    for layer in &comparison.layers {
        eprintln!(
            "{:3} {:20} {:40} {:?} n {} cumulative {:.4} max {:.1} local {:.5} max {:.2} ratio {:.4} unexplained {} {}",
            layer.operator,
            layer.kind.to_string(),
            layer.name.chars().take(40).collect::<String>(),
            layer
                .pairing
                .as_ref()
                .map(|p| (p.array, format!("{:?}", p.by))),
            layer.cumulative.count,
            layer.cumulative.fraction_differing(),
            layer.cumulative.max,
            layer.local.fraction_differing(),
            layer.local.max,
            layer.largest_ratio,
            layer.unexplained,
            layer.verdict
        );
    }
    eprintln!(
        "{:?} unused {:?}",
        comparison.first_unexplained, comparison.unused
    );
}

#[test]
fn healthy_networks_are_explained() {
    let Some(folder) = corpus::test_data() else {
        return;
    };
    let folder = folder.join("qat");
    for (model, dump, judged) in [
        (
            "tf113_contrib_uint8/qat.tflite",
            "tf113_contrib_uint8/qat_fq.npz",
            12,
        ),
        (
            "tf113_contrib_uint8/ptq.tflite",
            "tf113_contrib_uint8/ptq_fq.npz",
            12,
        ),
        (
            "tfmot_int8/qat_int8.tflite",
            "tfmot_int8/qat_fq_activations.npz",
            8,
        ),
    ] {
        let comparison = run(&folder.join(model), &folder.join(dump)).expect("model");
        print(&comparison);
        let count = |verdict| {
            comparison
                .layers
                .iter()
                .filter(|l| l.verdict == verdict)
                .count()
        };
        assert_eq!(count(Verdict::Unexplained), 0, "{model}");
        assert!(
            count(Verdict::Exact) + count(Verdict::Explained) >= judged,
            "{model}"
        );
        assert!(
            comparison
                .layers
                .iter()
                .all(|layer| layer.largest_ratio <= 1.0),
            "{model}"
        );
        assert!(
            comparison.inputs.iter().all(|input| !input.is_suspicious()),
            "{model}"
        );
    }
}

#[test]
fn broken_copies_are_named() {
    let Some(folder) = corpus::test_data() else {
        return;
    };
    let mutants = folder.join("qat/mutants");
    let expected = std::fs::read_to_string(mutants.join("expected.json")).expect("expected.json");
    let expected: Vec<Value> = serde_json::from_str(&expected).expect("JSON");
    assert_eq!(expected.len(), 10);
    let dump = folder.join("qat/tf113_contrib_uint8/qat_fq.npz");
    let mut seen = 0;
    for mutant in expected.iter().filter(|m| m["detected_by"] == "layer-diff") {
        let (file, layer) = (
            mutant["file"].as_str().expect("file"),
            mutant["layer"].as_str(),
        );
        let comparison = run(&mutants.join(file), &dump).unwrap_or_else(|e| panic!("{file}: {e}"));
        print(&comparison);
        let (first, cause) = comparison.first_unexplained.as_ref().expect(file);
        assert_eq!(
            Some(comparison.layers[*first].name.as_str()),
            layer,
            "{file}"
        );
        let is_named = match file {
            "weight_zp_plus1.tflite" => matches!(
                cause,
                Cause::Weights {
                    offset: Some(_),
                    ..
                }
            ),
            "bias_values_x2.tflite" => {
                matches!(cause, Cause::Bias { ratio: Some(r), .. } if (r - 2.0).abs() < 0.01)
            }
            "act_range_halved.tflite" => matches!(cause, Cause::ActivationRange { .. }),
            _ => false,
        };
        assert!(is_named, "{file}: {cause:?}");
        seen += 1;
    }
    assert_eq!(seen, 3);
}
