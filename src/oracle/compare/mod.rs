//! The training side's activations against the integer model's, layer by layer.
//!
//! The model runs twice on the training side's inputs. Once as it is: the *cumulative* differences show what a user sees,
//! and they grow with depth in a healthy model, too. Once with every result replaced by the training side's own values
//! before the next operator reads it: the *local* differences are what each layer adds, and the error law tells
//! rounding from defects. Both runs are the runtime's own kernels.
//!
//! | file | content |
//! | --- | --- |
//! | `dump.rs` | [`Dump`]: the training side's arrays |
//! | `inputs.rs` | [`InputCheck`]: its inputs as codes |
//! | `mapping.rs` | [`Map`], [`Pairing`]: which array belongs to which tensor |
//! | `passes.rs` | the two runs |
//! | `record.rs` | what a model computes, as such arrays |
//! | `layer.rs` | [`Layer`]: one tensor beside its array |
//! | `statistics.rs` | [`Statistics`]: differences in LSB |
//! | `verdict.rs` | [`Verdict`] |
//! | `cause.rs` | [`Cause`] of an unexplained layer |

mod cause;
mod dump;
mod error;
mod inputs;
mod layer;
mod mapping;
mod passes;
mod record;
mod statistics;
mod verdict;

pub use super::codes::{Codes, Reference};
pub use super::law::{Law, bound, tolerance};
pub use cause::Cause;
pub use dump::{Dump, DumpArray};
pub use error::CompareError;
pub use inputs::InputCheck;
pub use layer::Layer;
pub use mapping::{Layout, Map, PairedBy, Pairing, Unpaired};
pub use statistics::Statistics;
pub use verdict::Verdict;

// What `diff` is made of.
pub(super) use cause::{channel_of, stored_codes};
pub(super) use inputs::{Input, find as find_inputs, of_array as input_of_array};
pub(super) use passes::{compare_pairs, count_inferences, straight};
pub(super) use record::{Recorded, record};

use super::law;
use crate::fixedpoint::Profile;
use crate::model::Model;

/// A model beside a dump of the training side.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Comparison {
    /// What the model was given.
    pub inputs: Vec<InputCheck>,
    /// Every quantized activation, in execution order.
    pub layers: Vec<Layer>,
    /// Inferences compared.
    pub inferences: usize,
    /// The first unexplained layer, an index into `layers`, and its likeliest cause.
    pub first_unexplained: Option<(usize, Cause)>,
    /// ADD operators whose input is in the dump byte for byte their output: a dump taken with TFLite's
    /// `preserve_all_tensors`, whose in-place ADD overwrites its operand.
    pub overwritten: Vec<String>,
    /// Arrays that no tensor was paired with, but for parameters.
    pub unused: Vec<String>,
    /// Results that are not compared: floats, and outputs that are no codes of 8 or 16 bits with one scale.
    pub not_compared: Vec<String>,
}

/// Compares a model with the training side's values.
///
/// ```no_run
/// use corallite::Model;
/// use corallite::fixedpoint::Profile;
/// use corallite::oracle::compare::{Dump, Map, compare};
/// use corallite::oracle::npz::NpzReader;
///
/// let model = Model::from_file("model.tflite")?;
/// let dump = Dump::read(&mut NpzReader::open("activations.npz")?)?;
/// let comparison = compare(&model, &dump, &Map::default(), Profile::default())?;
/// if let Some((layer, cause)) = &comparison.first_unexplained {
///     println!("{}: {cause}", comparison.layers[*layer].name);
/// }
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
/// A map that names what is not there, inputs without an array, arrays of different numbers of samples, no pair at all, or a
/// model that cannot run.
pub fn compare(
    model: &Model,
    dump: &Dump,
    map: &Map,
    profile: Profile,
) -> Result<Comparison, CompareError> {
    passes::compare(model, dump, map, profile)
}
