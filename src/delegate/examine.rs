//! The facts for the doctor, with those that only this layer knows: whether libedgetpu loads, what a model needs, and
//! whether a device opens.

use super::attach::{listed_by, open_shared, record_of};
use super::attach_error::AttachError;
use super::compiled::compiled_operators;
#[cfg(target_os = "linux")]
use super::isolated::IsolationError;
use super::request::DeviceRequest;
use crate::device::doctor::{
    Cause, Facts, LibraryFacts, LoadAttempt, LoadFailure, LoadedLibrary, ModelFacts, OpenAttempt,
    Severity, diagnose,
};
use crate::device::{DeviceError, Holder, System};
use crate::ffi::AttemptFailure;
use crate::ffi::{EdgeTpuLibrary, LibraryError, LibraryVersion};
use crate::model::Graph;

/// Gathers everything that decides whether `model` runs on the device that `request` names; without a model, whether
/// anything would.
///
/// libedgetpu is loaded and asked only where `system` is this machine. With `opens`, each device with which nothing is
/// wrong so far is opened and closed, under its lock: that takes 2 to 3 s on USB, and longer where it fails. A request that
/// asks for isolation keeps a device that hangs or crashes from doing the same to this process.
///
/// ```
/// use corallite::delegate::{DeviceRequest, examine};
/// use corallite::device::System;
/// use corallite::device::doctor::{diagnose, steps};
///
/// let facts = examine(&System::host(), &DeviceRequest::default(), None, false)?;
/// for step in steps(&facts, &diagnose(&facts)) {
///     println!("{step}");
/// }
/// # Ok::<(), corallite::device::DeviceError>(())
/// ```
///
/// # Errors
/// A directory of sysfs exists and cannot be read.
pub fn examine(
    system: &System,
    request: &DeviceRequest,
    model: Option<(&str, &Graph)>,
    opens: bool,
) -> Result<Facts, DeviceError> {
    let mut facts = Facts::gather(system)?;
    facts.model = model.map(|(name, graph)| model_facts(name, graph));
    let mut library = None;
    if system.is_this_machine() {
        let opened = EdgeTpuLibrary::open(&request.search());
        facts.library = Some(match &opened {
            Ok(library) => LibraryFacts {
                attempts: Vec::new(),
                loaded: Some(loaded(
                    library.path().display().to_string(),
                    library.version(),
                )),
            },
            Err(error) => library_facts(error),
        });
        library = opened.ok();
    }
    if let Some(library) = library {
        facts.devices = listed_by(library, std::mem::take(&mut facts.devices));
    }
    facts.choose(request.selector());
    if let (Some(library), true) = (library, opens) {
        try_to_open(&mut facts, library, request);
    }
    Ok(facts)
}

fn model_facts(name: &str, graph: &Graph) -> ModelFacts {
    let mut facts = ModelFacts::new(name, None, None);
    for compiled in compiled_operators(graph) {
        facts.compiled = true;
        match compiled.package {
            Ok(package) => {
                let needs = u32::try_from(package.min_runtime_version).ok();
                if needs >= facts.min_runtime_version {
                    facts.min_runtime_version = needs;
                    facts.compiler_version =
                        Some(package.compiler_version).filter(|version| !version.is_empty());
                }
            }
            Err(error) => {
                facts.damage = Some(format!("operator {}: {error}", compiled.operator));
            }
        }
    }
    facts
}

fn loaded(path: String, version: &LibraryVersion) -> LoadedLibrary {
    LoadedLibrary {
        path,
        version: version.text().to_owned(),
        runtime: version.runtime(),
        is_supported: version.is_supported(),
    }
}

fn library_facts(error: &LibraryError) -> LibraryFacts {
    let attempt = |path: String, failure| LibraryFacts {
        attempts: vec![LoadAttempt { path, failure }],
        loaded: None,
    };
    match error {
        LibraryError::NotLoaded { attempts } => LibraryFacts {
            attempts: attempts
                .iter()
                .map(|attempt| LoadAttempt {
                    path: attempt.path.display().to_string(),
                    failure: match &attempt.failure {
                        AttemptFailure::Missing => LoadFailure::NotFound,
                        AttemptFailure::WrongArchitecture { found, expected } => {
                            LoadFailure::WrongArchitecture {
                                found: found.to_string(),
                                expected: expected.to_string(),
                            }
                        }
                        other => LoadFailure::Refused {
                            dlerror: other.to_string(),
                        },
                    },
                })
                .collect(),
            loaded: None,
        },
        LibraryError::StaticProgram => attempt("libedgetpu".to_owned(), LoadFailure::StaticProgram),
        LibraryError::MissingSymbol { path, symbol } => attempt(
            path.display().to_string(),
            LoadFailure::NoLibedgetpu {
                symbol: (*symbol).to_owned(),
            },
        ),
        LibraryError::UnsupportedVersion { path, version } => LibraryFacts {
            attempts: Vec::new(),
            loaded: Some(loaded(
                path.display().to_string(),
                &LibraryVersion::parse(version),
            )),
        },
    }
}

/// Opens and closes every device of which nothing bad is known yet.
fn try_to_open(facts: &mut Facts, library: &'static EdgeTpuLibrary, request: &DeviceRequest) {
    if facts.absent.is_some() {
        return;
    }
    // What is wrong with a model is no reason not to look at the device.
    let findings = diagnose(facts).findings;
    let is_bad = |path: &str| {
        findings.iter().any(|finding| {
            finding.what == path
                && finding.severity == Severity::Error
                && finding.cause != Cause::OpenFailed
        })
    };
    for device in &mut facts.devices {
        if device.index.is_none() || is_bad(&device.path) {
            continue;
        }
        let error = match open_shared(library, &record_of(device), request) {
            Ok(_) => None,
            Err(error) => match holder_in(&error) {
                Some(holder) => {
                    device.holders.push(holder.clone());
                    continue;
                }
                None => Some(error.to_string()),
            },
        };
        facts.opens.push(OpenAttempt {
            path: device.path.clone(),
            error,
        });
    }
}

/// Who has the device, where that is why it does not open.
fn holder_in(error: &AttachError) -> Option<&Holder> {
    match error {
        AttachError::Device {
            source: DeviceError::Busy { holder, .. },
        } => holder.as_ref(),
        #[cfg(target_os = "linux")]
        AttachError::Isolated {
            source: IsolationError::DeviceBusy { holder, .. },
        } => holder.as_ref(),
        _ => None,
    }
}
