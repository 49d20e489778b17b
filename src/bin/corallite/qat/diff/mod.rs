//! `corallite qat diff`: two models, or one in two arithmetics.

mod json;
mod text;

use super::QatFailure;
use super::compare::{input_remarks, list};
use crate::failure::Failure;
use crate::output::print;
use corallite::fixedpoint::Profile;
use corallite::model::Model;
use corallite::oracle::compare::Dump;
use corallite::oracle::diff::{self, Difference, LayerDifference, Side, random_inputs};
use corallite::oracle::npy::NpyArray;
use corallite::oracle::npz::NpzReader;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// What the user asked for.
pub struct Options {
    /// The first model.
    pub a: PathBuf,
    /// The second, or the first again.
    pub b: PathBuf,
    /// A's arithmetic.
    pub profile_a: Profile,
    /// B's arithmetic.
    pub profile_b: Profile,
    /// What both are given.
    pub inputs: Inputs,
    /// Whether JSON is wanted.
    pub json: bool,
}

/// What both models are given.
pub enum Inputs {
    /// Files with arrays.
    Files(Vec<PathBuf>),
    /// Random codes.
    Random { samples: usize, seed: u64 },
}

/// Compares and reports. Exit code 1 when codes differ.
pub fn diff(options: &Options) -> Result<ExitCode, Failure> {
    let model_a = load(&options.a)?;
    let other = match options.a == options.b {
        true => None,
        false => Some(load(&options.b)?),
    };
    let in_models = |source| QatFailure::Diff {
        source: Box::new(source),
    };
    let inputs = match &options.inputs {
        Inputs::Files(files) => read(&model_a, files)?,
        &Inputs::Random { samples, seed } => {
            random_inputs(&model_a, samples, seed).map_err(in_models)?
        }
    };
    let a = Side {
        model: &model_a,
        profile: options.profile_a,
    };
    let b = Side {
        model: other.as_ref().unwrap_or(&model_a),
        profile: options.profile_b,
    };
    let difference = diff::diff(a, b, &inputs).map_err(in_models)?;
    let text = match options.json {
        true => format!("{:#}\n", json::report(options, &difference)),
        false => text::report(options, &difference),
    };
    print(&text)?;
    Ok(match difference.first() {
        Some(_) => ExitCode::FAILURE,
        None => ExitCode::SUCCESS,
    })
}

fn load(file: &Path) -> Result<Model, Failure> {
    Model::from_file(file).map_err(|source| Failure::Load {
        model: file.to_owned(),
        source: Box::new(source),
    })
}

/// The arrays of one archive, or of a file for each input of the model.
fn read(model: &Model, files: &[PathBuf]) -> Result<Dump, Failure> {
    let graph = model.graph();
    let subgraph = &graph.subgraphs()[0];
    let of_file = |file: &Path, source| {
        let file = file.to_owned();
        let source = Box::new(source);
        QatFailure::Compare { file, source }
    };
    if let [file] = files
        && file.extension().is_some_and(|extension| extension == "npz")
    {
        let in_archive = |source| QatFailure::Archive { source };
        let mut archive = NpzReader::open(file).map_err(in_archive)?;
        return Ok(Dump::read(&mut archive).map_err(|source| of_file(file, source))?);
    }
    if files.len() != subgraph.inputs.len() {
        return Err(QatFailure::Inputs {
            found: files.len(),
            expected: subgraph.inputs.len(),
        }
        .into());
    }
    let mut inputs = Dump::default();
    for (file, &input) in files.iter().zip(&subgraph.inputs) {
        let array = NpyArray::read(file).map_err(|source| Failure::Array { source })?;
        let name = graph.tensor_name(&subgraph.tensors[input]);
        let added = inputs.add(name, &array);
        added.map_err(|source| of_file(file, source))?;
    }
    Ok(inputs)
}

/// What the models were given, in words.
fn given(inputs: &Inputs) -> String {
    match inputs {
        Inputs::Files(files) => {
            let names: Vec<String> = files.iter().map(|f| f.display().to_string()).collect();
            names.join(", ")
        }
        Inputs::Random { seed, .. } => format!("random codes, seed {seed}"),
    }
}

/// What is to be said beside the table.
fn remarks(difference: &Difference) -> Vec<String> {
    let mut remarks = input_remarks(&difference.given);
    for reason in &difference.inputs {
        remarks.push(format!("{reason}: both got the same real values"));
    }
    remarks.extend(list(
        &difference.unmatched,
        "layer(s) of B without partner in A",
    ));
    remarks.extend(list(
        &difference.not_compared,
        "result(s) of A that are floats, or outputs that are no codes, were not compared",
    ));
    remarks
}

/// The reasons of a layer in one line, or why there are none.
fn because(layer: &LayerDifference) -> String {
    let reasons: Vec<String> = layer.reasons.iter().map(ToString::to_string).collect();
    match (reasons.is_empty(), layer.own.count) {
        (false, _) => reasons.join("; "),
        (true, 0) => "an operand has no partner, so the layer alone was not compared".to_owned(),
        (true, _) => "nothing of its own: its operands differ".to_owned(),
    }
}

/// The last line: where the two part.
fn conclusion(difference: &Difference) -> String {
    let matched = difference.layers.iter().filter(|l| l.partner.is_ok());
    let matched = matched.count();
    let Some(first) = difference.first() else {
        return format!(
            "nothing differs: all codes of {matched} layer(s) are the same in {} inference(s)",
            difference.inferences
        );
    };
    let sources = difference.sources().count();
    let differing = difference.layers.iter().filter(|l| l.differs()).count();
    format!(
        "first differing: operator {} {}, {:?}: {} of {} codes, up to {} LSB: {}. {sources} of {differing} differing layer(s) \
         differ by themselves",
        first.operator,
        first.kind,
        first.name,
        first.all.differing,
        first.all.count,
        // A hundredth of a step is float32 on the way from one scale to the other.
        (100.0 * first.all.max).round() / 100.0,
        because(first)
    )
}
