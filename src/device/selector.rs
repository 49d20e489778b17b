//! The words by which a user names a device.

use std::fmt;
use std::str::FromStr;

use super::edge_tpu::{Device, DeviceKind};
use super::error::DeviceError;
use super::usb::parse_port_path;

/// Which device to run on.
///
/// The grammar is pycoral's and libedgetpu's with two words more, `auto` and `cpu`, and with paths:
///
/// | text | meaning |
/// | --- | --- |
/// | `auto` | the first Edge TPU that can be used, else the CPU |
/// | `cpu` | no Edge TPU |
/// | `usb`, `pci` | the first of its kind, one that is free if possible |
/// | `usb:N`, `pci:N` | number N of its kind, from 0 |
/// | `:N` | number N of all, from 0 |
/// | `/dev/apex_0`, `/sys/bus/usb/devices/2-1` | the device with this path, or the USB port |
///
/// ```
/// use corallite::device::DeviceSelector;
/// let selector: DeviceSelector = "usb:1".parse()?;
/// assert_eq!(selector, DeviceSelector::Usb(Some(1)));
/// assert_eq!(selector.to_string(), "usb:1");
/// # Ok::<(), corallite::device::DeviceError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
#[non_exhaustive]
pub enum DeviceSelector {
    /// The first Edge TPU that can be used, else the CPU.
    #[default]
    Auto,
    /// No Edge TPU.
    Cpu,
    /// A stick: any, or by number.
    Usb(Option<usize>),
    /// A module: any, or by number.
    Pci(Option<usize>),
    /// Any kind, by number in the list.
    Index(usize),
    /// By path. A USB path names the port: it stays when the firmware is loaded and the stick's numbers change.
    Path(String),
}

/// Largest number accepted; the kernel gives minor numbers up to here to all devices of a kind together.
const LARGEST_INDEX: usize = 255;

impl FromStr for DeviceSelector {
    type Err = DeviceError;

    fn from_str(text: &str) -> Result<Self, DeviceError> {
        let problem = |problem| DeviceError::Selector {
            text: text.to_string(),
            problem,
        };
        let number = |digits: &str| {
            if digits.is_empty() {
                return Err(problem("the number is missing"));
            }
            if !digits.bytes().all(|b| b.is_ascii_digit()) {
                return Err(problem("the number must have digits only"));
            }
            match digits.parse() {
                Ok(number) if number <= LARGEST_INDEX => Ok(number),
                _ => Err(problem("the number is larger than 255")),
            }
        };
        if text.starts_with('/') {
            return if is_device_path(text) {
                Ok(Self::Path(text.to_string()))
            } else {
                Err(problem("this path is not one of an Edge TPU"))
            };
        }
        match text.split_once(':') {
            None => match text {
                "auto" => Ok(Self::Auto),
                "cpu" => Ok(Self::Cpu),
                "usb" => Ok(Self::Usb(None)),
                "pci" => Ok(Self::Pci(None)),
                "" => Err(problem("it is empty")),
                _ => Err(problem("this word is not known")),
            },
            Some(("", digits)) => number(digits).map(Self::Index),
            Some(("usb", digits)) => number(digits).map(|n| Self::Usb(Some(n))),
            Some(("pci", digits)) => number(digits).map(|n| Self::Pci(Some(n))),
            Some(("auto" | "cpu", _)) => Err(problem("this word takes no number")),
            Some(_) => Err(problem("the word before the colon is not known")),
        }
    }
}

impl fmt::Display for DeviceSelector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Auto => f.write_str("auto"),
            Self::Cpu => f.write_str("cpu"),
            Self::Usb(None) => f.write_str("usb"),
            Self::Usb(Some(n)) => write!(f, "usb:{n}"),
            Self::Pci(None) => f.write_str("pci"),
            Self::Pci(Some(n)) => write!(f, "pci:{n}"),
            Self::Index(n) => write!(f, ":{n}"),
            Self::Path(path) => f.write_str(path),
        }
    }
}

/// The two spellings libedgetpu understands. Anything else it looks for during 25 seconds, so it is refused here.
fn is_device_path(path: &str) -> bool {
    let apex = path
        .strip_prefix("/dev/apex_")
        .is_some_and(|n| !n.is_empty() && n.bytes().all(|b| b.is_ascii_digit()));
    let usb = path
        .strip_prefix("/sys/bus/usb/devices/")
        .is_some_and(|name| parse_port_path(name).is_some());
    apex || usb
}

/// Splits `model.tflite@usb:0` into the file and the selector behind its last `@`, which may be missing.
///
/// A tail with a `.` or a `/` inside that is no selector belongs to the file name: `user@host/model.tflite` is a file.
///
/// ```
/// use corallite::device::{DeviceSelector, split_model_at_device};
/// let (file, selector) = split_model_at_device("model_edgetpu.tflite@pci:0")?;
/// assert_eq!((file, selector), ("model_edgetpu.tflite", Some(DeviceSelector::Pci(Some(0)))));
/// assert_eq!(split_model_at_device("model.tflite")?, ("model.tflite", None));
/// # Ok::<(), corallite::device::DeviceError>(())
/// ```
///
/// # Errors
///
/// There is an `@` and what follows is neither a selector nor part of a file name.
pub fn split_model_at_device(text: &str) -> Result<(&str, Option<DeviceSelector>), DeviceError> {
    let Some((file, tail)) = text.rsplit_once('@') else {
        return Ok((text, None));
    };
    match tail.parse() {
        Ok(_) if file.is_empty() => Err(DeviceError::Selector {
            text: text.to_string(),
            problem: "the file before the @ is missing",
        }),
        Ok(selector) => Ok((file, Some(selector))),
        Err(_) if !tail.starts_with('/') && tail.contains(['.', '/']) => Ok((text, None)),
        Err(error) => Err(error),
    }
}

/// Finds the device that `selector` names. None: run on the CPU.
///
/// Only devices that libedgetpu lists can be named. `usb` and `pci` prefer one that is free; when none is, the first is
/// returned and opening it will tell why. `auto` takes none that cannot be used: it logs the reason and returns None.
///
/// ```
/// use corallite::device::{DeviceSelector, list, select};
/// match select(&list()?, &DeviceSelector::Auto)? {
///     Some(device) => println!("on {device}"),
///     None => println!("on the CPU"),
/// }
/// # Ok::<(), corallite::device::DeviceError>(())
/// ```
///
/// # Errors
///
/// The selector asks for a device and the list has none of that kind, number or path.
pub fn select<'a>(
    devices: &'a [Device],
    selector: &DeviceSelector,
) -> Result<Option<&'a Device>, DeviceError> {
    let listed = || devices.iter().filter(|device| device.index.is_some());
    let of_kind = |kind: DeviceKind, number: &Option<usize>| {
        let mut candidates = listed().filter(|device| device.kind() == kind);
        match number {
            Some(number) => candidates.find(|device| device.kind_index == Some(*number)),
            None => candidates
                .clone()
                .find(|device| device.is_usable())
                .or_else(|| candidates.next()),
        }
    };
    let found = match selector {
        DeviceSelector::Cpu => return Ok(None),
        DeviceSelector::Auto => {
            let usable = listed().find(|device| device.is_usable());
            if usable.is_none() {
                for device in devices {
                    log::warn!("device: {device}: not used");
                }
            }
            return Ok(usable);
        }
        DeviceSelector::Usb(number) => of_kind(DeviceKind::Usb, number),
        DeviceSelector::Pci(number) => of_kind(DeviceKind::Pci, number),
        DeviceSelector::Index(number) => listed().find(|device| device.index == Some(*number)),
        DeviceSelector::Path(path) => listed().find(|device| device.path == *path),
    };
    found.map(Some).ok_or_else(|| DeviceError::NoSuchDevice {
        selector: selector.clone(),
        found: listed()
            .map(|device| (device.kind(), device.path.clone()))
            .collect(),
    })
}

#[cfg(test)]
mod tests {
    use super::super::fake::{FakeSystem, Opening};
    use super::*;

    #[test]
    fn selectors_round_trip() {
        let cases = [
            ("auto", DeviceSelector::Auto),
            ("cpu", DeviceSelector::Cpu),
            ("usb", DeviceSelector::Usb(None)),
            ("usb:0", DeviceSelector::Usb(Some(0))),
            ("pci", DeviceSelector::Pci(None)),
            ("pci:12", DeviceSelector::Pci(Some(12))),
            (":3", DeviceSelector::Index(3)),
            ("/dev/apex_0", DeviceSelector::Path("/dev/apex_0".into())),
            (
                "/sys/bus/usb/devices/2-1.4",
                DeviceSelector::Path("/sys/bus/usb/devices/2-1.4".into()),
            ),
        ];
        for (text, expected) in cases {
            assert_eq!(text.parse::<DeviceSelector>().unwrap(), expected);
            assert_eq!(expected.to_string(), text);
        }
        assert_eq!(
            "usb:007".parse::<DeviceSelector>().unwrap(),
            DeviceSelector::Usb(Some(7))
        );
    }

    #[test]
    fn other_texts_are_refused_with_the_reason() {
        let cases = [
            ("", "it is empty"),
            ("tpu", "this word is not known"),
            ("USB", "this word is not known"),
            (" usb", "this word is not known"),
            ("USB:0", "the word before the colon is not known"),
            ("usb:", "the number is missing"),
            (":", "the number is missing"),
            ("usb:-1", "the number must have digits only"),
            ("usb:+1", "the number must have digits only"),
            ("pci:0x1", "the number must have digits only"),
            ("usb:1:2", "the number must have digits only"),
            (":256", "the number is larger than 255"),
            (
                "usb:99999999999999999999999999",
                "the number is larger than 255",
            ),
            ("cpu:0", "this word takes no number"),
            ("/dev/apex_", "this path is not one of an Edge TPU"),
            ("/dev/apex_0/", "this path is not one of an Edge TPU"),
            (
                "/dev/bus/usb/002/003",
                "this path is not one of an Edge TPU",
            ),
            (
                "/sys/bus/usb/devices/usb2",
                "this path is not one of an Edge TPU",
            ),
            ("/", "this path is not one of an Edge TPU"),
        ];
        for (text, expected) in cases {
            match text.parse::<DeviceSelector>() {
                Err(DeviceError::Selector { problem, .. }) => {
                    assert_eq!(problem, expected, "{text:?}")
                }
                other => panic!("{text:?}: {other:?}"),
            }
        }
    }

    #[test]
    fn models_are_split_from_devices() {
        let cases = [
            ("m.tflite", Some(("m.tflite", None))),
            ("m.tflite@usb:0", Some(("m.tflite", Some("usb:0")))),
            (
                "dir/m.tflite@/dev/apex_1",
                Some(("dir/m.tflite", Some("/dev/apex_1"))),
            ),
            ("m.tflite@:2", Some(("m.tflite", Some(":2")))),
            ("a@b/m.tflite", Some(("a@b/m.tflite", None))),
            ("a@b.tflite", Some(("a@b.tflite", None))),
            ("a@b.tflite@cpu", Some(("a@b.tflite", Some("cpu")))),
            ("m.tflite@usb:x", None),
            ("m.tflite@", None),
            ("m.tflite@tpu", None),
            ("m.tflite@/dev/ttyUSB0", None),
            ("@usb:0", None),
        ];
        for (text, expected) in cases {
            match (split_model_at_device(text), expected) {
                (Ok((file, selector)), Some((expected_file, expected_selector))) => {
                    assert_eq!(file, expected_file);
                    assert_eq!(
                        selector.map(|s| s.to_string()).as_deref(),
                        expected_selector,
                        "{text}"
                    );
                }
                (Err(_), None) => {}
                (result, _) => panic!("{text}: {result:?}"),
            }
        }
    }

    /// Number 0: a module in use. 1: a free stick. 2: a stick without permission. Unnumbered: a function without driver.
    fn machine() -> Vec<Device> {
        let fake = FakeSystem::new("select");
        fake.module("apex_0", "0000:03:00.0");
        fake.unbound_module("0000:05:00.0", None);
        fake.stick(0x18d1, 0x9302, 2, 7, &[1], 5000);
        fake.stick(0x18d1, 0x9302, 2, 8, &[2], 5000);
        fake.node("dev/bus/usb/002/008", 46, 0o660, Opening::Refused);
        fake.process(5_000_001, "other\0", &[("dev/apex_0", 0o2)]);
        fake.system().list().unwrap()
    }

    #[test]
    fn selectors_find_their_device() {
        let devices = machine();
        let cases = [
            ("auto", Some("/sys/bus/usb/devices/2-1")),
            ("cpu", None),
            ("usb", Some("/sys/bus/usb/devices/2-1")),
            ("usb:1", Some("/sys/bus/usb/devices/2-2")),
            ("pci", Some("/dev/apex_0")),
            ("pci:0", Some("/dev/apex_0")),
            (":0", Some("/dev/apex_0")),
            (":2", Some("/sys/bus/usb/devices/2-2")),
            ("/sys/bus/usb/devices/2-2", Some("/sys/bus/usb/devices/2-2")),
        ];
        for (text, expected) in cases {
            let found = select(&devices, &text.parse().unwrap()).unwrap();
            assert_eq!(found.map(|d| d.path.as_str()), expected, "{text}");
        }
    }

    #[test]
    fn missing_devices_are_errors_that_say_what_was_found() {
        let devices = machine();
        for text in [
            "usb:2",
            "pci:1",
            ":3",
            "/dev/apex_1",
            "/sys/bus/usb/devices/9-9",
        ] {
            let message = select(&devices, &text.parse().unwrap())
                .unwrap_err()
                .to_string();
            assert_eq!(
                message,
                format!(
                    "device `{text}`: not present, found pci:0 = /dev/apex_0, usb:0 = /sys/bus/usb/devices/2-1, \
                     usb:1 = /sys/bus/usb/devices/2-2, choose one of these"
                )
            );
        }
        assert!(select(&[], &DeviceSelector::Usb(None)).is_err());
        assert!(select(&[], &DeviceSelector::Auto).unwrap().is_none());
        // Only what libedgetpu lists can be named.
        let unlisted: Vec<Device> = devices.into_iter().filter(|d| d.index.is_none()).collect();
        assert_eq!(unlisted.len(), 1);
        assert!(select(&unlisted, &DeviceSelector::Pci(None)).is_err());
        assert!(select(&unlisted, &DeviceSelector::Auto).unwrap().is_none());
    }
}
