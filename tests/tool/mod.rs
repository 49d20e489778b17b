//! The tool as a user runs it, in a folder of its own.
#![allow(dead_code, reason = "each test file uses a part")]

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};

/// A folder that is removed when the test ends.
pub struct Folder(PathBuf);

impl Folder {
    /// A new, empty folder.
    pub fn new() -> Self {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let name = format!("corallite-tool-{}-{number}", std::process::id());
        let path = std::env::temp_dir().join(name);
        std::fs::create_dir_all(&path).expect("folder");
        Self(path)
    }

    /// The path of a file in it.
    pub fn path(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    /// Writes a file in it.
    pub fn write(&self, name: &str, bytes: impl AsRef<[u8]>) -> PathBuf {
        let path = self.path(name);
        std::fs::write(&path, bytes).expect("file");
        path
    }

    /// The names in it, sorted.
    pub fn names(&self, of: &str) -> Vec<String> {
        let Ok(entries) = std::fs::read_dir(self.path(of)) else {
            return Vec::new();
        };
        let mut names: Vec<_> = entries
            .map(|e| e.expect("entry").file_name().to_string_lossy().into_owned())
            .collect();
        names.sort();
        names
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// What a run of the tool left.
#[derive(Debug)]
pub struct Ran {
    /// The exit code; -1 when a signal ended it.
    pub code: i32,
    pub stdout: String,
    pub stderr: String,
}

impl Ran {
    /// Asserts that the run failed with `code` and one line on stderr, and returns that line.
    #[track_caller]
    pub fn refused(&self, code: i32) -> &str {
        assert_eq!(self.code, code, "{self:?}");
        let line = self.stderr.strip_suffix('\n').unwrap_or_default();
        assert!(!line.contains('\n'), "{self:?}");
        assert!(!line.contains("internal error"), "{self:?}");
        line.strip_prefix("corallite: ")
            .unwrap_or_else(|| panic!("{self:?}"))
    }

    /// Asserts that the run succeeded and complained of nothing.
    #[track_caller]
    pub fn succeeded(&self) -> &str {
        assert_eq!((self.code, self.stderr.as_str()), (0, ""), "{self:?}");
        &self.stdout
    }
}

impl From<Output> for Ran {
    fn from(output: Output) -> Self {
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        Self {
            code: output.status.code().unwrap_or(-1),
            stdout: text(&output.stdout),
            stderr: text(&output.stderr),
        }
    }
}

/// The tool with these arguments, nothing run yet.
pub fn command<S: AsRef<OsStr>>(arguments: &[S]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_corallite"));
    command
        .args(arguments)
        .env_remove("RUST_LOG")
        .stdin(Stdio::null());
    command
}

/// Runs the tool.
pub fn tool<S: AsRef<OsStr>>(arguments: &[S]) -> Ran {
    command(arguments).output().expect("the tool starts").into()
}

/// Runs `COMMAND MODEL` with further arguments.
pub fn on_model(name: &str, model: &Path, arguments: &[&str]) -> Ran {
    let mut all = vec![OsStr::new(name), model.as_os_str()];
    all.extend(arguments.iter().map(OsStr::new));
    tool(&all)
}

/// Files that are no models, by what is wrong with them, and a part of the message that says so.
pub fn no_models(sound: &crate::model_builder::Model) -> Vec<(String, Vec<u8>, &'static str)> {
    use crate::model_builder::Operator;
    let bytes = sound.to_bytes();
    let mut files = vec![
        ("empty".to_owned(), Vec::new(), "0 bytes"),
        (
            "no flatbuffer".to_owned(),
            b"MZ not a model at all".repeat(9),
            "",
        ),
        ("zeros".to_owned(), vec![0; 4096], ""),
        (
            "another identifier".to_owned(),
            replaced(&bytes, b"TFL3", b"TFL9"),
            "",
        ),
    ];
    for eighth in 1..8 {
        let cut = bytes[..bytes.len() * eighth / 8].to_vec();
        files.push((format!("cut at {eighth}/8"), cut, ""));
    }
    let edit = |change: &dyn Fn(&mut crate::model_builder::Model)| {
        let mut model = sound.clone();
        change(&mut model);
        model.to_bytes()
    };
    let mut add = |name: &str, bytes, message| files.push((name.to_owned(), bytes, message));
    add(
        "schema version 4",
        edit(&|m| m.version = 4),
        "schema version 4",
    );
    let large = [i32::MAX, i32::MAX, i32::MAX, i32::MAX];
    add(
        "dimensions that overflow",
        edit(&|m| m.tensors[0].shape = large.to_vec()),
        "hold more than",
    );
    add(
        "a negative dimension",
        edit(&|m| m.tensors[0].shape = vec![1, 1, -3, 1]),
        "dimension -3",
    );
    add(
        "an index beyond the tensors",
        edit(&|m| m.operators[0].inputs[0] = 99),
        "99",
    );
    add(
        "an operator that reads its own result",
        edit(&|m| m.operators[0].inputs[0] = 3),
        "read before",
    );
    add(
        "operators out of order",
        edit(&|m| {
            let mut second = m.tensors[3].clone();
            second.name = "second";
            m.tensors.push(second);
            m.operators.insert(0, Operator::reshape(3, 4, &[3]));
            m.outputs = vec![4];
        }),
        "read before",
    );
    add(
        "a constant of the wrong size",
        edit(&|m| m.tensors[1].data = Some(vec![1, 2])),
        "2 bytes of int8 data",
    );
    files
}

fn replaced(bytes: &[u8], from: &[u8], to: &[u8]) -> Vec<u8> {
    let at = bytes
        .windows(from.len())
        .position(|window| window == from)
        .expect("present");
    let mut bytes = bytes.to_vec();
    bytes[at..at + to.len()].copy_from_slice(to);
    bytes
}
