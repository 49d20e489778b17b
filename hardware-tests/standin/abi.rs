//! TFLite's C structs by their offsets, as a library built against one TFLite release sees them.
//!
//! Source: `tensorflow/lite/c/common.h`. Every offset is a pair: 64-bit, 32-bit.

use std::ffi::{CString, c_char, c_int, c_void};

use crate::config::config;

pub type Status = c_int;
pub const OK: Status = 0;
pub const ERROR: Status = 1;

/// TFLite release whose headers the library seems built with.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Release {
    /// Registration of 8 fields, delegate without a builder; also the official 15.0 and 16.0.
    Tf2_5,
    /// Registration of 9 fields, delegate without a builder.
    Tf2_10,
    /// Registration of 10 fields, delegate with a builder.
    Tf2_13,
    /// Registration of 11 fields, the last one 8 bytes wide.
    Tf2_14,
}

impl Release {
    pub fn named(name: &str) -> Option<Self> {
        Some(match name {
            "2.5" => Self::Tf2_5,
            "2.10" => Self::Tf2_10,
            "2.13" => Self::Tf2_13,
            "2.14" => Self::Tf2_14,
            _ => return None,
        })
    }
}

/// Reads a field at `offset` (64-bit, 32-bit) of the struct at `base`.
pub unsafe fn read<T: Copy>(base: *const c_void, offset: (usize, usize)) -> T {
    let offset = if cfg!(target_pointer_width = "64") {
        offset.0
    } else {
        offset.1
    };
    // SAFETY: the caller names a struct and a field of it.
    unsafe { base.byte_add(offset).cast::<T>().read_unaligned() }
}

pub const CONTEXT_GET_EXECUTION_PLAN: (usize, usize) = (8, 4);
pub const CONTEXT_TENSORS: (usize, usize) = (16, 8);
pub const CONTEXT_RESIZE_TENSOR: (usize, usize) = (32, 16);
pub const CONTEXT_REPORT_ERROR: (usize, usize) = (40, 20);
pub const CONTEXT_GET_NODE_AND_REGISTRATION: (usize, usize) = (56, 28);
pub const CONTEXT_REPLACE: (usize, usize) = (64, 32);
pub const CONTEXT_GET_EXTERNAL_CONTEXT: (usize, usize) = (80, 40);
pub const CONTEXT_SET_EXTERNAL_CONTEXT: (usize, usize) = (88, 44);

pub const TENSOR_SIZE: (usize, usize) = (112, 64);
pub const TENSOR_TYPE: (usize, usize) = (0, 0);
pub const TENSOR_DATA: (usize, usize) = (8, 4);
pub const TENSOR_DIMS: (usize, usize) = (16, 8);
pub const TENSOR_BYTES: (usize, usize) = (40, 24);
pub const TENSOR_BUFFER_HANDLE: (usize, usize) = (72, 40);

pub const NODE_INPUTS: (usize, usize) = (0, 0);
pub const NODE_OUTPUTS: (usize, usize) = (8, 4);
pub const NODE_USER_DATA: (usize, usize) = (32, 16);
pub const NODE_CUSTOM_INITIAL_DATA: (usize, usize) = (48, 24);
pub const NODE_CUSTOM_INITIAL_DATA_SIZE: (usize, usize) = (56, 28);

pub const REGISTRATION_CUSTOM_NAME: (usize, usize) = (48, 24);
pub const PARAMS_NODES_TO_REPLACE: (usize, usize) = (8, 4);

/// The numbers of a `TfLiteIntArray`.
pub unsafe fn numbers(array: *const c_void) -> Vec<c_int> {
    // SAFETY: the caller passes an array: its count, then that many numbers.
    let count: c_int = unsafe { read(array, (0, 0)) };
    (0..count.max(0) as usize)
        .map(|index| {
            let offset = 4 + 4 * index;
            // SAFETY: index is below the count.
            unsafe { read(array, (offset, offset)) }
        })
        .collect()
}

/// Calls the context's variadic `ReportError` with a finished text as the format.
pub unsafe fn report_text(context: *mut c_void, text: &str) {
    type ReportError = unsafe extern "C" fn(*mut c_void, *const c_char, ...);
    let text = CString::new(text).expect("no zero byte in a report");
    // SAFETY: the slot holds a function of this type.
    let report: ReportError = unsafe { read(context, CONTEXT_REPORT_ERROR) };
    // SAFETY: the format has no argument, whatever percent signs it has: that is how libedgetpu calls it.
    unsafe { report(context, text.as_ptr()) };
}

/// Calls it with the one format of libedgetpu that has an argument.
pub unsafe fn report_prepare(context: *mut c_void, text: &str) {
    type ReportError = unsafe extern "C" fn(*mut c_void, *const c_char, ...);
    let text = CString::new(text).expect("no zero byte in a report");
    // SAFETY: the slot holds a function of this type.
    let report: ReportError = unsafe { read(context, CONTEXT_REPORT_ERROR) };
    // SAFETY: one %s, one string.
    unsafe {
        report(
            context,
            c"Failed to prepare for TPU. %s".as_ptr(),
            text.as_ptr(),
        )
    };
}

pub type Init = unsafe extern "C" fn(*mut c_void, *const c_char, usize) -> *mut c_void;
pub type Free = unsafe extern "C" fn(*mut c_void, *mut c_void);
pub type Run = unsafe extern "C" fn(*mut c_void, *mut c_void) -> Status;

/// `TfLiteRegistration` up to TFLite 2.9.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct Registration8 {
    pub init: Init,
    pub free: Free,
    pub prepare: Run,
    pub invoke: Run,
    pub profiling_string: *const c_void,
    pub builtin_code: i32,
    pub custom_name: *const c_char,
    pub version: c_int,
}

/// TFLite 2.10 to 2.12.
#[repr(C)]
#[derive(Clone, Copy)]
struct Registration9 {
    head: Registration8,
    registration_external: *const c_void,
}

/// TFLite 2.13.
#[repr(C)]
#[derive(Clone, Copy)]
struct Registration10 {
    head: Registration8,
    registration_external: *const c_void,
    async_kernel: *const c_void,
}

/// TFLite 2.14 and later. The last field gives the struct an alignment of 8 on 32-bit as well.
#[repr(C)]
#[derive(Clone, Copy)]
struct Registration11 {
    head: Registration8,
    registration_external: *const c_void,
    async_kernel: *const c_void,
    inplace_operator: u64,
}

/// What a host that reads too far finds behind a short registration: the caller's own words. Where the struct is
/// followed by the next argument (armv7), there is no room for poison.
#[repr(C)]
#[derive(Clone, Copy)]
#[cfg(target_pointer_width = "64")]
struct Poisoned {
    head: Registration8,
    poison: [usize; 3],
}

#[cfg(target_pointer_width = "64")]
const POISON: usize = 0x5a5a_5a5a;

type Replace<R> = unsafe extern "C" fn(*mut c_void, R, *const c_void, *mut c_void) -> Status;

/// Calls `ReplaceNodeSubsetsWithDelegateKernels` with the registration of the configured release.
pub unsafe fn replace(
    context: *mut c_void,
    head: Registration8,
    nodes: *const c_void,
    delegate: *mut c_void,
) {
    let null = std::ptr::null();
    // The status is ignored, as in libedgetpu.
    let _ = match config().release {
        #[cfg(target_pointer_width = "64")]
        Release::Tf2_5 => {
            // SAFETY: a function that takes the first 64 bytes of this struct by value finds them where it looks for
            // them: on the stack (x86-64) or behind a pointer (aarch64); what follows is the caller's.
            let replace: Replace<Poisoned> = unsafe { read(context, CONTEXT_REPLACE) };
            let registration = Poisoned {
                head,
                poison: [POISON; 3],
            };
            // SAFETY: as above.
            unsafe { replace(context, registration, nodes, delegate) }
        }
        #[cfg(not(target_pointer_width = "64"))]
        Release::Tf2_5 => {
            // SAFETY: the slot holds a function for callers of every release.
            let replace: Replace<Registration8> = unsafe { read(context, CONTEXT_REPLACE) };
            // SAFETY: as above.
            unsafe { replace(context, head, nodes, delegate) }
        }
        Release::Tf2_10 => {
            // SAFETY: the slot holds a function for callers of every release.
            let replace: Replace<Registration9> = unsafe { read(context, CONTEXT_REPLACE) };
            let registration = Registration9 {
                head,
                registration_external: null,
            };
            // SAFETY: as above.
            unsafe { replace(context, registration, nodes, delegate) }
        }
        Release::Tf2_13 => {
            // SAFETY: the slot holds a function for callers of every release.
            let replace: Replace<Registration10> = unsafe { read(context, CONTEXT_REPLACE) };
            let registration = Registration10 {
                head,
                registration_external: null,
                async_kernel: null,
            };
            // SAFETY: as above.
            unsafe { replace(context, registration, nodes, delegate) }
        }
        Release::Tf2_14 => {
            // SAFETY: the slot holds a function for callers of every release.
            let replace: Replace<Registration11> = unsafe { read(context, CONTEXT_REPLACE) };
            let registration = Registration11 {
                head,
                registration_external: null,
                async_kernel: null,
                inplace_operator: 0,
            };
            // SAFETY: as above.
            unsafe { replace(context, registration, nodes, delegate) }
        }
    };
}

/// `TfLiteDelegate` and what libedgetpu keeps behind it.
#[repr(C)]
pub struct Delegate {
    pub data: *mut c_void,
    pub prepare: Run,
    pub copy_from_buffer_handle: *const c_void,
    pub copy_to_buffer_handle: *const c_void,
    pub free_buffer_handle: *const c_void,
    pub flags: i64,
    /// Up to 2.10 the library's own pointer; later `opaque_delegate_builder`, which is null.
    pub behind: *mut c_void,
    pub private: *mut c_void,
    /// Index of the device in the library's list.
    pub device: usize,
}

impl Delegate {
    pub fn new(prepare: Run, data: *mut c_void, device: usize) -> Self {
        let is_old = matches!(config().release, Release::Tf2_5 | Release::Tf2_10);
        Self {
            data,
            prepare,
            copy_from_buffer_handle: std::ptr::null(),
            copy_to_buffer_handle: std::ptr::null(),
            free_buffer_handle: std::ptr::null(),
            flags: 1,
            behind: if is_old { data } else { std::ptr::null_mut() },
            private: data,
            device,
        }
    }
}
