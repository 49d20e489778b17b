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
        assert!(docs().join(link).is_file(), "{link}");
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
