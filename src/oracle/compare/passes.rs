//! The runs: once to pair arrays and tensors, then as it is and on the training side's own values.

use super::cause::{grid_step, likeliest, stored_and_trained_bias, stored_codes};
use super::dump::Dump;
use super::inputs::{self, Input};
use super::layer::{InputError, Layer};
use super::mapping::{Layout, Map, PairedBy, Pairing, Seeker, Unpaired, scope, slice};
use super::verdict::Verdict;
use super::{Codes, CompareError, Comparison, law};
use crate::fixedpoint::Profile;
use crate::interpreter::{Interpreter, Observer, OperatorEvent, OperatorResults};
use crate::model::{BuiltinOperator, Graph, Model, Operator, OperatorKind, Subgraph};
use crate::ops::KernelChoice;
use crate::tensor::{TensorRef, TensorType};

pub(super) fn compare(
    model: &Model,
    dump: &Dump,
    map: &Map,
    profile: Profile,
) -> Result<Comparison, CompareError> {
    let graph = model.graph();
    let subgraph = straight(graph)?;
    let inputs = inputs::find(graph, subgraph, dump, map)?;
    let fixed = fixed_pairs(graph, subgraph, dump, map)?;
    compare_pairs(model, dump, inputs, &fixed, profile)
}

/// The first subgraph, where it has no control flow.
pub(in crate::oracle) fn straight(graph: &Graph) -> Result<&Subgraph, CompareError> {
    let subgraph = &graph.subgraphs()[0];
    match subgraph.operators.iter().find(|op| !op.calls.is_empty()) {
        Some(operator) => Err(CompareError::ControlFlow {
            operator: operator.kind.to_string(),
        }),
        None => Ok(subgraph),
    }
}

/// An interpreter whose kernels keep their sums.
pub(super) fn interpreter(model: &Model, profile: Profile) -> Result<Interpreter, CompareError> {
    Interpreter::builder(model)
        .profile(profile)
        .kernels(KernelChoice::Reference)
        .build()
        .map_err(|source| CompareError::Build {
            source: Box::new(source),
        })
}

/// Compares on these inputs; by tensor index, `fixed` says which array it has, or that it has none.
pub(in crate::oracle) fn compare_pairs(
    model: &Model,
    dump: &Dump,
    inputs: Vec<Input>,
    fixed: &[(usize, Option<usize>)],
    profile: Profile,
) -> Result<Comparison, CompareError> {
    let graph = model.graph();
    let subgraph = straight(graph)?;
    let inferences = count_inferences(subgraph, dump, &inputs)?;
    let mut interpreter = interpreter(model, profile)?;
    let mut job = Job {
        graph,
        subgraph,
        dump,
        inferences,
        layers: Vec::new(),
        layer_of: vec![None; subgraph.tensors.len()],
        is_free: (0..dump.arrays().len())
            .map(|array| inputs.iter().all(|input| input.array != array))
            .collect(),
    };
    job.run(&mut interpreter, &inputs, 0, Mode::Pair { fixed })?;
    if job.layers.is_empty() {
        return Err(CompareError::NotQuantized);
    }
    if job.layers.iter().all(|layer| layer.pairing.is_err()) {
        return Err(CompareError::NothingMapped {
            tensors: job.layers.len(),
            arrays: dump.arrays().len(),
        });
    }
    job.prepare_laws();
    // State, where a model has some, goes on from inference to inference in either run.
    for mode in [Mode::Cumulative, Mode::Local] {
        interpreter.reset();
        for number in 0..inferences {
            job.run(&mut interpreter, &inputs, number, mode)?;
        }
    }
    Ok(job.finish(inputs))
}

/// What the map says, by tensor index.
fn fixed_pairs(
    graph: &Graph,
    subgraph: &Subgraph,
    dump: &Dump,
    map: &Map,
) -> Result<Vec<(usize, Option<usize>)>, CompareError> {
    let mut fixed = Vec::new();
    for (tensor, array) in &map.tensors {
        let computed = |&t: &usize| {
            let mut operators = subgraph.operators.iter();
            operators.any(|operator| operator.outputs.contains(&t))
        };
        let named = subgraph.tensors.iter();
        let index = named
            .map(|t| graph.tensor_name(t))
            .position(|name| name == tensor)
            .or_else(|| tensor.parse().ok())
            .filter(computed)
            .ok_or_else(|| CompareError::NoSuchTensor {
                tensor: tensor.clone(),
            })?;
        let array = array
            .as_deref()
            .map(|name| inputs::find_array(dump, name))
            .transpose()?;
        fixed.push((index, array));
    }
    Ok(fixed)
}

pub(in crate::oracle) fn count_inferences(
    subgraph: &Subgraph,
    dump: &Dump,
    inputs: &[Input],
) -> Result<usize, CompareError> {
    let mut inferences = None;
    for (input, &tensor) in inputs.iter().zip(&subgraph.inputs) {
        let array = &dump.arrays()[input.array];
        let found = array.values.len() / subgraph.tensors[tensor].shape.count().max(1);
        match inferences {
            None => inferences = Some(found),
            Some(expected) if expected != found => {
                return Err(CompareError::Samples {
                    array: array.name.clone(),
                    found,
                    expected,
                });
            }
            Some(_) => {}
        }
    }
    Ok(inferences.unwrap_or(1))
}

/// What a run is for.
#[derive(Clone, Copy)]
enum Mode<'m> {
    /// Finds the arrays, on the training side's own values as far as they are found. By tensor what the map says.
    Pair {
        fixed: &'m [(usize, Option<usize>)],
    },
    Cumulative,
    Local,
}

struct Job<'a> {
    graph: &'a Graph,
    subgraph: &'a Subgraph,
    dump: &'a Dump,
    inferences: usize,
    layers: Vec<Layer>,
    /// By tensor, its layer.
    layer_of: Vec<Option<usize>>,
    /// By array, whether no tensor has it.
    is_free: Vec<bool>,
}

impl Job<'_> {
    /// One inference.
    fn run(
        &mut self,
        interpreter: &mut Interpreter,
        inputs: &[Input],
        number: usize,
        mode: Mode<'_>,
    ) -> Result<(), CompareError> {
        inputs::write(inputs, interpreter, number, self.inferences)?;
        let tensors = self.subgraph.tensors.iter();
        let constant = |t| self.graph.data(t).is_some().then_some(0.0);
        let mut known: Vec<Option<f64>> = tensors.map(constant).collect();
        for (input, &tensor) in inputs.iter().zip(&self.subgraph.inputs) {
            known[tensor] = Some(input.distance);
        }
        let mut pass = Pass {
            job: self,
            mode,
            number,
            known,
            found: Vec::new(),
            failure: None,
        };
        let result = interpreter.invoke_observed(&mut pass);
        if let Some(failure) = pass.failure.take() {
            return Err(failure);
        }
        result.map_err(|source| CompareError::Invoke { source })
    }

    /// Sets up the error law of every paired layer with weights.
    fn prepare_laws(&mut self) {
        for layer in &mut self.layers {
            if let Ok(pairing) = &layer.pairing
                && is_concatenated(self.subgraph, layer.tensor)
            {
                let trained = grid_step(&self.dump.arrays()[pairing.array].values);
                layer.regridded = trained.map(|step| step / layer.codes.scale);
            }
            let operator = &self.subgraph.operators[layer.operator];
            let OperatorKind::Builtin(code) = operator.kind else {
                continue;
            };
            let input = match code {
                BuiltinOperator::CONV_2D
                | BuiltinOperator::DEPTHWISE_CONV_2D
                | BuiltinOperator::FULLY_CONNECTED => 0,
                BuiltinOperator::TRANSPOSE_CONV => 2,
                _ => continue,
            };
            let operand = |slot: usize| {
                let index = operator.inputs.get(slot).copied().flatten()?;
                self.subgraph.tensors.get(index)
            };
            let (Some(input), Some(filter)) = (operand(input), operand(1)) else {
                continue;
            };
            let weights = stored_codes(self.graph, filter).unwrap_or_default();
            layer.set_law(input, filter, &weights);
            let Ok(pairing) = &layer.pairing else {
                continue;
            };
            let of_layer = scope(&self.dump.arrays()[pairing.array].name);
            let bias =
                stored_and_trained_bias(self.graph, self.subgraph, operator, self.dump, of_layer);
            if let (Some((stored, trained)), Some(law)) = (bias, &layer.law) {
                let pairs = stored.iter().zip(&trained.values).zip(&law.multipliers);
                layer.bias_difference = pairs
                    .map(|((&code, &real), m)| {
                        f64::from(real) / layer.codes.scale - code as f64 * m
                    })
                    .collect();
            }
        }
    }

    fn finish(mut self, inputs: Vec<Input>) -> Comparison {
        for layer in &mut self.layers {
            layer.verdict = match (layer.local.count, layer.local.differing, layer.unexplained) {
                (0, ..) => Verdict::NotJudged,
                (_, _, 1..) => Verdict::Unexplained,
                (_, 0, _) => Verdict::Exact,
                _ => Verdict::Explained,
            };
        }
        let first = self
            .layers
            .iter()
            .position(|layer| layer.verdict == Verdict::Unexplained);
        let first_unexplained = first.map(|index| {
            let cause = likeliest(self.graph, self.subgraph, &self.layers[index], self.dump);
            (index, cause)
        });
        let arrays = self.dump.arrays().iter().zip(&self.is_free);
        let unused = arrays
            .filter(|(array, free)| **free && !array.name.contains('|'))
            .map(|(array, _)| array.name.clone())
            .collect();
        Comparison {
            overwritten: self.overwritten(),
            inputs: inputs.into_iter().map(|input| input.check).collect(),
            layers: self.layers,
            inferences: self.inferences,
            first_unexplained,
            unused,
            not_compared: not_compared(self.graph, self.subgraph),
        }
    }

    /// ADD operators whose first operand and result are the same values on the training side.
    fn overwritten(&self) -> Vec<String> {
        let array = |tensor: usize| {
            let layer = &self.layers[self.layer_of[tensor]?];
            let pairing = layer.pairing.as_ref().ok()?;
            Some(&self.dump.arrays()[pairing.array])
        };
        let adds = self
            .layers
            .iter()
            .filter(|layer| layer.kind == OperatorKind::Builtin(BuiltinOperator::ADD));
        adds.filter(|layer| {
            let operator = &self.subgraph.operators[layer.operator];
            array(layer.tensor).is_some_and(|output| {
                let mut operands = operator.inputs.iter().flatten();
                operands.any(|&t| array(t).is_some_and(|input| input.values == output.values))
            })
        })
        .map(|layer| layer.name.clone())
        .collect()
    }
}

/// Names of floats that operators compute, and of outputs that are no codes of 8 or 16 bits with one scale.
fn not_compared(graph: &Graph, subgraph: &Subgraph) -> Vec<String> {
    let results = subgraph
        .operators
        .iter()
        .flat_map(|operator| &operator.outputs);
    let other = results.filter(|tensor| {
        let declared = &subgraph.tensors[**tensor];
        let is_float = matches!(declared.ty, TensorType::Float32 | TensorType::Float16);
        Codes::of(declared).is_none() && (is_float || subgraph.outputs.contains(tensor))
    });
    other
        .map(|&tensor| graph.tensor_name(&subgraph.tensors[tensor]).to_owned())
        .collect()
}

/// Whether a CONCATENATION reads the tensor and gives its result the same parameters: converters force one range on all.
fn is_concatenated(subgraph: &Subgraph, tensor: usize) -> bool {
    let concatenation = OperatorKind::Builtin(BuiltinOperator::CONCATENATION);
    let own = Codes::of(&subgraph.tensors[tensor]);
    subgraph.operators.iter().any(|operator| {
        operator.kind == concatenation
            && operator.inputs.contains(&Some(tensor))
            && operator
                .outputs
                .first()
                .is_some_and(|&o| Codes::of(&subgraph.tensors[o]) == own)
    })
}

/// One inference as an observer sees it.
struct Pass<'p, 'a> {
    job: &'p mut Job<'a>,
    mode: Mode<'p>,
    number: usize,
    /// By tensor whose value is the training side's own, the largest distance between that and the codes, in LSB.
    known: Vec<Option<f64>>,
    /// The results of the operator that just ran: tensor and codes.
    found: Vec<(usize, Vec<i32>)>,
    failure: Option<CompareError>,
}

/// The codes of an 8- or 16-bit tensor.
pub(super) fn codes_of(tensor: &TensorRef<'_>) -> Option<Vec<i32>> {
    fn widen<T: Copy + Into<i32>>(codes: &[T]) -> Vec<i32> {
        codes.iter().map(|&code| code.into()).collect()
    }
    match tensor.ty() {
        TensorType::UInt8 => tensor.as_slice::<u8>().ok().map(widen),
        TensorType::Int8 => tensor.as_slice::<i8>().ok().map(widen),
        TensorType::Int16 => tensor.as_slice::<i16>().ok().map(widen),
        _ => None,
    }
}

impl Observer for Pass<'_, '_> {
    fn operator(&mut self, event: &OperatorEvent<'_>) {
        self.found.clear();
        let operator = event.info().index;
        let pairing = matches!(self.mode, Mode::Pair { .. });
        for (tensor, view) in event.outputs() {
            if pairing {
                let (graph, subgraph) = (self.job.graph, self.job.subgraph);
                if let Some(layer) = Layer::new(graph, subgraph, operator, tensor, view.shape()) {
                    self.job.layer_of[tensor] = Some(self.job.layers.len());
                    self.job.layers.push(layer);
                }
            }
            if let Some(codes) = codes_of(&view)
                && self.job.layer_of[tensor].is_some()
            {
                self.found.push((tensor, codes));
            }
        }
    }

    fn results(&mut self, results: &mut OperatorResults<'_>) {
        if self.failure.is_some() {
            return;
        }
        let operator = &self.job.subgraph.operators[results.info().index];
        let input_errors = self.input_errors(operator);
        let is_move = results.info().kernel == "alias"
            || results.info().kernel == "constant"
            || matches!(operator.kind, OperatorKind::Builtin(code) if law::tolerance(code) == 0.0);
        // A QUANTIZE moves values to another grid and rounds once.
        let is_quantize = operator.kind == OperatorKind::Builtin(BuiltinOperator::QUANTIZE);
        let rounding = if is_quantize { 0.5 } else { 0.0 };
        let moved = input_errors.as_ref().filter(|_| is_move || is_quantize);
        for &output in &operator.outputs {
            let scale = Codes::of(&self.job.subgraph.tensors[output]).map(|c| c.scale);
            let in_output = |input: &InputError| match scale {
                Some(scale) if is_quantize => input.lsb * input.scale / scale,
                _ => input.lsb,
            };
            self.known[output] =
                moved.map(|inputs| inputs.iter().map(in_output).fold(0.0, f64::max) + rounding);
        }
        let found = std::mem::take(&mut self.found);
        for (tensor, codes) in &found {
            let Some(index) = self.job.layer_of[*tensor] else {
                continue;
            };
            if let Mode::Pair { fixed } = self.mode
                && let Err(failure) = self.job.pair(index, codes, fixed)
            {
                self.failure = Some(failure);
                return;
            }
            let layer = &mut self.job.layers[index];
            let Ok(pairing) = &layer.pairing else {
                continue;
            };
            let array = &self.job.dump.arrays()[pairing.array];
            let Some(values) = slice(array, pairing.layout, &layer.shape, self.number) else {
                continue;
            };
            if let Mode::Cumulative = self.mode {
                layer.add_cumulative(codes, &values);
                continue;
            }
            if let Mode::Local = self.mode
                && let Some(inputs) = &input_errors
            {
                match results.accumulators() {
                    Ok(sums) => layer.add_local(codes, &values, sums.as_ref(), inputs),
                    Err(_) => continue,
                }
            }
            let own: Vec<i32> = values.iter().map(|&v| layer.codes.quantize(v)).collect();
            let distance = layer.codes.largest_distance(&own, &values);
            let ty = self.job.subgraph.tensors[*tensor].ty;
            if results.replace(*tensor, &inputs::to_bytes(&own, ty)) {
                self.known[*tensor] = Some(distance);
            }
        }
        self.found = found;
    }
}

impl Pass<'_, '_> {
    /// How far the operands of an operator are from the training side's values; `None` where one is not known from there.
    fn input_errors(&self, operator: &Operator) -> Option<Vec<InputError>> {
        let operands = operator.inputs.iter().flatten();
        operands
            .map(|&tensor| {
                let scale = Codes::of(&self.job.subgraph.tensors[tensor]).map_or(0.0, |c| c.scale);
                self.known[tensor].map(|lsb| InputError { lsb, scale })
            })
            .collect()
    }
}

impl Job<'_> {
    /// Finds the array of a layer from its codes at the first inference.
    fn pair(
        &mut self,
        layer: usize,
        codes: &[i32],
        fixed: &[(usize, Option<usize>)],
    ) -> Result<(), CompareError> {
        let layer = &mut self.layers[layer];
        let by_map = fixed.iter().find(|(tensor, _)| *tensor == layer.tensor);
        layer.pairing = match by_map {
            Some((_, None)) => Err(Unpaired::Map),
            Some(&(_, Some(array))) => {
                let given = &self.dump.arrays()[array];
                let (found, count) = (given.values.len(), layer.shape.count().max(1));
                if found.is_multiple_of(count) && found / count != self.inferences {
                    return Err(CompareError::Samples {
                        array: given.name.clone(),
                        found: found / count,
                        expected: self.inferences,
                    });
                }
                if found != count * self.inferences {
                    return Err(CompareError::Shape {
                        array: given.name.clone(),
                        found: given.shape.clone(),
                        tensor: layer.name.clone(),
                        expected: layer.shape.into(),
                    });
                }
                Ok(Pairing {
                    array,
                    by: PairedBy::Map,
                    layout: Layout::Same,
                })
            }
            None => {
                let taken = |array: usize| fixed.iter().any(|(_, other)| *other == Some(array));
                let seeker = Seeker {
                    name: &layer.name,
                    shape: layer.shape,
                    codes: layer.codes,
                    values: codes,
                    inferences: self.inferences,
                };
                seeker.find(self.dump, |array| self.is_free[array] && !taken(array))
            }
        };
        if let Ok(pairing) = &layer.pairing {
            self.is_free[pairing.array] = false;
        }
        Ok(())
    }
}
