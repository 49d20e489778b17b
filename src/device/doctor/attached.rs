//! From devices to causes.

use super::super::access::Access;
use super::super::edge_tpu::{
    ApexStatus, Device, DeviceDetails, PcieDevice, UsbDevice, UsbMode, UsbSpeed,
};
use super::super::host::Host;
use super::cause::{Cause, Severity};
use super::facts::Facts;
use super::fixes::{container_flags, install_rules, passthrough_hint};
use super::report::Finding;

/// First kernel for which the package gasket-dkms 1.0-18 does not build: `class_create` lost an argument in 6.4
/// (google/gasket-driver 8aca235, after the package's 97aeba5).
const PACKAGE_FAILS_FROM: (u32, u32) = (6, 4);

/// First kernel for which google/gasket-driver 5815ee3 does not build: `no_llseek` went in 6.12 (its issue 36, pull
/// request 35); 6.13 wants the DMA_BUF name space in quotes (pull request 50).
const SOURCE_FAILS_FROM: (u32, u32) = (6, 12);

pub(super) fn diagnose(facts: &Facts, findings: &mut Vec<Finding>) {
    if let Some(absent) = &facts.absent {
        findings.push(Finding {
            found: absent.clone(),
            ..no_device(&facts.host)
        });
        return;
    }
    if facts.devices.is_empty() {
        findings.push(no_device(&facts.host));
    }
    for device in &facts.devices {
        let before = findings.len();
        diagnose_access(device, &facts.host, findings);
        match &device.details {
            DeviceDetails::Usb(stick) => diagnose_stick(device, stick, facts, findings),
            // Nothing is known of a module that only libedgetpu sees.
            DeviceDetails::Pcie(_) if device.access == Access::Unknown => {}
            DeviceDetails::Pcie(module) => diagnose_module(device, module, &facts.host, findings),
        }
        if findings[before..]
            .iter()
            .any(|finding| finding.severity == Severity::Error)
        {
            continue;
        }
        if let Some(words) = open_error(facts, device) {
            findings.push(finding(
                device,
                Cause::OpenFailed,
                Severity::Error,
                if words.is_empty() {
                    "libedgetpu could not open it and says nothing".to_string()
                } else {
                    format!("libedgetpu could not open it: {words}")
                },
                "unplug it, wait ten seconds and plug it into another port without a hub; look at the last lines of dmesg"
                    .to_string(),
            ));
        }
    }
}

fn finding(
    device: &Device,
    cause: Cause,
    severity: Severity,
    found: String,
    fix: String,
) -> Finding {
    Finding {
        cause,
        severity,
        what: device.path.clone(),
        found,
        fix,
    }
}

/// The library's last words about a device that it could not open.
fn open_error<'a>(facts: &'a Facts, device: &Device) -> Option<&'a str> {
    facts
        .opens
        .iter()
        .filter(|open| open.path == device.path)
        .find_map(|open| open.error.as_deref())
}

fn no_device(host: &Host) -> Finding {
    Finding {
        cause: Cause::NoDevice,
        severity: Severity::Error,
        what: "Edge TPU".to_string(),
        found: "no stick 1a6e:089a or 18d1:9302 on the USB, no module 1ac1:089a on the PCI bus"
            .to_string(),
        fix: format!(
            "plug it in, with a cable and port that carry data; look whether lsusb or lspci -nn shows it and whether dmesg \
             complains; power a hub that has no supply of its own{}",
            passthrough_hint(host)
        ),
    }
}

fn diagnose_access(device: &Device, host: &Host, findings: &mut Vec<Finding>) {
    match &device.access {
        Access::Granted | Access::Unknown => {}
        Access::Denied { group, .. } => {
            let waiting = group
                .as_ref()
                .filter(|group| host.user.groups_after_login.contains(group));
            let fix = match (waiting, host.container) {
                (Some(group), _) => format!(
                    "the user is a member of {group} since the last login: log in again, or try `sg {group} -c ...`\n\
                     if that does not help, {}",
                    install_rules(host)
                ),
                (None, Some(container)) => format!(
                    "on the host, {}\n{}",
                    install_rules(host),
                    container_flags(container)
                ),
                (None, None) => install_rules(host),
            };
            findings.push(finding(
                device,
                Cause::NoPermission,
                Severity::Error,
                device.access.to_string(),
                fix,
            ));
        }
        Access::Blocked => findings.push(finding(
            device,
            Cause::ContainerBlocksDevice,
            Severity::Error,
            "its permissions allow it and the kernel refuses to open it".to_string(),
            container_flags(host.container.unwrap_or(super::super::Container::Other)).to_string(),
        )),
        // Of a module without driver there is more to say.
        Access::NoNode => match &device.details {
            DeviceDetails::Pcie(module) if module.driver.as_deref() != Some("apex") => {}
            DeviceDetails::Usb(_) | DeviceDetails::Pcie(_) => {
                let fix = match host.container {
                    Some(container) => container_flags(container).to_string(),
                    None => "restart udev (sudo systemctl restart systemd-udevd) and replug it; without udev, mount devtmpfs \
                             on /dev"
                        .to_string(),
                };
                let found = "the kernel knows it and /dev has no node of it".to_string();
                findings.push(finding(
                    device,
                    Cause::NodeMissing,
                    Severity::Error,
                    found,
                    fix,
                ));
            }
        },
    }
    if !device.holders.is_empty() {
        let holders: Vec<_> = device.holders.iter().map(ToString::to_string).collect();
        findings.push(finding(
            device,
            Cause::HeldByProcess,
            Severity::Error,
            format!("open in {}", holders.join(", ")),
            "stop that process or choose another device: a second libedgetpu resets the port and kills the first one's \
             transfers"
                .to_string(),
        ));
    }
}

fn diagnose_stick(device: &Device, stick: &UsbDevice, facts: &Facts, findings: &mut Vec<Finding>) {
    match stick.speed {
        UsbSpeed::Super | UsbSpeed::SuperPlus | UsbSpeed::Unknown => {}
        UsbSpeed::Low | UsbSpeed::Full | UsbSpeed::High => findings.push(finding(
            device,
            Cause::SlowUsb,
            // libedgetpu refuses 1.5 Mbit/s and accepts the rest.
            if stick.speed == UsbSpeed::Low { Severity::Error } else { Severity::Warning },
            format!("runs at {}, expected 5000 Mbit/s", stick.speed),
            "use a USB 3 port (blue) and the cable that came with the stick, without a USB 2 hub or extension; models whose \
             parameters do not fit on the chip are about ten times slower like this"
                .to_string(),
        )),
    }
    if stick.mode != UsbMode::Bootloader {
        return;
    }
    let host = &facts.host;
    let passthrough = passthrough_hint(host);
    let failed = open_error(facts, device);
    if failed.is_none() && passthrough.is_empty() {
        return;
    }
    let (severity, found) = match failed {
        Some(words) => {
            let words = if words.is_empty() {
                String::new()
            } else {
                format!(": {words}")
            };
            (
                Severity::Error,
                format!("still 1a6e:089a after libedgetpu tried to load its firmware{words}"),
            )
        }
        None => (
            Severity::Warning,
            "waits for firmware and will change its identity to 18d1:9302".to_string(),
        ),
    };
    findings.push(finding(
        device,
        Cause::BootloaderStuck,
        severity,
        found,
        format!(
            "make sure that 18d1:9302 reaches this system and may be opened too (both udev rules); unplug the stick for ten \
             seconds, use a port of the machine itself or a hub with its own supply{passthrough}"
        ),
    ));
}

fn diagnose_module(device: &Device, module: &PcieDevice, host: &Host, findings: &mut Vec<Finding>) {
    match module.driver.as_deref() {
        Some("apex") => diagnose_chip(device, module, findings),
        Some(other) => findings.push(finding(
            device,
            Cause::DriverNotBound,
            Severity::Error,
            format!("driver {other} has it, expected apex"),
            format!(
                "if a virtual machine is to use it, look there; else release it: echo {0} | sudo tee \
                 /sys/bus/pci/drivers/{other}/unbind, then echo {0} | sudo tee /sys/bus/pci/drivers/apex/bind",
                module.address.as_deref().unwrap_or(&device.path)
            ),
        )),
        None if host.driver_loaded => findings.push(finding(
            device,
            Cause::DriverNotBound,
            Severity::Error,
            "the driver apex is loaded and did not take it".to_string(),
            "look at dmesg for apex: after error -110 try the kernel parameter pcie_aspm=off and reseat the card; in a \
             virtual machine the module often cannot work, install the driver on the host and use a container"
                .to_string(),
        )),
        None => findings.push(driver_missing(device, host)),
    }
}

fn driver_missing(device: &Device, host: &Host) -> Finding {
    let release = if host.kernel_release.is_empty() {
        "unknown"
    } else {
        host.kernel_release.as_str()
    };
    let of_host = if host.container.is_some() {
        " (on the host, not in this container)"
    } else {
        ""
    };
    if host.driver_installed {
        return finding(
            device,
            Cause::DriverMissing,
            Severity::Error,
            format!("the driver is installed for kernel {release} and not loaded"),
            format!(
                "sudo modprobe apex{of_host}; if it is refused as unsigned, enrol the key of DKMS (mokutil --import \
                 /var/lib/dkms/mok.pub) or switch Secure Boot off"
            ),
        );
    }
    match host.kernel_version() {
        Some(version) if version >= PACKAGE_FAILS_FROM => finding(
            device,
            Cause::KernelTooNew,
            Severity::Error,
            format!("kernel {release} has no driver, and gasket-dkms 1.0-18 builds only up to 6.3"),
            if version >= SOURCE_FAILS_FROM {
                format!(
                    "build gasket-dkms{of_host} from github.com/google/gasket-driver with its pull requests 35 (kernel 6.12) \
                     and 50 (6.13 and later), or from a maintained copy, or boot a kernel up to 6.11"
                )
            } else {
                format!(
                    "build gasket-dkms{of_host} from github.com/google/gasket-driver, whose last state builds up to 6.11"
                )
            },
        ),
        _ => finding(
            device,
            Cause::DriverMissing,
            Severity::Error,
            format!("kernel {release} has no driver gasket and apex"),
            format!(
                "install gasket-dkms and the headers of the kernel{of_host}, then sudo modprobe apex; the copy that kernels \
                 before 5.13 brought along is too old"
            ),
        ),
    }
}

fn diagnose_chip(device: &Device, module: &PcieDevice, findings: &mut Vec<Finding>) {
    let degrees = |millidegrees: i32| format!("{:.1} C", f64::from(millidegrees) / 1000.0);
    let temperature = module.temperature.map(degrees).unwrap_or_default();
    if !module.answers() {
        let dead = !matches!(module.status, None | Some(ApexStatus::Alive));
        findings.push(finding(
            device,
            Cause::DeviceDead,
            if dead { Severity::Error } else { Severity::Warning },
            match module.status {
                Some(status) if dead => format!("the driver calls it {status}"),
                _ => format!("its temperature reads {temperature}, as when the chip does not answer"),
            },
            "switch the machine off and on again, a restart is not enough; reseat the card; if it comes back hot, cool it: \
             the chip switches itself off"
                .to_string(),
        ));
        return;
    }
    if let (Some(now), Some(limit)) = (module.temperature, module.shutdown_temperature)
        && now >= limit
    {
        findings.push(finding(
            device,
            Cause::ThermalShutdown,
            Severity::Error,
            format!("{temperature}, the chip shuts down from {}", degrees(limit)),
            "stop using it now; add a heat sink or a fan, and lower the load or the option Performance".to_string(),
        ));
        return;
    }
    if let Some(khz) = module.clock_limit_khz().filter(|khz| *khz < 500_000) {
        findings.push(finding(
            device,
            Cause::ThermalThrottling,
            Severity::Warning,
            format!("{temperature}, the kernel has lowered the clock to {:.1} of 500 MHz", f64::from(khz) / 1000.0),
            "add a heat sink or a fan; the steps are the files trip_point*_temp next to temp in /sys/class/apex".to_string(),
        ));
    }
}
