//! Which devices there are.

use crate::rig::Rig;

/// Each device that libedgetpu lists is in corallite's own list, in the same order and under the same path, and this user
/// may open it.
pub fn corallite_and_libedgetpu_see_the_same_devices(rig: &mut Rig) {
    let found = rig.found();
    for device in &found {
        eprintln!("{device}");
    }
    let listed = rig.library().devices();
    let numbered: Vec<&str> = found
        .iter()
        .filter(|device| device.index.is_some())
        .map(|device| device.path.as_str())
        .collect();
    let paths: Vec<&str> = listed.iter().map(|device| device.path.as_str()).collect();
    assert_eq!(numbered, paths);
    let ours = found.iter().find(|found| found.path == rig.device.path);
    let ours = ours.expect("libedgetpu's first device");
    assert!(
        ours.access.is_granted(),
        "{ours}: install docs/system/60-edgetpu.rules, join the group it names, log in again and replug"
    );
}
