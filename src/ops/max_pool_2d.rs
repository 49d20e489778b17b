//! MAX_POOL_2D: the largest value of a window, channel by channel.

use super::shared::{FloatRange, Pool2d, Quantized, Reduce, check, fast_pool};
use super::{Node, OpDef, PrepareError, Prepared, Settings, TypeRow};
use crate::fast::Pooling;
use crate::model::BuiltinOperator;
use crate::tensor::TensorType as T;

pub(super) const DEF: OpDef = OpDef {
    code: BuiltinOperator::MAX_POOL_2D,
    name: "MAX_POOL_2D",
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
    if let Some(prepared) = fast_pool(&pool, Pooling::Max, settings)? {
        return Ok(prepared);
    }
    Ok(match pool.ty() {
        T::Float32 => {
            let range = FloatRange::new(pool.activation);
            pool.prepared(FloatMax(range))
        }
        T::UInt8 => {
            let max = Max::<u8>::new(pool.clamp()?);
            pool.prepared(max)
        }
        T::Int16 => {
            let max = Max::<i16>::new(pool.clamp()?);
            pool.prepared(max)
        }
        _ => {
            let max = Max::<i8>::new(pool.clamp()?);
            pool.prepared(max)
        }
    })
}

/// The largest code, clamped. Source: TFLite `kernels/internal/reference/integer_ops/pooling.h` and
/// `reference/pooling.h`, `MaxPool`.
struct Max<T> {
    low: T,
    high: T,
}

impl<T: Quantized> Max<T> {
    fn new((low, high): (i32, i32)) -> Self {
        Self {
            low: T::saturate(low),
            high: T::saturate(high),
        }
    }
}

impl<T: Quantized> Reduce for Max<T> {
    type Value = T;
    type State = T;
    const START: T = T::LOWEST;
    const NAME: &'static str = "max_pool_2d.reference";

    #[inline(always)]
    fn step(&self, max: T, value: T) -> T {
        max.max(value)
    }

    #[inline(always)]
    fn finish(&self, max: T, _: usize) -> T {
        max.max(self.low).min(self.high)
    }
}

/// The largest float; NaN is passed over, as C++'s `std::max(max, value)` does.
struct FloatMax(FloatRange);

impl Reduce for FloatMax {
    type Value = f32;
    type State = f32;
    const START: f32 = f32::MIN;
    const NAME: &'static str = "max_pool_2d.reference";

    #[inline(always)]
    fn step(&self, max: f32, value: f32) -> f32 {
        if max < value { value } else { max }
    }

    #[inline(always)]
    fn finish(&self, max: f32, _: usize) -> f32 {
        self.0.clamp(max)
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
        assert_float_variants_equal(Pooling::Max, FloatMax);
    }

    #[test]
    #[cfg_attr(miri, ignore = "hundreds of problems, hours under Miri")]
    fn variants_give_the_reference_s_bits() {
        assert_variants_equal(
            Pooling::Max,
            |element, pool, clamp, input, output| match element {
                Element8::Int8 => pool.run(
                    &Max::<i8>::new(clamp),
                    bytemuck::cast_slice(input),
                    bytemuck::cast_slice_mut(output),
                ),
                Element8::UInt8 => pool.run(&Max::<u8>::new(clamp), input, output),
            },
        );
    }
}
