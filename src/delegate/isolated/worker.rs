//! The worker's side: it owns libedgetpu, the device's lock and the device, and does what it is asked.

use std::collections::HashMap;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStringExt;
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::time::Duration;

use super::message::{self, Command, Failure, NodeSpec, PROTOCOL, Reply};
use crate::device::{self, DeviceError, DeviceLock};
use crate::ffi::isolation::{
    MAX_OPERANDS, Mailbox, OperandPlace, Request, SharedMemory, Status, exit_now, settle_as_worker,
    take_control_socket, wait_for_hang_up, with_views,
};
use crate::ffi::{
    DelegateOptions, DeviceRecord, EdgeTpu, EdgeTpuLibrary, NodeId, OpenError, SearchPath, Session,
    SessionBuilder,
};

/// Environment variable that makes a program a worker, with the version of the protocol.
pub(super) const WORKER_VARIABLE: &str = "CORALLITE_EDGETPU_WORKER";

/// Blocks of memory of one session: operands copied there, and the arena.
const BLOCKS: usize = 2;

/// How long the worker looks for the next request before it sleeps.
pub(super) const SPIN: Duration = Duration::ZERO;

/// Becomes a worker if this process was started as one, and then never returns.
pub(super) fn become_worker() {
    let Some(version) = std::env::var_os(WORKER_VARIABLE) else {
        return;
    };
    // The variable alone, left in somebody's shell, makes no worker.
    let Some(socket) = take_control_socket() else {
        return;
    };
    settle_as_worker();
    if version.to_str().and_then(|text| text.parse().ok()) != Some(PROTOCOL) {
        let failure = Failure::Protocol {
            reason: format!(
                "the worker is of another version of corallite: it speaks protocol {PROTOCOL}, asked for {}",
                version.display()
            ),
        };
        refuse(&socket, failure);
    }
    serve(socket)
}

/// Says why there will be no worker, and ends.
fn refuse(socket: &UnixStream, failure: Failure) -> ! {
    // An application that is gone needs no answer.
    let _ = message::send(socket, &Reply::Failed(failure).encode(), None);
    exit_now(1)
}

fn serve(socket: UnixStream) -> ! {
    if let Ok(watched) = socket.try_clone() {
        // The kernel ends the worker when the application's thread ends; this is for where it does not.
        std::thread::spawn(move || {
            wait_for_hang_up(&watched);
            exit_now(0)
        });
    }
    let (mailbox, edge_tpu, _lock) = match start(&socket) {
        Ok(started) => started,
        Err(failure) => refuse(&socket, failure),
    };
    let mut worker = Worker {
        edge_tpu: Some(edge_tpu),
        sessions: HashMap::new(),
    };
    let mut last = 0;
    loop {
        let (number, request) = mailbox.wait_for_request(last);
        last = number;
        match request {
            Request::Message => {
                let reply = match receive(&socket) {
                    Ok((command, file)) => worker.execute(command, file),
                    Err(_) => exit_now(0),
                };
                let is_last = matches!(reply, Ok(None));
                let reply = reply.map_or_else(Reply::Failed, |reply| reply.unwrap_or(Reply::Done));
                if message::send(&socket, &reply.encode(), None).is_err() || is_last {
                    exit_now(0);
                }
            }
            Request::Run {
                session,
                node,
                inputs,
                outputs,
            } => match worker.run(&mailbox, session, node as usize, inputs, outputs) {
                Ok(()) => mailbox.answer(number, Status::Done),
                Err(failure) => {
                    let reply = Reply::Failed(failure).encode();
                    if message::send(&socket, &reply, None).is_err() {
                        exit_now(0);
                    }
                    mailbox.answer(number, Status::Failed);
                }
            },
        }
    }
}

fn receive(socket: &UnixStream) -> io::Result<(Command, Option<OwnedFd>)> {
    let (bytes, file) = message::receive(socket)?;
    let command = Command::decode(&bytes).ok_or(io::ErrorKind::InvalidData)?;
    Ok((command, file))
}

/// The first message: mailbox, library, lock, device, in this order.
fn start(socket: &UnixStream) -> Result<(Mailbox, EdgeTpu, DeviceLock), Failure> {
    let protocol = |reason: &str| Failure::Protocol {
        reason: reason.to_owned(),
    };
    let Ok((command, Some(file))) = receive(socket) else {
        return Err(protocol("the first message is not the one expected"));
    };
    let Command::Open {
        libraries,
        device,
        options,
        verbosity,
    } = command
    else {
        return Err(protocol("the first message does not open a device"));
    };
    let mailbox = SharedMemory::map(file)
        .ok()
        .and_then(|memory| Mailbox::map(memory, SPIN))
        .ok_or_else(|| protocol("the mailbox cannot be mapped"))?;
    let options =
        DelegateOptions::parse_list(&options).map_err(|error| protocol(&error.to_string()))?;
    let libraries = libraries
        .into_iter()
        .map(|path| PathBuf::from(std::ffi::OsString::from_vec(path)));
    let library =
        EdgeTpuLibrary::open(&SearchPath::of(libraries)).map_err(|error| Failure::Library {
            reason: error.to_string(),
        })?;
    library.set_level(u8::try_from(verbosity).unwrap_or(u8::MAX));
    let lock = DeviceLock::acquire(&device.path).map_err(|error| match error {
        DeviceError::Busy {
            holder: Some(holder),
            ..
        } => Failure::Busy {
            pid: holder.pid,
            command: holder.command,
        },
        DeviceError::Busy { holder: None, .. } => Failure::Busy {
            pid: 0,
            command: String::new(),
        },
        error => Failure::Lock {
            reason: error.to_string(),
        },
    })?;
    check_permission(&device)?;
    let edge_tpu =
        EdgeTpu::open_talking(library, &device, options).map_err(|error| match error {
            OpenError::Refused { .. } => Failure::NotOpened,
            error => {
                // The application names the device itself.
                let (reason, name) = (error.to_string(), format!("{device} is "));
                let reason = reason.strip_prefix(&name).unwrap_or(&reason).to_owned();
                Failure::NotListed { reason }
            }
        })?;
    let opened = Reply::Opened {
        library: library.version().to_string(),
    };
    if message::send(socket, &opened.encode(), None).is_err() {
        exit_now(0);
    }
    Ok((mailbox, edge_tpu, lock))
}

/// libedgetpu tries for 25 s to open what it may not open, so that is looked at first.
fn check_permission(device: &DeviceRecord) -> Result<(), Failure> {
    let devices = device::list().unwrap_or_default();
    let found = devices.iter().find(|found| found.path == device.path);
    match found {
        Some(found) if !found.access.is_granted() => Err(Failure::NoPermission {
            reason: format!("{}; see the udev rules in docs/devices.md", found.access),
        }),
        _ => Ok(()),
    }
}

/// A model's nodes on the device.
struct Loaded {
    session: Session,
    nodes: Vec<Node>,
    blocks: [Option<SharedMemory>; BLOCKS],
}

struct Node {
    id: NodeId,
    /// Inputs that are state.
    variables: Vec<usize>,
}

struct Worker {
    /// Taken when it is closed.
    edge_tpu: Option<EdgeTpu>,
    sessions: HashMap<u32, Loaded>,
}

impl Worker {
    /// Does what a message says. `None`: it was the last one.
    fn execute(
        &mut self,
        command: Command,
        file: Option<OwnedFd>,
    ) -> Result<Option<Reply>, Failure> {
        let protocol = |reason: &str| Failure::Protocol {
            reason: reason.to_owned(),
        };
        match command {
            Command::Open { .. } => Err(protocol("the device is open already")),
            Command::Prepare { session, nodes } => {
                let memory = file
                    .and_then(|file| SharedMemory::map(file).ok())
                    .ok_or_else(|| protocol("the custom options cannot be mapped"))?;
                let loaded = self.prepare(&nodes, memory.bytes())?;
                let outputs = shapes(&loaded, &nodes);
                self.sessions.insert(session, loaded);
                Ok(Some(Reply::Prepared { outputs }))
            }
            Command::Map { session, block } => {
                let memory = file
                    .and_then(|file| SharedMemory::map(file).ok())
                    .ok_or_else(|| protocol("the memory cannot be mapped"))?;
                let loaded = self
                    .sessions
                    .get_mut(&session)
                    .ok_or_else(|| protocol("no such session"))?;
                let place = loaded
                    .blocks
                    .get_mut(block as usize)
                    .ok_or_else(|| protocol("no such block"))?;
                *place = Some(memory);
                Ok(Some(Reply::Done))
            }
            Command::Forget { session } => {
                self.sessions.remove(&session);
                Ok(Some(Reply::Done))
            }
            Command::Close => {
                self.sessions.clear();
                self.edge_tpu = None;
                Ok(None)
            }
        }
    }

    fn prepare(&self, nodes: &[NodeSpec], options: &[u8]) -> Result<Loaded, Failure> {
        let refused = |error: crate::ffi::HostError| Failure::Refused {
            reason: error.to_string(),
        };
        let Some(edge_tpu) = &self.edge_tpu else {
            return Err(Failure::NotOpened);
        };
        let mut builder = SessionBuilder::new(edge_tpu.clone());
        let mut added = Vec::new();
        for node in nodes {
            let start = usize::try_from(node.options.0).ok();
            let end = node.options.0.checked_add(node.options.1);
            let range = start.zip(end.and_then(|end| usize::try_from(end).ok()));
            let options = range.and_then(|(start, end)| options.get(start..end));
            let options = options.ok_or_else(|| Failure::Protocol {
                reason: "custom options outside their memory".to_owned(),
            })?;
            let id = builder
                .add_node(options, &node.inputs, &node.outputs)
                .map_err(refused)?;
            let variables = node.inputs.iter().enumerate();
            let variables = variables
                .filter(|(_, input)| input.is_variable)
                .map(|(place, _)| place)
                .collect();
            added.push(Node { id, variables });
        }
        Ok(Loaded {
            session: builder.prepare().map_err(refused)?,
            nodes: added,
            blocks: [const { None }; BLOCKS],
        })
    }

    fn run(
        &mut self,
        mailbox: &Mailbox,
        session: u32,
        node: usize,
        inputs: usize,
        outputs: usize,
    ) -> Result<(), Failure> {
        let protocol = |reason: &str| Failure::Protocol {
            reason: reason.to_owned(),
        };
        let loaded = self.sessions.get_mut(&session);
        let loaded = loaded.ok_or_else(|| protocol("no such session"))?;
        let node = loaded
            .nodes
            .get(node)
            .ok_or_else(|| protocol("no such node"))?;
        let place = |place: OperandPlace| {
            let start = usize::try_from(place.offset).unwrap_or(usize::MAX);
            let len = usize::try_from(place.len).unwrap_or(usize::MAX);
            (place.block as usize, start..start.saturating_add(len))
        };
        let input = |number| place(mailbox.input(number));
        let session = &mut loaded.session;
        let result = with_views::<_, MAX_OPERANDS>(
            &mut loaded.blocks,
            (0..inputs).map(input),
            (0..outputs).map(|number| place(mailbox.output(number))),
            |inputs, outputs, count| {
                for &variable in &node.variables {
                    let state = session.variable_mut(node.id, variable)?;
                    let kept = inputs
                        .get(variable)
                        .and_then(|kept| kept.get(..state.len()));
                    if let Some(kept) = kept {
                        state.copy_from_slice(kept);
                    }
                }
                session.invoke(
                    node.id,
                    inputs.iter().copied(),
                    outputs.into_iter().take(count),
                )
            },
        );
        match result {
            Some(Ok(())) => {}
            Some(Err(error)) => {
                return Err(Failure::Refused {
                    reason: error.to_string(),
                });
            }
            None => return Err(protocol("an operand outside its memory")),
        }
        for &variable in &node.variables {
            let (block, range) = input(variable);
            let kept = loaded.blocks.get_mut(block).and_then(Option::as_mut);
            let kept = kept.and_then(|kept| kept.bytes_mut().get_mut(range));
            if let (Some(kept), Ok(state)) = (kept, session.variable_mut(node.id, variable)) {
                kept.copy_from_slice(state);
            }
        }
        Ok(())
    }
}

fn shapes(loaded: &Loaded, nodes: &[NodeSpec]) -> Vec<Vec<crate::tensor::Shape>> {
    let pairs = loaded.nodes.iter().zip(nodes);
    pairs
        .map(|(node, spec)| {
            let outputs = spec.outputs.iter().enumerate();
            outputs
                .map(|(place, declared)| {
                    let shape = loaded.session.output_shape(node.id, place);
                    shape.unwrap_or(declared.shape)
                })
                .collect()
        })
        .collect()
}
