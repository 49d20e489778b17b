//! What an application chooses before a model runs.

use super::build;
use super::error::BuildError;
use super::invoke::Interpreter;
use crate::delegate::Delegate;
use crate::fixedpoint::Profile;
use crate::model::Model;
use crate::ops::{KernelChoice, Settings};
use crate::tensor::Shape;

/// The arena an interpreter may take unless told otherwise: 512 MiB.
pub const DEFAULT_ARENA_LIMIT: usize = 512 << 20;

/// Options of an [`Interpreter`], each with a default that suits most applications.
#[must_use]
pub struct InterpreterBuilder {
    pub(super) model: Model,
    pub(super) settings: Settings,
    pub(super) shapes: Vec<(usize, Shape)>,
    pub(super) arena_limit: usize,
    pub(super) delegates: Vec<Box<dyn Delegate>>,
}

impl InterpreterBuilder {
    /// Options for running the first subgraph of `model`.
    pub fn new(model: &Model) -> Self {
        Self {
            model: model.clone(),
            settings: Settings::default(),
            shapes: Vec::new(),
            arena_limit: DEFAULT_ARENA_LIMIT,
            delegates: Vec::new(),
        }
    }

    /// Whose arithmetic is reproduced; TFLite's reference kernels unless set.
    pub fn profile(mut self, profile: Profile) -> Self {
        self.settings.profile = profile;
        self
    }

    /// Which kernel variants may be chosen; the fastest unless set.
    pub fn kernels(mut self, kernels: KernelChoice) -> Self {
        self.settings.kernels = kernels;
        self
    }

    /// How many threads an operator may use, 1 unless set; 0 counts as 1. Results are the same for every number.
    pub fn threads(mut self, threads: usize) -> Self {
        self.settings.threads = threads.max(1);
        self
    }

    /// Gives input `index` another shape than the file's; operators then compute theirs from it.
    pub fn input_shape(mut self, index: usize, shape: Shape) -> Self {
        self.shapes.push((index, shape));
        self
    }

    /// Lets `delegate` run the operators it claims; of several delegates the first that claims an operator gets it.
    pub fn delegate(mut self, delegate: impl Delegate + 'static) -> Self {
        self.delegates.push(Box::new(delegate));
        self
    }

    /// The most bytes the arena and the constants computed at build time may take, [`DEFAULT_ARENA_LIMIT`] unless set.
    pub fn arena_limit(mut self, bytes: usize) -> Self {
        self.arena_limit = bytes;
        self
    }

    /// Prepares every operator and lays out the arena.
    ///
    /// # Errors
    /// Operators without a kernel (all are listed), meaningless quantization parameters (all findings), shapes or
    /// attributes that an operator does not take, or an arena beyond the limit.
    pub fn build(self) -> Result<Interpreter, BuildError> {
        build::build(self)
    }
}
