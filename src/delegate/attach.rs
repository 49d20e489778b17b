//! From a request to an open device: the library, its list, the choice, the lock, the opening, in this order.
//!
//! Everything that makes libedgetpu wait or fail without a reason is looked at before it is called.

use std::sync::{Mutex, PoisonError};

use super::attach_error::AttachError;
use super::request::DeviceRequest;
use crate::device::{self, Device, DeviceKind, DeviceLock};
use crate::ffi::{self, DelegateOptions, DeviceRecord, EdgeTpu, EdgeTpuLibrary, WeakEdgeTpu};

/// Opens the device that `request` names, or gives another handle where this process has it open. `needs` is the lowest
/// runtime version of what is to run on it.
pub(super) fn attach(request: &DeviceRequest, needs: Option<i32>) -> Result<EdgeTpu, AttachError> {
    let seen = device::list()?;
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
    if let Some(open) = find_open(library, &record, request.options) {
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
    if let Some(level) = request.verbosity {
        library.set_verbosity(level);
    }
    open_shared(library, &record, request.options)
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

/// The devices that this process has open, with the options of whoever opened them.
static OPEN: Mutex<Vec<(WeakEdgeTpu, DelegateOptions)>> = Mutex::new(Vec::new());

fn find_open(
    library: &EdgeTpuLibrary,
    device: &DeviceRecord,
    options: DelegateOptions,
) -> Option<EdgeTpu> {
    let open = OPEN.lock().unwrap_or_else(PoisonError::into_inner);
    find_among(&open, library, device, options)
}

fn find_among(
    open: &[(WeakEdgeTpu, DelegateOptions)],
    library: &EdgeTpuLibrary,
    device: &DeviceRecord,
    options: DelegateOptions,
) -> Option<EdgeTpu> {
    let mut open = open
        .iter()
        .filter_map(|(weak, options)| Some((weak.upgrade()?, *options)));
    let (edge_tpu, first) = open.find(|(edge_tpu, _)| {
        std::ptr::eq(edge_tpu.library(), library) && edge_tpu.device() == device
    })?;
    if first != options {
        log::warn!("{device}: open with options `{first}`, `{options}` do not count any more");
    }
    Some(edge_tpu)
}

/// Opens a device under its lock, which is held until the last handle is gone. One opening at a time.
pub(super) fn open_shared(
    library: &'static EdgeTpuLibrary,
    device: &DeviceRecord,
    options: DelegateOptions,
) -> Result<EdgeTpu, AttachError> {
    let mut open = OPEN.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(found) = find_among(&open, library, device, options) {
        return Ok(found);
    }
    open.retain(|(weak, _)| weak.upgrade().is_some());
    let lock = DeviceLock::acquire(&device.path)?;
    let edge_tpu = EdgeTpu::open_keeping(library, device, options, Some(Box::new(lock)))?;
    open.push((edge_tpu.downgrade(), options));
    Ok(edge_tpu)
}
