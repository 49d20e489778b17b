//! What goes wrong, when asked for: `kind[:value][@n]`.
//!
//! `value` is a number of milliseconds where the table has one; `n` counts the inferences of this process from 1 and
//! is 1 if not given. With the setting `trigger` the fault strikes only if that file exists, and removes it, so that
//! the next process is spared.
//!
//! | kind | when | what |
//! | --- | --- | --- |
//! | `null:ms` | create | null after a while: no permission |
//! | `null-busy:ms` | create | null: another process has claimed the interface |
//! | `null-firmware:ms` | create | null: the firmware read back is another |
//! | `null-return:ms` | create | null: the stick does not come back with its firmware |
//! | `null-register:ms` | create | null: a register does not answer |
//! | `hang-create` | create | never returns, and every call of the manager waits |
//! | `spin-create` | create | the same, with a busy processor |
//! | `abort-create` | create | abort on a foreign thread |
//! | `abort:ms` | n-th inference | a fatal line, then abort on a foreign thread, while invoke waits: a read failed |
//! | `abort-header:ms`, `abort-payload:ms` | n-th inference | the same: a write failed |
//! | `abort-deadline:ms` | n-th inference | the same: the device took no more data |
//! | `abort-event:ms`, `abort-tag:ms` | n-th inference | the same: an event failed, or was none |
//! | `abort-hib` | n-th inference | the same after an error line about the chip |
//! | `crash` | n-th inference | SIGSEGV on the calling thread |
//! | `hang` | n-th inference | never returns, prints nothing; create and free on the device then hang as well |
//! | `error` | n-th inference | invoke returns an error with a reason |
//! | `slow:ms` | n-th inference | takes long, result correct: a stall, a read that is posted again, a warning of the chip |
//! | `short` | n-th inference | succeeds with a wrong result, later ones are right: fewer bytes were sent than asked |
//! | `shift` | n-th inference | succeeds, all later results are wrong, free hangs |
//! | `abort-idle:ms` | after the n-th inference | abort on a foreign thread while no call is in progress |
//! | `hang-next:ms` | after the n-th inference | the worker thread ends silently; the next inference hangs |
//! | `hang-free` | free | never returns |
//! | `slow-free:ms` | free | takes long |
//!
//! With a trigger, `abort-idle` waits for the file and not for an inference: a stick pulled out while idle.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use crate::capi;
use crate::config::config;

/// A fault and when it strikes.
#[derive(Debug, Clone)]
pub struct Fault {
    pub kind: Kind,
    pub value: Duration,
    pub inference: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// With libedgetpu's reason.
    Null(&'static str),
    HangCreate,
    SpinCreate,
    AbortCreate,
    /// With libedgetpu's last line.
    Abort(&'static str),
    AbortHib,
    Crash,
    Hang,
    Error,
    Slow,
    Short,
    Shift,
    AbortIdle,
    HangNext,
    HangFree,
    SlowFree,
}

/// The line of a stick that was pulled out.
const UNPLUGGED: &str = "driver/usb/usb_driver.cc:857] HandleQueuedBulkIn transfer in failed. Not found: USB transfer error 5";

/// Faults by name.
const KINDS: [(&str, Kind); 25] = [
    (
        "null",
        Kind::Null("Permission denied: USB error -3 [OpenDevice]"),
    ),
    (
        "null-busy",
        Kind::Null("Unavailable: USB error -6 [ClaimInterface]"),
    ),
    (
        "null-firmware",
        Kind::Null("Data loss: firmware read back differs [DFU]"),
    ),
    (
        "null-return",
        Kind::Null("Not found: device did not come back after DFU"),
    ),
    (
        "null-register",
        Kind::Null("Deadline exceeded: USB error -7 [ReadRegister]"),
    ),
    ("hang-create", Kind::HangCreate),
    ("spin-create", Kind::SpinCreate),
    ("abort-create", Kind::AbortCreate),
    ("abort", Kind::Abort(UNPLUGGED)),
    (
        "abort-header",
        Kind::Abort(
            "driver/usb/usb_driver.cc:708] bulk out for header failed. Abort. Not found: USB error -4",
        ),
    ),
    (
        "abort-payload",
        Kind::Abort(
            "driver/usb/usb_driver.cc:803] transfer on tag 1 failed. Abort. Internal: USB transfer error 1",
        ),
    ),
    (
        "abort-deadline",
        Kind::Abort(
            "driver/usb/usb_driver.cc:803] transfer on tag 1 failed. Abort. Deadline exceeded: USB transfer error 2",
        ),
    ),
    (
        "abort-event",
        Kind::Abort(
            "driver/usb/usb_driver.cc:816] HandleEvent failed. Not found: USB transfer error 5",
        ),
    ),
    (
        "abort-tag",
        Kind::Abort("driver/usb/usb_driver.cc:871] Unknown descriptor from device"),
    ),
    ("abort-hib", Kind::AbortHib),
    ("crash", Kind::Crash),
    ("hang", Kind::Hang),
    ("error", Kind::Error),
    ("slow", Kind::Slow),
    ("short", Kind::Short),
    ("shift", Kind::Shift),
    ("abort-idle", Kind::AbortIdle),
    ("hang-next", Kind::HangNext),
    ("hang-free", Kind::HangFree),
    ("slow-free", Kind::SlowFree),
];

impl Fault {
    pub fn parse(text: &str) -> Option<Self> {
        let (text, inference) = match text.split_once('@') {
            Some((text, inference)) => (text, inference.parse().ok()?),
            None => (text, 1),
        };
        let (kind, value) = match text.split_once(':') {
            Some((kind, value)) => (kind, value.parse().ok()?),
            None => (text, 0),
        };
        let (_, kind) = KINDS.iter().find(|(name, _)| *name == kind)?;
        Some(Self {
            kind: *kind,
            value: Duration::from_millis(value),
            inference,
        })
    }
}

static INFERENCES: AtomicU64 = AtomicU64::new(0);
/// The worker thread is gone: everything that waits for the device waits for ever.
static HUNG: AtomicBool = AtomicBool::new(false);
/// Bytes too many arrived: everything after is shifted.
static SHIFTED: AtomicBool = AtomicBool::new(false);

/// What becomes of one inference.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    Good,
    Wrong,
    Failed,
}

/// The fault, if it is one of those asked for.
fn fault_if(asked: impl Fn(Kind) -> bool) -> Option<&'static Fault> {
    config().fault.as_ref().filter(|fault| asked(fault.kind))
}

/// Whether an armed fault strikes now; uses the trigger up.
fn strikes() -> bool {
    config()
        .trigger
        .as_ref()
        .is_none_or(|file| std::fs::remove_file(file).is_ok())
}

/// Faults of opening: the reason of a null, if there is one.
pub fn at_create() -> Option<&'static str> {
    wait_if_hung();
    let is_of_create = |kind| {
        matches!(
            kind,
            Kind::Null(_) | Kind::HangCreate | Kind::SpinCreate | Kind::AbortCreate
        )
    };
    let fault = fault_if(is_of_create).filter(|_| strikes())?;
    match fault.kind {
        Kind::AbortCreate => abort_from_worker(
            fault.value,
            "driver/usb/usb_driver.cc:1121] Open failed. Abort.",
        ),
        Kind::HangCreate => sleep_for_ever(),
        Kind::SpinCreate => loop {
            std::hint::spin_loop();
        },
        Kind::Null(reason) => {
            std::thread::sleep(fault.value);
            Some(reason)
        }
        _ => None,
    }
}

/// Starts the watch over an idle device, if the settings ask for it.
pub fn at_open() {
    let Some(trigger) = config()
        .trigger
        .as_ref()
        .filter(|_| fault_if(|kind| kind == Kind::AbortIdle).is_some())
    else {
        return;
    };
    std::thread::spawn(move || {
        while std::fs::remove_file(trigger).is_err() {
            std::thread::sleep(Duration::from_millis(2));
        }
        die(UNPLUGGED);
    });
}

/// Faults of one inference, before it computes.
pub fn at_invoke() -> Outcome {
    wait_if_hung();
    let inference = INFERENCES.fetch_add(1, Ordering::SeqCst) + 1;
    let wrong = if SHIFTED.load(Ordering::SeqCst) {
        Outcome::Wrong
    } else {
        Outcome::Good
    };
    let is_of_inference = |kind| {
        matches!(
            kind,
            Kind::Abort(_)
                | Kind::AbortHib
                | Kind::Crash
                | Kind::Hang
                | Kind::Error
                | Kind::Slow
                | Kind::Short
                | Kind::Shift
        )
    };
    let Some(fault) = fault_if(is_of_inference).filter(|fault| fault.inference == inference) else {
        return wrong;
    };
    if !strikes() {
        return wrong;
    }
    match fault.kind {
        Kind::AbortHib => {
            capi::print(
                'E',
                "driver/usb/usb_driver.cc:1208] HIB Error. hib_error_status = 0000000000000002",
            );
            abort_from_worker(
                fault.value,
                "driver/usb/usb_driver.cc:1212] Fatal error. Abort.",
            )
        }
        Kind::Abort(line) => abort_from_worker(fault.value, line),
        Kind::Short => Outcome::Wrong,
        Kind::Crash => {
            let wild: *mut u8 = std::ptr::without_provenance_mut(16);
            // SAFETY: none; nothing is mapped there, which is the point. A raised signal would not do: a handler
            // that returns (Rust's own does) makes a real fault happen again, a raised one not.
            unsafe { wild.write_volatile(0) };
            sleep_for_ever()
        }
        Kind::Hang => {
            HUNG.store(true, Ordering::SeqCst);
            sleep_for_ever()
        }
        Kind::Error => Outcome::Failed,
        Kind::Slow => {
            std::thread::sleep(fault.value);
            wrong
        }
        _ => {
            SHIFTED.store(true, Ordering::SeqCst);
            wrong
        }
    }
}

/// Faults after an inference.
pub fn after_invoke() {
    let is_after = |kind| matches!(kind, Kind::AbortIdle | Kind::HangNext);
    let Some(fault) = fault_if(is_after) else {
        return;
    };
    if fault.inference != INFERENCES.load(Ordering::SeqCst) {
        return;
    }
    match fault.kind {
        Kind::HangNext if strikes() => HUNG.store(true, Ordering::SeqCst),
        Kind::AbortIdle if config().trigger.is_none() => {
            let wait = fault.value;
            std::thread::spawn(move || {
                std::thread::sleep(wait);
                die(UNPLUGGED);
            });
        }
        _ => {}
    }
}

/// Faults of closing.
pub fn at_free() {
    wait_if_hung();
    if SHIFTED.load(Ordering::SeqCst) {
        sleep_for_ever();
    }
    let is_of_free = |kind| matches!(kind, Kind::HangFree | Kind::SlowFree);
    let Some(fault) = fault_if(is_of_free) else {
        return;
    };
    if !strikes() {
        return;
    }
    if fault.kind == Kind::HangFree {
        sleep_for_ever();
    }
    std::thread::sleep(fault.value);
}

/// Waits for ever once the device's worker thread is gone.
pub fn wait_if_hung() {
    if HUNG.load(Ordering::SeqCst) {
        sleep_for_ever();
    }
}

pub fn sleep_for_ever() -> ! {
    loop {
        std::thread::sleep(Duration::from_secs(3600));
    }
}

/// Prints a fatal line and aborts on another thread, while this one waits.
fn abort_from_worker(wait: Duration, line: &'static str) -> ! {
    std::thread::spawn(move || {
        std::thread::sleep(wait);
        die(line);
    });
    sleep_for_ever()
}

/// A failed CHECK: a line on stderr, then SIGABRT on this thread.
pub fn die(line: &str) -> ! {
    capi::print('F', line);
    std::process::abort()
}
