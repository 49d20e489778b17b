//! `corallite inspect`: what it shows of a model.

mod corpus;
mod model_builder;
mod tool;

use model_builder::{CUSTOM, INT8, Model, Operator, Signature, Tensor, doubling};
use serde_json::{Value, json};
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use tool::{Folder, on_model};

fn bundled() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/data/fashion_mnist_int8.tflite")
}

fn inspect(model: &Path) -> Value {
    let ran = on_model("inspect", model, &["--json"]);
    serde_json::from_str(ran.succeeded()).expect("JSON")
}

/// The doubling model with everything around the graph.
fn furnished() -> Model {
    Model {
        description: "made by\nhand",
        metadata: vec![
            ("min_runtime_version", b"1.14.0\0\0".to_vec()),
            ("TFLITE_METADATA", b"not metadata".to_vec()),
        ],
        signatures: vec![Signature {
            key: "serving_default",
            subgraph: 0,
            inputs: vec![("x", 0)],
            outputs: vec![("y", 3)],
        }],
        ..doubling()
    }
}

#[test]
fn json_describes_the_whole_file() {
    let folder = Folder::new();
    let path = folder.write("model.tflite", furnished().to_bytes());
    let found = inspect(&path);
    assert_eq!(found["description"], "made by\nhand");
    assert_eq!(found["min_runtime_version"], "1.14.0");
    // Three positions, one weight each.
    assert_eq!(found["macs"], 3);
    // Two tensors of three bytes at once, at least.
    assert!(
        found["arena_bytes"].as_u64().expect("number") >= 6,
        "{found}"
    );
    assert_eq!(found["build_error"], Value::Null);
    let group = json!({
        "operator": "CONV_2D", "version": 1, "inputs": ["int8", "int8", "int32"], "outputs": ["int8"],
        "count": 1, "has_kernel": true, "macs": 3,
    });
    assert_eq!(found["operator_groups"], json!([group]));
    let subgraph = &found["subgraphs"][0];
    assert_eq!(
        (&subgraph["inputs"], &subgraph["outputs"]),
        (&json!([0]), &json!([3]))
    );
    let weights = json!({
        "index": 1, "name": "weights", "type": "int8", "shape": [1, 1, 1, 1], "shape_signature": null,
        "quantization": { "scales": [1.0], "zero_points": [0], "axis": 0 },
        "variable": false, "role": "constant", "constant_bytes": 1,
    });
    assert_eq!(subgraph["tensors"][1], weights);
    let operator = &subgraph["operators"][0];
    assert_eq!(
        (&operator["inputs"], &operator["macs"]),
        (&json!([0, 1, 2]), &json!(3))
    );
    assert_eq!(
        found["quantization"],
        json!([
            { "type": "int32", "tensors": 1, "constants": 1, "constant_bytes": 4, "per_tensor": 1, "per_channel": 0 },
            { "type": "int8", "tensors": 3, "constants": 1, "constant_bytes": 1, "per_tensor": 3, "per_channel": 0 },
        ])
    );
    let signature = json!({
        "key": "serving_default", "subgraph": 0,
        "inputs": [{ "name": "x", "tensor": 0 }], "outputs": [{ "name": "y", "tensor": 3 }],
    });
    assert_eq!(found["signatures"], json!([signature]));
    assert_eq!(
        found["metadata"][0],
        json!({ "name": "min_runtime_version", "bytes": 8 })
    );
    assert!(found["model_metadata"]["error"].is_string(), "{found}");
}

#[test]
fn text_has_every_part() {
    let folder = Folder::new();
    let path = folder.write("model.tflite", furnished().to_bytes());
    let ran = on_model("inspect", &path, &[]);
    let text = ran.succeeded();
    for part in [
        "description      made by\\nhand\n",
        "runtime needed   TFLite 1.14.0\n",
        "input 0          int8 [1, 1, 3, 1] \"in\" 1 * q\n",
        "output 0         int8 [1, 1, 3, 1] \"out\" 1 * q\n",
        "MACs             3\n",
        "CONV_2D         1  (int8, int8, int32) -> (int8)      1     3  runs here\n",
        "signature \"serving_default\"\n  inputs         x = tensor 0\n",
        "min_runtime_version         8\n",
    ] {
        assert!(text.contains(part), "{part:?} in\n{text}");
    }
}

#[test]
fn model_that_cannot_run_is_shown_with_the_reason() {
    let folder = Folder::new();
    let mut model = doubling();
    model
        .tensors
        .push(Tensor::new("last", INT8, &[3]).quantized(1.0, 0));
    model.operators.push(Operator {
        custom: Some("Unheard"),
        ..Operator::new(CUSTOM, &[3], &[4])
    });
    model.outputs = vec![4];
    let path = folder.write("missing.tflite", model.to_bytes());
    let found = inspect(&path);
    assert_eq!(
        (&found["arena_bytes"], &found["macs"]),
        (&Value::Null, &Value::Null)
    );
    let error = found["build_error"].as_str().expect("reason");
    assert!(
        error.contains("Unheard version 1 (int8) -> (int8)"),
        "{error}"
    );
    assert_eq!(found["operator_groups"][1]["has_kernel"], false);

    let mut model = doubling();
    model.tensors[3].scales = vec![f32::NAN];
    let path = folder.write("invalid.tflite", model.to_bytes());
    let found = inspect(&path);
    let error = found["build_error"].as_str().expect("reason");
    assert!(error.contains("[scale-invalid]"), "{error}");
    assert_eq!(found["subgraphs"][0]["operators"][0]["operator"], "CONV_2D");
    let ran = on_model("inspect", &path, &[]);
    assert!(ran.succeeded().contains("\ndoes not run     "), "{ran:?}");
}

#[test]
fn closed_stdout_is_no_panic() {
    let folder = Folder::new();
    // Enough text to fill a pipe, so that a write meets the closed end.
    let mut model = doubling();
    for _ in 0..5000 {
        model
            .tensors
            .push(Tensor::new("idle", INT8, &[3]).quantized(1.0, 0));
    }
    let model = folder.write("model.tflite", model.to_bytes());
    let mut child = tool::command(&["inspect", &model.display().to_string()])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the tool starts");
    drop(child.stdout.take());
    let mut stderr = String::new();
    let mut pipe = child.stderr.take().expect("piped");
    pipe.read_to_string(&mut stderr).expect("text");
    let status = child.wait().expect("ended");
    assert_eq!((status.code(), stderr.as_str()), (Some(0), ""));
}

#[test]
fn bundled_model_is_all_int8_and_runs_here() {
    let found = inspect(&bundled());
    assert_eq!(
        found["operators_without_kernel"],
        json!([]),
        "{}",
        found["build_error"]
    );
    let tensors = found["subgraphs"][0]["tensors"].as_array().expect("list");
    assert!(tensors.iter().all(|t| t["type"] != "float32"));
    assert!(found["macs"].as_u64().expect("number") > 100_000);
}

/// Every model of the corpus can be looked at, in both forms.
#[test]
fn corpus_can_be_inspected() {
    let Some(data) = corpus::test_data() else {
        return;
    };
    for name in [
        "mobilenet_v2_1.0_224_quant",
        "mww_vad_v2",
        "testconv1_edgetpu",
        "tf2_mobilenet_v2_1.0_224_ptq",
    ] {
        let model = data.join(format!("corpus/models/{name}.tflite"));
        let found = inspect(&model);
        let operators: u64 = found["operator_groups"]
            .as_array()
            .expect("list")
            .iter()
            .map(|group| group["count"].as_u64().expect("number"))
            .sum();
        let listed: usize = found["subgraphs"]
            .as_array()
            .expect("list")
            .iter()
            .map(|s| s["operators"].as_array().expect("list").len())
            .sum();
        assert_eq!(u64::try_from(listed).ok(), Some(operators), "{name}");
        on_model("inspect", &model, &[]).succeeded();
    }
}
