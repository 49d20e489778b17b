//! AVERAGE_POOL_2D: the mean of a window, channel by channel.

use super::shared::{FloatRange, Pool2d, Quantized, Reduce, check, fast_pool};
use super::{Node, OpDef, PrepareError, Prepared, Settings, TypeRow};
use crate::fast::Pooling;
use crate::model::BuiltinOperator;
use crate::tensor::TensorType as T;
use std::marker::PhantomData;

pub(super) const DEF: OpDef = OpDef {
    code: BuiltinOperator::AVERAGE_POOL_2D,
    name: "AVERAGE_POOL_2D",
    versions: 1..=3,
    types: &[
        TypeRow::new(&[T::Int8], &[T::Int8]),
        TypeRow::new(&[T::UInt8], &[T::UInt8]),
        TypeRow::new(&[T::Int16], &[T::Int16]),
        TypeRow::new(&[T::Float32], &[T::Float32]),
    ],
    check: check::same_quantization,
    prepare,
};

fn prepare(node: &Node<'_>, settings: &Settings) -> Result<Prepared, PrepareError> {
    let pool = Pool2d::parse(node)?;
    if let Some(prepared) = fast_pool(&pool, Pooling::Mean, settings)? {
        return Ok(prepared);
    }
    Ok(match pool.ty() {
        T::Float32 => {
            let range = FloatRange::new(pool.activation);
            pool.prepared(FloatMean(range))
        }
        T::UInt8 => {
            let mean = Mean::<u8>::new(pool.clamp()?);
            pool.prepared(mean)
        }
        T::Int16 => {
            let mean = Mean::<i16>::new(pool.clamp()?);
            pool.prepared(mean)
        }
        _ => {
            let mean = Mean::<i8>::new(pool.clamp()?);
            pool.prepared(mean)
        }
    })
}

/// The mean of codes, rounded half away from zero; the zero point plays no part.
///
/// Source: TFLite `kernels/internal/reference/integer_ops/pooling.h` (and `reference/pooling.h` for uint8, whose sums are
/// never negative), `AveragePool`.
struct Mean<T> {
    clamp: (i32, i32),
    ty: PhantomData<fn(T)>,
}

impl<T> Mean<T> {
    fn new(clamp: (i32, i32)) -> Self {
        Self {
            clamp,
            ty: PhantomData,
        }
    }
}

impl<T: Quantized> Reduce for Mean<T> {
    type Value = T;
    type State = i32;
    const START: i32 = 0;
    const NAME: &'static str = "average_pool_2d.reference";

    #[inline(always)]
    fn step(&self, sum: i32, value: T) -> i32 {
        sum.wrapping_add(value.widen())
    }

    #[inline(always)]
    fn finish(&self, sum: i32, count: usize) -> T {
        let count = (count as i32).max(1);
        let half = if sum > 0 { count / 2 } else { -(count / 2) };
        let mean = sum.wrapping_add(half).wrapping_div(count);
        T::saturate(mean.clamp(self.clamp.0, self.clamp.1))
    }
}

/// The mean in float32, summed row by row. Source: TFLite `kernels/internal/reference/pooling.h`.
struct FloatMean(FloatRange);

impl Reduce for FloatMean {
    type Value = f32;
    type State = f32;
    const START: f32 = 0.0;
    const NAME: &'static str = "average_pool_2d.reference";

    #[inline(always)]
    fn step(&self, sum: f32, value: f32) -> f32 {
        sum + value
    }

    #[inline(always)]
    fn finish(&self, sum: f32, count: usize) -> f32 {
        self.0.clamp(sum / count as f32)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fast::Element8;
    use crate::ops::shared::differential::pools::{
        assert_float_variants_equal, assert_variants_equal,
    };

    #[test]
    #[cfg_attr(miri, ignore = "hundreds of problems, hours under Miri")]
    fn float_variants_give_the_reference_s_bits() {
        assert_float_variants_equal(Pooling::Mean, FloatMean);
    }

    #[test]
    #[cfg_attr(miri, ignore = "hundreds of problems, hours under Miri")]
    fn variants_give_the_reference_s_bits() {
        assert_variants_equal(
            Pooling::Mean,
            |element, pool, clamp, input, output| match element {
                Element8::Int8 => pool.run(
                    &Mean::<i8>::new(clamp),
                    bytemuck::cast_slice(input),
                    bytemuck::cast_slice_mut(output),
                ),
                Element8::UInt8 => pool.run(&Mean::<u8>::new(clamp), input, output),
            },
        );
    }

    #[test]
    fn mean_rounds_half_away_from_zero() {
        let mean = Mean::<i8>::new((-128, 127));
        let cases = [
            (5, 2, 3),   // 2.5
            (-5, 2, -3), // -2.5
            (-3, 4, -1), // -0.75
            (-1, 4, 0),  // -0.25
            (-2, 4, -1), // -0.5
            (0, 9, 0),
            (127 * 9, 9, 127),
            (-128 * 9, 9, -128),
        ];
        for (sum, count, expected) in cases {
            assert_eq!(mean.finish(sum, count), expected, "{sum} / {count}");
        }
    }
}
