//! Two models, or one model in two arithmetics, on the same inputs: where their numbers part, and why.
//!
//! B runs and every quantized activation is kept; then A is compared with what B computed, as
//! [`compare`](super::compare) compares a model with its training. *All* differences are those of the two runs as they are.
//! *Own* differences are what a layer makes of B's own values: a layer without them only passes on what came before. The
//! reasons are read from the two files and profiles, not guessed from the numbers.
//!
//! | file | content |
//! | --- | --- |
//! | `matching.rs` | which layer of A is which of B, [`Unmatched`] |
//! | `reason.rs` | [`Reason`] |
//! | `random.rs` | [`random_inputs`] |
//! | `error.rs` | [`DiffError`] |

mod error;
mod matching;
mod random;
mod reason;

pub use error::{DiffError, Which};
pub use matching::Unmatched;
pub use random::random_inputs;
pub use reason::{Grid, Reason};

use super::compare::{
    Codes, CompareError, Dump, Input, InputCheck, Map, Statistics, compare_pairs, count_inferences,
    find_inputs, input_of_array, record, straight,
};
use crate::fixedpoint::Profile;
use crate::model::{Model, OperatorKind};

/// A model and the arithmetic it runs in.
#[derive(Debug, Clone, Copy)]
pub struct Side<'m> {
    /// The model.
    pub model: &'m Model,
    /// Whose arithmetic.
    pub profile: Profile,
}

/// A layer of A beside its partner in B.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct LayerDifference {
    /// The operator of A: its index.
    pub operator: usize,
    /// The operator of A: its kind.
    pub kind: OperatorKind,
    /// Name of the tensor in A.
    pub name: String,
    /// Its scale, zero point and codes in A.
    pub codes: Codes,
    /// Operator index and name of the tensor in B, or why there is no partner.
    pub partner: Result<(usize, String), Unmatched>,
    /// Differences of the two runs, A minus B, in LSB of A. Empty without a partner.
    pub all: Statistics,
    /// Differences of this layer alone, on B's values. Empty where an operand has no partner.
    pub own: Statistics,
    /// Whether the layer differs by itself: on B's values, or, where they cannot be given to it (an operand without a
    /// partner, state), because it is the first to differ.
    pub is_source: bool,
    /// All that is not the same about the layer on both sides; arithmetic and options where it differs by itself.
    pub reasons: Vec<Reason>,
}

impl LayerDifference {
    /// Whether results differ in the two runs.
    pub fn differs(&self) -> bool {
        self.all.differing > 0
    }
}

/// Where two sides part.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Difference {
    /// Quantized activations of A, in execution order.
    pub layers: Vec<LayerDifference>,
    /// Names of the activations of B without a partner.
    pub unmatched: Vec<String>,
    /// Results of A that are not compared: floats, and outputs that are no codes of 8 or 16 bits with one scale.
    pub not_compared: Vec<String>,
    /// What A was given.
    pub given: Vec<InputCheck>,
    /// Inputs whose type, scale or zero point is not the same on both sides.
    pub inputs: Vec<Reason>,
    /// Inferences.
    pub inferences: usize,
}

impl Difference {
    /// The first layer whose results differ.
    pub fn first(&self) -> Option<&LayerDifference> {
        self.layers.iter().find(|layer| layer.differs())
    }

    /// The layers that differ by themselves.
    pub fn sources(&self) -> impl Iterator<Item = &LayerDifference> {
        self.layers.iter().filter(|layer| layer.is_source)
    }
}

/// Runs both sides on the same inputs and compares them layer by layer.
///
/// `inputs` holds an array for each input of A, found as [`compare`](super::compare::compare) finds them: codes of A, or
/// real numbers. B gets the same real numbers where its inputs have other scales.
///
/// ```no_run
/// use corallite::Model;
/// use corallite::fixedpoint::Profile;
/// use corallite::oracle::diff::{Side, diff, random_inputs};
///
/// let model = Model::from_file("model.tflite")?;
/// let side = |profile| Side { model: &model, profile };
/// let inputs = random_inputs(&model, 4, 1)?;
/// let difference = diff(side(Profile::Tflite), side(Profile::Litert), &inputs)?;
/// if let Some(layer) = difference.first() {
///     println!("{}: up to {} LSB", layer.name, layer.all.max);
/// }
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
/// Inputs without an array or of unlike numbers, a model that cannot run or that has control flow, or no layer in common.
pub fn diff(a: Side<'_>, b: Side<'_>, inputs: &Dump) -> Result<Difference, DiffError> {
    let in_a = |source| DiffError::side(Which::A, source);
    let in_b = |source| DiffError::side(Which::B, source);
    let (graph_a, graph_b) = (a.model.graph(), b.model.graph());
    let subgraph_a = straight(graph_a).map_err(in_a)?;
    let subgraph_b = straight(graph_b).map_err(in_b)?;
    if subgraph_a.inputs.len() != subgraph_b.inputs.len() {
        return Err(DiffError::Inputs {
            a: subgraph_a.inputs.len(),
            b: subgraph_b.inputs.len(),
        });
    }
    let inputs_a = find_inputs(graph_a, subgraph_a, inputs, &Map::default()).map_err(in_a)?;
    let inferences = count_inferences(subgraph_a, inputs, &inputs_a).map_err(in_a)?;
    let inputs_b = inputs_of_b(a.model, b.model, inputs, &inputs_a, inferences)?;
    // What A computes, too, is known when it has run: shapes may depend on values.
    let recorded_a = record(a.model, &inputs_a, inferences, 1, a.profile).map_err(in_a)?;
    let recorded_b = record(b.model, &inputs_b, inferences, inferences, b.profile).map_err(in_b)?;
    let places_a = matching::places(graph_a, &recorded_a);
    let places_b = matching::places(graph_b, &recorded_b);
    for (which, places) in [(Which::A, &places_a), (Which::B, &places_b)] {
        if places.is_empty() {
            return Err(DiffError::side(which, CompareError::NotQuantized));
        }
    }
    let partners = matching::partners(&places_a, &places_b);
    if partners.iter().all(Result::is_err) {
        return Err(DiffError::NothingMatched {
            a: places_a.len(),
            b: places_b.len(),
        });
    }
    let mut dump = inputs.clone();
    let arrays = recorded_b
        .into_iter()
        .map(|recorded| dump.push(recorded.array));
    let arrays: Vec<usize> = arrays.collect();
    let pairs = places_a.iter().zip(&partners);
    let fixed: Vec<(usize, Option<usize>)> = pairs
        .map(|(place, partner)| {
            (
                place.tensor,
                partner.as_ref().ok().map(|&index| arrays[index]),
            )
        })
        .collect();
    let compared = compare_pairs(a.model, &dump, inputs_a, &fixed, a.profile).map_err(in_a)?;
    // Behind a layer without a partner nothing is known to be the first.
    let mut compared_layers = compared.layers.iter();
    let first = compared_layers.position(|l| l.pairing.is_err() || l.cumulative.differing > 0);
    let layers = compared.layers.into_iter().zip(&places_a).zip(&partners);
    let layers = layers.enumerate();
    let layers = layers.map(|(index, ((layer, place), partner))| {
        let is_source = match layer.local.count {
            0 => Some(index) == first && layer.cumulative.differing > 0,
            _ => layer.local.differing > 0,
        };
        let reasons = match partner {
            Ok(index) => reason::reasons(a, b, place, &places_b[*index], is_source),
            Err(_) => Vec::new(),
        };
        LayerDifference {
            operator: layer.operator,
            kind: layer.kind,
            name: layer.name,
            codes: layer.codes,
            partner: partner.clone().map(|index| {
                let place = &places_b[index];
                (place.operator, place.name.to_owned())
            }),
            all: layer.cumulative,
            own: layer.local,
            is_source,
            reasons,
        }
    });
    let is_matched = |index: &usize| partners.iter().any(|partner| partner.as_ref() == Ok(index));
    let unmatched = (0..places_b.len()).filter(|index| !is_matched(index));
    Ok(Difference {
        layers: layers.collect(),
        unmatched: unmatched
            .map(|index| places_b[index].name.to_owned())
            .collect(),
        not_compared: compared.not_compared,
        given: compared.inputs,
        inputs: reason::inputs(a.model, b.model),
        inferences,
    })
}

/// What B gets: the codes of A where both inputs are alike, else the real numbers that they stand for.
fn inputs_of_b(
    a: &Model,
    b: &Model,
    inputs: &Dump,
    inputs_a: &[Input],
    inferences: usize,
) -> Result<Vec<Input>, DiffError> {
    let (graph_a, graph_b) = (a.graph(), b.graph());
    let (subgraph_a, subgraph_b) = (&graph_a.subgraphs()[0], &graph_b.subgraphs()[0]);
    let tensors = subgraph_a.inputs.iter().zip(&subgraph_b.inputs);
    let mut given = Dump::default();
    let mut inputs_b = Vec::with_capacity(inputs_a.len());
    for ((&of_a, &of_b), input) in tensors.zip(inputs_a) {
        let (of_a, of_b) = (&subgraph_a.tensors[of_a], &subgraph_b.tensors[of_b]);
        let mut array = inputs.arrays()[input.array].clone();
        if let Some(grid) = Codes::of(of_a)
            && array.is_integer
            && (of_a.ty, Some(grid)) != (of_b.ty, Codes::of(of_b))
        {
            for value in &mut array.values {
                let code = (*value as i32).clamp(grid.range.0, grid.range.1);
                *value = grid.real(code) as f32;
            }
            array.is_integer = false;
        }
        let place = given.push(array);
        let input = input_of_array(graph_b, of_b, &given, place);
        inputs_b.push(input.map_err(|source| DiffError::side(Which::B, source))?);
    }
    match count_inferences(subgraph_b, &given, &inputs_b) {
        Ok(found) if found == inferences => Ok(inputs_b),
        Ok(found) => Err(DiffError::Batch {
            a: inferences,
            b: found,
        }),
        Err(source) => Err(DiffError::side(Which::B, source)),
    }
}
