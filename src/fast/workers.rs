//! Threads that share the work of one operator. They sleep while there is none.
//!
//! The caller works too, so `n` threads are `n - 1` workers. Tasks are taken from a counter; which thread takes one changes no
//! result, because tasks write to disjoint pieces of the output. After a task a worker looks out for the next operator for a
//! moment ([`LOOK_OUT`]) before it sleeps: operators follow each other within microseconds, and waking costs more than that.

use super::aligned::Aligned;
use super::{KernelChoice, Target};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// How long a worker without work stays awake.
const LOOK_OUT: Duration = Duration::from_micros(40);

/// Elements of an operator of single ones that are worth a thread's attention.
const TASK_ELEMENTS: usize = 32 << 10;

/// Whether threads share an operator of single elements that has `count`; it asks for scratch memory then, so that there are any.
pub fn shares_elements(count: usize) -> bool {
    count >= 2 * TASK_ELEMENTS
}

/// Scratch memory of one thread.
#[derive(Debug)]
pub struct Workspace {
    memory: Aligned,
    /// Whether it is the caller's of [`Workers::run`].
    caller: bool,
}

impl Workspace {
    /// Scratch of `bytes` bytes.
    pub fn new(bytes: usize) -> Self {
        Self {
            memory: Aligned::new(bytes),
            caller: false,
        }
    }

    /// The memory as elements, aligned to a cache line. Its content is whatever the last user left.
    pub fn slice_mut<T: bytemuck::Pod>(&mut self) -> &mut [T] {
        self.memory.slice_mut()
    }
}

type Job<'a> = dyn Fn(usize, &mut Workspace) + Sync + 'a;

/// A job whose lifetime the type no longer tells; `State::running` keeps it alive.
#[derive(Clone, Copy)]
struct JobPointer(*const Job<'static>);

#[allow(
    unsafe_code,
    reason = "a job outlives its workers' use of it, which no lifetime can say"
)]
// SAFETY: the job is `Sync`, so a reference to it may be used on every thread.
unsafe impl Send for JobPointer {}

#[derive(Default)]
struct State {
    /// The job that workers may join, and its number of tasks.
    job: Option<(JobPointer, usize)>,
    /// Workers inside the job.
    running: usize,
    /// Workers that sleep, and whether the caller does: who is awake needs no call of the system.
    sleeping: usize,
    caller_sleeps: bool,
    panicked: bool,
    closing: bool,
}

#[derive(Default)]
struct Shared {
    state: Mutex<State>,
    /// Counts jobs, so that a worker sees a new one without taking the lock.
    generation: AtomicUsize,
    /// The next task of the job.
    next: AtomicUsize,
    wake: Condvar,
    done: Condvar,
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes tasks until none is left.
    fn work(&self, job: &Job<'_>, tasks: usize, workspace: &mut Workspace) {
        loop {
            let task = self.next.fetch_add(1, Ordering::Relaxed);
            if task >= tasks {
                return;
            }
            job(task, workspace);
        }
    }
}

/// A number of threads with scratch memory. They are started when the first kernel reserves scratch.
pub struct Workers {
    shared: Arc<Shared>,
    /// By thread, the caller's first.
    workspaces: Vec<Arc<Mutex<Workspace>>>,
    handles: Vec<JoinHandle<()>>,
    bytes: usize,
    target: Target,
}

impl Workers {
    /// `threads` threads, the caller's included, for kernels that `choice` allows.
    pub fn new(threads: usize, choice: KernelChoice) -> Self {
        let workspace = |_| Arc::new(Mutex::new(Workspace::new(0)));
        Self {
            shared: Arc::new(Shared::default()),
            workspaces: (0..threads.max(1)).map(workspace).collect(),
            handles: Vec::new(),
            bytes: 0,
            target: Target::new(choice),
        }
    }

    /// Gives every thread at least `bytes` bytes of scratch, and starts the threads if that is more than none. Where the system
    /// gives no thread, fewer work.
    pub fn reserve(&mut self, bytes: usize) {
        if bytes <= self.bytes {
            return;
        }
        for (number, workspace) in self.workspaces.iter().enumerate() {
            *lock(workspace) = Workspace {
                caller: number == 0,
                ..Workspace::new(bytes)
            };
        }
        if self.bytes == 0 {
            self.handles = (1..self.workspaces.len())
                .map_while(|number| self.spawn(number))
                .collect();
        }
        self.bytes = bytes;
    }

    fn spawn(&self, number: usize) -> Option<JoinHandle<()>> {
        let (shared, workspace) = (
            Arc::clone(&self.shared),
            Arc::clone(&self.workspaces[number]),
        );
        let builder = std::thread::Builder::new().name(format!("corallite-{number}"));
        builder
            .spawn(move || worker(&shared, &workspace))
            .inspect_err(|error| log::warn!("thread {number}: {error}"))
            .ok()
    }

    /// Threads that work, the caller's included.
    pub fn threads(&self) -> usize {
        self.handles.len() + 1
    }

    /// Into how many pieces work is cut of which `worth` is worth a thread's attention: several a thread where there is enough, so
    /// that an interrupted one delays the others little, and as many for each.
    pub fn pieces(&self, work: usize, worth: usize) -> usize {
        let threads = self.threads();
        match work / worth.max(1) {
            _ if threads == 1 => 1,
            few if few < threads => few.max(1),
            many => threads * (many / threads).min(3),
        }
    }

    /// What plain loops are compiled for.
    pub fn target(&self) -> Target {
        self.target
    }

    /// Bytes of scratch of each thread.
    pub fn workspace_bytes(&self) -> usize {
        self.bytes
    }

    /// Calls `job` on this thread alone.
    pub fn with_workspace<T>(&self, job: impl FnOnce(&mut Workspace) -> T) -> T {
        job(&mut lock(&self.workspaces[0]))
    }

    /// Calls `job` with every number below `tasks`, each once, and returns when all are done.
    pub fn run(&self, tasks: usize, job: &Job<'_>) {
        let mut workspace = lock(&self.workspaces[0]);
        if self.handles.is_empty() || tasks < 2 {
            for task in 0..tasks {
                job(task, &mut workspace);
            }
            return;
        }
        self.shared.next.store(0, Ordering::Relaxed);
        let sleeping = {
            let mut state = self.shared.lock();
            state.job = Some((erased(job), tasks));
            self.shared.generation.fetch_add(1, Ordering::Release);
            state.sleeping
        };
        if sleeping > 0 {
            self.shared.wake.notify_all();
        }
        // Closes the job and waits for workers inside it, also when a task panics here: they hold a reference.
        let closing = Closing(&self.shared);
        self.shared.work(job, tasks, &mut workspace);
        drop(closing);
        let panicked = std::mem::take(&mut self.shared.lock().panicked);
        assert!(!panicked, "a task panicked on another thread");
    }

    /// Calls `job` with pieces of `output`, and the place where each begins, a multiple of `step`, if that is worth it for an operator
    /// of single elements.
    pub fn split_elements<T: Send>(
        &self,
        output: &mut [T],
        step: usize,
        job: &(dyn Fn(usize, &mut [T]) + Sync),
    ) {
        match self.pieces(output.len(), TASK_ELEMENTS) {
            1 => job(0, output),
            pieces => {
                let len = output.len().div_ceil(pieces).next_multiple_of(step);
                self.split(output, len, &|number, piece, _| job(number * len, piece));
            }
        }
    }

    /// Cuts `output` into pieces of `len` elements, the last perhaps shorter, and calls `job` with the number and the
    /// elements of each.
    pub fn split<T: Send>(
        &self,
        output: &mut [T],
        len: usize,
        job: &(dyn Fn(usize, &mut [T], &mut Workspace) + Sync),
    ) {
        let len = len.max(1);
        let tasks = output.len().div_ceil(len);
        if tasks == 1 {
            return self.with_workspace(|workspace| job(0, output, workspace));
        }
        let pieces = Mutex::new(output.chunks_mut(len).enumerate());
        self.run(tasks, &|_, workspace| {
            // From either end, so that a thread's pieces are neighbours, and mostly what it wrote for the operator before.
            let mut pieces = pieces.lock().unwrap_or_else(PoisonError::into_inner);
            let piece = match workspace.caller {
                true => pieces.next(),
                false => pieces.next_back(),
            };
            drop(pieces);
            if let Some((number, piece)) = piece {
                job(number, piece, workspace);
            }
        });
    }
}

fn lock(workspace: &Mutex<Workspace>) -> MutexGuard<'_, Workspace> {
    workspace.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Drop for Workers {
    fn drop(&mut self) {
        self.shared.lock().closing = true;
        self.shared.generation.fetch_add(1, Ordering::Release);
        self.shared.wake.notify_all();
        for handle in self.handles.drain(..) {
            // A worker catches panics of tasks, so it ends by returning.
            let _ = handle.join();
        }
    }
}

#[allow(unsafe_code, reason = "see JobPointer")]
fn erased(job: &Job<'_>) -> JobPointer {
    let pointer: *const Job<'_> = job;
    // SAFETY: only the lifetime in the type changes. `Closing` takes the pointer away and waits for whoever uses it before
    // `run`, which borrows the job, returns.
    JobPointer(unsafe { std::mem::transmute::<*const Job<'_>, *const Job<'static>>(pointer) })
}

struct Closing<'a>(&'a Shared);

impl Drop for Closing<'_> {
    fn drop(&mut self) {
        let mut state = self.0.lock();
        state.job = None;
        let began = Instant::now();
        while state.running > 0 {
            if began.elapsed() < LOOK_OUT {
                drop(state);
                std::hint::spin_loop();
                state = self.0.lock();
            } else {
                state.caller_sleeps = true;
                state = self
                    .0
                    .done
                    .wait(state)
                    .unwrap_or_else(PoisonError::into_inner);
                state.caller_sleeps = false;
            }
        }
    }
}

fn worker(shared: &Shared, workspace: &Mutex<Workspace>) {
    let mut seen = 0;
    loop {
        look_out(shared, seen);
        let mut state = shared.lock();
        while shared.generation.load(Ordering::Acquire) == seen && !state.closing {
            state.sleeping += 1;
            state = shared
                .wake
                .wait(state)
                .unwrap_or_else(PoisonError::into_inner);
            state.sleeping -= 1;
        }
        if state.closing {
            return;
        }
        seen = shared.generation.load(Ordering::Acquire);
        let Some((pointer, tasks)) = state.job else {
            continue;
        };
        state.running += 1;
        drop(state);
        #[allow(unsafe_code, reason = "see JobPointer")]
        // SAFETY: `running` was raised under the lock while the job was open: `Closing` waits for this worker.
        let job = unsafe { &*pointer.0 };
        let result = catch_unwind(AssertUnwindSafe(|| {
            shared.work(job, tasks, &mut lock(workspace))
        }));
        let mut state = shared.lock();
        state.panicked |= result.is_err();
        state.running -= 1;
        if state.running == 0 && state.caller_sleeps {
            shared.done.notify_all();
        }
    }
}

/// Waits a moment for a job after number `seen`.
fn look_out(shared: &Shared, seen: usize) {
    let began = Instant::now();
    while shared.generation.load(Ordering::Acquire) == seen && began.elapsed() < LOOK_OUT {
        for _ in 0..8 {
            std::hint::spin_loop();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn started(threads: usize, bytes: usize) -> Workers {
        let mut workers = Workers::new(threads, KernelChoice::default());
        workers.reserve(bytes);
        workers
    }

    #[test]
    fn every_task_runs_once_for_any_number_of_threads() {
        for threads in [1, 2, 3, 8] {
            let workers = started(threads, 64);
            assert_eq!(workers.threads(), threads);
            for tasks in [0, 1, 2, 5, 100] {
                let counts: Vec<AtomicUsize> = (0..tasks).map(|_| AtomicUsize::new(0)).collect();
                workers.run(tasks, &|task, _| {
                    counts[task].fetch_add(1, Ordering::Relaxed);
                });
                assert!(
                    counts
                        .iter()
                        .all(|count| count.load(Ordering::Relaxed) == 1)
                );
            }
        }
    }

    #[test]
    fn pieces_cover_the_output() {
        let workers = started(3, 16);
        for (len, piece) in [(0, 4), (3, 4), (4, 4), (23, 4), (5, 0)] {
            let mut output = vec![0usize; len];
            workers.split(&mut output, piece, &|number, piece_of, workspace| {
                workspace.slice_mut::<u8>().fill(1);
                for (i, element) in piece_of.iter_mut().enumerate() {
                    *element += number * piece.max(1) + i + 1;
                }
            });
            let expected: Vec<usize> = (1..=len).collect();
            assert_eq!(output, expected);
        }
    }

    #[test]
    fn every_thread_has_as_many_pieces() {
        // Of 10 that are worth 3 there are three, which four threads take, two share three as one each, three have one each.
        let expected = [
            (1, 10, 1),
            (2, 10, 2),
            (3, 10, 3),
            (4, 10, 3),
            (2, 2, 1),
            (2, 0, 1),
            (2, 1000, 6),
        ];
        for (threads, work, pieces) in expected {
            assert_eq!(
                started(threads, 1).pieces(work, 3),
                pieces,
                "{threads} threads, {work}"
            );
        }
    }

    #[test]
    fn elements_are_split_where_there_are_many() {
        for (threads, len) in [(1, 100_000), (3, 10), (3, 250_001)] {
            let mut output = vec![0; len];
            started(threads, 1).split_elements(&mut output, 48, &|first, piece| {
                assert_eq!(first % 48, 0);
                for (place, element) in (first..).zip(piece) {
                    *element += place;
                }
            });
            assert!(output.into_iter().eq(0..len), "{threads} threads, {len}");
        }
    }

    #[test]
    fn panic_of_a_task_reaches_the_caller_and_leaves_the_workers_usable() {
        let workers = started(2, 1);
        let result = catch_unwind(AssertUnwindSafe(|| {
            workers.run(64, &|task, _| {
                std::thread::sleep(Duration::from_micros(50));
                assert!(task != 40, "task 40 fails on purpose");
            });
        }));
        assert!(result.is_err());
        let count = AtomicUsize::new(0);
        workers.run(10, &|_, _| {
            count.fetch_add(1, Ordering::Relaxed);
        });
        assert_eq!(count.into_inner(), 10);
    }
}
