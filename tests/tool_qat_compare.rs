//! `corallite qat compare`, as a user runs it.

mod archive;
mod corpus;
mod model_builder;
mod tool;

use archive::Archive;
use corallite::oracle::npy::NpyArray;
use corallite::oracle::npz::{Compression, NpzWriter};
use model_builder::{FLOAT32, INT8, Model, Operator, QUANTIZE, Tensor};
use serde_json::Value;
use std::path::Path;
use tool::{Folder, Ran, tool};

const BUNDLED: &str = concat!(
    env!("CARGO_MANIFEST_DIR"),
    "/examples/data/fashion_mnist_int8.tflite"
);

const COMPLEX: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/npy/complex.npz");

/// The FULLY_CONNECTED result of the bundled model, by index.
const LOGITS: usize = 41;

fn compare(arguments: &[&str]) -> Ran {
    tool(&[&["qat", "compare"], arguments].concat())
}

fn archive(arrays: &[(&str, NpyArray)]) -> Vec<u8> {
    let mut writer = NpzWriter::new(Vec::new(), Compression::Deflated);
    for (array, values) in arrays {
        writer.add(array, values).expect("array");
    }
    writer.finish().expect("archive")
}

fn text(path: &Path) -> &str {
    path.to_str().expect("UTF-8")
}

#[test]
fn broken_copy_is_told_in_text_json_and_html() {
    let Some(data) = corpus::test_data() else {
        return;
    };
    let folder = Folder::new();
    let dump = data.join("qat/tf113_contrib_uint8/qat_fq.npz");
    let healthy = data.join("qat/tf113_contrib_uint8/qat.tflite");
    let ran = compare(&[text(&healthy), text(&dump), "--local"]);
    let told = ran.succeeded();
    assert!(told.contains("nothing unexplained"), "{told}");
    assert!(told.contains("local differences"), "{told}");

    let broken = data.join("qat/mutants/bias_values_x2.tflite");
    let page = folder.path("report.html");
    let ran = compare(&[text(&broken), text(&dump), "--json", "--html", text(&page)]);
    assert_eq!(ran.code, 1);
    let told: Value = serde_json::from_str(&ran.stdout).expect("JSON");
    assert_eq!(told["first_unexplained"]["name"], "exp4/Relu6");
    assert!(
        told["first_unexplained"]["cause"]
            .as_str()
            .expect("cause")
            .starts_with("bias scale")
    );
    assert_eq!(told["layers"].as_array().expect("layers").len(), 14);
    let page = std::fs::read_to_string(page).expect("page");
    assert!(page.starts_with("<!doctype html>") && page.trim_end().ends_with("</html>"));
    assert!(page.contains("exp4/Relu6") && page.contains("<svg"));
    assert!(!page.contains("http"), "a page of its own loads nothing");
}

#[test]
fn bad_dumps_and_maps_are_told_in_one_line() {
    let folder = Folder::new();
    let floats =
        |values: &[f32], shape: &[usize]| NpyArray::from_slice(values, shape).expect("array");
    let picture = || ("input", floats(&[0.0; 784], &[1, 28, 28, 1]));
    let dump = |name: &str, arrays: &[(&str, NpyArray)]| folder.write(name, archive(arrays));
    let truncated = folder.write("truncated.npz", b"PK\x03\x04");
    let no_input = dump("none.npz", &[("scores", floats(&[0.0; 10], &[1, 10]))]);
    let nan = dump("nan.npz", &[picture(), ("x", floats(&[f32::NAN], &[1]))]);
    let shape = dump("shape.npz", &[("input", floats(&[0.0; 9], &[1, 9]))]);
    let alone = dump("alone.npz", &[picture()]);
    let map = folder.write("map.json", r#"{"tensors": {"nowhere": "input"}}"#);
    let no_map = folder.write("no_map.json", r#"{"tensor": {}}"#);
    let bogus = folder.write("bogus.json", r#"{"inputs": {"bogus": "input"}}"#);
    let absent = folder.write(
        "absent.json",
        format!(r#"{{"tensors": {{"{LOGITS}": "absent"}}}}"#),
    );
    let swapped = folder.write(
        "swapped.json",
        format!(r#"{{"tensors": {{"{LOGITS}": "x"}}}}"#),
    );
    let whole = archive(&[picture()]);
    let cut = folder.write("cut.npz", &whole[..whole.len() - 10]);
    let infinite = floats(&[0.0, f32::NEG_INFINITY], &[2]);
    let infinite = dump("inf.npz", &[picture(), ("x", infinite)]);
    let three = dump(
        "three.npz",
        &[picture(), ("x", floats(&[0.0; 30], &[3, 10]))],
    );
    let cases: [(&[&str], &str); 13] = [
        (&[text(&truncated)], "not a .npz archive"),
        (&[text(&cut)], "truncated"),
        (&[COMPLEX], "element type \"<c8\" is not supported"),
        (&[text(&no_input)], "no array for the input"),
        (&[text(&nan)], "array \"x\": element 0 is NaN"),
        (&[text(&infinite)], "array \"x\": element 1 is -inf"),
        (
            &[text(&shape), "--map", text(&no_map)],
            "unknown key \"tensor\"",
        ),
        (&[text(&shape)], "array \"input\" has shape [1, 9]"),
        (
            &[text(&alone), "--map", text(&map)],
            "the tensor \"nowhere\"",
        ),
        (
            &[text(&alone), "--map", text(&bogus)],
            "the input \"bogus\", which the model does not have",
        ),
        (
            &[text(&alone), "--map", text(&absent)],
            "the array \"absent\", which the archive does not hold; it holds input",
        ),
        (
            &[text(&three), "--map", text(&swapped)],
            "array \"x\" holds 3 inference(s), the inputs hold 1",
        ),
        (&[text(&alone)], "none of"),
    ];
    for (arguments, expected) in cases {
        let ran = compare(&[&[BUNDLED], arguments].concat());
        let line = ran.refused(1);
        assert!(line.contains(expected), "{arguments:?}: {line}");
    }
}

#[test]
fn layers_in_float_are_not_judged() {
    let folder = Folder::new();
    let tensor = |name, ty, shape: &[i32]| Tensor::new(name, ty, shape);
    // RESHAPE of floats, then QUANTIZE of them.
    let float = || Model {
        tensors: vec![tensor("x", FLOAT32, &[1, 2]), tensor("y", FLOAT32, &[2])],
        operators: vec![Operator::reshape(0, 1, &[2])],
        inputs: vec![0],
        outputs: vec![1],
        ..Model::default()
    };
    let mut island = float();
    island
        .tensors
        .push(tensor("z", INT8, &[2]).quantized(0.5, 0));
    island.operators.push(Operator::new(QUANTIZE, &[1], &[2]));
    island.outputs = vec![2];
    let values = || NpyArray::from_slice(&[0.5f32, -3.0], &[1, 2]).expect("array");
    let dump = folder.write("dump.npz", archive(&[("x", values()), ("z", values())]));
    let float = folder.write("float.tflite", float().to_bytes());
    let island = folder.write("island.tflite", island.to_bytes());
    let ran = compare(&[text(&float), text(&dump)]);
    let line = ran.refused(1);
    assert!(
        line.contains("no operator of the model computes codes"),
        "{line}"
    );
    let told = compare(&[text(&island), text(&dump)]);
    let told = told.succeeded();
    let note =
        "1 result(s) that are floats, or outputs that are no codes, were not compared: \"y\"";
    assert!(told.contains(note), "{told}");

    let diff = |model: &Path| tool(&["qat", "diff", text(model), "--profile-b", "litert"]);
    let ran = diff(&float);
    let line = ran.refused(1);
    assert!(
        line.contains("\"x\" is float32 and no QUANTIZE reads it"),
        "{line}"
    );
}

#[test]
fn array_of_a_layer_in_another_shape_is_told() {
    let Some(data) = corpus::test_data() else {
        return;
    };
    let folder = Folder::new();
    let model = data.join("qat/tf113_contrib_uint8/qat.tflite");
    let mut whole = Archive::open(&data.join("qat/tf113_contrib_uint8/qat_fq.npz"));
    const LAYER: &str = "dw2.act_quant.FakeQuantWithMinMaxVars";
    let arrays: Vec<(String, NpyArray)> = whole
        .names()
        .into_iter()
        .map(|name| {
            let mut array = whole.array(&name);
            if name == LAYER {
                array.shape[0] = 3;
                array.data.truncate(array.data.len() / 2);
            }
            (name, array)
        })
        .collect();
    let arrays: Vec<(&str, NpyArray)> = arrays
        .iter()
        .map(|(n, a)| (n.as_str(), a.clone()))
        .collect();
    let dump = folder.write("half.npz", archive(&arrays));
    let told = compare(&[text(&model), text(&dump)]);
    let told = told.succeeded();
    let note = format!(
        "{LAYER:?} has the name of tensor \"dw2/Relu6\" [1, 14, 14, 8] but shape [3, 14, 14, 8]"
    );
    assert!(told.contains(&note), "{told}");
}
