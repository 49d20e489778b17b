//! Modules on the PCI bus: M.2 and mini-PCIe cards, the Dev Board's own.
//!
//! The kernel driver (gasket and apex) gives each one a folder in `/sys/class/apex` and a node in `/dev` of the same
//! name. libedgetpu lists the folders that have a node (libedgetpu e35aed1, `driver/driver_factory_default.cc`). A
//! function on the bus without either has no driver.

use std::path::{Path, PathBuf};

use super::edge_tpu::{ApexStatus, PcieDevice};
use super::error::DeviceError;
use super::system::{System, names_in, read_attribute, read_number};

/// PCI vendor and device of the chip, as sysfs writes them.
const PCI_ID: (&str, &str) = ("0x1ac1", "0x089a");

/// A module as found.
pub(super) struct Module {
    /// `/dev/apex_0`, or the PCI address where there is no node.
    pub path: String,
    pub node: Option<PathBuf>,
    pub listed_by_libedgetpu: bool,
    pub details: PcieDevice,
}

/// All modules: those of the driver in the order of the directory, then functions of the bus that it does not have.
pub(super) fn modules(system: &System) -> Result<Vec<Module>, DeviceError> {
    let class = system.sys().join("class/apex");
    let mut modules = Vec::new();
    for name in names_in(&class)?
        .iter()
        .filter(|name| name.starts_with("apex"))
    {
        let node = system.dev().join(name);
        let node = system
            .probe()
            .node(&node)
            .is_ok_and(|n| n.is_character_device)
            .then_some(node);
        modules.push(Module {
            path: format!("/dev/{name}"),
            listed_by_libedgetpu: node.is_some(),
            node,
            details: read_class_folder(&class.join(name)),
        });
    }
    let bus = system.sys().join("bus/pci/devices");
    for address in names_in(&bus)? {
        let function = bus.join(&address);
        let id = |file| read_attribute(&function.join(file)).unwrap_or_default();
        if id("vendor") != PCI_ID.0 || id("device") != PCI_ID.1 {
            continue;
        }
        if modules
            .iter()
            .any(|module| module.details.address.as_deref() == Some(&address))
        {
            continue;
        }
        modules.push(Module {
            path: address.clone(),
            node: None,
            listed_by_libedgetpu: false,
            details: PcieDevice {
                address: Some(address),
                driver: link_name(&function.join("driver")),
                ..PcieDevice::default()
            },
        });
    }
    Ok(modules)
}

/// The attributes of the driver, all optional: older drivers lack some, and a folder vanishes with its device.
fn read_class_folder(folder: &Path) -> PcieDevice {
    let text = |file| read_attribute(&folder.join(file)).filter(|text| !text.is_empty());
    let number = |file| read_number::<i32>(&folder.join(file));
    let trip_points = || {
        Some([
            number("trip_point0_temp")?,
            number("trip_point1_temp")?,
            number("trip_point2_temp")?,
        ])
    };
    PcieDevice {
        address: text("pci_address").or_else(|| link_name(&folder.join("device"))),
        driver: link_name(&folder.join("device/driver")).or_else(|| Some("apex".to_string())),
        driver_version: text("driver_version"),
        status: text("status").map(|word| ApexStatus::from_word(&word)),
        temperature: number("temp"),
        trip_points: trip_points(),
        // The second warning drives the shutdown alarm line (gasket-driver 5815ee39, `src/apex_driver.c` line 294).
        shutdown_temperature: number("hw_temp_warn2")
            .filter(|_| number("hw_temp_warn2_en") == Some(1)),
    }
}

/// Last component of what a link points to.
fn link_name(link: &Path) -> Option<String> {
    Some(
        std::fs::read_link(link)
            .ok()?
            .file_name()?
            .to_string_lossy()
            .into_owned(),
    )
}

#[cfg(test)]
mod tests {
    use super::super::fake::FakeSystem;
    use super::*;

    #[test]
    fn modules_are_read_with_their_telemetry() {
        let fake = FakeSystem::new("telemetry");
        fake.module("apex_0", "0000:03:00.0");
        for (file, value) in [
            ("status", "ALIVE"),
            ("temp", "52300"),
            ("trip_point0_temp", "85000"),
            ("trip_point1_temp", "90000"),
            ("trip_point2_temp", "95000"),
            ("hw_temp_warn2", "100000"),
            ("hw_temp_warn2_en", "1"),
            ("driver_version", "1.2"),
        ] {
            fake.write(
                &format!("sys/class/apex/apex_0/{file}"),
                &format!("{value}\n"),
            );
        }
        let found = modules(&fake.system()).unwrap();
        assert_eq!(found.len(), 1, "the function of the bus is the same module");
        assert_eq!(found[0].path, "/dev/apex_0");
        assert_eq!(
            found[0].details,
            PcieDevice {
                address: Some("0000:03:00.0".into()),
                driver: Some("apex".into()),
                driver_version: Some("1.2".into()),
                status: Some(ApexStatus::Alive),
                temperature: Some(52_300),
                trip_points: Some([85_000, 90_000, 95_000]),
                shutdown_temperature: Some(100_000),
            }
        );
        fake.write("sys/class/apex/apex_0/hw_temp_warn2_en", "0\n");
        fake.write("sys/class/apex/apex_0/temp", "not a number\n");
        let details = &modules(&fake.system()).unwrap()[0].details;
        assert_eq!(
            (details.shutdown_temperature, details.temperature),
            (None, None)
        );
    }

    #[test]
    fn functions_without_a_driver_are_found_on_the_bus() {
        let fake = FakeSystem::new("unbound");
        fake.unbound_module("0000:03:00.0", None);
        fake.unbound_module("0000:04:00.0", Some("vfio-pci"));
        fake.write("sys/bus/pci/devices/0000:00:1f.0/vendor", "0x8086\n");
        let mut found = modules(&fake.system()).unwrap();
        found.sort_by(|a, b| a.path.cmp(&b.path));
        let seen: Vec<_> = found
            .iter()
            .map(|m| {
                (
                    m.path.as_str(),
                    m.details.driver.as_deref(),
                    m.listed_by_libedgetpu,
                )
            })
            .collect();
        assert_eq!(
            seen,
            [
                ("0000:03:00.0", None, false),
                ("0000:04:00.0", Some("vfio-pci"), false)
            ]
        );
    }

    #[test]
    fn a_module_without_a_character_device_is_not_numbered() {
        let fake = FakeSystem::new("nonode");
        fake.write("sys/class/apex/apex_0/status", "ALIVE\n");
        fake.write("dev/apex_0", "a plain file");
        let found = modules(&fake.system()).unwrap();
        assert_eq!(found[0].path, "/dev/apex_0");
        assert!(!found[0].listed_by_libedgetpu && found[0].node.is_none());
    }
}
