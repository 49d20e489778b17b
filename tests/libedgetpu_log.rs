//! Where libedgetpu's lines end up, in the process that drives it and with a stand-in as libedgetpu: each case runs this
//! test program again, whose stdout and stderr are then read.
#![cfg(all(unix, not(all(target_env = "musl", target_feature = "crt-static"))))]

mod standin;

use std::io::Write;
use std::os::unix::process::ExitStatusExt;
use std::process::{Output, Stdio};

use corallite::ffi::{
    DelegateOptions, EdgeTpu, EdgeTpuLibrary, SearchPath, SessionBuilder, TensorSpec,
};
use corallite::tensor::{Shape, TensorType};
use standin::StandIn;

/// Runs `role` (see [`child`]) against a stand-in with these settings.
fn run(role: &str, settings: &[(&str, &str)]) -> (Output, String, String) {
    let standin = StandIn::new(settings);
    let output = standin::this_test()
        .args([
            "--exact",
            "child",
            "--ignored",
            "--nocapture",
            "--test-threads=1",
        ])
        .env("CORALLITE_LIBEDGETPU", standin.library())
        .env("CORALLITE_TEST_CHILD", role)
        .stdin(Stdio::null())
        .output()
        .expect("this test runs again");
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let (stdout, stderr) = (text(&output.stdout), text(&output.stderr));
    (output, stdout, stderr)
}

/// Logs to stdout or stderr, each record a line.
struct Logger {
    to_stderr: bool,
}

impl log::Log for Logger {
    fn enabled(&self, metadata: &log::Metadata<'_>) -> bool {
        metadata.target() == "libedgetpu"
    }

    fn log(&self, record: &log::Record<'_>) {
        if !self.enabled(record.metadata()) {
        } else if self.to_stderr {
            // In the form of libedgetpu's own lines.
            let letter = &record.level().as_str()[..1];
            let line = format!("{letter} logger.rs:1] {}\n", record.args());
            std::io::stderr()
                .write_all(line.as_bytes())
                .expect("stderr");
        } else {
            println!("logged {} {}", record.level(), record.args());
        }
    }

    fn flush(&self) {}
}

/// The application, in a process of its own. Its role: a logger (`none`, `stdout`, `stderr`), how many inferences it runs,
/// and how it ends (`return`, `exit`).
#[test]
#[ignore = "run by the other tests, in a process of its own"]
fn child() {
    let Ok(role) = std::env::var("CORALLITE_TEST_CHILD") else {
        return;
    };
    let mut role = role.split(' ');
    let mut next = || role.next().expect("logger, inferences, end");
    let to_stderr = match next() {
        "stdout" => Some(false),
        "stderr" => Some(true),
        _ => None,
    };
    if let Some(to_stderr) = to_stderr {
        log::set_boxed_logger(Box::new(Logger { to_stderr })).expect("the first logger");
        log::set_max_level(log::LevelFilter::Info);
    }

    let library =
        EdgeTpuLibrary::open(&SearchPath::from_environment()).expect("the stand-in loads");
    library.set_verbosity(1);
    let device = library.devices().remove(0);
    let edge_tpu =
        EdgeTpu::open(library, &device, DelegateOptions::default()).expect("the stand-in opens");
    let mut builder = SessionBuilder::new(edge_tpu);
    let spec =
        |dims: &[usize]| TensorSpec::new(TensorType::UInt8, Shape::new(dims).expect("a shape"));
    let options = b"corallite-standin\nin a u8 16\nout b u8 4\n";
    let node = builder
        .add_node(options, &[spec(&[1, 16])], &[spec(&[1, 4])])
        .expect("a node");
    let mut session = builder.prepare().expect("prepared");
    let inferences: u32 = next().parse().expect("a number");
    for number in 0..inferences {
        eprintln!("application: inference {number}");
        session
            .invoke(node, [&[1; 16][..]], [&mut [0; 4][..]])
            .expect("an inference");
    }
    eprint!("application: the end");
    if next() == "exit" {
        std::process::exit(3);
    }
}

const INFERENCE: &str = "Request [0]: Submitting request immediately.";

#[test]
fn lines_go_to_log_while_a_device_is_used_and_the_applications_stay_on_stderr() {
    let (output, stdout, stderr) = run("stdout 2 exit", &[]);
    assert_eq!(output.status.code(), Some(3), "{stderr}");
    let lines = stdout.lines().filter(|line| line.contains("logged INFO"));
    let opening = lines
        .clone()
        .filter(|line| line.contains("Opening device at"));
    let inferences = lines.filter(|line| line.contains("immediately. (driver/request.cc:1)"));
    assert_eq!(
        (opening.count() > 0, inferences.count()),
        (true, 2),
        "{stdout}"
    );
    let expected = "application: inference 0\napplication: inference 1\napplication: the end";
    assert!(stderr.ends_with(expected), "{stderr}");
    assert!(!stderr.contains("driver/"), "{stderr}");
}

#[test]
fn last_words_before_an_abort_reach_log() {
    let (output, stdout, stderr) = run("stdout 9 return", &[("fault", "abort@2")]);
    assert_eq!(output.status.signal(), Some(libc::SIGABRT), "{stderr}");
    let words = "logged ERROR HandleQueuedBulkIn transfer in failed";
    assert!(
        stdout.lines().any(|line| line.contains(words)),
        "{stdout}\n{stderr}"
    );
    assert!(stderr.contains("application: inference 1\n"), "{stderr}");
}

#[test]
fn without_a_logger_lines_stay_on_stderr() {
    let (output, _, stderr) = run("none 9 return", &[("fault", "abort@2")]);
    assert_eq!(output.status.signal(), Some(libc::SIGABRT), "{stderr}");
    for words in [
        INFERENCE,
        "F driver/usb/usb_driver.cc:857] HandleQueuedBulkIn transfer in failed",
    ] {
        assert!(stderr.contains(words), "{words}: {stderr}");
    }
}

/// Records in libedgetpu's form are not taken for its lines again, however many there are, and block nothing.
#[test]
fn a_logger_may_write_to_stderr_in_any_form() {
    let (output, _, stderr) = run("stderr 2000 exit", &[]);
    assert_eq!(output.status.code(), Some(3), "{stderr}");
    // What comes faster than it is logged passes by the logger; nothing is lost and nothing doubled.
    assert_eq!(stderr.matches(INFERENCE).count(), 2000);
    assert_eq!(stderr.matches("application: inference").count(), 2000);
    assert!(
        stderr.contains("I logger.rs:1] Request [0]: Submitting request immediately. (driver/"),
        "{stderr}"
    );
}
