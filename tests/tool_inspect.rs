//! `corallite inspect`: what it shows of a model.

mod corpus;
mod model_builder;
mod tool;

use model_builder::{CUSTOM, INT8, Model, Operator, Signature, Tensor, doubling};
use model_builder::{Dimension, SparseIndices, Sparsity};
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
        "variable": false, "role": "constant", "constant_bytes": 1, "stored_elements": null,
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

/// One weight of two, (5 0), is stored.
#[test]
fn sparse_constants_say_what_is_stored() {
    let mut model = doubling();
    model.tensors[1].shape = vec![2, 1, 1, 1];
    model.tensors[1].data = Some(vec![5]);
    let level = |format, dense_size, rows| Dimension {
        format,
        dense_size,
        rows,
    };
    let rows = [vec![0, 1], vec![0]].map(SparseIndices::U8);
    model.tensors[1].sparsity = Some(Sparsity {
        traversal_order: vec![0, 1, 2, 3],
        block_map: vec![],
        dim_metadata: vec![
            level(1, 0, Some(rows)),
            level(0, 1, None),
            level(0, 1, None),
            level(0, 1, None),
        ],
    });
    let folder = Folder::new();
    let path = folder.write("model.tflite", model.to_bytes());
    let weights = &inspect(&path)["subgraphs"][0]["tensors"][1];
    assert_eq!(weights["role"], "constant");
    assert_eq!(weights["constant_bytes"], 2);
    assert_eq!(weights["stored_elements"], 1);
    let ran = on_model("inspect", &path, &[]);
    assert!(
        ran.succeeded()
            .contains("constant, 1 of 2 stored  weights\n")
    );
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

/// Layers and sizes from the table of the notes on the format, section 1.4; the share of the work from the uncompiled
/// model's own count.
#[test]
fn compiled_model_shows_its_package_and_what_is_left_to_the_cpu() {
    let Some(data) = corpus::test_data() else {
        return;
    };
    let path = |name: &str| data.join(format!("corpus/models/{name}.tflite"));
    let model = path("mobilenet_v1_0.25_128_quant_edgetpu");
    let found = inspect(&model);
    assert_eq!(found["build_error"], Value::Null);
    let edge_tpu = &found["edge_tpu"];
    assert_eq!(edge_tpu["operators"][0]["operator"], 0);
    let package = &edge_tpu["operators"][0]["package"];
    assert_eq!(
        (&package["min_runtime_version"], &package["cached_bytes"]),
        (&json!(12), &json!(566_912))
    );
    let main = &package["executables"][0];
    assert_eq!(main["type"], "execution only");
    assert_eq!(main["instruction_bytes"], 170_032);
    assert_eq!(main["parameter_bytes"], 0);
    assert_eq!(main["inputs"][0]["shape"], json!([128, 128, 3]));
    assert_eq!(main["outputs"][0]["padded_bytes"], 1008);
    assert_eq!(
        (
            &package["executables"][1]["type"],
            &package["executables"][1]["parameter_bytes"]
        ),
        (&json!("parameter caching"), &json!(566_912))
    );
    // Nothing is left to the CPU, and how much the Edge TPU does is not in the file.
    assert_eq!(
        (
            &edge_tpu["cpu_macs"],
            &edge_tpu["all_macs"],
            &edge_tpu["cpu_share_percent"]
        ),
        (&json!(0), &Value::Null, &Value::Null)
    );
    let operator = &found["subgraphs"][0]["operators"][0];
    assert_eq!(
        (&operator["kernel"], &operator["macs"]),
        (&json!("edgetpu-custom-op"), &Value::Null)
    );
    let ran = on_model("inspect", &model, &[]);
    let text = ran.succeeded();
    for part in [
        "\nEdge TPU, operator 0\n",
        "runtime needed   libedgetpu with RuntimeVersion(12) or newer\n",
        "on the chip      553.62 KiB of constants, sent before the first inference\n",
        "per inference    166.05 KiB of instructions, 48.00 KiB of inputs, 1008 B of outputs\n",
        "execution only           170032          1          0        0  beagle\n",
        "input 0   uint8  [128, 128, 3]        49152  0.0078125 * (q - 128) input\n",
        "those of the Edge TPU are not in the file, --cpu-model FILE tells them\n",
    ] {
        assert!(text.contains(part), "{part:?} in\n{text}");
    }

    let twin = path("mobilenet_v1_0.25_128_quant");
    let of_twin = inspect(&twin);
    assert_eq!(of_twin["edge_tpu"], Value::Null);
    let twin = twin.to_str().expect("UTF-8");
    let ran = on_model("inspect", &model, &["--json", "--cpu-model", twin]);
    let found: Value = serde_json::from_str(ran.succeeded()).expect("JSON");
    assert_eq!(found["edge_tpu"]["all_macs"], of_twin["macs"]);
    assert_eq!(found["edge_tpu"]["cpu_share_percent"], 0.0);
    // MobileNet v1 0.25 at 128 pixels: 14 million multiplications and additions by its authors' table
    // (tensorflow/models, research/slim/nets/mobilenet_v1.md), in whole millions.
    let macs = found["edge_tpu"]["all_macs"].as_u64().expect("a number");
    assert_eq!((macs + 500_000) / 1_000_000, 14, "{macs}");
}

#[test]
fn every_compiled_model_of_the_corpus_is_shown() {
    let Some(data) = corpus::test_data() else {
        return;
    };
    let mut seen = 0;
    for entry in std::fs::read_dir(data.join("corpus/models")).expect("the models") {
        let path = entry.expect("a model").path();
        let name = path
            .file_stem()
            .expect("a name")
            .to_string_lossy()
            .into_owned();
        if !name.ends_with("_edgetpu") {
            continue;
        }
        let found = inspect(&path);
        let operator = &found["edge_tpu"]["operators"][0];
        assert_eq!(operator["error"], Value::Null, "{name}");
        let kinds: Vec<&str> = operator["package"]["executables"]
            .as_array()
            .expect("executables")
            .iter()
            .map(|executable| executable["type"].as_str().expect("a type"))
            .collect();
        let expected: &[&str] = if name == "testconv1_edgetpu" {
            &["stand-alone"]
        } else {
            &["execution only", "parameter caching"]
        };
        assert_eq!(kinds, expected, "{name}");
        let listed: u64 = found["edge_tpu"]["cpu_operators"]
            .as_object()
            .expect("operators")
            .values()
            .map(|count| count.as_u64().expect("a number"))
            .sum();
        let operators = found["subgraphs"][0]["operators"]
            .as_array()
            .expect("operators");
        assert_eq!(listed + 1, operators.len() as u64, "{name}");
        let ran = on_model("inspect", &path, &[]);
        assert!(ran.succeeded().contains("\nleft to the CPU\n"), "{name}");
        seen += 1;
    }
    assert_eq!(seen, 7, "compiled models of the test data");
}
