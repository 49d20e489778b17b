//! Every fast variant against the reference kernels, on generated problems.
//!
//! A problem follows from its seed, which a failure names. What a machine has no instructions for is left out and said so;
//! a list none of whose variants ran fails.

mod convolutions;
mod floats;
pub mod pools;

use super::OutputStage;
use crate::fast::{Element8, Isa, KernelChoice, PictureKernel, Primitive, Workers};
use crate::fixedpoint::{QuantizedMultiplier, Rounding};
use std::collections::BTreeSet;

/// Reproducible numbers (SplitMix64).
pub struct Numbers(u64);

impl Numbers {
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number of `range`.
    pub fn within(&mut self, range: std::ops::RangeInclusive<i64>) -> i64 {
        let span = (range.end() - range.start() + 1) as u64;
        range.start() + (self.next() % span) as i64
    }

    pub fn size(&mut self, low: usize, high: usize) -> usize {
        self.within(low as i64..=high as i64) as usize
    }

    pub fn one_of<T: Copy>(&mut self, choices: &[T]) -> T {
        choices[self.size(0, choices.len() - 1)]
    }

    pub fn chance(&mut self, one_in: u64) -> bool {
        self.next().is_multiple_of(one_in)
    }

    /// Bytes of every value, with the extremes of either signedness more often than others.
    pub fn bytes(&mut self, len: usize) -> Vec<u8> {
        let extreme = self.chance(4);
        let byte = |this: &mut Self| match this.chance(if extreme { 1 } else { 8 }) {
            true => this.one_of(&[0, 1, 127, 128, 129, 255]),
            false => this.next() as u8,
        };
        (0..len).map(|_| byte(self)).collect()
    }

    /// Weights: bytes of every value, or all but the lowest of the type, as most converters write them.
    fn weights(&mut self, len: usize, ty: Element8) -> Vec<u8> {
        let mut bytes = self.bytes(len);
        if self.chance(2) {
            let lowest = match ty {
                Element8::Int8 => 128,
                Element8::UInt8 => 0,
            };
            let lows = bytes.iter_mut().filter(|byte| **byte == lowest);
            lows.for_each(|byte| *byte += 1);
        }
        bytes
    }

    /// A zero point of a type: its ends, its middle or any.
    pub fn zero_point(&mut self, ty: Element8) -> i32 {
        let low = match ty {
            Element8::Int8 => -128,
            Element8::UInt8 => 0,
        };
        low + self.one_of(&[0, 255, 128, 3, 77])
    }

    /// Multipliers as models have them, some of them powers of two, which make ties; in one case of four any shift.
    pub fn stage(&mut self, channels: usize, ty: Element8) -> OutputStage {
        let any_shift = self.chance(4);
        let multiplier = |this: &mut Self| QuantizedMultiplier {
            multiplier: match this.chance(3) {
                true => 1 << 30,
                false => this.within(1 << 30..=i32::MAX.into()) as i32,
            },
            shift: match any_shift {
                true => this.within(-31..=4) as i32,
                false => this.within(-12..=-1) as i32,
            },
        };
        let low = match ty {
            Element8::Int8 => -128,
            Element8::UInt8 => 0,
        };
        let bounds = (self.within(0..=255) as i32, self.within(0..=255) as i32);
        let clamp = match self.chance(2) {
            true => (low, low + 255),
            false => (low + bounds.0.min(bounds.1), low + bounds.0.max(bounds.1)),
        };
        OutputStage {
            multipliers: (0..channels).map(|_| multiplier(self)).collect(),
            rounding: match self.chance(5) {
                true => Rounding::Single,
                false => Rounding::Double,
            },
            zero_point: self.zero_point(ty),
            clamp,
        }
    }
}

/// The variants that ran, for [`assert_all_ran`].
pub type Ran = BTreeSet<&'static str>;

/// Fails unless every variant that this machine has instructions for ran.
pub fn assert_all_ran<P: Primitive>(ran: &Ran) {
    assert!(!ran.is_empty(), "no variant ran");
    for variant in P::variants() {
        if !ran.contains(variant.name) {
            assert!(
                variant.isa != Isa::Portable,
                "{} never ran: no problem suits it",
                variant.name
            );
            eprintln!(
                "NOT RUN: {}: this machine lacks {}",
                variant.name, variant.isa
            );
        }
    }
}

/// Numbers of unlike sizes, so that another order gives another sum; some are zeros, infinite or none.
fn floats(n: &mut Numbers, len: usize) -> Vec<f32> {
    let special = n.chance(4);
    let float = |n: &mut Numbers| match special && n.chance(30) {
        true => n.one_of(&[
            0.0,
            -0.0,
            f32::INFINITY,
            f32::NAN,
            f32::MIN_POSITIVE,
            f32::MAX,
        ]),
        false => n.within(-1 << 24..=1 << 24) as f32 * 2f32.powi(n.within(-30..=-18) as i32),
    };
    (0..len).map(|_| float(n)).collect()
}

/// The bits, those of all that is no number alike.
fn bits(floats: &[f32]) -> Vec<u32> {
    let bits = |float: &f32| if float.is_nan() { f32::NAN } else { *float }.to_bits();
    floats.iter().map(bits).collect()
}

/// Runs every variant of `P` on a problem with one and with three threads, and row by row.
pub fn assert_pictures_equal<E, P>(
    problem: &P::Problem<'_>,
    input: &[E],
    results: usize,
    name: &str,
    ran: &mut Ran,
    equal: impl Fn(&[E]) -> bool,
) where
    E: Copy + Default + Send + Sync + 'static,
    P: Primitive<Kernel = dyn PictureKernel<E>>,
{
    let workers = [1, 3].map(|threads| {
        let mut workers = Workers::new(threads, KernelChoice::default());
        workers.reserve(1);
        workers
    });
    for variant in P::variants() {
        let Some(kernel) = (variant.prepare)(problem) else {
            continue;
        };
        ran.insert(variant.name);
        let name = format!("{}, {name}", kernel.name());
        for workers in &workers {
            let mut output = vec![E::default(); results];
            kernel.run_all(input, &mut output, workers);
            assert!(equal(&output), "{name}, {} threads", workers.threads());
        }
        let mut output = vec![E::default(); results];
        let rows = output.chunks_exact_mut(kernel.row_elements().max(1));
        rows.enumerate()
            .for_each(|(number, row)| kernel.run(input, row, number));
        assert!(equal(&output), "{name}, row by row");
    }
}
