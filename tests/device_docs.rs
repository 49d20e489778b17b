//! The page about devices and the files beside it say what the library does.

use std::path::{Path, PathBuf};

use corallite::device::DeviceSelector;
use corallite::device::doctor::{Cause, UDEV_RULES};

fn docs() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("docs")
}

fn page() -> String {
    std::fs::read_to_string(docs().join("devices.md")).expect("docs/devices.md")
}

#[test]
fn every_cause_is_explained() {
    let page = page();
    for cause in Cause::ALL {
        assert!(page.contains(&format!("| `{}` |", cause.id())), "{cause}");
    }
}

#[test]
fn every_selector_of_the_page_is_one() {
    let page = page();
    let section = page
        .split("## ")
        .find(|section| section.starts_with("Name one"))
        .expect("the section");
    let mut selectors = 0;
    for row in section.lines().filter(|line| line.starts_with("| `")) {
        let cell = row.split('|').nth(1).expect("a first column");
        for text in cell.split('`').skip(1).step_by(2) {
            let selector: DeviceSelector = text.parse().expect(text);
            assert_eq!(selector.to_string(), text);
            selectors += 1;
        }
    }
    assert_eq!(selectors, 9);
}

#[test]
fn links_lead_to_files() {
    let page = page();
    let mut links = 0;
    for link in page
        .split("](")
        .skip(1)
        .filter_map(|rest| rest.split(')').next())
    {
        let (file, heading) = link.split_once('#').unwrap_or((link, ""));
        assert!(file.is_empty() || docs().join(file).is_file(), "{link}");
        if file.is_empty() {
            let as_link = |title: &str| title.trim().to_lowercase().replace(' ', "-");
            let mut titles = page.lines().filter_map(|line| line.strip_prefix("## "));
            assert!(titles.any(|title| as_link(title) == heading), "{link}");
        }
        links += 1;
    }
    assert!(links >= 2);
}

#[test]
fn the_unit_uses_the_groups_of_the_rules() {
    let unit =
        std::fs::read_to_string(docs().join("system/edgetpu-app.service")).expect("the unit");
    let groups = unit
        .lines()
        .find_map(|line| line.strip_prefix("SupplementaryGroups="))
        .expect("groups");
    for group in groups.split_whitespace() {
        assert!(
            UDEV_RULES.contains(&format!("GROUP=\"{group}\"")),
            "{group}"
        );
    }
    assert!(unit.contains("ReadWritePaths=/run/lock"));
}

/// What stands between the fences of a language.
fn blocks<'a>(page: &'a str, language: &str) -> Vec<&'a str> {
    let fence = format!("```{language}\n");
    page.split(fence.as_str())
        .skip(1)
        .filter_map(|rest| rest.split("```").next())
        .collect()
}

#[test]
fn commands_of_the_pages_are_shell() {
    let readme = Path::new(env!("CARGO_MANIFEST_DIR")).join("hardware-tests/README.md");
    let readme = std::fs::read_to_string(readme).expect("hardware-tests/README.md");
    let page = page();
    let blocks = [blocks(&page, "sh"), blocks(&readme, "sh")].concat();
    assert!(blocks.len() >= 8);
    for block in blocks {
        let output = std::process::Command::new("sh")
            .args(["-n", "-c", block])
            .output()
            .expect("a shell");
        let words = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{block}\n{words}");
    }
}

#[test]
fn every_test_on_a_device_is_explained() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("hardware-tests");
    let read = |name: &str| std::fs::read_to_string(folder.join(name)).expect("a file");
    let (list, readme) = (read("hardware.rs"), read("README.md"));
    let (_, list) = list.split_once("tests! {\n").expect("the list");
    let names: Vec<&str> = list
        .lines()
        .filter_map(|line| line.trim().split_once(", crate::"))
        .map(|(name, _)| name)
        .collect();
    assert!(names.len() >= 9);
    for name in names {
        assert!(readme.contains(&format!("`{name}`")), "{name}");
    }
}

#[test]
fn the_rules_match_vendor_and_product_together() {
    let rules: Vec<&str> = UDEV_RULES
        .lines()
        .filter(|line| !line.starts_with('#') && !line.is_empty())
        .collect();
    // Bootloader and running firmware of the stick, and the modules' class.
    for identity in [("1a6e", "089a"), ("18d1", "9302")] {
        let (vendor, product) = identity;
        let (vendor, product) = (
            format!("ATTR{{idVendor}}==\"{vendor}\""),
            format!("ATTR{{idProduct}}==\"{product}\""),
        );
        let matching = rules
            .iter()
            .filter(|rule| rule.contains(&vendor) && rule.contains(&product));
        assert_eq!(matching.count(), 1, "{identity:?}");
    }
    assert!(
        rules
            .iter()
            .any(|rule| rule.starts_with("SUBSYSTEM==\"apex\""))
    );
    assert_eq!(rules.len(), 3);
    // udev and systemd have checkers of their own, where they are installed.
    for (program, arguments, file) in [
        ("udevadm", &["verify"][..], "60-edgetpu.rules"),
        ("systemd-analyze", &["verify"], "edgetpu-app.service"),
    ] {
        let path = docs().join("system").join(file);
        match std::process::Command::new(program)
            .args(arguments)
            .arg(&path)
            .output()
        {
            Err(_) => eprintln!("SKIPPED: {program} {}: not installed", arguments[0]),
            Ok(output) => {
                let words = String::from_utf8_lossy(&output.stderr);
                // udevadm learned to verify in systemd 254.
                if words.contains("Unknown command verb") {
                    eprintln!("SKIPPED: {program} {}: too old", arguments[0]);
                    continue;
                }
                // The example's program is not there, which is all it may find.
                let others = words
                    .lines()
                    .filter(|line| !line.contains("/usr/local/bin/example"));
                let unknown =
                    others.filter(|line| line.contains("Unknown") || line.contains("invalid"));
                assert_eq!(unknown.count(), 0, "{words}");
            }
        }
    }
}
