//! What the simulated chip computes.
//!
//! `nothing` leaves the outputs as they are and skips all work, to measure the host alone. `digest` is a function of
//! every input byte that a test can compute by itself. `twin` runs the uncompiled model.

use corallite::interpreter::OperatorEvent;
use corallite::{Interpreter, Model};

use crate::config::config;
use crate::layers::{Layer, Layers};

pub enum Engine {
    Nothing,
    Digest,
    Twin(Box<Twin>),
}

impl Engine {
    /// The configured engine for a node.
    pub fn new(layers: &Layers) -> Result<Self, String> {
        let twins = &config().twins;
        match config().engine.as_deref() {
            Some("nothing") => Ok(Self::Nothing),
            Some("digest") => Ok(Self::Digest),
            None if twins.is_empty() => Ok(Self::Digest),
            Some("twin") | None => {
                let mut reasons = String::new();
                for path in twins {
                    match Twin::new(path, layers) {
                        Ok(twin) => return Ok(Self::Twin(Box::new(twin))),
                        Err(reason) => reasons.push_str(&format!(" {}: {reason}.", path.display())),
                    }
                }
                Err(format!(
                    "Internal: the stand-in has no twin of this model.{reasons}"
                ))
            }
            Some(other) => Err(format!("Internal: the stand-in has no engine {other}.")),
        }
    }

    pub fn does_nothing(&self) -> bool {
        matches!(self, Self::Nothing)
    }

    /// One inference of one element of the batch: dense tensors in, dense tensors out, in the order of the layers.
    pub fn run(&mut self, inputs: &[&[u8]], outputs: &mut [Vec<u8>]) -> Result<(), String> {
        match self {
            Self::Nothing => Ok(()),
            Self::Digest => {
                digest(inputs, outputs);
                Ok(())
            }
            Self::Twin(twin) => twin.run(inputs, outputs),
        }
    }
}

/// The uncompiled model, whose tensors have the names of the package's layers.
pub struct Twin {
    interpreter: Interpreter,
    inputs: Vec<Feed>,
    /// The tensor that each output layer is.
    outputs: Vec<usize>,
}

/// How an input layer gets its value.
struct Feed {
    /// The model's input to write to.
    input: usize,
    /// The layer is not that input but this tensor: the compiler left the operators before it to the CPU. They turn
    /// uint8 into the int8 of the same meaning, so the input is the layer with other signs; whether that is true is seen
    /// in the run.
    behind: Option<usize>,
}

impl Twin {
    fn new(path: &std::path::Path, layers: &Layers) -> Result<Self, String> {
        let model = Model::from_file(path).map_err(|error| error.to_string())?;
        let graph = model.graph();
        let subgraph = &graph.subgraphs()[0];
        let named = |layer: &Layer, tensor: &usize| {
            graph.tensor_name(&subgraph.tensors[*tensor]) == layer.name
        };
        let result = |layer: &Layer| {
            let mut results = subgraph
                .operators
                .iter()
                .flat_map(|operator| operator.outputs.iter().copied());
            results.find(|tensor| named(layer, tensor))
        };
        let input = |layer: &Layer| {
            let found = subgraph
                .inputs
                .iter()
                .position(|tensor| named(layer, tensor));
            match (found, result(layer)) {
                (Some(input), _) => Ok(Feed {
                    input,
                    behind: None,
                }),
                (None, behind @ Some(_)) if subgraph.inputs.len() == 1 => {
                    Ok(Feed { input: 0, behind })
                }
                _ => Err(format!("no input {}", layer.name)),
            }
        };
        let output =
            |layer: &Layer| result(layer).ok_or_else(|| format!("no result {}", layer.name));
        Ok(Self {
            inputs: layers.inputs.iter().map(input).collect::<Result<_, _>>()?,
            outputs: layers
                .outputs
                .iter()
                .map(output)
                .collect::<Result<_, _>>()?,
            interpreter: Interpreter::builder(&model)
                .build()
                .map_err(|error| error.to_string())?,
        })
    }

    fn run(&mut self, inputs: &[&[u8]], outputs: &mut [Vec<u8>]) -> Result<(), String> {
        for (feed, bytes) in self.inputs.iter().zip(inputs) {
            let mut tensor = self
                .interpreter
                .input_mut(feed.input)
                .map_err(|error| error.to_string())?;
            tensor
                .copy_from_bytes(bytes)
                .map_err(|error| error.to_string())?;
            if feed.behind.is_some() {
                tensor.bytes_mut().iter_mut().for_each(|byte| *byte ^= 0x80);
            }
        }
        let feeds = &self.inputs;
        let mut as_expected = true;
        let wanted = &self.outputs;
        let mut take = |event: &OperatorEvent<'_>| {
            for (tensor, result) in event.outputs() {
                for (feed, bytes) in feeds.iter().zip(inputs) {
                    as_expected &= feed.behind != Some(tensor) || result.bytes() == *bytes;
                }
                for (place, output) in wanted.iter().zip(&mut *outputs) {
                    if *place == tensor && output.len() == result.bytes().len() {
                        output.copy_from_slice(result.bytes());
                    }
                }
            }
        };
        self.interpreter
            .invoke_observed(&mut take)
            .map_err(|error| error.to_string())?;
        if as_expected {
            Ok(())
        } else {
            Err(
                "Internal: what stands before a layer in the twin is none of the known forms."
                    .to_owned(),
            )
        }
    }
}

/// Byte j of output k is (k + 1) * S + j, where S is the sum over all inputs of (2p + 1) times byte p; all modulo 256.
fn digest(inputs: &[&[u8]], outputs: &mut [Vec<u8>]) {
    let mut sum = 0_u8;
    for input in inputs {
        for (place, byte) in input.iter().enumerate() {
            sum = sum.wrapping_add(
                (place as u8)
                    .wrapping_mul(2)
                    .wrapping_add(1)
                    .wrapping_mul(*byte),
            );
        }
    }
    for (index, output) in outputs.iter_mut().enumerate() {
        for (place, byte) in output.iter_mut().enumerate() {
            *byte = (index as u8)
                .wrapping_add(1)
                .wrapping_mul(sum)
                .wrapping_add(place as u8);
        }
    }
}
