//! Running a model by the names of its inputs and outputs.

use super::error::{AccessError, BuildError, InvokeError};
use super::invoke::Interpreter;
use super::observer::Observer;
use crate::model::{Model, SignatureTensor};
use crate::tensor::{Shape, TensorMut, TensorRef};

/// One signature of an interpreter's model: as the interpreter itself, but with names in place of indices.
///
/// See [`Interpreter::signature`].
pub struct SignatureRunner<'a> {
    interpreter: &'a mut Interpreter,
    model: Model,
    signature: usize,
    entry: usize,
}

impl<'a> SignatureRunner<'a> {
    pub(super) fn new(
        interpreter: &'a mut Interpreter,
        model: Model,
        signature: usize,
        entry: usize,
    ) -> Self {
        Self {
            interpreter,
            model,
            signature,
            entry,
        }
    }

    /// The names of the inputs, with their tensors.
    pub fn inputs(&self) -> &[SignatureTensor] {
        &self.model.graph().signatures()[self.signature].inputs
    }

    /// The names of the outputs, with their tensors.
    pub fn outputs(&self) -> &[SignatureTensor] {
        &self.model.graph().signatures()[self.signature].outputs
    }

    /// The input called `name`, for reading.
    ///
    /// # Errors
    /// The signature has no such input; the error names those there are.
    pub fn input(&self, name: &str) -> Result<TensorRef<'_>, AccessError> {
        self.interpreter
            .input_of(self.entry, self.input_index(name)?)
    }

    /// The input called `name`, for writing.
    ///
    /// # Errors
    /// The signature has no such input; the error names those there are.
    pub fn input_mut(&mut self, name: &str) -> Result<TensorMut<'_>, AccessError> {
        let index = self.input_index(name)?;
        self.interpreter.input_mut_of(self.entry, index)
    }

    /// The output called `name`, as the last inference of the signature left it.
    ///
    /// # Errors
    /// The signature has no such output, or it has no shape before the first inference.
    pub fn output(&self, name: &str) -> Result<TensorRef<'_>, AccessError> {
        let index = self.index("output", name, self.outputs())?;
        self.interpreter.output_of(self.entry, index)
    }

    /// Runs the signature once on its inputs as they are.
    ///
    /// # Errors
    /// As [`Interpreter::invoke`].
    pub fn invoke(&mut self) -> Result<(), InvokeError> {
        self.interpreter.run(self.entry, None)
    }

    /// As [`Interpreter::invoke_observed`].
    ///
    /// # Errors
    /// As [`Interpreter::invoke`].
    pub fn invoke_observed(&mut self, observer: &mut dyn Observer) -> Result<(), InvokeError> {
        self.interpreter.run(self.entry, Some(observer))
    }

    /// Gives the input called `name` another shape, as [`Interpreter::resize_input`].
    ///
    /// # Errors
    /// The signature has no such input, or the model cannot be prepared for the shape; all is then as it was.
    pub fn resize_input(&mut self, name: &str, shape: Shape) -> Result<(), BuildError> {
        let index = self
            .input_index(name)
            .map_err(|source| BuildError::Input { source })?;
        self.interpreter.resize(self.entry, &[(index, shape)])
    }

    fn input_index(&self, name: &str) -> Result<usize, AccessError> {
        self.index("input", name, self.inputs())
    }

    /// The index, among the subgraph's inputs or outputs, of the tensor called `name`.
    fn index(
        &self,
        what: &'static str,
        name: &str,
        names: &[SignatureTensor],
    ) -> Result<usize, AccessError> {
        let graph = self.model.graph();
        let signature = &graph.signatures()[self.signature];
        let subgraph = &graph.subgraphs()[signature.subgraph];
        let tensors = match what {
            "input" => &subgraph.inputs,
            _ => &subgraph.outputs,
        };
        names
            .iter()
            .find(|entry| entry.name == name)
            .and_then(|entry| tensors.iter().position(|&tensor| tensor == entry.tensor))
            .ok_or_else(|| AccessError::Name {
                what,
                found: name.to_owned(),
                signature: signature.key.clone(),
                names: names.iter().map(|entry| entry.name.clone()).collect(),
            })
    }
}
