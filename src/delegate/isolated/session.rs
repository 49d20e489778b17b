//! A model's nodes on a device in a worker process.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use super::edge_tpu::{Shared, Turn};
use super::error::IsolationError;
use super::message::{Command, Failure, NodeSpec, Reply};
use crate::delegate::ArenaMemory;
use crate::ffi::TensorSpec;
use crate::ffi::host::fill_with_zero_point;
use crate::ffi::isolation::{MAX_OPERANDS, OperandPlace, Request, SharedHandle, SharedMemory};
use crate::tensor::Shape;

/// Block of operands that lie in no arena.
const OPERANDS: u32 = 0;
/// Block of the interpreter's arena.
const ARENA: u32 = 1;

/// Operands lie at multiples of this, so that nothing that is written follows directly behind something that is read.
const ALIGNMENT: usize = 64;

/// A node to prepare.
pub(in crate::delegate) struct NodeRecipe<'a> {
    pub(in crate::delegate) options: &'a [u8],
    pub(in crate::delegate) inputs: Vec<TensorSpec>,
    pub(in crate::delegate) outputs: Vec<TensorSpec>,
}

/// Nodes that are ready to run, in whatever worker there is.
#[derive(Debug)]
pub(in crate::delegate) struct IsolatedSession {
    shared: Arc<Shared>,
    id: u32,
    /// Custom options of all nodes; a new worker gets them again.
    options: SharedMemory,
    prepare: Command,
    nodes: Vec<Node>,
    operands: Mutex<SharedMemory>,
    operands_handle: SharedHandle,
    arena: OnceLock<SharedHandle>,
    /// The slowest inference so far, in nanoseconds.
    slowest: AtomicU64,
    /// Time allowed for sending the model to the device.
    allowance: Duration,
}

#[derive(Debug)]
struct Node {
    inputs: Vec<Slot>,
    outputs: Vec<Slot>,
    shapes: Vec<Shape>,
}

/// Where an operand lies if it is in no arena.
#[derive(Debug)]
struct Slot {
    offset: usize,
    len: usize,
    /// The input is state: these bytes are the ones that count.
    state: Option<TensorSpec>,
}

impl IsolatedSession {
    pub(super) fn new(
        shared: Arc<Shared>,
        id: u32,
        nodes: &[NodeRecipe<'_>],
    ) -> Result<Self, IsolationError> {
        let mut options_len = 0_usize;
        let mut specs = Vec::with_capacity(nodes.len());
        for node in nodes {
            let (start, len) = (options_len, node.options.len());
            options_len = start.saturating_add(len);
            specs.push(NodeSpec {
                options: (start as u64, len as u64),
                inputs: node.inputs.clone(),
                outputs: node.outputs.clone(),
            });
        }
        let mut options = memory(options_len)?;
        let mut rest = options.bytes_mut();
        for node in nodes {
            let (to, tail) = rest.split_at_mut(node.options.len());
            to.copy_from_slice(node.options);
            rest = tail;
        }
        let prepare = Command::Prepare {
            session: id,
            nodes: specs,
        };

        let mut turn = shared.turn();
        let shapes = prepared(&shared, &mut turn, &prepare, &options.handle())?;
        let mut end = 0_usize;
        let mut slot = |spec: &TensorSpec, shape: Shape| {
            let mut spec = spec.clone();
            spec.shape = shape;
            let (offset, len) = (end, spec.byte_count().unwrap_or(0));
            end = end.saturating_add(len).next_multiple_of(ALIGNMENT);
            Slot {
                offset,
                len,
                state: spec.is_variable.then_some(spec),
            }
        };
        let laid_out: Vec<Node> = nodes
            .iter()
            .zip(shapes)
            .map(|(node, shapes)| Node {
                inputs: node
                    .inputs
                    .iter()
                    .map(|spec| slot(spec, spec.shape))
                    .collect(),
                outputs: node
                    .outputs
                    .iter()
                    .zip(&shapes)
                    .map(|(spec, shape)| slot(spec, *shape))
                    .collect(),
                shapes,
            })
            .collect();
        let operands = memory(end)?;
        let operands_handle = operands.handle();
        let mebibytes = u32::try_from(options_len >> 20).unwrap_or(u32::MAX);
        let session = Self {
            id,
            options,
            prepare,
            nodes: laid_out,
            operands: Mutex::new(operands),
            operands_handle,
            arena: OnceLock::new(),
            slowest: AtomicU64::new(0),
            allowance: shared
                .settings
                .deadlines
                .per_mebibyte
                .saturating_mul(mebibytes.saturating_add(1)),
            shared: Arc::clone(&shared),
        };
        session.reset();
        session.map(&mut turn, OPERANDS, &session.operands_handle)?;
        if let Some(running) = &mut turn.worker {
            running.sessions.push((id, None));
        }
        drop(turn);
        Ok(session)
    }

    /// Shape of each output of a node, with the batch of its inputs.
    pub(in crate::delegate) fn output_shapes(&self, node: usize) -> &[Shape] {
        self.nodes.get(node).map_or(&[], |node| &node.shapes)
    }

    /// Memory for the arena of the interpreter whose nodes these are. Operands in it are not copied.
    pub(in crate::delegate) fn arena(&self, bytes: usize) -> Option<SharedArena> {
        // Without it operands are copied, nothing else.
        let memory = memory(bytes).ok()?;
        self.arena.set(memory.handle()).ok()?;
        Some(SharedArena { memory })
    }

    /// Sets all state back to its zero points.
    pub(in crate::delegate) fn reset(&self) {
        let mut operands = self.operands();
        for slot in self.nodes.iter().flat_map(|node| &node.inputs) {
            let bytes = operands
                .bytes_mut()
                .get_mut(slot.offset..slot.offset + slot.len);
            if let (Some(state), Some(bytes)) = (&slot.state, bytes) {
                fill_with_zero_point(bytes, state.ty, state.zero_point);
            }
        }
    }

    /// Runs one inference. Allocates nothing unless it fails or a new worker has to be started.
    pub(in crate::delegate) fn invoke<'a>(
        &self,
        node: usize,
        inputs: impl IntoIterator<Item = &'a [u8]>,
        outputs: impl IntoIterator<Item = &'a mut [u8]>,
    ) -> Result<(), IsolationError> {
        let mut turn = self.shared.turn();
        self.make_known(&mut turn)?;
        let plan = self.nodes.get(node).ok_or_else(|| no_such("node", node))?;
        let running = self.shared.ready(&mut turn)?;
        let mailbox = running.process.mailbox();
        let arena = self.arena.get();
        let mut operands = self.operands();
        let in_arena = |bytes: &[u8]| {
            let offset = arena.and_then(|arena| arena.offset_of(bytes))?;
            Some(OperandPlace {
                block: ARENA,
                offset: offset as u64,
                len: bytes.len() as u64,
            })
        };
        let in_slot = |slot: &Slot| OperandPlace {
            block: OPERANDS,
            offset: slot.offset as u64,
            len: slot.len as u64,
        };

        let mut input_count = 0;
        for bytes in inputs {
            let slot = plan.inputs.get(input_count);
            let slot = slot.ok_or_else(|| no_such("input", input_count))?;
            let place = match in_arena(bytes) {
                Some(place) if slot.state.is_none() => place,
                _ => {
                    let copy = operands
                        .bytes_mut()
                        .get_mut(slot.offset..slot.offset + slot.len);
                    match copy.filter(|copy| copy.len() == bytes.len()) {
                        Some(copy) if slot.state.is_none() => copy.copy_from_slice(bytes),
                        Some(_) => {}
                        None => return Err(no_such("input of this length", bytes.len())),
                    }
                    in_slot(slot)
                }
            };
            mailbox.set_input(input_count, place);
            input_count += 1;
        }
        let mut copied: [Option<&mut [u8]>; MAX_OPERANDS] = [const { None }; MAX_OPERANDS];
        let mut output_count = 0;
        for bytes in outputs {
            let slot = plan.outputs.get(output_count);
            let slot = slot.ok_or_else(|| no_such("output", output_count))?;
            let place = match in_arena(bytes) {
                Some(place) => place,
                None => {
                    if let Some(copy) = copied.get_mut(output_count) {
                        *copy = Some(bytes);
                    }
                    in_slot(slot)
                }
            };
            mailbox.set_output(output_count, place);
            output_count += 1;
        }

        let limit = self.limit();
        let start = Instant::now();
        let request = Request::Run {
            session: self.id,
            node: node as u32,
            inputs: input_count,
            outputs: output_count,
        };
        match running.process.run(request, limit) {
            Ok(None) => {}
            Ok(Some(Reply::Failed(failure))) => {
                turn.succeed();
                return Err(self.shared.refused(failure));
            }
            Ok(Some(_)) => {
                let silence = super::process::Silence::Dead;
                return Err(self.shared.lose(&mut turn, silence, "", limit));
            }
            Err(silence) => return Err(self.shared.lose(&mut turn, silence, "", limit)),
        }
        turn.succeed();
        let nanoseconds = u64::try_from(start.elapsed().as_nanos()).unwrap_or(u64::MAX);
        self.slowest.fetch_max(nanoseconds, Ordering::Relaxed);
        for (bytes, slot) in copied.into_iter().zip(&plan.outputs) {
            let result = operands.bytes().get(slot.offset..slot.offset + slot.len);
            if let (Some(bytes), Some(result)) = (bytes, result)
                && bytes.len() == result.len()
            {
                bytes.copy_from_slice(result);
            }
        }
        Ok(())
    }

    fn operands(&self) -> std::sync::MutexGuard<'_, SharedMemory> {
        self.operands.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How long an inference may take now.
    fn limit(&self) -> Duration {
        let deadlines = &self.shared.settings.deadlines;
        let slowest = Duration::from_nanos(self.slowest.load(Ordering::Relaxed));
        deadlines
            .inference
            .max(slowest.saturating_mul(deadlines.times_slowest))
            .saturating_add(self.allowance)
    }

    /// Sees to it that the worker has prepared the nodes and mapped their memory. A new worker has not.
    fn make_known(&self, turn: &mut Turn) -> Result<(), IsolationError> {
        let running = self.shared.ready(turn)?;
        let known = running.sessions.iter().find(|(id, _)| *id == self.id);
        let has_arena = known.map(|(_, mapped)| match (mapped, self.arena.get()) {
            (_, None) => true,
            (None, Some(_)) => false,
            (Some(mapped), Some(arena)) => mapped.is_same(arena),
        });
        if has_arena == Some(true) {
            return Ok(());
        }
        if has_arena.is_none() {
            let shapes = prepared(&self.shared, turn, &self.prepare, &self.options.handle())?;
            if !shapes.iter().eq(self.nodes.iter().map(|node| &node.shapes)) {
                return Err(IsolationError::Refused {
                    reason: "libedgetpu gives the outputs another shape than before".to_owned(),
                });
            }
            self.map(turn, OPERANDS, &self.operands_handle)?;
            if let Some(running) = &mut turn.worker {
                running.sessions.push((self.id, None));
            }
        }
        let Some(arena) = self.arena.get() else {
            return Ok(());
        };
        self.map(turn, ARENA, arena)?;
        let sessions = turn
            .worker
            .iter_mut()
            .flat_map(|running| &mut running.sessions);
        for (_, mapped) in sessions.filter(|(id, _)| *id == self.id) {
            *mapped = Some(arena.clone());
        }
        Ok(())
    }

    fn map(
        &self,
        turn: &mut Turn,
        block: u32,
        memory: &SharedHandle,
    ) -> Result<(), IsolationError> {
        let command = Command::Map {
            session: self.id,
            block,
        };
        let what = "sharing memory";
        self.shared.ask(turn, &command, Some(memory), what)?;
        Ok(())
    }
}

impl Drop for IsolatedSession {
    fn drop(&mut self) {
        let mut turn = self.shared.turn();
        let running = turn.worker.as_mut();
        let Some(running) = running.filter(|running| !running.process.has_ended()) else {
            return;
        };
        let before = running.sessions.len();
        running.sessions.retain(|(id, _)| *id != self.id);
        if running.sessions.len() == before {
            return;
        }
        let command = Command::Forget { session: self.id };
        let what = "freeing a model";
        if let Err(error) = self.shared.ask(&mut turn, &command, None, what) {
            log::warn!("{error}");
        }
    }
}

/// Prepares nodes in the worker. The shape of each output of each node.
fn prepared(
    shared: &Shared,
    turn: &mut Turn,
    command: &Command,
    options: &SharedHandle,
) -> Result<Vec<Vec<Shape>>, IsolationError> {
    match shared.ask(turn, command, Some(options), "preparing a model")? {
        Reply::Prepared { outputs } => Ok(outputs),
        _ => Err(shared.refused(Failure::Protocol {
            reason: "the worker did not prepare the model".to_owned(),
        })),
    }
}

fn memory(bytes: usize) -> Result<SharedMemory, IsolationError> {
    SharedMemory::new(bytes).map_err(|source| IsolationError::Memory { bytes, source })
}

fn no_such(what: &str, number: usize) -> IsolationError {
    IsolationError::Refused {
        reason: format!("no {what} {number} in the session"),
    }
}

/// An interpreter's arena in memory that the worker maps too.
#[derive(Debug)]
pub(in crate::delegate) struct SharedArena {
    memory: SharedMemory,
}

impl ArenaMemory for SharedArena {
    fn bytes(&self) -> &[u8] {
        self.memory.bytes()
    }

    fn bytes_mut(&mut self) -> &mut [u8] {
        self.memory.bytes_mut()
    }
}
