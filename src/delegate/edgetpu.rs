//! Operators on an Edge TPU in this process, through libedgetpu.

use super::compiled::is_compiled_operator;
use super::{Delegate, DelegateError, EDGE_TPU_OPERATOR};
use crate::ffi::{EdgeTpu, NodeId, Session, SessionBuilder, TensorSpec};
use crate::ops::{
    DeviceFault, EvalError, Kernel, KernelIo, Node, NodeTensor, PrepareError, Prepared, RunsOn,
    Settings, Views,
};
use crate::package::Package;
use std::sync::{Arc, Mutex, PoisonError};

/// Most operands and most results of one operator. Compiled models have at most four and six.
const MAX_OPERANDS: usize = 16;

/// Runs every `edgetpu-custom-op` of a model on one Edge TPU.
///
/// A device that fails ends the process or never returns: libedgetpu has no other answer.
///
/// ```no_run
/// use corallite::delegate::EdgeTpuDelegate;
/// use corallite::ffi::{DelegateOptions, EdgeTpu, EdgeTpuLibrary, SearchPath};
/// use corallite::{Interpreter, Model};
///
/// let library = EdgeTpuLibrary::open(&SearchPath::from_environment())?;
/// let devices = library.devices();
/// let device = devices.first().ok_or("no Edge TPU")?;
/// let edge_tpu = EdgeTpu::open(library, device, DelegateOptions::default())?;
///
/// let model = Model::from_file("mobilenet_v1_0.25_128_quant_edgetpu.tflite")?;
/// let mut interpreter = Interpreter::builder(&model)
///     .delegate(EdgeTpuDelegate::new(edge_tpu))
///     .build()?;
/// interpreter.invoke()?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct EdgeTpuDelegate {
    edge_tpu: EdgeTpu,
    name: Arc<str>,
}

impl EdgeTpuDelegate {
    /// Runs operators on `edge_tpu`. One open device serves any number of delegates and models.
    pub fn new(edge_tpu: EdgeTpu) -> Self {
        let name = format!("Edge TPU {}", edge_tpu.device()).into();
        Self { edge_tpu, name }
    }

    fn device_error(
        &self,
        source: impl std::error::Error + Send + Sync + 'static,
    ) -> DelegateError {
        DelegateError::Device {
            device: self.name.to_string(),
            source: Box::new(source),
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
        let mut builder = SessionBuilder::new(self.edge_tpu.clone());
        let mut kernels = Vec::with_capacity(nodes.len());
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
            let operands = Operands::of(node).map_err(operator)?;
            let id = builder
                .add_node(
                    options,
                    &operands.specs(&operands.inputs),
                    &operands.specs(&operands.outputs),
                )
                .map_err(|source| self.device_error(source))?;
            kernels.push((id, operands));
        }
        let session = builder
            .prepare()
            .map_err(|source| self.device_error(source))?;
        let shapes: Vec<Vec<_>> = kernels
            .iter()
            .map(|(id, operands)| {
                let shape = |place: usize| {
                    session
                        .output_shape(*id, place)
                        .unwrap_or(operands.outputs[place].shape)
                };
                // Back from libedgetpu's order to the operator's.
                operands
                    .result_places
                    .iter()
                    .map(|&place| shape(place))
                    .collect()
            })
            .collect();
        let session = Arc::new(Mutex::new(session));
        let prepared = kernels
            .into_iter()
            .zip(shapes)
            .map(|((node, operands), shapes)| {
                let stateful = operands
                    .inputs
                    .iter()
                    .any(|tensor| tensor.declared().is_variable);
                let kernel = EdgeTpuKernel {
                    session: Arc::clone(&session),
                    node,
                    device: Arc::clone(&self.name),
                    inputs: operands.input_slots,
                    outputs: operands.output_slots,
                };
                let prepared = Prepared::new(kernel, shapes);
                if stateful {
                    prepared.stateful()
                } else {
                    prepared
                }
            });
        Ok(prepared.collect())
    }
}

/// The operands of an operator in libedgetpu's order: ascending tensor index, each once. TFLite hands them to the
/// delegate so, and libedgetpu pairs them with the package's layers by position.
struct Operands<'a> {
    inputs: Vec<NodeTensor<'a>>,
    input_slots: Vec<usize>,
    outputs: Vec<NodeTensor<'a>>,
    output_slots: Vec<usize>,
    /// For each result of the operator, its place in `outputs`.
    result_places: Vec<usize>,
}

impl<'a> Operands<'a> {
    fn of(node: &Node<'a>) -> Result<Self, PrepareError> {
        let operator = node.operator();
        let mut inputs = Vec::new();
        for slot in 0..operator.inputs.len() {
            if let Some(tensor) = node.optional_input(slot, "input") {
                inputs.push((slot, tensor));
            }
        }
        inputs.sort_by_key(|(_, tensor)| tensor.index);
        inputs.dedup_by_key(|(_, tensor)| tensor.index);
        let mut outputs = Vec::new();
        for slot in 0..operator.outputs.len() {
            outputs.push((slot, node.output(slot, "output")?));
        }
        outputs.sort_by_key(|(_, tensor)| tensor.index);
        for (operands, operand) in [(&inputs, "input"), (&outputs, "output")] {
            if let Some((_, tensor)) = operands.get(MAX_OPERANDS) {
                return Err(tensor.shape_error(format!("at most {MAX_OPERANDS} {operand}s")));
            }
        }
        let mut result_places = vec![0; outputs.len()];
        for (place, (slot, _)) in outputs.iter().enumerate() {
            result_places[*slot] = place;
        }
        let (input_slots, inputs) = inputs.into_iter().unzip();
        let (output_slots, outputs) = outputs.into_iter().unzip();
        Ok(Self {
            inputs,
            input_slots,
            outputs,
            output_slots,
            result_places,
        })
    }

    fn specs(&self, tensors: &[NodeTensor<'_>]) -> Vec<TensorSpec> {
        tensors
            .iter()
            .map(|tensor| {
                let spec = TensorSpec::new(tensor.ty, tensor.shape);
                let spec = match tensor.quantization {
                    Some(quantization) => spec.quantized(
                        quantization.scale().unwrap_or(1.0),
                        quantization.zero_point(),
                    ),
                    None => spec,
                };
                if tensor.declared().is_variable {
                    spec.variable()
                } else {
                    spec
                }
            })
            .collect()
    }
}

/// One delegated operator. The kernels of a model share a session, and take turns.
struct EdgeTpuKernel {
    session: Arc<Mutex<Session>>,
    node: NodeId,
    device: Arc<str>,
    inputs: Vec<usize>,
    outputs: Vec<usize>,
}

impl Kernel for EdgeTpuKernel {
    fn eval(&self, io: &mut KernelIo<'_>) -> Result<(), EvalError> {
        match self.outputs.len() {
            0 => self.run::<0>(io),
            1 => self.run::<1>(io),
            2 => self.run::<2>(io),
            3 => self.run::<3>(io),
            4 => self.run::<4>(io),
            5 => self.run::<5>(io),
            6 => self.run::<6>(io),
            7 => self.run::<7>(io),
            8 => self.run::<8>(io),
            9 => self.run::<9>(io),
            10 => self.run::<10>(io),
            11 => self.run::<11>(io),
            12 => self.run::<12>(io),
            13 => self.run::<13>(io),
            14 => self.run::<14>(io),
            15 => self.run::<15>(io),
            _ => self.run::<MAX_OPERANDS>(io),
        }
    }

    fn name(&self) -> &'static str {
        EDGE_TPU_OPERATOR
    }

    fn runs_on(&self) -> RunsOn {
        RunsOn::EdgeTpu
    }
}

impl EdgeTpuKernel {
    fn run<const OUTPUTS: usize>(&self, io: &mut KernelIo<'_>) -> Result<(), EvalError> {
        // A slot that the operator does not have is an operand left out.
        let inputs: [usize; MAX_OPERANDS] =
            std::array::from_fn(|place| self.inputs.get(place).copied().unwrap_or(usize::MAX));
        let outputs: [usize; OUTPUTS] =
            std::array::from_fn(|place| self.outputs.get(place).copied().unwrap_or(usize::MAX));
        let Views {
            inputs,
            mut outputs,
            ..
        } = io.views(inputs, outputs, [])?;
        let inputs = inputs.iter().flatten().map(|tensor| tensor.bytes());
        let outputs = outputs.iter_mut().map(|tensor| tensor.bytes_mut());
        let mut session = self.session.lock().unwrap_or_else(PoisonError::into_inner);
        session
            .invoke(self.node, inputs, outputs)
            .map_err(|error| EvalError::Device {
                device: self.device.to_string(),
                fault: DeviceFault::Failed,
                reason: error.to_string(),
            })
    }
}
