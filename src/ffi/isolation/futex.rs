//! Sleeping until a word in shared memory changes.
#![allow(unsafe_code, reason = "futex is a system call")]

use std::ffi::c_long;
use std::sync::atomic::AtomicU32;
use std::time::Duration;

/// `struct timespec` as the call named `futex` takes it: words of the machine's size, whatever the C library's are.
#[repr(C)]
struct KernelTimespec {
    seconds: c_long,
    nanoseconds: c_long,
}

/// Sleeps while `word` holds `value`, at most `limit`. May return early without a reason.
pub(super) fn wait(word: &AtomicU32, value: u32, limit: Option<Duration>) {
    let limit = limit.map(|limit| KernelTimespec {
        seconds: c_long::try_from(limit.as_secs()).unwrap_or(c_long::MAX),
        // Below 10^9, which fits 32 bits.
        nanoseconds: limit.subsec_nanos() as c_long,
    });
    let limit: *const KernelTimespec = limit.as_ref().map_or(std::ptr::null(), |limit| limit);
    // SAFETY: the word is valid and aligned by its type, the time is null or lives until the call returns. Whatever the
    // result, the caller looks at the word again.
    unsafe { libc::syscall(libc::SYS_futex, word, libc::FUTEX_WAIT, value, limit) };
}

/// Wakes everybody who sleeps on `word`.
pub(super) fn wake(word: &AtomicU32) {
    // SAFETY: the word is valid and aligned by its type.
    unsafe { libc::syscall(libc::SYS_futex, word, libc::FUTEX_WAKE, i32::MAX) };
}
