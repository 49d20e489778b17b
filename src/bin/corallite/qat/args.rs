//! What the user asked of `corallite qat`.

use super::{Qat, budget, compare, diff, fq, help, lint, qparams};
use crate::args::{Command, missing, print, value};
use corallite::fixedpoint::Profile;
use corallite::oracle::{FakeQuantProfile, Grid, Range};
use corallite::tensor::TensorType;
use lexopt::prelude::*;
use lexopt::{Error, Parser};
use std::path::PathBuf;

/// Reads which command is meant: its name, or the help that was asked for instead.
pub fn parser_name(parser: &mut Parser) -> Result<Result<&'static str, Command>, Error> {
    let commands = "expected qparams, fq, compare, diff, lint or budget";
    match parser.next()? {
        None => Err(format!("a command of qat is missing, {commands}").into()),
        Some(Short('h') | Long("help")) => Ok(Err(print(help::QAT))),
        Some(Value(name)) => match name.to_string_lossy().as_ref() {
            "qparams" => Ok(Ok("qat qparams")),
            "fq" => Ok(Ok("qat fq")),
            "compare" => Ok(Ok("qat compare")),
            "diff" => Ok(Ok("qat diff")),
            "lint" => Ok(Ok("qat lint")),
            "budget" => Ok(Ok("qat budget")),
            other => Err(format!("unknown command of qat {other:?}, {commands}").into()),
        },
        Some(option) => Err(option.unexpected()),
    }
}

/// Reads the options of the command that [`parser_name`] told.
pub fn parse(name: &str, parser: Parser) -> Result<Command, Error> {
    match name {
        "qat fq" => fq(parser),
        "qat compare" => compare(parser),
        "qat diff" => diff(parser),
        "qat lint" => lint(parser),
        "qat budget" => budget(parser),
        _ => qparams(parser),
    }
}

fn qparams(mut parser: Parser) -> Result<Command, Error> {
    let mut ends = Ends::default();
    let (mut ty, mut bits) = (TensorType::UInt8, None);
    let (mut narrow, mut symmetric, mut json) = (false, false, false);
    let mut sides = qparams::Sides::Both;
    let (mut input_scale, mut weight_scale) = (None, None);
    while let Some(argument) = parser.next()? {
        match argument {
            Short('h') | Long("help") => return Ok(print(help::QPARAMS)),
            Long("min") => ends.min = value(&mut parser, "--min", floats)?,
            Long("max") => ends.max = value(&mut parser, "--max", floats)?,
            Long("type") => ty = value(&mut parser, "--type", tensor_type)?,
            Long("bits") => bits = Some(value(&mut parser, "--bits", str::parse::<u32>)?),
            Long("narrow") => narrow = true,
            Long("symmetric") => symmetric = true,
            Long("profile") => sides = value(&mut parser, "--profile", side)?,
            Long("input-scale") => input_scale = Some(value(&mut parser, "--input-scale", scale)?),
            Long("weight-scale") => {
                weight_scale = Some(value(&mut parser, "--weight-scale", scale)?);
            }
            Long("json") => json = true,
            _ => return Err(argument.unexpected()),
        }
    }
    let grid = match (bits, ty) {
        (None, ty) => Grid::of(ty, narrow),
        (Some(bits), TensorType::UInt8) => Grid::unsigned(bits, narrow),
        (Some(bits), _) => Grid::signed(bits, narrow),
    };
    let grid = grid.map_err(|error| format!("--bits: {error}"))?;
    let mut ranges = ends.ranges()?;
    if symmetric {
        ranges = ranges
            .into_iter()
            .map(|range| range.symmetric(grid))
            .collect();
    }
    let layer = match (input_scale, weight_scale) {
        (Some(input), Some(weight)) => Some(input * weight),
        (None, None) => None,
        _ => return Err("--input-scale and --weight-scale go together".into()),
    };
    Ok(Command::Qat(Qat::Qparams(qparams::Options {
        grid,
        ranges,
        sides,
        layer,
        json,
    })))
}

fn fq(mut parser: Parser) -> Result<Command, Error> {
    let mut ends = Ends::default();
    let (mut input, mut output, mut array) = (None, None, None);
    let (mut bits, mut narrow, mut gradients) = (8, false, false);
    let mut profile = FakeQuantProfile::default();
    while let Some(argument) = parser.next()? {
        match argument {
            Short('h') | Long("help") => return Ok(print(help::FQ)),
            Long("min") => ends.min = value(&mut parser, "--min", floats)?,
            Long("max") => ends.max = value(&mut parser, "--max", floats)?,
            Short('o') | Long("output") => output = Some(PathBuf::from(parser.value()?)),
            Long("array") => array = Some(parser.value()?.string()?),
            Long("bits") => bits = value(&mut parser, "--bits", str::parse::<u32>)?,
            Long("narrow") => narrow = true,
            Long("profile") => profile = value(&mut parser, "--profile", str::parse)?,
            Long("grad") => gradients = true,
            Value(file) if input.is_none() => input = Some(PathBuf::from(file)),
            _ => return Err(argument.unexpected()),
        }
    }
    let grid = Grid::unsigned(bits, narrow).map_err(|error| format!("--bits: {error}"))?;
    Ok(Command::Qat(Qat::Fq(fq::Options {
        input: input.ok_or_else(|| missing("IN.npz"))?,
        output: output.ok_or_else(|| missing("--output"))?,
        array,
        profile,
        grid,
        ranges: ends.ranges()?,
        gradients,
    })))
}

fn compare(mut parser: Parser) -> Result<Command, Error> {
    let (mut files, mut map, mut html) = (Vec::new(), None, None);
    let (mut local, mut json) = (false, false);
    let mut profile = Profile::default();
    while let Some(argument) = parser.next()? {
        match argument {
            Short('h') | Long("help") => return Ok(print(help::COMPARE)),
            Long("map") => map = Some(PathBuf::from(parser.value()?)),
            Long("html") => html = Some(PathBuf::from(parser.value()?)),
            Long("profile") => profile = value(&mut parser, "--profile", str::parse)?,
            Long("local") => local = true,
            Long("json") => json = true,
            Value(file) if files.len() < 2 => files.push(PathBuf::from(file)),
            _ => return Err(argument.unexpected()),
        }
    }
    let mut files = files.into_iter();
    let model = files.next().ok_or_else(|| missing("MODEL"))?;
    let dump = files.next().ok_or_else(|| missing("DUMP.npz"))?;
    Ok(Command::Qat(Qat::Compare(compare::Options {
        model,
        dump,
        map,
        profile,
        local,
        json,
        html,
    })))
}

fn diff(mut parser: Parser) -> Result<Command, Error> {
    let (mut models, mut inputs) = (Vec::new(), Vec::new());
    let (mut profile_a, mut profile_b) = (Profile::default(), Profile::default());
    let (mut samples, mut seed, mut json) = (4, 1, false);
    while let Some(argument) = parser.next()? {
        match argument {
            Short('h') | Long("help") => return Ok(print(help::DIFF)),
            Short('i') | Long("input") => inputs.push(PathBuf::from(parser.value()?)),
            Long("profile-a") => profile_a = value(&mut parser, "--profile-a", str::parse)?,
            Long("profile-b") => profile_b = value(&mut parser, "--profile-b", str::parse)?,
            Long("samples") => samples = value(&mut parser, "--samples", count)?,
            Long("seed") => seed = value(&mut parser, "--seed", str::parse)?,
            Long("json") => json = true,
            Value(file) if models.len() < 2 => models.push(PathBuf::from(file)),
            _ => return Err(argument.unexpected()),
        }
    }
    let mut models = models.into_iter();
    let a = models.next().ok_or_else(|| missing("A"))?;
    let b = models.next();
    if b.is_none() && profile_a == profile_b {
        return Err(
            "one model in one arithmetic, expected a second model or another --profile-b".into(),
        );
    }
    let inputs = match inputs.is_empty() {
        true => diff::Inputs::Random { samples, seed },
        false => diff::Inputs::Files(inputs),
    };
    Ok(Command::Qat(Qat::Diff(diff::Options {
        b: b.unwrap_or_else(|| a.clone()),
        a,
        profile_a,
        profile_b,
        inputs,
        json,
    })))
}

fn lint(mut parser: Parser) -> Result<Command, Error> {
    let (mut model, mut edge_tpu, mut json) = (None, false, false);
    while let Some(argument) = parser.next()? {
        match argument {
            Short('h') | Long("help") => return Ok(print(help::LINT)),
            Long("edgetpu") => edge_tpu = true,
            Long("json") => json = true,
            Value(file) if model.is_none() => model = Some(PathBuf::from(file)),
            _ => return Err(argument.unexpected()),
        }
    }
    Ok(Command::Qat(Qat::Lint(lint::Options {
        model: model.ok_or_else(|| missing("MODEL"))?,
        edge_tpu,
        json,
    })))
}

fn budget(mut parser: Parser) -> Result<Command, Error> {
    let (mut model, mut json) = (None, false);
    while let Some(argument) = parser.next()? {
        match argument {
            Short('h') | Long("help") => return Ok(print(help::BUDGET)),
            Long("json") => json = true,
            Value(file) if model.is_none() => model = Some(PathBuf::from(file)),
            _ => return Err(argument.unexpected()),
        }
    }
    Ok(Command::Qat(Qat::Budget(budget::Options {
        model: model.ok_or_else(|| missing("MODEL"))?,
        json,
    })))
}

/// `--min` and `--max`, one each or one per channel.
#[derive(Default)]
struct Ends {
    min: Vec<f32>,
    max: Vec<f32>,
}

impl Ends {
    fn ranges(&self) -> Result<Vec<Range>, Error> {
        for (option, ends) in [("--min", &self.min), ("--max", &self.max)] {
            if ends.is_empty() {
                return Err(missing(option));
            }
        }
        let (low, high) = (self.min.len(), self.max.len());
        if low != high {
            return Err(format!("--min has {low} numbers, --max {high}, expected as many").into());
        }
        let ends = self.min.iter().zip(&self.max);
        let ranges = ends.map(|(&min, &max)| Range::new(min, max));
        ranges
            .collect::<Result<_, _>>()
            .map_err(|error| format!("--min and --max: {error}").into())
    }
}

/// Numbers with commas between them.
fn floats(text: &str) -> Result<Vec<f32>, String> {
    text.split(',')
        .map(|number| {
            let parsed = number.trim().parse();
            parsed.map_err(|_| format!("{number:?} is no number"))
        })
        .collect()
}

fn count(text: &str) -> Result<usize, &'static str> {
    let parsed = text.parse().ok();
    parsed
        .filter(|count| (1..=1000).contains(count))
        .ok_or("expected 1 to 1000")
}

fn scale(text: &str) -> Result<f64, &'static str> {
    let parsed = text.parse::<f32>().ok();
    parsed
        .filter(|scale| scale.is_normal() && *scale > 0.0)
        .map(f64::from)
        .ok_or("expected a number above 0")
}

fn tensor_type(text: &str) -> Result<TensorType, &'static str> {
    match text {
        "uint8" => Ok(TensorType::UInt8),
        "int8" => Ok(TensorType::Int8),
        "int16" => Ok(TensorType::Int16),
        _ => Err("expected uint8, int8 or int16"),
    }
}

fn side(text: &str) -> Result<qparams::Sides, &'static str> {
    if text == "toco" {
        return Ok(qparams::Sides::Converter);
    }
    match text.parse::<FakeQuantProfile>() {
        Ok(_) => Ok(qparams::Sides::FakeQuant),
        Err(_) => Err("expected tf1.13, tf2, tflite or toco"),
    }
}
