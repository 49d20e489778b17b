//! From load attempts to causes.

use super::cause::{Cause, Severity};
use super::elf::ElfIdentity;
use super::facts::{Facts, LoadAttempt, LoadedLibrary};
use super::report::Finding;

/// Where a library comes from when there is none.
const INSTALL: &str = "install libedgetpu 16.0 for this processor (package libedgetpu1-std, or libedgetpu1-max for full \
                       clock and more heat), or name the file in the environment variable CORALLITE_LIBEDGETPU";

pub(super) fn diagnose(facts: &Facts, findings: &mut Vec<Finding>) {
    let Some(library) = &facts.library else {
        return;
    };
    match &library.loaded {
        Some(loaded) => diagnose_generation(loaded, findings),
        None => diagnose_attempts(&library.attempts, findings),
    }
}

fn diagnose_generation(library: &LoadedLibrary, findings: &mut Vec<Finding>) {
    if library.speaks_our_interface() {
        return;
    }
    findings.push(Finding {
        cause: Cause::LibraryTooOld,
        severity: Severity::Error,
        what: library.path.clone(),
        found: format!(
            "version `{}`, expected release 15.0 or 16.0 (RuntimeVersion 13 or 14)",
            library.version
        ),
        fix: INSTALL.to_string(),
    });
}

/// Why one attempt failed.
enum Failure {
    NotFound,
    WrongArchitecture {
        found: ElfIdentity,
        expected: ElfIdentity,
    },
    Dependency(String),
    SystemTooOld,
    StaticProgram,
    Other,
}

fn diagnose_attempts(attempts: &[LoadAttempt], findings: &mut Vec<Finding>) {
    let before = findings.len();
    for attempt in attempts {
        let finding = |cause, fix: String| Finding {
            cause,
            severity: Severity::Error,
            what: attempt.path.clone(),
            found: attempt.error.clone(),
            fix,
        };
        findings.push(match classify(attempt) {
            Failure::NotFound => continue,
            Failure::WrongArchitecture { found, expected } => Finding {
                found: format!("the library is for {found}, this program for {expected}"),
                ..finding(Cause::WrongArchitecture, format!("install the {expected} build of libedgetpu, or use a program built for {found}"))
            },
            Failure::Dependency(name) => {
                let fix = if name.starts_with("libusb") {
                    "install libusb 1.0 (package libusb-1.0-0): libedgetpu needs it for PCIe modules too".to_string()
                } else {
                    format!("install the package that has {name}")
                };
                finding(Cause::LibraryDependencyMissing, fix)
            }
            Failure::SystemTooOld => finding(
                Cause::SystemTooOld,
                "use a libedgetpu built for an older system: the official 16.0 needs only glibc 2.17".to_string(),
            ),
            Failure::StaticProgram => finding(
                Cause::StaticProgram,
                "a statically linked program cannot load libedgetpu: use a build for a gnu target on the Edge TPU, keep this \
                 one for models on the CPU"
                    .to_string(),
            ),
            Failure::Other => finding(Cause::LibraryUnusable, format!("repair or replace the file; {INSTALL}")),
        });
    }
    if findings.len() > before {
        return;
    }
    let tried: Vec<_> = attempts
        .iter()
        .map(|attempt| format!("{} ({})", attempt.path, attempt.error))
        .collect();
    findings.push(Finding {
        cause: Cause::LibraryMissing,
        severity: Severity::Error,
        what: "libedgetpu".to_string(),
        found: if tried.is_empty() {
            "not found".to_string()
        } else {
            format!("not found, tried {}", tried.join(", "))
        },
        fix: INSTALL.to_string(),
    });
}

/// Reads dlerror's sentence: glibc's (elf/dl-load.c, dl-version.c), musl's (ldso/dynlink.c, src/ldso/dlopen.c).
fn classify(attempt: &LoadAttempt) -> Failure {
    let error = attempt.error.as_str();
    // First, because glibc calls such a file missing.
    if let (Some(found), Some(expected)) = (attempt.elf, ElfIdentity::of_this_program())
        && found != expected
    {
        return Failure::WrongArchitecture { found, expected };
    }
    if error.contains("Dynamic loading not supported") {
        return Failure::StaticProgram;
    }
    if error.contains("version `GLIBC") || error.contains("version `CXXABI") {
        return Failure::SystemTooOld;
    }
    let missing = if let Some((name, _)) = error.split_once(": cannot open shared object file") {
        Some(name)
    } else if let Some((_, rest)) = error.split_once("Error loading shared library ") {
        rest.split_once(':').map(|(name, _)| name)
    } else {
        None
    };
    match missing {
        Some(name)
            if name == attempt.path && attempt.elf.is_none() && error.contains("No such file") =>
        {
            Failure::NotFound
        }
        Some(name) if name != attempt.path => Failure::Dependency(name.to_string()),
        _ => Failure::Other,
    }
}
