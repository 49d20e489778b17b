//! The application's end of one worker process: start it, talk to it, notice its death, remember its last words.

use std::ffi::{OsStr, OsString};
use std::io::{self, BufRead, BufReader, PipeReader, Read};
use std::os::fd::{BorrowedFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::PathBuf;
use std::process::{Child, ExitStatus, Stdio};
use std::sync::mpsc::sync_channel;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::message::{self, Command, PROTOCOL, Reply};
use super::worker::{SPIN, WORKER_VARIABLE};
use crate::ffi::isolation::{Answer, Mailbox, Request, spawn};
use crate::ffi::stderr::{level, log_line, reason, words};

/// Lines of stderr kept.
const MAX_LINES: usize = 32;

/// Lines of stderr that count as last words.
const LAST_WORDS: usize = 3;

/// Longest line of stderr kept, in bytes.
const MAX_LINE: u64 = 4096;

/// How long a killed worker is waited for. One that the kernel holds longer gets no more time to write anything.
const DEATH: Duration = Duration::from_secs(2);

/// The program that becomes the worker.
///
/// It is started with the environment of the application and `CORALLITE_EDGETPU_WORKER`, with its control socket as standard
/// input, and must call [`worker_main`](super::worker_main) before anything else.
///
/// ```
/// use corallite::delegate::isolated::WorkerProgram;
///
/// // A static program cannot load libraries; a dynamic one beside it can.
/// let program = WorkerProgram::at("/usr/bin/corallite").argument("edgetpu-worker");
/// # let _ = program;
/// ```
#[derive(Debug, Clone)]
pub struct WorkerProgram {
    pub(super) path: PathBuf,
    name: Option<OsString>,
    arguments: Vec<OsString>,
    variables: Vec<(OsString, OsString)>,
    pub(super) is_this: bool,
}

impl WorkerProgram {
    /// This program, started again. Its argument `edgetpu-worker` is for the eyes of who lists processes.
    pub fn this() -> Self {
        Self {
            // Not the path it was started by: the file there may be another by now.
            path: PathBuf::from("/proc/self/exe"),
            name: std::env::args_os().next(),
            arguments: vec!["edgetpu-worker".into()],
            variables: Vec::new(),
            is_this: true,
        }
    }

    /// Another program.
    pub fn at(path: impl Into<PathBuf>) -> Self {
        Self {
            path: path.into(),
            name: None,
            arguments: Vec::new(),
            variables: Vec::new(),
            is_this: false,
        }
    }

    /// Adds an argument.
    #[must_use]
    pub fn argument(mut self, argument: impl AsRef<OsStr>) -> Self {
        self.arguments.push(argument.as_ref().to_owned());
        self
    }

    /// Sets an environment variable of the worker, such as `USB_ENABLE_BULK_DESCRIPTORS_FROM_DEVICE`.
    #[must_use]
    pub fn variable(mut self, name: impl AsRef<OsStr>, value: impl AsRef<OsStr>) -> Self {
        let pair = (name.as_ref().to_owned(), value.as_ref().to_owned());
        self.variables.push(pair);
        self
    }

    fn command(&self) -> std::process::Command {
        let mut command = std::process::Command::new(&self.path);
        if let Some(name) = &self.name {
            command.arg0(name);
        }
        command
            .args(&self.arguments)
            .envs(self.variables.iter().map(|(name, value)| (name, value)))
            .env(WORKER_VARIABLE, PROTOCOL.to_string());
        command
    }
}

impl Default for WorkerProgram {
    fn default() -> Self {
        Self::this()
    }
}

/// A worker that runs, or has run.
#[derive(Debug)]
pub(super) struct WorkerProcess {
    socket: UnixStream,
    mailbox: Arc<Mailbox>,
    watch: Arc<Watch>,
}

/// What the thread beside a worker knows.
#[derive(Debug)]
struct Watch {
    child: Mutex<Child>,
    lines: Mutex<Vec<String>>,
    ended: Mutex<Option<ExitStatus>>,
    has_ended: Condvar,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl WorkerProcess {
    /// Starts a worker.
    pub(super) fn start(program: &WorkerProgram) -> io::Result<Self> {
        let (socket, theirs) = UnixStream::pair()?;
        let mailbox = Arc::new(Mailbox::new(SPIN)?);
        let (stderr, writer) = io::pipe()?;
        let mut command = program.command();
        command
            .stdin(Stdio::from(OwnedFd::from(theirs)))
            .stdout(Stdio::null())
            .stderr(writer);
        let (sender, started) = sync_channel(1);
        let dying = Arc::clone(&mailbox);
        // The worker lives no longer than the thread that starts it, so that thread watches over it to the end.
        std::thread::Builder::new()
            .name("edgetpu worker".to_owned())
            .spawn(move || {
                let child = spawn(&mut command);
                // Closes this end of the pipe and of the socket.
                drop(command);
                let watch = child.map(|child| {
                    Arc::new(Watch {
                        child: Mutex::new(child),
                        lines: Mutex::new(Vec::new()),
                        ended: Mutex::new(None),
                        has_ended: Condvar::new(),
                    })
                });
                let watched = watch.as_ref().ok().map(Arc::clone);
                // Whoever asked waits for it.
                let _ = sender.send(watch);
                if let Some(watch) = watched {
                    watch.run(stderr);
                    dying.declare_dead();
                }
            })?;
        let watch = started.recv().map_err(|_| io::ErrorKind::Other)??;
        Ok(Self {
            socket,
            mailbox,
            watch,
        })
    }

    /// Sends the first message, with the mailbox.
    pub(super) fn open(&self, command: &Command, limit: Duration) -> Result<Reply, Silence> {
        let memory = self.mailbox.handle();
        self.converse(command, Some(memory.file()), limit, false)
    }

    /// Sends a message and waits for the reply.
    pub(super) fn ask(
        &self,
        command: &Command,
        file: Option<BorrowedFd<'_>>,
        limit: Duration,
    ) -> Result<Reply, Silence> {
        self.converse(command, file, limit, true)
    }

    fn converse(
        &self,
        command: &Command,
        file: Option<BorrowedFd<'_>>,
        limit: Duration,
        knock: bool,
    ) -> Result<Reply, Silence> {
        message::send(&self.socket, &command.encode(), file).map_err(|_| Silence::Dead)?;
        if knock {
            self.mailbox.post(Request::Message);
        }
        self.listen(limit)
    }

    /// Waits for a reply over the socket.
    fn listen(&self, limit: Duration) -> Result<Reply, Silence> {
        // A limit of zero would mean none.
        let limit = limit.max(Duration::from_millis(1));
        self.socket
            .set_read_timeout(Some(limit))
            .map_err(|_| Silence::Dead)?;
        match message::receive(&self.socket) {
            Ok((bytes, _)) => Reply::decode(&bytes).ok_or(Silence::Dead),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Err(Silence::Late),
            Err(_) => Err(Silence::Dead),
        }
    }

    /// The mailbox, to describe operands in.
    pub(super) fn mailbox(&self) -> &Mailbox {
        &self.mailbox
    }

    /// Runs a node. `Ok(Some)`: what the worker said about a failure.
    pub(super) fn run(&self, request: Request, limit: Duration) -> Result<Option<Reply>, Silence> {
        use crate::ffi::isolation::Status;
        let number = self.mailbox.post(request);
        match self.mailbox.wait_for_answer(number, limit) {
            Answer::Status(Status::Done) => Ok(None),
            Answer::Status(Status::Failed) => self.listen(DEATH).map(Some),
            Answer::Dead => Err(Silence::Dead),
            Answer::Late => Err(Silence::Late),
        }
    }

    /// Its process id.
    pub(super) fn id(&self) -> u32 {
        lock(&self.watch.child).id()
    }

    /// Whether it has ended.
    pub(super) fn has_ended(&self) -> bool {
        lock(&self.watch.ended).is_some()
    }

    /// Kills it, unless it has ended by itself, and waits until it is gone.
    pub(super) fn kill(&self) {
        // An error means that it is gone already.
        let _ = lock(&self.watch.child).kill();
        self.wait(DEATH);
    }

    /// Waits until it has ended; says how.
    pub(super) fn wait(&self, limit: Duration) -> Option<ExitStatus> {
        let ended = lock(&self.watch.ended);
        let waited = self
            .watch
            .has_ended
            .wait_timeout_while(ended, limit, |ended| ended.is_none());
        *waited.unwrap_or_else(PoisonError::into_inner).0
    }

    /// How it ended, in words.
    pub(super) fn how_it_ended(&self) -> String {
        match self.wait(DEATH) {
            Some(status) => describe(status),
            None => "an unknown cause".to_owned(),
        }
    }

    /// What it wrote to stderr that speaks of trouble: the last lines, oldest first.
    pub(super) fn last_words(&self) -> Option<String> {
        let lines = lock(&self.watch.lines);
        let trouble: Vec<&str> = lines
            .iter()
            .filter(|line| level(line).is_none_or(|level| level <= log::Level::Warn))
            .map(|line| words(line))
            .collect();
        let start = trouble.len().saturating_sub(LAST_WORDS);
        (!trouble.is_empty()).then(|| trouble[start..].join("; "))
    }

    /// The line of stderr that says most about a failed open.
    pub(super) fn reason(&self) -> Option<String> {
        reason(&lock(&self.watch.lines))
    }

    /// Forgets what was written so far.
    pub(super) fn forget_words(&self) {
        lock(&self.watch.lines).clear();
    }
}

/// Why there is no answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Silence {
    /// The worker has ended, or talks nonsense.
    Dead,
    /// The time is over.
    Late,
}

impl Watch {
    /// Reads stderr to its end, which is the worker's, and takes the dead process off the kernel's list.
    fn run(&self, stderr: PipeReader) {
        let mut stderr = BufReader::new(stderr);
        let mut line = Vec::new();
        loop {
            line.clear();
            match (&mut stderr).take(MAX_LINE).read_until(b'\n', &mut line) {
                Ok(0) => break,
                Ok(_) => self.keep(&String::from_utf8_lossy(&line)),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(_) => break,
            }
        }
        // Nothing that closed its stderr is of use.
        let _ = lock(&self.child).kill();
        // In steps, so that nobody who wants the child waits for a process that the kernel holds.
        let status = loop {
            match lock(&self.child).try_wait() {
                Ok(None) => {}
                Ok(Some(status)) => break status,
                Err(_) => break ExitStatus::default(),
            }
            std::thread::sleep(Duration::from_micros(200));
        };
        *lock(&self.ended) = Some(status);
        self.has_ended.notify_all();
    }

    fn keep(&self, line: &str) {
        let line = line.trim_end();
        if line.is_empty() {
            return;
        }
        let level = level(line).unwrap_or(log::Level::Warn);
        log_line(level, line);
        let mut lines = lock(&self.lines);
        if lines.len() >= MAX_LINES {
            lines.remove(0);
        }
        lines.push(line.to_owned());
    }
}

/// An end in words: `SIGABRT`, `exit code 1`.
fn describe(status: ExitStatus) -> String {
    let names = [
        (libc::SIGABRT, "SIGABRT"),
        (libc::SIGSEGV, "SIGSEGV"),
        (libc::SIGBUS, "SIGBUS"),
        (libc::SIGILL, "SIGILL"),
        (libc::SIGFPE, "SIGFPE"),
        (libc::SIGKILL, "SIGKILL"),
    ];
    match (status.signal(), status.code()) {
        (Some(signal), _) => names
            .iter()
            .find(|(number, _)| *number == signal)
            .map_or_else(
                || format!("signal {signal}"),
                |(_, name)| (*name).to_owned(),
            ),
        (None, Some(code)) => format!("exit code {code}"),
        (None, None) => status.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shell(script: &str) -> WorkerProcess {
        let program = WorkerProgram::at("/bin/sh").argument("-c").argument(script);
        WorkerProcess::start(&program).expect("a shell")
    }

    #[test]
    fn an_end_is_described_by_signal_or_code() {
        let cases = [
            ("kill -ABRT $$", "SIGABRT"),
            ("kill -SEGV $$", "SIGSEGV"),
            ("kill -XCPU $$", "signal 24"),
            ("exit 3", "exit code 3"),
        ];
        for (script, expected) in cases {
            assert_eq!(shell(script).how_it_ended(), expected, "{script}");
        }
    }

    #[test]
    fn last_words_are_the_lines_about_trouble() {
        let worker = shell("echo 'I a.cc:1] fine' >&2; echo 'F b.cc:2] bad' >&2; echo worse >&2");
        worker.wait(Duration::from_secs(60));
        assert_eq!(worker.last_words().as_deref(), Some("bad; worse"));
        worker.forget_words();
        assert_eq!(worker.last_words(), None);
    }

    #[test]
    fn what_is_no_worker_is_dead_or_late_and_leaves_no_process() {
        let worker = shell("exit 0");
        let limit = Duration::from_secs(60);
        assert_eq!(worker.open(&Command::Close, limit), Err(Silence::Dead));
        let worker = shell("exec sleep 1000");
        let limit = Duration::from_millis(20);
        assert_eq!(worker.open(&Command::Close, limit), Err(Silence::Late));
        let pid = worker.id();
        worker.kill();
        assert!(worker.has_ended());
        assert!(!std::path::Path::new(&format!("/proc/{pid}")).exists());
    }

    #[test]
    fn a_program_that_is_not_there_is_an_error() {
        let program = WorkerProgram::at("/nonexistent/worker");
        let error = WorkerProcess::start(&program).expect_err("no such program");
        assert_eq!(error.kind(), io::ErrorKind::NotFound);
    }
}
