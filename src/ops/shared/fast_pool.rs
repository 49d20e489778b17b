//! The fast kernels of pools of bytes.

use super::pool::ParsedPool;
use super::{FastPicture, Pool2d, element8};
use crate::fast::{self, Element8, Pool2dPrimitive, Pooling};
use crate::ops::{PrepareError, Prepared, Settings};

/// The fast kernel; `None` where the reference has to do.
///
/// # Errors
/// As [`ParsedPool::clamp`].
pub fn fast_pool(
    parsed: &ParsedPool<'_>,
    pooling: Pooling,
    settings: &Settings,
) -> Result<Option<Prepared>, PrepareError> {
    let Some(element) = element8(parsed.ty()) else {
        return Ok(None);
    };
    let problem = parsed.pool.fast(element, pooling, parsed.clamp()?);
    let kernel = fast::choose::<Pool2dPrimitive>(settings.kernels, &problem);
    let prepared = |kernel| Prepared::new(FastPicture(kernel), [parsed.shape]);
    Ok(kernel.map(|kernel| prepared(kernel).visits(parsed.visits())))
}

impl Pool2d {
    /// The same in plain numbers, for the fast kernels.
    fn fast(&self, element: Element8, pooling: Pooling, clamp: (i32, i32)) -> fast::Pool2d {
        fast::Pool2d {
            element,
            pooling,
            rows: self.rows.window(),
            columns: self.columns.window(),
            channels: self.channels,
            clamp,
        }
    }
}

/// Runs every variant with one and with three threads, and row by row, beside `reference`, which takes a pool, its limits, its
/// operand and the place of its result.
#[cfg(test)]
pub fn assert_variants_equal(
    pooling: Pooling,
    reference: impl Fn(Element8, &Pool2d, (i32, i32), &[u8], &mut [u8]),
) {
    use super::differential::{Numbers, Ran, assert_all_ran};
    use super::{Axis, Padding};
    use crate::fast::{KernelChoice, Primitive, Workers};

    let workers = [1, 3].map(|threads| {
        let mut workers = Workers::new(threads, KernelChoice::default());
        workers.reserve(1);
        workers
    });
    let mut ran = Ran::new();
    for seed in 0..400 {
        let n = &mut Numbers::new(seed);
        let element = n.one_of(&[Element8::Int8, Element8::UInt8]);
        let axis = |n: &mut Numbers| {
            let padding = n.one_of(&[Padding::Same, Padding::Valid]);
            let (input, taps) = (n.size(1, 19), n.size(1, 13));
            Axis::new(input, taps, n.one_of(&[1, 2, 3, 16]), 1, padding).expect("valid")
        };
        let pool = Pool2d {
            batches: n.size(1, 2),
            rows: axis(n),
            columns: axis(n),
            channels: n.one_of(&[8, 9, 15, 16, 17, 24, 32, 33, 48, 65]),
        };
        let clamp = n.stage(1, element).clamp;
        let pixels = pool.batches * pool.rows.input * pool.columns.input;
        let mut input = n.bytes(pixels * pool.channels);
        match n.size(0, 3) {
            0 => input.fill(n.one_of(&[0, 127, 128, 255])),
            // Sums about zero, with ties on both sides of it.
            1 => input
                .iter_mut()
                .for_each(|byte| *byte = (*byte & 3).wrapping_sub(2)),
            _ => {}
        }
        let results = pool.batches * pool.rows.output * pool.columns.output * pool.channels;
        let mut expected = vec![0; results];
        reference(element, &pool, clamp, &input, &mut expected);
        let problem = pool.fast(element, pooling, clamp);
        let row = (pool.columns.output * pool.channels).max(1);
        for variant in Pool2dPrimitive::variants() {
            let Some(kernel) = (variant.prepare)(&problem) else {
                continue;
            };
            ran.insert(variant.name);
            let name = format!("{}, seed {seed}: {problem:?}", kernel.name());
            for workers in &workers {
                let mut output = vec![0x55; results];
                kernel.run_all(&input, &mut output, workers);
                assert!(output == expected, "{name}, {} threads", workers.threads());
            }
            let mut output = vec![0x55; results];
            let rows = output.chunks_exact_mut(row).enumerate();
            rows.for_each(|(number, row)| kernel.run(&input, row, number));
            assert!(output == expected, "{name}, row by row");
        }
    }
    assert_all_ran::<Pool2dPrimitive>(&ran);
}
