//! The safe face of the host: nodes are added, prepared once, run any number of times.
#![allow(unsafe_code, reason = "calls the delegate's functions")]

use std::ptr::{NonNull, null, null_mut};

use super::error::{HostError, Side};
use super::state::{NodeSpec, State};
use super::tensors::{AlignedBytes, TensorSpec, can_be_read_in_place, fill_with_zero_point};
use crate::ffi::open::EdgeTpu;
use crate::ffi::tflite::{STATUS_OK, TfLiteContext, TfLiteNode};
use crate::tensor::Shape;

/// End of the names that libedgetpu knows the next state of an LSTM by; it writes such outputs into inputs.
const VARIABLE_OUTPUT: &[u8] = b"_variable_output";

/// One node of a session.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct NodeId(usize);

impl NodeId {
    /// Its place in the order of [`SessionBuilder::add_node`], from 0.
    pub fn index(self) -> usize {
        self.0
    }
}

/// Collects the nodes that an Edge TPU shall run, then prepares them.
///
/// ```no_run
/// use corallite::ffi::{EdgeTpu, SessionBuilder, TensorSpec};
/// use corallite::tensor::{Shape, TensorType};
///
/// # fn run(edge_tpu: EdgeTpu, options: &[u8]) -> Result<(), Box<dyn std::error::Error>> {
/// let mut builder = SessionBuilder::new(edge_tpu);
/// let image = TensorSpec::new(TensorType::UInt8, Shape::new(&[1, 224, 224, 3])?);
/// let scores = TensorSpec::new(TensorType::UInt8, Shape::new(&[1, 1001])?);
/// let node = builder.add_node(options, &[image], &[scores])?;
/// let mut session = builder.prepare()?;
///
/// let image = vec![0; 150_528];
/// let mut scores = vec![0; 1001];
/// session.invoke(node, [image.as_slice()], [scores.as_mut_slice()])?;
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct SessionBuilder {
    edge_tpu: EdgeTpu,
    nodes: Vec<NodeSpec>,
}

impl SessionBuilder {
    /// Starts with no nodes.
    pub fn new(edge_tpu: EdgeTpu) -> Self {
        Self {
            edge_tpu,
            nodes: Vec::new(),
        }
    }

    /// Adds an `edgetpu-custom-op` with its custom options, which are copied and must have been verified: libedgetpu
    /// does not check the FlexBuffer around the package, and a corrupt one ends the process.
    ///
    /// Inputs and outputs are in ascending order of the model's tensor indices, each once: that is the order in which
    /// TFLite hands them to the delegate, and libedgetpu pairs them with the package's layers by position. A batch is
    /// asked for in the first dimension of the inputs; see [`Session::output_shape`].
    ///
    /// # Errors
    ///
    /// A shape is impossible, or something is longer than C's `int` can count.
    pub fn add_node(
        &mut self,
        custom_options: &[u8],
        inputs: &[TensorSpec],
        outputs: &[TensorSpec],
    ) -> Result<NodeId, HostError> {
        let node = self.nodes.len();
        if i32::try_from(custom_options.len()).is_err() {
            return Err(HostError::TooLarge { node });
        }
        for (side, specs) in [(Side::Input, inputs), (Side::Output, outputs)] {
            if let Some((index, spec)) = specs
                .iter()
                .enumerate()
                .find(|(_, spec)| spec.byte_count().is_none())
            {
                return Err(HostError::Tensor {
                    node,
                    side,
                    index,
                    ty: spec.ty,
                    shape: spec.shape,
                });
            }
        }
        self.nodes.push(NodeSpec {
            options: AlignedBytes::copy_of(custom_options),
            inputs: inputs.to_vec(),
            outputs: outputs.to_vec(),
            writes_inputs: custom_options
                .windows(VARIABLE_OUTPUT.len())
                .any(|window| window == VARIABLE_OUTPUT),
        });
        Ok(NodeId(node))
    }

    /// Lets the delegate take the nodes and prepares each, once: programs are registered with the driver and tensors
    /// checked. Parameters go to the device with the first inference. Waits for inferences that run on the device.
    ///
    /// # Errors
    ///
    /// The delegate does not take a node, or refuses its program or tensors. The builder is gone then, because a
    /// second attempt with the same kernel would end the process; a new builder works.
    pub fn prepare(self) -> Result<Session, HostError> {
        let Self { edge_tpu, nodes } = self;
        let delegate = edge_tpu.delegate();
        let mut session = Session {
            state: State::new(nodes, delegate)?,
            edge_tpu,
        };
        session.reset_variables();

        // SAFETY: the delegate is valid as long as the EdgeTpu in the session; only its oldest fields are read.
        let prepare = unsafe { (*delegate.as_ptr()).prepare }.ok_or(HostError::NoPrepare)?;
        session.state_mut().start_call();
        let context = session.context();
        // SAFETY: the context is complete and stays where it is until the session is dropped, which frees the kernels
        // first; no reference to the state is held.
        let status = unsafe { prepare(context, delegate.as_ptr()) };
        let state = session.state_mut();
        if let Some(failure) = state.take_failure() {
            return Err(failure);
        }
        if status != STATUS_OK {
            return Err(HostError::DelegatePrepare {
                reported: state.take_reported(),
            });
        }
        if let Some(node) = state
            .nodes
            .iter()
            .position(|node| node.registration.is_none())
        {
            return Err(HostError::NotTaken {
                node,
                reported: state.take_reported(),
            });
        }
        for node in 0..session.node_count() {
            session.prepare_kernel(node)?;
        }
        Ok(session)
    }
}

/// Nodes that are ready to run on an Edge TPU.
///
/// A session may move between threads. Several sessions share a device; their inferences run one after the other.
#[derive(Debug)]
pub struct Session {
    /// Made by `State::new`, freed on drop. References to what it points at are made for the length of a statement
    /// or two and never across a call into the library.
    state: NonNull<State>,
    /// Closed after the kernels are freed.
    edge_tpu: EdgeTpu,
}

// SAFETY: the state is reachable only through the session, except for the library during a call that the session
// makes; libedgetpu's kernels are bound to no thread, only used by one at a time.
unsafe impl Send for Session {}

impl Session {
    /// The device it runs on.
    pub fn edge_tpu(&self) -> &EdgeTpu {
        &self.edge_tpu
    }

    /// How many nodes it has.
    pub fn node_count(&self) -> usize {
        self.state().nodes.len()
    }

    /// Its nodes, in the order they were added.
    pub fn nodes(&self) -> impl ExactSizeIterator<Item = NodeId> + use<> {
        (0..self.node_count()).map(NodeId)
    }

    /// Shape of an output, with the batch of the inputs; `None` if there is no such node or output.
    pub fn output_shape(&self, node: NodeId, output: usize) -> Option<Shape> {
        let state = self.state();
        let found = state
            .nodes
            .get(node.0)
            .filter(|found| output < found.output_count)?;
        let memory = state.memory.get(found.first + found.input_count + output)?;
        Some(memory.shape)
    }

    /// Runs one inference: reads `inputs`, fills `outputs`. Blocks until the device is done, however long that takes.
    ///
    /// Slices come in the order of [`SessionBuilder::add_node`]. Each output has exactly the tensor's length. An input
    /// has the tensor's length, or up to 7 bytes more, to the next multiple of 8: libedgetpu reads a uint8 input from
    /// where it lies if its address is a multiple of 8, and reads that far, so without those bytes such an input is
    /// copied first. Inputs of other types are always copied. The slice of an input that is state is not looked at.
    ///
    /// Allocates nothing unless it fails. After an error the session can be used again.
    ///
    /// # Errors
    ///
    /// There is no such node, the slices do not fit it, or libedgetpu reports a failure. A failing device is not among
    /// the failures libedgetpu reports: it ends the process or never returns.
    pub fn invoke<'a>(
        &mut self,
        node: NodeId,
        inputs: impl IntoIterator<Item = &'a [u8]>,
        outputs: impl IntoIterator<Item = &'a mut [u8]>,
    ) -> Result<(), HostError> {
        let NodeId(node) = node;
        let state = self.state_mut();
        state.start_call();
        state.place_inputs(node, inputs)?;
        state.place_outputs(node, outputs)?;
        let count = state.nodes.len();
        let invoke = state
            .nodes
            .get(node)
            .and_then(|node| node.registration?.invoke);
        let invoke = invoke.ok_or(HostError::NoNode { node, count })?;
        let (context, kernel) = (self.context(), self.kernel(node)?);
        // SAFETY: the kernel was prepared in this context. Its tensors point at inputs that are at least as long as
        // they say and that libedgetpu does not write to (or at the session's own memory), and at outputs of their
        // length, all borrowed until this function returns. No reference to the state is held.
        let status = unsafe { invoke(context, kernel) };
        let state = self.state_mut();
        state.forget_operands(node);
        if status == STATUS_OK {
            return Ok(());
        }
        Err(HostError::Invoke {
            node,
            reported: state.take_reported(),
        })
    }

    /// The bytes of an input that is state, to look at or to set.
    ///
    /// # Errors
    ///
    /// There is no such node, or the input is not state.
    pub fn variable_mut(&mut self, node: NodeId, input: usize) -> Result<&mut [u8], HostError> {
        let NodeId(node) = node;
        let state = self.state_mut();
        let count = state.nodes.len();
        let found = state
            .nodes
            .get(node)
            .ok_or(HostError::NoNode { node, count })?;
        let tensor = if input < found.input_count {
            state.memory.get_mut(found.first + input)
        } else {
            None
        };
        match tensor {
            Some(memory) if memory.is_variable => Ok(memory.bytes.as_mut_slice()),
            _ => Err(HostError::NotVariable { node, index: input }),
        }
    }

    /// Sets all state back to its zero points.
    pub fn reset_variables(&mut self) {
        for memory in self
            .state_mut()
            .memory
            .iter_mut()
            .filter(|memory| memory.is_variable)
        {
            fill_with_zero_point(memory.bytes.as_mut_slice(), memory.ty, memory.zero_point);
        }
    }

    fn prepare_kernel(&mut self, node: usize) -> Result<(), HostError> {
        let state = self.state_mut();
        state.start_call();
        let prepare = state
            .nodes
            .get(node)
            .and_then(|node| node.registration?.prepare);
        let prepare = prepare.ok_or(HostError::UnknownRegistration { node: Some(node) })?;
        let (context, kernel) = (self.context(), self.kernel(node)?);
        // SAFETY: the kernel was made by this registration in this context and is prepared once, here; its options
        // are in place. No reference to the state is held.
        let status = unsafe { prepare(context, kernel) };
        let state = self.state_mut();
        if let Some(HostError::Resize { node, .. }) = state.take_failure() {
            return Err(HostError::Resize {
                node,
                reported: state.take_reported(),
            });
        }
        if status != STATUS_OK {
            return Err(HostError::KernelPrepare {
                node,
                reported: state.take_reported(),
            });
        }
        if let Some(node) = state.nodes.get_mut(node) {
            // libedgetpu has made its own copy and dropped its pointers into this one.
            node.options = None;
            node.original.custom_initial_data = null();
            node.original.custom_initial_data_size = 0;
        }
        Ok(())
    }

    fn state(&self) -> &State {
        // SAFETY: the state lives until drop, and only `&mut self` leads to a call that changes it.
        unsafe { self.state.as_ref() }
    }

    fn state_mut(&mut self) -> &mut State {
        // SAFETY: the state lives until drop, and `&mut self` is the only way to it.
        unsafe { self.state.as_mut() }
    }

    /// The context, for a call into the library.
    fn context(&mut self) -> *mut TfLiteContext {
        // SAFETY: the state lives until drop; this makes a pointer, no reference.
        unsafe { &raw mut (*self.state.as_ptr()).context }
    }

    /// The kernel's node, for a call into the library.
    fn kernel(&mut self, node: usize) -> Result<*mut TfLiteNode, HostError> {
        let state = self.state_mut();
        let count = state.nodes.len();
        match state.nodes.get_mut(node) {
            Some(node) => Ok(&raw mut node.kernel),
            None => Err(HostError::NoNode { node, count }),
        }
    }
}

impl State {
    /// Points a node's input tensors at the caller's bytes or at copies of them.
    fn place_inputs<'a>(
        &mut self,
        node: usize,
        inputs: impl IntoIterator<Item = &'a [u8]>,
    ) -> Result<(), HostError> {
        let count = self.nodes.len();
        let Some(found) = self.nodes.get(node) else {
            return Err(HostError::NoNode { node, count });
        };
        let (first, expected) = (found.first, found.input_count);
        let mut placed = 0;
        for bytes in inputs {
            let operand = if placed < expected {
                Some(first + placed)
            } else {
                None
            };
            let tensor =
                operand.and_then(|at| Some((self.tensors.get_mut(at)?, self.memory.get_mut(at)?)));
            let Some((tensor, memory)) = tensor else {
                return Err(HostError::OperandCount {
                    node,
                    side: Side::Input,
                    found: placed + 1,
                    expected,
                });
            };
            let len = tensor.bytes;
            if memory.is_variable {
                tensor.data = memory.bytes.as_mut_ptr().cast();
            } else if bytes.len() < len || bytes.len() > len.next_multiple_of(8) {
                let (found, expected) = (bytes.len(), len);
                return Err(HostError::OperandLength {
                    node,
                    side: Side::Input,
                    index: placed,
                    found,
                    expected,
                });
            } else if memory.in_place && can_be_read_in_place(bytes, len) {
                tensor.data = bytes.as_ptr().cast_mut().cast();
            } else {
                memory.bytes.as_mut_slice().copy_from_slice(&bytes[..len]);
                tensor.data = memory.bytes.as_mut_ptr().cast();
            }
            placed += 1;
        }
        if placed < expected {
            return Err(HostError::OperandCount {
                node,
                side: Side::Input,
                found: placed,
                expected,
            });
        }
        Ok(())
    }

    /// Points a node's output tensors at the caller's bytes.
    fn place_outputs<'a>(
        &mut self,
        node: usize,
        outputs: impl IntoIterator<Item = &'a mut [u8]>,
    ) -> Result<(), HostError> {
        let count = self.nodes.len();
        let Some(found) = self.nodes.get(node) else {
            return Err(HostError::NoNode { node, count });
        };
        let (first, expected) = (found.first + found.input_count, found.output_count);
        let mut placed = 0;
        for bytes in outputs {
            let operand = if placed < expected {
                Some(first + placed)
            } else {
                None
            };
            let Some(tensor) = operand.and_then(|at| self.tensors.get_mut(at)) else {
                return Err(HostError::OperandCount {
                    node,
                    side: Side::Output,
                    found: placed + 1,
                    expected,
                });
            };
            if bytes.len() != tensor.bytes {
                let (found, expected) = (bytes.len(), tensor.bytes);
                return Err(HostError::OperandLength {
                    node,
                    side: Side::Output,
                    index: placed,
                    found,
                    expected,
                });
            }
            tensor.data = bytes.as_mut_ptr().cast();
            placed += 1;
        }
        if placed < expected {
            return Err(HostError::OperandCount {
                node,
                side: Side::Output,
                found: placed,
                expected,
            });
        }
        Ok(())
    }

    /// Leaves no pointer to the caller's bytes behind.
    fn forget_operands(&mut self, node: usize) {
        let Some(node) = self.nodes.get(node) else {
            return;
        };
        let operands = node.first..node.first + node.input_count + node.output_count;
        for tensor in self.tensors.get_mut(operands).unwrap_or_default() {
            tensor.data = null_mut();
        }
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        let context = self.context();
        for node in 0..self.node_count() {
            let state = self.state_mut();
            let kernel = state
                .nodes
                .get(node)
                .and_then(|node| Some((node.registration?.free?, node.kernel.user_data)));
            if let Some((free, user_data)) = kernel.filter(|(_, user_data)| !user_data.is_null()) {
                // SAFETY: the kernel was made by this registration in this context and is freed once, before the
                // delegate, which the EdgeTpu in this session keeps open. No reference to the state is held.
                unsafe { free(context, user_data) };
            }
        }
        // SAFETY: the block was made by a Box in State::new; the kernels that pointed at it are gone.
        drop(unsafe { Box::from_raw(self.state.as_ptr()) });
    }
}
