//! Operators on an Edge TPU through libedgetpu, in this process or in one of its own.

use super::attach::open_shared;
use super::compiled::is_compiled_operator;
use super::operands::{Operands, Slots};
use super::request::DeviceRequest;
use super::{Delegate, DelegateError, EDGE_TPU_OPERATOR};
use crate::ffi::{
    DelegateOptions, DeviceRecord, EdgeTpu, EdgeTpuLibrary, NodeId, Session, SessionBuilder,
};
use crate::ops::{DeviceFault, EvalError, Kernel, KernelIo, Node, Prepared, RunsOn, Settings};
use crate::package::Package;
use crate::tensor::Shape;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

#[cfg(target_os = "linux")]
use super::{
    ArenaMemory,
    isolated::{IsolatedEdgeTpu, IsolatedSession, NodeRecipe, Reason},
};

/// Runs every `edgetpu-custom-op` of a model on one Edge TPU.
///
/// libedgetpu has no errors for a device that fails. In this process ([`new`](Self::new), [`open`](Self::open)) a stick
/// that is unplugged ends the application by `abort`, with an inference in progress or without, or makes an inference
/// hang for ever. In a process of its own ([`isolated`](Self::isolated)) the same is an error, and the next inference
/// opens the device again.
///
/// ```no_run
/// use corallite::delegate::EdgeTpuDelegate;
/// use corallite::ffi::{DelegateOptions, EdgeTpuLibrary, SearchPath};
/// use corallite::{Interpreter, Model};
///
/// let library = EdgeTpuLibrary::open(&SearchPath::from_environment())?;
/// let devices = library.devices();
/// let device = devices.first().ok_or("no Edge TPU")?;
/// let delegate = EdgeTpuDelegate::open(library, device, DelegateOptions::default())?;
///
/// let model = Model::from_file("mobilenet_v1_0.25_128_quant_edgetpu.tflite")?;
/// let mut interpreter = Interpreter::builder(&model).delegate(delegate).build()?;
/// interpreter.invoke()?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct EdgeTpuDelegate {
    place: Place,
    name: Arc<str>,
    /// The session prepared last: the interpreter being built is asking for its arena.
    #[cfg(target_os = "linux")]
    prepared: Option<Arc<IsolatedSession>>,
}

/// Where libedgetpu runs.
#[derive(Debug)]
enum Place {
    Here(EdgeTpu),
    #[cfg(target_os = "linux")]
    Isolated(IsolatedEdgeTpu),
}

impl EdgeTpuDelegate {
    /// Runs operators on `edge_tpu`, in this process. One open device serves any number of delegates and models.
    ///
    /// Does not know whether another process uses the device; [`open`](Self::open) does.
    pub fn new(edge_tpu: EdgeTpu) -> Self {
        let name = format!("Edge TPU {}", edge_tpu.device());
        Self::at(Place::Here(edge_tpu), name)
    }

    /// Opens `device` in this process under its lock, so that no other process that uses corallite opens it. A device
    /// that this process has open is shared.
    ///
    /// # Errors
    /// Another process has the device, or libedgetpu does not open it.
    pub fn open(
        library: &'static EdgeTpuLibrary,
        device: &DeviceRecord,
        options: DelegateOptions,
    ) -> Result<Self, DelegateError> {
        let request = DeviceRequest::default().options(options);
        let opened = open_shared(library, device, &request)
            .map_err(|source| DelegateError::device(&device.to_string(), source))?;
        Ok(opened.into_delegate())
    }

    /// Runs operators on a device in a process of its own. One open device serves any number of delegates and models.
    #[cfg(target_os = "linux")]
    pub fn isolated(edge_tpu: IsolatedEdgeTpu) -> Self {
        let name = format!("Edge TPU {}", edge_tpu.device());
        Self::at(Place::Isolated(edge_tpu), name)
    }

    fn at(place: Place, name: String) -> Self {
        Self {
            place,
            name: name.into(),
            #[cfg(target_os = "linux")]
            prepared: None,
        }
    }

    fn device_error(
        &self,
        source: impl std::error::Error + Send + Sync + 'static,
    ) -> DelegateError {
        DelegateError::device(&self.name, source)
    }

    /// Prepares nodes wherever libedgetpu runs.
    fn prepare_nodes(
        &mut self,
        nodes: &[(&[u8], Operands<'_>)],
    ) -> Result<(Runner, Vec<Vec<Shape>>), DelegateError> {
        match &self.place {
            Place::Here(edge_tpu) => {
                let mut builder = SessionBuilder::new(edge_tpu.clone());
                let mut ids = Vec::with_capacity(nodes.len());
                for (options, operands) in nodes {
                    let id = builder
                        .add_node(options, &operands.input_specs(), &operands.output_specs())
                        .map_err(|source| self.device_error(source))?;
                    ids.push(id);
                }
                let session = builder
                    .prepare()
                    .map_err(|source| self.device_error(source))?;
                let shapes = ids
                    .iter()
                    .zip(nodes)
                    .map(|(id, (_, operands))| {
                        let declared = operands.outputs.iter().enumerate();
                        declared
                            .map(|(place, tensor)| {
                                let shape = session.output_shape(*id, place);
                                shape.unwrap_or(tensor.shape)
                            })
                            .collect()
                    })
                    .collect();
                Ok((Runner::Here(Arc::new(Mutex::new(session)), ids), shapes))
            }
            #[cfg(target_os = "linux")]
            Place::Isolated(edge_tpu) => {
                let recipes: Vec<_> = nodes
                    .iter()
                    .map(|(options, operands)| NodeRecipe {
                        options,
                        inputs: operands.input_specs(),
                        outputs: operands.output_specs(),
                    })
                    .collect();
                let session = edge_tpu
                    .prepare(&recipes)
                    .map_err(|source| self.device_error(source))?;
                let session = Arc::new(session);
                let shapes = (0..nodes.len())
                    .map(|node| session.output_shapes(node).to_vec())
                    .collect();
                self.prepared = Some(Arc::clone(&session));
                Ok((Runner::Isolated(session), shapes))
            }
        }
    }
}

impl Delegate for EdgeTpuDelegate {
    fn name(&self) -> &str {
        &self.name
    }

    fn claims(&self, node: &Node<'_>) -> bool {
        is_compiled_operator(&node.operator().kind)
    }

    fn prepare(
        &mut self,
        nodes: &[Node<'_>],
        _: &Settings,
    ) -> Result<Vec<Prepared>, DelegateError> {
        let mut claimed = Vec::with_capacity(nodes.len());
        for (index, node) in nodes.iter().enumerate() {
            let operator = |source| DelegateError::Operator { index, source };
            let options = node.table().map_err(operator)?.custom_options();
            let options = options.map_or(&[][..], |options| options.bytes());
            let package = Package::from_custom_options(options)
                .map_err(|source| self.device_error(source))?;
            if !package.fully_deterministic {
                log::warn!(
                    "operator {} asks for its own transfers: over USB libedgetpu needs \
                     USB_ENABLE_BULK_DESCRIPTORS_FROM_DEVICE=1 in the environment",
                    node.place().1
                );
            }
            claimed.push((options, Operands::of(node).map_err(operator)?));
        }
        let (runner, shapes) = self.prepare_nodes(&claimed)?;
        let prepared = claimed.into_iter().zip(shapes).enumerate();
        let prepared = prepared.map(|(node, ((_, operands), shapes))| {
            // Back from libedgetpu's order to the operator's.
            let places = operands.result_places.iter();
            let results: Vec<Shape> = places
                .filter_map(|&place| shapes.get(place).copied())
                .collect();
            let stateful = operands.is_stateful();
            let kernel = EdgeTpuKernel {
                runner: runner.clone(),
                node,
                device: Arc::clone(&self.name),
                slots: operands.into_slots(),
            };
            let prepared = Prepared::new(kernel, results);
            if stateful {
                prepared.stateful()
            } else {
                prepared
            }
        });
        Ok(prepared.collect())
    }

    #[cfg(target_os = "linux")]
    fn arena(&mut self, bytes: usize) -> Option<Box<dyn ArenaMemory>> {
        let arena = self.prepared.take()?.arena(bytes)?;
        Some(Box::new(arena))
    }
}

/// Prepared nodes, wherever libedgetpu runs. The kernels of a model share them, and take turns.
#[derive(Clone)]
enum Runner {
    Here(Arc<Mutex<Session>>, Vec<NodeId>),
    #[cfg(target_os = "linux")]
    Isolated(Arc<IsolatedSession>),
}

/// One delegated operator.
struct EdgeTpuKernel {
    runner: Runner,
    node: usize,
    device: Arc<str>,
    slots: Slots,
}

impl Kernel for EdgeTpuKernel {
    fn eval(&self, io: &mut KernelIo<'_>) -> Result<(), EvalError> {
        self.slots.with_bytes(io, |inputs, outputs| {
            let inputs = inputs.iter().copied();
            let outputs = outputs.iter_mut().map(|bytes| &mut **bytes);
            let failed = |fault, reason| EvalError::Device {
                device: self.device.to_string(),
                fault,
                reason,
            };
            match &self.runner {
                Runner::Here(session, nodes) => {
                    let Some(&node) = nodes.get(self.node) else {
                        return Err(EvalError::Operand { slot: self.node });
                    };
                    lock(session)
                        .invoke(node, inputs, outputs)
                        .map_err(|error| failed(DeviceFault::Failed, error.to_string()))
                }
                #[cfg(target_os = "linux")]
                Runner::Isolated(session) => session
                    .invoke(self.node, inputs, outputs)
                    .map_err(|error| failed(error.fault(), Reason(&error).to_string())),
            }
        })
    }

    fn name(&self) -> &'static str {
        EDGE_TPU_OPERATOR
    }

    fn runs_on(&self) -> RunsOn {
        RunsOn::EdgeTpu
    }

    fn reset(&self) {
        match &self.runner {
            Runner::Here(session, _) => lock(session).reset_variables(),
            #[cfg(target_os = "linux")]
            Runner::Isolated(session) => session.reset(),
        }
    }
}

fn lock(session: &Mutex<Session>) -> MutexGuard<'_, Session> {
    session.lock().unwrap_or_else(PoisonError::into_inner)
}
