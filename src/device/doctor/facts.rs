//! What the doctor looks at.

use std::fmt;

use super::super::{Device, DeviceError, DeviceSelector, Host, System, select};

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
    /// A device was asked for that is not there: which, and what is there.
    pub absent: Option<String>,
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

    /// Leaves only the device that `selector` names, or notes that there is none. `auto` and `cpu` leave all of them.
    pub fn choose(&mut self, selector: &DeviceSelector) {
        if matches!(selector, DeviceSelector::Auto | DeviceSelector::Cpu) {
            return;
        }
        match select(&self.devices, selector).map(|device| device.cloned()) {
            Ok(device) => self.devices = device.into_iter().collect(),
            Err(error) => self.absent = Some(error.to_string()),
        }
    }
}

/// How loading libedgetpu went.
///
/// ```
/// use corallite::device::doctor::{LibraryFacts, LoadAttempt, LoadFailure};
/// let library = LibraryFacts {
///     attempts: vec![LoadAttempt { path: "libedgetpu.so.1".into(), failure: LoadFailure::NotFound }],
///     loaded: None,
/// };
/// assert_eq!(library.attempts[0].failure.to_string(), "no such file");
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
    /// What was wrong.
    pub failure: LoadFailure,
}

/// What was wrong with a name or path.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum LoadFailure {
    /// There is no such file.
    NotFound,
    /// It is a library for other machines, which glibc calls missing.
    WrongArchitecture {
        /// What the file is for.
        found: String,
        /// What this program is for.
        expected: String,
    },
    /// This program is linked statically and cannot load libraries.
    StaticProgram,
    /// It loads and is something else.
    NoLibedgetpu {
        /// The function it should export.
        symbol: String,
    },
    /// The dynamic loader refused.
    Refused {
        /// Its words, without the path.
        dlerror: String,
    },
}

impl fmt::Display for LoadFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotFound => f.write_str("no such file"),
            Self::WrongArchitecture { found, expected } => {
                write!(f, "the library is for {found}, this program for {expected}")
            }
            Self::StaticProgram => f.write_str("this program is linked statically"),
            Self::NoLibedgetpu { symbol } => write!(f, "it does not export {symbol}"),
            Self::Refused { dlerror } => f.write_str(dlerror),
        }
    }
}

/// The library that was loaded.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct LoadedLibrary {
    /// What dlopen was given.
    pub path: String,
    /// What `edgetpu_version` says.
    pub version: String,
    /// The number in `RuntimeVersion(14)`: 14 is release 16.0, 13 is 14.x and 15.0.
    pub runtime: Option<u32>,
    /// Whether its interface is the one this crate speaks.
    pub is_supported: bool,
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
    /// What is wrong with a package in it.
    pub damage: Option<String>,
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
            damage: None,
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
