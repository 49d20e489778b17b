//! Texts of fixes that several causes share.

use super::super::host::{Container, Host};

/// The udev rules for both identities of the stick and for PCIe modules: `docs/system/60-edgetpu.rules`.
///
/// ```
/// assert!(corallite::device::doctor::UDEV_RULES.contains("089a"));
/// ```
pub const UDEV_RULES: &str = include_str!("../../../docs/system/60-edgetpu.rules");

/// How to install the rules and join the groups.
pub(super) fn install_rules(host: &Host) -> String {
    let user = host.user.name.as_deref().unwrap_or("$USER");
    format!(
        "save these rules as /etc/udev/rules.d/60-edgetpu.rules:\n\n{}\n\nthen:\n\
         sudo groupadd -f plugdev; sudo groupadd -f apex\n\
         sudo usermod -aG plugdev,apex {user}\n\
         sudo udevadm control --reload-rules; sudo udevadm trigger\n\
         unplug and replug the stick, and log in again for the groups to count",
        UDEV_RULES.trim_end()
    )
}

/// How to hand the device into the container this process runs in.
pub(super) fn container_flags(container: Container) -> &'static str {
    match container {
        Container::Docker | Container::Podman => {
            "start the container with the device: for a stick -v /dev/bus/usb:/dev/bus/usb \
             --device-cgroup-rule 'c 189:* rmw' (it changes its node when its firmware is loaded, so one file is not enough), for a module --device /dev/apex_0; add --group-add with the number of the \
             group that owns the node"
        }
        Container::Lxc => {
            "in the container's configuration: lxc.cgroup2.devices.allow: c 189:* rwm and \
             lxc.mount.entry: /dev/bus/usb dev/bus/usb none bind,optional,create=dir for a stick; \
             lxc.cgroup2.devices.allow: c 120:* rwm and lxc.mount.entry: /dev/apex_0 dev/apex_0 none bind,optional,create=file \
             for a module (check the number with ls -l /dev/apex_0 on the host)"
        }
        Container::Kubernetes => {
            "mount /dev/bus/usb or /dev/apex_0 as a hostPath volume and run the container with the device through a device \
             plugin, or as privileged where there is none"
        }
        Container::Nspawn | Container::Other => {
            "bind /dev/bus/usb or /dev/apex_0 into the container and allow the device (character device 189:* for USB) in its \
             device policy"
        }
    }
}

/// What a virtual machine or container does to a stick that changes its identity. Empty on bare metal.
pub(super) fn passthrough_hint(host: &Host) -> String {
    let mut hint = String::new();
    if let Some(vendor) = &host.virtual_machine {
        hint.push_str(&format!(
            "\nthis is a virtual machine ({vendor}): the stick comes back with another identity after its firmware is loaded. \
             Pass through both 1a6e:089a and 18d1:9302, or the physical port, or best the whole USB controller; a rule for \
             one identity loses the stick"
        ));
    }
    if let Some(container) = host.container {
        hint.push_str(&format!(
            "\nthis runs in {container}: {}",
            container_flags(container)
        ));
    }
    hint
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;

    #[test]
    fn the_rules_printed_are_those_of_the_file() {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/system/60-edgetpu.rules");
        let file = std::fs::read_to_string(path).unwrap();
        let printed = install_rules(&Host::default());
        assert!(printed.contains(file.trim_end()));
    }

    #[test]
    fn the_rules_match_vendor_and_product_together() {
        let rules: Vec<_> = UDEV_RULES
            .lines()
            .filter(|line| !line.is_empty() && !line.starts_with('#'))
            .collect();
        let expected = [
            ("usb", "1a6e", "089a", "plugdev"),
            ("usb", "18d1", "9302", "plugdev"),
            ("apex", "", "", "apex"),
        ];
        assert_eq!(rules.len(), expected.len());
        for (rule, (subsystem, vendor, product, group)) in rules.iter().zip(expected) {
            assert!(
                rule.contains(&format!("SUBSYSTEM==\"{subsystem}\"")),
                "{rule}"
            );
            assert!(rule.contains(&format!("GROUP=\"{group}\"")), "{rule}");
            assert!(
                rule.contains("MODE=\"0660\"") && rule.contains("TAG+=\"uaccess\""),
                "{rule}"
            );
            if !vendor.is_empty() {
                assert!(
                    rule.contains(&format!("ATTR{{idVendor}}==\"{vendor}\"")),
                    "{rule}"
                );
                assert!(
                    rule.contains(&format!("ATTR{{idProduct}}==\"{product}\"")),
                    "{rule}"
                );
            }
        }
    }
}
