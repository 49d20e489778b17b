//! A machine in a temporary directory, for tests.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::{env, fs, io, process};

use super::{DeviceError, Node, Probe, System, UsbEntry, UsbSpeed};

/// What the kernel says to an open for reading.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Opening {
    Allowed,
    Refused,
}

/// How libusb answers.
#[derive(Default)]
enum LibUsb {
    #[default]
    Works,
    NotBuiltIn,
    Fails,
}

#[derive(Default)]
struct Answers {
    usb: Vec<UsbEntry>,
    libusb: LibUsb,
    nodes: BTreeMap<PathBuf, (Node, Opening)>,
}

/// The trees, and the answers to what they cannot hold. The directory goes with it.
pub(super) struct FakeSystem {
    root: PathBuf,
    answers: Arc<Mutex<Answers>>,
}

impl FakeSystem {
    pub(super) fn new(name: &str) -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let root = env::temp_dir().join(format!(
            "corallite-device-{}-{number}-{name}",
            process::id()
        ));
        fs::create_dir_all(&root).unwrap();
        Self {
            root,
            answers: Arc::default(),
        }
    }

    pub(super) fn system(&self) -> System {
        System::at(&self.root).with_probe(Box::new(FakeProbe(Arc::clone(&self.answers))))
    }

    pub(super) fn path(&self, relative: &str) -> PathBuf {
        self.root.join(relative)
    }

    pub(super) fn write(&self, relative: &str, content: &str) {
        let path = self.path(relative);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content).unwrap();
    }

    fn link(&self, relative: &str, target: &Path) {
        let path = self.path(relative);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::os::unix::fs::symlink(target, path).unwrap();
    }

    /// A character device of root and `gid`.
    pub(super) fn node(&self, relative: &str, gid: u32, mode: u32, opening: Opening) {
        let node = Node {
            is_character_device: true,
            uid: 0,
            gid,
            mode,
        };
        self.answers()
            .nodes
            .insert(self.path(relative), (node, opening));
    }

    /// A USB device that everybody may open.
    pub(super) fn stick(
        &self,
        vendor_id: u16,
        product_id: u16,
        bus: u8,
        address: u8,
        ports: &[u8],
        megabits: u32,
    ) {
        self.node(
            &format!("dev/bus/usb/{bus:03}/{address:03}"),
            0,
            0o666,
            Opening::Allowed,
        );
        let speed = match megabits {
            480 => UsbSpeed::High,
            5000 => UsbSpeed::Super,
            other => panic!("speed {other}"),
        };
        self.answers().usb.push(UsbEntry {
            vendor_id,
            product_id,
            bus,
            address,
            ports: ports.to_vec(),
            speed,
        });
    }

    /// A PCIe module with driver and a node that everybody may open.
    pub(super) fn module(&self, name: &str, address: &str) {
        self.unbound_module(address, Some("apex"));
        self.write(
            &format!("sys/class/apex/{name}/pci_address"),
            &format!("{address}\n"),
        );
        self.write(&format!("sys/class/apex/{name}/status"), "ALIVE\n");
        self.node(&format!("dev/{name}"), 0, 0o666, Opening::Allowed);
    }

    /// A PCIe function that the apex driver does not have.
    pub(super) fn unbound_module(&self, address: &str, driver: Option<&str>) {
        self.write(&format!("sys/bus/pci/devices/{address}/vendor"), "0x1ac1\n");
        self.write(&format!("sys/bus/pci/devices/{address}/device"), "0x089a\n");
        if let Some(driver) = driver {
            let target = format!("../../../bus/pci/drivers/{driver}");
            self.link(
                &format!("sys/bus/pci/devices/{address}/driver"),
                Path::new(&target),
            );
        }
    }

    /// A process with open files: path below the root, and the flags of open(2).
    pub(super) fn process(&self, pid: u32, command: &str, files: &[(&str, u32)]) {
        self.write(&format!("proc/{pid}/cmdline"), command);
        for (descriptor, (file, flags)) in files.iter().enumerate() {
            self.link(&format!("proc/{pid}/fd/{descriptor}"), &self.path(file));
            self.write(
                &format!("proc/{pid}/fdinfo/{descriptor}"),
                &format!("pos:\t0\nflags:\t0{flags:o}\n"),
            );
        }
    }

    pub(super) fn without_libusb(&self, fails: bool) {
        self.answers().libusb = if fails {
            LibUsb::Fails
        } else {
            LibUsb::NotBuiltIn
        };
    }

    fn answers(&self) -> std::sync::MutexGuard<'_, Answers> {
        self.answers.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for FakeSystem {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.root);
    }
}

struct FakeProbe(Arc<Mutex<Answers>>);

impl FakeProbe {
    fn answer(&self, path: &Path) -> io::Result<(Node, Opening)> {
        let answers = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        answers
            .nodes
            .get(path)
            .copied()
            .ok_or_else(|| io::ErrorKind::NotFound.into())
    }
}

impl Probe for FakeProbe {
    fn usb_devices(&self) -> Result<Option<Vec<UsbEntry>>, DeviceError> {
        let answers = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match answers.libusb {
            LibUsb::Works => Ok(Some(answers.usb.clone())),
            LibUsb::NotBuiltIn => Ok(None),
            LibUsb::Fails => Err(DeviceError::Usb {
                source: "Other".into(),
            }),
        }
    }

    fn node(&self, path: &Path) -> io::Result<Node> {
        self.answer(path).map(|(node, _)| node)
    }

    fn open_read_only(&self, path: &Path) -> io::Result<()> {
        match self.answer(path)?.1 {
            Opening::Allowed => Ok(()),
            Opening::Refused => Err(io::ErrorKind::PermissionDenied.into()),
        }
    }
}
