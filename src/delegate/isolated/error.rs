//! What an application is told when its worker, or the worker's device, is not there.

use std::fmt;
use std::io;
use std::time::Duration;

use crate::device::Holder;
use crate::ops::DeviceFault;

/// Why a device in a worker process cannot be used now.
#[derive(Debug)]
#[non_exhaustive]
pub enum IsolationError {
    /// [`worker_main`](super::worker_main) has not been called, so a second start of this program would be no worker.
    NoWorkerMain,
    /// The worker program did not start, or is none.
    Worker {
        /// Path of the program.
        program: String,
        /// What failed.
        source: io::Error,
    },
    /// Memory to share with the worker could not be had.
    Memory {
        /// Bytes asked for.
        bytes: usize,
        /// Why not.
        source: io::Error,
    },
    /// libedgetpu does not load in the worker.
    Library {
        /// The worker's words: paths tried, what was wrong with each.
        reason: String,
    },
    /// Somebody else has the device. The next inference tries again.
    DeviceBusy {
        /// Kind and path.
        device: String,
        /// Who has it, where that can be told.
        holder: Option<Holder>,
    },
    /// The device, or the worker with it, is gone or does not answer. The next inference tries to open it again.
    DeviceLost {
        /// Kind and path.
        device: String,
        /// What happened.
        loss: Loss,
        /// The last words of libedgetpu, where it had any.
        words: Option<String>,
    },
    /// The device is there and this user or this program may not have it.
    Denied {
        /// Kind and path.
        device: String,
        /// Why not.
        reason: String,
    },
    /// libedgetpu refused a model or an inference; the device is still open.
    Refused {
        /// Its words.
        reason: String,
    },
}

/// How a device was lost.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Loss {
    /// libedgetpu ended its process, or something in it did.
    Ended {
        /// How: a signal by name, or an exit code.
        how: String,
    },
    /// An inference took longer than its deadline; the worker was killed.
    Hung {
        /// How long it was waited for.
        waited: Duration,
    },
    /// Opening, preparing or closing took longer than its deadline; the worker was killed.
    Stalled {
        /// What was going on.
        what: &'static str,
        /// How long it was waited for.
        waited: Duration,
    },
    /// The device is not plugged in.
    Absent {
        /// libedgetpu's list.
        reason: String,
    },
    /// libedgetpu did not open it.
    NotOpened,
    /// It was lost before, and the next attempt to open it is not due yet.
    Waiting {
        /// When it is.
        due: Duration,
    },
}

impl IsolationError {
    /// What kind of failure it is, for who has to act on it.
    pub fn fault(&self) -> DeviceFault {
        match self {
            Self::DeviceLost { .. } => DeviceFault::Lost,
            Self::DeviceBusy { .. } => DeviceFault::Busy,
            _ => DeviceFault::Failed,
        }
    }
}

impl fmt::Display for Loss {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ended { how } => write!(f, "libedgetpu's process ended by {how}"),
            Self::Hung { waited } => write!(f, "no answer to an inference within {waited:?}"),
            Self::Stalled { what, waited } => write!(f, "{what} took more than {waited:?}"),
            Self::Absent { reason } => f.write_str(reason),
            Self::NotOpened => f.write_str("libedgetpu did not open it"),
            Self::Waiting { due } => write!(f, "next attempt to open it in {due:.1?}"),
        }
    }
}

impl fmt::Display for IsolationError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::DeviceBusy { device, .. }
            | Self::DeviceLost { device, .. }
            | Self::Denied { device, .. } => write!(f, "{device}: {}", Reason(self)),
            _ => Reason(self).fmt(f),
        }
    }
}

/// An error without the name of its device.
pub(in crate::delegate) struct Reason<'a>(pub(in crate::delegate) &'a IsolationError);

impl fmt::Display for Reason<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            IsolationError::NoWorkerMain => f.write_str(
                "this program cannot be its own worker: call corallite::delegate::isolated::worker_main() first in main, \
                 or name a worker program",
            ),
            IsolationError::Worker { program, source } => write!(f, "worker {program}: {source}"),
            IsolationError::Memory { bytes, source } => {
                write!(f, "no {bytes} bytes of memory to share with the worker: {source}")
            }
            IsolationError::Library { reason }
            | IsolationError::Denied { reason, .. }
            | IsolationError::Refused { reason } => f.write_str(reason),
            IsolationError::DeviceBusy {
                holder: Some(holder),
                ..
            } => write!(f, "in use by {holder}, stop it or choose another device"),
            IsolationError::DeviceBusy { holder: None, .. } => {
                f.write_str("in use by another process, stop it or choose another device")
            }
            IsolationError::DeviceLost {
                loss,
                words: Some(words),
                ..
            } => write!(f, "{loss}: {words}"),
            IsolationError::DeviceLost {
                loss, words: None, ..
            } => loss.fmt(f),
        }
    }
}

impl std::error::Error for IsolationError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Worker { source, .. } | Self::Memory { source, .. } => Some(source),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_say_which_device_what_happened_and_what_libedgetpu_said() {
        let device = || "usb /sys/bus/usb/devices/2-1".to_owned();
        let lost = |loss, words: Option<&str>| IsolationError::DeviceLost {
            device: device(),
            loss,
            words: words.map(str::to_owned),
        };
        let cases = [
            (
                lost(
                    Loss::Ended {
                        how: "SIGABRT".into(),
                    },
                    Some("USB transfer error 5"),
                ),
                DeviceFault::Lost,
                "usb /sys/bus/usb/devices/2-1: libedgetpu's process ended by SIGABRT: USB transfer error 5",
            ),
            (
                lost(
                    Loss::Hung {
                        waited: Duration::from_secs(10),
                    },
                    None,
                ),
                DeviceFault::Lost,
                "usb /sys/bus/usb/devices/2-1: no answer to an inference within 10s",
            ),
            (
                lost(
                    Loss::Stalled {
                        what: "opening",
                        waited: Duration::from_secs(40),
                    },
                    None,
                ),
                DeviceFault::Lost,
                "usb /sys/bus/usb/devices/2-1: opening took more than 40s",
            ),
            (
                lost(Loss::NotOpened, Some("USB error -6")),
                DeviceFault::Lost,
                "usb /sys/bus/usb/devices/2-1: libedgetpu did not open it: USB error -6",
            ),
            (
                lost(
                    Loss::Waiting {
                        due: Duration::from_millis(1234),
                    },
                    None,
                ),
                DeviceFault::Lost,
                "usb /sys/bus/usb/devices/2-1: next attempt to open it in 1.2s",
            ),
            (
                lost(
                    Loss::Absent {
                        reason: "not plugged in".into(),
                    },
                    None,
                ),
                DeviceFault::Lost,
                "usb /sys/bus/usb/devices/2-1: not plugged in",
            ),
            (
                IsolationError::DeviceBusy {
                    device: device(),
                    holder: Some(Holder {
                        pid: 812,
                        command: "app".into(),
                    }),
                },
                DeviceFault::Busy,
                "usb /sys/bus/usb/devices/2-1: in use by process 812 (app), stop it or choose another device",
            ),
            (
                IsolationError::DeviceBusy {
                    device: device(),
                    holder: None,
                },
                DeviceFault::Busy,
                "usb /sys/bus/usb/devices/2-1: in use by another process, stop it or choose another device",
            ),
            (
                IsolationError::Denied {
                    device: device(),
                    reason: "no permission".into(),
                },
                DeviceFault::Failed,
                "usb /sys/bus/usb/devices/2-1: no permission",
            ),
            (
                IsolationError::NoWorkerMain,
                DeviceFault::Failed,
                "this program cannot be its own worker: call corallite::delegate::isolated::worker_main() first in \
                 main, or name a worker program",
            ),
            (
                IsolationError::Memory {
                    bytes: 7,
                    source: io::ErrorKind::OutOfMemory.into(),
                },
                DeviceFault::Failed,
                "no 7 bytes of memory to share with the worker: out of memory",
            ),
            (
                IsolationError::Worker {
                    program: "/x".into(),
                    source: io::ErrorKind::NotFound.into(),
                },
                DeviceFault::Failed,
                "worker /x: entity not found",
            ),
        ];
        for (error, fault, message) in cases {
            assert_eq!(error.to_string(), message);
            assert_eq!(error.fault(), fault, "{message}");
        }
    }
}
