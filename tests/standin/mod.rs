//! Copies of the stand-in library, each with settings of its own. The settings are described in
//! `hardware-tests/standin/config.rs`.

#![allow(dead_code, reason = "each test file uses a part")]

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};

/// A copy of the stand-in in a directory of its own, removed on drop.
///
/// The loader knows a library by its file, so each copy is a library of its own within one process.
pub struct StandIn {
    directory: PathBuf,
}

impl StandIn {
    /// Makes a copy with these settings.
    pub fn new(settings: &[(&str, &str)]) -> Self {
        static COPIES: AtomicU32 = AtomicU32::new(0);
        let number = COPIES.fetch_add(1, Ordering::Relaxed);
        let name = format!("standin-{}-{number}", std::process::id());
        let directory = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
        std::fs::create_dir_all(&directory).expect("temporary directory");
        let this = Self { directory };
        std::fs::copy(built(), this.library()).expect("copy of the stand-in");
        let settings: String = settings
            .iter()
            .map(|(key, value)| format!("{key} = {value}\n"))
            .collect();
        std::fs::write(this.file("libedgetpu.so.1.conf"), settings)
            .expect("settings of the stand-in");
        this
    }

    /// Path of the library.
    pub fn library(&self) -> PathBuf {
        self.file("libedgetpu.so.1")
    }

    /// Path of a file next to it.
    pub fn file(&self, name: &str) -> PathBuf {
        self.directory.join(name)
    }
}

impl Drop for StandIn {
    fn drop(&mut self) {
        // A library that is open lives on without its file.
        let _ = std::fs::remove_dir_all(&self.directory);
    }
}

/// The stand-in as cargo built it, or the one that `CORALLITE_STANDIN` names. `cargo test` builds it with all examples,
/// `cargo test --test x` does not, so it is brought up to date here.
fn built() -> &'static Path {
    static BUILT: OnceLock<PathBuf> = OnceLock::new();
    BUILT.get_or_init(|| {
        if let Some(library) = std::env::var_os("CORALLITE_STANDIN") {
            return library.into();
        }
        // target[/triple]/profile/deps/this-test
        let own = std::env::current_exe().expect("path of this test");
        let profile = own
            .parent()
            .and_then(Path::parent)
            .expect("directory of the profile");
        if let Some(cargo) = std::env::var_os("CARGO") {
            build(Path::new(&cargo), profile);
        }
        let library = profile.join("examples/libstandin.so");
        assert!(
            library.exists(),
            "{} is missing: run `cargo build --example standin`",
            library.display()
        );
        library
    })
}

fn build(cargo: &Path, profile: &Path) {
    let name = |path: &Path| {
        path.file_name()
            .and_then(|name| name.to_str())
            .unwrap_or_default()
            .to_owned()
    };
    let mut command = Command::new(cargo);
    command.args([
        "build",
        "--quiet",
        "--example",
        "standin",
        "--manifest-path",
    ]);
    command.arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("Cargo.toml"));
    command.args([
        "--profile",
        if name(profile) == "debug" {
            "dev"
        } else {
            "release"
        },
    ]);
    let mut target = profile.parent().expect("target directory");
    if let Some(triple) = target_triple(profile) {
        command.args(["--target", &triple]);
        target = target.parent().expect("target directory");
    }
    command.arg("--target-dir").arg(target);
    let status = command.status().expect("cargo runs");
    assert!(status.success(), "the stand-in does not build: {status}");
}

/// The target this test was built for, if cargo was told one.
fn target_triple(profile: &Path) -> Option<String> {
    let name = profile.parent()?.file_name()?.to_str()?;
    name.contains("-linux-").then(|| name.to_owned())
}

/// This test program as the worker of its isolated devices: it must have a test `worker_process` that calls
/// `worker_main`.
#[cfg(target_os = "linux")]
pub fn this_test_as_worker() -> corallite::delegate::isolated::WorkerProgram {
    let command = this_test();
    let mut program = corallite::delegate::isolated::WorkerProgram::at(command.get_program());
    let arguments = [
        "--exact",
        "worker_process",
        "--test-threads=1",
        "--nocapture",
    ];
    for argument in command
        .get_args()
        .chain(arguments.iter().map(std::ffi::OsStr::new))
    {
        program = program.argument(argument);
    }
    program
}

/// The same for a copy: its locks lie beside it, because the copies share a device path and not a device.
#[cfg(target_os = "linux")]
pub fn worker(standin: &StandIn) -> corallite::delegate::isolated::WorkerProgram {
    this_test_as_worker().variable("CORALLITE_LOCK_DIR", &standin.directory)
}

/// A command that runs this test program again, under the emulator it runs under itself.
pub fn this_test() -> Command {
    let own = std::env::current_exe().expect("path of this test");
    let runner = own
        .parent()
        .and_then(Path::parent)
        .and_then(target_triple)
        .map(|triple| {
            format!(
                "CARGO_TARGET_{}_RUNNER",
                triple.to_uppercase().replace('-', "_")
            )
        })
        .and_then(|variable| std::env::var(variable).ok())
        .unwrap_or_default();
    let mut words = runner.split_whitespace();
    match words.next() {
        Some(emulator) => {
            let mut command = Command::new(emulator);
            command.args(words).arg(own);
            command
        }
        None => Command::new(own),
    }
}
