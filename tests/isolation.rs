//! Devices that fail, in a process of their own: every row of what the official libedgetpu 16.0 does when its device
//! fails, played by the stand-in. The application gets an error of a type, keeps its inputs, and its next inference works.
//!
//! No test asserts a time; deadlines are short so that what hangs is over soon.
#![cfg(all(
    target_os = "linux",
    not(all(target_env = "musl", target_feature = "crt-static"))
))]

mod compiled_model;
mod model_builder;
mod standin;

use corallite::delegate::EdgeTpuDelegate;
use corallite::delegate::isolated::{
    Deadlines, IsolatedEdgeTpu, Isolation, IsolationError, Loss, worker_main,
};
use corallite::ffi::{DeviceKind, DeviceRecord, SearchPath};
use corallite::interpreter::InvokeError;
use corallite::ops::{DeviceFault, EvalError};
use corallite::{Interpreter, Model};
use model_builder::{INT8, UINT8};
use standin::StandIn;
use std::sync::Mutex;
use std::time::{Duration, Instant};

/// What the worker of every other test runs; a test that does nothing otherwise.
#[test]
fn worker_process() {
    worker_main();
}

/// As long as one inference of the stand-in may take here, many times over; what hangs costs this much.
const HANG: Duration = Duration::from_millis(1500);

/// For what must not be cut short: starting the worker on a busy machine, under an emulator.
const PATIENCE: Duration = Duration::from_secs(60);

fn deadlines() -> Deadlines {
    let mut deadlines = Deadlines::default();
    deadlines.open = PATIENCE;
    deadlines.prepare = PATIENCE;
    deadlines.inference = HANG;
    deadlines.times_slowest = 1;
    deadlines.per_mebibyte = Duration::ZERO;
    deadlines.close = HANG;
    deadlines
}

fn isolation(standin: &StandIn) -> Isolation {
    Isolation::default()
        .worker(standin::worker(standin))
        .library(SearchPath::named(standin.library()))
        .deadlines(deadlines())
        .pauses(Duration::ZERO, Duration::ZERO)
}

fn stick() -> DeviceRecord {
    DeviceRecord {
        kind: DeviceKind::Usb,
        path: "/sys/bus/usb/devices/2-1".into(),
    }
}

fn model(builder: &model_builder::Model) -> Model {
    Model::from_bytes(&builder.to_bytes()).expect("a model")
}

fn interpreter(edge_tpu: &IsolatedEdgeTpu, ty: i8) -> Interpreter {
    let model = model(&compiled_model::single(ty, 16, 4));
    Interpreter::builder(&model)
        .delegate(EdgeTpuDelegate::isolated(edge_tpu.clone()))
        .build()
        .expect("an interpreter")
}

/// What the stand-in computes of one input: see `hardware-tests/standin/engine.rs`.
fn digest(input: &[u8], len: usize) -> Vec<u8> {
    let sum: u64 = input
        .iter()
        .enumerate()
        .map(|(place, &byte)| (2 * place as u64 + 1) * u64::from(byte))
        .sum();
    (0..len as u64)
        .map(|place| ((sum + place) % 256) as u8)
        .collect()
}

const INPUT: [u8; 16] = [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 200, 201, 202, 203, 204, 205];

/// Writes the input once; all later inferences find it there.
fn fill(interpreter: &mut Interpreter) {
    let mut input = interpreter.input_mut(0).expect("an input");
    input.bytes_mut().copy_from_slice(&INPUT);
}

fn output(interpreter: &Interpreter) -> Vec<u8> {
    interpreter.output(0).expect("an output").bytes().to_vec()
}

fn assert_works(interpreter: &mut Interpreter, case: &str) {
    interpreter
        .invoke()
        .unwrap_or_else(|error| panic!("{case}: {error}"));
    assert_eq!(output(interpreter), digest(&INPUT, 4), "{case}");
    let input = interpreter.input(0).expect("an input");
    assert_eq!(input.bytes(), INPUT, "{case}: the input changed");
}

fn fault_of(error: &InvokeError) -> (DeviceFault, &str) {
    match &error.source {
        EvalError::Device { fault, reason, .. } => (*fault, reason),
        other => panic!("{other:?}"),
    }
}

/// Waits until the worker has noticed by itself that its device is gone.
fn wait_for_death(edge_tpu: &IsolatedEdgeTpu) {
    let start = Instant::now();
    while edge_tpu.worker_id().is_some() {
        assert!(start.elapsed() < PATIENCE, "the worker lives");
        std::thread::sleep(Duration::from_millis(2));
    }
}

/// A fault, and what the application is told.
struct Case {
    fault: &'static str,
    told: DeviceFault,
    words: &'static str,
}

const fn lost(fault: &'static str, words: &'static str) -> Case {
    Case {
        fault,
        told: DeviceFault::Lost,
        words,
    }
}

/// The fault strikes in the second inference; the first and the third work.
fn strikes_in_the_second_inference(cases: &[Case]) {
    for Case { fault, told, words } in cases {
        let trigger = format!("{}/trigger", env!("CARGO_TARGET_TMPDIR"));
        let trigger = format!(
            "{trigger}-{}-{}",
            std::process::id(),
            fault.replace(['@', ':'], "-")
        );
        let standin = StandIn::new(&[("fault", &format!("{fault}@2")), ("trigger", &trigger)]);
        let edge_tpu = isolation(&standin).open(&stick()).expect(fault);
        let mut interpreter = interpreter(&edge_tpu, INT8);
        fill(&mut interpreter);
        assert_works(&mut interpreter, fault);
        let first = edge_tpu.worker_id();
        std::fs::write(&trigger, "").expect("a trigger");
        let error = interpreter.invoke().expect_err(fault);
        let (found, reason) = fault_of(&error);
        assert_eq!(found, *told, "{fault}: {error}");
        assert!(reason.contains(words), "{fault}: {error}");
        assert_works(&mut interpreter, fault);
        assert_works(&mut interpreter, fault);
        let is_another = edge_tpu.worker_id() != first;
        assert_eq!(is_another, *told == DeviceFault::Lost, "{fault}");
    }
}

/// Rows: unplugged during an inference or at its start, a write or its submission that fails, a device that takes no more
/// data, a read that fails, an event that fails or is none, a fatal interrupt; and a crash.
#[test]
fn what_aborts_libedgetpu_is_a_lost_device_with_its_last_words() {
    strikes_in_the_second_inference(&[
        lost(
            "abort",
            "ended by SIGABRT: HandleQueuedBulkIn transfer in failed. Not found: USB transfer error 5",
        ),
        lost(
            "abort-header",
            "ended by SIGABRT: bulk out for header failed. Abort. Not found: USB error -4",
        ),
        lost(
            "abort-payload",
            "transfer on tag 1 failed. Abort. Internal: USB transfer error 1",
        ),
        lost(
            "abort-deadline:50",
            "Deadline exceeded: USB transfer error 2",
        ),
        lost(
            "abort-event",
            "HandleEvent failed. Not found: USB transfer error 5",
        ),
        lost("abort-tag", "Unknown descriptor from device"),
        lost(
            "abort-hib",
            "HIB Error. hib_error_status = 0000000000000002; Fatal error. Abort.",
        ),
        lost("crash", "ended by SIGSEGV"),
    ]);
}

/// Rows: unplugged during an inference, a device that takes no more data and no time-out, output that never arrives or is
/// too short, an event that is missing or of a wrong tag.
#[test]
fn what_hangs_libedgetpu_is_a_lost_device_after_the_deadline() {
    strikes_in_the_second_inference(&[lost("hang", "no answer to an inference within 1.5s")]);
}

/// An error that libedgetpu does report costs nothing but this inference: the worker stays.
#[test]
fn what_libedgetpu_reports_is_a_failed_inference() {
    strikes_in_the_second_inference(&[Case {
        fault: "error",
        told: DeviceFault::Failed,
        words: "Failed to execute request. Deadline exceeded: the stand-in was told to fail 100%n.",
    }]);
}

/// Row: unplugged while idle, which libedgetpu notices at once.
#[test]
fn a_device_lost_while_idle_is_reported_by_the_next_inference() {
    let trigger = format!(
        "{}/idle-{}",
        env!("CARGO_TARGET_TMPDIR"),
        std::process::id()
    );
    let standin = StandIn::new(&[("fault", "abort-idle"), ("trigger", &trigger)]);
    let edge_tpu = isolation(&standin).open(&stick()).expect("a device");
    let mut interpreter = interpreter(&edge_tpu, UINT8);
    fill(&mut interpreter);
    assert_works(&mut interpreter, "before");
    std::fs::write(&trigger, "").expect("a trigger");
    wait_for_death(&edge_tpu);
    let error = interpreter.invoke().expect_err("the device is gone");
    let (fault, reason) = fault_of(&error);
    assert_eq!(fault, DeviceFault::Lost);
    assert!(reason.contains("USB transfer error 5"), "{error}");
    assert_works(&mut interpreter, "after");
}

/// Rows: unplugged while idle, and a read that cannot be posted again: libedgetpu's thread ends silently, the next
/// inference hangs.
#[test]
fn a_device_lost_silently_is_reported_by_the_inference_that_hangs() {
    let trigger = format!(
        "{}/silent-{}",
        env!("CARGO_TARGET_TMPDIR"),
        std::process::id()
    );
    let standin = StandIn::new(&[("fault", "hang-next@1"), ("trigger", &trigger)]);
    let edge_tpu = isolation(&standin).open(&stick()).expect("a device");
    let mut interpreter = interpreter(&edge_tpu, UINT8);
    fill(&mut interpreter);
    std::fs::write(&trigger, "").expect("a trigger");
    assert_works(&mut interpreter, "before");
    let error = interpreter.invoke().expect_err("the device is gone");
    assert_eq!(fault_of(&error).0, DeviceFault::Lost, "{error}");
    assert_works(&mut interpreter, "after");
}

/// Rows: stalls of up to 5 s out and 15 s in, reads that time out or are cancelled and are posted again, interrupts that
/// are ignored or only acknowledged (heat, a fatal one without an error). All give right results, late at worst.
#[test]
fn pauses_that_libedgetpu_survives_are_waited_for() {
    let standin = StandIn::new(&[("fault", "slow:1700@2")]);
    let mut patient = deadlines();
    patient.inference = PATIENCE;
    let edge_tpu = isolation(&standin)
        .deadlines(patient)
        .open(&stick())
        .expect("a device");
    let mut interpreter = interpreter(&edge_tpu, INT8);
    fill(&mut interpreter);
    let first = edge_tpu.worker_id();
    for inference in 0..3 {
        assert_works(&mut interpreter, &format!("inference {inference}"));
    }
    assert_eq!(edge_tpu.worker_id(), first);
}

/// Row: a write that is reported complete with fewer bytes than asked. libedgetpu does not notice; nobody can.
#[test]
fn fewer_bytes_than_asked_are_not_noticed() {
    let standin = StandIn::new(&[("fault", "short@2")]);
    let edge_tpu = isolation(&standin).open(&stick()).expect("a device");
    let mut interpreter = interpreter(&edge_tpu, UINT8);
    fill(&mut interpreter);
    assert_works(&mut interpreter, "before");
    interpreter.invoke().expect("no error");
    assert_ne!(output(&interpreter), digest(&INPUT, 4));
    assert_works(&mut interpreter, "after");
}

/// Row: output bytes too many. No error, and all later results are wrong; a restart helps, although closing would hang.
#[test]
fn shifted_results_are_right_again_after_a_restart() {
    let trigger = format!(
        "{}/shift-{}",
        env!("CARGO_TARGET_TMPDIR"),
        std::process::id()
    );
    let standin = StandIn::new(&[("fault", "shift@1"), ("trigger", &trigger)]);
    std::fs::write(&trigger, "").expect("a trigger");
    let edge_tpu = isolation(&standin).open(&stick()).expect("a device");
    let mut interpreter = interpreter(&edge_tpu, UINT8);
    fill(&mut interpreter);
    assert_works(&mut interpreter, "before");
    for _ in 0..2 {
        interpreter.invoke().expect("no error");
        assert_ne!(output(&interpreter), digest(&INPUT, 4));
    }
    edge_tpu.restart();
    assert_eq!(edge_tpu.worker_id(), None);
    assert_works(&mut interpreter, "after");
}

/// Rows of opening: each fault strikes when a lost device is opened again, and once.
#[test]
fn what_goes_wrong_in_opening_has_a_type_and_the_next_inference_tries_again() {
    let cases = [
        lost("abort-create", "ended by SIGABRT: Open failed. Abort."),
        lost(
            "null-return",
            "did not open it: Failed to open device [Apex (USB)] at [/sys/bus/usb/devices/2-1]: Not found",
        ),
        lost("null-firmware", "firmware read back differs"),
        lost("null-register", "Deadline exceeded: USB error -7"),
        Case {
            fault: "null-busy",
            told: DeviceFault::Busy,
            words: "in use by another process",
        },
        Case {
            fault: "null",
            told: DeviceFault::Failed,
            words: "Permission denied: USB error -3",
        },
    ];
    for Case { fault, told, words } in cases {
        let trigger = format!(
            "{}/open-{}-{fault}",
            env!("CARGO_TARGET_TMPDIR"),
            std::process::id()
        );
        let standin = StandIn::new(&[("fault", fault), ("trigger", &trigger)]);
        let edge_tpu = isolation(&standin).open(&stick()).expect(fault);
        let mut interpreter = interpreter(&edge_tpu, INT8);
        fill(&mut interpreter);
        assert_works(&mut interpreter, fault);
        edge_tpu.restart();
        std::fs::write(&trigger, "").expect("a trigger");
        let error = interpreter.invoke().expect_err(fault);
        let (found, reason) = fault_of(&error);
        assert_eq!(found, told, "{fault}: {error}");
        assert!(reason.contains(words), "{fault}: {error}");
        assert_works(&mut interpreter, fault);
    }
}

/// Rows of opening: an open that never returns, idle or with a busy processor, and the 25 s on a stale path.
#[test]
fn an_open_that_stalls_is_a_lost_device_after_its_deadline() {
    for fault in ["hang-create", "spin-create"] {
        let trigger = format!(
            "{}/stall-{}-{fault}",
            env!("CARGO_TARGET_TMPDIR"),
            std::process::id()
        );
        let standin = StandIn::new(&[("fault", fault), ("trigger", &trigger)]);
        std::fs::write(&trigger, "").expect("a trigger");
        let mut short = deadlines();
        short.open = HANG;
        let error = isolation(&standin)
            .deadlines(short)
            .open(&stick())
            .expect_err(fault);
        assert_eq!(error.fault(), DeviceFault::Lost, "{error}");
        assert_eq!(
            error.to_string(),
            "usb /sys/bus/usb/devices/2-1: opening took more than 1.5s"
        );
        let edge_tpu = isolation(&standin).open(&stick()).expect(fault);
        let mut interpreter = interpreter(&edge_tpu, UINT8);
        fill(&mut interpreter);
        assert_works(&mut interpreter, fault);
    }
}

/// Row: path not present. libedgetpu would wait 25 s; its list is looked at first.
#[test]
fn an_unplugged_device_is_lost_until_it_is_back() {
    let file = format!(
        "{}/unplugged-{}",
        env!("CARGO_TARGET_TMPDIR"),
        std::process::id()
    );
    let standin = StandIn::new(&[("unplugged", &file)]);
    let edge_tpu = isolation(&standin).open(&stick()).expect("a device");
    let mut interpreter = interpreter(&edge_tpu, INT8);
    fill(&mut interpreter);
    assert_works(&mut interpreter, "before");
    std::fs::write(&file, "").expect("the stick is out");
    edge_tpu.restart();
    for _ in 0..2 {
        let error = interpreter.invoke().expect_err("no device");
        let (fault, reason) = fault_of(&error);
        assert_eq!(fault, DeviceFault::Lost);
        assert_eq!(reason, "not plugged in: libedgetpu lists no device");
    }
    std::fs::remove_file(&file).expect("the stick is back");
    assert_works(&mut interpreter, "after");
}

/// Between attempts inferences fail at once and say when the next attempt is due.
#[test]
fn attempts_to_open_a_lost_device_are_spaced() {
    let file = format!(
        "{}/spaced-{}",
        env!("CARGO_TARGET_TMPDIR"),
        std::process::id()
    );
    let standin = StandIn::new(&[("unplugged", &file)]);
    let edge_tpu = isolation(&standin)
        .pauses(Duration::from_secs(3600), Duration::from_secs(7200))
        .open(&stick())
        .expect("a device");
    let mut interpreter = interpreter(&edge_tpu, INT8);
    fill(&mut interpreter);
    std::fs::write(&file, "").expect("the stick is out");
    edge_tpu.restart();
    // The restart was no failure: one attempt, one more without a pause, then an hour.
    for expected in [
        "not plugged in",
        "not plugged in",
        "next attempt to open it in 3",
    ] {
        let error = interpreter.invoke().expect_err("no device");
        let (fault, reason) = fault_of(&error);
        assert_eq!(fault, DeviceFault::Lost);
        assert!(reason.contains(expected), "{expected}: {error}");
    }
    std::fs::remove_file(&file).expect("the stick is back");
    assert!(interpreter.invoke().is_err(), "the pause is not over");
}

/// Rows: closing that takes long, and closing that never returns, as after output bytes too many.
#[test]
fn a_device_that_does_not_close_is_let_go_after_its_deadline() {
    for fault in ["slow-free:200", "hang-free"] {
        let standin = StandIn::new(&[("fault", fault)]);
        let edge_tpu = isolation(&standin).open(&stick()).expect(fault);
        let worker = edge_tpu.worker_id().expect("a worker");
        let mut interpreter = interpreter(&edge_tpu, UINT8);
        fill(&mut interpreter);
        assert_works(&mut interpreter, fault);
        drop(interpreter);
        drop(edge_tpu);
        assert!(!process_exists(worker), "{fault}");
        // The lock went with the worker.
        isolation(&standin).open(&stick()).expect(fault);
    }
}

fn process_exists(id: u32) -> bool {
    std::path::Path::new(&format!("/proc/{id}")).exists()
}

#[test]
fn a_second_opener_is_told_who_has_the_device() {
    let standin = StandIn::new(&[]);
    let edge_tpu = isolation(&standin).open(&stick()).expect("a device");
    let worker = edge_tpu.worker_id().expect("a worker");
    let error = isolation(&standin).open(&stick()).expect_err("in use");
    assert_eq!(error.fault(), DeviceFault::Busy, "{error}");
    let IsolationError::DeviceBusy {
        holder: Some(holder),
        ..
    } = &error
    else {
        panic!("{error:?}")
    };
    assert_eq!(holder.pid, worker);
    // The system's own words for the worker; under an emulator the emulator comes first.
    let command = std::fs::read(format!("/proc/{worker}/cmdline")).expect("a process");
    let command = String::from_utf8_lossy(&command).replace('\0', " ");
    assert!(!holder.command.is_empty(), "{holder}");
    assert!(command.starts_with(&holder.command), "{holder}: {command}");
    drop(edge_tpu);
    isolation(&standin).open(&stick()).expect("free again");
}

#[test]
fn several_models_and_threads_share_a_device_and_survive_its_loss() {
    let trigger = format!(
        "{}/shared-{}",
        env!("CARGO_TARGET_TMPDIR"),
        std::process::id()
    );
    let standin = StandIn::new(&[("fault", "abort@20"), ("trigger", &trigger)]);
    std::fs::write(&trigger, "").expect("a trigger");
    let edge_tpu = isolation(&standin).open(&stick()).expect("a device");
    let losses: usize = std::thread::scope(|scope| {
        let threads: Vec<_> = [INT8, UINT8, INT8]
            .into_iter()
            .map(|ty| {
                let mut interpreter = interpreter(&edge_tpu, ty);
                scope.spawn(move || {
                    fill(&mut interpreter);
                    let mut losses = 0;
                    for _ in 0..30 {
                        match interpreter.invoke() {
                            Ok(()) => assert_eq!(output(&interpreter), digest(&INPUT, 4)),
                            Err(error) => {
                                assert_eq!(fault_of(&error).0, DeviceFault::Lost, "{error}");
                                losses += 1;
                            }
                        }
                    }
                    losses
                })
            })
            .collect();
        let losses = threads
            .into_iter()
            .map(|thread| thread.join().expect("a thread"));
        losses.sum()
    });
    // Each loss is reported to one inference; the others run on the new worker.
    assert_eq!(losses, 1);
}

#[test]
fn several_devices_have_workers_of_their_own() {
    let standin = StandIn::new(&[("devices", "usb:/sys/bus/usb/devices/2-1,pci:/dev/apex_0")]);
    let module = DeviceRecord {
        kind: DeviceKind::Pci,
        path: "/dev/apex_0".into(),
    };
    let devices = [stick(), module];
    let opened = devices.map(|device| isolation(&standin).open(&device).expect("a device"));
    assert_ne!(opened[0].worker_id(), opened[1].worker_id());
    for edge_tpu in &opened {
        let mut interpreter = interpreter(edge_tpu, INT8);
        fill(&mut interpreter);
        assert_works(&mut interpreter, &edge_tpu.device().to_string());
    }
}

#[test]
fn what_is_missing_is_named() {
    let standin = StandIn::new(&[]);
    let error = isolation(&standin)
        .library(SearchPath::named("/nonexistent/libedgetpu.so.1"))
        .open(&stick())
        .expect_err("no library");
    assert!(matches!(error, IsolationError::Library { .. }), "{error:?}");
    assert!(
        error
            .to_string()
            .contains("/nonexistent/libedgetpu.so.1: no such file"),
        "{error}"
    );

    let other = DeviceRecord {
        kind: DeviceKind::Usb,
        path: "/sys/bus/usb/devices/9-9".into(),
    };
    let error = isolation(&standin).open(&other).expect_err("no device");
    assert!(
        matches!(
            &error,
            IsolationError::DeviceLost {
                loss: Loss::Absent { .. },
                ..
            }
        ),
        "{error:?}"
    );

    let program = corallite::delegate::isolated::WorkerProgram::at("/nonexistent/worker");
    let error = isolation(&standin)
        .worker(program)
        .open(&stick())
        .expect_err("no program");
    assert!(
        error
            .to_string()
            .starts_with("worker /nonexistent/worker: "),
        "{error}"
    );

    // A program that runs and is no worker.
    let program = corallite::delegate::isolated::WorkerProgram::at("/bin/false");
    let error = isolation(&standin)
        .worker(program)
        .open(&stick())
        .expect_err("no worker");
    assert!(error.to_string().contains("exit code 1"), "{error}");
}

/// A libedgetpu that is not ours, without a device: the diagnosis comes from the worker's list, at once.
#[test]
#[ignore = "needs a real libedgetpu, named in CORALLITE_LIBEDGETPU, and no device at the path 99-1"]
fn a_real_library_in_a_worker_names_the_absent_device() {
    let absent = DeviceRecord {
        kind: DeviceKind::Usb,
        path: "/sys/bus/usb/devices/99-1".into(),
    };
    let error = Isolation::default()
        .worker(standin::this_test_as_worker())
        .open(&absent)
        .expect_err("no device");
    let start = "usb /sys/bus/usb/devices/99-1: not plugged in: libedgetpu lists";
    assert!(error.to_string().starts_with(start), "{error}");
    assert_eq!(error.fault(), DeviceFault::Lost);
}

/// Gathers what libedgetpu tells in the workers.
struct Gather(Mutex<Vec<String>>);

static GATHERED: Gather = Gather(Mutex::new(Vec::new()));

impl log::Log for Gather {
    fn enabled(&self, metadata: &log::Metadata<'_>) -> bool {
        metadata.target() == "libedgetpu"
    }

    fn log(&self, record: &log::Record<'_>) {
        if self.enabled(record.metadata()) {
            let line = format!("{} {}", record.level(), record.args());
            self.0.lock().expect("a line").push(line);
        }
    }

    fn flush(&self) {}
}

#[test]
fn libedgetpu_tells_the_log_as_much_as_it_was_asked_to() {
    log::set_logger(&GATHERED).expect("the only logger");
    log::set_max_level(log::LevelFilter::Info);
    let standin = StandIn::new(&[]);
    let edge_tpu = isolation(&standin)
        .verbosity(1)
        .open(&stick())
        .expect("a device");
    let mut interpreter = interpreter(&edge_tpu, UINT8);
    fill(&mut interpreter);
    assert_works(&mut interpreter, "a worker that talks");
    drop((interpreter, edge_tpu));
    let line = "INFO Request [0]: Submitting request immediately. (driver/request.cc:1)";
    let start = Instant::now();
    while !GATHERED
        .0
        .lock()
        .expect("lines")
        .iter()
        .any(|found| found == line)
    {
        assert!(start.elapsed() < PATIENCE, "no line: {:?}", GATHERED.0);
        std::thread::sleep(Duration::from_millis(2));
    }
}
