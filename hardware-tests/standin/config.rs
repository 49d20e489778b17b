//! What a copy of this library is: read once, when it is first called.
//!
//! Each setting is a line `key = value` in the file `<path of this library>.conf`, else the environment variable
//! `CORALLITE_STANDIN_<KEY>`. Because the file goes by the library's own path, copies with different settings can be
//! loaded into one process.
//!
//! | key | value | default |
//! | --- | --- | --- |
//! | `abi` | TFLite release it seems built against: `2.5`, `2.10`, `2.13`, `2.14` | `2.5` |
//! | `version` | what `edgetpu_version` returns | that of the official 16.0 |
//! | `devices` | `usb:<path>` and `pci:<path>`, separated by commas | `usb:/sys/bus/usb/devices/2-1` |
//! | `unplugged` | path of a file: while it exists there are no devices | none |
//! | `stall_ms` | wait on a path that no device has | `25000` |
//! | `open_ms` | time to open a device | `0` |
//! | `engine` | `nothing`, `digest` or `twin` | `twin` if there is one, else `digest` |
//! | `twin` | paths of uncompiled models, separated by commas; the first that has a node's layers runs it | none |
//! | `fault` | what goes wrong, see `faults.rs` | nothing |
//! | `trigger` | path of a file: the fault strikes only if it exists, and removes it | always |

use std::collections::HashMap;
use std::ffi::{CStr, CString, OsString, c_void};
use std::os::unix::ffi::OsStringExt;
use std::path::PathBuf;
use std::sync::OnceLock;
use std::time::Duration;

use crate::abi::Release;
use crate::faults::Fault;

const OFFICIAL_VERSION: &str =
    "BuildLabel(COMPILER=6.3.0 20170516,DATE=redacted,TIME=redacted), RuntimeVersion(14)";

pub struct Config {
    pub release: Release,
    pub version: CString,
    /// Type code and path.
    pub devices: Vec<(i32, String)>,
    pub unplugged: Option<PathBuf>,
    pub stall: Duration,
    pub open: Duration,
    pub engine: Option<String>,
    pub twins: Vec<PathBuf>,
    pub fault: Option<Fault>,
    pub trigger: Option<PathBuf>,
}

/// The settings of this copy. A setting that cannot be understood ends the process with a line on stderr: it is a
/// mistake in a test.
pub fn config() -> &'static Config {
    static CONFIG: OnceLock<Config> = OnceLock::new();
    CONFIG.get_or_init(|| {
        let settings = Settings::read();
        Config {
            release: settings.get("abi").map_or(Release::Tf2_5, |name| {
                Release::named(&name).unwrap_or_else(|| refuse("abi", &name))
            }),
            version: CString::new(
                settings
                    .get("version")
                    .unwrap_or_else(|| OFFICIAL_VERSION.to_owned()),
            )
            .expect("no zero byte in the text"),
            devices: devices(
                &settings
                    .get("devices")
                    .unwrap_or_else(|| "usb:/sys/bus/usb/devices/2-1".to_owned()),
            ),
            unplugged: settings.get("unplugged").map(PathBuf::from),
            stall: settings.millis("stall_ms", 25_000),
            open: settings.millis("open_ms", 0),
            engine: settings.get("engine"),
            twins: settings
                .get("twin")
                .map(|text| text.split(',').map(PathBuf::from).collect())
                .unwrap_or_default(),
            fault: settings
                .get("fault")
                .map(|text| Fault::parse(&text).unwrap_or_else(|| refuse("fault", &text))),
            trigger: settings.get("trigger").map(PathBuf::from),
        }
    })
}

fn devices(text: &str) -> Vec<(i32, String)> {
    text.split(',')
        .filter(|entry| !entry.is_empty())
        .map(|entry| match entry.split_once(':') {
            Some(("pci", path)) => (0, path.to_owned()),
            Some(("usb", path)) => (1, path.to_owned()),
            _ => refuse("devices", entry),
        })
        .collect()
}

fn refuse(key: &str, value: &str) -> ! {
    eprintln!("stand-in: setting {key} has no value {value:?}");
    std::process::abort()
}

struct Settings {
    file: HashMap<String, String>,
}

impl Settings {
    fn read() -> Self {
        let text = own_path()
            .and_then(|path| std::fs::read_to_string(path).ok())
            .unwrap_or_default();
        let file = text
            .lines()
            .filter_map(|line| line.split_once('='))
            .map(|(key, value)| (key.trim().to_owned(), value.trim().to_owned()))
            .collect();
        Self { file }
    }

    fn get(&self, key: &str) -> Option<String> {
        let variable = || std::env::var(format!("CORALLITE_STANDIN_{}", key.to_uppercase())).ok();
        self.file.get(key).cloned().or_else(variable)
    }

    fn millis(&self, key: &str, default: u64) -> Duration {
        let millis = self.get(key).map_or(default, |text| {
            text.parse().unwrap_or_else(|_| refuse(key, &text))
        });
        Duration::from_millis(millis)
    }
}

/// Path of this library's settings: its own path, as the loader knows it, and `.conf`.
fn own_path() -> Option<PathBuf> {
    static HERE: u8 = 0;
    let mut found = libc::Dl_info {
        dli_fname: std::ptr::null(),
        dli_fbase: std::ptr::null_mut(),
        dli_sname: std::ptr::null(),
        dli_saddr: std::ptr::null_mut(),
    };
    let here: *const c_void = (&raw const HERE).cast();
    // SAFETY: dladdr takes any address and fills the struct.
    if unsafe { libc::dladdr(here, &raw mut found) } == 0 || found.dli_fname.is_null() {
        return None;
    }
    // SAFETY: dladdr succeeded, so the name is a string that lives as long as this library is loaded.
    let name = unsafe { CStr::from_ptr(found.dli_fname) };
    let mut path = OsString::from_vec(name.to_bytes().to_vec());
    path.push(".conf");
    Some(PathBuf::from(path))
}
