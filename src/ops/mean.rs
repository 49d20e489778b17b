//! MEAN: the average along axes, as an integer sum and one multiplication.

use super::shared::{Quantized, Reduction, check};
use super::{
    EvalError, Kernel, KernelIo, Node, OpDef, PrepareError, Prepared, Settings, TypeRow, Views,
    required,
};
use crate::fixedpoint::{QuantizedMultiplier, Rounding};
use crate::model::BuiltinOperator;
use crate::tensor::TensorType as T;
use std::marker::PhantomData;

const INPUT: usize = 0;
const OUTPUT: usize = 0;
const SUMS: usize = 0;

pub(super) const DEF: OpDef = OpDef {
    code: BuiltinOperator::MEAN,
    name: "MEAN",
    versions: 1..=3,
    types: &[
        TypeRow::new(&[T::Int8, T::Int32], &[T::Int8]),
        TypeRow::new(&[T::UInt8, T::Int32], &[T::UInt8]),
        TypeRow::new(&[T::Int16, T::Int32], &[T::Int16]),
        TypeRow::new(&[T::Float32, T::Int32], &[T::Float32]),
    ],
    check: check::none,
    prepare,
};

fn prepare(node: &Node<'_>, settings: &Settings) -> Result<Prepared, PrepareError> {
    let options = node.table()?.builtin_options_as_reducer_options();
    let keep_dims = options.is_some_and(|options| options.keep_dims());
    let input = node.input(INPUT, "input")?;
    let output = node.output(OUTPUT, "output")?;
    let reduction = Reduction::of_node(node, keep_dims)?;
    let shape = reduction.shape;
    if input.ty == T::Float32 {
        return Ok(Prepared::new(FloatMean { reduction }, [shape]));
    }
    let (input_scale, input_zero_point) = input.per_tensor()?;
    let (output_scale, zero_point) = output.per_tensor()?;
    let real = f64::from(input_scale) / f64::from(output_scale);
    let mean = Mean {
        reduction,
        multiplier: divide(QuantizedMultiplier::from_real(real)?, reduction.folded),
        rounding: settings.profile.rounding(),
        input_zero_point,
        zero_point,
    };
    let sums = shape.count() * size_of::<i32>();
    Ok(match input.ty {
        T::UInt8 => Prepared::new(Reference::<u8>(mean, PhantomData), [shape]),
        T::Int16 => Prepared::new(Reference::<i16>(mean, PhantomData), [shape]),
        _ => Prepared::new(Reference::<i8>(mean, PhantomData), [shape]),
    }
    .scratch(sums))
}

/// The multiplier divided by `count`, keeping as many bits as a left shift allows.
///
/// Source: TFLite `kernels/internal/reference/reduce.h`, `QuantizedMeanOrSum`: shift by `floor(log2(count))`, at most 32
/// and no further than a total right shift of 31, then a truncating division.
fn divide(multiplier: QuantizedMultiplier, count: usize) -> QuantizedMultiplier {
    let Some(log2) = count.checked_ilog2() else {
        return multiplier;
    };
    let shift = (log2 as i32).min(32).min(31 + multiplier.shift).max(0);
    let widened = i64::from(multiplier.multiplier) << shift;
    QuantizedMultiplier {
        multiplier: (widened / count as i64) as i32,
        shift: multiplier.shift - shift,
    }
}

struct Mean {
    reduction: Reduction,
    multiplier: QuantizedMultiplier,
    rounding: Rounding,
    input_zero_point: i32,
    zero_point: i32,
}

struct Reference<E>(Mean, PhantomData<E>);

impl<E: Quantized> Kernel for Reference<E> {
    fn eval(&self, io: &mut KernelIo<'_>) -> Result<(), EvalError> {
        let Views {
            inputs: [input],
            outputs: [output],
            scratch: [sums],
        } = io.views([INPUT], [OUTPUT], [SUMS])?;
        let sums =
            bytemuck::try_cast_slice_mut(sums).map_err(|_| EvalError::Operand { slot: SUMS })?;
        mean::<E>(
            &self.0,
            required(input, INPUT)?.as_slice()?,
            sums,
            output.into_slice()?,
        );
        Ok(())
    }

    fn name(&self) -> &'static str {
        "mean.reference"
    }
}

/// The reference mean; `sums` has one int32 per element of `output`. Source: TFLite
/// `kernels/internal/reference/reduce.h`, `QuantizedMeanOrSum`.
fn mean<E: Quantized>(mean: &Mean, input: &[E], sums: &mut [i32], output: &mut [E]) {
    sums.fill(0);
    mean.reduction
        .fold(input, sums, |sum, x| sum.wrapping_add(x.widen()));
    let zeros = mean
        .input_zero_point
        .wrapping_mul(mean.reduction.folded as i32);
    for (output, &sum) in output.iter_mut().zip(sums.iter()) {
        let scaled = mean
            .multiplier
            .apply(sum.wrapping_sub(zeros), mean.rounding);
        *output = E::saturate(scaled.wrapping_add(mean.zero_point));
    }
}

struct FloatMean {
    reduction: Reduction,
}

impl Kernel for FloatMean {
    fn eval(&self, io: &mut KernelIo<'_>) -> Result<(), EvalError> {
        let (input, output) = io.unary::<f32, f32>()?;
        output.fill(0.0);
        self.reduction.fold(input, output, |sum, x| sum + x);
        for mean in output.iter_mut() {
            *mean /= self.reduction.folded as f32;
        }
        Ok(())
    }

    fn name(&self) -> &'static str {
        "mean.reference"
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn division_keeps_the_multiplier_full() {
        // 1.0 is 2^30 << 1; by 49: shift 5, 2^35 / 49 = 701_219_150.4 (truncated); 1 - 5 = -4.
        let one = QuantizedMultiplier {
            multiplier: 1 << 30,
            shift: 1,
        };
        let by_49 = divide(one, 49);
        assert_eq!((by_49.multiplier, by_49.shift), (701_219_150, -4));
        assert_eq!(divide(one, 0), one);
    }
}
