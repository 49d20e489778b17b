//! `corallite qat compare`: the training side's activations against the integer model's.

mod html;
mod json;
mod map;
mod text;

use super::QatFailure;
use crate::failure::Failure;
use crate::output::print;
use corallite::fixedpoint::Profile;
use corallite::model::Model;
use corallite::oracle::compare::{
    self, Comparison, Dump, InputCheck, Layer, Map, PairedBy, Unpaired,
};
use corallite::oracle::npz::NpzReader;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// What the user asked for.
pub struct Options {
    /// The integer model.
    pub model: PathBuf,
    /// The training side's arrays.
    pub dump: PathBuf,
    /// Which array belongs to which tensor.
    pub map: Option<PathBuf>,
    /// Whose arithmetic the model runs in.
    pub profile: Profile,
    /// Whether the histogram of every layer is wanted.
    pub local: bool,
    /// Whether JSON is wanted.
    pub json: bool,
    /// The page to write.
    pub html: Option<PathBuf>,
}

/// Compares and reports. Exit code 1 when a layer is unexplained.
pub fn compare(options: &Options) -> Result<ExitCode, Failure> {
    let model = Model::from_file(&options.model).map_err(|source| Failure::Load {
        model: options.model.clone(),
        source: Box::new(source),
    })?;
    let in_archive = |source| QatFailure::Archive { source };
    let mut archive = NpzReader::open(&options.dump).map_err(in_archive)?;
    let in_dump = |source| QatFailure::Compare {
        file: options.dump.clone(),
        source: Box::new(source),
    };
    let dump = Dump::read(&mut archive).map_err(in_dump)?;
    let map = match &options.map {
        Some(file) => map::read(file)?,
        None => Map::default(),
    };
    let comparison = compare::compare(&model, &dump, &map, options.profile).map_err(in_dump)?;
    if let Some(file) = &options.html {
        let page = html::page(&options.model, &options.dump, &dump, &comparison);
        write(file, &page)?;
    }
    let text = match options.json {
        true => format!("{:#}\n", json::report(options, &dump, &comparison)),
        false => text::report(&dump, &comparison, options.local),
    };
    print(&text)?;
    Ok(match comparison.first_unexplained {
        Some(_) => ExitCode::FAILURE,
        None => ExitCode::SUCCESS,
    })
}

fn write(file: &Path, page: &str) -> Result<(), Failure> {
    std::fs::write(file, page).map_err(|source| Failure::File {
        path: file.to_owned(),
        source,
    })
}

/// The array that a layer was paired with, or why with none.
fn partner(layer: &Layer, dump: &Dump) -> String {
    match &layer.pairing {
        Ok(pairing) => dump.arrays()[pairing.array].name.clone(),
        Err(Unpaired::Map) => "none, by the map".to_owned(),
        Err(Unpaired::NoCandidate) => "no array fits".to_owned(),
        Err(Unpaired::Shape { array, found }) => {
            format!("no array fits: {array} has shape {found:?}")
        }
        Err(Unpaired::Ambiguous { best, second }) => format!(
            "ambiguous: {} ({:.2} LSB) or {} ({:.2} LSB); choose in a map",
            best.0, best.1, second.0, second.1
        ),
        Err(_) => "none".to_owned(),
    }
}

/// How a layer was paired, and what came second.
fn paired_by(layer: &Layer) -> String {
    match layer.pairing.as_ref().map(|pairing| &pairing.by) {
        Ok(PairedBy::Map) => "map".to_owned(),
        Ok(PairedBy::Name) => "name".to_owned(),
        Ok(PairedBy::Value { mean, runner_up }) => match runner_up {
            Some((name, other)) => format!("value ({mean:.2} LSB, then {name} {other:.2})"),
            None => format!("value ({mean:.2} LSB)"),
        },
        _ => "-".to_owned(),
    }
}

/// What is to be said beside the table: inputs, layouts, dumps that lie, and the verdict.
fn remarks(dump: &Dump, comparison: &Comparison) -> Vec<String> {
    let mut remarks = input_remarks(&comparison.inputs);
    for layer in &comparison.layers {
        if let Ok(pairing) = &layer.pairing
            && pairing.layout == compare::Layout::ChannelsFirst
        {
            remarks.push(format!(
                "{:?} was read with channels first (NCHW) to fit {:?}",
                dump.arrays()[pairing.array].name,
                layer.name
            ));
        }
    }
    for layer in &comparison.layers {
        if let Err(Unpaired::Shape { array, found }) = &layer.pairing {
            remarks.push(format!(
                "{array:?} has the name of tensor {:?} {} but shape {found:?}: not compared; dump it in the same run, \
                 samples along axis 0",
                layer.name, layer.shape
            ));
        }
    }
    remarks.extend(list(
        &comparison.not_compared,
        "result(s) that are floats, or outputs that are no codes, were not compared",
    ));
    for name in &comparison.overwritten {
        remarks.push(format!(
            "the dump has the same values for {name:?} and for its operand: it was taken with preserve_all_tensors, and the \
             in-place ADD overwrote the operand; dump each tensor as an output of the model instead"
        ));
    }
    remarks
}

/// The last line: what is wrong, or that nothing is.
fn conclusion(comparison: &Comparison) -> String {
    match &comparison.first_unexplained {
        Some((index, cause)) => {
            let layer = &comparison.layers[*index];
            format!(
                "first unexplained: operator {} {}, tensor {} {:?}: {} of {} elements. Likely cause: {cause}",
                layer.operator,
                layer.kind,
                layer.tensor,
                layer.name,
                layer.unexplained,
                layer.local.count
            )
        }
        None => {
            let judged = comparison.layers.iter();
            let judged = judged.filter(|layer| layer.verdict != compare::Verdict::NotJudged);
            format!(
                "nothing unexplained: all differences of the {} layer(s) judged are rounding",
                judged.count()
            )
        }
    }
}

/// How many names there are and the first of them, after what they are; `None` without any.
pub fn list(names: &[String], what: &str) -> Option<String> {
    let quoted: Vec<String> = names
        .iter()
        .take(4)
        .map(|name| format!("{name:?}"))
        .collect();
    let more = if names.len() > 4 { " ..." } else { "" };
    (!names.is_empty()).then(|| format!("{} {what}: {}{more}", names.len(), quoted.join(", ")))
}

/// What is odd about the values that a model was given.
pub fn input_remarks(inputs: &[InputCheck]) -> Vec<String> {
    let mut remarks = Vec::new();
    for input in inputs {
        let (array, name) = (&input.array, &input.name);
        if let Some((other, count, largest)) = &input.beside
            && *count > 0
        {
            remarks.push(format!(
                "input {name:?}: {count} of {} codes in {array:?} are not those of the values in {other:?} (up to \
                 {largest:.1} LSB): the two sides were given different pictures; check mean, scale and rounding",
                input.count
            ));
        }
        if input.beyond > 0 {
            remarks.push(format!(
                "input {name:?}: {} of {} values in {array:?} are beyond what it represents, {:.4} to {:.4}; check mean \
                 and scale of the preprocessing",
                input.beyond, input.count, input.represented.0, input.represented.1
            ));
        } else if input.looks_scaled() {
            remarks.push(format!(
                "input {name:?}: values from {:.4} to {:.4} where it represents {:.4} to {:.4}: scaled another way?",
                input.span.0, input.span.1, input.represented.0, input.represented.1
            ));
        }
        if input.ties > 0 && !input.is_codes {
            remarks.push(format!(
                "input {name:?}: {} value(s) in {array:?} lie half way between two codes, where NumPy rounds to even and \
                 TFLite away from zero",
                input.ties
            ));
        }
    }
    remarks
}
