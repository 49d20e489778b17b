//! One inference after another over the same arena.

use super::build::{Entry, build_entry};
use super::builder::InterpreterBuilder;
use super::error::{AccessError, BuildError, InvokeError};
use super::observer::{Observer, OperatorInfo};
use super::program::Program;
use super::runtime::Runtime;
use super::signature::SignatureRunner;
use crate::delegate::Placement;
use crate::model::Model;
use crate::ops::{KernelMemory, Operand, Place, Settings};
use crate::tensor::{Shape, TensorMut, TensorRef};

/// Runs one model: fill the inputs, invoke, read the outputs.
///
/// Building computes everything that does not depend on the input; [`invoke`](Self::invoke) allocates nothing, unless the
/// model's shapes depend on values. Inputs keep their values from one inference to the next. Several interpreters can
/// share one [`Model`]; one interpreter can move between threads.
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
    pub(super) runtime: Runtime,
    /// The subgraph that the interpreter was built for, then those of other signatures, as they were asked for.
    pub(super) entries: Vec<Entry>,
    pub(super) placement: Option<Placement>,
}

/// The entry that the interpreter was built for.
const MAIN: usize = 0;

impl Interpreter {
    /// Options for running `model`.
    pub fn builder(model: &Model) -> InterpreterBuilder {
        InterpreterBuilder::new(model)
    }

    /// The model.
    pub fn model(&self) -> &Model {
        &self.runtime.model
    }

    /// What the interpreter was built with.
    pub fn settings(&self) -> &Settings {
        &self.runtime.settings
    }

    /// Bytes of the arena: every tensor an inference computes, and scratch memory; with those of the subgraphs that the
    /// model's control flow runs, and with what tensors whose shapes depend on values took most so far.
    pub fn arena_bytes(&self) -> usize {
        self.main().total_arena_bytes()
    }

    /// Where it runs and why there; `None` where the builder was not asked for a device.
    pub fn placement(&self) -> Option<&Placement> {
        self.placement.as_ref()
    }

    /// Bytes that kernels take beside the arena: weights packed for the machine in all, and scratch memory of each thread.
    pub fn kernel_memory(&self) -> KernelMemory {
        KernelMemory {
            packed: self.main().total_packed_bytes(),
            workspace: self.runtime.workers.workspace_bytes(),
        }
    }

    /// The number of inputs.
    pub fn input_count(&self) -> usize {
        self.main().inputs.len()
    }

    /// The number of outputs.
    pub fn output_count(&self) -> usize {
        self.main().outputs.len()
    }

    fn main(&self) -> &Program {
        &self.entries[MAIN].program
    }

    /// Input `index`, in the order of the file, for reading.
    ///
    /// # Errors
    /// The model has no such input.
    pub fn input(&self, index: usize) -> Result<TensorRef<'_>, AccessError> {
        self.input_of(MAIN, index)
    }

    /// Input `index`, in the order of the file, for writing.
    ///
    /// # Errors
    /// The model has no such input.
    pub fn input_mut(&mut self, index: usize) -> Result<TensorMut<'_>, AccessError> {
        self.input_mut_of(MAIN, index)
    }

    /// Output `index`, in the order of the file, as the last inference left it: where the model decides its shape, with
    /// the shape it then had.
    ///
    /// # Errors
    /// The model has no such output, or it has no shape before the first inference.
    pub fn output(&self, index: usize) -> Result<TensorRef<'_>, AccessError> {
        self.output_of(MAIN, index)
    }

    /// Runs the model once on the inputs as they are.
    ///
    /// # Errors
    /// An operator met a value it is not defined for, a device failed, or a limit was reached; the outputs are then
    /// undefined.
    pub fn invoke(&mut self) -> Result<(), InvokeError> {
        self.run(MAIN, None)
    }

    /// Like [`invoke`](Self::invoke), showing each operator to `observer` after it ran. Operators of the subgraphs that
    /// control flow runs are not shown; the operator that runs them is.
    ///
    /// # Errors
    /// As [`invoke`](Self::invoke); operators before the failing one have been shown.
    pub fn invoke_observed(&mut self, observer: &mut dyn Observer) -> Result<(), InvokeError> {
        self.run(MAIN, Some(observer))
    }

    /// Gives input `index` another shape and prepares the model for it. Axes that the file leaves open take any extent,
    /// others whatever the operators take. See [`resize_inputs`](Self::resize_inputs).
    ///
    /// ```
    /// # use corallite::{Interpreter, Model, tensor::Shape};
    /// # let file = concat!(env!("CARGO_MANIFEST_DIR"), "/examples/data/fashion_mnist_int8.tflite");
    /// # let model = Model::from_file(file)?;
    /// let mut interpreter = Interpreter::builder(&model).build()?;
    /// // Four pictures at once; the file says [1, 28, 28, 1].
    /// interpreter.resize_input(0, Shape::new(&[4, 28, 28, 1])?)?;
    /// interpreter.input_mut(0)?.copy_from(&[0i8; 4 * 28 * 28])?;
    /// interpreter.invoke()?;
    /// assert_eq!(interpreter.output(0)?.shape().dims(), [4, 10]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// As [`InterpreterBuilder::build`]; the interpreter is then as it was.
    pub fn resize_input(&mut self, index: usize, shape: Shape) -> Result<(), BuildError> {
        self.resize_inputs(&[(index, shape)])
    }

    /// Gives several inputs other shapes at once and prepares the model for them. All inputs, outputs and variable
    /// tensors start over; resource variables keep their values.
    ///
    /// # Errors
    /// As [`InterpreterBuilder::build`]; the interpreter is then as it was.
    pub fn resize_inputs(&mut self, shapes: &[(usize, Shape)]) -> Result<(), BuildError> {
        self.resize(MAIN, shapes)
    }

    /// The signature `key`, to run it by the names of its inputs and outputs. Its subgraph is prepared at the first call.
    ///
    /// All signatures of an interpreter share its resource variables. Of the signature that the interpreter was built
    /// for, which without [`InterpreterBuilder::signature`] is any of the first subgraph, the tensors are those that
    /// [`input`](Self::input) and [`output`](Self::output) give by index.
    ///
    /// ```
    /// # use corallite::{Interpreter, Model};
    /// # let file = concat!(env!("CARGO_MANIFEST_DIR"), "/examples/data/fashion_mnist_int8.tflite");
    /// # let model = Model::from_file(file)?;
    /// let mut interpreter = Interpreter::builder(&model).build()?;
    /// let mut serving = interpreter.signature("serving_default")?;
    /// let (input, output) = (serving.inputs()[0].name.clone(), serving.outputs()[0].name.clone());
    /// serving.input_mut(&input)?.copy_from(&[0i8; 28 * 28])?;
    /// serving.invoke()?;
    /// assert_eq!(serving.output(&output)?.shape().dims(), [1, 10]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// The model has no such signature, which names those there are, or its subgraph cannot be prepared.
    pub fn signature(&mut self, key: &str) -> Result<SignatureRunner<'_>, BuildError> {
        let model = self.runtime.model.clone();
        let signature = find_signature(&model, key)?;
        let subgraph = model.graph().signatures()[signature].subgraph;
        let built = self
            .entries
            .iter()
            .position(|entry| entry.program.subgraph == subgraph);
        let entry = match built {
            Some(entry) => entry,
            None => {
                let entry = build_entry(&mut self.runtime, subgraph, Vec::new())?;
                self.entries.push(entry);
                self.entries.len() - 1
            }
        };
        Ok(SignatureRunner::new(self, model, signature, entry))
    }

    /// Forgets all that inferences left: variable tensors have their first values again, resource variables are
    /// unassigned, and what runs once runs again.
    pub fn reset(&mut self) {
        self.runtime.reset();
        for entry in &mut self.entries {
            entry.program.reset();
        }
    }

    /// The operators in execution order.
    pub fn operators(&self) -> impl ExactSizeIterator<Item = OperatorInfo<'_>> {
        let model = &self.runtime.model;
        let count = model.graph().subgraphs()[self.main().subgraph]
            .operators
            .len();
        (0..count).map(|number| self.main().operator_info(model, number))
    }

    pub(super) fn run(
        &mut self,
        entry: usize,
        observer: Option<&mut dyn Observer>,
    ) -> Result<(), InvokeError> {
        self.runtime.start();
        self.entries[entry].program.run(&mut self.runtime, observer)
    }

    pub(super) fn resize(
        &mut self,
        entry: usize,
        changes: &[(usize, Shape)],
    ) -> Result<(), BuildError> {
        let old = &self.entries[entry];
        let mut shapes = old.shapes.clone();
        shapes.retain(|(index, _)| changes.iter().all(|(changed, _)| changed != index));
        shapes.extend_from_slice(changes);
        let memory = self.runtime.memory;
        self.runtime.memory.give_back(old.program.taken());
        let built = build_entry(&mut self.runtime, old.program.subgraph, shapes);
        if built.is_err() {
            self.runtime.memory = memory;
        }
        self.entries[entry] = built?;
        Ok(())
    }

    pub(super) fn input_of(
        &self,
        entry: usize,
        index: usize,
    ) -> Result<TensorRef<'_>, AccessError> {
        let program = &self.entries[entry].program;
        let operand = find(&program.inputs, "input", index)?;
        self.view(program, operand, "input", index)
    }

    pub(super) fn output_of(
        &self,
        entry: usize,
        index: usize,
    ) -> Result<TensorRef<'_>, AccessError> {
        let program = &self.entries[entry].program;
        let operand = find(&program.outputs, "output", index)?;
        self.view(program, operand, "output", index)
    }

    fn view<'a>(
        &'a self,
        program: &'a Program,
        operand: &'a Operand,
        what: &'static str,
        index: usize,
    ) -> Result<TensorRef<'a>, AccessError> {
        if operand.place == Place::Open {
            return Err(AccessError::Open { index });
        }
        let view = program.view(self.runtime.model.graph(), operand);
        view.map_err(|source| AccessError::Tensor {
            what,
            index,
            source,
        })
    }

    pub(super) fn input_mut_of(
        &mut self,
        entry: usize,
        index: usize,
    ) -> Result<TensorMut<'_>, AccessError> {
        let Program {
            subgraph,
            inputs,
            arena,
            ..
        } = &mut self.entries[entry].program;
        let operand = find(inputs, "input", index)?;
        let graph = self.runtime.model.graph();
        let tensor = &graph.subgraphs()[*subgraph].tensors[operand.tensor];
        let bytes = match &operand.place {
            Place::Arena(range) => arena.bytes_mut().get_mut(range.clone()),
            Place::File | Place::Folded(_) | Place::Open => None,
        };
        let quantization = tensor.quantization.as_deref();
        TensorMut::new(
            tensor.ty,
            &operand.shape,
            quantization,
            bytes.unwrap_or_default(),
        )
        .map_err(|source| AccessError::Tensor {
            what: "input",
            index,
            source,
        })
    }
}

/// The number of a signature, or the names of those there are.
pub(super) fn find_signature(model: &Model, key: &str) -> Result<usize, BuildError> {
    let signatures = model.graph().signatures();
    let found = signatures.iter().position(|signature| signature.key == key);
    found.ok_or_else(|| BuildError::Signature {
        found: key.to_owned(),
        names: signatures.iter().map(|s| s.key.clone()).collect(),
    })
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
