//! Which other processes have a device node open.

use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};

use super::edge_tpu::{Device, DeviceDetails};
use super::system::{System, names_in, read_attribute, read_number};

/// Longest command line shown, in characters.
const LONGEST_COMMAND: usize = 80;

/// A process that has a device open.
///
/// ```
/// let holder = corallite::device::Holder { pid: 812, command: "python3 detect.py".into() };
/// assert_eq!(holder.to_string(), "process 812 (python3 detect.py)");
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Holder {
    /// Process id, as seen from here.
    pub pid: u32,
    /// Start of its command line; empty when it cannot be read.
    pub command: String,
}

impl fmt::Display for Holder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "process {}", self.pid)?;
        if self.command.is_empty() {
            Ok(())
        } else {
            write!(f, " ({})", self.command)
        }
    }
}

/// Fills in who holds each device, this process left out.
///
/// `/proc/PID/fd` of other users is closed to an ordinary user; for a PCIe module the driver itself tells the owner.
pub(super) fn attach_holders(system: &System, devices: &mut [Device]) {
    if devices.iter().all(|device| device.node.is_none()) {
        return;
    }
    let own_pid = std::process::id();
    for pid in names_in(system.proc())
        .unwrap_or_default()
        .iter()
        .filter_map(|name| name.parse::<u32>().ok())
    {
        if pid == own_pid {
            continue;
        }
        let open = files_open_for_writing(system.proc(), pid);
        for device in devices
            .iter_mut()
            .filter(|d| d.node.as_ref().is_some_and(|node| open.contains(node)))
        {
            device.holders.push(Holder {
                pid,
                command: command_of(system, pid),
            });
        }
    }
    for device in devices {
        let DeviceDetails::Pcie(_) = device.details else {
            continue;
        };
        let Some(name) = device.node.as_deref().and_then(Path::file_name) else {
            continue;
        };
        let class = system.sys().join("class/apex").join(name);
        if read_number::<u32>(&class.join("is_device_owned")).unwrap_or(0) == 0 {
            continue;
        }
        let owner = read_number::<u32>(&class.join("device_owner"))
            .filter(|pid| *pid != 0 && *pid != own_pid);
        if let Some(pid) = owner
            && !device.holders.iter().any(|holder| holder.pid == pid)
        {
            device.holders.push(Holder {
                pid,
                command: command_of(system, pid),
            });
        }
    }
}

/// Targets of the descriptors of `pid` that are open for writing. Empty when they may not be seen.
fn files_open_for_writing(proc: &Path, pid: u32) -> Vec<PathBuf> {
    let process = proc.join(pid.to_string());
    let descriptors = names_in(&process.join("fd")).unwrap_or_default();
    descriptors
        .iter()
        .filter(|descriptor| {
            // `flags:` is octal; its two low bits are the access mode, 0 being read only (proc(5), open(2)).
            let info = read_attribute(&process.join("fdinfo").join(descriptor)).unwrap_or_default();
            let flags = info.lines().find_map(|line| line.strip_prefix("flags:"));
            flags
                .and_then(|f| u64::from_str_radix(f.trim(), 8).ok())
                .is_none_or(|f| f & 0o3 != 0)
        })
        .filter_map(|descriptor| fs::read_link(process.join("fd").join(descriptor)).ok())
        .collect()
}

/// Start of the command line of `pid`, or its name.
pub(super) fn command_of(system: &System, pid: u32) -> String {
    let process = system.proc().join(pid.to_string());
    let line = read_attribute(&process.join("cmdline")).unwrap_or_default();
    let line = if line.trim_matches('\0').is_empty() {
        read_attribute(&process.join("comm")).unwrap_or_default()
    } else {
        line
    };
    printable(line.trim_end_matches('\0'))
}

/// One short line: arguments separated by blanks, no control characters.
pub(super) fn printable(text: &str) -> String {
    text.chars()
        .map(|c| if c.is_control() { ' ' } else { c })
        .take(LONGEST_COMMAND)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::super::fake::FakeSystem;
    use super::*;

    /// Larger than any process id Linux gives (4194304), so never our own.
    const OTHER: u32 = 5_000_001;

    #[test]
    fn holders_are_processes_with_the_node_open_for_writing() {
        let fake = FakeSystem::new("holders");
        fake.stick(0x18d1, 0x9302, 2, 7, &[1], 5000);
        fake.process(
            OTHER,
            "python3\0detect.py\0",
            &[("dev/bus/usb/002/007", 0o100_002)],
        );
        // lsusb looks, it does not hold.
        fake.process(
            OTHER + 1,
            "lsusb\0-v\0",
            &[("dev/bus/usb/002/007", 0o100_000)],
        );
        fake.process(OTHER + 2, "bash\0", &[("dev/null", 0o100_002)]);
        let devices = fake.system().list().unwrap();
        assert_eq!(
            devices[0].holders,
            [Holder {
                pid: OTHER,
                command: "python3 detect.py".into()
            }]
        );
        assert!(!devices[0].is_usable());
    }

    #[test]
    fn the_apex_driver_names_its_owner() {
        let fake = FakeSystem::new("owner");
        fake.module("apex_0", "0000:03:00.0");
        fake.write("sys/class/apex/apex_0/is_device_owned", "1\n");
        fake.write("sys/class/apex/apex_0/device_owner", &format!("{OTHER}\n"));
        fake.write(&format!("proc/{OTHER}/comm"), "frigate.detect\n");
        let devices = fake.system().list().unwrap();
        assert_eq!(
            devices[0].holders,
            [Holder {
                pid: OTHER,
                command: "frigate.detect".into()
            }]
        );
        // The number stays in the file after the owner has closed the device.
        fake.write("sys/class/apex/apex_0/is_device_owned", "0\n");
        assert_eq!(fake.system().list().unwrap()[0].holders, []);
    }

    #[test]
    fn commands_are_short_and_printable() {
        assert_eq!(printable("a\0b\x1b[31m\nc"), "a b [31m c");
        assert_eq!(printable(&"x".repeat(500)).len(), LONGEST_COMMAND);
    }
}
