//! A compiled model and the one it was compiled from: which of them runs, where, and what the application is told.
#![cfg(all(unix, not(all(target_env = "musl", target_feature = "crt-static"))))]

mod corpus;
mod standin;

use corallite::delegate::{AttachError, CpuReason, DeviceRequest, Placement};
use corallite::device::{DeviceError, DeviceSelector};
use corallite::ffi::{DelegateOptions, Performance, SearchPath};
use corallite::interpreter::BuildError;
use corallite::ops::RunsOn;
use corallite::{Interpreter, Model};
use standin::{StandIn, this_test};
use std::path::Path;

/// Runs the test `name` of this file again in a process whose locks lie in a directory of its own, and is true there.
fn has_own_locks(name: &str) -> bool {
    const OWN: &str = "CORALLITE_TEST_HAS_OWN_LOCKS";
    if std::env::var_os(OWN).is_some() {
        return true;
    }
    let directory = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("locks-{name}"));
    std::fs::create_dir_all(&directory).expect("a directory");
    let output = this_test()
        .args(["--exact", name, "--nocapture"])
        .env("CORALLITE_LOCK_DIR", &directory)
        .env(OWN, "1")
        .output()
        .expect("this test starts again");
    let text = String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{text}");
    false
}

fn model(name: &str) -> Option<Model> {
    let models = corpus::test_data()?.join("corpus/models");
    Some(Model::from_file(models.join(format!("{name}.tflite"))).expect(name))
}

const TWIN: &str = "mobilenet_v1_0.25_128_quant";

/// The compiled model, its twin, and a stand-in with these settings that computes as the twin does.
fn pair(settings: &[(&str, &str)]) -> Option<(Model, Model, StandIn)> {
    let compiled = model(&format!("{TWIN}_edgetpu"))?;
    let twin = corpus::test_data()?.join(format!("corpus/models/{TWIN}.tflite"));
    let mut all = vec![("twin", twin.to_str().expect("UTF-8"))];
    all.extend(settings);
    Some((compiled, model(TWIN)?, StandIn::new(&all)))
}

fn request(standin: &StandIn, selector: &str) -> DeviceRequest {
    DeviceRequest::new(selector.parse().expect("a selector"))
        .library(SearchPath::named(standin.library()))
}

/// The output for an input of sevens.
fn run(interpreter: &mut Interpreter) -> Vec<u8> {
    interpreter
        .input_mut(0)
        .expect("an input")
        .bytes_mut()
        .fill(7);
    interpreter.invoke().expect("an inference");
    interpreter.output(0).expect("an output").bytes().to_vec()
}

fn attach_error(error: BuildError) -> AttachError {
    match error {
        BuildError::Attach { source } => *source,
        other => panic!("{other}"),
    }
}

#[test]
fn device_that_is_there_runs_the_compiled_model() {
    if !has_own_locks("device_that_is_there_runs_the_compiled_model") {
        return;
    }
    let Some((compiled, twin, standin)) = pair(&[]) else {
        return;
    };
    let expected = run(&mut Interpreter::builder(&twin).build().expect("the twin runs"));
    let build = |options| {
        Interpreter::builder(&compiled)
            .cpu_model(&twin)
            .device(request(&standin, "auto").options(options))
            .build()
            .expect("the device is there")
    };
    // Two interpreters of one process share the device, whatever options the second asks for.
    let mut first = build(DelegateOptions::default());
    let mut second = build(DelegateOptions::default().performance(Performance::Low));
    for interpreter in [&mut first, &mut second] {
        let placement = interpreter.placement().expect("a device was asked for");
        assert!(
            matches!(placement, Placement::EdgeTpu { device, isolated: false } if device == "usb /sys/bus/usb/devices/2-1"),
            "{placement}"
        );
        assert_eq!(
            placement.to_string(),
            "Edge TPU usb /sys/bus/usb/devices/2-1"
        );
        assert!(
            interpreter
                .operators()
                .any(|operator| operator.runs_on == RunsOn::EdgeTpu)
        );
        assert_eq!(run(interpreter), expected);
    }
    // The device stays open for the second, and its lock with it; once both are gone it can be opened anew.
    drop(first);
    assert_eq!(run(&mut second), expected);
    let lock = || corallite::device::DeviceLock::acquire("/sys/bus/usb/devices/2-1");
    assert!(matches!(lock(), Err(DeviceError::Busy { .. })));
    drop(second);
    drop(lock().expect("nobody holds it any more"));
    assert_eq!(run(&mut build(DelegateOptions::default())), expected);
}

#[test]
fn absent_device_is_replaced_by_the_twin_where_nobody_named_one() {
    if !has_own_locks("absent_device_is_replaced_by_the_twin_where_nobody_named_one") {
        return;
    }
    let Some((compiled, twin, standin)) = pair(&[("devices", "")]) else {
        return;
    };
    let expected = run(&mut Interpreter::builder(&twin).build().expect("the twin runs"));
    let build = |selector| {
        Interpreter::builder(&compiled)
            .cpu_model(&twin)
            .device(request(&standin, selector))
            .build()
    };
    let mut interpreter = build("auto").expect("the twin takes its place");
    let placement = interpreter.placement().expect("a device was asked for");
    let Placement::Cpu {
        reason: CpuReason::Unavailable { error },
    } = placement
    else {
        panic!("{placement}")
    };
    assert!(
        matches!(
            **error,
            AttachError::NoneFound | AttachError::NoneUsable { .. }
        ),
        "{error:?}"
    );
    assert_eq!(run(&mut interpreter), expected);
    // A device by name is that device or an error.
    let error = attach_error(build("usb:0").err().expect("there is none"));
    assert!(
        matches!(
            error,
            AttachError::Device {
                source: DeviceError::NoSuchDevice { .. }
            }
        ),
        "{error}"
    );
    let mut interpreter = build("cpu").expect("the twin");
    assert!(matches!(
        interpreter.placement(),
        Some(Placement::Cpu {
            reason: CpuReason::Chosen
        })
    ));
    assert_eq!(run(&mut interpreter), expected);
}

/// Everything that keeps a device from being used sends `auto` to the CPU, with the reason.
#[test]
fn unusable_devices_and_libraries_are_reasons_to_run_on_the_cpu() {
    if !has_own_locks("unusable_devices_and_libraries_are_reasons_to_run_on_the_cpu") {
        return;
    }
    struct Case {
        settings: &'static [(&'static str, &'static str)],
        matches: fn(&AttachError) -> bool,
        words: &'static str,
    }
    let cases = [
        Case {
            settings: &[("fault", "null")],
            matches: |error| matches!(error, AttachError::Open { .. }),
            words: "USB error -3",
        },
        // The model needs 12; a runtime of 11 is of no supported generation, so the library is refused as a whole.
        Case {
            settings: &[("version", "BuildLabel(X), RuntimeVersion(11)")],
            matches: |error| !matches!(error, AttachError::Open { .. }),
            words: "Edge TPU",
        },
    ];
    for case in cases {
        let Some((compiled, twin, standin)) = pair(case.settings) else {
            return;
        };
        let build = |cpu_model: Option<&Model>| {
            let mut builder = Interpreter::builder(&compiled).device(request(&standin, "auto"));
            if let Some(model) = cpu_model {
                builder = builder.cpu_model(model);
            }
            builder.build()
        };
        let interpreter = build(Some(&twin)).expect("the twin takes its place");
        match interpreter.placement() {
            Some(Placement::Cpu {
                reason: CpuReason::Unavailable { error },
            }) => {
                assert!((case.matches)(error), "{error:?}");
                assert!(error.to_string().contains(case.words), "{error}");
            }
            other => panic!("{other:?}"),
        }
        let error = attach_error(build(None).err().expect("nothing else to run"));
        assert!((case.matches)(&error), "{error:?}");
    }
}

#[test]
fn model_that_needs_a_newer_runtime_is_told_before_the_device_is_opened() {
    if !has_own_locks("model_that_needs_a_newer_runtime_is_told_before_the_device_is_opened") {
        return;
    }
    // yamnet needs 14 by the table of the notes; the corpus has split_concat with 13. Make it need 99, which no library has:
    // min_runtime_version is the only 13 among the package's own fields.
    let Some(models) = corpus::test_data().map(|data| data.join("corpus/models")) else {
        return;
    };
    let mut bytes = std::fs::read(models.join("split_concat_edgetpu.tflite")).expect("the model");
    let place = runtime_field(&bytes);
    assert_eq!(bytes[place..place + 4], 13_i32.to_le_bytes());
    bytes[place] = 99;
    let model = Model::from_bytes(&bytes).expect("the model");
    let standin = StandIn::new(&[("fault", "null")]);
    let error = Interpreter::builder(&model)
        .device(request(&standin, "usb"))
        .build()
        .err()
        .expect("too old");
    let error = attach_error(error);
    assert!(
        matches!(
            error,
            AttachError::RuntimeTooOld {
                needed: 99,
                found: 14,
                ..
            }
        ),
        "{error}"
    );
}

/// Where a file has the field `min_runtime_version` of its package: FlatBuffers' root table, its vtable, slot 0.
fn runtime_field(bytes: &[u8]) -> usize {
    let identifier = bytes
        .windows(4)
        .position(|w| w == b"DWN1")
        .expect("a package");
    let start = identifier - 4;
    let word = |at: usize| u32::from_le_bytes(bytes[at..at + 4].try_into().expect("four bytes"));
    let table = start + word(start) as usize;
    let vtable = (table as i64 - i64::from(word(table) as i32)) as usize;
    let slot = u16::from_le_bytes(bytes[vtable + 4..vtable + 6].try_into().expect("two bytes"));
    table + usize::from(slot)
}

#[test]
fn model_without_compiled_parts_needs_no_device() {
    let Some(twin) = model(TWIN) else { return };
    // A library that is not there is not looked for either.
    let nowhere = |selector: DeviceSelector| {
        DeviceRequest::new(selector).library(SearchPath::named("/nonexistent.so"))
    };
    let interpreter = Interpreter::builder(&twin)
        .device(nowhere(DeviceSelector::Auto))
        .build()
        .expect("the CPU");
    assert!(matches!(
        interpreter.placement(),
        Some(Placement::Cpu {
            reason: CpuReason::NotCompiled
        })
    ));
    let error = Interpreter::builder(&twin)
        .device(nowhere(DeviceSelector::Usb(None)))
        .build()
        .err()
        .expect("nothing to run there");
    assert!(matches!(
        attach_error(error),
        AttachError::NotCompiled { .. }
    ));
    let interpreter = Interpreter::builder(&twin).build().expect("the CPU");
    assert!(interpreter.placement().is_none());
}

#[test]
fn another_model_is_no_twin() {
    let Some(compiled) = model(&format!("{TWIN}_edgetpu")) else {
        return;
    };
    let build = |name: &str| {
        let other = model(name).expect("a model");
        let request = DeviceRequest::new(DeviceSelector::Cpu);
        let error = Interpreter::builder(&compiled)
            .cpu_model(&other)
            .device(request)
            .build();
        attach_error(error.err().expect(name))
    };
    // 160 pixels wide instead of 128.
    let error = build("mobilenet_v1_0.5_160_quant");
    assert!(
        matches!(&error, AttachError::TwinDiffers { what: "input", index: 0, found, .. } if found.contains("160")),
        "{error}"
    );
    let error = build("mobilenet_v1_0.25_128_cocompiled_3quant_edgetpu");
    assert!(matches!(error, AttachError::TwinCompiled), "{error}");
    let error = Interpreter::builder(&compiled)
        .device(DeviceSelector::Cpu)
        .build()
        .err()
        .expect("compiled");
    assert!(matches!(attach_error(error), AttachError::CompiledForCpu));
}

#[test]
fn damaged_package_is_an_error_and_no_reason_to_run_the_twin() {
    let Some((_, twin, standin)) = pair(&[]) else {
        return;
    };
    let models = corpus::test_data().expect("seen").join("corpus/models");
    let mut bytes =
        std::fs::read(models.join(format!("{TWIN}_edgetpu.tflite"))).expect("the model");
    let place = bytes
        .windows(4)
        .position(|w| w == b"DWN1")
        .expect("a package");
    bytes[place] = b'X';
    let damaged = Model::from_bytes(&bytes).expect("the model itself is whole");
    let error = Interpreter::builder(&damaged)
        .cpu_model(&twin)
        .device(request(&standin, "auto"))
        .build()
        .err()
        .expect("damaged");
    let error = attach_error(error);
    assert!(
        matches!(error, AttachError::Package { operator: 0, .. }),
        "{error}"
    );
}
