//! What the user asked for.

use crate::failure::Failure;
use crate::help;
use crate::run::{RunOptions, What};
use crate::session::Case;
use corallite::fixedpoint::Profile;
use corallite::ops::KernelChoice;
use lexopt::prelude::*;
use lexopt::{Error, Parser};
use std::path::PathBuf;

/// A command with its options.
pub enum Command {
    /// Help or the version.
    Print(String),
    /// `corallite run`.
    Run(RunOptions),
    /// `corallite inspect`.
    Inspect(OneModel),
    /// `corallite check`.
    Check(OneModel),
}

/// Options of the commands that only look at a model.
pub struct OneModel {
    /// The model file.
    pub model: PathBuf,
    /// Whether JSON is wanted.
    pub json: bool,
}

/// The most threads that may be asked for.
const MAX_THREADS: usize = 256;

/// Reads the command line.
pub fn parse(mut parser: Parser) -> Result<Command, Failure> {
    let in_command = |command| move |source| Failure::Arguments { command, source };
    let argument = parser.next().map_err(in_command(""))?;
    let name = match argument {
        None => return Err(Failure::NoCommand),
        Some(Short('h') | Long("help")) => return Ok(print(help::TOOL)),
        Some(Short('V') | Long("version")) => return Ok(Command::Print(version())),
        Some(Value(name)) => name.to_string_lossy().into_owned(),
        Some(option) => return Err(in_command("")(option.unexpected())),
    };
    match name.as_str() {
        "help" => Ok(print(help::TOOL)),
        "run" => run(parser).map_err(in_command("run")),
        "inspect" => {
            one_model(parser, help::INSPECT, Command::Inspect).map_err(in_command("inspect"))
        }
        "check" => one_model(parser, help::CHECK, Command::Check).map_err(in_command("check")),
        "rules" => rules(parser).map_err(in_command("rules")),
        _ => Err(Failure::UnknownCommand { found: name }),
    }
}

fn print(text: &str) -> Command {
    Command::Print(text.to_owned())
}

fn version() -> String {
    format!("corallite {}\n", env!("CARGO_PKG_VERSION"))
}

/// The one positional argument of a command.
fn set_model(model: &mut Option<PathBuf>, value: std::ffi::OsString) -> Result<(), Error> {
    if model.is_some() {
        let value = value.to_string_lossy();
        return Err(format!("unexpected argument {value:?} after MODEL").into());
    }
    *model = Some(value.into());
    Ok(())
}

fn missing(what: &str) -> Error {
    format!("{what} is missing").into()
}

fn run(mut parser: Parser) -> Result<Command, Error> {
    let (mut model, mut inputs, mut folder, mut batch) = (None, Vec::new(), None, None);
    let mut profile = Profile::default();
    let mut kernels = KernelChoice::default();
    let mut threads = 1;
    while let Some(argument) = parser.next()? {
        match argument {
            Short('h') | Long("help") => return Ok(print(help::RUN)),
            Short('i') | Long("input") => inputs.push(PathBuf::from(parser.value()?)),
            Short('o') | Long("output-dir") => folder = Some(PathBuf::from(parser.value()?)),
            Long("batch") => batch = Some(PathBuf::from(parser.value()?)),
            Long("profile") => profile = value(&mut parser, "--profile", str::parse)?,
            Long("kernels") => kernels = value(&mut parser, "--kernels", kernel_choice)?,
            Long("threads") => threads = value(&mut parser, "--threads", thread_count)?,
            Value(value) => set_model(&mut model, value)?,
            _ => return Err(argument.unexpected()),
        }
    }
    let what = match batch {
        Some(_) if model.is_some() || folder.is_some() || !inputs.is_empty() => {
            return Err(
                "--batch takes models, inputs and output folders from its list, not from the command line".into(),
            );
        }
        Some(list) => What::Batch(list),
        None => What::Case(Case {
            model: model.ok_or_else(|| missing("MODEL"))?,
            inputs,
            folder: folder.ok_or_else(|| missing("--output-dir"))?,
        }),
    };
    Ok(Command::Run(RunOptions {
        what,
        profile,
        kernels,
        threads,
    }))
}

fn one_model(
    mut parser: Parser,
    help: &str,
    command: fn(OneModel) -> Command,
) -> Result<Command, Error> {
    let (mut model, mut json) = (None, false);
    while let Some(argument) = parser.next()? {
        match argument {
            Short('h') | Long("help") => return Ok(print(help)),
            Long("json") => json = true,
            Value(value) => set_model(&mut model, value)?,
            _ => return Err(argument.unexpected()),
        }
    }
    let model = model.ok_or_else(|| missing("MODEL"))?;
    Ok(command(OneModel { model, json }))
}

fn rules(mut parser: Parser) -> Result<Command, Error> {
    match parser.next()? {
        None => Ok(Command::Print(crate::rules::markdown())),
        Some(Short('h') | Long("help")) => Ok(print(help::RULES)),
        Some(argument) => Err(argument.unexpected()),
    }
}

/// The value of `option`, with the option in the message when it means nothing.
fn value<T, E: std::fmt::Display>(
    parser: &mut Parser,
    option: &str,
    parse: impl FnOnce(&str) -> Result<T, E>,
) -> Result<T, Error> {
    let text = parser.value()?.string()?;
    parse(&text).map_err(|error| format!("{option} {text:?}: {error}").into())
}

fn kernel_choice(name: &str) -> Result<KernelChoice, &'static str> {
    match name {
        "fastest" => Ok(KernelChoice::Fastest),
        "reference" => Ok(KernelChoice::Reference),
        _ => Err("expected fastest or reference"),
    }
}

fn thread_count(number: &str) -> Result<usize, String> {
    let number = number.parse().ok();
    number
        .filter(|n| (1..=MAX_THREADS).contains(n))
        .ok_or_else(|| format!("expected a number from 1 to {MAX_THREADS}"))
}
