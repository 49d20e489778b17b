//! The C API of `edgetpu_c.h`: devices, options, versions, and the functions that open a device.
//!
//! Facts: libedgetpu `tflite/public/edgetpu_c.h` and `edgetpu_c.cc` at 16.0, and runs of the official binaries.
#![allow(unsafe_code, reason = "calls the C functions of libedgetpu")]

use std::ffi::{CStr, c_char, c_int, c_void};
use std::fmt;
use std::path::Path;
use std::ptr::NonNull;
use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Mutex, PoisonError};

use super::library::{DynamicLibrary, SearchPath};
use super::library_error::LibraryError;
use super::options::DelegateOptions;
use super::tflite::TfLiteDelegate;
use super::version::LibraryVersion;

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
                version: this.version.text().to_owned(),
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
