//! `corallite inspect`: what a model file holds and what running it takes.

mod compiled;
mod json;
mod labels;
mod text;

use crate::check::{Lacking, no_model};
use crate::failure::Failure;
use crate::output::print;
use crate::session::load_model;
use compiled::Compiled;
use corallite::Interpreter;
use corallite::delegate::{AbsentEdgeTpu, EDGE_TPU_OPERATOR};
use corallite::model::{Candidate, Graph, Model, Report, Subgraph, Tensor};
use corallite::ops::{MissingOperator, RunsOn};
use labels::ModelMetadata;
use std::path::{Path, PathBuf};

/// Options of `corallite inspect`.
pub struct InspectOptions {
    /// The model file.
    pub model: PathBuf,
    /// The model that it was compiled from.
    pub cpu_model: Option<PathBuf>,
    /// Whether JSON is wanted.
    pub json: bool,
}

/// Prints what is known of a model.
pub fn inspect(options: &InspectOptions) -> Result<(), Failure> {
    let (path, as_json) = (options.model.as_path(), options.json);
    let candidate = Candidate::from_file(path).map_err(|source| no_model(path, source, as_json))?;
    let mut report = candidate.report().clone();
    let Lacking { missing, .. } = Lacking::of(candidate.graph(), &mut report);
    // A model with errors can be looked at all the same.
    let (candidate, model) = if candidate.report().has_errors() {
        (Some(candidate), None)
    } else {
        (None, candidate.into_model().ok())
    };
    let graph = match (&candidate, &model) {
        (Some(candidate), _) => candidate.graph(),
        (None, Some(model)) => model.graph(),
        (None, None) => unreachable!("a candidate without errors is a model"),
    };
    let running = running(model.as_ref(), &report);
    let twin_macs = match &options.cpu_model {
        Some(path) => Some(twin_macs(path)?),
        None => None,
    };
    let inspection = Inspection {
        path,
        graph,
        compiled: Compiled::of(graph, running.as_ref().ok(), twin_macs),
        running,
        missing,
        metadata: ModelMetadata::of(graph),
        report,
    };
    if as_json {
        print(&format!("{:#}\n", json::render(&inspection)))
    } else {
        print(&text::render(&inspection))
    }
}

/// All that is shown.
struct Inspection<'a> {
    path: &'a Path,
    graph: &'a Graph,
    report: Report,
    missing: Vec<MissingOperator>,
    running: Result<Running, String>,
    compiled: Option<Compiled>,
    metadata: ModelMetadata,
}

/// What running the model takes here.
struct Running {
    arena_bytes: usize,
    /// By operator of subgraph 0.
    operators: Vec<Runs>,
}

/// How one operator runs.
struct Runs {
    kernel: &'static str,
    /// Multiply-accumulate operations; `None` of what runs on an Edge TPU, which no compiled model tells.
    macs: Option<u64>,
}

/// Builds an interpreter, or says why there is none. No device is needed to look at a compiled model.
fn running(model: Option<&Model>, report: &Report) -> Result<Running, String> {
    let model = model.ok_or_else(|| report.to_string())?;
    let interpreter = Interpreter::builder(model)
        .delegate(AbsentEdgeTpu)
        .build()
        .map_err(|error| error.to_string())?;
    Ok(Running {
        arena_bytes: interpreter.arena_bytes(),
        operators: interpreter
            .operators()
            .map(|operator| Runs {
                kernel: operator.kernel,
                macs: (operator.runs_on == RunsOn::Cpu).then_some(operator.macs),
            })
            .collect(),
    })
}

/// The multiply-accumulate operations of the model that another one was compiled from, or why it does not run.
fn twin_macs(path: &Path) -> Result<Result<u64, String>, Failure> {
    let model = load_model(path)?;
    Ok(match Interpreter::builder(&model).build() {
        Ok(interpreter) => Ok(interpreter.operators().map(|operator| operator.macs).sum()),
        Err(error) => Err(format!("{}: {error}", path.display())),
    })
}

impl Running {
    /// Of everything that runs on the CPU.
    fn macs(&self) -> u64 {
        self.operators.iter().filter_map(|runs| runs.macs).sum()
    }
}

/// The part a tensor plays in its subgraph.
fn role(graph: &Graph, subgraph: &Subgraph, index: usize, tensor: &Tensor) -> &'static str {
    if graph.data(tensor).is_some() {
        "constant"
    } else if subgraph.inputs.contains(&index) {
        "input"
    } else if subgraph.outputs.contains(&index) {
        "output"
    } else if tensor.is_variable {
        "variable"
    } else {
        ""
    }
}

/// How many tensors of one element type are quantized in which way.
#[derive(Default)]
struct Scheme {
    tensors: usize,
    constants: usize,
    constant_bytes: usize,
    per_tensor: usize,
    per_channel: usize,
}

/// The quantization of all tensors, by element type in order of name.
fn schemes(graph: &Graph) -> std::collections::BTreeMap<String, Scheme> {
    let mut schemes = std::collections::BTreeMap::<String, Scheme>::new();
    for tensor in graph.subgraphs().iter().flat_map(|s| &s.tensors) {
        let scheme = schemes.entry(tensor.ty.to_string()).or_default();
        scheme.tensors += 1;
        if let Some(data) = graph.data(tensor) {
            scheme.constants += 1;
            scheme.constant_bytes += data.len();
        }
        match tensor.quantization.as_deref() {
            Some(q) if q.is_per_channel() => scheme.per_channel += 1,
            Some(q) if q.scale().is_some() => scheme.per_tensor += 1,
            _ => {}
        }
    }
    schemes
}

/// Operators of the same kind, version and types, in order of first use, with those of subgraph 0 by index.
struct Group {
    operator: String,
    version: i32,
    inputs: Vec<String>,
    outputs: Vec<String>,
    count: usize,
    has_kernel: bool,
    macs: Option<u64>,
}

impl Group {
    /// Who runs it, in a word or two.
    fn status(&self) -> &'static str {
        if self.has_kernel {
            "runs here"
        } else if self.operator == EDGE_TPU_OPERATOR {
            "Edge TPU"
        } else {
            "no kernel here"
        }
    }
}

fn groups(inspection: &Inspection<'_>) -> Vec<Group> {
    let mut groups: Vec<Group> = Vec::new();
    for (number, subgraph) in inspection.graph.subgraphs().iter().enumerate() {
        for (index, operator) in subgraph.operators.iter().enumerate() {
            let ty = |&tensor: &usize| subgraph.tensors[tensor].ty;
            let types = |list: &mut dyn Iterator<Item = &usize>| -> Vec<String> {
                list.map(|t| ty(t).to_string()).collect()
            };
            let inputs = types(&mut operator.inputs.iter().flatten());
            let outputs = types(&mut operator.outputs.iter());
            let name = operator.kind.to_string();
            let macs = match &inspection.running {
                Ok(running) if number == 0 => running.operators.get(index).and_then(|o| o.macs),
                _ => None,
            };
            let same = groups.iter_mut().find(|group| {
                group.operator == name
                    && group.version == operator.version
                    && group.inputs == inputs
                    && group.outputs == outputs
            });
            if let Some(group) = same {
                group.count += 1;
                group.macs = group.macs.zip(macs).map(|(a, b)| a + b);
                continue;
            }
            let is_missing = inspection.missing.iter().any(|missing| {
                missing.kind == operator.kind
                    && missing.version == operator.version
                    && missing
                        .inputs
                        .iter()
                        .copied()
                        .eq(operator.inputs.iter().flatten().map(ty))
                    && missing
                        .outputs
                        .iter()
                        .copied()
                        .eq(operator.outputs.iter().map(ty))
            });
            let has_kernel = !is_missing && name != EDGE_TPU_OPERATOR;
            groups.push(Group {
                operator: name,
                version: operator.version,
                inputs,
                outputs,
                count: 1,
                has_kernel,
                macs,
            });
        }
    }
    groups
}
