//! The devices as libedgetpu lists them, with what was found out here about each.

use super::access::Access;
use super::edge_tpu::{
    Device, DeviceDetails, DeviceKind, PcieDevice, UsbDevice, UsbMode, UsbSpeed,
};
use super::usb::{PATH_PREFIX, parse_port_path};

/// Numbers devices as `listed`, a library's own list of kind and path, does.
///
/// What libedgetpu lists can be opened, and its numbers are the ones users know; what this system tells of a device comes
/// from `seen`. A device that only libedgetpu sees is there with an access and a state that nobody looked at. A device
/// that only this system sees loses its number and goes to the end.
///
/// ```
/// use corallite::device::{DeviceKind, as_listed};
/// let devices = as_listed(vec![], [(DeviceKind::Usb, "/sys/bus/usb/devices/2-1")]);
/// assert_eq!(devices[0].to_string(), "0 USB /sys/bus/usb/devices/2-1 speed unknown, state unknown");
/// ```
pub fn as_listed<'a>(
    mut seen: Vec<Device>,
    listed: impl IntoIterator<Item = (DeviceKind, &'a str)>,
) -> Vec<Device> {
    let mut devices: Vec<Device> = Vec::new();
    for (kind, path) in listed {
        let known = seen
            .iter()
            .position(|device| device.kind() == kind && device.path == path);
        let mut device = known.map_or_else(|| unseen(kind, path), |at| seen.remove(at));
        device.kind_index = Some(devices.iter().filter(|d| d.kind() == kind).count());
        device.index = Some(devices.len());
        devices.push(device);
    }
    devices.extend(seen.into_iter().map(|device| Device {
        index: None,
        kind_index: None,
        ..device
    }));
    devices
}

/// A device of which only kind and path are known.
fn unseen(kind: DeviceKind, path: &str) -> Device {
    let details = match kind {
        DeviceKind::Pci => DeviceDetails::Pcie(PcieDevice::default()),
        DeviceKind::Usb => {
            let port = path.strip_prefix(PATH_PREFIX).and_then(parse_port_path);
            let (bus, ports) = port.unwrap_or_default();
            DeviceDetails::Usb(UsbDevice {
                mode: UsbMode::Unknown,
                bus,
                address: 0,
                ports,
                speed: UsbSpeed::Unknown,
            })
        }
    };
    Device {
        index: None,
        kind_index: None,
        path: path.to_owned(),
        node: None,
        access: Access::Unknown,
        holders: Vec::new(),
        details,
    }
}

#[cfg(test)]
mod tests {
    use super::super::fake::FakeSystem;
    use super::*;

    #[test]
    fn the_library_numbers_and_the_system_describes() {
        let fake = FakeSystem::new("listed");
        fake.module("apex_0", "0000:03:00.0");
        fake.stick(0x18d1, 0x9302, 2, 7, &[1], 5000);
        fake.stick(0x18d1, 0x9302, 2, 8, &[2], 480);
        let seen = fake.system().list().unwrap();
        // Another order, a stick that only the library sees, and no module.
        let listed = [
            (DeviceKind::Usb, "/sys/bus/usb/devices/2-2"),
            (DeviceKind::Usb, "/sys/bus/usb/devices/9-1.4"),
            (DeviceKind::Usb, "/sys/bus/usb/devices/2-1"),
        ];
        let lines: Vec<String> = as_listed(seen, listed)
            .iter()
            .map(ToString::to_string)
            .collect();
        assert_eq!(
            lines,
            [
                "0 USB /sys/bus/usb/devices/2-2 480 Mbit/s, firmware running",
                "1 USB /sys/bus/usb/devices/9-1.4 speed unknown, state unknown",
                "2 USB /sys/bus/usb/devices/2-1 5000 Mbit/s, firmware running",
                "- PCI /dev/apex_0 alive",
            ]
        );
    }

    #[test]
    fn a_device_that_only_the_library_sees_may_be_tried() {
        let devices = as_listed(vec![], [(DeviceKind::Pci, "/dev/apex_3")]);
        assert!(devices[0].is_usable());
        assert_eq!(
            (devices[0].index, devices[0].kind_index),
            (Some(0), Some(0))
        );
    }
}
