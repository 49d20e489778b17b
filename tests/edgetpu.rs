//! Compiled models, end to end: the interpreter hands `edgetpu-custom-op` to a stand-in of libedgetpu, which runs the
//! uncompiled model on its own; both must answer alike.
#![cfg(all(unix, not(all(target_env = "musl", target_feature = "crt-static"))))]

mod corpus;
mod standin;

use corallite::delegate::EdgeTpuDelegate;
use corallite::ffi::{DelegateOptions, EdgeTpu, EdgeTpuLibrary, SearchPath};
use corallite::ops::RunsOn;
use corallite::package::Package;
use corallite::{Interpreter, Model};
use standin::StandIn;

fn open_device(standin: &StandIn) -> EdgeTpu {
    let library =
        EdgeTpuLibrary::open(&SearchPath::named(standin.library())).expect("the stand-in loads");
    let device = library.devices().remove(0);
    EdgeTpu::open(library, &device, DelegateOptions::default()).expect("the stand-in opens")
}

fn pattern(bytes: &mut [u8], seed: usize) {
    for (place, byte) in bytes.iter_mut().enumerate() {
        *byte = ((place * 31 + seed * 17) % 251) as u8;
    }
}

/// Compiled model and its twin in the test data.
const PAIRS: [(&str, &str); 3] = [
    (
        "mobilenet_v1_0.25_128_quant_edgetpu",
        "mobilenet_v1_0.25_128_quant",
    ),
    (
        "deeplabv3_mnv2_dm05_pascal_quant_edgetpu",
        "deeplabv3_mnv2_dm05_pascal_quant",
    ),
    (
        "movenet_single_pose_lightning_ptq_edgetpu",
        "movenet_single_pose_lightning_ptq",
    ),
];

#[test]
fn compiled_model_answers_like_its_twin_for_every_release_of_libedgetpu() {
    let Some(folder) = corpus::test_data() else {
        return;
    };
    let file = |name: &str| folder.join("corpus/models").join(format!("{name}.tflite"));
    let mut ran = 0;
    let chosen = corpus::chosen_models();
    for (compiled, twin) in PAIRS {
        if chosen
            .as_ref()
            .is_some_and(|names| !names.iter().any(|name| name == twin))
        {
            continue;
        }
        let twin_model = Model::from_file(file(twin)).expect(twin);
        // An operator that has no kernel yet is another test's matter.
        let mut expected = match Interpreter::builder(&twin_model).build() {
            Ok(interpreter) => interpreter,
            Err(error) => {
                eprintln!("SKIPPED: {twin}: {error}");
                continue;
            }
        };
        let model = Model::from_file(file(compiled)).expect(compiled);
        let releases: &[&str] = if ran == 0 { &["2.5", "2.14"] } else { &["2.5"] };
        for release in releases {
            let path = file(twin);
            let standin =
                StandIn::new(&[("abi", release), ("twin", path.to_str().expect("a path"))]);
            let delegate = EdgeTpuDelegate::new(open_device(&standin));
            let mut found = Interpreter::builder(&model)
                .delegate(delegate)
                .build()
                .expect(compiled);
            assert!(
                found
                    .operators()
                    .any(|operator| operator.runs_on == RunsOn::EdgeTpu),
                "{compiled}"
            );
            for round in 0..2 {
                pattern(expected.input_mut(0).expect("an input").bytes_mut(), round);
                pattern(found.input_mut(0).expect("an input").bytes_mut(), round);
                expected.invoke().expect(twin);
                found.invoke().expect(compiled);
                assert_eq!(found.output_count(), expected.output_count(), "{compiled}");
                for output in 0..expected.output_count() {
                    let right = expected.output(output).expect("an output");
                    let left = found.output(output).expect("an output");
                    assert_eq!(left.shape(), right.shape(), "{compiled}, output {output}");
                    assert!(
                        left.bytes() == right.bytes(),
                        "{compiled}, {release}, round {round}, output {output}"
                    );
                }
            }
        }
        ran += 1;
    }
    assert!(ran > 0, "no pair ran");
}

#[test]
fn damaged_custom_options_do_not_reach_the_library() {
    let Some(folder) = corpus::test_data() else {
        return;
    };
    let path = folder.join("corpus/models/mobilenet_v1_0.25_128_quant_edgetpu.tflite");
    let bytes = std::fs::read(path).expect("the model");
    // The package's identifier stands once in the file.
    let place = bytes
        .windows(4)
        .position(|window| window == b"DWN1")
        .expect("a package");
    let mut damaged = bytes.clone();
    damaged[place] = b'X';
    let standin = StandIn::new(&[]);
    let model = Model::from_bytes(&damaged).expect("the model file itself is whole");
    let delegate = EdgeTpuDelegate::new(open_device(&standin));
    let error = Interpreter::builder(&model)
        .delegate(delegate)
        .build()
        .err()
        .expect("a damaged package");
    let mut text = error.to_string();
    let mut source = std::error::Error::source(&error);
    while let Some(inner) = source {
        text = format!("{text}: {inner}");
        source = inner.source();
    }
    assert!(text.contains("XWN1"), "{text}");
}

#[test]
fn packages_of_compiled_models_are_accepted_and_no_damage_to_their_maps_panics() {
    let Some(folder) = corpus::test_data() else {
        return;
    };
    let mut checked = 0;
    for entry in std::fs::read_dir(folder.join("corpus/models")).expect("the models") {
        let path = entry.expect("a model").path();
        let name = path
            .file_stem()
            .and_then(|name| name.to_str())
            .unwrap_or_default()
            .to_owned();
        if !name.ends_with("_edgetpu") {
            continue;
        }
        let model = Model::from_file(&path).expect(&name);
        let subgraph = &model.graph().subgraphs()[0];
        for operator in 0..subgraph.operators.len() {
            if subgraph.operators[operator].kind.to_string() != "edgetpu-custom-op" {
                continue;
            }
            let table = model
                .graph()
                .operator_table(0, operator)
                .expect("an operator");
            let options = table.custom_options().expect("custom options").bytes();
            let package = Package::from_custom_options(options).expect(&name);
            // The protocol notes: 10 to 14 in the wild, and one model that is not deterministic.
            assert!((10..=14).contains(&package.min_runtime_version), "{name}");
            assert_eq!(
                package.fully_deterministic,
                !name.starts_with("keras_lstm"),
                "{name}"
            );

            // libedgetpu died of 39 in 60 random damages to the last 84 bytes. Here: a result, whatever it is.
            let mut damaged = options.to_vec();
            let tail = options.len() - 84;
            let mut refused = 0;
            for place in tail..options.len() {
                for byte in [0, 1, 0x7f, 0x80, 0xff] {
                    let good = std::mem::replace(&mut damaged[place], byte);
                    refused += usize::from(Package::from_custom_options(&damaged).is_err());
                    damaged[place] = good;
                }
            }
            assert!(refused > 0, "{name}");
            checked += 1;
        }
    }
    assert_eq!(checked, 7, "compiled models of the test data");
}
