//! Every kernel variant on layers of known networks: `cargo bench --bench kernels -- [PART OF A NAME]`
//!
//! Prints a line per layer and variant: the least wall time of a call in microseconds, billions of multiply-accumulates or of
//! results a second, and the time that preparing took. Variants that this machine has no instructions for are named as such.

mod convolutions;
mod elements;
mod products;

use corallite::fast::{Primitive, Scaling, Stage};
use corallite::fixedpoint::{QuantizedMultiplier, Rounding};
use std::time::{Duration, Instant};

/// How long a variant is measured on a layer.
const TIME: Duration = Duration::from_millis(200);

fn main() {
    // Cargo adds an argument of its own.
    let wanted = std::env::args().skip(1).find(|a| !a.starts_with("--"));
    let wanted = Wanted(wanted.unwrap_or_default());
    convolutions::measure(&wanted);
    products::measure(&wanted);
    elements::measure(&wanted);
}

/// A part of the names of the variants that are wanted.
struct Wanted(String);

/// What a call computes, and how much of it.
enum Amount {
    Macs(usize),
    Results(usize),
}

impl Wanted {
    /// Measures every variant of `P` on `problem`, which `layer` describes.
    fn measure<P: Primitive>(
        &self,
        layer: &str,
        problem: &P::Problem<'_>,
        amount: Amount,
        mut call: impl FnMut(&P::Kernel),
    ) {
        let variants = P::variants().iter();
        for variant in variants.filter(|variant| variant.name.contains(&self.0)) {
            let start = Instant::now();
            let Some(kernel) = (variant.prepare)(problem) else {
                println!("{:<30} {layer:<28} not on this machine", variant.name);
                continue;
            };
            let prepared = start.elapsed();
            let least = least(|| call(&kernel));
            let (amount, unit) = match amount {
                Amount::Macs(macs) => (macs, "GMAC/s"),
                Amount::Results(results) => (results, "G/s"),
            };
            println!(
                "{:<30} {layer:<28} {:>9.1} us {:>6.1} {unit}, prepared in {:.0} us",
                variant.name,
                least.as_nanos() as f64 / 1e3,
                amount as f64 / least.as_nanos() as f64,
                prepared.as_nanos() as f64 / 1e3
            );
        }
    }
}

/// The least wall time of a call.
fn least(mut call: impl FnMut()) -> Duration {
    let mut least = Duration::MAX;
    let begin = Instant::now();
    while begin.elapsed() < TIME {
        let start = Instant::now();
        call();
        least = least.min(start.elapsed());
    }
    least
}

/// Bytes of all values.
fn bytes(len: usize) -> Vec<u8> {
    (0..len)
        .map(|i| (i.wrapping_mul(2_654_435_761) >> 7) as u8)
        .collect()
}

/// Those bytes as numbers.
fn floats(bytes: &[u8]) -> Vec<f32> {
    bytes.iter().map(|&byte| byte.into()).collect()
}

/// About 0.7 * 2^`shift`.
fn scale(shift: i32) -> QuantizedMultiplier {
    QuantizedMultiplier {
        multiplier: 1_518_500_250,
        shift,
    }
}

fn stage(channels: usize) -> Stage {
    Stage {
        scaling: Scaling::Fixed(vec![scale(-9); channels].into(), Rounding::Double),
        zero_point: 3,
        clamp: (0, 255),
    }
}
