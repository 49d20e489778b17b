//! `corallite bench`: what it measures and how it says so. How long things take is not looked at.

mod model_builder;
mod tool;

use model_builder::doubling;
use serde_json::Value;
use tool::{Folder, on_model};

const TIMES: [&str; 5] = ["median_us", "min_us", "cpu_us", "load_us", "first_us"];

/// The one line of a run with `--json`.
fn measured(arguments: &[&str]) -> Value {
    let folder = Folder::new();
    let model = folder.write("model.tflite", doubling().to_bytes());
    let ran = on_model(
        "bench",
        &model,
        &[&["--json", "--iters", "3"], arguments].concat(),
    );
    let text = ran.succeeded();
    assert_eq!(text.matches('\n').count(), 1, "{text}");
    serde_json::from_str(text).expect("JSON")
}

#[test]
fn json_has_every_figure() {
    let found = measured(&[]);
    for name in TIMES {
        assert!(found[name].as_f64().is_some_and(|us| us >= 0.0), "{found}");
    }
    assert!(found["min_us"].as_f64() <= found["median_us"].as_f64());
    // The input and the result at once, and the page of code that has started.
    assert!(found["arena_bytes"].as_u64() >= Some(6), "{found}");
    assert!(found["peak_rss_bytes"].as_u64() > Some(4096), "{found}");
    let names = found.as_object().expect("an object").len();
    assert_eq!(names, TIMES.len() + 2, "{found}");
}

#[test]
fn operators_come_with_kernel_and_work() {
    for (kernels, expected) in [
        ("reference", "conv_2d.reference"),
        ("portable", "conv_2d.portable"),
    ] {
        let found = measured(&["--profile-ops", "--kernels", kernels]);
        let operators = found["operators"].as_array().expect("operators");
        assert_eq!(operators.len(), 1, "{found}");
        let operator = &operators[0];
        assert_eq!(operator["operator"], "CONV_2D");
        assert_eq!(operator["kernel"], expected);
        // Three positions, one weight each.
        assert_eq!(operator["macs"], 3);
        assert!(operator["us"].is_number(), "{found}");
    }
}

#[test]
fn text_has_a_line_a_figure_and_a_row_an_operator() {
    let folder = Folder::new();
    let model = folder.write("model.tflite", doubling().to_bytes());
    let arguments = ["--profile-ops", "--threads", "2", "--warmup", "0"];
    let ran = on_model("bench", &model, &arguments);
    let text = ran.succeeded();
    let beginnings = [
        "load and prepare ",
        "first inference ",
        "inference ",
        "CPU time ",
        "multiply-accumulates ",
        "arena ",
        "packed weights ",
        "scratch a thread ",
        "peak resident memory ",
        "",
        "#  operator ",
        "0  CONV_2D ",
    ];
    assert_eq!(text.lines().count(), beginnings.len(), "{text}");
    for (line, beginning) in text.lines().zip(beginnings) {
        let line = line.trim_start();
        assert!(line.starts_with(beginning), "{line:?} for {beginning:?}");
    }
    assert!(text.contains(" of 50 (2 thread(s))"), "{text}");
}

#[test]
fn what_cannot_be_measured_is_refused() {
    let folder = Folder::new();
    let model = folder.write("model.tflite", doubling().to_bytes());
    for (arguments, named) in [
        (["--iters", "0"], "--iters"),
        (["--threads", "0"], "--threads"),
        (["--kernels", "sse"], "sse"),
    ] {
        let ran = on_model("bench", &model, &arguments);
        assert!(ran.code > 0 && ran.stderr.contains(named), "{ran:?}");
    }
    let missing = on_model("bench", &folder.path("none.tflite"), &[]);
    assert!(missing.refused(1).contains("none.tflite"), "{missing:?}");
}
