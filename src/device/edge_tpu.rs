//! One Edge TPU as data: what it is, where it is, in which state.

use std::fmt;
use std::path::PathBuf;

use super::access::Access;
use super::holders::Holder;

/// How an Edge TPU is attached.
///
/// ```
/// assert_eq!(corallite::device::DeviceKind::Usb.to_string(), "USB");
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum DeviceKind {
    /// PCI Express: M.2 and mini-PCIe cards, and the module on the Dev Board.
    Pci,
    /// USB: the USB Accelerator.
    Usb,
}

impl DeviceKind {
    /// The word in a selector: `pci` or `usb`.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Pci => "pci",
            Self::Usb => "usb",
        }
    }
}

impl fmt::Display for DeviceKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Pci => "PCI",
            Self::Usb => "USB",
        })
    }
}

/// An Edge TPU found by [`list`](super::list).
///
/// `Display` gives one line, whose first three fields are number, kind and path:
/// `0 USB /sys/bus/usb/devices/2-1 5000 Mbit/s, firmware running`.
///
/// ```
/// let devices = corallite::device::list()?;
/// let usable = devices.iter().filter(|device| device.is_usable()).count();
/// println!("{usable} of {} can be opened", devices.len());
/// # Ok::<(), corallite::device::DeviceError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Device {
    /// Position in libedgetpu's enumeration, the `N` of `:N`. None: libedgetpu does not see this device.
    pub index: Option<usize>,
    /// Position among the devices of its kind, the `N` of `usb:N` and `pci:N`. None together with `index`.
    pub kind_index: Option<usize>,
    /// The name libedgetpu opens: `/sys/bus/usb/devices/2-1`, `/dev/apex_0`. Without a driver: the PCI address.
    pub path: String,
    /// The character device behind it: `/dev/bus/usb/002/003`, `/dev/apex_0`. None: no driver, so no node.
    pub node: Option<PathBuf>,
    /// May this user open the node.
    pub access: Access,
    /// Other processes that have the node open for writing, as far as this user may see them.
    pub holders: Vec<Holder>,
    /// What only one kind of device has.
    pub details: DeviceDetails,
}

/// What is particular to the kind of attachment.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum DeviceDetails {
    /// A USB stick.
    Usb(UsbDevice),
    /// A PCIe module.
    Pcie(PcieDevice),
}

impl Device {
    /// How it is attached.
    pub fn kind(&self) -> DeviceKind {
        match self.details {
            DeviceDetails::Usb(_) => DeviceKind::Usb,
            DeviceDetails::Pcie(_) => DeviceKind::Pci,
        }
    }

    /// libedgetpu lists it, nothing is known to keep this user from opening it, and no other process is seen holding it.
    pub fn is_usable(&self) -> bool {
        self.index.is_some() && !self.is_closed() && self.holders.is_empty()
    }

    /// This user may not open it.
    fn is_closed(&self) -> bool {
        !matches!(self.access, Access::Granted | Access::Unknown)
    }
}

impl fmt::Display for Device {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.index {
            Some(index) => write!(f, "{index} ")?,
            None => f.write_str("- ")?,
        }
        write!(f, "{} {}", self.kind(), self.path)?;
        match &self.details {
            DeviceDetails::Usb(usb) => write!(f, " {}, {}", usb.speed, usb.mode)?,
            DeviceDetails::Pcie(pcie) => write!(f, "{pcie}")?,
        }
        if self.is_closed() {
            write!(f, ", {}", self.access)?;
        }
        for holder in &self.holders {
            write!(f, ", held by {holder}")?;
        }
        Ok(())
    }
}

/// A stick on the USB.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct UsbDevice {
    /// Which of its two identities it shows.
    pub mode: UsbMode,
    /// Bus number, the `002` of `/dev/bus/usb/002/003`.
    pub bus: u8,
    /// Address on the bus, the `003`; a new one after each reset that changes the identity. 0 where it is not known.
    pub address: u8,
    /// Port numbers from the root hub down: `[1]` for `2-1`, `[1, 4]` for `2-1.4`.
    pub ports: Vec<u8>,
    /// The speed it negotiated.
    pub speed: UsbSpeed,
}

/// Which identity a stick shows: it changes from one to the other when the first user loads the firmware.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum UsbMode {
    /// `1a6e:089a`: powered up, waiting for its firmware, which libedgetpu loads at the first open.
    Bootloader,
    /// `18d1:9302`: the firmware runs.
    Running,
    /// Only libedgetpu sees the stick.
    Unknown,
}

impl fmt::Display for UsbMode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Bootloader => "waiting for firmware",
            Self::Running => "firmware running",
            Self::Unknown => "state unknown",
        })
    }
}

/// Negotiated USB speed.
///
/// ```
/// assert_eq!(corallite::device::UsbSpeed::High.to_string(), "480 Mbit/s");
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum UsbSpeed {
    /// Not told by the system.
    Unknown,
    /// 1.5 Mbit/s; libedgetpu refuses it.
    Low,
    /// 12 Mbit/s.
    Full,
    /// 480 Mbit/s: USB 2.
    High,
    /// 5 Gbit/s: USB 3, what the stick is made for.
    Super,
    /// 10 Gbit/s and more.
    SuperPlus,
}

impl fmt::Display for UsbSpeed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Unknown => "speed unknown",
            Self::Low => "1.5 Mbit/s",
            Self::Full => "12 Mbit/s",
            Self::High => "480 Mbit/s",
            Self::Super => "5000 Mbit/s",
            Self::SuperPlus => "10000 Mbit/s",
        })
    }
}

/// A module on the PCI bus.
///
/// Everything optional is absent when the driver is not bound or does not offer the file.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct PcieDevice {
    /// PCI address, `0000:03:00.0`.
    pub address: Option<String>,
    /// Kernel driver bound to the function: `apex`, or `vfio-pci` when it is given to a virtual machine.
    pub driver: Option<String>,
    /// Version of the driver, from sysfs.
    pub driver_version: Option<String>,
    /// State the driver reports.
    pub status: Option<ApexStatus>,
    /// Chip temperature in millidegrees Celsius.
    pub temperature: Option<i32>,
    /// Temperatures in millidegrees Celsius at which the kernel lowers the clock, in ascending order.
    pub trip_points: Option<[i32; 3]>,
    /// Temperature in millidegrees Celsius at which the chip raises its shutdown alarm; None when that is switched off.
    pub shutdown_temperature: Option<i32>,
}

/// Lowest reading that can be a temperature: a chip that does not answer reads as all ones, which the driver converts to
/// (662 - 1023) * 250 + 550 = -89700 (gasket-driver 5815ee39, `src/apex_driver.c`, `adc_to_millic`).
const LOWEST_TEMPERATURE: i32 = -60_000;

impl PcieDevice {
    /// The clock in kHz to which the kernel has throttled the chip at the present temperature; 500000 is unthrottled.
    ///
    /// No file tells the clock; this is the rule of the driver: each trip point reached halves it
    /// (gasket-driver 5815ee39, `src/apex_driver.c`, `check_temperature_work_handler`).
    pub fn clock_limit_khz(&self) -> Option<u32> {
        let (temperature, trip_points) = (self.temperature?, self.trip_points?);
        if !self.answers() {
            return None;
        }
        let reached = trip_points.iter().rposition(|trip| temperature >= *trip);
        Some(500_000 >> reached.map_or(0, |trip| trip + 1))
    }

    /// The chip answers on the bus: its temperature is one and the driver does not call it dead.
    pub fn answers(&self) -> bool {
        self.temperature.is_none_or(|t| t >= LOWEST_TEMPERATURE)
            && matches!(self.status, None | Some(ApexStatus::Alive))
    }
}

impl fmt::Display for PcieDevice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (&self.driver, &self.status) {
            (None, _) if self.address.is_none() => f.write_str(" state unknown")?,
            (None, _) => f.write_str(" no driver bound")?,
            (Some(_), Some(status)) => write!(f, " {status}")?,
            (Some(driver), None) => write!(f, " driver {driver}")?,
        }
        if let Some(temperature) = self.temperature {
            write!(f, ", {:.1} C", f64::from(temperature) / 1000.0)?;
        }
        match self.clock_limit_khz() {
            Some(khz) if khz < 500_000 => {
                write!(f, ", throttled to {:.1} MHz", f64::from(khz) / 1000.0)
            }
            _ => Ok(()),
        }
    }
}

/// State of a PCIe module as its driver reports it in `status`.
///
/// The words are those of gasket-driver 5815ee39, `src/gasket_core.c` line 83.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ApexStatus {
    /// It works.
    Alive,
    /// It does not answer.
    Dead,
    /// It answers but failed to initialise in full.
    Lamed,
    /// The driver is being removed.
    DriverExiting,
    /// A word this version does not know.
    Unknown,
}

impl ApexStatus {
    pub(super) fn from_word(word: &str) -> Self {
        match word {
            "ALIVE" => Self::Alive,
            "DEAD" => Self::Dead,
            "LAMED" => Self::Lamed,
            "DRIVER_EXITING" => Self::DriverExiting,
            _ => Self::Unknown,
        }
    }
}

impl fmt::Display for ApexStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Alive => "alive",
            Self::Dead => "dead",
            Self::Lamed => "lamed",
            Self::DriverExiting => "driver exiting",
            Self::Unknown => "status unknown",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn module(temperature: i32) -> PcieDevice {
        PcieDevice {
            driver: Some("apex".into()),
            status: Some(ApexStatus::Alive),
            temperature: Some(temperature),
            // The driver's defaults.
            trip_points: Some([85_000, 90_000, 95_000]),
            ..PcieDevice::default()
        }
    }

    #[test]
    fn clock_limit_halves_at_each_trip_point() {
        // 500, 250, 125 and 62.5 MHz: divider 0 to 3 of the driver.
        let cases = [
            (40_000, Some(500_000)),
            (84_999, Some(500_000)),
            (85_000, Some(250_000)),
            (90_000, Some(125_000)),
            (94_750, Some(125_000)),
            (95_000, Some(62_500)),
            (110_000, Some(62_500)),
            // All ones: no reading.
            (-89_700, None),
        ];
        for (temperature, expected) in cases {
            assert_eq!(
                module(temperature).clock_limit_khz(),
                expected,
                "{temperature} millidegrees"
            );
        }
    }

    #[test]
    fn display_names_number_kind_and_path_first() {
        let mut device = Device {
            index: Some(1),
            kind_index: Some(0),
            path: "/sys/bus/usb/devices/2-1".into(),
            node: Some("/dev/bus/usb/002/003".into()),
            access: Access::Granted,
            holders: vec![],
            details: DeviceDetails::Usb(UsbDevice {
                mode: UsbMode::Running,
                bus: 2,
                address: 3,
                ports: vec![1],
                speed: UsbSpeed::Super,
            }),
        };
        assert_eq!(
            device.to_string(),
            "1 USB /sys/bus/usb/devices/2-1 5000 Mbit/s, firmware running"
        );
        device.index = None;
        device.access = Access::NoNode;
        device.details = DeviceDetails::Pcie(PcieDevice {
            address: Some("0000:03:00.0".into()),
            ..PcieDevice::default()
        });
        device.path = "0000:03:00.0".into();
        assert_eq!(
            device.to_string(),
            "- PCI 0000:03:00.0 no driver bound, no node in /dev"
        );
        device.index = Some(0);
        device.access = Access::Granted;
        device.holders = vec![Holder {
            pid: 7,
            command: "frigate".into(),
        }];
        device.path = "/dev/apex_0".into();
        device.details = DeviceDetails::Pcie(module(91_250));
        assert_eq!(
            device.to_string(),
            "0 PCI /dev/apex_0 alive, 91.2 C, throttled to 125.0 MHz, held by process 7 (frigate)"
        );
        assert!(!device.is_usable());
    }
}
