//! Runs cases: a model, arrays for its inputs, a folder for its outputs.

use crate::arrays::{Outputs, npy_type, to_array};
use crate::failure::{Failure, Input};
use crate::output::complain;
use crate::run::RunOptions;
use corallite::delegate::{CpuReason, DeviceRequest, Placement};
use corallite::fixedpoint::Profile;
use corallite::interpreter::BuildError;
use corallite::model::{Model, Subgraph, Tensor};
use corallite::ops::KernelChoice;
use corallite::oracle::npy::NpyArray;
use corallite::tensor::Shape;
use corallite::{Interpreter, InterpreterBuilder};
use std::path::{Path, PathBuf};

/// One run of a model.
pub struct Case {
    /// The model file.
    pub model: PathBuf,
    /// Arrays: one per input and invocation.
    pub inputs: Vec<PathBuf>,
    /// Where the outputs go.
    pub folder: PathBuf,
}

/// How models are run.
pub struct Session {
    profile: Profile,
    kernels: KernelChoice,
    threads: usize,
    signature: Option<String>,
    resize: bool,
    device: DeviceRequest,
    cpu_model: Option<Model>,
    loaded: Option<Loaded>,
}

/// The model of the last case, with the interpreter that ran it.
struct Loaded {
    path: PathBuf,
    model: Model,
    /// The subgraph that runs.
    subgraph: usize,
    interpreter: Option<Interpreter>,
}

impl Loaded {
    fn subgraph(&self) -> &Subgraph {
        &self.model.graph().subgraphs()[self.subgraph]
    }
}

impl Session {
    /// A session without a model, but for the one that takes the place of a compiled one.
    pub fn new(options: &RunOptions) -> Result<Self, Failure> {
        let cpu_model = options.cpu_model.as_deref().map(load_model).transpose()?;
        Ok(Self {
            profile: options.profile,
            kernels: options.kernels,
            threads: options.threads,
            signature: options.signature.clone(),
            resize: options.resize,
            device: options.device.clone(),
            cpu_model,
            loaded: None,
        })
    }

    /// Runs a case from fresh state and writes its outputs.
    pub fn run(&mut self, case: &Case) -> Result<(), Failure> {
        // Taken out, so that a failure leaves no interpreter in an undefined state behind.
        let mut loaded = match self.loaded.take() {
            Some(loaded) if loaded.path == case.model => loaded,
            _ => load(&case.model, self.signature.as_deref())?,
        };
        let invocations = invocations(&loaded, case)?;
        let inputs = loaded.subgraph().inputs.len();
        let mut outputs = Outputs::new(&case.folder)?;
        let mut interpreter = None;
        for invocation in 0..invocations {
            let files = &case.inputs[invocation * inputs..][..inputs];
            let arrays = read(&loaded, files, self.resize)?;
            let interpreter = match &mut interpreter {
                Some(interpreter) => interpreter,
                none => none.insert(self.interpreter(&mut loaded, &arrays)?),
            };
            invoke(interpreter, &loaded, case, files, &arrays)?;
            for index in 0..interpreter.output_count() {
                let access = |source| Failure::Access {
                    model: case.model.clone(),
                    source,
                };
                let tensor = interpreter.output(index).map_err(access)?;
                let array = to_array(&tensor).ok_or_else(|| Failure::OutputType {
                    model: case.model.clone(),
                    output: index,
                    ty: tensor.ty(),
                })?;
                outputs.push(&array)?;
            }
        }
        outputs.finish()?;
        loaded.interpreter = interpreter;
        self.loaded = Some(loaded);
        Ok(())
    }

    /// The last case's interpreter with its state reset, or a new one where the shapes of the inputs are others.
    fn interpreter(
        &self,
        loaded: &mut Loaded,
        arrays: &[(NpyArray, Shape)],
    ) -> Result<Interpreter, Failure> {
        if let Some(mut interpreter) = loaded.interpreter.take() {
            let has = |index, shape| interpreter.input(index).is_ok_and(|t| t.shape() == shape);
            if arrays
                .iter()
                .enumerate()
                .all(|(i, (_, shape))| has(i, *shape))
            {
                interpreter.reset();
                return Ok(interpreter);
            }
        }
        let mut builder = InterpreterBuilder::new(&loaded.model)
            .profile(self.profile)
            .kernels(self.kernels)
            .threads(self.threads)
            .device(self.device.clone());
        if let Some(key) = &self.signature {
            builder = builder.signature(key);
        }
        if let Some(cpu_model) = &self.cpu_model {
            builder = builder.cpu_model(cpu_model);
        }
        let subgraph = loaded.subgraph();
        for (index, (&tensor, (_, shape))) in subgraph.inputs.iter().zip(arrays).enumerate() {
            if *shape != subgraph.tensors[tensor].shape {
                builder = builder.input_shape(index, *shape);
            }
        }
        let interpreter = builder.build().map_err(|source| Failure::Build {
            model: loaded.path.clone(),
            source: Box::new(source),
        })?;
        // Where a model runs that runs on no device anyway is nothing to speak of.
        match interpreter.placement() {
            None
            | Some(Placement::Cpu {
                reason: CpuReason::NotCompiled | CpuReason::Chosen,
            }) => {}
            Some(placement) => complain(&format!(
                "{}: running on {placement}",
                loaded.path.display()
            )),
        }
        Ok(interpreter)
    }
}

fn load(path: &Path, signature: Option<&str>) -> Result<Loaded, Failure> {
    let model = load_model(path)?;
    let subgraph = match signature {
        None => 0,
        Some(key) => match model.graph().signature(key) {
            Some(signature) => signature.subgraph,
            None => {
                let names = model.graph().signatures().iter();
                let source = BuildError::Signature {
                    found: key.to_owned(),
                    names: names.map(|signature| signature.key.clone()).collect(),
                };
                return Err(Failure::Build {
                    model: path.to_owned(),
                    source: Box::new(source),
                });
            }
        },
    };
    Ok(Loaded {
        path: path.to_owned(),
        model,
        subgraph,
        interpreter: None,
    })
}

/// Reads a model.
pub fn load_model(path: &Path) -> Result<Model, Failure> {
    Model::from_file(path).map_err(|source| Failure::Load {
        model: path.to_owned(),
        source: Box::new(source),
    })
}

/// How often the model runs: once per full set of inputs.
fn invocations(loaded: &Loaded, case: &Case) -> Result<usize, Failure> {
    let inputs = loaded.subgraph().inputs.len();
    let found = case.inputs.len();
    match (found, inputs) {
        (0, 0) => Ok(1),
        _ if inputs > 0 && found > 0 && found.is_multiple_of(inputs) => Ok(found / inputs),
        _ => Err(Failure::InputCount {
            model: case.model.clone(),
            found,
            inputs,
        }),
    }
}

/// Reads the arrays of one invocation, each with the shape that its input then has; with `resize` whatever the file
/// declares.
fn read(
    loaded: &Loaded,
    files: &[PathBuf],
    resize: bool,
) -> Result<Vec<(NpyArray, Shape)>, Failure> {
    let subgraph = loaded.subgraph();
    let mut arrays = Vec::with_capacity(files.len());
    for (index, (file, &tensor)) in files.iter().zip(&subgraph.inputs).enumerate() {
        let tensor = &subgraph.tensors[tensor];
        let array = NpyArray::read(file).map_err(|source| Failure::Array { source })?;
        let expected = npy_type(tensor.ty);
        if expected != Some(array.dtype) {
            return Err(Failure::InputType {
                input: input_of(loaded, index, file),
                found: array.dtype,
                ty: tensor.ty,
                expected,
            });
        }
        let shape = if resize {
            Shape::new(&array.shape).ok()
        } else {
            fitting_shape(tensor, &array.shape)
        };
        let Some(shape) = shape else {
            return Err(Failure::InputShape {
                input: input_of(loaded, index, file),
                found: array.shape,
                expected: tensor.shape,
                open: tensor.shape_signature.clone().filter(|s| s.contains(&-1)),
            });
        };
        arrays.push((array, shape));
    }
    Ok(arrays)
}

/// The shape of an array where the input can take it: the declared one, but for axes that the model leaves open.
fn fitting_shape(tensor: &Tensor, found: &[usize]) -> Option<Shape> {
    let declared = tensor.shape.dims();
    let is_open = |axis: usize| {
        let signature = tensor.shape_signature.as_deref().unwrap_or_default();
        signature.get(axis) == Some(&-1)
    };
    let fits = found.len() == declared.len()
        && (0..found.len()).all(|axis| found[axis] == declared[axis] || is_open(axis));
    Shape::new(found).ok().filter(|_| fits)
}

fn invoke(
    interpreter: &mut Interpreter,
    loaded: &Loaded,
    case: &Case,
    files: &[PathBuf],
    arrays: &[(NpyArray, Shape)],
) -> Result<(), Failure> {
    let access = |source| Failure::Access {
        model: case.model.clone(),
        source,
    };
    for (index, (array, shape)) in arrays.iter().enumerate() {
        let mut tensor = interpreter.input_mut(index).map_err(access)?;
        let first = tensor.shape();
        if first != *shape || tensor.copy_from_bytes(&array.data).is_err() {
            return Err(Failure::ShapeChanged {
                input: input_of(loaded, index, &files[index]),
                found: array.shape.clone(),
                first,
            });
        }
    }
    interpreter.invoke().map_err(|source| Failure::Invoke {
        model: case.model.clone(),
        source: Box::new(source),
    })
}

/// Input `index`, for which `file` was given.
fn input_of(loaded: &Loaded, index: usize, file: &Path) -> Box<Input> {
    let graph = loaded.model.graph();
    let subgraph = loaded.subgraph();
    let tensor = &subgraph.tensors[subgraph.inputs[index]];
    Box::new(Input {
        file: file.to_owned(),
        index,
        name: graph.tensor_name(tensor).to_owned(),
    })
}
