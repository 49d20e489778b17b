//! One request at a time from one process to another, through a page that both map.
//!
//! The sender fills in the fields, then counts `request` up; the receiver works and sets `reply` to the same number. Each
//! word is a futex: whoever waits looks at it for a few microseconds, then sleeps, and says so, because waking somebody
//! who is awake costs a system call.
#![allow(unsafe_code, reason = "views shared memory as atomic numbers")]

use std::io;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use super::futex;
use super::memory::{SharedHandle, SharedMemory};

/// Most inputs and most outputs of one request.
pub(crate) const MAX_OPERANDS: usize = 16;

/// `reply` once the other process is gone.
const DEAD: u32 = u32::MAX;

/// Where an operand lies: block of memory, first byte, length in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct OperandPlace {
    pub(crate) block: u32,
    pub(crate) offset: u64,
    pub(crate) len: u64,
}

/// An operand in the page. Numbers have one width on every machine: the processes may differ in theirs.
#[repr(C)]
struct Slot {
    offset: AtomicU64,
    len: AtomicU64,
    block: AtomicU32,
    padding: AtomicU32,
}

impl Slot {
    fn set(&self, place: OperandPlace) {
        self.block.store(place.block, Ordering::Relaxed);
        self.offset.store(place.offset, Ordering::Relaxed);
        self.len.store(place.len, Ordering::Relaxed);
    }

    fn get(&self) -> OperandPlace {
        OperandPlace {
            block: self.block.load(Ordering::Relaxed),
            offset: self.offset.load(Ordering::Relaxed),
            len: self.len.load(Ordering::Relaxed),
        }
    }
}

#[repr(C)]
struct Page {
    request: AtomicU32,
    /// The receiver sleeps on `request`.
    receiver_sleeps: AtomicU32,
    /// 0: a message waits on the socket. 1: run a node.
    kind: AtomicU32,
    session: AtomicU32,
    node: AtomicU32,
    input_count: AtomicU32,
    output_count: AtomicU32,
    status: AtomicU32,
    inputs: [Slot; MAX_OPERANDS],
    outputs: [Slot; MAX_OPERANDS],
    /// On a cache line of its own: the sender looks at it while the receiver reads the rest.
    gap: [AtomicU64; 8],
    reply: AtomicU32,
    /// The sender sleeps on `reply`.
    sender_sleeps: AtomicU32,
}

const _: () = assert!(size_of::<Page>() == 32 + 2 * MAX_OPERANDS * 24 + 64 + 8);

/// What the other process is asked to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Request {
    /// Read a message from the socket.
    Message,
    /// Run a node; its operands are in the mailbox.
    Run {
        session: u32,
        node: u32,
        inputs: usize,
        outputs: usize,
    },
}

/// How a request ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Status {
    Done,
    /// The reason comes over the socket.
    Failed,
}

/// What became of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Answer {
    Status(Status),
    /// The other process is gone.
    Dead,
    /// No answer within the time.
    Late,
}

/// The page, from either side.
#[derive(Debug)]
pub(crate) struct Mailbox {
    memory: SharedMemory,
    /// How long a waiter looks at the word before it sleeps.
    spin: Duration,
}

impl Mailbox {
    /// An empty one.
    pub(crate) fn new(spin: Duration) -> io::Result<Self> {
        let memory = SharedMemory::new(size_of::<Page>())?;
        Ok(Self { memory, spin })
    }

    /// The other side of one that came from another process.
    pub(crate) fn map(memory: SharedMemory, spin: Duration) -> Option<Self> {
        (memory.len() >= size_of::<Page>()).then_some(Self { memory, spin })
    }

    /// The memory, to hand it to another process.
    pub(crate) fn handle(&self) -> SharedHandle {
        self.memory.handle()
    }

    fn page(&self) -> &Page {
        let page: *const Page = self.memory.start().as_ptr().cast_const().cast();
        // SAFETY: the memory starts on a page and is long enough, as both constructors see to; every bit pattern is a
        // valid Page; all access goes through atomics.
        unsafe { &*page }
    }

    /// Says where an input of the next request lies.
    pub(crate) fn set_input(&self, number: usize, place: OperandPlace) {
        if let Some(slot) = self.page().inputs.get(number) {
            slot.set(place);
        }
    }

    /// Says where an output of the next request lies.
    pub(crate) fn set_output(&self, number: usize, place: OperandPlace) {
        if let Some(slot) = self.page().outputs.get(number) {
            slot.set(place);
        }
    }

    /// Where an input of the request lies.
    pub(crate) fn input(&self, number: usize) -> OperandPlace {
        self.page()
            .inputs
            .get(number)
            .map_or(OperandPlace::default(), Slot::get)
    }

    /// Where an output of the request lies.
    pub(crate) fn output(&self, number: usize) -> OperandPlace {
        self.page()
            .outputs
            .get(number)
            .map_or(OperandPlace::default(), Slot::get)
    }

    /// Sends a request; its number is for [`wait_for_answer`](Self::wait_for_answer).
    pub(crate) fn post(&self, request: Request) -> u32 {
        let page = self.page();
        match request {
            Request::Message => page.kind.store(0, Ordering::Relaxed),
            Request::Run {
                session,
                node,
                inputs,
                outputs,
            } => {
                page.kind.store(1, Ordering::Relaxed);
                page.session.store(session, Ordering::Relaxed);
                page.node.store(node, Ordering::Relaxed);
                page.input_count.store(inputs as u32, Ordering::Relaxed);
                page.output_count.store(outputs as u32, Ordering::Relaxed);
            }
        }
        let number = match page.request.load(Ordering::Relaxed).wrapping_add(1) {
            DEAD => 0,
            number => number,
        };
        announce(&page.request, number, &page.receiver_sleeps);
        number
    }

    /// Waits for the answer to request `number`.
    pub(crate) fn wait_for_answer(&self, number: u32, limit: Duration) -> Answer {
        let page = self.page();
        let arrived = |reply: u32| reply == number || reply == DEAD;
        let reply = await_word(
            &page.reply,
            &page.sender_sleeps,
            self.spin,
            Some(limit),
            arrived,
        );
        match reply {
            Some(DEAD) => Answer::Dead,
            Some(_) => Answer::Status(if page.status.load(Ordering::Relaxed) == 0 {
                Status::Done
            } else {
                Status::Failed
            }),
            None => Answer::Late,
        }
    }

    /// Tells whoever waits for an answer that none will come.
    pub(crate) fn declare_dead(&self) {
        let page = self.page();
        page.reply.store(DEAD, Ordering::SeqCst);
        futex::wake(&page.reply);
    }

    /// Waits for a request after number `last`.
    pub(crate) fn wait_for_request(&self, last: u32) -> (u32, Request) {
        let page = self.page();
        let arrived = |number: u32| number != last;
        let number = await_word(
            &page.request,
            &page.receiver_sleeps,
            self.spin,
            None,
            arrived,
        );
        let request = if page.kind.load(Ordering::Relaxed) == 0 {
            Request::Message
        } else {
            let count =
                |word: &AtomicU32| (word.load(Ordering::Relaxed) as usize).min(MAX_OPERANDS);
            Request::Run {
                session: page.session.load(Ordering::Relaxed),
                node: page.node.load(Ordering::Relaxed),
                inputs: count(&page.input_count),
                outputs: count(&page.output_count),
            }
        };
        (number.unwrap_or(last), request)
    }

    /// Answers request `number`.
    pub(crate) fn answer(&self, number: u32, status: Status) {
        let page = self.page();
        page.status
            .store(u32::from(status == Status::Failed), Ordering::Relaxed);
        announce(&page.reply, number, &page.sender_sleeps);
    }
}

/// Sets a word and wakes who sleeps on it. The two sequentially consistent operations on either side see to it that the
/// sleeper sees the word or is seen sleeping.
fn announce(word: &AtomicU32, value: u32, sleeps: &AtomicU32) {
    word.store(value, Ordering::SeqCst);
    if sleeps.load(Ordering::SeqCst) != 0 {
        futex::wake(word);
    }
}

/// Waits until `arrived` is true of the word; `None` after `limit`.
fn await_word(
    word: &AtomicU32,
    sleeps: &AtomicU32,
    spin: Duration,
    limit: Option<Duration>,
    arrived: impl Fn(u32) -> bool,
) -> Option<u32> {
    let start = Instant::now();
    loop {
        let value = word.load(Ordering::Acquire);
        if arrived(value) {
            return Some(value);
        }
        if start.elapsed() >= spin {
            break;
        }
        std::hint::spin_loop();
    }
    sleeps.store(1, Ordering::SeqCst);
    let result = loop {
        let value = word.load(Ordering::SeqCst);
        if arrived(value) {
            break Some(value);
        }
        let left = match limit.map(|limit| limit.checked_sub(start.elapsed())) {
            Some(None) => break None,
            Some(left) => left,
            None => None,
        };
        futex::wait(word, value, left);
    };
    sleeps.store(0, Ordering::SeqCst);
    result
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pair(spin: Duration) -> (Mailbox, Mailbox) {
        let sender = Mailbox::new(spin).expect("memory");
        let file = sender
            .handle()
            .file()
            .try_clone_to_owned()
            .expect("a descriptor");
        let memory = SharedMemory::map(file).expect("a mapping");
        (sender, Mailbox::map(memory, spin).expect("long enough"))
    }

    #[test]
    fn requests_arrive_in_order_with_their_operands_and_answers_come_back() {
        for spin in [Duration::ZERO, Duration::from_micros(20)] {
            let (sender, receiver) = pair(spin);
            let worker = std::thread::spawn(move || {
                let mut last = 0;
                for round in 0..200 {
                    let (number, request) = receiver.wait_for_request(last);
                    last = number;
                    let expected = Request::Run {
                        session: 1,
                        node: round,
                        inputs: 1,
                        outputs: 2,
                    };
                    assert_eq!(request, expected);
                    assert_eq!(receiver.input(0).offset, u64::from(round));
                    assert_eq!(receiver.output(1).len, u64::from(round) * 3);
                    let status = if round % 2 == 0 {
                        Status::Done
                    } else {
                        Status::Failed
                    };
                    receiver.answer(number, status);
                }
            });
            for round in 0..200_u32 {
                let place = OperandPlace {
                    block: 0,
                    offset: u64::from(round),
                    len: u64::from(round) * 3,
                };
                sender.set_input(0, place);
                sender.set_output(1, place);
                let number = sender.post(Request::Run {
                    session: 1,
                    node: round,
                    inputs: 1,
                    outputs: 2,
                });
                let status = if round % 2 == 0 {
                    Status::Done
                } else {
                    Status::Failed
                };
                assert_eq!(
                    sender.wait_for_answer(number, Duration::from_secs(60)),
                    Answer::Status(status)
                );
            }
            worker.join().expect("the worker saw what was sent");
        }
    }

    #[test]
    fn silence_is_late_and_death_ends_the_wait() {
        let (sender, _receiver) = pair(Duration::ZERO);
        let number = sender.post(Request::Message);
        assert_eq!(
            sender.wait_for_answer(number, Duration::from_millis(5)),
            Answer::Late
        );
        std::thread::scope(|scope| {
            scope.spawn(|| sender.declare_dead());
            assert_eq!(
                sender.wait_for_answer(number, Duration::from_secs(60)),
                Answer::Dead
            );
        });
    }
}
