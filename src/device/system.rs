//! Where the facts come from: the roots of the file trees, and the few questions that no tree of plain files answers.

use std::fs::{self, File};
use std::io::{self, Read};
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::{Path, PathBuf};

use super::access::{Access, Identity, check_access};
use super::edge_tpu::{Device, DeviceDetails, DeviceKind};
use super::error::DeviceError;
use super::holders::attach_holders;
use super::host::Host;
use super::usb::UsbEntry;
use super::{pcie, usb};

/// Longest file of sysfs or procfs that is read, in bytes; the kernel's own limit for sysfs is one page.
const LONGEST_ATTRIBUTE: u64 = 64 * 1024;

/// Owner and permissions of a file in `/dev`.
///
/// ```
/// use corallite::device::Node;
/// let node = Node { is_character_device: true, uid: 0, gid: 46, mode: 0o660 };
/// assert_eq!(node.mode & 0o060, 0o060);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Node {
    /// It is a character device.
    pub is_character_device: bool,
    /// Owner.
    pub uid: u32,
    /// Group.
    pub gid: u32,
    /// Permission bits, `0o660`.
    pub mode: u32,
}

/// What cannot be put into a temporary directory: USB enumeration and character devices.
///
/// Tests give their own answers; [`System::host`] asks the machine.
pub trait Probe: Send + Sync {
    /// Every device on the USB, Edge TPU or not, in libusb's order. None: read sysfs instead.
    ///
    /// # Errors
    ///
    /// libusb cannot work here.
    fn usb_devices(&self) -> Result<Option<Vec<UsbEntry>>, DeviceError>;

    /// Owner and permissions of `path`, links followed.
    ///
    /// # Errors
    ///
    /// The file is not there or its directory cannot be searched.
    fn node(&self, path: &Path) -> io::Result<Node>;

    /// Opens `path` for reading only and closes it again.
    ///
    /// # Errors
    ///
    /// The kernel does not let this process open it.
    fn open_read_only(&self, path: &Path) -> io::Result<()>;
}

/// The machine's own answers.
struct Machine {
    /// Whether USB devices are those that libusb lists, which knows this machine's alone.
    asks_libusb: bool,
}

impl Probe for Machine {
    fn usb_devices(&self) -> Result<Option<Vec<UsbEntry>>, DeviceError> {
        if self.asks_libusb {
            usb::enumerate()
        } else {
            Ok(None)
        }
    }

    fn node(&self, path: &Path) -> io::Result<Node> {
        let metadata = fs::metadata(path)?;
        Ok(Node {
            is_character_device: metadata.file_type().is_char_device(),
            uid: metadata.uid(),
            gid: metadata.gid(),
            mode: metadata.mode() & 0o7777,
        })
    }

    fn open_read_only(&self, path: &Path) -> io::Result<()> {
        File::open(path).map(drop)
    }
}

/// The file trees and the probe that devices are looked for with.
///
/// ```
/// // A machine on which nothing is plugged in: every tree is empty.
/// let nowhere = corallite::device::System::at("/nonexistent".as_ref());
/// assert_eq!(nowhere.list()?, []);
/// # Ok::<(), corallite::device::DeviceError>(())
/// ```
pub struct System {
    sys: PathBuf,
    dev: PathBuf,
    proc: PathBuf,
    etc: PathBuf,
    /// Folder of one folder per kernel release.
    modules: PathBuf,
    /// Where `/.dockerenv` would be.
    root: PathBuf,
    probe: Box<dyn Probe>,
}

impl System {
    /// This machine.
    pub fn host() -> Self {
        Self::at(Path::new("/"))
    }

    /// A machine whose `/sys`, `/dev`, `/proc`, `/etc` and `/lib/modules` lie under `root`: the host of a container,
    /// mounted there, or a copy of another machine's files.
    ///
    /// Under any root but `/`, USB devices are those of its sysfs.
    pub fn at(root: &Path) -> Self {
        Self {
            sys: root.join("sys"),
            dev: root.join("dev"),
            proc: root.join("proc"),
            etc: root.join("etc"),
            modules: root.join("lib/modules"),
            root: root.to_path_buf(),
            probe: Box::new(Machine {
                asks_libusb: root == Path::new("/"),
            }),
        }
    }

    /// Whether its files are those of the machine this program runs on.
    pub fn is_this_machine(&self) -> bool {
        self.root == Path::new("/")
    }

    /// Replaces the questions to the machine by other answers.
    pub fn with_probe(mut self, probe: Box<dyn Probe>) -> Self {
        self.probe = probe;
        self
    }

    /// Lists the Edge TPUs: PCIe nodes, sticks in bootloader mode, running sticks, then PCIe functions without a node.
    ///
    /// The first three are what libedgetpu enumerates and in that order (official 16.0 library, seen in its log: it
    /// reads `/sys/class/apex`, then asks libusb for 1a6e:089a, then for 18d1:9302). Within each, the order is that of
    /// the directory and of libusb: it is not sorted, and a stick moves when its firmware is loaded, so a path is the
    /// safer name. libusb's order is the one of the libusb this crate was built with.
    ///
    /// # Errors
    ///
    /// A directory of sysfs exists and cannot be read.
    pub fn list(&self) -> Result<Vec<Device>, DeviceError> {
        let host = Host::gather(self);
        let identity = Identity::gather(self);
        let modules = pcie::modules(self)?;
        let sticks = usb::sticks(self)?;
        let (with_node, without_node) = modules
            .into_iter()
            .partition::<Vec<_>, _>(|module: &pcie::Module| module.listed_by_libedgetpu);

        let mut devices = Vec::with_capacity(with_node.len() + sticks.len() + without_node.len());
        let mut add = |path: String,
                       node: Option<PathBuf>,
                       kind_index: Option<usize>,
                       details: DeviceDetails| {
            let access = match &node {
                Some(node) => check_access(self, node, &identity, host.container.is_some()),
                None => Access::NoNode,
            };
            let index = kind_index.map(|_| devices.len());
            devices.push(Device {
                index,
                kind_index,
                path,
                node,
                access,
                holders: Vec::new(),
                details,
            });
        };
        for (position, module) in with_node.into_iter().enumerate() {
            add(
                module.path,
                module.node,
                Some(position),
                DeviceDetails::Pcie(module.details),
            );
        }
        for (position, (path, node, details)) in sticks.into_iter().enumerate() {
            add(
                path,
                Some(node),
                Some(position),
                DeviceDetails::Usb(details),
            );
        }
        for module in without_node {
            add(module.path, None, None, DeviceDetails::Pcie(module.details));
        }
        attach_holders(self, &mut devices);
        for device in &devices {
            log::debug!("device: {device}");
        }
        debug_assert!(
            devices
                .iter()
                .filter(|d| d.kind() == DeviceKind::Usb)
                .all(|d| d.index.is_some())
        );
        Ok(devices)
    }

    pub(super) fn sys(&self) -> &Path {
        &self.sys
    }

    pub(super) fn dev(&self) -> &Path {
        &self.dev
    }

    pub(super) fn proc(&self) -> &Path {
        &self.proc
    }

    pub(super) fn etc(&self) -> &Path {
        &self.etc
    }

    pub(super) fn kernel_modules(&self) -> &Path {
        &self.modules
    }

    pub(super) fn root(&self) -> &Path {
        &self.root
    }

    pub(super) fn probe(&self) -> &dyn Probe {
        self.probe.as_ref()
    }
}

/// The content of a small text file without surrounding blanks. None when it cannot be read, as for attributes of a
/// device that has just gone.
pub(super) fn read_attribute(path: &Path) -> Option<String> {
    let mut bytes = Vec::new();
    File::open(path)
        .ok()?
        .take(LONGEST_ATTRIBUTE)
        .read_to_end(&mut bytes)
        .ok()?;
    Some(String::from_utf8_lossy(&bytes).trim().to_string())
}

/// The content of a small text file that holds one number.
pub(super) fn read_number<T: std::str::FromStr>(path: &Path) -> Option<T> {
    read_attribute(path)?.parse().ok()
}

/// File names of a directory in its own order; none when it does not exist.
pub(super) fn names_in(directory: &Path) -> Result<Vec<String>, DeviceError> {
    let failed = |source| DeviceError::Read {
        path: directory.to_path_buf(),
        source,
    };
    let entries = match fs::read_dir(directory) {
        Ok(entries) => entries,
        Err(error)
            if matches!(
                error.kind(),
                io::ErrorKind::NotFound | io::ErrorKind::NotADirectory
            ) =>
        {
            return Ok(Vec::new());
        }
        Err(error) => return Err(failed(error)),
    };
    let mut names = Vec::new();
    for entry in entries {
        // Names of the kernel are ASCII; another one is no device.
        if let Ok(name) = entry.map_err(failed)?.file_name().into_string() {
            names.push(name);
        }
    }
    Ok(names)
}

#[cfg(test)]
mod tests {
    use super::super::fake::FakeSystem;
    use super::super::{DeviceKind, UsbMode};
    use super::*;

    #[test]
    fn list_numbers_pci_then_bootloader_then_running() {
        let fake = FakeSystem::new("order");
        fake.module("apex_0", "0000:03:00.0");
        fake.unbound_module("0000:05:00.0", None);
        fake.stick(0x18d1, 0x9302, 2, 7, &[1], 5000);
        fake.stick(0x1a6e, 0x089a, 2, 8, &[3], 5000);
        let devices = fake.system().list().unwrap();
        let seen: Vec<_> = devices
            .iter()
            .map(|d| (d.index, d.kind_index, d.kind(), d.path.as_str()))
            .collect();
        assert_eq!(
            seen,
            [
                (Some(0), Some(0), DeviceKind::Pci, "/dev/apex_0"),
                (
                    Some(1),
                    Some(0),
                    DeviceKind::Usb,
                    "/sys/bus/usb/devices/2-3"
                ),
                (
                    Some(2),
                    Some(1),
                    DeviceKind::Usb,
                    "/sys/bus/usb/devices/2-1"
                ),
                (None, None, DeviceKind::Pci, "0000:05:00.0"),
            ]
        );
        let DeviceDetails::Usb(first) = &devices[1].details else {
            panic!("a stick")
        };
        assert_eq!(first.mode, UsbMode::Bootloader);
    }

    #[test]
    fn list_is_empty_on_a_machine_without_usb_and_pcie() {
        let fake = FakeSystem::new("empty");
        assert_eq!(fake.system().list().unwrap(), []);
    }

    #[test]
    fn list_answers_on_this_machine() {
        // Whatever is plugged in here: no panic, and numbers without gaps.
        let devices = System::host().list().unwrap();
        for (position, device) in devices.iter().filter(|d| d.index.is_some()).enumerate() {
            assert_eq!(device.index, Some(position));
        }
    }
}
