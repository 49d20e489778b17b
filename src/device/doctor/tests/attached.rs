//! Sticks and modules.

use super::*;

pub(super) fn device_cases() -> Vec<Case> {
    let mut cases = Vec::new();
    let mut add = |cause, severity, found, fix, facts| {
        cases.push(Case {
            cause,
            severity,
            found,
            fix,
            facts,
        })
    };
    let refused = |mode, prepare: fn(&FakeSystem)| {
        let fake = with_stick();
        fake.node("dev/bus/usb/002/007", 46, mode, Opening::Refused);
        prepare(&fake);
        facts(&fake)
    };
    let prepared = |fake: FakeSystem, prepare: fn(&FakeSystem)| {
        prepare(&fake);
        facts(&fake)
    };

    add(
        Cause::NoDevice,
        Severity::Error,
        &["1a6e:089a", "1ac1:089a"],
        &["lsusb"],
        facts(&machine()),
    );
    add(
        Cause::NoDevice,
        Severity::Error,
        &[],
        &["both 1a6e:089a and 18d1:9302", "QEMU", "controller"],
        prepared(machine(), in_virtual_machine),
    );
    add(
        Cause::NoDevice,
        Severity::Error,
        &[],
        &["Docker", "c 189:* rmw"],
        prepared(machine(), in_docker),
    );

    add(
        Cause::NoPermission,
        Severity::Error,
        &["plugdev", "660"],
        &[
            "ATTR{idProduct}==\"089a\"",
            "ATTR{idProduct}==\"9302\"",
            "usermod -aG plugdev,apex ana",
            "udevadm",
        ],
        refused(0o660, |_| {}),
    );
    add(
        Cause::NoPermission,
        Severity::Error,
        &["plugdev"],
        &["log in again", "60-edgetpu.rules"],
        refused(0o660, |fake| fake.write("etc/group", "plugdev:x:46:ana\n")),
    );
    add(
        Cause::NoPermission,
        Severity::Error,
        &[],
        &["on the host", "--group-add"],
        refused(0o660, in_docker),
    );
    add(
        Cause::NoPermission,
        Severity::Error,
        &["group apex"],
        &["SUBSYSTEM==\"apex\""],
        prepared(with_module(), |fake| {
            fake.node("dev/apex_0", 990, 0o660, Opening::Refused)
        }),
    );
    add(
        Cause::ContainerBlocksDevice,
        Severity::Error,
        &["kernel refuses"],
        &["--device-cgroup-rule"],
        refused(0o666, in_docker),
    );
    add(
        Cause::NodeMissing,
        Severity::Error,
        &["no node"],
        &["/dev/bus/usb"],
        prepared(machine(), |fake| {
            // The container sees sysfs, and has no /dev/bus.
            in_docker(fake);
            fake.without_libusb(true);
            for (name, value) in [
                ("idVendor", "18d1"),
                ("idProduct", "9302"),
                ("devnum", "7"),
                ("speed", "5000"),
            ] {
                fake.write(&format!("sys/bus/usb/devices/2-1/{name}"), value);
            }
        }),
    );
    add(
        Cause::NodeMissing,
        Severity::Error,
        &["no node"],
        &["udev"],
        prepared(machine(), |fake| {
            fake.unbound_module("0000:03:00.0", Some("apex"));
            fake.write("sys/class/apex/apex_0/pci_address", "0000:03:00.0\n");
        }),
    );

    add(
        Cause::SlowUsb,
        Severity::Warning,
        &["480 Mbit/s", "5000"],
        &["USB 3 port"],
        prepared(machine(), |fake| {
            fake.stick(0x18d1, 0x9302, 1, 4, &[2], 480)
        }),
    );
    add(
        Cause::BootloaderStuck,
        Severity::Warning,
        &["18d1:9302"],
        &["both 1a6e:089a and 18d1:9302", "virtual machine"],
        prepared(with_bootloader_stick(), in_virtual_machine),
    );
    add(
        Cause::BootloaderStuck,
        Severity::Error,
        &["still 1a6e:089a", "USB error -4"],
        &["both udev rules", "hub"],
        Facts {
            opens: vec![OpenAttempt {
                path: "/sys/bus/usb/devices/2-1".into(),
                error: Some("USB error -4".into()),
            }],
            ..facts(&with_bootloader_stick())
        },
    );
    add(
        Cause::HeldByProcess,
        Severity::Error,
        &["process 5000001 (python3 detect.py)"],
        &["stop that process"],
        prepared(with_stick(), |fake| {
            fake.process(
                OTHER,
                "python3\0detect.py\0",
                &[("dev/bus/usb/002/007", 0o2)],
            );
        }),
    );

    let unbound = |prepare: fn(&FakeSystem)| {
        let fake = machine();
        fake.unbound_module("0000:03:00.0", None);
        prepare(&fake);
        facts(&fake)
    };
    add(
        Cause::DriverMissing,
        Severity::Error,
        &["6.1.0-18-amd64"],
        &["gasket-dkms"],
        unbound(|_| {}),
    );
    add(
        Cause::DriverMissing,
        Severity::Error,
        &["not loaded"],
        &["modprobe apex", "Secure Boot"],
        unbound(|fake| fake.write("lib/modules/6.1.0-18-amd64/updates/dkms/apex.ko", "")),
    );
    add(
        Cause::KernelTooNew,
        Severity::Error,
        &["6.5.13-1-pve", "1.0-18"],
        &["google/gasket-driver", "6.11"],
        unbound(|fake| fake.write("proc/sys/kernel/osrelease", "6.5.13-1-pve\n")),
    );
    add(
        Cause::KernelTooNew,
        Severity::Error,
        &["6.14.8-2-pve"],
        &["35", "50", "on the host"],
        unbound(|fake| {
            fake.write("proc/sys/kernel/osrelease", "6.14.8-2-pve\n");
            in_docker(fake);
        }),
    );
    add(
        Cause::DriverNotBound,
        Severity::Error,
        &["did not take it"],
        &["dmesg", "-110"],
        unbound(|fake| fake.write("sys/module/apex/refcnt", "0\n")),
    );
    add(
        Cause::DriverNotBound,
        Severity::Error,
        &["vfio-pci"],
        &["virtual machine", "0000:03:00.0"],
        prepared(machine(), |fake| {
            fake.unbound_module("0000:03:00.0", Some("vfio-pci"))
        }),
    );

    add(
        Cause::ThermalThrottling,
        Severity::Warning,
        &["91.5 C", "125.0 of 500 MHz"],
        &["fan"],
        prepared(with_module(), |fake| {
            fake.write("sys/class/apex/apex_0/temp", "91500\n")
        }),
    );
    add(
        Cause::ThermalShutdown,
        Severity::Error,
        &["100.5 C", "from 100.0 C"],
        &["heat sink"],
        prepared(with_module(), |fake| {
            fake.write("sys/class/apex/apex_0/temp", "100500\n")
        }),
    );
    add(
        Cause::DeviceDead,
        Severity::Error,
        &["dead"],
        &["off and on"],
        prepared(with_module(), |fake| {
            fake.write("sys/class/apex/apex_0/status", "DEAD\n")
        }),
    );
    add(
        Cause::DeviceDead,
        Severity::Warning,
        &["-89.7 C"],
        &["off and on"],
        prepared(with_module(), |fake| {
            fake.write("sys/class/apex/apex_0/temp", "-89700\n")
        }),
    );
    add(
        Cause::OpenFailed,
        Severity::Error,
        &["Deadline exceeded"],
        &["dmesg"],
        Facts {
            opens: vec![OpenAttempt {
                path: "/sys/bus/usb/devices/2-1".into(),
                error: Some("Deadline exceeded".into()),
            }],
            ..facts(&with_stick())
        },
    );
    cases
}
