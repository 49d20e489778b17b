//! A device that is open: one delegate of libedgetpu, and the reason when there is none.
#![allow(unsafe_code, reason = "owns the delegate that libedgetpu allocated")]

use std::any::Any;
use std::ffi::CString;
use std::fmt;
use std::ptr::NonNull;
use std::sync::{Arc, Weak};

use super::edgetpu::{DeviceRecord, EdgeTpuLibrary};
use super::options::DelegateOptions;
use super::stderr::{Tap, reason};
use super::tflite::TfLiteDelegate;

/// An open Edge TPU. Clones share the device, which closes when the last clone and the last session on it are gone.
///
/// One device serves any number of sessions in any number of threads; libedgetpu runs their inferences one after the
/// other, in no fair order. Dropping the last clone of an unplugged device takes 3 s, and never returns after an
/// inference that hung: a device that can go away belongs in a process of its own.
///
/// ```no_run
/// use corallite::ffi::{DelegateOptions, EdgeTpu, EdgeTpuLibrary, SearchPath};
///
/// let library = EdgeTpuLibrary::open(&SearchPath::from_environment())?;
/// if let Some(device) = library.devices().first() {
///     let edge_tpu = EdgeTpu::open(library, device, DelegateOptions::default())?;
///     println!("{} is open", edge_tpu.device());
/// }
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone)]
pub struct EdgeTpu {
    open: Arc<OpenDelegate>,
}

/// The delegate, freed on drop.
#[derive(Debug)]
struct OpenDelegate {
    library: &'static EdgeTpuLibrary,
    device: DeviceRecord,
    delegate: NonNull<TfLiteDelegate>,
    /// Dropped after the delegate is freed.
    _kept: Option<Box<dyn Any + Send + Sync>>,
}

// SAFETY: libedgetpu's delegate object does not change after its creation, may prepare several contexts from several
// threads, and may be freed on any thread.
unsafe impl Send for OpenDelegate {}
// SAFETY: as above.
unsafe impl Sync for OpenDelegate {}

impl Drop for OpenDelegate {
    fn drop(&mut self) {
        log::debug!("closing {}", self.device);
        // SAFETY: the delegate came from this library and is freed only here; every session holds a clone of the Arc
        // and frees its kernels before letting go of it, so none is left.
        unsafe { self.library.free_delegate(self.delegate) };
    }
}

impl EdgeTpu {
    /// Opens `device`, which must be in the library's list at this moment: for any other path libedgetpu waits 25 s and
    /// blocks every other call meanwhile.
    ///
    /// Takes 2 to 3 s on USB. Resets the port, so a stick that another process uses must not be opened to find out
    /// whether it is free. While it runs, stderr is read by us for the reason of a failure: lines of libedgetpu go to
    /// `log` under the target `libedgetpu`, all others go on to stderr.
    ///
    /// A device without permission makes libedgetpu wait 25 s as well: look at that first.
    ///
    /// # Errors
    ///
    /// The path is not in the list, or the library gives no delegate.
    pub fn open(
        library: &'static EdgeTpuLibrary,
        device: &DeviceRecord,
        options: DelegateOptions,
    ) -> Result<Self, OpenError> {
        Self::open_keeping(library, device, options, None)
    }

    /// As [`open`](Self::open); `kept` is dropped after the device has been closed, or was not opened.
    pub(crate) fn open_keeping(
        library: &'static EdgeTpuLibrary,
        device: &DeviceRecord,
        options: DelegateOptions,
        kept: Option<Box<dyn Any + Send + Sync>>,
    ) -> Result<Self, OpenError> {
        let path = listed_path(library, device)?;
        let tap = Tap::start();
        if tap.is_some() {
            library.raise_verbosity(1);
        }
        let delegate = library.create_delegate(device.kind, &path, options);
        library.restore_verbosity();
        let lines = tap.map(Tap::finish).unwrap_or_default();
        Self::opened(library, device, delegate, kept, || reason(&lines))
    }

    /// As [`open`](Self::open), and stderr stays as it is: whoever reads it learns the reason of a failure there.
    #[cfg(target_os = "linux")]
    pub(crate) fn open_talking(
        library: &'static EdgeTpuLibrary,
        device: &DeviceRecord,
        options: DelegateOptions,
    ) -> Result<Self, OpenError> {
        let path = listed_path(library, device)?;
        library.raise_verbosity(1);
        let delegate = library.create_delegate(device.kind, &path, options);
        library.restore_verbosity();
        Self::opened(library, device, delegate, None, || None)
    }

    fn opened(
        library: &'static EdgeTpuLibrary,
        device: &DeviceRecord,
        delegate: Option<NonNull<TfLiteDelegate>>,
        kept: Option<Box<dyn Any + Send + Sync>>,
        reason: impl FnOnce() -> Option<String>,
    ) -> Result<Self, OpenError> {
        let device = device.clone();
        let Some(delegate) = delegate else {
            let reason = reason();
            return Err(OpenError::Refused { device, reason });
        };
        log::info!("opened {device}");
        Ok(Self {
            open: Arc::new(OpenDelegate {
                library,
                device,
                delegate,
                _kept: kept,
            }),
        })
    }

    /// The device.
    pub fn device(&self) -> &DeviceRecord {
        &self.open.device
    }

    /// The library that drives it.
    pub fn library(&self) -> &'static EdgeTpuLibrary {
        self.open.library
    }

    /// A handle that does not keep the device open.
    pub(crate) fn downgrade(&self) -> WeakEdgeTpu {
        WeakEdgeTpu(Arc::downgrade(&self.open))
    }

    /// The delegate; valid as long as this object.
    pub(super) fn delegate(&self) -> NonNull<TfLiteDelegate> {
        self.open.delegate
    }
}

/// An open Edge TPU as long as somebody else keeps it open.
#[derive(Debug, Clone)]
pub(crate) struct WeakEdgeTpu(Weak<OpenDelegate>);

impl WeakEdgeTpu {
    /// The device, if it is still open.
    pub(crate) fn upgrade(&self) -> Option<EdgeTpu> {
        self.0.upgrade().map(|open| EdgeTpu { open })
    }
}

/// The path of a device that is in the library's list now.
fn listed_path(library: &EdgeTpuLibrary, device: &DeviceRecord) -> Result<CString, OpenError> {
    let listed = library.devices();
    match CString::new(device.path.as_str()) {
        Ok(path) if listed.contains(device) => Ok(path),
        _ => Err(OpenError::NotListed {
            device: device.clone(),
            listed,
        }),
    }
}

/// Why a device is not open.
#[non_exhaustive]
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum OpenError {
    /// libedgetpu does not list the device now.
    NotListed {
        /// The device asked for.
        device: DeviceRecord,
        /// The devices listed.
        listed: Vec<DeviceRecord>,
    },
    /// libedgetpu gave no delegate.
    Refused {
        /// The device.
        device: DeviceRecord,
        /// libedgetpu's own words, if it had any.
        reason: Option<String>,
    },
}

impl fmt::Display for OpenError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotListed { device, listed } if listed.is_empty() => {
                write!(f, "{device} is not plugged in: libedgetpu lists no device")
            }
            Self::NotListed { device, listed } => {
                write!(f, "{device} is not plugged in: libedgetpu lists")?;
                let mut separator = " ";
                for found in listed {
                    write!(f, "{separator}{found}")?;
                    separator = ", ";
                }
                Ok(())
            }
            Self::Refused {
                device,
                reason: Some(reason),
            } => {
                write!(f, "libedgetpu did not open {device}: {reason}")
            }
            Self::Refused {
                device,
                reason: None,
            } => {
                write!(f, "libedgetpu did not open {device} and gave no reason")
            }
        }
    }
}

impl std::error::Error for OpenError {}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ffi::DeviceKind;

    #[test]
    fn errors_name_the_device_and_the_reason() {
        let device = DeviceRecord {
            kind: DeviceKind::Usb,
            path: "/sys/bus/usb/devices/2-1".into(),
        };
        let other = DeviceRecord {
            kind: DeviceKind::Pci,
            path: "/dev/apex_0".into(),
        };
        let cases = [
            (
                OpenError::NotListed {
                    device: device.clone(),
                    listed: vec![],
                },
                "usb /sys/bus/usb/devices/2-1 is not plugged in: libedgetpu lists no device",
            ),
            (
                OpenError::NotListed {
                    device: device.clone(),
                    listed: vec![other.clone(), other],
                },
                "usb /sys/bus/usb/devices/2-1 is not plugged in: libedgetpu lists pci /dev/apex_0, pci /dev/apex_0",
            ),
            (
                OpenError::Refused {
                    device: device.clone(),
                    reason: Some("Permission denied".into()),
                },
                "libedgetpu did not open usb /sys/bus/usb/devices/2-1: Permission denied",
            ),
            (
                OpenError::Refused {
                    device,
                    reason: None,
                },
                "libedgetpu did not open usb /sys/bus/usb/devices/2-1 and gave no reason",
            ),
        ];
        for (error, message) in cases {
            assert_eq!(error.to_string(), message);
        }
    }
}
