//! The C API of `edgetpu_c.h`: devices, options, versions, and the functions that open a device.
//!
//! Facts: libedgetpu `tflite/public/edgetpu_c.h` and `edgetpu_c.cc` at 16.0, and runs of the official binaries.
#![allow(unsafe_code, reason = "calls the C functions of libedgetpu")]

use std::ffi::{CStr, CString, c_char, c_int, c_void};
use std::fmt;
use std::path::Path;
use std::ptr::NonNull;
use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Mutex, PoisonError};

use super::library::{DynamicLibrary, LibraryError, SearchPath};
use super::tflite::TfLiteDelegate;

/// `struct edgetpu_device`.
#[repr(C)]
struct RawDevice {
    kind: c_int,
    path: *const c_char,
}

/// `struct edgetpu_option`.
#[repr(C)]
struct RawOption {
    name: *const c_char,
    value: *const c_char,
}

type ListDevices = unsafe extern "C" fn(*mut usize) -> *mut RawDevice;
type FreeDevices = unsafe extern "C" fn(*mut RawDevice);
type CreateDelegate =
    unsafe extern "C" fn(c_int, *const c_char, *const RawOption, usize) -> *mut TfLiteDelegate;
type FreeDelegate = unsafe extern "C" fn(*mut TfLiteDelegate);
type SetVerbosity = unsafe extern "C" fn(c_int);
type Version = unsafe extern "C" fn() -> *const c_char;

/// More devices than this are not on one machine; a larger count is a broken library.
const MAX_DEVICES: usize = 1024;

/// How an Edge TPU is attached.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum DeviceKind {
    /// On PCIe or M.2, through the gasket and apex kernel modules; path `/dev/apex_N`.
    Pci,
    /// On USB; path `/sys/bus/usb/devices/<bus>-<port>[.<port>...]`.
    Usb,
}

impl DeviceKind {
    /// The value of `enum edgetpu_device_type`.
    pub const fn code(self) -> c_int {
        match self {
            Self::Pci => 0,
            Self::Usb => 1,
        }
    }
}

impl fmt::Display for DeviceKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Pci => "pci",
            Self::Usb => "usb",
        })
    }
}

/// One device as libedgetpu lists it.
///
/// ```
/// use corallite::ffi::{DeviceKind, DeviceRecord};
///
/// let device = DeviceRecord { kind: DeviceKind::Usb, path: "/sys/bus/usb/devices/2-1".into() };
/// assert_eq!(device.to_string(), "usb /sys/bus/usb/devices/2-1");
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct DeviceRecord {
    /// How it is attached.
    pub kind: DeviceKind,
    /// Where; the only name libedgetpu knows the device by.
    pub path: String,
}

impl fmt::Display for DeviceRecord {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.kind, self.path)
    }
}

/// Clock of the chip. A libedgetpu of the "std" packages runs at most at `High` and takes `Max` as that.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Performance {
    /// 62.5 MHz.
    Low,
    /// 125 MHz.
    Medium,
    /// 250 MHz.
    High,
    /// 500 MHz.
    #[default]
    Max,
}

impl Performance {
    const ALL: [Self; 4] = [Self::Low, Self::Medium, Self::High, Self::Max];

    const fn name(self) -> &'static CStr {
        match self {
            Self::Low => c"Low",
            Self::Medium => c"Medium",
            Self::High => c"High",
            Self::Max => c"Max",
        }
    }
}

/// Longest queue of 1024-byte reads that libedgetpu accepts.
pub const MAX_BULK_IN_QUEUE_LENGTH: u16 = 256;

/// Options of an open device, checked here because libedgetpu ignores unknown names and answers a bad value with
/// nothing but a null pointer.
///
/// They count for the first opening of a device in a process; libedgetpu ignores them in further ones.
///
/// ```
/// use corallite::ffi::{DelegateOptions, Performance};
///
/// let options = DelegateOptions::default().performance(Performance::High).always_dfu(true);
/// let same = DelegateOptions::parse([("Performance", "High"), ("Usb.AlwaysDfu", "True")])?;
/// assert_eq!(options, same);
/// # Ok::<(), corallite::ffi::OptionError>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct DelegateOptions {
    performance: Option<Performance>,
    always_dfu: Option<bool>,
    max_bulk_in_queue_length: Option<u16>,
}

impl DelegateOptions {
    /// Clock of the chip; libedgetpu's default is the highest.
    #[must_use]
    pub fn performance(mut self, performance: Performance) -> Self {
        self.performance = Some(performance);
        self
    }

    /// Downloads the firmware at every opening, even to a stick that runs it already. Costs about a second.
    #[must_use]
    pub fn always_dfu(mut self, always: bool) -> Self {
        self.always_dfu = Some(always);
        self
    }

    /// Number of 1024-byte reads queued on USB, 0 to 256; libedgetpu's default is 8. 0 reads each output in one
    /// transfer, which on output-heavy models saves more than half of libedgetpu's own time, but whether every stick
    /// tolerates it is not known.
    ///
    /// # Errors
    ///
    /// `length` is above 256.
    pub fn max_bulk_in_queue_length(mut self, length: u16) -> Result<Self, OptionError> {
        if length > MAX_BULK_IN_QUEUE_LENGTH {
            return Err(OptionError::Value {
                name: "Usb.MaxBulkInQueueLength",
                found: length.to_string(),
                expected: "0 to 256",
            });
        }
        self.max_bulk_in_queue_length = Some(length);
        Ok(self)
    }

    /// Reads options by the names and values libedgetpu spells them with.
    ///
    /// # Errors
    ///
    /// The name is not one of `Performance`, `Usb.AlwaysDfu`, `Usb.MaxBulkInQueueLength`, or the value is not one the
    /// option takes. Both are case-sensitive.
    pub fn parse<'a>(
        pairs: impl IntoIterator<Item = (&'a str, &'a str)>,
    ) -> Result<Self, OptionError> {
        let mut options = Self::default();
        for (name, value) in pairs {
            let bad = |name, expected| OptionError::Value {
                name,
                found: value.to_owned(),
                expected,
            };
            options = match name {
                "Performance" => {
                    let named = Performance::ALL
                        .into_iter()
                        .find(|level| level.name().to_bytes() == value.as_bytes());
                    options.performance(
                        named.ok_or_else(|| bad("Performance", "Low, Medium, High or Max"))?,
                    )
                }
                "Usb.AlwaysDfu" => match value {
                    "True" => options.always_dfu(true),
                    "False" => options.always_dfu(false),
                    _ => return Err(bad("Usb.AlwaysDfu", "True or False")),
                },
                "Usb.MaxBulkInQueueLength" => {
                    let bad = || bad("Usb.MaxBulkInQueueLength", "0 to 256");
                    let length = value.parse().map_err(|_| bad())?;
                    options
                        .max_bulk_in_queue_length(length)
                        .map_err(|_| bad())?
                }
                _ => {
                    return Err(OptionError::Name {
                        found: name.to_owned(),
                    });
                }
            };
        }
        Ok(options)
    }

    /// Reads options from a list `NAME=VALUE,NAME=VALUE`; the empty list has none.
    ///
    /// ```
    /// use corallite::ffi::DelegateOptions;
    /// let options = DelegateOptions::parse_list("Performance=High,Usb.MaxBulkInQueueLength=0")?;
    /// assert_eq!(options.to_string(), "Performance=High,Usb.MaxBulkInQueueLength=0");
    /// # Ok::<(), corallite::ffi::OptionError>(())
    /// ```
    ///
    /// # Errors
    ///
    /// As [`parse`](Self::parse); an entry without `=` is an option without a value.
    pub fn parse_list(list: &str) -> Result<Self, OptionError> {
        let entries = list.split(',').filter(|entry| !entry.is_empty());
        Self::parse(entries.map(|entry| entry.split_once('=').unwrap_or((entry, ""))))
    }

    /// Names and values as the C API takes them.
    fn pairs(self) -> Vec<(&'static CStr, CString)> {
        let mut pairs = Vec::new();
        if let Some(performance) = self.performance {
            pairs.push((c"Performance", performance.name().to_owned()));
        }
        if let Some(always) = self.always_dfu {
            pairs.push((
                c"Usb.AlwaysDfu",
                if always { c"True" } else { c"False" }.to_owned(),
            ));
        }
        if let Some(length) = self.max_bulk_in_queue_length
            && let Ok(length) = CString::new(length.to_string())
        {
            pairs.push((c"Usb.MaxBulkInQueueLength", length));
        }
        pairs
    }
}

impl fmt::Display for DelegateOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (position, (name, value)) in self.pairs().into_iter().enumerate() {
            let comma = if position == 0 { "" } else { "," };
            write!(
                f,
                "{comma}{}={}",
                name.to_string_lossy(),
                value.to_string_lossy()
            )?;
        }
        Ok(())
    }
}

/// An option that libedgetpu does not have, or a value it does not take.
#[non_exhaustive]
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum OptionError {
    /// There is no option of this name.
    Name {
        /// The name given.
        found: String,
    },
    /// The option does not take this value.
    Value {
        /// The option.
        name: &'static str,
        /// The value given.
        found: String,
        /// The values it takes.
        expected: &'static str,
    },
}

impl fmt::Display for OptionError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Name { found } => write!(
                f,
                "no libedgetpu option {found:?}, expected Performance, Usb.AlwaysDfu or Usb.MaxBulkInQueueLength"
            ),
            Self::Value {
                name,
                found,
                expected,
            } => {
                write!(
                    f,
                    "libedgetpu option {name}: found {found:?}, expected {expected}"
                )
            }
        }
    }
}

impl std::error::Error for OptionError {}

/// What `edgetpu_version` says, taken apart.
///
/// ```
/// use corallite::ffi::LibraryVersion;
///
/// let version = LibraryVersion::parse("BuildLabel(COMPILER=6.3.0 20170516,DATE=redacted), RuntimeVersion(14)");
/// assert_eq!(version.runtime(), Some(14));
/// assert!(version.is_supported());
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LibraryVersion {
    text: String,
    runtime: Option<u32>,
}

impl LibraryVersion {
    /// Takes the text apart; a text without `RuntimeVersion(N)` is a version without a runtime.
    pub fn parse(text: &str) -> Self {
        let runtime = text
            .split_once("RuntimeVersion(")
            .and_then(|(_, rest)| rest.split_once(')'))
            .and_then(|(number, _)| number.parse().ok());
        Self {
            text: text.to_owned(),
            runtime,
        }
    }

    /// The whole text.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The runtime version that packages are compiled for: 14 from release 16.0 on, 13 in 14.x and 15.0.
    pub fn runtime(&self) -> Option<u32> {
        self.runtime
    }

    /// What stands in `BuildLabel(...)`.
    pub fn build_label(&self) -> Option<&str> {
        let (_, rest) = self.text.split_once("BuildLabel(")?;
        let (label, _) = rest
            .split_once("), RuntimeVersion(")
            .or_else(|| rest.split_once(')'))?;
        Some(label)
    }

    /// Whether the library has the tensor layout of TFLite 2.5 and later: runtime 14 or newer, or the 13 of release
    /// 15.0. The 13 of release 14.x, which has another layout, is known by `CL_NUMBER=` in its label.
    pub fn is_supported(&self) -> bool {
        match self.runtime {
            Some(14..) => true,
            Some(13) => !self.text.contains("CL_NUMBER="),
            _ => false,
        }
    }
}

impl fmt::Display for LibraryVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// An open libedgetpu. Opened once per process and file, never closed.
///
/// ```no_run
/// use corallite::ffi::{EdgeTpuLibrary, SearchPath};
///
/// let library = EdgeTpuLibrary::open(&SearchPath::from_environment())?;
/// println!("{}: {}", library.path().display(), library.version());
/// for device in library.devices() {
///     println!("{device}");
/// }
/// # Ok::<(), corallite::ffi::LibraryError>(())
/// ```
#[derive(Debug)]
pub struct EdgeTpuLibrary {
    library: DynamicLibrary,
    list_devices: ListDevices,
    free_devices: FreeDevices,
    create_delegate: CreateDelegate,
    free_delegate: FreeDelegate,
    verbosity: SetVerbosity,
    /// What the application asked for.
    level: AtomicU8,
    version: LibraryVersion,
}

/// Every library this process opened: the same file is the same object.
static OPENED: Mutex<Vec<&'static EdgeTpuLibrary>> = Mutex::new(Vec::new());

impl EdgeTpuLibrary {
    /// Opens the first libedgetpu of `search`, or returns it if it is open already.
    ///
    /// # Errors
    ///
    /// No path leads to a library that loads, exports the C API and is of a supported version. A library that loads
    /// but is not supported ends the search: it is the one the program would run with.
    pub fn open(search: &SearchPath) -> Result<&'static Self, LibraryError> {
        let library = DynamicLibrary::open(search)?;
        let mut opened = OPENED.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = opened.iter().find(|known| known.library.is_same(&library)) {
            return Ok(known);
        }
        let this = Self::resolve(library)?;
        if !this.version.is_supported() {
            return Err(LibraryError::UnsupportedVersion {
                path: this.path().to_owned(),
                version: this.version.text,
            });
        }
        log::info!("libedgetpu {}: {}", this.path().display(), this.version);
        let this: &'static Self = Box::leak(Box::new(this));
        opened.push(this);
        Ok(this)
    }

    /// Looks all functions up.
    fn resolve(library: DynamicLibrary) -> Result<Self, LibraryError> {
        let list_devices = library.symbol(c"edgetpu_list_devices")?;
        let free_devices = library.symbol(c"edgetpu_free_devices")?;
        let create_delegate = library.symbol(c"edgetpu_create_delegate")?;
        let free_delegate = library.symbol(c"edgetpu_free_delegate")?;
        let verbosity = library.symbol(c"edgetpu_verbosity")?;
        let version = library.symbol(c"edgetpu_version")?;
        Ok(Self {
            // SAFETY: edgetpu_c.h declares edgetpu_list_devices with this type.
            list_devices: unsafe {
                std::mem::transmute::<NonNull<c_void>, ListDevices>(list_devices)
            },
            // SAFETY: edgetpu_c.h declares edgetpu_free_devices with this type.
            free_devices: unsafe {
                std::mem::transmute::<NonNull<c_void>, FreeDevices>(free_devices)
            },
            // SAFETY: edgetpu_c.h declares edgetpu_create_delegate with this type.
            create_delegate: unsafe {
                std::mem::transmute::<NonNull<c_void>, CreateDelegate>(create_delegate)
            },
            // SAFETY: edgetpu_c.h declares edgetpu_free_delegate with this type.
            free_delegate: unsafe {
                std::mem::transmute::<NonNull<c_void>, FreeDelegate>(free_delegate)
            },
            // SAFETY: edgetpu_c.h declares edgetpu_verbosity with this type.
            verbosity: unsafe { std::mem::transmute::<NonNull<c_void>, SetVerbosity>(verbosity) },
            version: {
                // SAFETY: edgetpu_c.h declares edgetpu_version with this type.
                let version = unsafe { std::mem::transmute::<NonNull<c_void>, Version>(version) };
                // SAFETY: takes nothing, opens no device, returns a static string.
                let text = unsafe { version() };
                // SAFETY: the string is static and the library is never closed.
                LibraryVersion::parse(&unsafe { text_of(text) })
            },
            level: AtomicU8::new(0),
            library,
        })
    }

    /// The path it was opened by.
    pub fn path(&self) -> &Path {
        self.library.path()
    }

    /// What it says about itself.
    pub fn version(&self) -> &LibraryVersion {
        &self.version
    }

    /// The devices it sees now. Blocks while another thread opens or closes a device.
    pub fn devices(&self) -> Vec<DeviceRecord> {
        let mut count = 0;
        // SAFETY: the count is a valid place, which is all the function needs.
        let block = unsafe { (self.list_devices)(&raw mut count) };
        if block.is_null() {
            return Vec::new();
        }
        let mut devices = Vec::new();
        for index in 0..count.min(MAX_DEVICES) {
            // SAFETY: the block holds `count` records and index is below that.
            let record = unsafe { block.add(index) };
            // SAFETY: as above; the record is initialised by the library.
            let RawDevice { kind, path } = unsafe { record.read() };
            let kind = match kind {
                0 => DeviceKind::Pci,
                1 => DeviceKind::Usb,
                other => {
                    log::warn!("libedgetpu lists a device of unknown type {other}");
                    continue;
                }
            };
            // SAFETY: the path is a string inside the block, which is freed only below.
            let path = unsafe { text_of(path) };
            devices.push(DeviceRecord { kind, path });
        }
        // SAFETY: the block came from list_devices and is freed once.
        unsafe { (self.free_devices)(block) };
        devices
    }

    /// Sets how much libedgetpu tells, for the whole process: 0 (warnings and errors, the default) to 10. 1 already gives
    /// a line per packet. Larger numbers count as 10.
    ///
    /// From the first call on, whatever the level, its lines go to `log`, target `libedgetpu`, in place of stderr. For
    /// that the process's stderr is a pipe, from which all that others write goes on to what it was; at exit and on
    /// SIGABRT, libedgetpu's way to fail, everything gets through first. With a process that writes to the same stderr
    /// after this one has ended, do without: its end of the pipe breaks. Without a logger the lines stay on stderr.
    pub fn set_verbosity(&self, level: u8) {
        super::stderr::route();
        self.set_level(level);
    }

    /// Sets it and leaves stderr as it is: whoever reads that has the lines.
    pub(crate) fn set_level(&self, level: u8) {
        self.level.store(level, Ordering::Relaxed);
        self.apply_verbosity(level);
    }

    /// Raises it to at least this for the moment, until [`Self::restore_verbosity`].
    pub(super) fn raise_verbosity(&self, level: u8) {
        self.apply_verbosity(self.level.load(Ordering::Relaxed).max(level));
    }

    fn apply_verbosity(&self, level: u8) {
        // SAFETY: takes a number; 0 to 10 are accepted at any time.
        unsafe { (self.verbosity)(c_int::from(level.min(10))) };
    }

    /// Goes back to what the application asked for.
    pub(super) fn restore_verbosity(&self) {
        self.apply_verbosity(self.level.load(Ordering::Relaxed));
    }

    /// Opens `device`; `None` is all the library says about a failure.
    pub(super) fn create_delegate(
        &self,
        kind: DeviceKind,
        path: &CStr,
        options: DelegateOptions,
    ) -> Option<NonNull<TfLiteDelegate>> {
        let pairs = options.pairs();
        let raw: Vec<RawOption> = pairs
            .iter()
            .map(|(name, value)| RawOption {
                name: name.as_ptr(),
                value: value.as_ptr(),
            })
            .collect();
        // SAFETY: the path and every name and value end in a zero byte and live until the call returns, which is as
        // long as the library reads them; path and options are not null (the empty Vec's pointer goes with count 0).
        let delegate =
            unsafe { (self.create_delegate)(kind.code(), path.as_ptr(), raw.as_ptr(), raw.len()) };
        NonNull::new(delegate)
    }

    /// Closes what [`Self::create_delegate`] returned.
    ///
    /// # Safety
    ///
    /// `delegate` came from this library, is freed once, and no kernel of it is left.
    pub(super) unsafe fn free_delegate(&self, delegate: NonNull<TfLiteDelegate>) {
        // SAFETY: the caller's promise.
        unsafe { (self.free_delegate)(delegate.as_ptr()) };
    }
}

/// Copies a C string; null is the empty one.
///
/// # Safety
///
/// `text` is null or ends in a zero byte and lives during the call.
unsafe fn text_of(text: *const c_char) -> String {
    if text.is_null() {
        return String::new();
    }
    // SAFETY: the caller's promise.
    let text = unsafe { CStr::from_ptr(text) };
    text.to_string_lossy().into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn version_tells_supported_libraries_from_older_ones() {
        struct Case {
            text: &'static str,
            runtime: Option<u32>,
            supported: bool,
        }
        // The first is the official 16.0; the form with CL_NUMBER= is that of the binaries of 2019 and 2020.
        let cases = [
            Case {
                text: "BuildLabel(COMPILER=6.3.0 20170516,DATE=redacted,TIME=redacted), RuntimeVersion(14)",
                runtime: Some(14),
                supported: true,
            },
            Case {
                text: "BuildLabel(COMPILER=6.3.0 20170516,DATE=redacted,TIME=redacted), RuntimeVersion(13)",
                runtime: Some(13),
                supported: true,
            },
            Case {
                text: "BuildLabel(COMPILER=6.3.0,DATE=redacted,TIME=redacted,CL_NUMBER=291256449), RuntimeVersion(13)",
                runtime: Some(13),
                supported: false,
            },
            Case {
                text: "BuildLabel(COMPILER=4.8), RuntimeVersion(12)",
                runtime: Some(12),
                supported: false,
            },
            Case {
                text: "BuildLabel(X), RuntimeVersion(15)",
                runtime: Some(15),
                supported: true,
            },
            Case {
                text: "RuntimeVersion(-1)",
                runtime: None,
                supported: false,
            },
            Case {
                text: "RuntimeVersion(14",
                runtime: None,
                supported: false,
            },
            Case {
                text: "",
                runtime: None,
                supported: false,
            },
        ];
        for case in cases {
            let version = LibraryVersion::parse(case.text);
            assert_eq!(version.runtime(), case.runtime, "{}", case.text);
            assert_eq!(version.is_supported(), case.supported, "{}", case.text);
        }
        let version =
            LibraryVersion::parse("BuildLabel(COMPILER=12 (x),DATE=d), RuntimeVersion(14)");
        assert_eq!(version.build_label(), Some("COMPILER=12 (x),DATE=d"));
    }

    #[test]
    fn options_reach_the_library_as_it_spells_them() {
        let options = DelegateOptions::default()
            .performance(Performance::Medium)
            .always_dfu(false)
            .max_bulk_in_queue_length(256)
            .expect("256 is the limit");
        let pairs: Vec<_> = options
            .pairs()
            .into_iter()
            .map(|(name, value)| (name.to_owned(), value))
            .collect();
        let expected = [
            (c"Performance", c"Medium"),
            (c"Usb.AlwaysDfu", c"False"),
            (c"Usb.MaxBulkInQueueLength", c"256"),
        ];
        assert_eq!(
            pairs,
            expected.map(|(name, value)| (name.to_owned(), value.to_owned()))
        );
        assert!(DelegateOptions::default().pairs().is_empty());
    }

    #[test]
    fn options_refuse_what_the_library_would_ignore_or_fail_on() {
        let cases = [
            (
                ("performance", "Max"),
                "no libedgetpu option \"performance\", expected Performance, Usb.AlwaysDfu or Usb.MaxBulkInQueueLength",
            ),
            (
                ("Performance", "max"),
                "libedgetpu option Performance: found \"max\", expected Low, Medium, High or Max",
            ),
            (
                ("Usb.AlwaysDfu", "1"),
                "libedgetpu option Usb.AlwaysDfu: found \"1\", expected True or False",
            ),
            (
                ("Usb.MaxBulkInQueueLength", "257"),
                "libedgetpu option Usb.MaxBulkInQueueLength: found \"257\", expected 0 to 256",
            ),
            (
                ("Usb.MaxBulkInQueueLength", "70000"),
                "libedgetpu option Usb.MaxBulkInQueueLength: found \"70000\", expected 0 to 256",
            ),
        ];
        for (pair, message) in cases {
            let error = DelegateOptions::parse([pair]).expect_err(message);
            assert_eq!(error.to_string(), message);
        }
        assert!(
            DelegateOptions::default()
                .max_bulk_in_queue_length(257)
                .is_err()
        );
    }
}
