//! `corallite qat budget`: how far each layer may be from the one that was trained.

use crate::failure::Failure;
use crate::output::print;
use crate::table::{Align, Table};
use corallite::model::Model;
use corallite::oracle::budget::{self, Layer};
use serde_json::{Value, json};
use std::path::PathBuf;
use std::process::ExitCode;

/// Options of `corallite qat budget`.
pub struct Options {
    /// The model file.
    pub model: PathBuf,
    /// Whether JSON is wanted.
    pub json: bool,
}

/// Prints the budget of every layer.
pub fn budget(options: &Options) -> Result<ExitCode, Failure> {
    let model = Model::from_file(&options.model).map_err(|source| Failure::Load {
        model: options.model.clone(),
        source: Box::new(source),
    })?;
    let layers = budget::budget(&model);
    let text = match options.json {
        true => format!("{:#}\n", to_json(options, &layers)),
        false => to_text(&layers),
    };
    print(&text)?;
    Ok(ExitCode::SUCCESS)
}

fn to_text(layers: &[Layer]) -> String {
    let mut table = Table::new(&[
        ("op", Align::Right),
        ("kind", Align::Left),
        ("tensor", Align::Left),
        ("M", Align::Right),
        ("bound", Align::Right),
        ("local RMS", Align::Right),
        ("RMS", Align::Right),
    ]);
    for layer in layers {
        let number = |value: Option<f64>| value.map_or("-".to_owned(), |v| format!("{v:.3}"));
        table.row([
            layer.operator.to_string(),
            layer.kind.to_string(),
            layer.name.clone(),
            layer
                .multiplier
                .map_or("-".to_owned(), |m| format!("{m:.5}")),
            format!("{:.4}", layer.bound),
            number(layer.local_rms),
            number(layer.rms),
        ]);
    }
    let mut text = String::new();
    table.render(&mut text);
    text.push_str(
        "\nIn LSB of each tensor. bound: how far the layer may be off alone, on training's own input. local RMS, RMS: what to \
         expect\nof the layer alone and of all up to it; a prediction of the order of magnitude, without data.\n",
    );
    text
}

fn to_json(options: &Options, layers: &[Layer]) -> Value {
    let layers: Vec<Value> = layers
        .iter()
        .map(|layer| {
            json!({
                "operator": layer.operator,
                "kind": layer.kind.to_string(),
                "tensor": layer.tensor,
                "name": layer.name,
                "multiplier": layer.multiplier,
                "bound_lsb": layer.bound,
                "local_rms_lsb": layer.local_rms,
                "rms_lsb": layer.rms,
            })
        })
        .collect();
    json!({ "model": options.model.to_string_lossy(), "layers": layers })
}
