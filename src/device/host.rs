//! The machine around the device: kernel, container, virtual machine, user.

use std::fmt;

use super::access::Identity;
use super::system::{System, names_in, read_attribute};

/// Facts about the machine that decide whether a device can work on it.
///
/// ```
/// let host = corallite::device::Host::gather(&corallite::device::System::host());
/// println!("kernel {}", host.kernel_release);
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct Host {
    /// `6.1.0-18-amd64`; empty when unknown.
    pub kernel_release: String,
    /// Kernel modules `gasket` and `apex` are loaded or built in.
    pub driver_loaded: bool,
    /// A file of the module `apex` lies in the folder of the running kernel.
    pub driver_installed: bool,
    /// The container this process runs in.
    pub container: Option<Container>,
    /// The virtual machine this process runs in: its vendor, or `unknown`.
    pub virtual_machine: Option<String>,
    /// The user this process runs as.
    pub user: User,
}

/// A user and the groups that matter for a device.
///
/// ```
/// let user = corallite::device::User::default();
/// assert_eq!(user.name, None);
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct User {
    /// User id.
    pub uid: Option<u32>,
    /// Name in `/etc/passwd`.
    pub name: Option<String>,
    /// Groups that `/etc/group` gives the user and that this process does not have: a new login is needed.
    pub groups_after_login: Vec<String>,
}

/// The kind of container a process runs in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Container {
    /// Docker.
    Docker,
    /// Podman.
    Podman,
    /// LXC, LXD, Incus, Proxmox CT.
    Lxc,
    /// Kubernetes.
    Kubernetes,
    /// systemd-nspawn.
    Nspawn,
    /// Another one.
    Other,
}

impl fmt::Display for Container {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Docker => "Docker",
            Self::Podman => "Podman",
            Self::Lxc => "LXC",
            Self::Kubernetes => "Kubernetes",
            Self::Nspawn => "systemd-nspawn",
            Self::Other => "a container",
        })
    }
}

impl Host {
    /// Reads them from `system`.
    pub fn gather(system: &System) -> Self {
        let kernel_release =
            read_attribute(&system.proc().join("sys/kernel/osrelease")).unwrap_or_default();
        Self {
            driver_loaded: system.sys().join("module/apex").exists(),
            driver_installed: driver_installed(system, &kernel_release),
            container: container(system),
            virtual_machine: virtual_machine(system),
            user: User::gather(system),
            kernel_release,
        }
    }

    /// Major and minor version of the kernel: (6, 1) of `6.1.0-18-amd64`.
    pub fn kernel_version(&self) -> Option<(u32, u32)> {
        let mut numbers = self.kernel_release.split(|c: char| !c.is_ascii_digit());
        Some((numbers.next()?.parse().ok()?, numbers.next()?.parse().ok()?))
    }
}

impl User {
    fn gather(system: &System) -> Self {
        let identity = Identity::gather(system);
        let passwd = read_attribute(&system.etc().join("passwd")).unwrap_or_default();
        let name = passwd.lines().find_map(|line| {
            let mut fields = line.split(':');
            let (name, _, uid) = (fields.next()?, fields.next()?, fields.next()?);
            (uid.parse().ok() == identity.uid && identity.uid.is_some()).then(|| name.to_string())
        });
        let groups = read_attribute(&system.etc().join("group")).unwrap_or_default();
        let groups_after_login = groups
            .lines()
            .filter_map(|line| {
                let fields: Vec<&str> = line.split(':').collect();
                let [group, _, gid, members] = fields.as_slice() else {
                    return None;
                };
                let member = name
                    .as_deref()
                    .is_some_and(|name| members.split(',').any(|m| m == name));
                let held = gid.parse().is_ok_and(|gid| identity.gids.contains(&gid));
                (member && !held).then(|| (*group).to_string())
            })
            .collect();
        Self {
            uid: identity.uid,
            name,
            groups_after_login,
        }
    }
}

/// Where DKMS, distributions and the old staging tree put `apex.ko`, below the folder of the kernel.
const DRIVER_FOLDERS: [&str; 5] = [
    "updates/dkms",
    "updates",
    "extra",
    "extra/gasket",
    "kernel/drivers/staging/gasket",
];

fn driver_installed(system: &System, release: &str) -> bool {
    if release.is_empty() || release.contains('/') {
        return false;
    }
    let kernel = system.kernel_modules().join(release);
    DRIVER_FOLDERS.iter().any(|folder| {
        let names = names_in(&kernel.join(folder)).unwrap_or_default();
        names
            .iter()
            .any(|name| name == "apex.ko" || name.starts_with("apex.ko."))
    })
}

fn container(system: &System) -> Option<Container> {
    if system.root().join(".dockerenv").exists() {
        return Some(Container::Docker);
    }
    if system.root().join("run/.containerenv").exists() {
        return Some(Container::Podman);
    }
    // Written by systemd and by LXC into the environment of process 1; readable by root alone.
    let environment = read_attribute(&system.proc().join("1/environ")).unwrap_or_default();
    let named = environment
        .split('\0')
        .find_map(|entry| entry.strip_prefix("container="));
    // systemd repeats it where everybody can read it.
    let repeated = read_attribute(&system.root().join("run/systemd/container")).unwrap_or_default();
    match named.unwrap_or(&repeated) {
        "" => {}
        "docker" => return Some(Container::Docker),
        "podman" => return Some(Container::Podman),
        "lxc" | "lxc-libvirt" => return Some(Container::Lxc),
        "systemd-nspawn" => return Some(Container::Nspawn),
        _ => return Some(Container::Other),
    }
    let groups = read_attribute(&system.proc().join("1/cgroup")).unwrap_or_default();
    // Most telling first: a Kubernetes pod mentions its runtime as well.
    let words = [
        ("kubepods", Container::Kubernetes),
        ("/docker", Container::Docker),
        ("docker-", Container::Docker),
        ("libpod", Container::Podman),
        ("/lxc", Container::Lxc),
    ];
    words
        .into_iter()
        .find(|(word, _)| groups.contains(word))
        .map(|(_, container)| container)
}

fn virtual_machine(system: &System) -> Option<String> {
    let cpu = read_attribute(&system.proc().join("cpuinfo")).unwrap_or_default();
    let flagged = cpu
        .lines()
        .filter(|line| line.starts_with("flags"))
        .any(|line| {
            line.split_ascii_whitespace()
                .any(|flag| flag == "hypervisor")
        });
    let vendor = read_attribute(&system.sys().join("class/dmi/id/sys_vendor")).unwrap_or_default();
    const VENDORS: [&str; 6] = [
        "QEMU",
        "VMware",
        "innotek GmbH",
        "Xen",
        "Parallels",
        "Microsoft Corporation",
    ];
    match VENDORS.iter().find(|known| vendor.starts_with(**known)) {
        // Microsoft also makes laptops: there the flag decides.
        Some(&"Microsoft Corporation") if !flagged => None,
        Some(known) => Some((*known).to_string()),
        None if flagged => Some("unknown".to_string()),
        None => None,
    }
}

#[cfg(test)]
mod tests {
    use super::super::fake::FakeSystem;
    use super::*;

    #[test]
    fn kernel_version_is_read_from_the_release() {
        let cases = [
            ("6.1.0-18-amd64", Some((6, 1))),
            ("4.14.98-imx", Some((4, 14))),
            ("6.17.9+deb14-arm64", Some((6, 17))),
            ("6.14.8-2-pve", Some((6, 14))),
            ("", None),
            ("six", None),
            ("99999999999.1", None),
        ];
        for (release, expected) in cases {
            let host = Host {
                kernel_release: release.into(),
                ..Host::default()
            };
            assert_eq!(host.kernel_version(), expected, "{release}");
        }
    }

    #[test]
    fn driver_files_of_the_running_kernel_count() {
        let fake = FakeSystem::new("driver");
        fake.write("proc/sys/kernel/osrelease", "6.1.0-18-amd64\n");
        fake.write("lib/modules/5.10.0/updates/dkms/apex.ko", "");
        assert!(!Host::gather(&fake.system()).driver_installed);
        fake.write("lib/modules/6.1.0-18-amd64/updates/dkms/apex.ko.xz", "");
        let host = Host::gather(&fake.system());
        assert!(host.driver_installed && !host.driver_loaded);
        fake.write("sys/module/apex/refcnt", "0\n");
        assert!(Host::gather(&fake.system()).driver_loaded);
    }

    #[test]
    fn containers_are_told_apart() {
        let cases: [(&str, &str, Option<Container>); 8] = [
            (".dockerenv", "", Some(Container::Docker)),
            ("run/.containerenv", "", Some(Container::Podman)),
            (
                "proc/1/environ",
                "PATH=/bin\0container=lxc\0",
                Some(Container::Lxc),
            ),
            (
                "run/systemd/container",
                "systemd-nspawn\n",
                Some(Container::Nspawn),
            ),
            (
                "proc/1/cgroup",
                "0::/kubepods/besteffort/pod1/docker-2\n",
                Some(Container::Kubernetes),
            ),
            (
                "proc/1/cgroup",
                "1:cpu:/docker/0123\n",
                Some(Container::Docker),
            ),
            ("proc/1/cgroup", "0::/init.scope\n", None),
            ("proc/1/environ", "container=wsl\0", Some(Container::Other)),
        ];
        for (file, content, expected) in cases {
            let fake = FakeSystem::new("container");
            fake.write(file, content);
            assert_eq!(
                Host::gather(&fake.system()).container,
                expected,
                "{file}: {content:?}"
            );
        }
    }

    #[test]
    fn virtual_machines_are_recognised() {
        let flag = "processor : 0\nflags\t\t: fpu vme hypervisor lahf_lm\n";
        let bare = "processor : 0\nflags\t\t: fpu vme lahf_lm\n";
        let cases = [
            (flag, "QEMU\n", Some("QEMU")),
            (flag, "", Some("unknown")),
            (
                flag,
                "Microsoft Corporation\n",
                Some("Microsoft Corporation"),
            ),
            (bare, "Microsoft Corporation\n", None),
            (bare, "LENOVO\n", None),
            // aarch64 has no such flag.
            ("", "QEMU\n", Some("QEMU")),
        ];
        for (cpu, vendor, expected) in cases {
            let fake = FakeSystem::new("vm");
            fake.write("proc/cpuinfo", cpu);
            fake.write("sys/class/dmi/id/sys_vendor", vendor);
            assert_eq!(
                Host::gather(&fake.system()).virtual_machine.as_deref(),
                expected,
                "{cpu:?} {vendor:?}"
            );
        }
    }

    #[test]
    fn groups_given_since_the_login_are_found() {
        let fake = FakeSystem::new("groups");
        fake.write(
            "proc/self/status",
            "Uid:\t1000\t1000\t1000\t1000\nGid:\t1000\t1000\t1000\t1000\nGroups:\t100\n",
        );
        fake.write(
            "etc/passwd",
            "root:x:0:0::/root:/bin/sh\nana:x:1000:1000::/home/ana:/bin/sh\n",
        );
        fake.write(
            "etc/group",
            "plugdev:x:46:bob,ana\nusers:x:100:ana\napex:x:990:\n",
        );
        let user = Host::gather(&fake.system()).user;
        assert_eq!(user.name.as_deref(), Some("ana"));
        assert_eq!(user.groups_after_login, ["plugdev"]);
    }
}
