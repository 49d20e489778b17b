//! REDUCE_MAX, REDUCE_MIN, REDUCE_ANY, REDUCE_ALL and REDUCE_PROD: stored integers are compared as they are, products of
//! quantized ones rescaled step by step.

use super::shared::{Quantized, Reduction, check, fold, symmetric_i16};
use super::{
    EvalError, Kernel, KernelIo, Node, OpDef, PrepareError, Prepared, Settings, TypeRow, Views,
    required,
};
use crate::fixedpoint::QuantizedMultiplier;
use crate::model::BuiltinOperator;
use crate::tensor::{Element, TensorType as T};

const INPUT: usize = 0;
const OUTPUT: usize = 0;
const PRODUCTS: usize = 0;

const NUMBERS: &[TypeRow] = &[
    TypeRow::new(&[T::Float32, T::Int32], &[T::Float32]),
    TypeRow::new(&[T::UInt8, T::Int32], &[T::UInt8]),
    TypeRow::new(&[T::Int8, T::Int32], &[T::Int8]),
    TypeRow::new(&[T::Int16, T::Int32], &[T::Int16]),
    TypeRow::new(&[T::Int32, T::Int32], &[T::Int32]),
    TypeRow::new(&[T::Int64, T::Int32], &[T::Int64]),
];
const TRUTHS: &[TypeRow] = &[TypeRow::new(&[T::Bool, T::Int32], &[T::Bool])];

pub(super) const DEF_MAX: OpDef = OpDef {
    code: BuiltinOperator::REDUCE_MAX,
    name: "REDUCE_MAX",
    versions: 1..=3,
    types: NUMBERS,
    check: check::same_quantization,
    prepare: |node, _: &Settings| {
        let (name, reduction) = ("reduce_max.reference", parse(node)?);
        Ok(match node.input(INPUT, "input")?.ty {
            T::Float32 => larger(name, reduction, f32::MIN),
            T::UInt8 => larger(name, reduction, u8::MIN),
            T::Int8 => larger(name, reduction, i8::MIN),
            T::Int16 => larger(name, reduction, i16::MIN),
            T::Int32 => larger(name, reduction, i32::MIN),
            _ => larger(name, reduction, i64::MIN),
        })
    },
};

pub(super) const DEF_MIN: OpDef = OpDef {
    code: BuiltinOperator::REDUCE_MIN,
    name: "REDUCE_MIN",
    versions: 1..=3,
    types: NUMBERS,
    check: check::same_quantization,
    prepare: |node, _: &Settings| {
        let (name, reduction) = ("reduce_min.reference", parse(node)?);
        Ok(match node.input(INPUT, "input")?.ty {
            T::Float32 => smaller(name, reduction, f32::MAX),
            T::UInt8 => smaller(name, reduction, u8::MAX),
            T::Int8 => smaller(name, reduction, i8::MAX),
            T::Int16 => smaller(name, reduction, i16::MAX),
            T::Int32 => smaller(name, reduction, i32::MAX),
            _ => smaller(name, reduction, i64::MAX),
        })
    },
};

pub(super) const DEF_ANY: OpDef = OpDef {
    code: BuiltinOperator::REDUCE_ANY,
    name: "REDUCE_ANY",
    versions: 1..=1,
    types: TRUTHS,
    check: check::none,
    prepare: |node, _: &Settings| {
        Ok(fold(
            "reduce_any.reference",
            parse(node)?,
            0,
            |any: u8, x| u8::from(any != 0 || x != 0),
        ))
    },
};

pub(super) const DEF_ALL: OpDef = OpDef {
    code: BuiltinOperator::REDUCE_ALL,
    name: "REDUCE_ALL",
    versions: 1..=1,
    types: TRUTHS,
    check: check::none,
    prepare: |node, _: &Settings| {
        Ok(fold(
            "reduce_all.reference",
            parse(node)?,
            1,
            |all: u8, x| u8::from(all != 0 && x != 0),
        ))
    },
};

pub(super) const DEF_PROD: OpDef = OpDef {
    code: BuiltinOperator::REDUCE_PROD,
    name: "REDUCE_PROD",
    versions: 1..=2,
    types: NUMBERS,
    check: check::none,
    prepare: prepare_prod,
};

const PROD: &str = "reduce_prod.reference";

fn prepare_prod(node: &Node<'_>, _: &Settings) -> Result<Prepared, PrepareError> {
    let reduction = parse(node)?;
    let input = node.input(INPUT, "input")?;
    let is_quantized = input.quantization.is_some();
    Ok(match input.ty {
        T::Float32 => fold(PROD, reduction, 1.0, |product: f32, x| product * x),
        T::Int32 => fold(PROD, reduction, 1, i32::wrapping_mul),
        T::Int64 => fold(PROD, reduction, 1, i64::wrapping_mul),
        T::UInt8 if is_quantized => {
            return Err(input.type_error("int8 or int16 where it is quantized"));
        }
        T::UInt8 => fold(PROD, reduction, 1, u8::wrapping_mul),
        T::Int8 if is_quantized => Product::<i8>::prepare(node, reduction)?,
        T::Int8 => fold(PROD, reduction, 1, i8::wrapping_mul),
        _ if is_quantized => Product::<i16>::prepare(node, reduction)?,
        _ => fold(PROD, reduction, 1, i16::wrapping_mul),
    })
}

fn parse(node: &Node<'_>) -> Result<Reduction, PrepareError> {
    let options = node.table()?.builtin_options_as_reducer_options();
    Reduction::of_node(node, options.is_some_and(|options| options.keep_dims()))
}

/// The largest element; not-a-number never replaces another.
fn larger<E: Element + PartialOrd + Send>(
    name: &'static str,
    reduction: Reduction,
    lowest: E,
) -> Prepared {
    fold(
        name,
        reduction,
        lowest,
        |max: E, x| {
            if x > max { x } else { max }
        },
    )
}

/// The smallest element; not-a-number never replaces another.
fn smaller<E: Element + PartialOrd + Send>(
    name: &'static str,
    reduction: Reduction,
    highest: E,
) -> Prepared {
    fold(
        name,
        reduction,
        highest,
        |min: E, x| {
            if x < min { x } else { min }
        },
    )
}

/// Products of quantized integers. To keep them within 32 bits, each multiplication is followed by one with
/// `input_scale / output_scale^(1/n)`, `n` being the numbers multiplied, and so is the last product.
///
/// Source: TFLite `kernels/reduce.cc`, `GetQuantProdScaling`; `kernels/internal/reference/reduce.h`,
/// `QuantizedReduceProd`. All in the 64-bit form of the multiplication, whatever the type.
struct Product<E> {
    reduction: Reduction,
    multiplier: QuantizedMultiplier,
    input_zero_point: i32,
    output_zero_point: i32,
    /// The code of 1, the product of no numbers. (Upstream leaves the result unwritten.)
    one: E,
}

impl<E: Quantized> Product<E> {
    fn prepare(node: &Node<'_>, reduction: Reduction) -> Result<Prepared, PrepareError> {
        let input = node.input(INPUT, "input")?;
        let output = node.output(OUTPUT, "output")?;
        symmetric_i16(&[&input, &output])?;
        let (input_scale, input_zero_point) = input.per_tensor()?;
        let (output_scale, output_zero_point) = output.per_tensor()?;
        let factors = reduction.folded.max(1) as f64;
        let root = f64::from(output_scale).powf(1.0 / factors);
        let one = (1.0 / output_scale).round() as i32;
        let product = Self {
            reduction,
            multiplier: QuantizedMultiplier::from_real(f64::from(input_scale) / root)?,
            input_zero_point,
            output_zero_point,
            one: E::saturate(one.saturating_add(output_zero_point)),
        };
        let products = reduction.shape.count() * size_of::<i32>();
        Ok(Prepared::new(product, [reduction.shape]).scratch(products))
    }

    /// The reference product; `products` has one int32 per element of `output`.
    fn run(&self, input: &[E], products: &mut [i32], output: &mut [E]) {
        if input.is_empty() {
            output.fill(self.one);
            return;
        }
        let difference = |q: E| q.widen().wrapping_sub(self.input_zero_point);
        self.reduction
            .fold_from_first(input, products, difference, |product, q| {
                let product = i64::from(product) * i64::from(difference(q));
                self.multiplier.apply_i64(product)
            });
        for (output, &product) in output.iter_mut().zip(products.iter()) {
            let scaled = self.multiplier.apply_i64(product.into());
            *output = E::saturate(scaled.wrapping_add(self.output_zero_point));
        }
    }
}

impl<E: Quantized> Kernel for Product<E> {
    fn eval(&self, io: &mut KernelIo<'_>) -> Result<(), EvalError> {
        let Views {
            inputs: [input],
            outputs: [output],
            scratch: [products],
        } = io.views([INPUT], [OUTPUT], [PRODUCTS])?;
        let products = bytemuck::try_cast_slice_mut(products)
            .map_err(|_| EvalError::Operand { slot: PRODUCTS })?;
        let input = required(input, INPUT)?.as_slice()?;
        self.run(input, products, output.into_slice()?);
        Ok(())
    }

    fn name(&self) -> &'static str {
        PROD
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tensor::Shape;

    #[test]
    fn products_are_rescaled_at_every_step() {
        let shape = Shape::new(&[2, 3]).expect("small");
        let product = |axes: &[i32], real| Product::<i8> {
            reduction: Reduction::new(shape, axes, false).expect("axes exist"),
            multiplier: QuantizedMultiplier::from_real(real).expect("finite"),
            input_zero_point: 1,
            output_zero_point: 2,
            one: 5,
        };
        let (mut products, mut output) = ([9; 2], [9i8; 2]);
        // Half after every step: (2 * 4) / 2 = 4, (4 * 6) / 2 = 12, 12 / 2 + 2 = 8; (-1) * 0.
        product(&[1], 0.5).run(&[3, 5, 7, 0, 1, 9], &mut products, &mut output);
        assert_eq!(output, [8, 2]);
        // No numbers at all.
        product(&[1], 0.5).run(&[], &mut products, &mut output);
        assert_eq!(output, [5, 5]);
    }
}
