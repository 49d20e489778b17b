//! What the user asked for.

use crate::bench::BenchOptions;
use crate::devices::DevicesOptions;
use crate::doctor::DoctorOptions;
use crate::failure::Failure;
use crate::help;
use crate::inspect::InspectOptions;
use crate::qat;
use crate::run::{RunOptions, What};
use crate::session::Case;
use corallite::delegate::DeviceRequest;
use corallite::device::{DeviceSelector, System, split_model_at_device};
use corallite::ffi::DelegateOptions;
use corallite::fixedpoint::Profile;
use corallite::ops::KernelChoice;
use lexopt::prelude::*;
use lexopt::{Error, Parser};
use std::ffi::OsString;
use std::path::PathBuf;

/// A command with its options.
pub enum Command {
    /// Help or the version.
    Print(String),
    /// `corallite run`.
    Run(RunOptions),
    /// `corallite bench`.
    Bench(BenchOptions),
    /// `corallite inspect`.
    Inspect(InspectOptions),
    /// `corallite check`.
    Check(OneModel),
    /// `corallite devices`.
    Devices(DevicesOptions),
    /// `corallite doctor`.
    Doctor(DoctorOptions),
    /// `corallite qat`.
    Qat(qat::Qat),
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
        "bench" => bench(parser).map_err(in_command("bench")),
        "inspect" => inspect(parser).map_err(in_command("inspect")),
        "check" => check(parser).map_err(in_command("check")),
        "devices" => devices(parser).map_err(in_command("devices")),
        "doctor" => doctor(parser).map_err(in_command("doctor")),
        "rules" => rules(parser).map_err(in_command("rules")),
        "qat" => match qat::parser_name(&mut parser).map_err(in_command("qat"))? {
            Ok(name) => qat::parse(name, parser).map_err(in_command(name)),
            Err(help) => Ok(help),
        },
        _ => Err(Failure::UnknownCommand { found: name }),
    }
}

/// A command that only prints.
pub fn print(text: &str) -> Command {
    Command::Print(text.to_owned())
}

fn version() -> String {
    format!("corallite {}\n", env!("CARGO_PKG_VERSION"))
}

/// The one positional argument of a command.
fn set_model(model: &mut Option<PathBuf>, value: OsString) -> Result<(), Error> {
    if model.is_some() {
        let value = value.to_string_lossy();
        return Err(format!("unexpected argument {value:?} after MODEL").into());
    }
    *model = Some(value.into());
    Ok(())
}

/// A required argument is not there.
pub fn missing(what: &str) -> Error {
    format!("{what} is missing").into()
}

fn run(mut parser: Parser) -> Result<Command, Error> {
    let (mut model, mut inputs, mut folder, mut batch) = (None, Vec::new(), None, None);
    let mut profile = Profile::default();
    let mut kernels = KernelChoice::default();
    let mut threads = 1;
    let mut signature = None;
    let mut resize = false;
    let mut device = Device::default();
    while let Some(argument) = parser.next()? {
        match argument {
            Short('h') | Long("help") => return Ok(print(help::RUN)),
            Short('i') | Long("input") => inputs.push(PathBuf::from(parser.value()?)),
            Short('o') | Long("output-dir") => folder = Some(PathBuf::from(parser.value()?)),
            Long("batch") => batch = Some(PathBuf::from(parser.value()?)),
            Long("profile") => profile = value(&mut parser, "--profile", str::parse)?,
            Long("kernels") => kernels = value(&mut parser, "--kernels", str::parse)?,
            Long("threads") => threads = value(&mut parser, "--threads", thread_count)?,
            Long("signature") => signature = Some(parser.value()?.string()?),
            Long("resize") => resize = true,
            Long("device") => device.selector = Some(value(&mut parser, "--device", str::parse)?),
            Long("device-option") => device.options.push(parser.value()?.string()?),
            Long("isolated") => device.isolated = true,
            Long("cpu-model") => device.cpu_model = Some(parser.value()?.into()),
            Value(value) => set_model(&mut model, device.split_off(value)?)?,
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
        signature,
        resize,
        device: device.request()?,
        cpu_model: device.cpu_model,
    }))
}

/// What is said of the device, in any order.
#[derive(Default)]
struct Device {
    selector: Option<DeviceSelector>,
    options: Vec<String>,
    isolated: bool,
    cpu_model: Option<PathBuf>,
}

impl Device {
    /// Takes the device off `model.tflite@usb:0`.
    fn split_off(&mut self, model: OsString) -> Result<OsString, Error> {
        let Some(text) = model.to_str() else {
            return Ok(model);
        };
        let (file, selector) = split_model_at_device(text).map_err(|error| error.to_string())?;
        if let Some(selector) = selector {
            self.selector = Some(selector);
        }
        Ok(file.into())
    }

    /// The request: options of the command line, else those of the environment.
    fn request(&self) -> Result<DeviceRequest, Error> {
        let selector = self.selector.clone().unwrap_or_default();
        let mut request = DeviceRequest::from_environment(selector).map_err(|e| e.to_string())?;
        if self.isolated {
            request = isolate(request)?;
        }
        if self.options.is_empty() {
            return Ok(request);
        }
        let options = DelegateOptions::parse_list(&self.options.join(","));
        Ok(request.options(options.map_err(|error| format!("--device-option: {error}"))?))
    }
}

#[cfg(target_os = "linux")]
fn isolate(request: DeviceRequest) -> Result<DeviceRequest, Error> {
    Ok(request.isolated(corallite::delegate::isolated::Isolation::default()))
}

#[cfg(not(target_os = "linux"))]
fn isolate(_: DeviceRequest) -> Result<DeviceRequest, Error> {
    Err("--isolated needs Linux".into())
}

fn inspect(mut parser: Parser) -> Result<Command, Error> {
    let (mut model, mut cpu_model, mut json) = (None, None, false);
    while let Some(argument) = parser.next()? {
        match argument {
            Short('h') | Long("help") => return Ok(print(help::INSPECT)),
            Long("json") => json = true,
            Long("cpu-model") => cpu_model = Some(parser.value()?.into()),
            Value(value) => set_model(&mut model, value)?,
            _ => return Err(argument.unexpected()),
        }
    }
    Ok(Command::Inspect(InspectOptions {
        model: model.ok_or_else(|| missing("MODEL"))?,
        cpu_model,
        json,
    }))
}

/// The most inferences that may be asked for.
const MAX_ITERATIONS: usize = 100_000_000;

fn bench(mut parser: Parser) -> Result<Command, Error> {
    let mut model = None;
    let mut kernels = KernelChoice::default();
    let (mut threads, mut iterations, mut warm_up) = (1, 50, 1);
    let (mut profile_operators, mut json) = (false, false);
    while let Some(argument) = parser.next()? {
        match argument {
            Short('h') | Long("help") => return Ok(print(help::BENCH)),
            Long("kernels") => kernels = value(&mut parser, "--kernels", str::parse)?,
            Long("threads") => threads = value(&mut parser, "--threads", thread_count)?,
            Long("iters") => iterations = value(&mut parser, "--iters", |n| count(n, 1))?,
            Long("warmup") => warm_up = value(&mut parser, "--warmup", |n| count(n, 0))?,
            Long("profile-ops") => profile_operators = true,
            Long("json") => json = true,
            Value(value) => set_model(&mut model, value)?,
            _ => return Err(argument.unexpected()),
        }
    }
    Ok(Command::Bench(BenchOptions {
        model: model.ok_or_else(|| missing("MODEL"))?,
        kernels,
        threads,
        iterations,
        warm_up,
        profile_operators,
        json,
    }))
}

/// A number of inferences.
fn count(number: &str, least: usize) -> Result<usize, String> {
    let number = number.parse().ok();
    number
        .filter(|n| (least..=MAX_ITERATIONS).contains(n))
        .ok_or_else(|| format!("expected a number from {least} to {MAX_ITERATIONS}"))
}

fn check(mut parser: Parser) -> Result<Command, Error> {
    let (mut model, mut json) = (None, false);
    while let Some(argument) = parser.next()? {
        match argument {
            Short('h') | Long("help") => return Ok(print(help::CHECK)),
            Long("json") => json = true,
            Value(value) => set_model(&mut model, value)?,
            _ => return Err(argument.unexpected()),
        }
    }
    let model = model.ok_or_else(|| missing("MODEL"))?;
    Ok(Command::Check(OneModel { model, json }))
}

fn devices(mut parser: Parser) -> Result<Command, Error> {
    let (mut json, mut system) = (false, System::host());
    while let Some(argument) = parser.next()? {
        match argument {
            Short('h') | Long("help") => return Ok(print(help::DEVICES)),
            Long("json") => json = true,
            Long("root") => system = System::at(&PathBuf::from(parser.value()?)),
            _ => return Err(argument.unexpected()),
        }
    }
    Ok(Command::Devices(DevicesOptions { system, json }))
}

fn doctor(mut parser: Parser) -> Result<Command, Error> {
    // A device that hangs or crashes is what the doctor is there for.
    let isolated = cfg!(target_os = "linux");
    let mut device = Device {
        isolated,
        ..Device::default()
    };
    let mut model = None;
    let (mut json, mut opens, mut system) = (false, true, System::host());
    while let Some(argument) = parser.next()? {
        match argument {
            Short('h') | Long("help") => return Ok(print(help::DOCTOR)),
            Long("json") => json = true,
            Long("no-open") => opens = false,
            Long("root") => system = System::at(&PathBuf::from(parser.value()?)),
            Long("device") => device.selector = Some(value(&mut parser, "--device", str::parse)?),
            Long("device-option") => device.options.push(parser.value()?.string()?),
            Value(value) => set_model(&mut model, device.split_off(value)?)?,
            _ => return Err(argument.unexpected()),
        }
    }
    Ok(Command::Doctor(DoctorOptions {
        model,
        request: device.request()?,
        system,
        opens,
        json,
    }))
}

fn rules(mut parser: Parser) -> Result<Command, Error> {
    match parser.next()? {
        None => Ok(Command::Print(crate::rules::markdown())),
        Some(Short('h') | Long("help")) => Ok(print(help::RULES)),
        Some(argument) => Err(argument.unexpected()),
    }
}

/// The value of `option`, with the option in the message when it means nothing.
pub fn value<T, E: std::fmt::Display>(
    parser: &mut Parser,
    option: &str,
    parse: impl FnOnce(&str) -> Result<T, E>,
) -> Result<T, Error> {
    let text = parser.value()?.string()?;
    parse(&text).map_err(|error| format!("{option} {text:?}: {error}").into())
}

fn thread_count(number: &str) -> Result<usize, String> {
    let number = number.parse().ok();
    number
        .filter(|n| (1..=MAX_THREADS).contains(n))
        .ok_or_else(|| format!("expected a number from 1 to {MAX_THREADS}"))
}
