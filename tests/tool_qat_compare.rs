//! `corallite qat compare`, as a user runs it.

mod corpus;
mod model_builder;
mod tool;

use corallite::oracle::npy::NpyArray;
use corallite::oracle::npz::{Compression, NpzWriter};
use serde_json::Value;
use std::path::Path;
use tool::{Folder, Ran, tool};

const BUNDLED: &str = concat!(
    env!("CARGO_MANIFEST_DIR"),
    "/examples/data/fashion_mnist_int8.tflite"
);

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
    let cases: [(&[&str], &str); 7] = [
        (&[text(&truncated)], "not a .npz archive"),
        (&[text(&no_input)], "no array for the input"),
        (&[text(&nan)], "array \"x\": element 0 is NaN"),
        (
            &[text(&shape), "--map", text(&no_map)],
            "unknown key \"tensor\"",
        ),
        (&[text(&shape)], "array \"input\" has shape [1, 9]"),
        (
            &[text(&alone), "--map", text(&map)],
            "the tensor \"nowhere\"",
        ),
        (&[text(&alone)], "none of"),
    ];
    for (arguments, expected) in cases {
        let ran = compare(&[&[BUNDLED], arguments].concat());
        let line = ran.refused(1);
        assert!(line.contains(expected), "{arguments:?}: {line}");
    }
}
