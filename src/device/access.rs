//! May this user open a device node.
//!
//! The answer is read from owner, group and mode, as the kernel would: opening a node for writing resets a PCIe module,
//! and a library that resets the port may be using the stick. What the mode cannot tell, an access control list (udev's
//! `uaccess`) or the device policy of a container, one open for reading only tells: the apex driver always allows it and
//! does nothing (gasket-driver 5815ee39, `src/gasket_core.c` line 1226), and usbfs only wakes the stick up.

use std::fmt;
use std::path::Path;

use super::system::{System, read_attribute};

/// `CAP_DAC_OVERRIDE` in the capability masks of `/proc/self/status`: permission bits do not apply.
const CAP_DAC_OVERRIDE: u64 = 1 << 1;

/// May this user read and write a device node.
///
/// ```
/// assert!(corallite::device::Access::Granted.is_granted());
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Access {
    /// Yes.
    Granted,
    /// No: neither owner nor group nor others.
    Denied {
        /// Owner of the node.
        uid: u32,
        /// Group of the node.
        gid: u32,
        /// Name of that group, where `/etc/group` has it.
        group: Option<String>,
        /// Permission bits, `0o660`.
        mode: u32,
    },
    /// The permission bits allow it and the kernel still refuses: the device policy of a container.
    Blocked,
    /// There is no node to open: no driver, or `/dev` of a container lacks it.
    NoNode,
    /// Nobody looked: only libedgetpu sees the device.
    Unknown,
}

impl Access {
    /// The node can be opened.
    pub fn is_granted(&self) -> bool {
        *self == Self::Granted
    }
}

impl fmt::Display for Access {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Granted => f.write_str("accessible"),
            Self::Denied {
                uid,
                gid,
                group,
                mode,
            } => {
                write!(f, "no permission (owner {uid}, group ")?;
                match group {
                    Some(name) => f.write_str(name)?,
                    None => write!(f, "{gid}")?,
                }
                write!(f, ", mode {mode:03o})")
            }
            Self::Blocked => f.write_str("blocked by the container"),
            Self::NoNode => f.write_str("no node in /dev"),
            Self::Unknown => f.write_str("access unknown"),
        }
    }
}

/// Who this process is to the kernel when it opens a file.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Identity {
    /// File system user id; None when `/proc` does not tell.
    pub uid: Option<u32>,
    /// File system group id and supplementary groups.
    pub gids: Vec<u32>,
    /// Permission bits do not apply to it.
    pub overrides_permissions: bool,
}

impl Identity {
    pub(super) fn gather(system: &System) -> Self {
        read_attribute(&system.proc().join("self/status"))
            .map(|status| Self::from_status(&status))
            .unwrap_or_default()
    }

    /// Fields of `/proc/self/status`: `Uid:` and `Gid:` are real, effective, saved, file system (proc(5)).
    fn from_status(status: &str) -> Self {
        let field = |name: &str| {
            status
                .lines()
                .find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))
                .unwrap_or_default()
        };
        let fourth = |name: &str| field(name).split_ascii_whitespace().nth(3)?.parse().ok();
        let mut gids: Vec<u32> = field("Groups")
            .split_ascii_whitespace()
            .filter_map(|g| g.parse().ok())
            .collect();
        gids.extend(fourth("Gid"));
        let capabilities = u64::from_str_radix(field("CapEff").trim(), 16).unwrap_or(0);
        Self {
            uid: fourth("Uid"),
            gids,
            overrides_permissions: capabilities & CAP_DAC_OVERRIDE != 0,
        }
    }

    /// Read and write are allowed, by the first of owner, group and others that applies (path_resolution(7)).
    fn may_read_and_write(&self, uid: u32, gid: u32, mode: u32) -> bool {
        let bits = if self.uid == Some(uid) {
            mode >> 6
        } else if self.gids.contains(&gid) {
            mode >> 3
        } else {
            mode
        };
        self.overrides_permissions || bits & 0o6 == 0o6
    }
}

/// Whether this process may use `node`, a path under `system`'s `/dev`.
pub(super) fn check_access(
    system: &System,
    node: &Path,
    identity: &Identity,
    in_container: bool,
) -> Access {
    let Ok(found) = system.probe().node(node) else {
        return Access::NoNode;
    };
    let allowed = identity.may_read_and_write(found.uid, found.gid, found.mode);
    if allowed && !in_container {
        return Access::Granted;
    }
    match (allowed, system.probe().open_read_only(node)) {
        (_, Ok(())) => Access::Granted,
        (true, Err(_)) => Access::Blocked,
        (false, Err(_)) => Access::Denied {
            uid: found.uid,
            gid: found.gid,
            group: group_name(system, found.gid),
            mode: found.mode,
        },
    }
}

/// Name of group `gid` in `/etc/group` (`name:password:gid:members`).
fn group_name(system: &System, gid: u32) -> Option<String> {
    let groups = read_attribute(&system.etc().join("group"))?;
    groups.lines().find_map(|line| {
        let mut fields = line.split(':');
        let (name, _, number) = (fields.next()?, fields.next()?, fields.next()?);
        (number.parse() == Ok(gid)).then(|| name.to_string())
    })
}

#[cfg(test)]
mod tests {
    use super::super::fake::{FakeSystem, Opening};
    use super::*;

    const STATUS: &str = "Name:\tcat\nUid:\t1000\t1000\t1000\t1000\nGid:\t1001\t1001\t1001\t1001\nGroups:\t46 100 \nCapEff:\t0000000000000000\n";

    #[test]
    fn identity_reads_proc_status() {
        let expected = Identity {
            uid: Some(1000),
            gids: vec![46, 100, 1001],
            overrides_permissions: false,
        };
        assert_eq!(Identity::from_status(STATUS), expected);
        // An administrator in a container without CAP_DAC_OVERRIDE is bound by the mode.
        let root = "Uid:\t0\t0\t0\t0\nGid:\t0\t0\t0\t0\nGroups:\t \nCapEff:\t00000000a80425fb\n";
        assert!(Identity::from_status(root).overrides_permissions);
        assert!(!Identity::from_status(&root.replace("25fb", "25f9")).overrides_permissions);
        assert_eq!(
            Identity::from_status("garbage\nUid: x\n"),
            Identity::default()
        );
    }

    #[test]
    fn permission_bits_of_the_first_class_that_applies_decide() {
        let user = Identity::from_status(STATUS);
        let cases = [
            // uid, gid, mode, allowed
            (0, 0, 0o666, true),
            (0, 46, 0o660, true),
            (0, 46, 0o640, false),
            (0, 0, 0o660, false),
            (0, 0, 0o664, false),
            (1000, 0, 0o600, true),
            // The owner is judged by the owner's bits even where the group would do.
            (1000, 46, 0o060, false),
        ];
        for (uid, gid, mode, allowed) in cases {
            assert_eq!(
                user.may_read_and_write(uid, gid, mode),
                allowed,
                "{uid}:{gid} {mode:o}"
            );
        }
    }

    #[test]
    fn read_only_open_tells_what_the_mode_cannot() {
        let cases = [
            // mode, container, kernel's answer, expected
            (0o666, false, Opening::Refused, "accessible"),
            (0o666, true, Opening::Allowed, "accessible"),
            (0o666, true, Opening::Refused, "blocked by the container"),
            (
                0o660,
                false,
                Opening::Refused,
                "no permission (owner 0, group plugdev, mode 660)",
            ),
            // An access control list, as udev's uaccess sets it.
            (0o660, false, Opening::Allowed, "accessible"),
        ];
        for (mode, in_container, opening, expected) in cases {
            let fake = FakeSystem::new("access");
            fake.write("etc/group", "root:x:0:\nplugdev:x:46:other\n");
            fake.node("dev/bus/usb/002/003", 46, mode, opening);
            let node = fake.path("dev/bus/usb/002/003");
            let identity = Identity {
                uid: Some(1000),
                gids: vec![1000],
                overrides_permissions: false,
            };
            let access = check_access(&fake.system(), &node, &identity, in_container);
            assert_eq!(
                access.to_string(),
                expected,
                "mode {mode:o}, container {in_container}, {opening:?}"
            );
        }
        let fake = FakeSystem::new("access");
        let access = check_access(
            &fake.system(),
            &fake.path("dev/apex_0"),
            &Identity::default(),
            false,
        );
        assert_eq!(access, Access::NoNode);
    }
}
