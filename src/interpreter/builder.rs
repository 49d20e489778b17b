//! What an application chooses before a model runs.

use super::build::build_entry;
use super::error::BuildError;
use super::invoke::{Interpreter, find_signature};
use super::runtime::{Limits, Runtime};
use crate::delegate::{Delegate, DeviceRequest, Placement, place};
use crate::fixedpoint::Profile;
use crate::model::Model;
use crate::ops::{KernelChoice, Settings};
use crate::tensor::Shape;

/// The arena an interpreter may take unless told otherwise: 512 MiB.
pub const DEFAULT_ARENA_LIMIT: usize = 512 << 20;

/// The units of work an inference may take unless told otherwise: 2^40, some ten times the largest models for edge
/// devices.
pub const DEFAULT_WORK_LIMIT: u64 = 1 << 40;

/// The rounds that all loops of an inference may take unless told otherwise: a million.
pub const DEFAULT_LOOP_LIMIT: u64 = 1_000_000;

/// Options of an [`Interpreter`], each with a default that suits most applications.
#[must_use]
pub struct InterpreterBuilder {
    model: Model,
    settings: Settings,
    signature: Option<String>,
    shapes: Vec<(usize, Shape)>,
    limits: Limits,
    delegates: Vec<Box<dyn Delegate>>,
    device: Option<DeviceRequest>,
    cpu_model: Option<Model>,
}

impl InterpreterBuilder {
    /// Options for running the first subgraph of `model`, unless [`signature`](Self::signature) names another.
    pub fn new(model: &Model) -> Self {
        Self {
            model: model.clone(),
            settings: Settings::default(),
            signature: None,
            shapes: Vec::new(),
            limits: Limits {
                arena: DEFAULT_ARENA_LIMIT,
                work: DEFAULT_WORK_LIMIT,
                loops: DEFAULT_LOOP_LIMIT,
            },
            delegates: Vec::new(),
            device: None,
            cpu_model: None,
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

    /// Runs the subgraph of the signature `key`: indices of inputs and outputs are then those of this subgraph. Other
    /// signatures can be run as well, see [`Interpreter::signature`].
    pub fn signature(mut self, key: &str) -> Self {
        self.signature = Some(key.to_owned());
        self
    }

    /// Gives input `index` another shape than the file's; operators then compute theirs from it. Axes that the file
    /// leaves open take any extent, others whatever the operators take.
    pub fn input_shape(mut self, index: usize, shape: Shape) -> Self {
        self.shapes.push((index, shape));
        self
    }

    /// Lets `delegate` run the operators it claims; of several delegates the first that claims an operator gets it.
    pub fn delegate(mut self, delegate: impl Delegate + 'static) -> Self {
        self.delegates.push(Box::new(delegate));
        self
    }

    /// The most bytes that the arenas and the constants computed at build time may take, [`DEFAULT_ARENA_LIMIT`] unless
    /// set. Resource variables may take as many again, and so may one operator at a time for what follows from values
    /// alone. Weights that operators pack may take as many, and eight bytes for each of the file's.
    pub fn arena_limit(mut self, bytes: usize) -> Self {
        self.limits.arena = bytes;
        self
    }

    /// The most work that one inference may take, [`DEFAULT_WORK_LIMIT`] unless set. A unit is a multiply-accumulate
    /// operation or an element that an operator reads or writes.
    pub fn work_limit(mut self, units: u64) -> Self {
        self.limits.work = units;
        self
    }

    /// The most rounds that all loops of one inference may take together, [`DEFAULT_LOOP_LIMIT`] unless set.
    pub fn loop_limit(mut self, rounds: u64) -> Self {
        self.limits.loops = rounds;
        self
    }

    /// Runs what is compiled for the Edge TPU on the device that `request` names: a [`DeviceRequest`], or only a
    /// selector such as `"usb:0".parse()?`.
    ///
    /// Without it no device is looked for. With `auto`, a model that is not compiled runs on the CPU, and a compiled one
    /// on the first Edge TPU that can be used; where none can, [`cpu_model`](Self::cpu_model) runs in its place if it was
    /// given. With any other name it is that device or an error. [`Interpreter::placement`] tells the outcome, `log` too.
    ///
    /// Interpreters of one process share a device; other processes are kept out by a lock. A device that fails ends the
    /// process or never answers: that is libedgetpu's nature.
    ///
    /// ```no_run
    /// use corallite::device::DeviceSelector;
    /// use corallite::{Interpreter, Model};
    ///
    /// let compiled = Model::from_file("mobilenet_v1_0.25_128_quant_edgetpu.tflite")?;
    /// let uncompiled = Model::from_file("mobilenet_v1_0.25_128_quant.tflite")?;
    /// let interpreter = Interpreter::builder(&compiled)
    ///     .device(DeviceSelector::Auto)
    ///     .cpu_model(&uncompiled)
    ///     .build()?;
    /// if let Some(placement) = interpreter.placement() {
    ///     println!("running on {placement}");
    /// }
    /// # Ok::<(), corallite::Error>(())
    /// ```
    pub fn device(mut self, request: impl Into<DeviceRequest>) -> Self {
        self.device = Some(request.into());
        self
    }

    /// The model that the compiled one was compiled from: it runs where no Edge TPU can be used, see
    /// [`device`](Self::device). Its inputs and outputs must be the same.
    pub fn cpu_model(mut self, model: &Model) -> Self {
        self.cpu_model = Some(model.clone());
        self
    }

    /// Prepares every operator and lays out the arena.
    ///
    /// # Errors
    /// No place for the model, where a device was asked for; operators without a kernel (all are listed), meaningless quantization parameters (all findings), shapes or
    /// attributes that an operator does not take, a signature that there is not, or memory or work beyond the limits.
    pub fn build(mut self) -> Result<Interpreter, BuildError> {
        let placement = self.find_place()?;
        let subgraph = match &self.signature {
            Some(key) => {
                let signature = find_signature(&self.model, key)?;
                self.model.graph().signatures()[signature].subgraph
            }
            None => 0,
        };
        let mut runtime = Runtime::new(self.model, self.settings, self.limits, self.delegates);
        let entries = vec![build_entry(&mut runtime, subgraph, self.shapes)?];
        Ok(Interpreter {
            runtime,
            entries,
            placement,
        })
    }

    /// Finds the device that was asked for, or puts the model for the CPU in the compiled one's place.
    fn find_place(&mut self) -> Result<Option<Placement>, BuildError> {
        let Some(request) = &self.device else {
            return Ok(None);
        };
        let placed = place(&self.model, self.cpu_model.as_ref(), request).map_err(|source| {
            BuildError::Attach {
                source: Box::new(source),
            }
        })?;
        if let (true, Some(twin)) = (placed.runs_twin, self.cpu_model.take()) {
            self.model = twin;
        }
        if let Some(delegate) = placed.delegate {
            self.delegates.push(Box::new(delegate));
        }
        Ok(Some(placed.placement))
    }
}
