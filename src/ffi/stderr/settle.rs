//! A process that ends by itself waits until what it wrote to stderr has got through.
#![allow(unsafe_code, reason = "exit and signal handlers are C functions")]

use std::os::fd::RawFd;
use std::sync::Once;
use std::sync::atomic::{AtomicI32, AtomicU32, AtomicUsize, Ordering};

use super::splitter::MARK;

/// How long an end waits for one pipe, in milliseconds: for a real stderr that blocks.
const PATIENCE: u32 = 1000;

/// A pipe that stderr can be led through, as a signal handler may look at it.
pub(super) struct Pipe {
    /// The writing end; negative while there is none.
    writer: AtomicI32,
    /// How many marks have come through.
    through: AtomicU32,
}

/// Stderr while a device is opened. Its thread writes on into the other pipe, where there is one.
pub(super) static OPENING: Pipe = Pipe::new();
/// Stderr for good.
pub(super) static ROUTED: Pipe = Pipe::new();

impl Pipe {
    pub(super) const fn new() -> Self {
        Self {
            writer: AtomicI32::new(-1),
            through: AtomicU32::new(0),
        }
    }

    /// The end of the process waits for this pipe from now on.
    pub(super) fn begin(&self, writer: RawFd) {
        static PREPARED: Once = Once::new();
        PREPARED.call_once(prepare);
        self.writer.store(writer, Ordering::Release);
    }

    /// It does no longer. To be called before the writing end is closed.
    pub(super) fn end(&self) {
        self.writer.store(-1, Ordering::Release);
    }

    /// A mark has come through, and all lines before it are logged.
    pub(super) fn is_through(&self) {
        self.through.fetch_add(1, Ordering::Release);
    }

    /// Writes a mark and waits for it. Async-signal-safe.
    fn settle(&self) {
        let writer = self.writer.load(Ordering::Acquire);
        if writer < 0 || !is_writable(writer) {
            return;
        }
        let before = self.through.load(Ordering::Acquire);
        // SAFETY: the mark is static; a descriptor that is closed is an error.
        if unsafe { libc::write(writer, MARK.as_ptr().cast(), MARK.len()) } < 0 {
            return;
        }
        for _ in 0..PATIENCE {
            if self.through.load(Ordering::Acquire) != before {
                return;
            }
            // SAFETY: without descriptors poll only waits.
            unsafe { libc::poll(std::ptr::null_mut(), 0, 1) };
        }
    }
}

/// Whether a mark fits into the pipe, at once or soon.
fn is_writable(writer: RawFd) -> bool {
    let mut state = libc::pollfd {
        fd: writer,
        events: libc::POLLOUT,
        revents: 0,
    };
    // SAFETY: one descriptor in a valid place.
    let ready = unsafe { libc::poll(&raw mut state, 1, PATIENCE.cast_signed()) };
    ready > 0 && state.revents & libc::POLLOUT != 0
}

/// The process whose threads read the pipes; a child made by `fork` has none.
static OWNER: AtomicI32 = AtomicI32::new(0);

/// The action for SIGABRT that was found, leaked.
static FOUND: AtomicUsize = AtomicUsize::new(0);

/// Sets both handlers, for the rest of the process.
fn prepare() {
    // SAFETY: getpid cannot fail.
    OWNER.store(unsafe { libc::getpid() }, Ordering::Relaxed);
    // A table of handlers that is full means that an exit does not wait.
    // SAFETY: `at_exit` is a function that C can call at any time.
    let _ = unsafe { libc::atexit(at_exit) };
    // SAFETY: all zeros is a valid sigaction: no handler, no flags.
    let mut found: libc::sigaction = unsafe { std::mem::zeroed() };
    // SAFETY: as above.
    let mut ours: libc::sigaction = unsafe { std::mem::zeroed() };
    let handler: extern "C" fn(libc::c_int) = at_abort;
    ours.sa_sigaction = handler as usize;
    // The stack of a thread that aborts may be used up.
    ours.sa_flags = libc::SA_ONSTACK;
    // SAFETY: SIGABRT can be handled; both places are valid.
    if unsafe { libc::sigaction(libc::SIGABRT, std::ptr::null(), &raw mut found) } != 0 {
        return;
    }
    FOUND.store(Box::into_raw(Box::new(found)).addr(), Ordering::Release);
    // SAFETY: as above. The handler does only what is async-signal-safe.
    let _ = unsafe { libc::sigaction(libc::SIGABRT, &raw const ours, std::ptr::null_mut()) };
}

/// Waits for all pipes, that which writes into the other first.
fn settle() {
    // SAFETY: getpid cannot fail.
    if unsafe { libc::getpid() } == OWNER.load(Ordering::Relaxed) {
        for pipe in [&OPENING, &ROUTED] {
            pipe.settle();
            // What the logger made of it.
            pipe.settle();
        }
    }
}

extern "C" fn at_exit() {
    settle();
}

/// Waits, then lets the action that was found do what it would have done: the signal comes again when this returns.
extern "C" fn at_abort(signal: libc::c_int) {
    settle();
    let found = std::ptr::with_exposed_provenance::<libc::sigaction>(FOUND.load(Ordering::Acquire));
    // SAFETY: leaked by `prepare` before the handler was set, never changed.
    unsafe { libc::sigaction(signal, found, std::ptr::null_mut()) };
    // SAFETY: the number of a signal that exists.
    unsafe { libc::raise(signal) };
}
