//! The functions of `TfLiteContext` that libedgetpu calls.
//!
//! None of them may panic: they are called from C++. None holds a reference to the state across a call into the
//! library.
#![allow(unsafe_code, reason = "called by libedgetpu with raw pointers")]

use std::ffi::{CStr, c_char, c_int, c_void};
use std::ptr::{null_mut, slice_from_raw_parts};

use super::error::HostError;
use super::replace;
use super::state::{State, state_of};
use super::tensors::{byte_count, dims_of};
use crate::ffi::tflite::{
    EXTERNAL_CONTEXT_EDGE_TPU, STATUS_ERROR, STATUS_OK, TfLiteContext, TfLiteIntArray, TfLiteNode,
    TfLiteRegistration, TfLiteStatus, TfLiteTensor,
};
use crate::tensor::{MAX_RANK, Shape};

/// The only format with an argument that libedgetpu hands to `ReportError`. All other texts come finished, and a `%`
/// in them means nothing.
const FORMAT_WITH_TEXT: &CStr = c"Failed to prepare for TPU. %s";

/// Longest text read from libedgetpu, in bytes.
const MAX_TEXT: usize = 4096;

/// A context with every function in place and nothing else.
pub(super) fn context() -> TfLiteContext {
    TfLiteContext {
        tensors_size: 0,
        get_execution_plan: Some(get_execution_plan),
        tensors: null_mut(),
        impl_: null_mut(),
        resize_tensor: Some(resize_tensor),
        report_error: report_error as *const c_void,
        add_tensors: Some(unused_status),
        get_node_and_registration: Some(get_node_and_registration),
        replace_node_subsets_with_delegate_kernels: replace::address(),
        recommended_num_threads: 1,
        get_external_context: Some(get_external_context),
        set_external_context: Some(set_external_context),
        allow_fp32_relax_to_fp16: false,
        profiler: null_mut(),
        allocate_persistent_buffer: Some(unused_pointer),
        allocate_buffer_for_eval: Some(unused_status),
        request_scratch_buffer_in_arena: Some(unused_status),
        get_scratch_buffer: Some(unused_pointer),
        resize_tensor_explicit: Some(unused_status),
        preview_delegate_partitioning: Some(unused_status),
        get_tensor: Some(unused_pointer),
        get_eval_tensor: Some(unused_pointer),
        get_model_metadata: Some(unused_status),
        acquire_subgraph_context: Some(unused_status),
        release_subgraph_context: Some(unused_status),
    }
}

/// `GetExecutionPlan`: all original nodes in order. The array stays the host's.
unsafe extern "C" fn get_execution_plan(
    context: *mut TfLiteContext,
    plan: *mut *mut TfLiteIntArray,
) -> TfLiteStatus {
    // SAFETY: libedgetpu passes the context it was given, and the host holds no reference during the call.
    let Some(state) = (unsafe { state_of(context) }) else {
        return STATUS_ERROR;
    };
    if plan.is_null() {
        return STATUS_ERROR;
    }
    // SAFETY: the library passes the address of a pointer of its own.
    unsafe { plan.write(state.plan.as_mut_ptr()) };
    STATUS_OK
}

/// `GetNodeAndRegistration`: an original node, which is the only kind libedgetpu asks for.
unsafe extern "C" fn get_node_and_registration(
    context: *mut TfLiteContext,
    index: c_int,
    node: *mut *mut TfLiteNode,
    registration: *mut *mut TfLiteRegistration,
) -> TfLiteStatus {
    // SAFETY: libedgetpu passes the context it was given, and the host holds no reference during the call.
    let Some(state) = (unsafe { state_of(context) }) else {
        return STATUS_ERROR;
    };
    let found = usize::try_from(index)
        .ok()
        .and_then(|index| state.nodes.get_mut(index));
    let Some(found) = found else {
        state.report("libedgetpu asked for a node that is not in the model");
        return STATUS_ERROR;
    };
    if node.is_null() || registration.is_null() {
        return STATUS_ERROR;
    }
    // SAFETY: the library passes the address of a pointer of its own; the node stays where it is.
    unsafe { node.write(&raw mut found.original) };
    // SAFETY: as above; the registration lies in the state, which stays where it is.
    unsafe { registration.write(&raw mut state.custom_op.head) };
    STATUS_OK
}

/// `ResizeTensor`: gives an output the batch of the inputs. The dims are the host's now, and go at once.
unsafe extern "C" fn resize_tensor(
    context: *mut TfLiteContext,
    tensor: *mut TfLiteTensor,
    dims: *mut TfLiteIntArray,
) -> TfLiteStatus {
    // SAFETY: the library passes null or an array of its own, which nobody frees before the line after next.
    let numbers = unsafe { int_array_numbers(dims, MAX_RANK) };
    // SAFETY: the library made the array with malloc and gave it away with this call; null is allowed.
    unsafe { libc::free(dims.cast()) };
    // SAFETY: libedgetpu passes the context it was given, and the host holds no reference during the call.
    let Some(state) = (unsafe { state_of(context) }) else {
        return STATUS_ERROR;
    };
    let Some(index) = state.tensor_at(tensor) else {
        state.report("libedgetpu resized a tensor that is not in the model");
        return STATUS_ERROR;
    };
    if resize(state, index, numbers).is_none() {
        let node = state.node_of_tensor(index);
        state.fail(HostError::Resize {
            node,
            reported: String::new(),
        });
        return STATUS_ERROR;
    }
    STATUS_OK
}

/// Gives tensor `index` a new shape; `None` if it is an input or the shape is impossible.
fn resize(state: &mut State, index: usize, numbers: Option<Vec<c_int>>) -> Option<()> {
    let numbers = numbers?;
    let memory = state
        .memory
        .get_mut(index)
        .filter(|memory| memory.is_output)?;
    let shape = Shape::from_i32(&numbers).ok()?;
    let bytes = byte_count(memory.ty, shape)?;
    memory.dims = dims_of(shape)?;
    memory.shape = shape;
    let tensor = state.tensors.get_mut(index)?;
    tensor.dims = memory.dims.as_mut_ptr();
    // libedgetpu compares the length as soon as this returns. The memory comes with the inference.
    tensor.bytes = bytes;
    Some(())
}

/// Copies the numbers of an array; `None` if it is null or has not 0 to `limit` of them.
///
/// # Safety
///
/// `array` is null or a valid `TfLiteIntArray`.
pub(super) unsafe fn int_array_numbers(
    array: *const TfLiteIntArray,
    limit: usize,
) -> Option<Vec<c_int>> {
    if array.is_null() {
        return None;
    }
    let words: *const c_int = array.cast();
    // SAFETY: the array starts with its count.
    let count = usize::try_from(unsafe { words.read() })
        .ok()
        .filter(|&count| count <= limit)?;
    // SAFETY: the count is followed by that many numbers.
    let numbers = unsafe { words.add(1) };
    // SAFETY: as above; the slice is copied before anyone else can touch the array.
    Some(unsafe { &*slice_from_raw_parts(numbers, count) }.to_vec())
}

/// `ReportError`, variadic in C. Rust cannot define such a function, but may receive its calls as if it had one more
/// named pointer: on the ABIs below, a pointer after `...` travels in the register a named one would. It is looked at
/// only when the format is the one that libedgetpu fills with a string.
#[cfg(not(all(target_vendor = "apple", target_arch = "aarch64")))]
unsafe extern "C" fn report_error(
    context: *mut TfLiteContext,
    format: *const c_char,
    argument: *const c_char,
) {
    // SAFETY: passes the library's arguments on.
    unsafe { report(context, format, argument) };
}

/// On Apple's arm64 variadic arguments are on the stack: six more words use up the registers before them.
#[cfg(all(target_vendor = "apple", target_arch = "aarch64"))]
unsafe extern "C" fn report_error(
    context: *mut TfLiteContext,
    format: *const c_char,
    _: usize,
    _: usize,
    _: usize,
    _: usize,
    _: usize,
    _: usize,
    argument: *const c_char,
) {
    // SAFETY: passes the library's arguments on.
    unsafe { report(context, format, argument) };
}

/// # Safety
///
/// `context` is the host's, `format` null or a string, and `argument` a string if the format says so.
unsafe fn report(context: *mut TfLiteContext, format: *const c_char, argument: *const c_char) {
    // SAFETY: libedgetpu passes the context it was given, and the host holds no reference during the call.
    let Some(state) = (unsafe { state_of(context) }) else {
        return;
    };
    // SAFETY: the caller's promise.
    let Some(format) = (unsafe { text(format) }) else {
        return;
    };
    if format.as_bytes() != FORMAT_WITH_TEXT.to_bytes() {
        state.report(&format);
        return;
    }
    // SAFETY: the format has a %s, so the argument is a string or null.
    let argument = unsafe { text(argument) }.unwrap_or_default();
    let start = format.strip_suffix("%s").unwrap_or(&format);
    state.report(&format!("{start}{argument}"));
}

/// Copies a C string, up to a limit.
///
/// # Safety
///
/// `text` is null or ends in a zero byte.
unsafe fn text(text: *const c_char) -> Option<String> {
    if text.is_null() {
        return None;
    }
    // SAFETY: reads up to the zero byte or the limit, whichever is first.
    let len = unsafe { libc::strnlen(text, MAX_TEXT) };
    // SAFETY: the first `len` bytes were just read.
    let bytes = unsafe { &*slice_from_raw_parts(text.cast::<u8>(), len) };
    Some(String::from_utf8_lossy(bytes).into_owned())
}

/// `GetExternalContext`: what `SetExternalContext` stored. Part of every inference.
unsafe extern "C" fn get_external_context(context: *mut TfLiteContext, kind: c_int) -> *mut c_void {
    // SAFETY: libedgetpu passes the context it was given, and the host holds no reference during the call.
    match unsafe { state_of(context) } {
        Some(state) if kind == EXTERNAL_CONTEXT_EDGE_TPU => state.external,
        _ => null_mut(),
    }
}

/// `SetExternalContext`: keeps the pointer as it is. It points into the middle of an object of the library, which
/// casts it back itself.
unsafe extern "C" fn set_external_context(
    context: *mut TfLiteContext,
    kind: c_int,
    external: *mut c_void,
) {
    // SAFETY: libedgetpu passes the context it was given, and the host holds no reference during the call.
    if let Some(state) = unsafe { state_of(context) }
        && kind == EXTERNAL_CONTEXT_EDGE_TPU
    {
        state.external = external;
    }
}

/// Any function of the context that no libedgetpu calls and that returns a status. Its further arguments stay where
/// the caller put them.
unsafe extern "C" fn unused_status(context: *mut TfLiteContext) -> TfLiteStatus {
    // SAFETY: every function of the context takes the context first; the host holds no reference during the call.
    if let Some(state) = unsafe { state_of(context) } {
        state.report("libedgetpu called a function of TfLiteContext that this host does not have");
    }
    STATUS_ERROR
}

/// The same for functions that return a pointer.
unsafe extern "C" fn unused_pointer(context: *mut TfLiteContext) -> *mut c_void {
    // SAFETY: passes the context on.
    unsafe { unused_status(context) };
    null_mut()
}
