//! What an application chooses about a device in a worker process.

use std::time::Duration;

use super::IsolatedEdgeTpu;
use super::error::IsolationError;
use super::process::WorkerProgram;
use crate::ffi::{DelegateOptions, DeviceRecord, SearchPath};

/// How long libedgetpu may take before its worker is killed and the device counts as lost.
///
/// The defaults leave room for every pause that libedgetpu 16.0 survives: an open with register accesses that time out
/// takes 32 s, a transfer to the device 6 s, one from it any time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Deadlines {
    /// Loading libedgetpu and opening the device: 40 s. USB takes 2 to 3 s.
    pub open: Duration,
    /// Registering a model, and other calls that do not wait for the device: 10 s.
    pub prepare: Duration,
    /// Shortest deadline of an inference: 10 s.
    pub inference: Duration,
    /// An inference may also take this many times the slowest one so far: 20.
    pub times_slowest: u32,
    /// Added for each MiB of the model's custom options, which may have to be sent to the device: 1 s.
    pub per_mebibyte: Duration,
    /// Closing the device: 5 s. The worker is killed after that, which does no harm.
    pub close: Duration,
}

impl Default for Deadlines {
    fn default() -> Self {
        Self {
            open: Duration::from_secs(40),
            prepare: Duration::from_secs(10),
            inference: Duration::from_secs(10),
            times_slowest: 20,
            per_mebibyte: Duration::from_secs(1),
            close: Duration::from_secs(5),
        }
    }
}

/// How a device in a worker process is opened: the builder of an [`IsolatedEdgeTpu`].
///
/// ```no_run
/// use corallite::delegate::EdgeTpuDelegate;
/// use corallite::delegate::isolated::{Isolation, worker_main};
/// use corallite::ffi::{DeviceKind, DeviceRecord};
/// use corallite::{Interpreter, Model};
///
/// fn main() -> Result<(), Box<dyn std::error::Error>> {
///     worker_main();
///     let device = DeviceRecord {
///         kind: DeviceKind::Usb,
///         path: "/sys/bus/usb/devices/2-1".into(),
///     };
///     let edge_tpu = Isolation::default().open(&device)?;
///     let model = Model::from_file("mobilenet_v1_0.25_128_quant_edgetpu.tflite")?;
///     let mut interpreter = Interpreter::builder(&model)
///         .delegate(EdgeTpuDelegate::isolated(edge_tpu))
///         .build()?;
///     interpreter.invoke()?;
///     Ok(())
/// }
/// ```
#[derive(Debug, Clone)]
#[must_use]
pub struct Isolation {
    pub(super) program: WorkerProgram,
    pub(super) library: SearchPath,
    pub(super) options: DelegateOptions,
    pub(super) verbosity: u8,
    pub(super) deadlines: Deadlines,
    pub(super) first_pause: Duration,
    pub(super) longest_pause: Duration,
}

impl Default for Isolation {
    fn default() -> Self {
        Self {
            program: WorkerProgram::this(),
            library: SearchPath::from_environment(),
            options: DelegateOptions::default(),
            verbosity: 0,
            deadlines: Deadlines::default(),
            first_pause: Duration::from_millis(100),
            longest_pause: Duration::from_secs(5),
        }
    }
}

impl Isolation {
    /// The program that becomes the worker, this one unless set.
    pub fn worker(mut self, program: WorkerProgram) -> Self {
        self.program = program;
        self
    }

    /// Where the worker looks for libedgetpu; as in-process unless set.
    pub fn library(mut self, search: SearchPath) -> Self {
        self.library = search;
        self
    }

    /// Options of the device.
    pub fn options(mut self, options: DelegateOptions) -> Self {
        self.options = options;
        self
    }

    /// How much libedgetpu tells to `log` in the worker: 0 (warnings and errors, and all while a device is opened; so
    /// unless set) to 10.
    pub fn verbosity(mut self, level: u8) -> Self {
        self.verbosity = level;
        self
    }

    /// How long libedgetpu may take.
    pub fn deadlines(mut self, deadlines: Deadlines) -> Self {
        self.deadlines = deadlines;
        self
    }

    /// Pauses between attempts to open a lost device: none before the first, `first` (100 ms unless set) before the
    /// second, then twice as long each time up to `longest` (5 s). An inference that works ends the count.
    pub fn pauses(mut self, first: Duration, longest: Duration) -> Self {
        self.first_pause = first;
        self.longest_pause = longest;
        self
    }

    /// Starts a worker and opens `device` in it.
    ///
    /// # Errors
    /// The worker does not start, libedgetpu does not load, somebody else has the device, or it cannot be opened.
    pub fn open(self, device: &DeviceRecord) -> Result<IsolatedEdgeTpu, IsolationError> {
        IsolatedEdgeTpu::open(self, device.clone())
    }
}
