//! Why a model does not run on the device that was asked for.

use std::fmt;
use std::path::PathBuf;

#[cfg(target_os = "linux")]
use super::isolated::IsolationError;
use crate::device::{Device, DeviceError, DeviceSelector};
use crate::ffi::{LibraryError, OpenError};
use crate::package::PackageError;

/// Why a model does not run on the device that was asked for.
///
/// ```
/// use corallite::delegate::AttachError;
/// assert!(AttachError::NoneFound.to_string().contains("plug one in"));
/// ```
#[derive(Debug)]
#[non_exhaustive]
pub enum AttachError {
    /// There is no Edge TPU.
    NoneFound,
    /// No Edge TPU can be used now.
    NoneUsable {
        /// All of them, each with what keeps it from being used.
        devices: Vec<Device>,
    },
    /// The Edge TPU that was asked for cannot be used now.
    Unusable {
        /// The device, with what keeps it from being used.
        device: Box<Device>,
    },
    /// Devices could not be listed, the one asked for is not there, or its lock is held.
    Device {
        /// Why.
        source: DeviceError,
    },
    /// libedgetpu does not load.
    Library {
        /// Why.
        source: LibraryError,
    },
    /// libedgetpu is older than the model demands.
    RuntimeTooOld {
        /// Runtime version that the model needs.
        needed: i32,
        /// Runtime version of the library.
        found: u32,
        /// The library.
        library: PathBuf,
    },
    /// libedgetpu did not open the device.
    Open {
        /// Its reason.
        source: OpenError,
    },
    /// The device's own process did not open it.
    #[cfg(target_os = "linux")]
    Isolated {
        /// Its reason.
        source: IsolationError,
    },
    /// A package for the Edge TPU in the model is broken.
    Package {
        /// Index of the operator that holds it.
        operator: usize,
        /// How.
        source: PackageError,
    },
    /// A device was asked for by name, and the model has nothing for it.
    NotCompiled {
        /// What was asked for.
        selector: DeviceSelector,
    },
    /// The CPU was asked for, and the model is compiled for the Edge TPU.
    CompiledForCpu,
    /// The model for the CPU is compiled for the Edge TPU as well.
    TwinCompiled,
    /// The model for the CPU is not the compiled one's: an input or output is another.
    TwinDiffers {
        /// `input` or `output`.
        what: &'static str,
        /// Which one, from 0.
        index: usize,
        /// That of the model for the CPU.
        found: String,
        /// That of the compiled model.
        expected: String,
    },
}

impl fmt::Display for AttachError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoneFound => f.write_str(
                "no Edge TPU was found, plug one in; `corallite doctor` looks for the cause",
            ),
            Self::NoneUsable { devices } => {
                f.write_str("no Edge TPU can be used: ")?;
                for (position, device) in devices.iter().enumerate() {
                    let separator = if position == 0 { "" } else { "; " };
                    write!(f, "{separator}{device}")?;
                }
                f.write_str("; `corallite doctor` tells the fix")
            }
            Self::Unusable { device } => {
                write!(f, "device cannot be used: {device}; `corallite doctor` tells the fix")
            }
            Self::Device { source } => source.fmt(f),
            Self::Library { source } => source.fmt(f),
            Self::RuntimeTooOld {
                needed,
                found,
                library,
            } => write!(
                f,
                "the model needs runtime version {needed}, libedgetpu {} has {found}: install libedgetpu 16.0 (runtime \
                 version 14), or compile the model with --min_runtime_version {found}",
                library.display()
            ),
            Self::Open { source } => write!(f, "{source}; `corallite doctor` looks for the cause"),
            #[cfg(target_os = "linux")]
            Self::Isolated { source } => source.fmt(f),
            Self::Package { operator, source } => write!(f, "operator {operator}: {source}"),
            Self::NotCompiled { selector } => write!(
                f,
                "device `{selector}` was asked for, and the model has nothing for an Edge TPU: compile it with \
                 edgetpu_compiler, or choose device cpu"
            ),
            Self::CompiledForCpu => f.write_str(
                "compiled for the Edge TPU, and device cpu was asked for: give the model it was compiled from, or a device",
            ),
            Self::TwinCompiled => f.write_str(
                "the model for the CPU is compiled for the Edge TPU: give the one it was compiled from (without _edgetpu)",
            ),
            Self::TwinDiffers {
                what,
                index,
                found,
                expected,
            } => write!(
                f,
                "the model for the CPU is not the one that was compiled: its {what} {index} is {found}, expected {expected}"
            ),
        }
    }
}

impl std::error::Error for AttachError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Device { source } => Some(source),
            Self::Library { source } => Some(source),
            Self::Open { source } => Some(source),
            #[cfg(target_os = "linux")]
            Self::Isolated { source } => Some(source),
            Self::Package { source, .. } => Some(source),
            _ => None,
        }
    }
}

impl AttachError {
    /// Whether it is about this machine, its devices and its library: another machine might run the model.
    pub fn is_about_the_machine(&self) -> bool {
        #[cfg(target_os = "linux")]
        if let Self::Isolated { source } = self {
            return !matches!(source, IsolationError::NoWorkerMain);
        }
        matches!(
            self,
            Self::NoneFound
                | Self::NoneUsable { .. }
                | Self::Unusable { .. }
                | Self::Device { .. }
                | Self::Library { .. }
                | Self::RuntimeTooOld { .. }
                | Self::Open { .. }
        )
    }
}

impl From<DeviceError> for AttachError {
    fn from(source: DeviceError) -> Self {
        Self::Device { source }
    }
}

impl From<LibraryError> for AttachError {
    fn from(source: LibraryError) -> Self {
        Self::Library { source }
    }
}

impl From<OpenError> for AttachError {
    fn from(source: OpenError) -> Self {
        Self::Open { source }
    }
}

#[cfg(target_os = "linux")]
impl From<IsolationError> for AttachError {
    fn from(source: IsolationError) -> Self {
        Self::Isolated { source }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::device::{DeviceKind, as_listed};

    #[test]
    fn errors_say_what_was_found_and_what_to_do() {
        let device = || as_listed(vec![], [(DeviceKind::Pci, "/dev/apex_0")]).remove(0);
        let cases = [
            (
                AttachError::NoneFound,
                "no Edge TPU was found, plug one in; `corallite doctor` looks for the cause",
            ),
            (
                AttachError::NoneUsable {
                    devices: vec![device(), device()],
                },
                "no Edge TPU can be used: 0 PCI /dev/apex_0 state unknown; 0 PCI /dev/apex_0 state unknown; `corallite \
                 doctor` tells the fix",
            ),
            (
                AttachError::Unusable {
                    device: Box::new(device()),
                },
                "device cannot be used: 0 PCI /dev/apex_0 state unknown; `corallite doctor` tells the fix",
            ),
            (
                AttachError::RuntimeTooOld {
                    needed: 14,
                    found: 13,
                    library: "/x.so".into(),
                },
                "the model needs runtime version 14, libedgetpu /x.so has 13: install libedgetpu 16.0 (runtime version 14), \
                 or compile the model with --min_runtime_version 13",
            ),
            (
                AttachError::Package {
                    operator: 3,
                    source: PackageError::SeveralChips,
                },
                "operator 3: Edge TPU package is for several chips at once; compile it for one",
            ),
            (
                AttachError::NotCompiled {
                    selector: DeviceSelector::Usb(Some(0)),
                },
                "device `usb:0` was asked for, and the model has nothing for an Edge TPU: compile it with edgetpu_compiler, \
                 or choose device cpu",
            ),
            (
                AttachError::CompiledForCpu,
                "compiled for the Edge TPU, and device cpu was asked for: give the model it was compiled from, or a device",
            ),
            (
                AttachError::TwinCompiled,
                "the model for the CPU is compiled for the Edge TPU: give the one it was compiled from (without _edgetpu)",
            ),
            (
                AttachError::TwinDiffers {
                    what: "input",
                    index: 1,
                    found: "int8 [1]".into(),
                    expected: "uint8 [1]".into(),
                },
                "the model for the CPU is not the one that was compiled: its input 1 is int8 [1], expected uint8 [1]",
            ),
        ];
        for (error, message) in cases {
            assert_eq!(error.to_string(), message);
        }
    }
}
