//! The exported functions: `edgetpu_c.h`.

use std::ffi::{CStr, CString, c_char, c_int, c_void};
use std::io::Write;
use std::sync::atomic::{AtomicI32, Ordering};
use std::sync::{Mutex, PoisonError};

use crate::abi::Delegate;
use crate::config::config;
use crate::faults;
use crate::kernel;

static VERBOSITY: AtomicI32 = AtomicI32::new(0);

/// How many delegates each listed device has; the lock is libedgetpu's manager mutex.
static OPEN: Mutex<Vec<usize>> = Mutex::new(Vec::new());

/// Prints a line of libedgetpu's log from this verbosity on.
pub fn log(level: i32, line: &str) {
    if VERBOSITY.load(Ordering::SeqCst) >= level {
        print('I', line);
    }
}

/// Prints a line of this severity in one piece, as libedgetpu does.
pub fn print(severity: char, line: &str) {
    // A stderr that cannot be written to has nobody to be told.
    let _ = std::io::stderr().write_all(format!("{severity} {line}\n").as_bytes());
}

/// Whether a device has a delegate.
pub fn is_open(device: usize) -> bool {
    let open = OPEN.lock().unwrap_or_else(PoisonError::into_inner);
    open.get(device).is_some_and(|&count| count > 0)
}

#[unsafe(no_mangle)]
pub extern "C" fn edgetpu_version() -> *const c_char {
    config().version.as_ptr()
}

#[unsafe(no_mangle)]
pub extern "C" fn edgetpu_verbosity(level: c_int) {
    if (0..=10).contains(&level) {
        VERBOSITY.store(level, Ordering::SeqCst);
    }
}

#[repr(C)]
struct Device {
    kind: c_int,
    path: *mut c_char,
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn edgetpu_list_devices(count: *mut usize) -> *mut c_void {
    if count.is_null() {
        faults::die("tflite/public/edgetpu_c.cc:72] Check failed: num_devices");
    }
    let _manager = OPEN.lock().unwrap_or_else(PoisonError::into_inner);
    let plugged: &[(i32, String)] = if is_unplugged() {
        &[]
    } else {
        &config().devices
    };
    // SAFETY: the pointer is not null and the caller's.
    unsafe { count.write(plugged.len()) };
    if plugged.is_empty() {
        return std::ptr::null_mut();
    }
    let devices: Vec<Device> = plugged
        .iter()
        .map(|(kind, path)| Device {
            kind: *kind,
            path: c_string(path).into_raw(),
        })
        .chain([Device {
            kind: -1,
            path: std::ptr::null_mut(),
        }])
        .collect();
    Box::into_raw(devices.into_boxed_slice()).cast()
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn edgetpu_free_devices(devices: *mut c_void) {
    if devices.is_null() {
        return;
    }
    let devices: *mut Device = devices.cast();
    let mut count = 0;
    loop {
        // SAFETY: the block ends with a record without a path.
        let device = unsafe { devices.add(count) };
        count += 1;
        // SAFETY: as above.
        let path = unsafe { (*device).path };
        if path.is_null() {
            break;
        }
        // SAFETY: made by into_raw in edgetpu_list_devices.
        drop(unsafe { CString::from_raw(path) });
    }
    // SAFETY: made by into_raw in edgetpu_list_devices, with this many records.
    drop(unsafe { Box::from_raw(std::ptr::slice_from_raw_parts_mut(devices, count)) });
}

#[repr(C)]
pub struct DelegateOption {
    name: *const c_char,
    value: *const c_char,
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn edgetpu_create_delegate(
    kind: c_int,
    name: *const c_char,
    options: *const DelegateOption,
    count: usize,
) -> *mut c_void {
    let null = std::ptr::null_mut();
    if count > 0 && (name.is_null() || options.is_null()) {
        faults::die("tflite/public/edgetpu_c.cc:103] Check failed: name");
    }
    // SAFETY: null or a string of the caller.
    let name = unsafe { string(name) };
    let mut open = OPEN.lock().unwrap_or_else(PoisonError::into_inner);
    open.resize(config().devices.len(), 0);
    for index in 0..count {
        // SAFETY: index is below the count.
        let option = unsafe { options.add(index) };
        // SAFETY: as above.
        let DelegateOption { name, value } = unsafe { option.read() };
        // SAFETY: strings of the caller.
        let (name, value) = unsafe { (string(name), string(value)) };
        if !is_valid(&name, &value) {
            return null;
        }
    }
    if !(0..=1).contains(&kind) {
        return null;
    }
    let is_any = name.is_empty() || name == "default";
    let matching = |device: &(i32, String)| device.0 == kind && (is_any || device.1 == name);
    let device = config()
        .devices
        .iter()
        .position(matching)
        .filter(|_| !is_unplugged());
    let Some(device) = device else {
        if !is_any {
            std::thread::sleep(config().stall);
        }
        log(
            1,
            &format!(
                "driver/driver_factory.cc:78] Failed to open device at [{name}]: Not found: no such device"
            ),
        );
        return null;
    };
    let path = &config().devices[device].1;
    if open[device] == 0 {
        log(
            1,
            &format!("driver/usb/local_usb_device.cc:944] Opening device at [{path}]"),
        );
        if let Some(reason) = faults::at_create() {
            log(
                1,
                &format!(
                    "driver/driver_factory.cc:78] Failed to open device [Apex (USB)] at [{path}]: {reason}"
                ),
            );
            return null;
        }
        std::thread::sleep(config().open);
        faults::at_open();
    }
    open[device] += 1;
    let data = Box::into_raw(Box::new([0_usize; 4])).cast();
    Box::into_raw(Box::new(Delegate::new(
        kernel::delegate_prepare,
        data,
        device,
    )))
    .cast()
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn edgetpu_free_delegate(delegate: *mut c_void) {
    if delegate.is_null() {
        return;
    }
    let mut open = OPEN.lock().unwrap_or_else(PoisonError::into_inner);
    // SAFETY: made by into_raw in edgetpu_create_delegate.
    let delegate = unsafe { Box::from_raw(delegate.cast::<Delegate>()) };
    open[delegate.device] -= 1;
    // In libedgetpu only a leak; here a way to notice that the host forgot one.
    if open.iter().sum::<usize>() == 0 && kernel::LIVE.load(Ordering::SeqCst) > 0 {
        faults::die("stand-in] the last delegate was freed before its kernels");
    }
    if open[delegate.device] == 0 {
        faults::at_free();
    }
    // SAFETY: made by into_raw in edgetpu_create_delegate.
    drop(unsafe { Box::from_raw(delegate.data.cast::<[usize; 4]>()) });
}

fn is_unplugged() -> bool {
    config()
        .unplugged
        .as_ref()
        .is_some_and(|file| file.exists())
}

/// Whether libedgetpu takes the option. It takes any whose name it does not know.
fn is_valid(name: &str, value: &str) -> bool {
    match name {
        "Performance" => ["Low", "Medium", "High", "Max"].contains(&value),
        "Usb.AlwaysDfu" => ["True", "False"].contains(&value),
        "Usb.MaxBulkInQueueLength" => value.parse::<u32>().is_ok_and(|length| length <= 256),
        _ => true,
    }
}

unsafe fn string(text: *const c_char) -> String {
    if text.is_null() {
        return String::new();
    }
    // SAFETY: the caller's promise.
    unsafe { CStr::from_ptr(text) }
        .to_string_lossy()
        .into_owned()
}

fn c_string(text: &str) -> CString {
    CString::new(text).expect("no zero byte in a path")
}
