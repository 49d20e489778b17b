//! Converts a small trained network to int8 and compares it with its training, layer by layer; then does the same with one
//! layer's range halved, and names that layer.
//!
//! ```sh
//! cargo run --example qat_compare                  # both comparisons
//! cargo run --example qat_compare -- FOLDER        # also writes both models there
//! ```
//!
//! The training side is `examples/data/shapes_training.npz`, which `train_shapes.py` computed with NumPy alone. The tool
//! does the same with files: `corallite qat compare examples/data/shapes_int8.tflite examples/data/shapes_training.npz`.

use corallite::Model;
use corallite::fixedpoint::Profile;
use corallite::model::write::{ActivationFunctionType, Padding, Window};
use corallite::oracle::Range;
use corallite::oracle::compare::{Comparison, Dump, Map, compare};
use corallite::oracle::convert::{NetworkBuilder, Weighted, input_range};
use corallite::oracle::npz::NpzReader;
use corallite::tensor::TensorType;
use std::error::Error;
use std::io::Write;
use std::path::{Path, PathBuf};

const TRAINING: &str = concat!(
    env!("CARGO_MANIFEST_DIR"),
    "/examples/data/shapes_training.npz"
);

fn main() -> Result<(), Box<dyn Error>> {
    let folder = std::env::args_os().nth(1).map(PathBuf::from);
    run(folder.as_deref(), &mut std::io::stdout())
}

/// Compares both models with their training and says what it finds; writes them into `folder`.
pub fn run(folder: Option<&Path>, to: &mut impl Write) -> Result<(), Box<dyn Error>> {
    let training = Dump::read(&mut NpzReader::open(TRAINING)?)?;
    for (file, title, factor) in [
        ("shapes_int8.tflite", "as trained", 1.0),
        (
            "shapes_half_range_int8.tflite",
            "half the range of conv2",
            0.5,
        ),
    ] {
        let bytes = convert(&training, factor)?;
        let model = Model::from_bytes(&bytes)?;
        let comparison = compare(&model, &training, &Map::default(), Profile::default())?;
        writeln!(to, "{title}: {} bytes", bytes.len())?;
        report(&comparison, to)?;
        if let Some(folder) = folder {
            std::fs::write(folder.join(file), &bytes)?;
        }
    }
    Ok(())
}

/// The network as train_shapes.py describes it, with the range of conv2's activations times `factor`.
fn convert(training: &Dump, factor: f32) -> Result<Vec<u8>, Box<dyn Error>> {
    let array = |name: String| match training.find(&name) {
        Some(index) => Ok(&training.arrays()[index].values),
        None => Err(format!("{TRAINING} has no array {name:?}")),
    };
    let range = |layer: &str, factor: f32| -> Result<Range, Box<dyn Error>> {
        let (min, max) = (
            array(format!("{layer}|min"))?,
            array(format!("{layer}|max"))?,
        );
        Ok(Range::new(min[0] * factor, max[0] * factor)?)
    };
    let weight_ranges = |layer: &str| -> Result<Vec<Range>, Box<dyn Error>> {
        let ends = array(format!("{layer}/weights|max"))?.iter();
        Ok(ends
            .map(|&max| Range::new(-max, max))
            .collect::<Result<_, _>>()?)
    };
    let window = |stride| Window {
        padding: Padding::VALID,
        stride: [stride; 2],
        dilation: [1, 1],
    };
    let mut network = NetworkBuilder::new("shapes, examples/qat_compare.rs", TensorType::Int8)?;
    // Codes are 128 times the values, -128 to 127.
    let mut x = network.input("input", &[1, 12, 12, 1], input_range(128.0, 128.0)?)?;
    for (name, factor) in [("conv1", 1.0), ("conv2", factor), ("dense", 1.0)] {
        let layer = Weighted {
            name,
            weights: array(format!("{name}/weights"))?,
            weight_ranges: &weight_ranges(name)?,
            bias: array(format!("{name}/bias"))?,
            activation: match name {
                "dense" => ActivationFunctionType::NONE,
                _ => ActivationFunctionType::RELU,
            },
            output: range(name, factor)?,
        };
        x = match name {
            "conv1" => network.conv_2d(x, &layer, [3, 3], window(2))?,
            "conv2" => network.conv_2d(x, &layer, [3, 3], window(1))?,
            _ => {
                let mean = network.average_pool_2d("pool", x, [3, 3], window(1))?;
                let flat = network.reshape("flat", mean, &[1, 8])?;
                network.fully_connected(flat, &layer)?
            }
        };
    }
    let probabilities = network.softmax("softmax", x, 1.0)?;
    Ok(network.finish(&[probabilities])?)
}

/// A line for each layer, and the first unexplained one with its likeliest cause.
fn report(comparison: &Comparison, to: &mut impl Write) -> std::io::Result<()> {
    for layer in &comparison.layers {
        let (all, local) = (&layer.cumulative, &layer.local);
        writeln!(
            to,
            "  {:8} {:16} all {:5.1} % differ, up to {:.0} LSB; alone {:5.1} %, up to {:.0} LSB: {}",
            layer.name,
            layer.kind,
            100.0 * all.fraction_differing(),
            all.max,
            100.0 * local.fraction_differing(),
            local.max,
            layer.verdict
        )?;
    }
    match &comparison.first_unexplained {
        Some((index, cause)) => {
            let layer = &comparison.layers[*index];
            writeln!(to, "first unexplained: {}: {cause}\n", layer.name)
        }
        None => writeln!(to, "nothing unexplained: all differences are rounding\n"),
    }
}
