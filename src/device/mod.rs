//! Which Edge TPUs are plugged in, who may open them, and why one does not answer.
//!
//! [`list`] names every Edge TPU of the machine: USB sticks and PCIe modules, in the order and with the paths that
//! libedgetpu uses, with what sysfs, `/dev` and `/proc` tell about each. It opens no device for writing, needs neither
//! root nor libedgetpu, and answers in milliseconds. [`DeviceSelector`] is the grammar by which users name a device,
//! [`DeviceLock`] keeps two processes from opening the same one, [`doctor`] turns what was found into causes and fixes.
//!
//! Owns: USB and PCI ids, device paths, permissions, locks, diagnosis. May not know: libedgetpu, model files. What the
//! doctor has to know about those reaches it as plain data.
//!
//! | file | content |
//! | --- | --- |
//! | `edge_tpu.rs` | [`Device`]: one entry of the list, as data |
//! | `system.rs` | [`System`]: roots of the file trees and the [`Probe`] seam; [`System::list`] |
//! | `usb.rs` | sticks: rusb, or sysfs where libusb is not built in |
//! | `pcie.rs` | modules: `/sys/class/apex` and the PCI bus |
//! | `access.rs` | may this user open the node |
//! | `holders.rs` | which processes have the node open |
//! | `host.rs` | kernel, container, virtual machine |
//! | `listed.rs` | the list in libedgetpu's order and numbers |
//! | `selector.rs` | `auto`, `cpu`, `usb:0`, `pci:1`, `:2`, a path; `model.tflite@usb:0` |
//! | `lock.rs` | one process per device |
//! | `doctor/` | facts, causes, fixes |

pub mod doctor;

mod access;
mod edge_tpu;
mod error;
mod holders;
mod host;
mod listed;
mod lock;
mod pcie;
mod selector;
mod system;
mod usb;

#[cfg(test)]
mod fake;

pub use access::Access;
pub use edge_tpu::{
    ApexStatus, Device, DeviceDetails, DeviceKind, PcieDevice, UsbDevice, UsbMode, UsbSpeed,
};
pub use error::DeviceError;
pub use holders::Holder;
pub use host::{Container, Host, User};
pub use listed::as_listed;
pub use lock::DeviceLock;
pub use selector::{DeviceSelector, select, split_model_at_device};
pub use system::{Node, Probe, System};
pub use usb::UsbEntry;

/// Lists the Edge TPUs of this machine.
///
/// Devices that libedgetpu can open come first, numbered as it numbers them; PCIe functions without a driver or without
/// a node in `/dev` follow without a number.
///
/// ```
/// for device in corallite::device::list()? {
///     println!("{device}");
/// }
/// # Ok::<(), corallite::device::DeviceError>(())
/// ```
///
/// # Errors
///
/// A directory of sysfs exists and cannot be read. A machine without USB or without PCIe is no error: the list is empty.
pub fn list() -> Result<Vec<Device>, DeviceError> {
    System::host().list()
}
