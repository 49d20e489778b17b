//! From load attempts to causes.

use super::cause::{Cause, Severity};
use super::facts::{Facts, LoadAttempt, LoadFailure, LoadedLibrary};
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
    if library.is_supported {
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

/// Why the dynamic loader refused, from its sentence.
enum Refusal {
    NotFound,
    Dependency(String),
    SystemTooOld,
    StaticProgram,
    Other,
}

fn diagnose_attempts(attempts: &[LoadAttempt], findings: &mut Vec<Finding>) {
    let before = findings.len();
    for attempt in attempts {
        let refusal = match &attempt.failure {
            LoadFailure::NotFound => Refusal::NotFound,
            LoadFailure::StaticProgram => Refusal::StaticProgram,
            LoadFailure::Refused { dlerror } => classify(dlerror),
            LoadFailure::WrongArchitecture { .. } | LoadFailure::NoLibedgetpu { .. } => {
                Refusal::Other
            }
        };
        let (cause, fix) = match (refusal, &attempt.failure) {
            (Refusal::NotFound, _) => continue,
            (_, LoadFailure::WrongArchitecture { found, expected }) => (
                Cause::WrongArchitecture,
                format!(
                    "install the {expected} build of libedgetpu, or use a program built for {found}"
                ),
            ),
            (Refusal::Dependency(name), _) if name.starts_with("libusb") => (
                Cause::LibraryDependencyMissing,
                "install libusb 1.0 (package libusb-1.0-0): libedgetpu needs it for PCIe modules too".to_string(),
            ),
            (Refusal::Dependency(name), _) => (
                Cause::LibraryDependencyMissing,
                format!("install the package that has {name}"),
            ),
            (Refusal::SystemTooOld, _) => (
                Cause::SystemTooOld,
                "use a libedgetpu built for an older system: the official 16.0 needs only glibc 2.17".to_string(),
            ),
            (Refusal::StaticProgram, _) => (
                Cause::StaticProgram,
                "a statically linked program cannot load libedgetpu: use a build for a gnu target on the Edge TPU, keep this \
                 one for models on the CPU"
                    .to_string(),
            ),
            (Refusal::Other, _) => (
                Cause::LibraryUnusable,
                format!("repair or replace the file; {INSTALL}"),
            ),
        };
        findings.push(Finding {
            cause,
            severity: Severity::Error,
            what: attempt.path.clone(),
            found: attempt.failure.to_string(),
            fix,
        });
    }
    if findings.len() > before {
        return;
    }
    let tried: Vec<_> = attempts
        .iter()
        .map(|attempt| format!("{} ({})", attempt.path, attempt.failure))
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

/// Reads dlerror's sentence, without the path of the library: glibc's (elf/dl-load.c, dl-version.c), musl's
/// (ldso/dynlink.c, src/ldso/dlopen.c).
fn classify(error: &str) -> Refusal {
    if error.contains("Dynamic loading not supported") {
        return Refusal::StaticProgram;
    }
    if error.contains("version `GLIBC") || error.contains("version `CXXABI") {
        return Refusal::SystemTooOld;
    }
    // Without a name in front, the library itself is what the loader did not find.
    if error.starts_with("cannot open shared object file: No such file") {
        return Refusal::NotFound;
    }
    if let Some((name, _)) = error.split_once(": cannot open shared object file") {
        return Refusal::Dependency(name.to_string());
    }
    if let Some((_, rest)) = error.split_once("Error loading shared library ")
        && let Some((name, reason)) = rest.split_once(": ")
    {
        return if reason.contains("needed by") {
            Refusal::Dependency(name.to_string())
        } else if reason.contains("No such file") {
            Refusal::NotFound
        } else {
            Refusal::Other
        };
    }
    Refusal::Other
}
