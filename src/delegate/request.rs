//! Which device an application asks for, and how it is to be driven.

#[cfg(target_os = "linux")]
use super::isolated::Isolation;
use crate::device::DeviceSelector;
use crate::ffi::{DelegateOptions, OptionError, SearchPath};

/// Environment variable with options of the device, `NAME=VALUE,NAME=VALUE`.
pub const OPTIONS_VARIABLE: &str = "CORALLITE_EDGETPU_OPTIONS";

/// Environment variable with libedgetpu's verbosity, 0 to 10.
pub const VERBOSITY_VARIABLE: &str = "CORALLITE_EDGETPU_VERBOSITY";

/// The device that a model is to run on, with its options.
///
/// ```
/// use corallite::delegate::DeviceRequest;
/// use corallite::ffi::{DelegateOptions, Performance};
///
/// let request = DeviceRequest::new("usb:0".parse()?)
///     .options(DelegateOptions::default().performance(Performance::High));
/// assert_eq!(request.selector().to_string(), "usb:0");
/// # Ok::<(), corallite::device::DeviceError>(())
/// ```
#[derive(Debug, Clone, Default)]
pub struct DeviceRequest {
    pub(super) selector: DeviceSelector,
    pub(super) options: DelegateOptions,
    pub(super) verbosity: Option<u8>,
    pub(super) library: Option<SearchPath>,
    #[cfg(target_os = "linux")]
    pub(super) isolation: Option<Isolation>,
}

impl DeviceRequest {
    /// The device that `selector` names, with libedgetpu's own options.
    pub fn new(selector: DeviceSelector) -> Self {
        Self {
            selector,
            ..Self::default()
        }
    }

    /// As [`new`](Self::new), with the options in `CORALLITE_EDGETPU_OPTIONS` and the verbosity in
    /// `CORALLITE_EDGETPU_VERBOSITY` where these are set.
    ///
    /// # Errors
    /// A variable has a name or a value that libedgetpu would ignore or fail on.
    pub fn from_environment(selector: DeviceSelector) -> Result<Self, OptionError> {
        let variable = |name| std::env::var_os(name).unwrap_or_default();
        let text = |name| variable(name).to_string_lossy().into_owned();
        let mut request = Self::new(selector);
        request.options = DelegateOptions::parse_list(&text(OPTIONS_VARIABLE))?;
        let verbosity = text(VERBOSITY_VARIABLE);
        if !verbosity.is_empty() {
            request.verbosity = Some(parse_verbosity(&verbosity)?);
        }
        Ok(request)
    }

    /// Options of the device; they count where this process has not opened it yet.
    #[must_use]
    pub fn options(mut self, options: DelegateOptions) -> Self {
        self.options = options;
        self
    }

    /// How much libedgetpu tells, 0 (warnings and errors) to 10, for the whole process that it runs in, and that it tells
    /// it to `log`, target `libedgetpu`; see [`EdgeTpuLibrary::set_verbosity`](crate::ffi::EdgeTpuLibrary::set_verbosity).
    /// Without this, what it tells in this process after a device has been opened stays on stderr.
    #[must_use]
    pub fn verbosity(mut self, level: u8) -> Self {
        self.verbosity = Some(level);
        self
    }

    /// Where to look for libedgetpu, in place of `CORALLITE_LIBEDGETPU` and the usual directories.
    #[must_use]
    pub fn library(mut self, search: SearchPath) -> Self {
        self.library = Some(search);
        self
    }

    /// Opens the device in a process of its own, so that one that fails costs an inference and not this process; see
    /// [`isolated`](super::isolated). Library and options are those of this request.
    #[cfg(target_os = "linux")]
    #[must_use]
    pub fn isolated(mut self, isolation: Isolation) -> Self {
        self.isolation = Some(isolation);
        self
    }

    /// Which device it is.
    pub fn selector(&self) -> &DeviceSelector {
        &self.selector
    }

    pub(super) fn search(&self) -> SearchPath {
        self.library
            .clone()
            .unwrap_or_else(SearchPath::from_environment)
    }
}

impl From<DeviceSelector> for DeviceRequest {
    fn from(selector: DeviceSelector) -> Self {
        Self::new(selector)
    }
}

fn parse_verbosity(text: &str) -> Result<u8, OptionError> {
    let level = text.parse().ok().filter(|level| *level <= 10);
    level.ok_or_else(|| OptionError::Value {
        name: VERBOSITY_VARIABLE,
        found: text.to_owned(),
        expected: "0 to 10",
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn verbosity_is_a_number_that_libedgetpu_takes() {
        assert_eq!(parse_verbosity("10"), Ok(10));
        for text in ["11", "-1", "high", "256"] {
            assert_eq!(
                parse_verbosity(text).unwrap_err().to_string(),
                format!(
                    "libedgetpu option CORALLITE_EDGETPU_VERBOSITY: found {text:?}, expected 0 to 10"
                )
            );
        }
    }
}
