//! Pools of any geometry.

use super::{Numbers, Ran, assert_all_ran, assert_pictures_equal, bits, floats};
use crate::fast::{self, Element8, Pool2dFloatPrimitive, Pool2dPrimitive, Pooling};
use crate::fixedpoint::FusedActivation;
use crate::ops::shared::{Axis, FloatRange, Padding, Pool2d, Reduce, float_range};

fn pool(n: &mut Numbers) -> Pool2d {
    let axis = |n: &mut Numbers| {
        let padding = n.one_of(&[Padding::Same, Padding::Valid]);
        let (input, taps) = (n.size(1, 19), n.size(1, 13));
        Axis::new(input, taps, n.one_of(&[1, 2, 3, 16]), 1, padding).expect("valid")
    };
    Pool2d {
        batches: n.size(1, 2),
        rows: axis(n),
        columns: axis(n),
        channels: n.one_of(&[8, 9, 15, 16, 17, 24, 32, 33, 48, 65]),
    }
}

fn results(pool: &Pool2d) -> usize {
    pool.batches * pool.rows.output * pool.columns.output * pool.channels
}

fn values(pool: &Pool2d) -> usize {
    pool.batches * pool.rows.input * pool.columns.input * pool.channels
}

/// Runs every variant beside `reference`, which takes a pool, its limits, its operand and the place of its result.
pub fn assert_variants_equal(
    pooling: Pooling,
    reference: impl Fn(Element8, &Pool2d, (i32, i32), &[u8], &mut [u8]),
) {
    let mut ran = Ran::new();
    for seed in 0..400 {
        let n = &mut Numbers::new(seed);
        let element = n.one_of(&[Element8::Int8, Element8::UInt8]);
        let pool = pool(n);
        let clamp = n.stage(1, element).clamp;
        let mut input = n.bytes(values(&pool));
        match n.size(0, 3) {
            0 => input.fill(n.one_of(&[0, 127, 128, 255])),
            // Sums about zero, with ties on both sides of it.
            1 => input
                .iter_mut()
                .for_each(|byte| *byte = (*byte & 3).wrapping_sub(2)),
            _ => {}
        }
        let mut expected = vec![0; results(&pool)];
        reference(element, &pool, clamp, &input, &mut expected);
        let problem = pool.fast(element, pooling, clamp);
        let name = format!("seed {seed}: {problem:?}");
        let equal = |output: &[u8]| output == expected;
        assert_pictures_equal::<u8, Pool2dPrimitive>(
            &problem,
            &input,
            expected.len(),
            &name,
            &mut ran,
            equal,
        );
    }
    assert_all_ran::<Pool2dPrimitive>(&ran);
}

/// Runs every variant beside the reference that `reduce` makes.
pub fn assert_float_variants_equal<R: Reduce<Value = f32>>(
    pooling: Pooling,
    reduce: impl Fn(FloatRange) -> R,
) {
    let mut ran = Ran::new();
    for seed in 0..200 {
        let n = &mut Numbers::new(seed);
        let pool = pool(n);
        let activation = n.one_of(&[FusedActivation::None, FusedActivation::Relu6]);
        let input = floats(n, values(&pool));
        let mut expected = vec![0.0; results(&pool)];
        pool.run(&reduce(FloatRange::new(activation)), &input, &mut expected);
        let problem = fast::Pool2dFloat {
            pooling,
            windows: pool.windows(),
            range: float_range(activation),
        };
        let name = format!("seed {seed}: {problem:?}");
        let equal = |output: &[f32]| bits(output) == bits(&expected);
        assert_pictures_equal::<f32, Pool2dFloatPrimitive>(
            &problem,
            &input,
            expected.len(),
            &name,
            &mut ran,
            equal,
        );
    }
    assert_all_ran::<Pool2dFloatPrimitive>(&ran);
}
