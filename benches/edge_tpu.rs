//! What corallite adds to an inference on an Edge TPU: `cargo bench --bench edge_tpu -- [--iters N]`.
//!
//! libedgetpu is the stand-in with the engine that does nothing, so all time is the host's: the interpreter, the host of
//! the delegate, and with isolation the way to the worker process and back. Prints a line per model and place: wall time of
//! one inference in microseconds, median and 99 %, and the CPU time of this process and its worker together per inference.

#[path = "../tests/compiled_model/mod.rs"]
mod compiled_model;
#[path = "../tests/model_builder/mod.rs"]
mod model_builder;
#[path = "../tests/standin/mod.rs"]
mod standin;

use corallite::delegate::EdgeTpuDelegate;
use corallite::delegate::isolated::{Isolation, WorkerProgram, worker_main};
use corallite::ffi::{DelegateOptions, EdgeTpu, EdgeTpuLibrary, SearchPath};
use corallite::{Interpreter, Model};
use model_builder::{INT8, UINT8};
use std::error::Error;
use std::time::{Duration, Instant};

/// 224 x 224 x 3 in, 1001 out; and a keyword spotter's 490 in, 12 out.
const MODELS: [(&str, i8, i32, i32); 4] = [
    ("uint8 490 to 12", UINT8, 490, 12),
    ("int8 490 to 12", INT8, 490, 12),
    ("uint8 150528 to 1001", UINT8, 150_528, 1001),
    ("int8 150528 to 1001", INT8, 150_528, 1001),
];

fn main() -> Result<(), Box<dyn Error>> {
    worker_main();
    let iterations = iterations()?;
    let standin = standin::StandIn::new(&[("engine", "nothing")]);
    let search = SearchPath::named(standin.library());
    let library = EdgeTpuLibrary::open(&search)?;
    let device = library.devices().remove(0);
    let edge_tpu = EdgeTpu::open(library, &device, DelegateOptions::default())?;
    let program = WorkerProgram::this().variable("CORALLITE_LOCK_DIR", std::env::temp_dir());
    let isolated = Isolation::default()
        .worker(program)
        .library(search)
        .open(&device)?;
    let worker = isolated.worker_id().ok_or("no worker")?;
    for (name, ty, input, output) in MODELS {
        let model = Model::from_bytes(&compiled_model::single(ty, input, output).to_bytes())?;
        let places = [
            ("in process", EdgeTpuDelegate::new(edge_tpu.clone())),
            ("isolated", EdgeTpuDelegate::isolated(isolated.clone())),
        ];
        for (place, delegate) in places {
            let mut interpreter = Interpreter::builder(&model).delegate(delegate).build()?;
            for _ in 0..100 {
                interpreter.invoke()?;
            }
            let mut times = Vec::with_capacity(iterations);
            let busy = cpu_time(std::process::id())? + cpu_time(worker)?;
            for _ in 0..iterations {
                let start = Instant::now();
                interpreter.invoke()?;
                times.push(start.elapsed());
            }
            let busy = cpu_time(std::process::id())? + cpu_time(worker)? - busy;
            times.sort_unstable();
            let micro = |time: Duration| time.as_secs_f64() * 1e6;
            println!(
                "{name}\t{place}\tmedian {:.2}\t99 % {:.2}\tCPU {:.1}",
                micro(times[times.len() / 2]),
                micro(times[times.len() * 99 / 100]),
                micro(busy) / iterations as f64
            );
        }
    }
    let before = cpu_time(worker)?;
    std::thread::sleep(Duration::from_secs(1));
    println!(
        "CPU of the idle worker in a second: {:?}",
        cpu_time(worker)? - before
    );
    Ok(())
}

fn iterations() -> Result<usize, Box<dyn Error>> {
    let mut iterations = 20_000;
    let mut arguments = lexopt::Parser::from_env();
    while let Some(argument) = arguments.next()? {
        match argument {
            // Cargo adds it.
            lexopt::Arg::Long("bench") => {}
            lexopt::Arg::Long("iters") => {
                let value = arguments.value()?;
                iterations = value.to_string_lossy().parse()?;
            }
            other => return Err(other.unexpected().into()),
        }
    }
    Ok(iterations.max(1))
}

/// User and system time of a process, in steps of the kernel's clock tick (proc(5): fields 14 and 15 of `stat`).
fn cpu_time(process: u32) -> Result<Duration, Box<dyn Error>> {
    let stat = std::fs::read_to_string(format!("/proc/{process}/stat"))?;
    let (_, fields) = stat.rsplit_once(") ").ok_or("no fields")?;
    let fields: Vec<&str> = fields.split(' ').collect();
    let ticks: u64 = fields[11].parse::<u64>()? + fields[12].parse::<u64>()?;
    // USER_HZ is 100 on every Linux that user space sees.
    Ok(Duration::from_millis(ticks * 10))
}
