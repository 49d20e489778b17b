//! The example `qat_compare`: the healthy network is healthy, the planted defect is named, the bundled files are its own.

mod model_builder;
#[path = "../examples/qat_compare.rs"]
#[allow(dead_code, reason = "its main is not called")]
mod qat_compare;
mod tool;

use std::path::{Path, PathBuf};
use tool::{Folder, tool};

fn bundled(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("examples/data")
        .join(name)
}

#[test]
fn healthy_network_is_explained_and_the_defect_named() {
    let folder = Folder::new();
    let mut said = Vec::new();
    qat_compare::run(Some(&folder.path("")), &mut said).unwrap_or_else(|e| panic!("{e}"));
    let said = String::from_utf8(said).expect("UTF-8");
    let (healthy, defective) = said.split_once("\n\n").expect("two reports");
    assert!(healthy.contains("nothing unexplained"), "{said}");
    assert!(!healthy.contains("UNEXPLAINED"), "{said}");
    // All six layers are judged.
    assert_eq!(
        healthy.matches(": exact").count() + healthy.matches(": explained").count(),
        6,
        "{said}"
    );
    let last = defective.trim_end().lines().last().expect("a line");
    assert!(
        last.starts_with("first unexplained: conv2: activation range:"),
        "{last}"
    );
    for name in ["shapes_int8.tflite", "shapes_half_range_int8.tflite"] {
        let written = std::fs::read(folder.path(name)).expect("written");
        assert!(
            written == std::fs::read(bundled(name)).expect("bundled"),
            "{name}: write it anew with `cargo run --example qat_compare -- examples/data`"
        );
    }
}

#[test]
fn tool_finds_the_defect_in_one_command_as_the_tutorial_shows() {
    const HEALTHY: &str = "examples/data/shapes_int8.tflite";
    const DEFECTIVE: &str = "examples/data/shapes_half_range_int8.tflite";
    const TRAINING: &str = "examples/data/shapes_training.npz";
    let tutorial = std::fs::read_to_string("docs/tutorial-qat.md").expect("tutorial");
    let mut example = Vec::new();
    qat_compare::run(None, &mut example).unwrap_or_else(|e| panic!("{e}"));
    let example = String::from_utf8(example).expect("UTF-8");
    assert!(tutorial.contains(example.trim_end()), "{example}");
    let cases: [(&[&str], i32, &str); 3] = [
        (&["compare", HEALTHY, TRAINING], 0, "nothing unexplained"),
        (
            &["compare", DEFECTIVE, TRAINING],
            1,
            "tensor 6 \"conv2\": 303 of 1152 elements. Likely cause: activation range",
        ),
        (
            &["diff", HEALTHY, DEFECTIVE],
            1,
            "parameters of the result \"conv2\"",
        ),
    ];
    for (arguments, code, expected) in cases {
        let told = tool(&[&["qat"], arguments].concat());
        assert_eq!(told.code, code, "{told:?}");
        let last = told.stdout.lines().last().expect("a line");
        assert!(last.contains(expected), "{last}");
        assert!(
            tutorial.contains(told.stdout.trim_end()),
            "write anew: {}",
            told.stdout
        );
    }
}
