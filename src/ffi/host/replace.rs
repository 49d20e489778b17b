//! `ReplaceNodeSubsetsWithDelegateKernels`: how a kernel gets from the library to the host.
//!
//! The function takes a `TfLiteRegistration` **by value**, and that struct's size depends on the TFLite the library
//! was built against: 32, 36, 40 or 48 bytes on 32-bit, 64, 72, 80 or 88 on 64-bit. Where the arguments then are:
//!
//! * x86-64 (System V): the struct is on the stack, the others are in registers, wherever the struct ends. The caller
//!   cleans up. A callee that declares the shortest form finds everything.
//! * aarch64: a struct of more than 16 bytes is a pointer to the caller's copy. The same callee finds everything.
//! * armv7 (AAPCS): the struct starts in r1 to r3 and goes on on the stack, so the arguments behind it move with its
//!   size; and the form of TFLite 2.14 and later is aligned to 8 bytes, so it starts in r2. The callee takes words and
//!   looks for the delegate, whose address it knows.
//!
//! The four armv7 layouts were measured with callers compiled for each form, the first one on the official binary.
#![allow(unsafe_code, reason = "called by libedgetpu with raw pointers")]

use std::ffi::{c_char, c_void};

use super::callbacks::int_array_numbers;
use super::error::HostError;
use super::state::state_of;
use crate::ffi::tflite::{
    STATUS_ERROR, STATUS_OK, TfLiteContext, TfLiteDelegate, TfLiteIntArray, TfLiteRegistration,
    TfLiteStatus,
};

/// The function as the context stores it.
pub(super) fn address() -> *const c_void {
    replace as *const c_void
}

#[cfg(not(target_arch = "arm"))]
unsafe extern "C" fn replace(
    context: *mut TfLiteContext,
    registration: TfLiteRegistration,
    nodes: *const TfLiteIntArray,
    delegate: *mut TfLiteDelegate,
) -> TfLiteStatus {
    // SAFETY: passes the library's arguments on.
    unsafe { take(context, registration, nodes, delegate) }
}

/// Receives the call as words: r1 to r3, then twelve from the stack. The shortest form fills seven of the twelve; the
/// ones behind are the caller's own frame.
#[cfg(target_arch = "arm")]
#[expect(clippy::too_many_arguments, reason = "one per word")]
unsafe extern "C" fn replace(
    context: *mut TfLiteContext,
    r1: usize,
    r2: usize,
    r3: usize,
    s0: usize,
    s1: usize,
    s2: usize,
    s3: usize,
    s4: usize,
    s5: usize,
    s6: usize,
    s7: usize,
    s8: usize,
    s9: usize,
    s10: usize,
    s11: usize,
) -> TfLiteStatus {
    let words = [r1, r2, r3, s0, s1, s2, s3, s4, s5, s6, s7, s8, s9, s10, s11];
    // SAFETY: libedgetpu passes the context it was given, and the host holds no reference during the call.
    let Some(state) = (unsafe { state_of(context) }) else {
        return STATUS_ERROR;
    };
    let delegate = state.delegate;
    let Some(found) = locate(&words, delegate.addr()) else {
        state.fail(HostError::UnknownRegistration { node: None });
        return STATUS_ERROR;
    };
    // SAFETY: the struct's first eight words are the shortest form, which is 32 bytes here; any word is a valid value
    // of each field, and the functions are the library's.
    let registration = unsafe {
        found
            .registration
            .as_ptr()
            .cast::<TfLiteRegistration>()
            .read()
    };
    let nodes = std::ptr::with_exposed_provenance(found.nodes);
    // SAFETY: passes the library's arguments on.
    unsafe { take(context, registration, nodes, delegate) }
}

/// Words of the registration's shortest form on 32-bit.
#[cfg(any(test, target_arch = "arm"))]
const SHORTEST: usize = 8;

/// A registration found among argument words.
#[cfg(any(test, target_arch = "arm"))]
#[derive(Debug, PartialEq, Eq)]
struct Found {
    registration: [usize; SHORTEST],
    nodes: usize,
}

/// Looks for the delegate in the four places it can be. `words`: r1 to r3, then the stack.
///
/// The places are tried from the front. In each layout the words before the delegate are fields of the registration
/// or the node array, never the delegate, so the first match is the right one; words behind it are not looked at.
#[cfg(any(test, target_arch = "arm"))]
fn locate(words: &[usize; 15], delegate: usize) -> Option<Found> {
    /// Where the struct starts, and its length in words.
    const LAYOUTS: [(usize, usize); 4] = [(0, 8), (0, 9), (0, 10), (1, 12)];
    for (start, len) in LAYOUTS {
        if words[start + len + 1] != delegate {
            continue;
        }
        let mut registration = [0; SHORTEST];
        registration.copy_from_slice(&words[start..start + SHORTEST]);
        return Some(Found {
            registration,
            nodes: words[start + len],
        });
    }
    None
}

/// Gives the node its kernel and makes the kernel.
///
/// # Safety
///
/// `context` is the host's; `nodes` is null or a valid array; the functions of `registration` are the library's.
unsafe fn take(
    context: *mut TfLiteContext,
    registration: TfLiteRegistration,
    nodes: *const TfLiteIntArray,
    delegate: *mut TfLiteDelegate,
) -> TfLiteStatus {
    // SAFETY: the caller's promise. libedgetpu passes one node at a time.
    let numbers = unsafe { int_array_numbers(nodes, 1) };
    // SAFETY: libedgetpu passes the context it was given, and the host holds no reference during the call.
    let Some(state) = (unsafe { state_of(context) }) else {
        return STATUS_ERROR;
    };
    let index = numbers.and_then(|numbers| usize::try_from(*numbers.first()?).ok());
    let is_own = delegate == state.delegate;
    let Some((index, node)) = index
        .and_then(|index| Some((index, state.nodes.get_mut(index)?)))
        .filter(|_| is_own)
    else {
        state.fail(HostError::UnknownRegistration { node: None });
        return STATUS_ERROR;
    };
    let (Some(init), Some(_), Some(_)) =
        (registration.init, registration.prepare, registration.invoke)
    else {
        state.fail(HostError::UnknownRegistration { node: Some(index) });
        return STATUS_ERROR;
    };
    if node.registration.is_some() {
        state.fail(HostError::UnknownRegistration { node: Some(index) });
        return STATUS_ERROR;
    }
    node.registration = Some(registration);
    let params: *const c_char = (&raw const node.params).cast();
    // SAFETY: the context is the library's argument and the params lie in the state, both stay where they are. The
    // references made above are not used after this call, in which the library calls back.
    let kernel = unsafe { init(context, params, 0) };
    // SAFETY: as at the top; the library's call back is over.
    let Some(state) = (unsafe { state_of(context) }) else {
        return STATUS_ERROR;
    };
    let Some(node) = state.nodes.get_mut(index) else {
        return STATUS_ERROR;
    };
    node.kernel.user_data = kernel;
    if kernel.is_null() {
        let reported = state.take_reported();
        state.fail(HostError::KernelInit {
            node: index,
            reported,
        });
        return STATUS_ERROR;
    }
    STATUS_OK
}

#[cfg(test)]
mod tests {
    use super::*;

    const DELEGATE: usize = 0xde1e;
    const NODES: usize = 0x40de;
    const JUNK: usize = 0x5a5a;

    /// Argument words as the measured callers leave them: `start` is the register the struct begins in (0 = r1),
    /// `nodes` and `delegate` are byte offsets from the stack pointer.
    fn words(start: usize, len: usize, nodes: usize, delegate: usize) -> [usize; 15] {
        let mut words = [JUNK; 15];
        for (field, word) in words[start..start + len].iter_mut().enumerate() {
            // The fields behind the shortest form are zero in every build.
            *word = if field < SHORTEST { 100 + field } else { 0 };
        }
        words[3 + nodes / 4] = NODES;
        words[3 + delegate / 4] = DELEGATE;
        words
    }

    #[test]
    fn locate_finds_the_registration_of_each_armv7_layout() {
        // Start register, words, sp offset of nodes, sp offset of delegate; measured, by TFLite version.
        let cases = [
            ("2.5 to 2.9", 0, 8, 20, 24),
            ("2.10 to 2.12", 0, 9, 24, 28),
            ("2.13", 0, 10, 28, 32),
            ("2.14 and later", 1, 12, 40, 44),
        ];
        for (version, start, len, nodes, delegate) in cases {
            let found = locate(&words(start, len, nodes, delegate), DELEGATE);
            let expected = Found {
                registration: [100, 101, 102, 103, 104, 105, 106, 107],
                nodes: NODES,
            };
            assert_eq!(found, Some(expected), "{version}");
        }
    }

    #[test]
    fn locate_takes_the_first_match_and_no_other_word() {
        let mut old = words(0, 8, 20, 24);
        // What lies behind the arguments of a short call may well be the delegate again.
        old[11] = DELEGATE;
        old[14] = DELEGATE;
        assert_eq!(locate(&old, DELEGATE).map(|found| found.nodes), Some(NODES));
        assert_eq!(locate(&[JUNK; 15], DELEGATE), None);
    }
}
