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
fn tool_finds_the_defect_in_one_command() {
    let compare = |model: &str| {
        let (model, dump) = (bundled(model), bundled("shapes_training.npz"));
        tool(&[
            "qat".as_ref(),
            "compare".as_ref(),
            model.as_os_str(),
            dump.as_os_str(),
        ])
    };
    let told = compare("shapes_int8.tflite");
    assert!(told.succeeded().contains("nothing unexplained"), "{told:?}");
    let told = compare("shapes_half_range_int8.tflite");
    assert_eq!(told.code, 1);
    let last = told.stdout.lines().last().expect("a line");
    assert!(
        last.contains("\"conv2\"") && last.contains("activation range"),
        "{last}"
    );
}
