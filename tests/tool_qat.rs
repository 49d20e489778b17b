//! `corallite qat qparams` and `corallite qat fq`, as a user runs them.

mod archive;
mod model_builder;
mod tool;

use archive::Archive;
use corallite::oracle::npy::NpyArray;
use corallite::oracle::npz::{Compression, NpzWriter};
use serde_json::Value;
use std::path::Path;
use tool::{Folder, Ran, tool};

fn qat(arguments: &[&str]) -> Ran {
    tool(&[&["qat"], arguments].concat())
}

fn json(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_else(|e| panic!("{e}: {text}"))
}

#[test]
fn qparams_shows_where_training_and_conversion_differ() {
    // Zero lies half a step above the lowest code: training rounds 0.5 up to code 1, which is -127 of int8; the converter
    // rounds -127.5 down.
    let ran = qat(&[
        "qparams", "--min", "-0.5", "--max", "254.5", "--type", "int8", "--json",
    ]);
    let told = json(ran.succeeded());
    assert_eq!(
        (&told["lowest_code"], &told["highest_code"]),
        (&(-128).into(), &127.into())
    );
    let channel = &told["channels"][0];
    assert_eq!(channel["fake_quant"]["zero_point"], -127);
    assert_eq!(channel["converter"]["zero_point"], -128);
    assert_eq!(channel["converter"]["scale"], 1.0);
    assert_eq!(channel["fake_quant"]["min"], -1.0);
    let differences = channel["differences"].as_array().expect("list");
    assert_eq!(differences.len(), 1);
    let difference = differences[0].as_str().expect("text");
    let start = "zero point is -127 in training and -128 after conversion";
    assert!(difference.starts_with(start), "{difference}");

    let ran = qat(&["qparams", "--min", "0", "--max", "6"]);
    let text = ran.succeeded();
    assert!(text.contains("channel 0: both sides agree"), "{text}");
    // 6 / 255 in float32.
    assert_eq!(text.matches("0.023529412").count(), 2, "{text}");
}

#[test]
fn qparams_takes_channels_symmetry_and_a_layer() {
    let ran = qat(&[
        "qparams",
        "--min=-1,-3",
        "--max",
        "2,0.5",
        "--type",
        "int8",
        "--narrow",
        "--symmetric",
        "--profile",
        "toco",
        "--input-scale",
        "0.5",
        "--weight-scale",
        "0.5",
        "--json",
    ]);
    let told = json(ran.succeeded());
    let channels = told["channels"].as_array().expect("list");
    let ends: Vec<_> = channels
        .iter()
        .map(|c| (c["min"].as_f64(), c["max"].as_f64()))
        .collect();
    assert_eq!(ends, [(Some(-2.0), Some(2.0)), (Some(-3.0), Some(3.0))]);
    assert!(channels.iter().all(|c| c["converter"]["zero_point"] == 0));
    assert!(channels.iter().all(|c| c["fake_quant"].is_null()));

    // Scale 1: the multiplier is 0.5 * 0.5 / 1 = 2^30 / 2^31 * 2^-1.
    let ran = qat(&[
        "qparams",
        "--min",
        "0",
        "--max",
        "255",
        "--input-scale",
        "0.5",
        "--weight-scale",
        "0.5",
    ]);
    let text = ran.succeeded();
    assert!(
        text.contains("multiplier 2.5e-1 is 1073741824 / 2^31 * 2^-1"),
        "{text}"
    );
}

#[test]
fn qparams_fails_where_neither_side_has_parameters() {
    let ran = qat(&["qparams", "--min", "2", "--max", "2"]);
    assert_eq!((ran.code, ran.stderr.as_str()), (1, ""), "{ran:?}");
    assert!(
        ran.stdout.contains("FakeQuant: range [2, 2] has no width"),
        "{ran:?}"
    );
    assert!(
        ran.stdout.contains("converter: range [2, 2] excludes 0"),
        "{ran:?}"
    );
}

#[test]
fn wrong_usage_is_told_in_one_line() {
    let cases: [(&[&str], &str); 11] = [
        (
            &[],
            "a command of qat is missing, expected qparams, fq, compare, diff, lint or budget",
        ),
        (
            &["nothing"],
            "unknown command of qat \"nothing\", expected qparams, fq, compare, diff, lint or budget",
        ),
        (&["qparams", "--min", "0"], "--max is missing"),
        (
            &["qparams", "--min", "zero", "--max", "1"],
            "--min \"zero\": \"zero\" is no number",
        ),
        (
            &["qparams", "--min", "nan", "--max", "1"],
            "range [NaN, 1] is not finite",
        ),
        (
            &["qparams", "--min", "2", "--max", "1"],
            "range [2, 1] has its minimum above its maximum",
        ),
        (
            &["qparams", "--min", "0,0", "--max", "1"],
            "--min has 2 numbers, --max 1, expected as many",
        ),
        (
            &["qparams", "--min", "0", "--max", "1", "--bits", "17"],
            "--bits: 17 bits, expected 2 to 16",
        ),
        (
            &["qparams", "--min", "0", "--max", "1", "--type", "int4"],
            "expected uint8, int8 or int16",
        ),
        (
            &["qparams", "--min", "0", "--max", "1", "--input-scale", "1"],
            "go together",
        ),
        (
            &["fq", "in.npz", "--min", "0", "--max", "1"],
            "--output is missing",
        ),
    ];
    for (arguments, message) in cases {
        let ran = qat(arguments);
        let line = ran.refused(2);
        assert!(line.contains(message), "{line}");
        assert!(line.contains("see `corallite qat"), "{line}");
    }
    for arguments in [&["--help"][..], &["qparams", "--help"], &["fq", "--help"]] {
        assert!(qat(arguments).succeeded().contains("usage: corallite qat"));
    }
}

/// An archive of arrays.
fn npz(arrays: &[(&str, NpyArray)]) -> Vec<u8> {
    let mut writer = NpzWriter::new(Vec::new(), Compression::Deflated);
    for (name, array) in arrays {
        writer.add(name, array).expect("fits");
    }
    writer.finish().expect("written")
}

fn floats(values: &[f32], shape: &[usize]) -> NpyArray {
    NpyArray::from_slice(values, shape).expect("fits")
}

/// What TensorFlow 1.13.1, 2.15.1 and TFLite answered, through the tool.
#[test]
fn fq_answers_as_the_framework_it_names() {
    let folder = Folder::new();
    let (input, output) = (folder.path("in.npz"), folder.path("out.npz"));
    for (file, profile) in [("tf113", "tf1.13"), ("tf215", "tf2"), ("tflite", "tflite")] {
        let mut answers = Archive::open(Path::new(&format!("tests/data/qat/fakequant_{file}.npz")));
        let channel_sets: &[&str] = if file == "tflite" {
            &[""]
        } else {
            &["", "channel_"]
        };
        for prefix in channel_sets {
            let mut row = |name: &str, cases: usize, case: usize| {
                let values = answers.floats_or_none(&format!("{prefix}{name}"));
                let length = values.len() / cases;
                values[case * length..][..length].to_vec()
            };
            // Eight bits, not narrow: the last case of the first half of the ranges; per channel the first case.
            let bits = Archive::open(Path::new(&format!("tests/data/qat/fakequant_{file}.npz")))
                .ints(&format!("{prefix}bits"));
            let case = bits.iter().position(|&bits| bits == 8).expect("8 bits");
            let mut of = |name| row(name, bits.len(), case);
            let (x, g) = (of("x"), of("gradient"));
            let channels = of("min").len();
            let shape = if channels > 1 {
                vec![x.len() / channels, channels]
            } else {
                vec![x.len()]
            };
            std::fs::write(
                &input,
                npz(&[("x", floats(&x, &shape)), ("g", floats(&g, &shape))]),
            )
            .expect("file");
            let list = |ends: Vec<f32>| {
                ends.iter()
                    .map(f32::to_string)
                    .collect::<Vec<_>>()
                    .join(",")
            };
            let (min, max) = (
                format!("--min={}", list(of("min"))),
                format!("--max={}", list(of("max"))),
            );
            let path = |path: &Path| path.to_str().expect("UTF-8").to_owned();
            let mut arguments = vec!["fq", &min, &max, "--profile", profile];
            let (from, to) = (path(&input), path(&output));
            arguments.extend([&from, "-o", &to]);
            if file != "tflite" {
                arguments.push("--grad");
            }
            assert_eq!(qat(&arguments).succeeded(), "");
            let mut found = Archive::open(&output);
            let equal = |found: Vec<f32>, expected: Vec<f32>, name| {
                assert_eq!(found.len(), expected.len());
                assert!(
                    found.iter().zip(&expected).all(|(a, b)| a == b),
                    "{file} {prefix}{name}"
                );
            };
            equal(found.floats("y"), of("y"), "y");
            if file != "tflite" {
                for name in ["dx", "dmin", "dmax"] {
                    equal(found.floats(name), of(name), name);
                }
            }
        }
    }
}

#[test]
fn fq_refuses_what_it_cannot_round_and_leaves_no_file() {
    let folder = Folder::new();
    let output = folder.path("out.npz");
    let two = |values: &[f32]| npz(&[("x", floats(values, &[values.len()]))]);
    let whole = two(&[1.0; 64]);
    let double = NpyArray::from_slice(&[1.0f64], &[1]).expect("fits");
    let ab = [("a", floats(&[1.0], &[1])), ("b", floats(&[1.0], &[1]))];
    let gradients = [
        ("x", floats(&[1.0, 2.0], &[2])),
        ("g", floats(&[1.0], &[1])),
    ];
    let one = ["--min=-1", "--max=1"];
    let cases: [(&str, Vec<u8>, &[&str], &str); 9] = [
        ("empty", Vec::new(), &one, "empty, expected a .npz archive"),
        (
            "cut",
            whole[..whole.len() / 2].to_vec(),
            &one,
            "not a .npz archive, or truncated",
        ),
        (
            "double",
            npz(&[("x", double)]),
            &one,
            "array \"x\" has elements <f8, expected <f4",
        ),
        (
            "nan",
            two(&[1.0, f32::NAN]),
            &one,
            "value 1 is not a number",
        ),
        ("two", npz(&ab), &one, "choose with --array"),
        (
            "other",
            npz(&ab),
            &["--min=-1", "--max=1", "--array", "c"],
            "no array \"c\"",
        ),
        (
            "channels",
            two(&[1.0, 2.0, 3.0]),
            &["--min=-1,-2", "--max=1,2"],
            "shape [3], expected 2 along the last axis",
        ),
        (
            "gradients",
            npz(&gradients),
            &["--min=-1", "--max=1", "--grad"],
            "expected [2] like the values",
        ),
        (
            "narrow",
            two(&[1.0]),
            &["--min=0", "--max=1e-44"],
            "expected at least 1.1754944e-38",
        ),
    ];
    for (name, bytes, options, message) in cases {
        let input = folder.write(&format!("{name}.npz"), bytes);
        let (from, to) = (
            input.to_str().expect("UTF-8"),
            output.to_str().expect("UTF-8"),
        );
        let ran = qat(&[&["fq", from, "-o", to], options].concat());
        let line = ran.refused(1);
        assert!(line.contains(message), "{name}: {line}");
        assert!(line.contains(&format!("{name}.npz")), "{name}: {line}");
    }
    assert!(folder.names("").iter().all(|name| !name.starts_with("out")));
}
