//! Sticks on the USB.
//!
//! A stick has two identities: 1a6e:089a while its ROM waits for firmware, 18d1:9302 once the firmware runs. Vendor and
//! product are matched together: 18d1 alone is every Android phone. Port, and with it the path, survives the change;
//! address and node do not.

use std::path::PathBuf;

use super::edge_tpu::{UsbDevice, UsbMode, UsbSpeed};
use super::error::DeviceError;
use super::system::{System, names_in, read_attribute, read_number};

/// Vendor and product with the ROM waiting for firmware.
pub(super) const BOOTLOADER: (u16, u16) = (0x1a6e, 0x089a);
/// Vendor and product with the firmware running.
pub(super) const RUNNING: (u16, u16) = (0x18d1, 0x9302);

/// libedgetpu's prefix of USB paths, whatever the mount point of sysfs (libedgetpu e35aed1,
/// `driver/usb/local_usb_device.cc`, `ComposePathString`).
pub(super) const PATH_PREFIX: &str = "/sys/bus/usb/devices/";

/// A device on the USB, as enumeration tells it.
///
/// ```
/// use corallite::device::{UsbEntry, UsbSpeed};
/// let entry = UsbEntry {
///     vendor_id: 0x18d1,
///     product_id: 0x9302,
///     bus: 2,
///     address: 3,
///     ports: vec![1],
///     speed: UsbSpeed::Super,
/// };
/// assert_eq!(entry.ports, [1]);
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UsbEntry {
    /// `idVendor`.
    pub vendor_id: u16,
    /// `idProduct`.
    pub product_id: u16,
    /// Bus number.
    pub bus: u8,
    /// Address on the bus.
    pub address: u8,
    /// Port numbers from the root hub down; empty for a root hub.
    pub ports: Vec<u8>,
    /// Negotiated speed.
    pub speed: UsbSpeed,
}

/// The sticks: libedgetpu's path, the node, and what they are. Those in bootloader mode come first.
pub(super) fn sticks(system: &System) -> Result<Vec<(String, PathBuf, UsbDevice)>, DeviceError> {
    let entries = match system.probe().usb_devices() {
        Ok(Some(entries)) => entries,
        Ok(None) => sysfs_entries(system)?,
        Err(error) => {
            // No USB at all is the usual reason; where there is one, sysfs knows it too.
            log::debug!("device: {error}, reading sysfs instead");
            sysfs_entries(system)?
        }
    };
    let with = |identity: (u16, u16)| {
        entries
            .iter()
            .filter(move |e| (e.vendor_id, e.product_id) == identity)
    };
    let stick = |entry: &UsbEntry, mode| {
        let device = UsbDevice {
            mode,
            bus: entry.bus,
            address: entry.address,
            ports: entry.ports.clone(),
            speed: entry.speed,
        };
        let node = system
            .dev()
            .join(format!("bus/usb/{:03}/{:03}", entry.bus, entry.address));
        (path_of(entry), node, device)
    };
    let waiting = with(BOOTLOADER).map(|entry| stick(entry, UsbMode::Bootloader));
    Ok(waiting
        .chain(with(RUNNING).map(|entry| stick(entry, UsbMode::Running)))
        .collect())
}

/// `<bus>-<port>[.<port>...]` behind the prefix.
fn path_of(entry: &UsbEntry) -> String {
    let mut path = format!("{PATH_PREFIX}{}", entry.bus);
    for (position, port) in entry.ports.iter().enumerate() {
        path.push(if position == 0 { '-' } else { '.' });
        path.push_str(&port.to_string());
    }
    path
}

/// What libusb lists, or None where it is not built in.
#[cfg(not(feature = "usb"))]
pub(super) fn enumerate() -> Result<Option<Vec<UsbEntry>>, DeviceError> {
    Ok(None)
}

/// What libusb lists, or None where it is not built in.
#[cfg(feature = "usb")]
pub(super) fn enumerate() -> Result<Option<Vec<UsbEntry>>, DeviceError> {
    use rusb::UsbContext;

    let failed = |source: rusb::Error| DeviceError::Usb {
        source: Box::new(source),
    };
    let context = rusb::Context::new().map_err(failed)?;
    let devices = context.devices().map_err(failed)?;
    let mut entries = Vec::with_capacity(devices.len());
    for device in devices.iter() {
        // Both come from sysfs; one that fails belongs to a device that has just gone.
        let (Ok(descriptor), Ok(ports)) = (device.device_descriptor(), device.port_numbers())
        else {
            continue;
        };
        entries.push(UsbEntry {
            vendor_id: descriptor.vendor_id(),
            product_id: descriptor.product_id(),
            bus: device.bus_number(),
            address: device.address(),
            ports,
            speed: match device.speed() {
                rusb::Speed::Low => UsbSpeed::Low,
                rusb::Speed::Full => UsbSpeed::Full,
                rusb::Speed::High => UsbSpeed::High,
                rusb::Speed::Super => UsbSpeed::Super,
                rusb::Speed::SuperPlus => UsbSpeed::SuperPlus,
                _ => UsbSpeed::Unknown,
            },
        });
    }
    Ok(Some(entries))
}

/// What sysfs lists. Order: that of the directory.
fn sysfs_entries(system: &System) -> Result<Vec<UsbEntry>, DeviceError> {
    let folder = system.sys().join("bus/usb/devices");
    let mut entries = Vec::new();
    for name in names_in(&folder)? {
        // `2-1.4` is a device, `2-1:1.0` an interface of one, `usb2` a root hub.
        let Some((bus, ports)) = parse_port_path(&name) else {
            continue;
        };
        let folder = folder.join(&name);
        let id = |file| u16::from_str_radix(&read_attribute(&folder.join(file))?, 16).ok();
        let (Some(vendor_id), Some(product_id)) = (id("idVendor"), id("idProduct")) else {
            continue;
        };
        let Some(address) = read_number(&folder.join("devnum")) else {
            continue;
        };
        entries.push(UsbEntry {
            vendor_id,
            product_id,
            bus,
            address,
            ports,
            speed: match read_attribute(&folder.join("speed")).as_deref() {
                Some("1.5") => UsbSpeed::Low,
                Some("12") => UsbSpeed::Full,
                Some("480") => UsbSpeed::High,
                Some("5000") => UsbSpeed::Super,
                Some("10000" | "20000") => UsbSpeed::SuperPlus,
                _ => UsbSpeed::Unknown,
            },
        });
    }
    Ok(entries)
}

/// Bus and ports of `2-1.4`. USB allows five hubs in a row, six ports; libedgetpu stores seven.
pub(super) fn parse_port_path(name: &str) -> Option<(u8, Vec<u8>)> {
    let number = |text: &str| {
        let digits = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
        if digits {
            text.parse::<u8>().ok()
        } else {
            None
        }
    };
    let (bus, ports) = name.split_once('-')?;
    let ports: Option<Vec<u8>> = ports.split('.').map(number).collect();
    Some((number(bus)?, ports.filter(|ports| ports.len() <= 7)?))
}

#[cfg(test)]
mod tests {
    use super::super::fake::FakeSystem;
    use super::*;

    #[test]
    fn vendor_and_product_are_matched_together() {
        let fake = FakeSystem::new("ids");
        // An Android phone, another chip of Global Unichip, and the two ids crossed.
        fake.stick(0x18d1, 0x4ee1, 1, 2, &[1], 480);
        fake.stick(0x1a6e, 0x089b, 1, 3, &[2], 480);
        fake.stick(0x1a6e, 0x9302, 1, 4, &[3], 480);
        fake.stick(0x18d1, 0x089a, 1, 5, &[4], 480);
        assert!(sticks(&fake.system()).unwrap().is_empty());
    }

    #[test]
    fn paths_are_spelled_as_libedgetpu_does() {
        let fake = FakeSystem::new("paths");
        fake.stick(0x18d1, 0x9302, 1, 17, &[2, 4], 480);
        fake.stick(0x1a6e, 0x089a, 12, 3, &[1], 5000);
        let found = sticks(&fake.system()).unwrap();
        let paths: Vec<_> = found
            .iter()
            .map(|(path, node, _)| (path.as_str(), node.clone()))
            .collect();
        assert_eq!(
            paths,
            [
                (
                    "/sys/bus/usb/devices/12-1",
                    fake.path("dev/bus/usb/012/003")
                ),
                (
                    "/sys/bus/usb/devices/1-2.4",
                    fake.path("dev/bus/usb/001/017")
                ),
            ]
        );
        assert_eq!(found[1].2.speed, UsbSpeed::High);
        assert_eq!(found[1].2.ports, [2, 4]);
    }

    #[test]
    fn sysfs_answers_where_libusb_does_not() {
        for libusb_fails in [false, true] {
            let fake = FakeSystem::new("sysfs");
            fake.without_libusb(libusb_fails);
            for (name, value) in [
                ("idVendor", "1a6e"),
                ("idProduct", "089a"),
                ("devnum", "9"),
                ("speed", "5000"),
            ] {
                fake.write(
                    &format!("sys/bus/usb/devices/2-1.3/{name}"),
                    &format!("{value}\n"),
                );
            }
            fake.write("sys/bus/usb/devices/2-1.3:1.0/bInterfaceClass", "fe\n");
            fake.write("sys/bus/usb/devices/usb2/idVendor", "1d6b\n");
            // Attributes of a device that goes away while it is read.
            fake.write("sys/bus/usb/devices/2-2/idVendor", "1a6e\n");
            let found = sticks(&fake.system()).unwrap();
            assert_eq!(found.len(), 1);
            assert_eq!(found[0].0, "/sys/bus/usb/devices/2-1.3");
            let expected = UsbDevice {
                mode: UsbMode::Bootloader,
                bus: 2,
                address: 9,
                ports: vec![1, 3],
                speed: UsbSpeed::Super,
            };
            assert_eq!(found[0].2, expected);
        }
    }

    #[test]
    fn port_paths_are_parsed() {
        let cases = [
            ("2-1", Some((2, vec![1]))),
            ("1-2.4.1", Some((1, vec![2, 4, 1]))),
            ("usb1", None),
            ("2-1:1.0", None),
            ("2-", None),
            ("-1", None),
            ("300-1", None),
            ("2-+1", None),
            ("1-1.1.1.1.1.1.1.1", None),
        ];
        for (name, expected) in cases {
            assert_eq!(parse_port_path(name), expected, "{name}");
        }
    }
}
