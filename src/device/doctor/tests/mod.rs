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

fn not_loaded(path: &str, error: &str) -> Option<LibraryFacts> {
    Some(LibraryFacts {
        attempts: vec![LoadAttempt::new(path, error)],
        loaded: None,
    })
}

fn loaded(version: &str) -> Option<LibraryFacts> {
    let library = LoadedLibrary {
        path: "libedgetpu.so.1".into(),
        version: version.into(),
    };
    Some(LibraryFacts {
        attempts: vec![],
        loaded: Some(library),
    })
}

/// An error in glibc's words for a file that is not there.
fn no_such_file(name: &str) -> String {
    format!("{name}: cannot open shared object file: No such file or directory")
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
        library: not_loaded("x", &no_such_file("x")),
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
