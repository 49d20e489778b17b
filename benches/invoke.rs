//! CPU time of whole models: `cargo bench --bench invoke -- [--iters N] [--kernels reference|fastest] MODEL...`
//!
//! Prints a line per model: its name, the smallest and the median CPU time of one inference in microseconds, and the
//! arena in bytes. Inputs are filled with a fixed pattern. Without models it measures the bundled one.

use corallite::ops::KernelChoice;
use corallite::{Interpreter, Model};
use std::error::Error;
use std::path::{Path, PathBuf};

struct Options {
    iterations: usize,
    kernels: KernelChoice,
    models: Vec<PathBuf>,
}

fn options() -> Result<Options, Box<dyn Error>> {
    let mut options = Options {
        iterations: 10,
        kernels: KernelChoice::Fastest,
        models: Vec::new(),
    };
    let mut arguments = lexopt::Parser::from_env();
    while let Some(argument) = arguments.next()? {
        match argument {
            // Cargo adds it.
            lexopt::Arg::Long("bench") => {}
            lexopt::Arg::Long("iters") => {
                options.iterations = arguments.value()?.string_into_parsed()?
            }
            lexopt::Arg::Long("kernels") => {
                options.kernels = match arguments.value()?.to_str() {
                    Some("reference") => KernelChoice::Reference,
                    Some("fastest") => KernelChoice::Fastest,
                    other => {
                        return Err(format!(
                            "--kernels is {other:?}, expected reference or fastest"
                        )
                        .into());
                    }
                }
            }
            lexopt::Arg::Value(model) => options.models.push(model.into()),
            other => return Err(other.unexpected().into()),
        }
    }
    if options.models.is_empty() {
        let data = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/data");
        options.models.push(data.join("fashion_mnist_int8.tflite"));
    }
    Ok(options)
}

/// Parses an option's value and names it where that fails.
trait StringIntoParsed {
    fn string_into_parsed(self) -> Result<usize, Box<dyn Error>>;
}

impl StringIntoParsed for std::ffi::OsString {
    fn string_into_parsed(self) -> Result<usize, Box<dyn Error>> {
        let text = self.to_string_lossy();
        text.parse()
            .map_err(|e| format!("\"{text}\" is no number: {e}").into())
    }
}

/// CPU time of this thread so far, in nanoseconds.
fn cpu_time() -> u64 {
    let mut time = libc::timespec {
        tv_sec: 0,
        tv_nsec: 0,
    };
    // SAFETY: the clock exists on every Linux and `time` is a valid place for the answer.
    let status = unsafe { libc::clock_gettime(libc::CLOCK_THREAD_CPUTIME_ID, &mut time) };
    assert_eq!(status, 0, "the thread's CPU clock exists");
    time.tv_sec as u64 * 1_000_000_000 + time.tv_nsec as u64
}

fn main() -> Result<(), Box<dyn Error>> {
    let options = options()?;
    for path in &options.models {
        let model = Model::from_file(path)?;
        let mut interpreter = Interpreter::builder(&model)
            .kernels(options.kernels)
            .build()?;
        for index in 0..interpreter.input_count() {
            let mut input = interpreter.input_mut(index)?;
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
        interpreter.invoke()?;
        let mut times = Vec::with_capacity(options.iterations);
        for _ in 0..options.iterations.max(1) {
            let start = cpu_time();
            interpreter.invoke()?;
            times.push(cpu_time() - start);
        }
        times.sort_unstable();
        println!(
            "{}\t{:.1}\t{:.1}\t{}",
            path.file_stem().unwrap_or_default().to_string_lossy(),
            times[0] as f64 / 1e3,
            times[times.len() / 2] as f64 / 1e3,
            interpreter.arena_bytes()
        );
    }
    Ok(())
}
