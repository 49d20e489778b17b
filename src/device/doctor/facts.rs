//! What the doctor looks at.

use std::path::Path;

use super::super::{Device, DeviceError, Host, System};
use super::elf::ElfIdentity;

/// Everything known when the diagnosis is made.
///
/// ```
/// use corallite::device::System;
/// use corallite::device::doctor::{Facts, ModelFacts};
/// let mut facts = Facts::gather(&System::host())?;
/// facts.model = Some(ModelFacts::new("mobilenet_edgetpu.tflite", Some(14), None));
/// # Ok::<(), corallite::device::DeviceError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct Facts {
    /// The devices, as [`list`](super::super::list) gives them.
    pub devices: Vec<Device>,
    /// The machine.
    pub host: Host,
    /// How loading libedgetpu went. None: not tried.
    pub library: Option<LibraryFacts>,
    /// What the model needs. None: no model given.
    pub model: Option<ModelFacts>,
    /// How opening devices went, for those where it was tried.
    pub opens: Vec<OpenAttempt>,
}

impl Facts {
    /// Looks at devices and machine. Library, model and opens are for the caller to fill in.
    ///
    /// # Errors
    ///
    /// A directory of sysfs exists and cannot be read.
    pub fn gather(system: &System) -> Result<Self, DeviceError> {
        Ok(Self {
            devices: system.list()?,
            host: Host::gather(system),
            ..Self::default()
        })
    }
}

/// How loading libedgetpu went.
///
/// ```
/// use corallite::device::doctor::{LibraryFacts, LoadAttempt};
/// let library = LibraryFacts {
///     attempts: vec![LoadAttempt::new("libedgetpu.so.1", "libedgetpu.so.1: cannot open shared object file: \
///                                      No such file or directory")],
///     loaded: None,
/// };
/// assert_eq!(library.attempts[0].elf, None);
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct LibraryFacts {
    /// Each name or path that was tried and did not load, in order.
    pub attempts: Vec<LoadAttempt>,
    /// The one that did.
    pub loaded: Option<LoadedLibrary>,
}

/// A name or path that did not load.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LoadAttempt {
    /// What dlopen was given.
    pub path: String,
    /// What dlerror said.
    pub error: String,
    /// For which processor the file is. None: no such file, or no ELF file.
    pub elf: Option<ElfIdentity>,
}

impl LoadAttempt {
    /// An attempt with its error; looks into the file when `path` names one.
    pub fn new(path: &str, error: &str) -> Self {
        let elf = if path.contains('/') {
            ElfIdentity::of_file(Path::new(path))
        } else {
            None
        };
        Self {
            path: path.to_string(),
            error: error.to_string(),
            elf,
        }
    }
}

/// The library that was loaded.
///
/// ```
/// use corallite::device::doctor::LoadedLibrary;
/// let library = LoadedLibrary {
///     path: "libedgetpu.so.1".into(),
///     version: "BuildLabel(COMPILER=6.3.0 20170516,DATE=redacted,TIME=redacted), RuntimeVersion(14)".into(),
/// };
/// assert_eq!(library.runtime_version(), Some(14));
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LoadedLibrary {
    /// What dlopen was given.
    pub path: String,
    /// What `edgetpu_version` says.
    pub version: String,
}

impl LoadedLibrary {
    /// The number in `RuntimeVersion(14)`: 14 is release 16.0, 13 is 14.x and 15.0.
    pub fn runtime_version(&self) -> Option<u32> {
        let (_, rest) = self.version.split_once("RuntimeVersion(")?;
        rest.split_once(')')?.0.parse().ok()
    }

    /// Its tensor structure is the one this crate speaks: runtime 14, or 13 of release 15.0.
    ///
    /// Releases up to 14.x have `CL_NUMBER=` in their version string and tensors of another size; they answer with
    /// `Unsupported data type in custom op handler` and a number from nowhere.
    pub fn speaks_our_interface(&self) -> bool {
        match self.runtime_version() {
            Some(13) => !self.version.contains("CL_NUMBER="),
            Some(version) => version > 13,
            None => false,
        }
    }
}

/// What a model needs, as its reader found it.
///
/// ```
/// let model = corallite::device::doctor::ModelFacts::new("mobilenet.tflite", None, None);
/// assert!(!model.compiled);
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct ModelFacts {
    /// Name of the file.
    pub name: String,
    /// It has at least one `edgetpu-custom-op`.
    pub compiled: bool,
    /// The lowest runtime version its packages allow, the highest of them where it has several.
    pub min_runtime_version: Option<u32>,
    /// `16.0.384591198`, of the compiler that made it.
    pub compiler_version: Option<String>,
}

impl ModelFacts {
    /// A model; compiled for the Edge TPU when it has a lowest runtime version.
    pub fn new(
        name: &str,
        min_runtime_version: Option<u32>,
        compiler_version: Option<String>,
    ) -> Self {
        Self {
            name: name.to_string(),
            compiled: min_runtime_version.is_some(),
            min_runtime_version,
            compiler_version,
        }
    }
}

/// How opening a device through libedgetpu went.
///
/// ```
/// use corallite::device::doctor::OpenAttempt;
/// let attempt = OpenAttempt { path: "/dev/apex_0".into(), error: Some("Permission denied".into()) };
/// assert!(attempt.error.is_some());
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OpenAttempt {
    /// Path of the device.
    pub path: String,
    /// None: it opened. Else the library's last words, which may be empty.
    pub error: Option<String>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn generations_of_the_library_are_told_apart() {
        let cases = [
            // 16.0 as the official binary says it; the others in the forms of 15.0, 14.x and 2019.
            (
                "BuildLabel(COMPILER=6.3.0 20170516,DATE=redacted,TIME=redacted), RuntimeVersion(14)",
                Some(14),
                true,
            ),
            (
                "BuildLabel(COMPILER=6.3.0 20170516,DATE=redacted,TIME=redacted), RuntimeVersion(13)",
                Some(13),
                true,
            ),
            (
                "BuildLabel(COMPILER=x,DATE=redacted,CL_NUMBER=1), RuntimeVersion(13)",
                Some(13),
                false,
            ),
            (
                "BuildLabel(COMPILER=x,DATE=redacted,CL_NUMBER=1), RuntimeVersion(12)",
                Some(12),
                false,
            ),
            ("RuntimeVersion(15)", Some(15), true),
            ("RuntimeVersion(", None, false),
            ("RuntimeVersion(99999999999)", None, false),
            ("", None, false),
        ];
        for (version, runtime, accepted) in cases {
            let library = LoadedLibrary {
                path: "x".into(),
                version: version.into(),
            };
            assert_eq!(library.runtime_version(), runtime, "{version}");
            assert_eq!(library.speaks_our_interface(), accepted, "{version}");
        }
    }
}
