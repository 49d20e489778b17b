//! `corallite devices` and `corallite doctor`, on machines in folders and on a stand-in for libedgetpu.

mod corpus;
mod model_builder;
#[cfg(not(all(target_env = "musl", target_feature = "crt-static")))]
mod standin;
mod tool;

use model_builder::doubling;
use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use tool::{Folder, Ran};

/// A machine's files in a folder: a stick, a module, both or none.
struct Machine(Folder);

impl Machine {
    fn new() -> Self {
        let machine = Self(Folder::new());
        machine.write("proc/sys/kernel/osrelease", "6.1.0-18-amd64\n");
        machine
    }

    fn write(&self, path: &str, text: &str) {
        let path = self.0.path(path);
        std::fs::create_dir_all(path.parent().expect("a folder")).expect("folder");
        std::fs::write(path, text).expect("file");
    }

    /// A node is a character device; any will do.
    fn node(&self, path: &str) {
        let path = self.0.path(path);
        std::fs::create_dir_all(path.parent().expect("a folder")).expect("folder");
        std::os::unix::fs::symlink("/dev/null", path).expect("link");
    }

    fn stick(&self, product: (&str, &str), speed: &str) {
        for (file, text) in [
            ("idVendor", product.0),
            ("idProduct", product.1),
            ("devnum", "7"),
            ("speed", speed),
        ] {
            self.write(&format!("sys/bus/usb/devices/2-1/{file}"), text);
        }
        self.node("dev/bus/usb/002/007");
    }

    fn module(&self, temperature: &str) {
        for (file, text) in [
            ("pci_address", "0000:03:00.0"),
            ("driver_version", "1.2"),
            ("status", "ALIVE"),
            ("temp", temperature),
            ("trip_point0_temp", "85000"),
            ("trip_point1_temp", "90000"),
            ("trip_point2_temp", "95000"),
        ] {
            self.write(&format!("sys/class/apex/apex_0/{file}"), text);
        }
        self.node("dev/apex_0");
    }

    fn run(&self, command: &str, arguments: &[&str]) -> Ran {
        let root = self.0.path("");
        let root = root.to_str().expect("UTF-8");
        tool::tool(&[&[command, "--root", root], arguments].concat())
    }
}

const RUNNING: (&str, &str) = ("18d1", "9302");

#[test]
fn devices_prints_a_line_each_and_json() {
    let machine = Machine::new();
    machine.stick(RUNNING, "5000");
    machine.module("52250");
    let ran = machine.run("devices", &[]);
    assert_eq!(
        ran.succeeded(),
        "0 PCI /dev/apex_0 alive, 52.2 C, up to 500 MHz, accessible\n\
         1 USB /sys/bus/usb/devices/2-1 5000 Mbit/s, firmware running, accessible\n"
    );
    let ran = machine.run("devices", &["--json"]);
    let devices: Value = serde_json::from_str(ran.succeeded()).expect("JSON");
    assert_eq!(
        devices[0]["pcie"],
        json!({
            "address": "0000:03:00.0", "driver": "apex", "driver_version": "1.2", "status": "alive",
            "temperature_celsius": 52.25, "trip_points_celsius": [85.0, 90.0, 95.0],
            "shutdown_celsius": null, "clock_limit_khz": 500_000,
        })
    );
    assert_eq!(
        devices[1]["usb"],
        json!({ "state": "firmware running", "speed": "5000 Mbit/s", "bus": 2, "address": 7, "ports": [1] })
    );
    let stick = &devices[1];
    assert_eq!(
        (
            &stick["index"],
            &stick["kind_index"],
            &stick["kind"],
            &stick["usable"]
        ),
        (&json!(1), &json!(0), &json!("usb"), &json!(true))
    );
    assert_eq!(stick["path"], "/sys/bus/usb/devices/2-1");
}

#[test]
fn no_devices_are_no_failure_and_the_next_step_is_named() {
    let machine = Machine::new();
    let ran = machine.run("devices", &[]);
    assert_eq!(
        ran.succeeded(),
        "no Edge TPU found; `corallite doctor` looks for the cause and tells what to do\n"
    );
    assert_eq!(machine.run("devices", &["--json"]).succeeded(), "[]\n");
}

/// The outcome of each check, and the causes, from the JSON form.
fn outcomes(ran: &Ran) -> (Vec<(String, String)>, Vec<String>) {
    let report: Value = serde_json::from_str(&ran.stdout).expect("JSON");
    let text = |value: &Value| value.as_str().expect("text").to_owned();
    let steps = report["steps"].as_array().expect("steps");
    let causes = steps
        .iter()
        .flat_map(|step| step["findings"].as_array().expect("findings"))
        .map(|finding| text(&finding["cause"]))
        .collect();
    let steps = steps
        .iter()
        .map(|step| (text(&step["check"]), text(&step["outcome"])))
        .collect();
    assert_eq!(report["healthy"], ran.code == 0);
    (steps, causes)
}

#[test]
fn doctor_ends_with_the_verdict_as_exit_code() {
    struct Case {
        prepare: fn(&Machine),
        code: i32,
        causes: &'static [&'static str],
        words: &'static [&'static str],
    }
    let cases = [
        Case {
            prepare: |machine| machine.stick(RUNNING, "5000"),
            code: 0,
            causes: &[],
            words: &[
                "ok   attached  1 Edge TPU(s)",
                "healthy: 0 error(s), 0 warning(s)",
            ],
        },
        Case {
            prepare: |machine| machine.stick(RUNNING, "480"),
            code: 0,
            causes: &["slow-usb"],
            words: &[
                "warn speed",
                "USB 3 port",
                "healthy: 0 error(s), 1 warning(s)",
            ],
        },
        Case {
            prepare: |_| {},
            code: 1,
            causes: &["no-device"],
            words: &["fail attached", "plug it in", "not healthy: 1 error(s)"],
        },
        Case {
            prepare: |machine| machine.module("92000"),
            code: 0,
            causes: &["thermal-throttling"],
            words: &["warn chip", "125.0 of 500 MHz"],
        },
        Case {
            prepare: |machine| {
                machine.write("sys/bus/pci/devices/0000:03:00.0/vendor", "0x1ac1\n");
                machine.write("sys/bus/pci/devices/0000:03:00.0/device", "0x089a\n");
            },
            code: 1,
            causes: &["driver-missing"],
            words: &["fail driver    0000:03:00.0", "gasket-dkms"],
        },
    ];
    for case in cases {
        let machine = Machine::new();
        (case.prepare)(&machine);
        let ran = machine.run("doctor", &[]);
        assert_eq!((ran.code, ran.stderr.as_str()), (case.code, ""), "{ran:?}");
        for word in case.words {
            assert!(ran.stdout.contains(word), "{word:?} in\n{}", ran.stdout);
        }
        let ran = machine.run("doctor", &["--json"]);
        assert_eq!(outcomes(&ran).1, case.causes, "{ran:?}");
    }
}

#[test]
fn doctor_looks_at_one_device_where_one_is_named() {
    let machine = Machine::new();
    machine.stick(RUNNING, "480");
    machine.module("40000");
    assert_eq!(
        outcomes(&machine.run("doctor", &["--json"])).1,
        ["slow-usb"]
    );
    let ran = machine.run("doctor", &["--json", "--device", "pci:0"]);
    assert_eq!(outcomes(&ran).1, [] as [&str; 0]);
    let ran = machine.run("doctor", &["--json", "--device", "usb:3"]);
    assert_eq!(
        (ran.code, outcomes(&ran).1),
        (1, vec!["no-device".to_owned()])
    );
}

#[test]
fn doctor_says_of_a_model_that_it_is_not_compiled() {
    let machine = Machine::new();
    machine.stick(RUNNING, "5000");
    let model = machine.0.write("model.tflite", doubling().to_bytes());
    let model = model.to_str().expect("UTF-8");
    let ran = machine.run("doctor", &[model, "--json"]);
    assert_eq!(outcomes(&ran).1, ["model-not-compiled"]);
    assert_eq!(ran.code, 1);
    let ran = machine.run("doctor", &["missing.tflite"]);
    assert!(ran.refused(1).contains("missing.tflite"), "{ran:?}");
}

/// A library that is not there, is for other machines, or is none.
#[test]
#[cfg(not(all(target_env = "musl", target_feature = "crt-static")))]
fn doctor_says_why_libedgetpu_does_not_load() {
    let folder = Folder::new();
    let foreign = {
        // An ELF header of 64-bit big-endian s390 (machine 22), which no Edge TPU was ever attached to.
        let mut header = [0_u8; 64];
        header[..6].copy_from_slice(b"\x7fELF\x02\x02");
        header[19] = 22;
        folder.write("foreign.so", header)
    };
    let text = folder.write("text.so", "not a library");
    let cases: [(&Path, &str, &str); 4] = [
        (
            Path::new("/nonexistent/libedgetpu.so.1"),
            "library-missing",
            "/nonexistent/libedgetpu.so.1 (no such file)",
        ),
        (
            &foreign,
            "wrong-architecture",
            "64-bit ELF machine 22 big-endian",
        ),
        (&text, "library-unusable", "repair or replace the file"),
        (
            Path::new("libc.so.6"),
            "library-unusable",
            "does not export edgetpu_",
        ),
    ];
    for (library, cause, words) in cases {
        let mut command = tool::command(&["doctor", "--json", "--no-open"]);
        let ran = Ran::from(
            command
                .env("CORALLITE_LIBEDGETPU", library)
                .output()
                .expect("the tool starts"),
        );
        let (steps, causes) = outcomes(&ran);
        assert_eq!(ran.code, 1, "{ran:?}");
        assert_eq!(
            steps[0],
            ("library".to_owned(), "fail".to_owned()),
            "{ran:?}"
        );
        assert!(causes.contains(&cause.to_owned()), "{cause}: {ran:?}");
        assert!(ran.stdout.contains(words), "{words}: {ran:?}");
    }
}

#[cfg(not(all(target_env = "musl", target_feature = "crt-static")))]
mod on_the_stand_in {
    use super::*;
    use crate::standin::StandIn;
    use corallite::oracle::npy::NpyArray;

    fn doctor(standin: &StandIn, arguments: &[&str]) -> Ran {
        let mut command = tool::command(&[&["doctor", "--json"], arguments].concat());
        command
            .env("CORALLITE_LIBEDGETPU", standin.library())
            .env("CORALLITE_LOCK_DIR", standin.file(""));
        command.output().expect("the tool starts").into()
    }

    fn compiled() -> Option<PathBuf> {
        let models = corpus::test_data()?.join("corpus/models");
        Some(models.join("split_concat_edgetpu.tflite"))
    }

    #[test]
    fn doctor_is_content_with_a_device_that_opens() {
        let standin = StandIn::new(&[]);
        let (steps, causes) = outcomes(&doctor(&standin, &[]));
        assert_eq!(causes, [] as [&str; 0]);
        let steps: Vec<_> = steps
            .iter()
            .map(|(c, o)| (c.as_str(), o.as_str()))
            .collect();
        assert_eq!(steps[0], ("library", "ok"));
        assert_eq!(steps[1], ("version", "ok"));
        assert_eq!(steps[2], ("attached", "ok"));
        assert_eq!(steps.last(), Some(&("open", "ok")));
        let (steps, _) = outcomes(&doctor(&standin, &["--no-open"]));
        assert_eq!(steps.last(), Some(&("open".to_owned(), "skip".to_owned())));
    }

    #[test]
    fn doctor_tells_what_libedgetpu_says_of_a_device_that_does_not_open() {
        let standin = StandIn::new(&[("fault", "null")]);
        let ran = doctor(&standin, &[]);
        assert_eq!(
            (ran.code, outcomes(&ran).1),
            (1, vec!["open-failed".to_owned()])
        );
        assert!(ran.stdout.contains("USB error -3"), "{}", ran.stdout);
    }

    #[test]
    fn doctor_compares_the_model_with_the_library() {
        let Some(model) = compiled() else { return };
        let model = model.to_str().expect("UTF-8");
        // The model needs 13, by the table of the notes on the format.
        let old = "BuildLabel(COMPILER=x,DATE=redacted,CL_NUMBER=1), RuntimeVersion(12)";
        let standin = StandIn::new(&[("version", old)]);
        let ran = doctor(&standin, &[model]);
        assert!(
            outcomes(&ran).1.contains(&"library-too-old".to_owned()),
            "{ran:?}"
        );
        let standin = StandIn::new(&[]);
        let ran = doctor(&standin, &[model]);
        assert_eq!((ran.code, outcomes(&ran).1), (0, vec![]));
        // A number in it that leads out of its place: found before anything is opened.
        let folder = Folder::new();
        let mut bytes = std::fs::read(model).expect("the model");
        let place = bytes
            .windows(4)
            .position(|w| w == b"DWN1")
            .expect("a package");
        bytes[place] = b'X';
        let damaged = folder.write("damaged_edgetpu.tflite", bytes);
        let ran = doctor(&standin, &[damaged.to_str().expect("UTF-8")]);
        assert_eq!(
            (ran.code, outcomes(&ran).1),
            (1, vec!["package-damaged".to_owned()])
        );
    }

    #[test]
    fn doctor_names_who_holds_the_lock() {
        let standin = StandIn::new(&[]);
        let directory = standin.file("");
        let lock = corallite::device::DeviceLock::acquire_in(
            "/sys/bus/usb/devices/2-1",
            std::slice::from_ref(&directory),
        )
        .expect("a lock of our own");
        let ran = doctor(&standin, &[]);
        assert_eq!(
            (ran.code, outcomes(&ran).1),
            (1, vec!["held-by-process".to_owned()])
        );
        assert!(
            ran.stdout
                .contains(&format!("process {}", std::process::id())),
            "{}",
            ran.stdout
        );
        drop(lock);
        assert_eq!(doctor(&standin, &[]).code, 0);
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn doctor_outlives_a_libedgetpu_that_ends_its_process() {
        let standin = StandIn::new(&[("fault", "abort-create")]);
        let ran = doctor(&standin, &[]);
        assert_eq!(
            (ran.code, outcomes(&ran).1),
            (1, vec!["open-failed".to_owned()])
        );
        assert!(ran.stdout.contains("SIGABRT"), "{}", ran.stdout);
    }

    #[test]
    fn run_uses_the_device_that_is_named_and_says_so() {
        let Some(data) = corpus::test_data() else {
            return;
        };
        let path = |name: &str| {
            let path = data.join(format!("corpus/models/{name}.tflite"));
            path.to_str().expect("UTF-8").to_owned()
        };
        let twin = path("mobilenet_v1_0.25_128_quant");
        let compiled = path("mobilenet_v1_0.25_128_quant_edgetpu");
        let folder = Folder::new();
        let pixels: Vec<u8> = (0..128 * 128 * 3)
            .map(|place| (place % 251) as u8)
            .collect();
        let input = NpyArray::from_slice(&pixels, &[1, 128, 128, 3]).expect("an array");
        let input = folder.write("in.npy", input.to_bytes().expect("bytes"));
        let run = |standin: &StandIn, model: &str, more: &[&str]| -> (Ran, Vec<u8>) {
            let out = folder.path("out");
            let _ = std::fs::remove_dir_all(&out);
            let input = input.to_str().expect("UTF-8");
            let arguments = [
                "run",
                model,
                "--input",
                input,
                "--output-dir",
                out.to_str().expect("UTF-8"),
            ];
            let ran = tool::command(&[&arguments, more].concat())
                .env("CORALLITE_LIBEDGETPU", standin.library())
                .env("CORALLITE_LOCK_DIR", standin.file(""))
                .output()
                .expect("the tool starts");
            (
                ran.into(),
                std::fs::read(out.join("out0.npy")).unwrap_or_default(),
            )
        };
        let standin = StandIn::new(&[("twin", &twin)]);
        let (ran, expected) = run(&standin, &twin, &[]);
        ran.succeeded();
        assert!(!expected.is_empty());
        for (more, place) in [
            (&["--device", "usb:0"][..], ""),
            #[cfg(target_os = "linux")]
            (&["--isolated"][..], ", in a process of its own"),
        ] {
            let (ran, found) = run(&standin, &compiled, more);
            assert_eq!((ran.code, found == expected), (0, true), "{ran:?}");
            let said = format!(
                "corallite: {compiled}: running on Edge TPU usb /sys/bus/usb/devices/2-1{place}\n"
            );
            assert_eq!(ran.stderr, said);
        }
        let unplugged = StandIn::new(&[("devices", "")]);
        let (ran, found) = run(&unplugged, &compiled, &["--cpu-model", &twin]);
        assert_eq!((ran.code, found == expected), (0, true), "{ran:?}");
        assert!(
            ran.stderr
                .contains("running on CPU: the uncompiled model, because"),
            "{ran:?}"
        );
        let (ran, _) = run(
            &unplugged,
            &format!("{compiled}@pci:0"),
            &["--cpu-model", &twin],
        );
        assert!(ran.refused(1).contains("device `pci:0`"), "{ran:?}");
        let (ran, _) = run(
            &standin,
            &compiled,
            &["--device-option", "Performance=Fast"],
        );
        assert!(
            ran.refused(2).contains("expected Low, Medium, High or Max"),
            "{ran:?}"
        );
    }
}
