//! The operands of delegated operators in the order in which libedgetpu wants them.

use crate::ffi::TensorSpec;
use crate::ops::{EvalError, KernelIo, Node, NodeTensor, PrepareError, Views};

/// Most operands and most results of one operator. Compiled models have at most four and six.
const MAX_OPERANDS: usize = 16;

/// The operands of an operator in libedgetpu's order: ascending tensor index, each once. TFLite hands them to the
/// delegate so, and libedgetpu pairs them with the package's layers by position.
pub(super) struct Operands<'a> {
    inputs: Vec<NodeTensor<'a>>,
    input_slots: Vec<usize>,
    pub(super) outputs: Vec<NodeTensor<'a>>,
    output_slots: Vec<usize>,
    /// For each result of the operator, its place in `outputs`.
    pub(super) result_places: Vec<usize>,
}

impl<'a> Operands<'a> {
    pub(super) fn of(node: &Node<'a>) -> Result<Self, PrepareError> {
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

    pub(super) fn input_specs(&self) -> Vec<TensorSpec> {
        self.inputs.iter().map(spec).collect()
    }

    pub(super) fn output_specs(&self) -> Vec<TensorSpec> {
        self.outputs.iter().map(spec).collect()
    }

    pub(super) fn into_slots(self) -> Slots {
        Slots {
            inputs: self.input_slots,
            outputs: self.output_slots,
        }
    }

    /// Whether one of the inputs is state.
    pub(super) fn is_stateful(&self) -> bool {
        self.inputs
            .iter()
            .any(|tensor| tensor.declared().is_variable)
    }
}

fn spec(tensor: &NodeTensor<'_>) -> TensorSpec {
    let mut spec = TensorSpec::new(tensor.ty, tensor.shape);
    if let Some(quantization) = tensor.quantization {
        let scale = quantization.scale().unwrap_or(1.0);
        spec = spec.quantized(scale, quantization.zero_point());
    }
    spec.is_variable = tensor.declared().is_variable;
    spec
}

/// What a kernel needs of its operands at every inference: their slots, in libedgetpu's order.
#[derive(Debug)]
pub(super) struct Slots {
    inputs: Vec<usize>,
    outputs: Vec<usize>,
}

impl Slots {
    /// Calls `work` with the bytes of all inputs and all outputs.
    pub(super) fn with_bytes(
        &self,
        io: &mut KernelIo<'_>,
        work: impl FnOnce(&[&[u8]], &mut [&mut [u8]]) -> Result<(), EvalError>,
    ) -> Result<(), EvalError> {
        match self.outputs.len() {
            0 => self.with_outputs::<0>(io, work),
            1 => self.with_outputs::<1>(io, work),
            2 => self.with_outputs::<2>(io, work),
            3 => self.with_outputs::<3>(io, work),
            4 => self.with_outputs::<4>(io, work),
            5 => self.with_outputs::<5>(io, work),
            6 => self.with_outputs::<6>(io, work),
            7 => self.with_outputs::<7>(io, work),
            8 => self.with_outputs::<8>(io, work),
            9 => self.with_outputs::<9>(io, work),
            10 => self.with_outputs::<10>(io, work),
            11 => self.with_outputs::<11>(io, work),
            12 => self.with_outputs::<12>(io, work),
            13 => self.with_outputs::<13>(io, work),
            14 => self.with_outputs::<14>(io, work),
            15 => self.with_outputs::<15>(io, work),
            _ => self.with_outputs::<MAX_OPERANDS>(io, work),
        }
    }

    fn with_outputs<const OUTPUTS: usize>(
        &self,
        io: &mut KernelIo<'_>,
        work: impl FnOnce(&[&[u8]], &mut [&mut [u8]]) -> Result<(), EvalError>,
    ) -> Result<(), EvalError> {
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
        let mut read: [&[u8]; MAX_OPERANDS] = [&[]; MAX_OPERANDS];
        let mut count = 0;
        for (to, tensor) in read.iter_mut().zip(inputs.iter().flatten()) {
            *to = tensor.bytes();
            count += 1;
        }
        let mut written = outputs.each_mut().map(|tensor| tensor.bytes_mut());
        work(read.get(..count).unwrap_or_default(), &mut written)
    }
}
