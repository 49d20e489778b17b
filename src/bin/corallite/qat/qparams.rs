//! `corallite qat qparams`: one range, two sides.

use crate::failure::Failure;
use crate::output::print;
use crate::table::{Align, Table};
use corallite::fixedpoint::QuantizedMultiplier;
use corallite::oracle::qparams::{ConverterParams, Paths, RangeError};
use corallite::oracle::{Grid, Range};
use serde_json::{Value, json};
use std::fmt::Write;
use std::process::ExitCode;

/// Options of `corallite qat qparams`.
pub struct Options {
    /// The codes.
    pub grid: Grid,
    /// One, or one per channel.
    pub ranges: Vec<Range>,
    /// What to show.
    pub sides: Sides,
    /// Input scale times weight scale of a layer in front.
    pub layer: Option<f64>,
    /// Whether JSON is wanted.
    pub json: bool,
}

/// What to show.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Sides {
    Both,
    FakeQuant,
    Converter,
}

/// One side of one channel, for people and programs alike.
struct Side {
    name: &'static str,
    key: &'static str,
    /// Scale, zero point, lowest and highest number.
    params: Result<(f32, i32, f64, f64), RangeError>,
}

/// Prints parameters and differences. Success unless a range serves no side that is shown.
pub fn qparams(options: &Options) -> Result<ExitCode, Failure> {
    let text = if options.json {
        format!("{:#}\n", to_json(options))
    } else {
        to_text(options)
    };
    print(&text)?;
    let usable = options.ranges.iter().all(|&range| {
        let sides = sides(&Paths::new(range, options.grid), options.sides);
        sides.iter().any(|side| side.params.is_ok())
    });
    Ok(if usable {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

fn sides(paths: &Paths, shown: Sides) -> Vec<Side> {
    let fake_quant = paths.fake_quant.map(|params| {
        let ends = (params.nudged_min(), params.nudged_max());
        (
            params.scale(),
            params.zero_point(),
            ends.0.into(),
            ends.1.into(),
        )
    });
    let converter = paths.converter.map(|params| {
        let (low, high) = params.representable();
        (params.stored_scale(), params.zero_point(), low, high)
    });
    let mut sides = Vec::new();
    if shown != Sides::Converter {
        let (name, key) = ("FakeQuant", "fake_quant");
        sides.push(Side {
            name,
            key,
            params: fake_quant,
        });
    }
    if shown != Sides::FakeQuant {
        let (name, key) = ("converter", "converter");
        sides.push(Side {
            name,
            key,
            params: converter,
        });
    }
    sides
}

/// The multiplier of a layer whose output the range is, where it can be made.
fn multiplier(options: &Options, params: &ConverterParams) -> Option<(f64, QuantizedMultiplier)> {
    let real = options.layer? / f64::from(params.stored_scale());
    Some((real, QuantizedMultiplier::from_real(real).ok()?))
}

fn to_text(options: &Options) -> String {
    let grid = options.grid;
    let mut text = format!(
        "{} bits, codes {} to {}\n",
        grid.bits(),
        grid.min(),
        grid.max()
    );
    let mut table = Table::new(&[
        ("channel", Align::Right),
        ("range", Align::Left),
        ("side", Align::Left),
        ("scale", Align::Right),
        ("zero point", Align::Right),
        ("represents", Align::Left),
    ]);
    let mut notes = String::new();
    for (channel, &range) in options.ranges.iter().enumerate() {
        let paths = Paths::new(range, grid);
        for side in sides(&paths, options.sides) {
            let (scale, zero_point, represents) = match side.params {
                Ok((scale, zero_point, low, high)) => (
                    scale.to_string(),
                    zero_point.to_string(),
                    format!("[{}, {}]", low as f32, high as f32),
                ),
                Err(_) => ("-".into(), "-".into(), "-".into()),
            };
            if let Err(error) = side.params {
                let _ = writeln!(notes, "channel {channel}, {}: {error}", side.name);
            }
            table.row([
                channel.to_string(),
                format!("[{}, {}]", range.min(), range.max()),
                side.name.into(),
                scale,
                zero_point,
                represents,
            ]);
        }
        if options.sides == Sides::Both && paths.fake_quant.is_ok() && paths.converter.is_ok() {
            let differences = paths.differences();
            for difference in &differences {
                let _ = writeln!(notes, "channel {channel}: {difference}");
            }
            if differences.is_empty() {
                let _ = writeln!(notes, "channel {channel}: both sides agree");
            }
        }
        if let Ok(params) = paths.converter
            && let Some((real, multiplier)) = multiplier(options, &params)
        {
            let _ = writeln!(
                notes,
                "channel {channel}: multiplier {real:e} is {} / 2^31 * 2^{}",
                multiplier.multiplier, multiplier.shift
            );
        }
    }
    table.render(&mut text);
    text + &notes
}

fn to_json(options: &Options) -> Value {
    let grid = options.grid;
    let channels: Vec<Value> = options
        .ranges
        .iter()
        .map(|&range| {
            let paths = Paths::new(range, grid);
            let mut channel = json!({ "min": range.min(), "max": range.max() });
            for side in sides(&paths, options.sides) {
                channel[side.key] = match side.params {
                    Ok((scale, zero_point, low, high)) => json!({
                        "scale": scale,
                        "zero_point": zero_point,
                        "min": low,
                        "max": high,
                    }),
                    Err(error) => json!({ "error": error.to_string() }),
                };
            }
            if options.sides == Sides::Both {
                let differences = paths.differences();
                let differences: Vec<String> =
                    differences.iter().map(ToString::to_string).collect();
                channel["differences"] = json!(differences);
            }
            if let Ok(params) = paths.converter
                && let Some((real, multiplier)) = multiplier(options, &params)
            {
                channel["multiplier"] = json!({
                    "real": real,
                    "q31": multiplier.multiplier,
                    "shift": multiplier.shift,
                });
            }
            channel
        })
        .collect();
    json!({
        "bits": grid.bits(),
        "narrow": grid.is_narrow(),
        "lowest_code": grid.min(),
        "highest_code": grid.max(),
        "channels": channels,
    })
}
