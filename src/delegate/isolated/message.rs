//! What the application's process and its worker say to each other over the socket.
//!
//! Numbers are little-endian and have one width, so that a program of one machine word can have a worker of another. A
//! message is its length in 32 bits, then its bytes; a descriptor may travel with it.

use std::io;
use std::os::fd::{BorrowedFd, OwnedFd};
use std::os::unix::net::UnixStream;

use crate::ffi::isolation;
use crate::ffi::{DeviceKind, DeviceRecord, TensorSpec};
use crate::tensor::{Shape, TensorType};

/// Counted up when a message or the mailbox changes.
pub(super) const PROTOCOL: u32 = 1;

/// Messages hold descriptions of tensors and texts, never data; a longer one is none of ours.
const MAX_MESSAGE: usize = 16 << 20;

/// From the application to its worker.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Command {
    /// First of all, with the mailbox's memory: load libedgetpu from the first of `libraries`, lock and open the device.
    Open {
        libraries: Vec<Vec<u8>>,
        device: DeviceRecord,
        /// As `DelegateOptions` writes and reads them.
        options: String,
        verbosity: u32,
    },
    /// Prepare the nodes of a model. Comes with the memory that holds their custom options.
    Prepare { session: u32, nodes: Vec<NodeSpec> },
    /// Comes with memory in which operands of the session will lie.
    Map { session: u32, block: u32 },
    /// The session is not needed any more.
    Forget { session: u32 },
    /// Close the device and end.
    Close,
}

/// A node: where its custom options lie, and its tensors.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct NodeSpec {
    pub(super) options: (u64, u64),
    pub(super) inputs: Vec<TensorSpec>,
    pub(super) outputs: Vec<TensorSpec>,
}

/// From the worker to the application.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Reply {
    Done,
    /// libedgetpu's version, once the device is open.
    Opened {
        library: String,
    },
    /// The shape of each output of each node.
    Prepared {
        outputs: Vec<Vec<Shape>>,
    },
    Failed(Failure),
}

/// What a worker could not do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Failure {
    /// libedgetpu does not load.
    Library { reason: String },
    /// Another process has the device: its id, 0 if unknown, and its command.
    Busy { pid: u32, command: String },
    /// The lock of the device could not be asked for.
    Lock { reason: String },
    /// The device is not plugged in.
    NotListed { reason: String },
    /// This user may not open it.
    NoPermission { reason: String },
    /// libedgetpu gave no delegate; its words are on stderr.
    NotOpened,
    /// libedgetpu or its host refused a model or an inference.
    Refused { reason: String },
    /// The worker did not understand.
    Protocol { reason: String },
}

/// Sends one message.
pub(super) fn send(
    socket: &UnixStream,
    body: &[u8],
    file: Option<BorrowedFd<'_>>,
) -> io::Result<()> {
    let len = u32::try_from(body.len()).map_err(|_| io::ErrorKind::InvalidInput)?;
    let mut bytes = len.to_le_bytes().to_vec();
    bytes.extend_from_slice(body);
    isolation::send(socket, &bytes, file)
}

/// Receives one message. The end of the stream is an error of kind `UnexpectedEof`.
pub(super) fn receive(socket: &UnixStream) -> io::Result<(Vec<u8>, Option<OwnedFd>)> {
    let mut file = None;
    let mut header = [0; 4];
    fill(socket, &mut header, &mut file)?;
    let len = u32::from_le_bytes(header) as usize;
    if len > MAX_MESSAGE {
        return Err(io::ErrorKind::InvalidData.into());
    }
    let mut body = vec![0; len];
    fill(socket, &mut body, &mut file)?;
    Ok((body, file))
}

fn fill(socket: &UnixStream, mut bytes: &mut [u8], file: &mut Option<OwnedFd>) -> io::Result<()> {
    while !bytes.is_empty() {
        let (count, found) = isolation::receive(socket, bytes)?;
        if count == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        *file = found.or(file.take());
        bytes = bytes.get_mut(count..).unwrap_or_default();
    }
    Ok(())
}

impl Command {
    pub(super) fn encode(&self) -> Vec<u8> {
        let mut to = Writer::default();
        match self {
            Self::Open {
                libraries,
                device,
                options,
                verbosity,
            } => {
                to.number(0).list(libraries, |to, path| to.bytes(path));
                let kind = device.kind.code() as u32;
                to.number(kind).text(&device.path);
                to.text(options).number(*verbosity);
            }
            Self::Prepare { session, nodes } => {
                to.number(1).number(*session);
                to.list(nodes, |to, node| {
                    to.long(node.options.0).long(node.options.1);
                    to.list(&node.inputs, tensor).list(&node.outputs, tensor);
                });
            }
            Self::Map { session, block } => {
                to.number(2).number(*session).number(*block);
            }
            Self::Forget { session } => {
                to.number(3).number(*session);
            }
            Self::Close => {
                to.number(4);
            }
        }
        to.0
    }

    pub(super) fn decode(bytes: &[u8]) -> Option<Self> {
        let mut from = Reader(bytes);
        let command = match from.number()? {
            0 => Self::Open {
                libraries: from.list(|from| from.bytes().map(<[u8]>::to_vec))?,
                device: DeviceRecord {
                    kind: match from.number()? {
                        0 => DeviceKind::Pci,
                        1 => DeviceKind::Usb,
                        _ => return None,
                    },
                    path: from.text()?,
                },
                options: from.text()?,
                verbosity: from.number()?,
            },
            1 => Self::Prepare {
                session: from.number()?,
                nodes: from.list(|from| {
                    Some(NodeSpec {
                        options: (from.long()?, from.long()?),
                        inputs: from.list(read_tensor)?,
                        outputs: from.list(read_tensor)?,
                    })
                })?,
            },
            2 => Self::Map {
                session: from.number()?,
                block: from.number()?,
            },
            3 => Self::Forget {
                session: from.number()?,
            },
            4 => Self::Close,
            _ => return None,
        };
        from.0.is_empty().then_some(command)
    }
}

impl Reply {
    pub(super) fn encode(&self) -> Vec<u8> {
        let mut to = Writer::default();
        match self {
            Self::Done => {
                to.number(0);
            }
            Self::Opened { library } => {
                to.number(1).text(library);
            }
            Self::Prepared { outputs } => {
                to.number(2).list(outputs, |to, shapes| {
                    to.list(shapes, |to, shape| write_shape(to, *shape));
                });
            }
            Self::Failed(failure) => {
                let (kind, pid, text) = match failure {
                    Failure::Library { reason } => (0, 0, reason.as_str()),
                    Failure::Busy { pid, command } => (1, *pid, command.as_str()),
                    Failure::Lock { reason } => (2, 0, reason.as_str()),
                    Failure::NotListed { reason } => (3, 0, reason.as_str()),
                    Failure::NoPermission { reason } => (4, 0, reason.as_str()),
                    Failure::NotOpened => (5, 0, ""),
                    Failure::Refused { reason } => (6, 0, reason.as_str()),
                    Failure::Protocol { reason } => (7, 0, reason.as_str()),
                };
                to.number(3).number(kind).number(pid).text(text);
            }
        }
        to.0
    }

    pub(super) fn decode(bytes: &[u8]) -> Option<Self> {
        let mut from = Reader(bytes);
        let reply = match from.number()? {
            0 => Self::Done,
            1 => Self::Opened {
                library: from.text()?,
            },
            2 => Self::Prepared {
                outputs: from.list(|from| from.list(read_shape))?,
            },
            3 => {
                let (kind, pid, reason) = (from.number()?, from.number()?, from.text()?);
                Self::Failed(match kind {
                    0 => Failure::Library { reason },
                    1 => Failure::Busy {
                        pid,
                        command: reason,
                    },
                    2 => Failure::Lock { reason },
                    3 => Failure::NotListed { reason },
                    4 => Failure::NoPermission { reason },
                    5 => Failure::NotOpened,
                    6 => Failure::Refused { reason },
                    7 => Failure::Protocol { reason },
                    _ => return None,
                })
            }
            _ => return None,
        };
        from.0.is_empty().then_some(reply)
    }
}

/// Types that libedgetpu takes, in the order of their numbers in messages.
const TYPES: [TensorType; 6] = [
    TensorType::UInt8,
    TensorType::Int8,
    TensorType::Int16,
    TensorType::Int32,
    TensorType::Float16,
    TensorType::Float32,
];

fn tensor(to: &mut Writer, spec: &TensorSpec) {
    let ty = TYPES.iter().position(|ty| *ty == spec.ty);
    to.number(ty.map_or(u32::MAX, |ty| ty as u32));
    write_shape(to, spec.shape);
    to.number(spec.scale.to_bits())
        .number(spec.zero_point.cast_unsigned())
        .number(u32::from(spec.is_variable));
}

fn read_tensor(from: &mut Reader<'_>) -> Option<TensorSpec> {
    let ty = *TYPES.get(from.number()? as usize)?;
    let mut spec = TensorSpec::new(ty, read_shape(from)?)
        .quantized(f32::from_bits(from.number()?), from.number()?.cast_signed());
    spec.is_variable = from.number()? != 0;
    Some(spec)
}

fn write_shape(to: &mut Writer, shape: Shape) {
    to.list(shape.dims(), |to, dim| {
        to.long(*dim as u64);
    });
}

fn read_shape(from: &mut Reader<'_>) -> Option<Shape> {
    let dims = from.list(|from| usize::try_from(from.long()?).ok())?;
    Shape::new(&dims).ok()
}

#[derive(Default)]
struct Writer(Vec<u8>);

impl Writer {
    fn number(&mut self, number: u32) -> &mut Self {
        self.0.extend_from_slice(&number.to_le_bytes());
        self
    }

    fn long(&mut self, number: u64) -> &mut Self {
        self.0.extend_from_slice(&number.to_le_bytes());
        self
    }

    fn bytes(&mut self, bytes: &[u8]) {
        // What is too long here makes a message too long to send.
        self.number(u32::try_from(bytes.len()).unwrap_or(u32::MAX));
        self.0.extend_from_slice(bytes);
    }

    fn text(&mut self, text: &str) -> &mut Self {
        self.bytes(text.as_bytes());
        self
    }

    fn list<T>(&mut self, items: &[T], mut each: impl FnMut(&mut Self, &T)) -> &mut Self {
        self.number(u32::try_from(items.len()).unwrap_or(u32::MAX));
        for item in items {
            each(self, item);
        }
        self
    }
}

struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn number(&mut self) -> Option<u32> {
        let (head, rest) = self.0.split_first_chunk()?;
        self.0 = rest;
        Some(u32::from_le_bytes(*head))
    }

    fn long(&mut self) -> Option<u64> {
        let (head, rest) = self.0.split_first_chunk()?;
        self.0 = rest;
        Some(u64::from_le_bytes(*head))
    }

    fn bytes(&mut self) -> Option<&'a [u8]> {
        let len = self.number()? as usize;
        let (head, rest) = self.0.split_at_checked(len)?;
        self.0 = rest;
        Some(head)
    }

    fn text(&mut self) -> Option<String> {
        Some(String::from_utf8_lossy(self.bytes()?).into_owned())
    }

    /// Stops at the first item that is not there, so a wrong count allocates nothing.
    fn list<T>(&mut self, mut each: impl FnMut(&mut Self) -> Option<T>) -> Option<Vec<T>> {
        let count = self.number()?;
        let mut items = Vec::new();
        for _ in 0..count {
            items.push(each(self)?);
        }
        Some(items)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spec(ty: TensorType, dims: &[usize]) -> TensorSpec {
        TensorSpec::new(ty, Shape::new(dims).expect("a shape"))
    }

    #[test]
    fn commands_arrive_as_they_were_sent_and_cut_ones_do_not() {
        let commands = [
            Command::Open {
                libraries: vec![b"/usr/lib/libedgetpu.so.1".to_vec(), vec![0xff]],
                device: DeviceRecord {
                    kind: DeviceKind::Usb,
                    path: "/sys/bus/usb/devices/2-1".into(),
                },
                options: "Performance=High".into(),
                verbosity: 10,
            },
            Command::Prepare {
                session: 3,
                nodes: vec![NodeSpec {
                    options: (64, u64::MAX),
                    inputs: vec![
                        spec(TensorType::Int8, &[1, 4])
                            .quantized(0.5, -3)
                            .variable(),
                        spec(TensorType::Float16, &[]),
                    ],
                    outputs: vec![spec(TensorType::UInt8, &[2, 3, 4])],
                }],
            },
            Command::Map {
                session: 1,
                block: 1,
            },
            Command::Forget { session: 9 },
            Command::Close,
        ];
        for command in commands {
            let bytes = command.encode();
            assert_eq!(Command::decode(&bytes).as_ref(), Some(&command));
            for len in 0..bytes.len() {
                assert_eq!(Command::decode(&bytes[..len]), None, "{command:?} {len}");
            }
        }
    }

    #[test]
    fn replies_arrive_as_they_were_sent_and_cut_ones_do_not() {
        let reason = || "because".to_owned();
        let mut replies = vec![
            Reply::Done,
            Reply::Opened { library: reason() },
            Reply::Prepared {
                outputs: vec![vec![Shape::new(&[3, 1001]).expect("a shape")], vec![]],
            },
        ];
        replies.extend(
            [
                Failure::Library { reason: reason() },
                Failure::Busy {
                    pid: 812,
                    command: reason(),
                },
                Failure::Lock { reason: reason() },
                Failure::NotListed { reason: reason() },
                Failure::NoPermission { reason: reason() },
                Failure::NotOpened,
                Failure::Refused { reason: reason() },
                Failure::Protocol { reason: reason() },
            ]
            .map(Reply::Failed),
        );
        for reply in replies {
            let bytes = reply.encode();
            assert_eq!(Reply::decode(&bytes).as_ref(), Some(&reply));
            for len in 0..bytes.len() {
                assert_eq!(Reply::decode(&bytes[..len]), None, "{reply:?} {len}");
            }
        }
        assert_eq!(Reply::decode(&[9, 0, 0, 0]), None);
    }

    #[test]
    fn messages_cross_a_socket_whole() {
        let (here, there) = UnixStream::pair().expect("a socket");
        send(&here, &[7; 3000], None).expect("sent");
        send(&here, &[], None).expect("sent");
        assert_eq!(receive(&there).expect("a message").0, [7; 3000]);
        assert!(receive(&there).expect("a message").0.is_empty());
        drop(here);
        let error = receive(&there).expect_err("the end");
        assert_eq!(error.kind(), io::ErrorKind::UnexpectedEof);
    }
}
