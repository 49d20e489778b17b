//! One inference after another over the same arena.

use super::arena::Arena;
use super::builder::InterpreterBuilder;
use super::error::{AccessError, InvokeError};
use super::observer::{Observer, OperatorEvent, OperatorInfo};
use crate::model::{Model, Tensor};
use crate::ops::{Kernel, KernelIo, Operand, Place, RunsOn, Settings, StepOperands, Work};
use crate::tensor::{TensorMut, TensorRef};
use std::time::Instant;

/// Runs one model: fill the inputs, invoke, read the outputs.
///
/// Building computes everything that does not depend on the input; [`invoke`](Self::invoke) allocates nothing. Inputs
/// keep their values from one inference to the next. Several interpreters can share one [`Model`]; one interpreter can
/// move between threads.
///
/// ```
/// use corallite::{Interpreter, Model};
/// # let file = concat!(env!("CARGO_MANIFEST_DIR"), "/examples/data/fashion_mnist_int8.tflite");
/// let model = Model::from_file(file)?;
/// let mut interpreter = Interpreter::builder(&model).build()?;
/// interpreter.input_mut(0)?.copy_from(&[0i8; 28 * 28])?;
/// interpreter.invoke()?;
/// let scores = interpreter.output(0)?.dequantize()?;
/// assert_eq!(scores.len(), 10);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Interpreter {
    pub(super) model: Model,
    pub(super) settings: Settings,
    pub(super) steps: Vec<Step>,
    pub(super) inputs: Vec<Operand>,
    pub(super) outputs: Vec<Operand>,
    pub(super) variables: Vec<Variable>,
    pub(super) arena: Arena,
    pub(super) arena_bytes: usize,
    pub(super) folded: Vec<Box<[u64]>>,
}

/// One operator in execution order.
pub(super) struct Step {
    pub(super) operator: usize,
    pub(super) operands: StepOperands,
    /// `None` where nothing is left to compute.
    pub(super) kernel: Option<Box<dyn Kernel>>,
    pub(super) constant: bool,
    pub(super) work: Work,
}

/// A tensor that keeps its value between inferences, and what fills it at first.
pub(super) struct Variable {
    pub(super) operand: Operand,
    pub(super) fill: u8,
}

impl Interpreter {
    /// Options for running `model`.
    pub fn builder(model: &Model) -> InterpreterBuilder {
        InterpreterBuilder::new(model)
    }

    /// The model.
    pub fn model(&self) -> &Model {
        &self.model
    }

    /// What the interpreter was built with.
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// Bytes of the arena: every tensor an inference computes, and scratch memory.
    pub fn arena_bytes(&self) -> usize {
        self.arena_bytes
    }

    /// The number of inputs.
    pub fn input_count(&self) -> usize {
        self.inputs.len()
    }

    /// The number of outputs.
    pub fn output_count(&self) -> usize {
        self.outputs.len()
    }

    fn tensors(&self) -> &[Tensor] {
        &self.model.graph().subgraphs()[0].tensors
    }

    /// Input `index`, in the order of the file, for reading.
    ///
    /// # Errors
    /// The model has no such input.
    pub fn input(&self, index: usize) -> Result<TensorRef<'_>, AccessError> {
        let operand = find(&self.inputs, "input", index)?;
        self.view(operand).map_err(|source| AccessError::Tensor {
            what: "input",
            index,
            source,
        })
    }

    /// Input `index`, in the order of the file, for writing.
    ///
    /// # Errors
    /// The model has no such input.
    pub fn input_mut(&mut self, index: usize) -> Result<TensorMut<'_>, AccessError> {
        let operand = find(&self.inputs, "input", index)?;
        let tensor = &self.model.graph().subgraphs()[0].tensors[operand.tensor];
        let bytes = match &operand.place {
            Place::Arena(range) => self.arena.bytes_mut().get_mut(range.clone()),
            Place::File | Place::Folded(_) => None,
        };
        let quantization = tensor.quantization.as_deref();
        TensorMut::new(
            tensor.ty,
            operand.shape,
            quantization,
            bytes.unwrap_or_default(),
        )
        .map_err(|source| AccessError::Tensor {
            what: "input",
            index,
            source,
        })
    }

    /// Output `index`, in the order of the file, as the last inference left it.
    ///
    /// # Errors
    /// The model has no such output.
    pub fn output(&self, index: usize) -> Result<TensorRef<'_>, AccessError> {
        let operand = find(&self.outputs, "output", index)?;
        self.view(operand).map_err(|source| AccessError::Tensor {
            what: "output",
            index,
            source,
        })
    }

    /// Runs the model once on the inputs as they are.
    ///
    /// # Errors
    /// An operator met a value it is not defined for, or a device failed; the outputs are then undefined.
    pub fn invoke(&mut self) -> Result<(), InvokeError> {
        for step in 0..self.steps.len() {
            self.run(step)?;
        }
        Ok(())
    }

    /// Like [`invoke`](Self::invoke), showing each operator to `observer` after it ran.
    ///
    /// # Errors
    /// As [`invoke`](Self::invoke); operators before the failing one have been shown.
    pub fn invoke_observed(&mut self, observer: &mut dyn Observer) -> Result<(), InvokeError> {
        for step in 0..self.steps.len() {
            let start = Instant::now();
            self.run(step)?;
            let duration = start.elapsed();
            observer.operator(&OperatorEvent {
                interpreter: self,
                step,
                duration,
            });
        }
        Ok(())
    }

    fn run(&mut self, index: usize) -> Result<(), InvokeError> {
        let step = &self.steps[index];
        let Some(kernel) = &step.kernel else {
            return Ok(());
        };
        let graph = self.model.graph();
        let subgraph = &graph.subgraphs()[0];
        let mut io = KernelIo::new(
            graph,
            &subgraph.tensors,
            &step.operands,
            &self.folded,
            self.arena.bytes_mut(),
        );
        kernel.eval(&mut io).map_err(|source| InvokeError {
            operator: step.operator,
            kind: subgraph.operators[step.operator].kind.clone(),
            source,
        })
    }

    /// Gives every variable its first value again: a stateful model forgets what it has seen.
    pub fn reset(&mut self) {
        for variable in &self.variables {
            if let Place::Arena(range) = &variable.operand.place
                && let Some(bytes) = self.arena.bytes_mut().get_mut(range.clone())
            {
                bytes.fill(variable.fill);
            }
        }
    }

    /// The operators in execution order.
    pub fn operators(&self) -> impl ExactSizeIterator<Item = OperatorInfo<'_>> {
        (0..self.steps.len()).map(|step| self.operator_info(step))
    }

    pub(super) fn operator_info(&self, step: usize) -> OperatorInfo<'_> {
        let step = &self.steps[step];
        OperatorInfo {
            index: step.operator,
            kind: &self.model.graph().subgraphs()[0].operators[step.operator].kind,
            kernel: match &step.kernel {
                Some(kernel) => kernel.name(),
                None if step.constant => "constant",
                None => "alias",
            },
            runs_on: step
                .kernel
                .as_ref()
                .map_or(RunsOn::Cpu, |kernel| kernel.runs_on()),
            macs: step.work.macs,
        }
    }

    pub(super) fn step_outputs(&self, step: usize) -> impl Iterator<Item = (usize, TensorRef<'_>)> {
        let outputs = self.steps[step].operands.outputs.iter();
        outputs.filter_map(|operand| Some((operand.tensor, self.view(operand).ok()?)))
    }

    fn view(&self, operand: &Operand) -> Result<TensorRef<'_>, crate::tensor::TensorError> {
        let tensor = &self.tensors()[operand.tensor];
        let bytes = match &operand.place {
            Place::Arena(range) => self.arena.bytes().get(range.clone()),
            Place::File => self.model.graph().data(tensor),
            Place::Folded(number) => {
                let len = tensor.ty.bytes(operand.shape.count()).unwrap_or(0);
                bytemuck::cast_slice::<u64, u8>(&self.folded[*number]).get(..len)
            }
        };
        let quantization = tensor.quantization.as_deref();
        TensorRef::new(
            tensor.ty,
            operand.shape,
            quantization,
            bytes.unwrap_or_default(),
        )
    }
}

fn find<'a>(
    operands: &'a [Operand],
    what: &'static str,
    index: usize,
) -> Result<&'a Operand, AccessError> {
    operands.get(index).ok_or(AccessError::Index {
        what,
        index,
        count: operands.len(),
    })
}

const _: () = {
    const fn is_send<T: Send>() {}
    is_send::<Interpreter>();
};
