//! `corallite run --batch`: a case per line.

use crate::failure::Failure;
use crate::output::{complain, one_line};
use crate::session::{Case, Session};
use std::ffi::OsStr;
use std::fs;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};

/// Runs every case of `list`; a case that fails says why in its folder, and the others run all the same.
pub fn run(list: &Path, session: &mut Session) -> Result<(), Failure> {
    let text = fs::read(list).map_err(|source| Failure::File {
        path: list.to_owned(),
        source,
    })?;
    let (mut cases, mut failed) = (0, 0);
    let mut first = None;
    for (number, line) in text.split(|&byte| byte == b'\n').enumerate() {
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        if line.is_empty() || line.starts_with(b"#") {
            continue;
        }
        cases += 1;
        let result = case_of(line).and_then(|case| match run_case(session, &case) {
            Ok(()) => Ok(()),
            Err(failure) => {
                if let Err(error) = note(&case.folder, &failure) {
                    complain(&format!("{error}"));
                }
                Err(failure)
            }
        });
        if let Err(failure) = result {
            failed += 1;
            log::warn!("{} line {}: {failure}", list.display(), number + 1);
            first.get_or_insert((number + 1, failure));
        }
    }
    match first {
        Some((line, first)) => Err(Failure::Batch {
            list: list.to_owned(),
            cases,
            failed,
            line,
            first: Box::new(first),
        }),
        None => {
            complain(&format!("{}: {cases} case(s) ran", list.display()));
            Ok(())
        }
    }
}

/// The case that a line describes.
fn case_of(line: &[u8]) -> Result<Case, Failure> {
    let fields: Vec<&[u8]> = line.split(|&byte| byte == b'\t').collect();
    if let Some(empty) = fields.iter().position(|field| field.is_empty()) {
        return Err(Failure::BatchField { field: empty + 1 });
    }
    let [model, inputs @ .., folder] = fields.as_slice() else {
        return Err(Failure::BatchLine {
            fields: fields.len(),
        });
    };
    let path = |field: &&[u8]| PathBuf::from(OsStr::from_bytes(field));
    Ok(Case {
        model: path(model),
        inputs: inputs.iter().map(path).collect(),
        folder: path(folder),
    })
}

/// Runs a case behind a fence: a defect that one model uncovers must not cost the results of the others.
fn run_case(session: &mut Session, case: &Case) -> Result<(), Failure> {
    let _ = fs::remove_file(case.folder.join("error.txt"));
    // The session drops its model before it runs a case, so a panic leaves none behind in an undefined state.
    catch_unwind(AssertUnwindSafe(|| session.run(case))).unwrap_or(Err(Failure::Internal))
}

/// Leaves the reason in the case's folder.
fn note(folder: &Path, failure: &Failure) -> Result<(), Failure> {
    let path = folder.join("error.txt");
    let text = format!("{}\n", one_line(&failure.to_string()));
    let write = || -> io::Result<()> {
        fs::create_dir_all(folder)?;
        fs::write(&path, text)
    };
    write().map_err(|source| Failure::File {
        path: path.clone(),
        source,
    })
}
