//! One device, its worker, and the way back after a loss.

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::{Duration, Instant};

use super::HAS_WORKER_MAIN;
use super::error::{IsolationError, Loss};
use super::message::{Command, Failure, Reply};
use super::process::{Silence, WorkerProcess};
use super::session::{IsolatedSession, NodeRecipe};
use super::settings::Isolation;
use crate::device::{self, Holder};
use crate::ffi::DeviceRecord;
use crate::ffi::isolation::SharedHandle;

/// An Edge TPU in a worker process. Clones share the device, which closes when the last clone and the last interpreter
/// on it are gone.
///
/// Opened with [`Isolation::open`], used through [`EdgeTpuDelegate::isolated`](crate::delegate::EdgeTpuDelegate::isolated).
/// Any number of interpreters in any number of threads may use it; their inferences run one after the other.
#[derive(Debug, Clone)]
pub struct IsolatedEdgeTpu {
    pub(super) shared: Arc<Shared>,
}

/// An isolated Edge TPU as long as somebody else keeps it open.
#[derive(Debug, Clone)]
pub(in crate::delegate) struct WeakIsolatedEdgeTpu(Weak<Shared>);

impl WeakIsolatedEdgeTpu {
    /// The device, if somebody still has it.
    pub(in crate::delegate) fn upgrade(&self) -> Option<IsolatedEdgeTpu> {
        self.0.upgrade().map(|shared| IsolatedEdgeTpu { shared })
    }
}

impl IsolatedEdgeTpu {
    pub(super) fn open(settings: Isolation, device: DeviceRecord) -> Result<Self, IsolationError> {
        if settings.program.is_this && !HAS_WORKER_MAIN.load(Ordering::Relaxed) {
            return Err(IsolationError::NoWorkerMain);
        }
        let shared = Shared {
            name: device.to_string(),
            device,
            settings,
            next_session: AtomicU32::new(0),
            turn: Mutex::new(Turn {
                worker: None,
                failures: 0,
                due: None,
            }),
        };
        shared.ready(&mut shared.turn())?;
        Ok(Self {
            shared: Arc::new(shared),
        })
    }

    /// The device.
    pub fn device(&self) -> &DeviceRecord {
        &self.shared.device
    }

    /// Process id of the worker, unless the device is lost at the moment.
    pub fn worker_id(&self) -> Option<u32> {
        let turn = self.shared.turn();
        let running = turn.worker.as_ref();
        running
            .filter(|running| !running.process.has_ended())
            .map(|running| running.process.id())
    }

    /// Ends the worker; the next inference starts another and opens the device again. For applications that find results
    /// which cannot be right: after output bytes too many, libedgetpu gives wrong ones without an error. Waits for an
    /// inference in progress.
    pub fn restart(&self) {
        if let Some(running) = self.shared.turn().worker.take() {
            running.process.kill();
        }
    }

    /// A handle that does not keep the device open.
    pub(in crate::delegate) fn downgrade(&self) -> WeakIsolatedEdgeTpu {
        WeakIsolatedEdgeTpu(Arc::downgrade(&self.shared))
    }

    /// Prepares a model's nodes in the worker.
    pub(in crate::delegate) fn prepare(
        &self,
        nodes: &[NodeRecipe<'_>],
    ) -> Result<IsolatedSession, IsolationError> {
        let id = self.shared.next_session.fetch_add(1, Ordering::Relaxed);
        IsolatedSession::new(Arc::clone(&self.shared), id, nodes)
    }
}

/// What all users of one device share.
#[derive(Debug)]
pub(super) struct Shared {
    device: DeviceRecord,
    /// Kind and path, for messages.
    name: String,
    pub(super) settings: Isolation,
    next_session: AtomicU32,
    turn: Mutex<Turn>,
}

/// What belongs to whose turn it is.
#[derive(Debug)]
pub(super) struct Turn {
    pub(super) worker: Option<Running>,
    /// Losses and failed attempts since the last inference that worked.
    failures: u32,
    /// When the next attempt to open the device may be made.
    due: Option<Instant>,
}

impl Turn {
    /// An inference worked.
    pub(super) fn succeed(&mut self) {
        self.failures = 0;
        self.due = None;
    }
}

/// A worker with an open device.
#[derive(Debug)]
pub(super) struct Running {
    pub(super) process: WorkerProcess,
    /// The sessions it has prepared, with the arena it has mapped for each.
    pub(super) sessions: Vec<(u32, Option<SharedHandle>)>,
}

impl Shared {
    /// Waits for the turn.
    pub(super) fn turn(&self) -> MutexGuard<'_, Turn> {
        self.turn.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A worker with an open device: the one there is, or a new one if it is time for one.
    ///
    /// # Errors
    /// The worker ended since the last call, which is reported once; or no device can be opened.
    pub(super) fn ready<'t>(&self, turn: &'t mut Turn) -> Result<&'t mut Running, IsolationError> {
        if turn
            .worker
            .as_ref()
            .is_some_and(|running| running.process.has_ended())
        {
            return Err(self.lose(turn, Silence::Dead, "", Duration::ZERO));
        }
        if turn.worker.is_none() {
            let now = Instant::now();
            if let Some(due) = turn.due.filter(|due| *due > now) {
                let loss = Loss::Waiting { due: due - now };
                return Err(self.lost(loss, None));
            }
            match self.start() {
                Ok(running) => turn.worker = Some(running),
                Err(error) => {
                    self.fail(turn);
                    return Err(error);
                }
            }
        }
        turn.worker
            .as_mut()
            .ok_or_else(|| self.lost(Loss::NotOpened, None))
    }

    /// Asks the worker something; a worker that does not answer is lost.
    pub(super) fn ask(
        &self,
        turn: &mut Turn,
        command: &Command,
        memory: Option<&SharedHandle>,
        what: &'static str,
    ) -> Result<Reply, IsolationError> {
        let limit = self.settings.deadlines.prepare;
        let running = self.ready(turn)?;
        match running
            .process
            .ask(command, memory.map(SharedHandle::file), limit)
        {
            Ok(Reply::Failed(failure)) => Err(self.refused(failure)),
            Ok(reply) => Ok(reply),
            Err(silence) => Err(self.lose(turn, silence, what, limit)),
        }
    }

    /// Buries a worker that does not answer, and says why it does not. `what` is empty for an inference.
    pub(super) fn lose(
        &self,
        turn: &mut Turn,
        silence: Silence,
        what: &'static str,
        waited: Duration,
    ) -> IsolationError {
        self.fail(turn);
        let Some(running) = turn.worker.take() else {
            return self.lost(Loss::NotOpened, None);
        };
        let process = running.process;
        let loss = match silence {
            Silence::Dead => Loss::Ended {
                how: process.how_it_ended(),
            },
            Silence::Late if what.is_empty() => Loss::Hung { waited },
            Silence::Late => Loss::Stalled { what, waited },
        };
        process.kill();
        let error = self.lost(loss, process.last_words());
        log::warn!("{error}");
        error
    }

    fn lost(&self, loss: Loss, words: Option<String>) -> IsolationError {
        IsolationError::DeviceLost {
            device: self.name.clone(),
            loss,
            words,
        }
    }

    /// Counts a loss or a failed attempt and sets the time of the next one.
    fn fail(&self, turn: &mut Turn) {
        turn.failures = turn.failures.saturating_add(1);
        let doublings = turn.failures.saturating_sub(2).min(20);
        let pause = if turn.failures < 2 {
            Duration::ZERO
        } else {
            let pause = self.settings.first_pause.saturating_mul(1 << doublings);
            pause.min(self.settings.longest_pause)
        };
        turn.due = Some(Instant::now() + pause);
    }

    /// Starts a worker and lets it open the device.
    fn start(&self) -> Result<Running, IsolationError> {
        let limit = self.settings.deadlines.open;
        let program = &self.settings.program;
        let worker_error = |source| IsolationError::Worker {
            program: program.path.display().to_string(),
            source,
        };
        let process = WorkerProcess::start(program).map_err(worker_error)?;
        let libraries = self.settings.library.candidates().iter();
        let command = Command::Open {
            libraries: libraries
                .map(|path| {
                    use std::os::unix::ffi::OsStrExt;
                    path.as_os_str().as_bytes().to_vec()
                })
                .collect(),
            device: self.device.clone(),
            options: self.settings.options.to_string(),
            verbosity: self.settings.verbosity.into(),
        };
        let failure = match process.open(&command, limit) {
            Ok(Reply::Opened { library }) => {
                log::info!(
                    "opened {} in process {}, libedgetpu {library}",
                    self.name,
                    process.id()
                );
                process.forget_words();
                return Ok(Running {
                    process,
                    sessions: Vec::new(),
                });
            }
            Ok(Reply::Failed(failure)) => failure,
            Ok(_) => {
                process.kill();
                return Err(worker_error(std::io::ErrorKind::InvalidData.into()));
            }
            Err(Silence::Late) => {
                process.kill();
                let (what, waited) = ("opening", limit);
                return Err(self.lost(Loss::Stalled { what, waited }, process.last_words()));
            }
            Err(Silence::Dead) => {
                let how = process.how_it_ended();
                process.kill();
                return Err(self.lost(Loss::Ended { how }, process.last_words()));
            }
        };
        // It ends by itself; what it wrote is complete then.
        process.wait(self.settings.deadlines.close);
        process.kill();
        match failure {
            Failure::NotOpened => Err(self.not_opened(process.reason())),
            failure => Err(self.refused(failure)),
        }
    }

    /// What libedgetpu's words about a failed open mean.
    fn not_opened(&self, words: Option<String>) -> IsolationError {
        let says = |text: &str| words.as_ref().is_some_and(|words| words.contains(text));
        // libusb's numbers, as libedgetpu prints them.
        if says("USB error -6") {
            let devices = device::list().unwrap_or_default();
            let found = devices
                .into_iter()
                .find(|found| found.path == self.device.path);
            return IsolationError::DeviceBusy {
                device: self.name.clone(),
                holder: found.and_then(|found| found.holders.into_iter().next()),
            };
        }
        match words {
            Some(reason) if reason.contains("USB error -3") => IsolationError::Denied {
                device: self.name.clone(),
                reason,
            },
            words => self.lost(Loss::NotOpened, words),
        }
    }

    /// What the worker could not do.
    pub(super) fn refused(&self, failure: Failure) -> IsolationError {
        let device = self.name.clone();
        match failure {
            Failure::Library { reason } => IsolationError::Library { reason },
            Failure::Busy { pid, command } => IsolationError::DeviceBusy {
                device,
                holder: (pid != 0).then_some(Holder { pid, command }),
            },
            Failure::NotListed { reason } => self.lost(Loss::Absent { reason }, None),
            Failure::Lock { reason } | Failure::NoPermission { reason } => {
                IsolationError::Denied { device, reason }
            }
            Failure::NotOpened => self.lost(Loss::NotOpened, None),
            Failure::Refused { reason } | Failure::Protocol { reason } => {
                IsolationError::Refused { reason }
            }
        }
    }
}

impl Drop for Shared {
    fn drop(&mut self) {
        let limit = self.settings.deadlines.close;
        let turn = self.turn.get_mut().unwrap_or_else(PoisonError::into_inner);
        if let Some(running) = turn.worker.take() {
            // A device that does not close is closed by the kernel.
            if running.process.ask(&Command::Close, None, limit).is_ok() {
                running.process.wait(limit);
            }
            running.process.kill();
        }
    }
}
