//! `corallite bench`: how long a model takes here, and how much memory.

use crate::clock::{cpu_time, peak_rss};
use crate::failure::Failure;
use crate::output::print;
use crate::table::{Align, Table, bytes};
use corallite::interpreter::OperatorEvent;
use corallite::ops::KernelChoice;
use corallite::{Interpreter, Model};
use serde_json::json;
use std::fmt::Write;
use std::path::PathBuf;
use std::time::{Duration, Instant};

/// Options of `corallite bench`.
pub struct BenchOptions {
    /// The model file.
    pub model: PathBuf,
    /// Which kernel variants.
    pub kernels: KernelChoice,
    /// How many threads an operator may use.
    pub threads: usize,
    /// Inferences that are measured.
    pub iterations: usize,
    /// Inferences between the first and the measured ones.
    pub warm_up: usize,
    /// Whether operators are measured one by one.
    pub profile_operators: bool,
    /// Whether JSON is wanted.
    pub json: bool,
}

/// Runs the command.
pub fn bench(options: &BenchOptions) -> Result<(), Failure> {
    let path = || options.model.clone();
    let invoke = |interpreter: &mut Interpreter| {
        interpreter.invoke().map_err(|source| Failure::Invoke {
            model: path(),
            source: Box::new(source),
        })
    };
    let start = Instant::now();
    let model = Model::from_file(&options.model).map_err(|source| Failure::Load {
        model: path(),
        source: Box::new(source),
    })?;
    let mut interpreter = Interpreter::builder(&model)
        .kernels(options.kernels)
        .threads(options.threads)
        .build()
        .map_err(|source| Failure::Build {
            model: path(),
            source: Box::new(source),
        })?;
    let load = start.elapsed();
    fill_inputs(&mut interpreter, options)?;
    let start = Instant::now();
    invoke(&mut interpreter)?;
    let first = start.elapsed();
    for _ in 0..options.warm_up {
        invoke(&mut interpreter)?;
    }
    let mut times = Times::default();
    for _ in 0..options.iterations {
        let (wall, cpu) = (Instant::now(), cpu_time());
        invoke(&mut interpreter)?;
        times.wall.push(wall.elapsed());
        times.cpu.push(cpu_time().saturating_sub(cpu));
    }
    let measured = Measured {
        load,
        first,
        median: median(&mut times.wall),
        min: times.wall[0],
        // Virtual machines show clocks that stand still.
        cpu: times
            .cpu
            .iter()
            .filter(|time| !time.is_zero())
            .min()
            .copied()
            .unwrap_or_default(),
        arena: interpreter.arena_bytes(),
    };
    let profile = match options.profile_operators {
        true => Some(profile(&mut interpreter, options)?),
        false => None,
    };
    match options.json {
        true => print(&as_json(&measured, &interpreter, profile.as_deref())),
        false => print(&as_text(
            &measured,
            &interpreter,
            profile.as_deref(),
            options,
        )),
    }
}

/// Gives every input the same elements at every run: float32 from 0 to 1, and bytes of six bits to other types.
fn fill_inputs(interpreter: &mut Interpreter, options: &BenchOptions) -> Result<(), Failure> {
    for index in 0..interpreter.input_count() {
        let mut input = interpreter
            .input_mut(index)
            .map_err(|source| Failure::Access {
                model: options.model.clone(),
                source,
            })?;
        let pattern = |i: usize| (i.wrapping_mul(2_654_435_761) >> 7) as u8 & 0x3f;
        if let Ok(floats) = input.as_slice_mut::<f32>() {
            for (i, float) in floats.iter_mut().enumerate() {
                *float = f32::from(pattern(i)) / 64.0;
            }
            continue;
        }
        for (i, byte) in input.bytes_mut().iter_mut().enumerate() {
            *byte = pattern(i);
        }
    }
    Ok(())
}

#[derive(Default)]
struct Times {
    wall: Vec<Duration>,
    cpu: Vec<Duration>,
}

struct Measured {
    load: Duration,
    first: Duration,
    median: Duration,
    min: Duration,
    /// The least that an inference took, over all threads.
    cpu: Duration,
    /// Bytes, without what profiling adds.
    arena: usize,
}

/// The middle one; sorts them.
fn median(times: &mut [Duration]) -> Duration {
    times.sort_unstable();
    times.get(times.len() / 2).copied().unwrap_or_default()
}

/// The median time of each operator.
fn profile(
    interpreter: &mut Interpreter,
    options: &BenchOptions,
) -> Result<Vec<Duration>, Failure> {
    let mut times: Vec<Vec<Duration>> = interpreter
        .operators()
        .map(|_| Vec::with_capacity(options.iterations))
        .collect();
    for _ in 0..options.iterations {
        let mut each = times.iter_mut();
        let mut observer = |event: &OperatorEvent<'_>| {
            if let Some(times) = each.next() {
                times.push(event.duration());
            }
        };
        interpreter
            .invoke_observed(&mut observer)
            .map_err(|source| Failure::Invoke {
                model: options.model.clone(),
                source: Box::new(source),
            })?;
    }
    Ok(times.iter_mut().map(|times| median(times)).collect())
}

/// Microseconds with one digit.
fn micros(time: Duration) -> f64 {
    (time.as_nanos() as f64 / 100.0).round() / 10.0
}

fn as_json(measured: &Measured, interpreter: &Interpreter, profile: Option<&[Duration]>) -> String {
    let mut object = json!({
        "median_us": micros(measured.median),
        "min_us": micros(measured.min),
        "cpu_us": micros(measured.cpu),
        "load_us": micros(measured.load),
        "first_us": micros(measured.first),
        "arena_bytes": measured.arena,
        "peak_rss_bytes": peak_rss(),
    });
    if let Some(profile) = profile {
        let operators = interpreter.operators().zip(profile).map(|(info, &time)| {
            json!({
                "index": info.index,
                "operator": info.kind.to_string(),
                "kernel": info.kernel,
                "macs": info.macs,
                "us": micros(time),
            })
        });
        object["operators"] = operators.collect();
    }
    format!("{object}\n")
}

fn as_text(
    measured: &Measured,
    interpreter: &Interpreter,
    profile: Option<&[Duration]>,
    options: &BenchOptions,
) -> String {
    let memory = interpreter.kernel_memory();
    let mut text = String::new();
    let mut line = |name: &str, value: String| {
        let _ = writeln!(text, "{name:<22} {value}");
    };
    let time = |time| format!("{:.1} us", micros(time));
    line("load and prepare", time(measured.load));
    line("first inference", time(measured.first));
    line(
        "inference",
        format!(
            "median {}, min {} of {} ({} thread(s))",
            time(measured.median),
            time(measured.min),
            options.iterations,
            options.threads
        ),
    );
    line("CPU time", format!("min {}", time(measured.cpu)));
    let macs: u64 = interpreter.operators().map(|info| info.macs).sum();
    line(
        "multiply-accumulates",
        format!(
            "{:.2} M, {:.1} G/s",
            macs as f64 / 1e6,
            giga_per_second(macs, measured.min)
        ),
    );
    line("arena", bytes(measured.arena));
    line("packed weights", bytes(memory.packed));
    line("scratch a thread", bytes(memory.workspace));
    if let Some(peak) = peak_rss() {
        line("peak resident memory", bytes(peak));
    }
    if let Some(profile) = profile {
        text.push('\n');
        operator_table(interpreter, profile).render(&mut text);
    }
    text
}

fn giga_per_second(macs: u64, time: Duration) -> f64 {
    macs as f64 / (time.as_nanos() as f64).max(1.0)
}

fn operator_table(interpreter: &Interpreter, profile: &[Duration]) -> Table {
    let total: Duration = profile.iter().sum();
    let mut table = Table::new(&[
        ("#", Align::Right),
        ("operator", Align::Left),
        ("us", Align::Right),
        ("share", Align::Right),
        ("MMAC", Align::Right),
        ("GMAC/s", Align::Right),
        ("kernel", Align::Left),
    ]);
    for (info, &time) in interpreter.operators().zip(profile) {
        let share = time.as_secs_f64() / total.as_secs_f64().max(f64::MIN_POSITIVE);
        let with_macs = |text: String| if info.macs == 0 { String::new() } else { text };
        table.row([
            info.index.to_string(),
            info.kind.to_string(),
            format!("{:.1}", micros(time)),
            format!("{:.1}%", 100.0 * share),
            with_macs(format!("{:.3}", info.macs as f64 / 1e6)),
            with_macs(format!("{:.1}", giga_per_second(info.macs, time))),
            info.kernel.to_owned(),
        ]);
    }
    table
}
