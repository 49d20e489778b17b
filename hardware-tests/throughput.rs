//! How fast it is. Prints a table, asserts no time.

use std::time::{Duration, Instant};

use corallite::Interpreter;

use crate::rig::{Rig, fill};

/// Inferences one after the other, in a worker process and in this one.
pub fn latency_and_throughput(rig: &mut Rig) {
    let count = rig.times(1000, 20);
    eprintln!("| where | first, ms | median, ms | 99 %, ms | per second |");
    eprintln!("|---|---:|---:|---:|---:|");
    {
        let edge_tpu = rig.open();
        let mut interpreter = rig.isolated(&edge_tpu);
        measure("worker process", &mut interpreter, count);
    }
    // The device is free again: one process has it at a time.
    let mut interpreter = rig.in_process();
    measure("this process", &mut interpreter, count);
}

fn measure(name: &str, interpreter: &mut Interpreter, count: usize) {
    fill(interpreter, 7);
    let mut timed = || {
        let start = Instant::now();
        interpreter
            .invoke()
            .unwrap_or_else(|error| panic!("{name}: {error}"));
        start.elapsed()
    };
    let first = timed();
    let start = Instant::now();
    let mut times: Vec<Duration> = (0..count).map(|_| timed()).collect();
    let all = start.elapsed();
    times.sort();
    let milliseconds = |time: Duration| time.as_secs_f64() * 1e3;
    eprintln!(
        "| {name} | {:.3} | {:.3} | {:.3} | {:.0} |",
        milliseconds(first),
        milliseconds(times[count / 2]),
        milliseconds(times[count * 99 / 100]),
        count as f64 / all.as_secs_f64()
    );
}
