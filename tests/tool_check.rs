//! `corallite check`: every finding, in file order, and the exit code that goes with them.

mod compiled_model;
mod corpus;
mod model_builder;
mod tool;

use model_builder::{CUSTOM, INT8, Model, Operator, Tensor, doubling};
use serde_json::Value;
use tool::{Folder, on_model};

/// A model with five things wrong, at two operators, and one operator that nobody knows.
fn faulty() -> Model {
    let mut model = doubling();
    // Operator 0: weights with a zero point (error), the lowest code (warning); a bias scale of its own (warning).
    model.tensors[1] = Tensor::new("weights", INT8, &[1, 1, 1, 1])
        .quantized(1.0, 5)
        .constant(&[0x80]);
    model.tensors[2].scales = vec![0.5];
    // Operator 1: a result whose scale is negative and whose zero point is no int8 (two errors).
    let mut second = Tensor::new("second", INT8, &[3]).quantized(-1.0, 300);
    second.name = "a \"second\" name";
    model.tensors.push(second);
    model.operators.push(Operator::reshape(3, 4, &[3]));
    model
        .tensors
        .push(Tensor::new("third", INT8, &[3]).quantized(1.0, 0));
    model.operators.push(Operator {
        custom: Some("Nobody"),
        ..Operator::new(CUSTOM, &[4], &[5])
    });
    model.outputs = vec![5];
    model
}

fn json(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_else(|e| panic!("{e}: {text}"))
}

#[test]
fn every_finding_is_listed_in_file_order() {
    let folder = Folder::new();
    let model = folder.write("model.tflite", faulty().to_bytes());
    let ran = on_model("check", &model, &["--json"]);
    assert_eq!((ran.code, ran.stderr.as_str()), (1, ""), "{ran:?}");
    let found = json(&ran.stdout);
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let findings = found["findings"].as_array().expect("list");
    let rules: Vec<_> = findings
        .iter()
        .map(|f| {
            (
                text(&f["rule"]),
                text(&f["severity"]),
                f["operator"]["index"].as_u64(),
                f["tensor"]["index"].as_u64(),
            )
        })
        .collect();
    for expected in [
        ("weight-zero-point", "error", 0, 1),
        ("weight-lowest-code", "warning", 0, 1),
        ("bias-scale", "warning", 0, 2),
        ("scale-invalid", "error", 1, 4),
        ("zero-point-range", "error", 1, 4),
        ("same-quantization", "error", 1, 4),
    ] {
        let (rule, severity, operator, tensor) = expected;
        let row = (rule.into(), severity.into(), Some(operator), Some(tensor));
        assert!(rules.contains(&row), "{expected:?} in {rules:?}");
    }
    let places: Vec<_> = rules.iter().map(|r| (r.2, r.3)).collect();
    assert!(places.is_sorted(), "{places:?}");

    let invalid = findings
        .iter()
        .find(|f| f["rule"] == "scale-invalid")
        .expect("listed");
    assert_eq!(invalid["operator"]["name"], "RESHAPE");
    assert_eq!(invalid["tensor"]["name"], "a \"second\" name");
    assert_eq!(invalid["subgraph"], 0);
    assert_eq!(invalid["found"], "scale -1 at channel 0 (1 such)");
    assert_eq!(invalid["expected"], "a finite scale above 0");
    assert!(!text(&invalid["remedy"]).is_empty());

    let missing = found["operators_without_kernel"].as_array().expect("list");
    assert_eq!(
        (missing.len(), &missing[0]["operator"]),
        (1, &Value::from("Nobody"))
    );
    let summary = &found["summary"];
    let count = |severity: &str| rules.iter().filter(|r| r.1 == severity).count();
    assert_eq!(summary["errors"], count("error"));
    assert_eq!(summary["warnings"], count("warning"));
    assert_eq!(
        (&summary["operators"], &summary["operators_without_kernel"]),
        (&3.into(), &1.into())
    );

    let ran = on_model("check", &model, &[]);
    assert_eq!((ran.code, ran.stderr.as_str()), (1, ""), "{ran:?}");
    for (line, finding) in ran.stdout.lines().zip(findings) {
        let start = format!(
            "{} [{}] operator",
            text(&finding["severity"]),
            text(&finding["rule"])
        );
        assert!(line.starts_with(&start), "{line}");
    }
    assert!(
        ran.stdout.contains("Nobody version 1 (int8) -> (int8)"),
        "{}",
        ran.stdout
    );
}

#[test]
fn warnings_alone_are_no_failure() {
    let folder = Folder::new();
    let mut model = doubling();
    model.tensors[2].scales = vec![0.5];
    let model = folder.write("model.tflite", model.to_bytes());
    let ran = on_model("check", &model, &[]);
    assert!(ran.succeeded().starts_with("warning ["), "{ran:?}");
}

#[test]
fn sound_model_has_no_findings_but_the_summary() {
    let folder = Folder::new();
    let mut model = doubling();
    // input_scale * weight_scale / output_scale = 1/2, below 1 as it should be.
    model.tensors[3].scales = vec![2.0];
    let model = folder.write("model.tflite", model.to_bytes());
    let ran = on_model("check", &model, &[]);
    assert_eq!(
        ran.succeeded(),
        "0 error(s), 0 warning(s), 0 of 1 operator(s) without a kernel here\n"
    );
}

/// What the Edge TPU compiler took out of the model is the device's: no operator is missing.
#[test]
fn operators_of_the_edge_tpu_are_delegated() {
    let folder = Folder::new();
    let model = compiled_model::single(INT8, 16, 4);
    let model = folder.write("model.tflite", model.to_bytes());
    let ran = on_model("check", &model, &[]);
    assert_eq!(
        ran.succeeded(),
        "0 error(s), 0 warning(s), 0 of 1 operator(s) without a kernel here, 1 for the Edge TPU\n"
    );
    let ran = on_model("check", &model, &["--json"]);
    let found = json(ran.succeeded());
    assert_eq!(found["operators_without_kernel"], serde_json::json!([]));
    let summary = &found["summary"];
    assert_eq!(
        (
            &summary["operators_without_kernel"],
            &summary["operators_for_edge_tpu"]
        ),
        (&0.into(), &1.into())
    );
    let found = json(on_model("inspect", &model, &["--json"]).succeeded());
    assert_eq!(found["operators_without_kernel"], serde_json::json!([]));
    assert_eq!(found["operator_groups"][0]["has_kernel"], false);
}

#[test]
fn files_that_are_no_models_are_one_line_and_with_json_an_object() {
    let folder = Folder::new();
    for (name, bytes, expected) in tool::no_models(&doubling()) {
        let model = folder.write("model.tflite", bytes);
        for command in ["check", "inspect"] {
            let ran = on_model(command, &model, &[]);
            let line = ran.refused(1).to_owned();
            assert!(
                line.contains("model.tflite") && line.contains(expected),
                "{name}: {ran:?}"
            );
            assert_eq!(ran.stdout, "", "{name}");
            let ran = on_model(command, &model, &["--json"]);
            assert_eq!(ran.refused(1), line, "{name}");
            assert_eq!(json(&ran.stdout)["error"], line, "{name}");
        }
    }
    for name in ["absent", ""] {
        on_model("check", &folder.path(name), &[]).refused(1);
    }
}

#[test]
fn wrong_usage_is_code_2() {
    for arguments in [
        &["check"][..],
        &["check", "a", "b"],
        &["check", "a", "--yaml"],
        &["check", "a", "--json=1"],
        &["rules", "x"],
    ] {
        let line = tool::tool(arguments).refused(2).to_owned();
        assert!(
            line.contains(&format!("see `corallite {} --help`", arguments[0])),
            "{line}"
        );
    }
    assert!(
        tool::tool(&["check", "--help"])
            .succeeded()
            .contains("usage: corallite check")
    );
}

/// Every bit of a small model flipped, one at a time: an answer in one line, whatever the file then says.
#[test]
fn flipped_bits_are_answered() {
    let bytes = doubling().to_bytes();
    let folder = Folder::new();
    // A run of the tool per bit would take minutes: the library answers, the tool answers for a sample.
    for bit in 0..bytes.len() * 8 {
        let mut flipped = bytes.clone();
        flipped[bit / 8] ^= 1 << (bit % 8);
        if let Ok(candidate) = corallite::model::Candidate::from_bytes(&flipped) {
            let mut report = candidate.report().clone();
            corallite::ops::check_graph(candidate.graph(), &mut report);
        }
        if bit % 331 == 0 {
            let model = folder.write("model.tflite", flipped);
            for command in ["check", "inspect"] {
                let ran = on_model(command, &model, &[]);
                assert!((0..=1).contains(&ran.code), "bit {bit}: {ran:?}");
                assert!(!ran.stderr.contains("internal error"), "bit {bit}: {ran:?}");
            }
        }
    }
}

#[test]
fn rules_page_is_the_one_in_docs() {
    let page = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/rules.md");
    let page = std::fs::read_to_string(page).expect("docs/rules.md");
    let ran = tool::tool(&["rules"]);
    assert_eq!(
        ran.succeeded(),
        page,
        "write it again: corallite rules > docs/rules.md"
    );
}

/// Models that TFLite runs have warnings at most.
#[test]
fn corpus_has_no_errors() {
    let Some(data) = corpus::test_data() else {
        return;
    };
    let mut models = 0;
    for entry in std::fs::read_dir(data.join("corpus/models")).expect("models") {
        let path = entry.expect("entry").path();
        let ran = on_model("check", &path, &[]);
        assert_eq!(
            (ran.code, ran.stderr.as_str()),
            (0, ""),
            "{}: {}",
            path.display(),
            ran.stdout
        );
        models += 1;
    }
    assert!(models > 80, "{models} models");
}
