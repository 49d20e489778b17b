//! MEAN and SUM: stored integers as an integer sum and one multiplication, plain ones and floats as they are.

use super::shared::{FastPicture, Quantized, Reduction, check, element8, fold};
use super::{
    EvalError, Kernel, KernelIo, Node, OpDef, PrepareError, Prepared, Settings, TypeRow, Views,
    required,
};
use crate::fast::{
    self, ChannelSums, ChannelSumsPrimitive, Element8, PictureKernel, Scaling, Stage,
};
use crate::fixedpoint::{QuantizedMultiplier, Rounding};
use crate::model::BuiltinOperator;
use crate::tensor::{Element, TensorType as T};
use std::marker::PhantomData;

const INPUT: usize = 0;
const OUTPUT: usize = 0;
const SUMS: usize = 0;

const TYPES: &[TypeRow] = &[
    TypeRow::new(&[T::Int8, T::Int32], &[T::Int8]),
    TypeRow::new(&[T::UInt8, T::Int32], &[T::UInt8]),
    TypeRow::new(&[T::Int16, T::Int32], &[T::Int16]),
    TypeRow::new(&[T::Int32, T::Int32], &[T::Int32]),
    TypeRow::new(&[T::Int64, T::Int32], &[T::Int64]),
    TypeRow::new(&[T::Float32, T::Int32], &[T::Float32]),
];

pub(super) const DEF_MEAN: OpDef = OpDef {
    code: BuiltinOperator::MEAN,
    name: "MEAN",
    versions: 1..=3,
    types: TYPES,
    check: check::none,
    prepare: prepare_mean,
};

pub(super) const DEF_SUM: OpDef = OpDef {
    code: BuiltinOperator::SUM,
    name: "SUM",
    versions: 1..=2,
    types: TYPES,
    check: check::none,
    prepare: prepare_sum,
};

const MEAN: &str = "mean.reference";
const SUM: &str = "sum.reference";

fn prepare_mean(node: &Node<'_>, settings: &Settings) -> Result<Prepared, PrepareError> {
    let reduction = parse(node)?;
    let shape = reduction.shape;
    Ok(match node.input(INPUT, "input")?.ty {
        T::Float32 => Prepared::new(FloatMean { reduction }, [shape]),
        T::Int32 => wide_mean(reduction, |sum| sum as i32),
        T::Int64 => wide_mean(reduction, |sum| sum),
        _ => rescaled(MEAN, node, reduction, settings, divide)?,
    })
}

fn prepare_sum(node: &Node<'_>, settings: &Settings) -> Result<Prepared, PrepareError> {
    let reduction = parse(node)?;
    Ok(match node.input(INPUT, "input")?.ty {
        T::Float32 => fold(SUM, reduction, 0.0, |sum: f32, x| sum + x),
        T::Int32 => fold(SUM, reduction, 0, i32::wrapping_add),
        T::Int64 => fold(SUM, reduction, 0, i64::wrapping_add),
        _ => rescaled(SUM, node, reduction, settings, |multiplier, _| multiplier)?,
    })
}

fn parse(node: &Node<'_>) -> Result<Reduction, PrepareError> {
    let options = node.table()?.builtin_options_as_reducer_options();
    Reduction::of_node(node, options.is_some_and(|options| options.keep_dims()))
}

/// The kernel of stored integers, `adapt` turning the quotient of scales into the factor of a sum of so many numbers.
fn rescaled(
    name: &'static str,
    node: &Node<'_>,
    reduction: Reduction,
    settings: &Settings,
    adapt: fn(QuantizedMultiplier, usize) -> QuantizedMultiplier,
) -> Result<Prepared, PrepareError> {
    let input = node.input(INPUT, "input")?;
    let shape = reduction.shape;
    let (input_scale, input_zero_point) = input.per_tensor()?;
    let (output_scale, zero_point) = node.output(OUTPUT, "output")?.per_tensor()?;
    let real = f64::from(input_scale) / f64::from(output_scale);
    let sum = Rescaled {
        reduction,
        multiplier: adapt(QuantizedMultiplier::from_real(real)?, reduction.folded),
        rounding: settings.profile.rounding(),
        input_zero_point,
        zero_point,
    };
    if let Some(kernel) = sum.fast(input.ty, settings) {
        return Ok(Prepared::new(FastPicture(kernel), [shape]));
    }
    let sums = shape.count() * size_of::<i32>();
    Ok(match input.ty {
        T::UInt8 => Reference::<u8>::prepared(name, sum),
        T::Int16 => Reference::<i16>::prepared(name, sum),
        _ => Reference::<i8>::prepared(name, sum),
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

/// A sum of stored integers, brought to the result's scale.
struct Rescaled {
    reduction: Reduction,
    multiplier: QuantizedMultiplier,
    rounding: Rounding,
    input_zero_point: i32,
    zero_point: i32,
}

impl Rescaled {
    /// The fast kernel; `None` where the reference has to do.
    fn fast(&self, ty: T, settings: &Settings) -> Option<Box<dyn PictureKernel>> {
        let problem = self.channel_sums(element8(ty)?)?;
        fast::choose::<ChannelSumsPrimitive>(settings.kernels, &problem)
    }

    /// The same in plain numbers, if it is the sum of pictures.
    fn channel_sums(&self, element: Element8) -> Option<ChannelSums> {
        let [_, positions, channels] = self.reduction.pictures()?;
        let clamp = match element {
            Element8::Int8 => (i8::MIN.into(), i8::MAX.into()),
            Element8::UInt8 => (0, u8::MAX.into()),
        };
        Some(ChannelSums {
            element,
            positions,
            channels,
            zero_point: self.input_zero_point,
            stage: Stage {
                scaling: Scaling::Fixed([self.multiplier].into(), self.rounding),
                zero_point: self.zero_point,
                clamp,
            },
        })
    }

    /// The reference sum; `sums` has one int32 per element of `output`. Source: TFLite
    /// `kernels/internal/reference/reduce.h`, `QuantizedMeanOrSum`.
    fn run<E: Quantized>(&self, input: &[E], sums: &mut [i32], output: &mut [E]) {
        if input.is_empty() {
            // The code 0, whatever it stands for.
            output.fill(E::saturate(0));
            return;
        }
        sums.fill(0);
        self.reduction
            .fold(input, sums, |sum, x| sum.wrapping_add(x.widen()));
        let zeros = self
            .input_zero_point
            .wrapping_mul(self.reduction.folded as i32);
        for (output, &sum) in output.iter_mut().zip(sums.iter()) {
            let scaled = self
                .multiplier
                .apply(sum.wrapping_sub(zeros), self.rounding);
            *output = E::saturate(scaled.wrapping_add(self.zero_point));
        }
    }
}

struct Reference<E> {
    name: &'static str,
    sum: Rescaled,
    elements: PhantomData<E>,
}

impl<E: Quantized> Reference<E> {
    fn prepared(name: &'static str, sum: Rescaled) -> Prepared {
        let shape = sum.reduction.shape;
        let elements = PhantomData::<E>;
        Prepared::new(
            Reference {
                name,
                sum,
                elements,
            },
            [shape],
        )
    }
}

impl<E: Quantized> Kernel for Reference<E> {
    fn eval(&self, io: &mut KernelIo<'_>) -> Result<(), EvalError> {
        let Views {
            inputs: [input],
            outputs: [output],
            scratch: [sums],
        } = io.views([INPUT], [OUTPUT], [SUMS])?;
        let sums =
            bytemuck::try_cast_slice_mut(sums).map_err(|_| EvalError::Operand { slot: SUMS })?;
        let input = required(input, INPUT)?.as_slice::<E>()?;
        self.sum.run(input, sums, output.into_slice()?);
        Ok(())
    }

    fn name(&self) -> &'static str {
        self.name
    }
}

/// The mean of floats, not-a-number of none.
struct FloatMean {
    reduction: Reduction,
}

impl Kernel for FloatMean {
    fn eval(&self, io: &mut KernelIo<'_>) -> Result<(), EvalError> {
        let (input, output) = io.unary::<f32, f32>()?;
        if input.is_empty() {
            output.fill(f32::NAN);
            return Ok(());
        }
        output.fill(0.0);
        self.reduction.fold(input, output, |sum, x| sum + x);
        for mean in output.iter_mut() {
            *mean /= self.reduction.folded as f32;
        }
        Ok(())
    }

    fn name(&self) -> &'static str {
        MEAN
    }
}

/// The mean of plain integers: summed in 64 bits, truncated toward zero, 0 of none. Source: TFLite
/// `kernels/internal/reference/reduce.h`, `Mean`.
struct WideMean<E, F> {
    reduction: Reduction,
    narrow: F,
    elements: PhantomData<E>,
}

fn wide_mean<E, F>(reduction: Reduction, narrow: F) -> Prepared
where
    E: Element + Into<i64> + Send,
    F: Fn(i64) -> E + Send + 'static,
{
    let kernel = WideMean {
        reduction,
        narrow,
        elements: PhantomData,
    };
    Prepared::new(kernel, [reduction.shape]).scratch(reduction.shape.count() * size_of::<i64>())
}

impl<E, F> Kernel for WideMean<E, F>
where
    E: Element + Into<i64> + Send,
    F: Fn(i64) -> E + Send,
{
    fn eval(&self, io: &mut KernelIo<'_>) -> Result<(), EvalError> {
        let Views {
            inputs: [input],
            outputs: [output],
            scratch: [sums],
        } = io.views([INPUT], [OUTPUT], [SUMS])?;
        let sums: &mut [i64] =
            bytemuck::try_cast_slice_mut(sums).map_err(|_| EvalError::Operand { slot: SUMS })?;
        sums.fill(0);
        let input = required(input, INPUT)?.as_slice::<E>()?;
        self.reduction
            .fold(input, sums, |sum, x| sum.wrapping_add(x.into()));
        let count = self.reduction.folded.max(1) as i64;
        for (output, &sum) in output.into_slice()?.iter_mut().zip(sums.iter()) {
            *output = (self.narrow)(sum / count);
        }
        Ok(())
    }

    fn name(&self) -> &'static str {
        MEAN
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ops::shared::differential::{Numbers, Ran, assert_all_ran, assert_pictures_equal};
    use crate::tensor::Shape;

    #[test]
    #[cfg_attr(miri, ignore = "hundreds of problems, hours under Miri")]
    fn variants_give_the_reference_s_bits() {
        let mut ran = Ran::new();
        for seed in 0..300 {
            let n = &mut Numbers::new(seed);
            let element = n.one_of(&[Element8::Int8, Element8::UInt8]);
            let channels = n.one_of(&[1, 3, 8, 15, 16, 17, 31, 32, 33, 64, 100]);
            let dims = [n.size(1, 3), n.size(1, 9), n.size(1, 9), channels];
            let axes: &[i32] = n.one_of(&[&[1, 2], &[1, 2], &[0, 1, 2], &[1]]);
            let shape = Shape::new(&dims).expect("small");
            let reduction = Reduction::new(shape, axes, false).expect("axes exist");
            let stage = n.stage(1, element);
            let multiplier = stage.multipliers[0];
            let sum = Rescaled {
                reduction,
                multiplier: match n.chance(2) {
                    true => divide(multiplier, reduction.folded),
                    false => multiplier,
                },
                rounding: n.one_of(&[Rounding::Double, Rounding::Double, Rounding::Single]),
                input_zero_point: n.zero_point(element),
                zero_point: stage.zero_point,
            };
            let Some(problem) = sum.channel_sums(element) else {
                continue;
            };
            let input = n.bytes(shape.count());
            let mut expected = vec![0; reduction.shape.count()];
            let mut sums = vec![0; expected.len()];
            match element {
                Element8::UInt8 => sum.run(&input, &mut sums, &mut expected),
                Element8::Int8 => sum.run::<i8>(
                    bytemuck::cast_slice(&input),
                    &mut sums,
                    bytemuck::cast_slice_mut(&mut expected),
                ),
            }
            let name = format!("seed {seed}: {problem:?}");
            let equal = |output: &[u8]| output == expected;
            assert_pictures_equal::<u8, ChannelSumsPrimitive>(
                &problem,
                &input,
                expected.len(),
                &name,
                &mut ran,
                equal,
            );
        }
        assert_all_ran::<ChannelSumsPrimitive>(&ran);
    }

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

    #[test]
    fn sum_takes_off_one_zero_point_per_element() {
        let shape = Shape::new(&[2, 3]).expect("small");
        let sum = Rescaled {
            reduction: Reduction::new(shape, &[1], false).expect("axis exists"),
            multiplier: QuantizedMultiplier::from_real(0.5).expect("finite"),
            rounding: Rounding::Double,
            input_zero_point: -100,
            zero_point: 7,
        };
        let (mut sums, mut output) = ([0; 2], [0i8; 2]);
        sum.run(&[-100, -98, -90, 127, 127, 127], &mut sums, &mut output);
        // (0 + 2 + 10) / 2 + 7 = 13; 3 * 227 / 2 + 7 is beyond the type.
        assert_eq!(output, [13, 127]);
    }
}
