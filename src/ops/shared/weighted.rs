//! Kernels of weighted operators: the geometry is the operator's, the arithmetic follows from the element types.

use super::{
    Arithmetic, Float, FloatRange, IntegerSums, OutputStage, Quantized, ScaleProduct, Scaled,
    Stage, Totals, Wide, filter_zero_point, int4_codes, narrow,
};
use crate::fixedpoint::Profile;
use crate::ops::{
    Accumulators, EvalError, Kernel, KernelIo, NodeTensor, PrepareError, Settings, TensorView,
    Views, required,
};
use crate::schema::tflite as schema;
use crate::tensor::TensorType;

/// The geometry of a weighted operator, and its loop.
pub trait Problem: Send + 'static {
    /// `<primitive>.<variant>`.
    const NAME: &'static str;
    /// The slots of input, filter and bias.
    const SLOTS: [usize; 3];

    /// The operator's reference.
    fn run<A: Arithmetic>(
        &self,
        arithmetic: &A,
        input: &[A::Input],
        filter: &[A::Filter],
        bias: Option<&[A::Bias]>,
        output: &mut [A::Output],
    );
}

struct Reference<P, A: Arithmetic> {
    problem: P,
    arithmetic: A,
    /// The weights where they are not used as the file stores them.
    filter: Option<Box<[A::Filter]>>,
}

impl<P: Problem, A: Arithmetic + Send + 'static> Reference<P, A> {
    fn boxed(problem: P, arithmetic: A, filter: Option<Box<[A::Filter]>>) -> Box<dyn Kernel> {
        Box::new(Self {
            problem,
            arithmetic,
            filter,
        })
    }

    /// Runs the loop in this kernel's arithmetic or in another of the same operands.
    fn run<B>(
        &self,
        arithmetic: &B,
        [input, filter, bias]: [TensorView<'_>; 3],
        output: &mut [B::Output],
    ) -> Result<(), EvalError>
    where
        B: Arithmetic<Input = A::Input, Filter = A::Filter, Bias = A::Bias>,
    {
        let filter = match &self.filter {
            Some(filter) => filter,
            None => required(filter, P::SLOTS[1])?.as_slice()?,
        };
        let input = required(input, P::SLOTS[0])?.as_slice()?;
        let bias = bias.map(|bias| bias.as_slice()).transpose()?;
        self.problem.run(arithmetic, input, filter, bias, output);
        Ok(())
    }
}

impl<P: Problem, A: Arithmetic + Send + 'static> Kernel for Reference<P, A> {
    fn eval(&self, io: &mut KernelIo<'_>) -> Result<(), EvalError> {
        let Views {
            inputs,
            outputs: [output],
            ..
        } = io.views(P::SLOTS, [0], [])?;
        self.run(&self.arithmetic, inputs, output.into_slice()?)
    }

    fn accumulators(&self, io: &mut KernelIo<'_>) -> Result<Option<Accumulators>, EvalError> {
        let Views {
            inputs,
            outputs: [output],
            ..
        } = io.views(P::SLOTS, [0], [])?;
        let mut totals = vec![0.0; output.shape().count()];
        self.run(&Totals(&self.arithmetic), inputs, &mut totals)?;
        let clamp = self.arithmetic.clamp();
        Ok(Some(Accumulators { totals, clamp }))
    }

    fn name(&self) -> &'static str {
        P::NAME
    }
}

/// The kernel of a convolution or matrix product in float32.
pub fn float_kernel<P: Problem>(problem: P, scaled: &Scaled<'_>) -> Box<dyn Kernel> {
    let arithmetic = Float(FloatRange::new(scaled.activation));
    Reference::boxed(problem, arithmetic, None)
}

/// The kernel of a convolution: in float32, or with fixed-point multipliers. `wide`: see [`integer_kernel`].
///
/// # Errors
/// As [`OutputStage::new`] and [`integer_kernel`].
pub fn convolution_kernel<P: Problem>(
    problem: P,
    scaled: &Scaled<'_>,
    wide: bool,
    settings: &Settings,
) -> Result<Box<dyn Kernel>, PrepareError> {
    if scaled.input.ty == TensorType::Float32 {
        return Ok(float_kernel(problem, scaled));
    }
    let product = ScaleProduct::of_convolution(scaled.input.ty);
    let stage = OutputStage::new(scaled, product, settings)?;
    integer_kernel(problem, scaled, wide, stage)
}

/// The kernel of quantized operands, by their types. `wide` says whether int16 activations have a 64-bit accumulator.
///
/// # Errors
/// int16 activations with a zero point, or int4 weights that the model computes.
pub fn integer_kernel<P: Problem, S: Stage>(
    problem: P,
    scaled: &Scaled<'_>,
    wide: bool,
    stage: S,
) -> Result<Box<dyn Kernel>, PrepareError> {
    fn same<P: Problem, T: Quantized, S: Stage>(
        problem: P,
        scaled: &Scaled<'_>,
        filter: Option<Box<[T]>>,
        stage: S,
    ) -> Result<Box<dyn Kernel>, PrepareError> {
        let zero = narrow(scaled.input.per_tensor()?.1);
        let filter_zero = filter_zero_point(scaled.filter);
        let arithmetic = IntegerSums::<T, T, S>::new(zero, filter_zero, stage);
        Ok(Reference::boxed(problem, arithmetic, filter))
    }
    if scaled.input.ty == TensorType::Int16 {
        for tensor in [scaled.input, scaled.output] {
            symmetric(tensor)?;
        }
    }
    match (scaled.input.ty, scaled.filter.ty) {
        (TensorType::UInt8, _) if scaled.output.ty == TensorType::Int16 => {
            let (zero, filter_zero) = (
                scaled.input.per_tensor()?.1,
                filter_zero_point(scaled.filter),
            );
            let arithmetic = IntegerSums::<u8, u8, S, i16>::new(narrow(zero), filter_zero, stage);
            Ok(Reference::boxed(problem, arithmetic, None))
        }
        (TensorType::UInt8, _) => same::<P, u8, S>(problem, scaled, None, stage),
        (TensorType::Int16, TensorType::Int16) => {
            Ok(Reference::boxed(problem, Wide::<i16, S>::new(stage), None))
        }
        (TensorType::Int16, _) if wide => {
            Ok(Reference::boxed(problem, Wide::<i8, S>::new(stage), None))
        }
        (TensorType::Int16, _) => {
            let arithmetic = IntegerSums::<i16, i8, S>::new(0, 0, stage);
            Ok(Reference::boxed(problem, arithmetic, None))
        }
        (_, TensorType::Int4) => {
            let filter = unpack_int4(scaled.filter)?;
            same::<P, i8, S>(problem, scaled, Some(filter), stage)
        }
        _ => same::<P, i8, S>(problem, scaled, None, stage),
    }
}

/// Refuses a zero point other than 0.
fn symmetric(tensor: &NodeTensor<'_>) -> Result<(), PrepareError> {
    match tensor.per_tensor()?.1 {
        0 => Ok(()),
        found => Err(PrepareError::Attribute {
            name: "zero_point",
            found: found.to_string(),
            expected: "0 for int16 activations",
        }),
    }
}

/// Constant int4 weights as int8.
///
/// # Errors
/// The model computes them.
pub fn unpack_int4(filter: &NodeTensor<'_>) -> Result<Box<[i8]>, PrepareError> {
    let codes = int4_codes(filter.constant_bytes()?);
    Ok(codes.take(filter.shape.count()).collect())
}

/// Whether int16 activations have a 64-bit accumulator in FULLY_CONNECTED and TRANSPOSE_CONV.
///
/// The bias's type says so. Without a bias LiteRT takes 64 bits unless the option `quantized_bias_type` is INT32, and
/// TFLite up to 2.14 (measured on tflite-runtime) 32 bits; the two requantize differently.
pub fn wide_accumulator(
    bias: Option<&NodeTensor<'_>>,
    declared: schema::TensorType,
    settings: &Settings,
) -> bool {
    match bias {
        Some(bias) => bias.ty == TensorType::Int64,
        None => settings.profile == Profile::Litert && declared != schema::TensorType::INT32,
    }
}
