//! Each cause from a machine that has it.

mod attached;
mod loading;

use std::collections::BTreeSet;

use super::super::DeviceError;
use super::super::fake::{FakeSystem, Opening};
use super::*;

/// Larger than any process id Linux gives.
const OTHER: u32 = 5_000_001;

const BARE_METAL: &str = "6.1.0-18-amd64\n";

/// A machine with a kernel, a user `ana`, and nothing else.
fn machine() -> FakeSystem {
    let fake = FakeSystem::new("doctor");
    fake.write("proc/sys/kernel/osrelease", BARE_METAL);
    fake.write(
        "proc/self/status",
        "Uid:\t1000\t1000\t1000\t1000\nGid:\t1000\t1000\t1000\t1000\nGroups:\t100\n",
    );
    fake.write("etc/passwd", "ana:x:1000:1000::/home/ana:/bin/sh\n");
    fake.write(
        "etc/group",
        "users:x:100:ana\nplugdev:x:46:bob\napex:x:990:\n",
    );
    fake
}

/// A machine with a running stick on USB 3 that everybody may open.
fn with_stick() -> FakeSystem {
    let fake = machine();
    fake.stick(0x18d1, 0x9302, 2, 7, &[1], 5000);
    fake
}

fn with_bootloader_stick() -> FakeSystem {
    let fake = machine();
    fake.stick(0x1a6e, 0x089a, 2, 7, &[1], 5000);
    fake
}

/// A machine with a module, at 40 degrees.
fn with_module() -> FakeSystem {
    let fake = machine();
    fake.module("apex_0", "0000:03:00.0");
    for (file, value) in [
        ("temp", 40_000),
        ("trip_point0_temp", 85_000),
        ("trip_point1_temp", 90_000),
        ("trip_point2_temp", 95_000),
        ("hw_temp_warn2", 100_000),
        ("hw_temp_warn2_en", 1),
    ] {
        fake.write(
            &format!("sys/class/apex/apex_0/{file}"),
            &format!("{value}\n"),
        );
    }
    fake
}

fn in_docker(fake: &FakeSystem) {
    fake.write(".dockerenv", "");
}

fn in_virtual_machine(fake: &FakeSystem) {
    fake.write("sys/class/dmi/id/sys_vendor", "QEMU\n");
}

fn facts(fake: &FakeSystem) -> Facts {
    Facts::gather(&fake.system()).unwrap()
}

fn refused(path: &str, dlerror: &str) -> LoadAttempt {
    LoadAttempt {
        path: path.into(),
        failure: LoadFailure::Refused {
            dlerror: dlerror.into(),
        },
    }
}

fn not_loaded(path: &str, dlerror: &str) -> Option<LibraryFacts> {
    Some(LibraryFacts {
        attempts: vec![refused(path, dlerror)],
        loaded: None,
    })
}

fn loaded(version: &str, runtime: u32, is_supported: bool) -> Option<LibraryFacts> {
    let library = LoadedLibrary {
        path: "libedgetpu.so.1".into(),
        version: version.into(),
        runtime: Some(runtime),
        is_supported,
    };
    Some(LibraryFacts {
        attempts: vec![],
        loaded: Some(library),
    })
}

struct Case {
    cause: Cause,
    severity: Severity,
    /// Words that `found` must have.
    found: &'static [&'static str],
    /// Words that `fix` must have.
    fix: &'static [&'static str],
    facts: Facts,
}

#[test]
fn each_cause_is_found_with_its_fix_and_nothing_else() {
    let mut seen = BTreeSet::new();
    for case in loading::library_cases()
        .into_iter()
        .chain(loading::model_cases())
        .chain(attached::device_cases())
    {
        let report = diagnose(&case.facts);
        let [finding] = report.findings.as_slice() else {
            panic!(
                "{}: {:#?}\nfrom {:#?}",
                case.cause, report.findings, case.facts
            );
        };
        assert_eq!(
            (finding.cause, finding.severity),
            (case.cause, case.severity),
            "{finding}"
        );
        for word in case.found {
            assert!(
                finding.found.contains(word),
                "`{word}` missing in what was found: {finding}"
            );
        }
        for word in case.fix {
            assert!(
                finding.fix.contains(word),
                "`{word}` missing in the fix: {finding}"
            );
        }
        assert!(
            !finding.found.contains('\n') && !finding.what.is_empty(),
            "{finding}"
        );
        assert_eq!(report.healthy(), case.severity != Severity::Error);
        seen.insert(case.cause.id());
    }
    let missing: Vec<_> = Cause::ALL
        .iter()
        .map(|cause| cause.id())
        .filter(|id| !seen.contains(id))
        .collect();
    assert!(missing.is_empty(), "no case for {missing:?}");
}

#[test]
fn healthy_machines_have_no_findings() {
    let model = ModelFacts::new("m_edgetpu.tflite", Some(14), Some("16.0.384591198".into()));
    // A fresh stick on bare metal waits for firmware: that is how it should be.
    for fake in [with_stick(), with_module(), with_bootloader_stick()] {
        let facts = Facts {
            library: loaded(
                "BuildLabel(COMPILER=6.3.0 20170516,DATE=redacted,TIME=redacted), RuntimeVersion(14)",
                14,
                true,
            ),
            model: Some(model.clone()),
            opens: vec![OpenAttempt {
                path: "/sys/bus/usb/devices/2-1".into(),
                error: None,
            }],
            ..facts(&fake)
        };
        assert_eq!(diagnose(&facts), Report::default());
    }
}

#[test]
fn the_worst_comes_first() {
    let fake = machine();
    fake.stick(0x18d1, 0x9302, 1, 4, &[2], 480);
    fake.node("dev/bus/usb/001/004", 46, 0o660, Opening::Refused);
    let facts = Facts {
        library: not_loaded(
            "x",
            "cannot open shared object file: No such file or directory",
        ),
        ..facts(&fake)
    };
    let causes: Vec<_> = diagnose(&facts)
        .findings
        .iter()
        .map(|finding| finding.cause)
        .collect();
    assert_eq!(
        causes,
        [Cause::LibraryMissing, Cause::NoPermission, Cause::SlowUsb]
    );
}

#[test]
fn findings_print_as_a_paragraph() {
    let facts = Facts {
        model: Some(ModelFacts::new("m.tflite", None, None)),
        ..facts(&with_stick())
    };
    assert_eq!(
        diagnose(&facts).findings[0].to_string(),
        "error: model-not-compiled: m.tflite: no operator edgetpu-custom-op, all of it runs on the CPU\n    \
         compile it with edgetpu_compiler (the result is named ..._edgetpu.tflite), or choose device cpu"
    );
}

#[test]
fn facts_are_gathered_on_this_machine() -> Result<(), DeviceError> {
    let facts = Facts::gather(&super::super::System::host())?;
    assert!(facts.host.kernel_version().is_some());
    Ok(())
}

#[test]
fn steps_walk_the_chain_in_order_and_hold_every_finding() {
    let checks = |facts: &Facts| -> Vec<(Check, Outcome)> {
        steps(facts, &diagnose(facts))
            .iter()
            .map(|step| (step.check, step.outcome))
            .collect()
    };
    use Check::*;
    use Outcome::{Fail, Ok, Skipped, Warn};
    let library = || loaded("BuildLabel(), RuntimeVersion(14)", 14, true);
    let healthy = Facts {
        library: library(),
        model: Some(ModelFacts::new("m_edgetpu.tflite", Some(13), None)),
        opens: vec![OpenAttempt {
            path: "/sys/bus/usb/devices/2-1".into(),
            error: None,
        }],
        ..facts(&with_stick())
    };
    let expected = [
        (Library, Ok),
        (Version, Ok),
        (Model, Ok),
        (Attached, Ok),
        (Access, Ok),
        (Free, Ok),
        (Speed, Ok),
        (Firmware, Ok),
        (Open, Ok),
    ];
    assert_eq!(checks(&healthy), expected);

    let hot = with_module();
    hot.write("sys/class/apex/apex_0/temp", "91500\n");
    let expected = [
        (Library, Fail),
        (Version, Skipped),
        (Attached, Ok),
        (Driver, Ok),
        (Access, Ok),
        (Free, Ok),
        (Chip, Warn),
        (Open, Skipped),
    ];
    let hot = Facts {
        library: not_loaded("x", "file too short"),
        ..facts(&hot)
    };
    assert_eq!(checks(&hot), expected);

    // Whatever is found stands in exactly one step, with all its words.
    for case in loading::library_cases()
        .into_iter()
        .chain(loading::model_cases())
        .chain(attached::device_cases())
    {
        let report = diagnose(&case.facts);
        let steps = steps(&case.facts, &report);
        let found: Vec<_> = steps.iter().flat_map(|step| &step.findings).collect();
        assert_eq!(found, report.findings.iter().collect::<Vec<_>>());
        let texts: Vec<String> = steps.iter().map(ToString::to_string).collect();
        let text = texts.join("\n");
        for word in case.found.iter().chain(case.fix) {
            assert!(text.contains(word), "`{word}` missing in\n{text}");
        }
    }
}

#[test]
fn steps_print_as_lines_with_fixes_below() {
    let facts = Facts {
        library: loaded("BuildLabel(), RuntimeVersion(14)", 14, true),
        model: Some(ModelFacts::new("m.tflite", None, None)),
        ..facts(&with_stick())
    };
    let lines: Vec<String> = steps(&facts, &diagnose(&facts))
        .iter()
        .map(ToString::to_string)
        .collect();
    assert_eq!(
        lines[..4],
        [
            "ok   library   libedgetpu.so.1: loads",
            "ok   version   libedgetpu.so.1: BuildLabel(), RuntimeVersion(14)",
            "fail model     m.tflite: no operator edgetpu-custom-op, all of it runs on the CPU [model-not-compiled]\n\
             \x20              compile it with edgetpu_compiler (the result is named ..._edgetpu.tflite), or choose device cpu",
            "ok   attached  1 Edge TPU(s)",
        ]
    );
}

#[test]
fn a_device_asked_for_is_looked_at_alone() {
    let fake = with_stick();
    fake.stick(0x18d1, 0x9302, 1, 4, &[2], 480);
    let mut facts = facts(&fake);
    assert_eq!(diagnose(&facts).findings[0].cause, Cause::SlowUsb);
    facts.choose(&"/sys/bus/usb/devices/2-1".parse().unwrap());
    assert_eq!(diagnose(&facts), Report::default());
    facts.choose(&"pci:0".parse().unwrap());
    let report = diagnose(&facts);
    let [finding] = report.findings.as_slice() else {
        panic!("{report:#?}")
    };
    assert_eq!(finding.cause, Cause::NoDevice);
    assert!(
        finding.found.contains("`pci:0`: not present, found usb:0"),
        "{finding}"
    );
}
