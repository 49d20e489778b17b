//! What can go wrong while looking for, choosing or locking a device.

use std::error::Error;
use std::path::PathBuf;
use std::{fmt, io};

use super::edge_tpu::DeviceKind;
use super::holders::Holder;
use super::selector::DeviceSelector;

/// Why a device could not be listed, chosen or locked.
///
/// ```
/// let error = "usb:first".parse::<corallite::device::DeviceSelector>().unwrap_err();
/// assert!(error.to_string().contains("expected auto, cpu, usb"));
/// ```
#[derive(Debug)]
#[non_exhaustive]
pub enum DeviceError {
    /// A directory or file that exists cannot be read.
    Read {
        /// What was read.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// libusb could not list the devices.
    Usb {
        /// What libusb said.
        source: Box<dyn Error + Send + Sync>,
    },
    /// A text that is no device selector.
    Selector {
        /// The text.
        text: String,
        /// What is wrong with it.
        problem: &'static str,
    },
    /// A selector that names no device of the list.
    NoSuchDevice {
        /// What was asked for.
        selector: DeviceSelector,
        /// Kind and path of each device that could have been named.
        found: Vec<(DeviceKind, String)>,
    },
    /// Another process, or another part of this one, holds the lock of the device.
    Busy {
        /// Path of the device.
        device: String,
        /// Who holds it, where that can be told.
        holder: Option<Holder>,
    },
    /// The lock file could not be opened or locked.
    Lock {
        /// Path of the device.
        device: String,
        /// The lock file.
        file: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// The lock file is a directory, a link or shared under a second name: somebody prepared it.
    LockFile {
        /// Path of the device.
        device: String,
        /// The lock file.
        file: PathBuf,
    },
    /// No directory for lock files exists in which this user may write.
    NoLockDirectory {
        /// Path of the device.
        device: String,
        /// The directories tried.
        tried: Vec<PathBuf>,
    },
}

impl fmt::Display for DeviceError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Read { path, source } => {
                write!(f, "{}: cannot be read: {source}", path.display())
            }
            Self::Usb { source } => write!(f, "usb: libusb cannot list devices: {source}"),
            Self::Selector { text, problem } => write!(
                f,
                "device `{}`: {problem}, expected auto, cpu, usb, usb:N, pci, pci:N, :N, /dev/apex_N or \
                 /sys/bus/usb/devices/BUS-PORT",
                text.escape_debug()
            ),
            Self::NoSuchDevice { selector, found } => write_no_such_device(f, selector, found),
            Self::Busy {
                device,
                holder: Some(holder),
            } if holder.pid == std::process::id() => {
                write!(
                    f,
                    "{device}: already open in this process, share that delegate instead of opening a second one"
                )
            }
            Self::Busy {
                device,
                holder: Some(holder),
            } => {
                write!(
                    f,
                    "{device}: in use by {holder}, stop it or choose another device"
                )
            }
            Self::Busy {
                device,
                holder: None,
            } => {
                write!(
                    f,
                    "{device}: in use by a process of another user or container, stop it or choose another device"
                )
            }
            Self::Lock {
                device,
                file,
                source,
            } => {
                write!(
                    f,
                    "{device}: lock file {} cannot be opened: {source}",
                    file.display()
                )
            }
            Self::LockFile { device, file } => write!(
                f,
                "{device}: lock file {} is a link or no regular file, expected one of our own, remove it",
                file.display()
            ),
            Self::NoLockDirectory { device, tried } => {
                write!(f, "{device}: no directory for its lock file, tried")?;
                for (position, directory) in tried.iter().enumerate() {
                    write!(
                        f,
                        "{} {}",
                        if position == 0 { "" } else { "," },
                        directory.display()
                    )?;
                }
                f.write_str(", set CORALLITE_LOCK_DIR to a writable one")
            }
        }
    }
}

fn write_no_such_device(
    f: &mut fmt::Formatter<'_>,
    selector: &DeviceSelector,
    found: &[(DeviceKind, String)],
) -> fmt::Result {
    if found.is_empty() {
        return write!(
            f,
            "device `{selector}`: no Edge TPU found, plug one in and run `corallite doctor` if it does not appear"
        );
    }
    write!(f, "device `{selector}`: not present, found ")?;
    let (mut usb, mut pci) = (0usize, 0usize);
    for (position, (kind, path)) in found.iter().enumerate() {
        let count = match kind {
            DeviceKind::Usb => &mut usb,
            DeviceKind::Pci => &mut pci,
        };
        let separator = if position == 0 { "" } else { ", " };
        write!(f, "{separator}{}:{count} = {path}", kind.word())?;
        *count += 1;
    }
    f.write_str(", choose one of these")
}

impl Error for DeviceError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::Read { source, .. } | Self::Lock { source, .. } => Some(source),
            Self::Usb { source } => Some(source.as_ref()),
            Self::Selector { .. }
            | Self::NoSuchDevice { .. }
            | Self::Busy { .. }
            | Self::LockFile { .. }
            | Self::NoLockDirectory { .. } => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_say_where_what_and_what_to_do() {
        let denied = || io::Error::from(io::ErrorKind::PermissionDenied);
        let device = || "/dev/apex_0".to_string();
        let cases = [
            (
                DeviceError::Read {
                    path: "/sys/class/apex".into(),
                    source: denied(),
                },
                "/sys/class/apex: cannot be read: permission denied",
            ),
            (
                DeviceError::Usb {
                    source: "Other".into(),
                },
                "usb: libusb cannot list devices: Other",
            ),
            (
                DeviceError::Selector {
                    text: "usb:\n".into(),
                    problem: "the number is missing",
                },
                "device `usb:\\n`: the number is missing, expected auto, cpu, usb, usb:N, pci, pci:N, :N, /dev/apex_N or \
                 /sys/bus/usb/devices/BUS-PORT",
            ),
            (
                DeviceError::NoSuchDevice {
                    selector: DeviceSelector::Usb(Some(0)),
                    found: vec![],
                },
                "device `usb:0`: no Edge TPU found, plug one in and run `corallite doctor` if it does not appear",
            ),
            (
                DeviceError::NoSuchDevice {
                    selector: DeviceSelector::Usb(Some(2)),
                    found: vec![
                        (DeviceKind::Pci, device()),
                        (DeviceKind::Usb, "/sys/bus/usb/devices/2-1".into()),
                        (DeviceKind::Usb, "/sys/bus/usb/devices/4-1.2".into()),
                    ],
                },
                "device `usb:2`: not present, found pci:0 = /dev/apex_0, usb:0 = /sys/bus/usb/devices/2-1, \
                 usb:1 = /sys/bus/usb/devices/4-1.2, choose one of these",
            ),
            (
                DeviceError::Busy {
                    device: device(),
                    holder: Some(Holder {
                        pid: u32::MAX,
                        command: "python3 detect.py".into(),
                    }),
                },
                "/dev/apex_0: in use by process 4294967295 (python3 detect.py), stop it or choose another device",
            ),
            (
                DeviceError::Busy {
                    device: device(),
                    holder: Some(Holder {
                        pid: std::process::id(),
                        command: "x".into(),
                    }),
                },
                "/dev/apex_0: already open in this process, share that delegate instead of opening a second one",
            ),
            (
                DeviceError::Busy {
                    device: device(),
                    holder: None,
                },
                "/dev/apex_0: in use by a process of another user or container, stop it or choose another device",
            ),
            (
                DeviceError::Lock {
                    device: device(),
                    file: "/tmp/x".into(),
                    source: denied(),
                },
                "/dev/apex_0: lock file /tmp/x cannot be opened: permission denied",
            ),
            (
                DeviceError::LockFile {
                    device: device(),
                    file: "/tmp/x".into(),
                },
                "/dev/apex_0: lock file /tmp/x is a link or no regular file, expected one of our own, remove it",
            ),
            (
                DeviceError::NoLockDirectory {
                    device: device(),
                    tried: vec!["/run/lock".into(), "/tmp".into()],
                },
                "/dev/apex_0: no directory for its lock file, tried /run/lock, /tmp, \
                 set CORALLITE_LOCK_DIR to a writable one",
            ),
        ];
        for (error, message) in cases {
            assert_eq!(error.to_string(), message);
        }
    }
}
