//! From a request to an open device: the library, its list, the choice, the lock, the opening, in this order.
//!
//! Everything that makes libedgetpu wait or fail without a reason is looked at before it is called.

use std::sync::{Mutex, MutexGuard, PoisonError};

use super::attach_error::AttachError;
use super::edgetpu::EdgeTpuDelegate;
#[cfg(target_os = "linux")]
use super::isolated::{IsolatedEdgeTpu, WeakIsolatedEdgeTpu};
use super::request::DeviceRequest;
use crate::device::{self, Device, DeviceKind, DeviceLock};
use crate::ffi::{self, DelegateOptions, DeviceRecord, EdgeTpu, EdgeTpuLibrary, WeakEdgeTpu};

/// Opens the device that `request` names, or gives another handle where this process has it open. `needs` is the lowest
/// runtime version of what is to run on it.
pub(super) fn attach(request: &DeviceRequest, needs: Option<i32>) -> Result<Opened, AttachError> {
    let seen = without_own_workers(device::list()?);
    let library = EdgeTpuLibrary::open(&request.search());
    let devices = match &library {
        Ok(library) => listed_by(library, seen),
        Err(_) => seen,
    };
    let chosen = match device::select(&devices, request.selector())? {
        Some(chosen) => chosen.clone(),
        None if devices.is_empty() => return Err(AttachError::NoneFound),
        None => return Err(AttachError::NoneUsable { devices }),
    };
    let library = library?;
    let record = record_of(&chosen);
    if let Some(open) = find_open(&open_devices(), library, &record, request) {
        return Ok(open);
    }
    if !chosen.is_usable() {
        return Err(AttachError::Unusable {
            device: Box::new(chosen),
        });
    }
    if let (Some(needed), Some(found)) = (needs, library.version().runtime())
        && i64::from(needed) > i64::from(found)
    {
        return Err(AttachError::RuntimeTooOld {
            needed,
            found,
            library: library.path().to_owned(),
        });
    }
    open_shared(library, &record, request)
}

/// A device that is open.
pub(super) enum Opened {
    InProcess(EdgeTpu),
    #[cfg(target_os = "linux")]
    Isolated(IsolatedEdgeTpu),
}

impl Opened {
    pub(super) fn device(&self) -> &DeviceRecord {
        match self {
            Self::InProcess(edge_tpu) => edge_tpu.device(),
            #[cfg(target_os = "linux")]
            Self::Isolated(edge_tpu) => edge_tpu.device(),
        }
    }

    pub(super) fn is_isolated(&self) -> bool {
        !matches!(self, Self::InProcess(_))
    }

    pub(super) fn into_delegate(self) -> EdgeTpuDelegate {
        match self {
            Self::InProcess(edge_tpu) => EdgeTpuDelegate::new(edge_tpu),
            #[cfg(target_os = "linux")]
            Self::Isolated(edge_tpu) => EdgeTpuDelegate::isolated(edge_tpu),
        }
    }
}

/// A device that others may have closed meanwhile, and the options it was opened with.
struct Known {
    handle: Handle,
    options: DelegateOptions,
}

enum Handle {
    InProcess(WeakEdgeTpu),
    #[cfg(target_os = "linux")]
    Isolated(WeakIsolatedEdgeTpu),
}

impl Known {
    fn upgrade(&self) -> Option<Opened> {
        match &self.handle {
            Handle::InProcess(weak) => weak.upgrade().map(Opened::InProcess),
            #[cfg(target_os = "linux")]
            Handle::Isolated(weak) => weak.upgrade().map(Opened::Isolated),
        }
    }
}

/// The devices that this process has open.
static OPEN: Mutex<Vec<Known>> = Mutex::new(Vec::new());

fn open_devices() -> MutexGuard<'static, Vec<Known>> {
    OPEN.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The devices, none of them held by a worker of this process.
fn without_own_workers(mut devices: Vec<Device>) -> Vec<Device> {
    #[cfg(target_os = "linux")]
    for known in open_devices().iter() {
        let worker = match known.upgrade() {
            Some(Opened::Isolated(edge_tpu)) => edge_tpu.worker_id(),
            _ => None,
        };
        for device in &mut devices {
            device.holders.retain(|holder| Some(holder.pid) != worker);
        }
    }
    devices
}

fn find_open(
    known: &[Known],
    library: &EdgeTpuLibrary,
    device: &DeviceRecord,
    request: &DeviceRequest,
) -> Option<Opened> {
    let is_same = |opened: &Opened| {
        opened.device() == device
            && match opened {
                Opened::InProcess(edge_tpu) => {
                    !wants_isolation(request) && std::ptr::eq(edge_tpu.library(), library)
                }
                #[cfg(target_os = "linux")]
                Opened::Isolated(_) => wants_isolation(request),
            }
    };
    let mut opened = known
        .iter()
        .filter_map(|known| Some((known.upgrade()?, known.options)));
    let (found, options) = opened.find(|(opened, _)| is_same(opened))?;
    if options != request.options {
        log::warn!(
            "{device}: open with options `{options}`, `{}` do not count any more",
            request.options
        );
    }
    Some(found)
}

fn wants_isolation(request: &DeviceRequest) -> bool {
    #[cfg(target_os = "linux")]
    let wanted = request.isolation.is_some();
    #[cfg(not(target_os = "linux"))]
    let wanted = {
        let _ = request;
        false
    };
    wanted
}

/// Opens a device under its lock, which is held until the last handle is gone. One opening at a time.
pub(super) fn open_shared(
    library: &'static EdgeTpuLibrary,
    device: &DeviceRecord,
    request: &DeviceRequest,
) -> Result<Opened, AttachError> {
    let mut known = open_devices();
    if let Some(found) = find_open(&known, library, device, request) {
        return Ok(found);
    }
    known.retain(|known| known.upgrade().is_some());
    let options = request.options;
    #[cfg(target_os = "linux")]
    if let Some(isolation) = &request.isolation {
        // The worker takes the lock.
        let mut isolation = isolation.clone().library(request.search()).options(options);
        if let Some(level) = request.verbosity {
            isolation = isolation.verbosity(level);
        }
        let edge_tpu = isolation.open(device)?;
        known.push(Known {
            handle: Handle::Isolated(edge_tpu.downgrade()),
            options,
        });
        return Ok(Opened::Isolated(edge_tpu));
    }
    if let Some(level) = request.verbosity {
        library.set_verbosity(level);
    }
    let lock = DeviceLock::acquire(&device.path)?;
    let edge_tpu = EdgeTpu::open_keeping(library, device, options, Some(Box::new(lock)))?;
    known.push(Known {
        handle: Handle::InProcess(edge_tpu.downgrade()),
        options,
    });
    Ok(Opened::InProcess(edge_tpu))
}

/// The devices as `library` numbers them.
pub(super) fn listed_by(library: &EdgeTpuLibrary, seen: Vec<Device>) -> Vec<Device> {
    let listed = library.devices();
    let listed = listed.iter().map(|record| {
        let kind = match record.kind {
            ffi::DeviceKind::Pci => DeviceKind::Pci,
            ffi::DeviceKind::Usb => DeviceKind::Usb,
        };
        (kind, record.path.as_str())
    });
    device::as_listed(seen, listed)
}

/// The device as libedgetpu names it.
pub(super) fn record_of(device: &Device) -> DeviceRecord {
    DeviceRecord {
        kind: match device.kind() {
            DeviceKind::Pci => ffi::DeviceKind::Pci,
            DeviceKind::Usb => ffi::DeviceKind::Usb,
        },
        path: device.path.clone(),
    }
}
