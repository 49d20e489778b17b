//! The fast kernels of weighted operators on bytes and on float32, where operands and machine allow one.

use super::{
    Axis, FastPicture, OutputStage, ScaleProduct, Scaled, element8, filter_zero_point, float_range,
    narrow, weighted::unpack_int4,
};
use crate::fast::{self, ConvKernel, Element8, Operands, Spread, Window};
use crate::ops::conv_2d::Conv2d;
use crate::ops::depthwise_conv_2d::DepthwiseConv2d;
use crate::ops::fully_connected::FullyConnected;
use crate::ops::transpose_conv::TransposeConv;
use crate::ops::{EvalError, Kernel, KernelIo, KernelMemory, NodeTensor, PrepareError, Settings};
use crate::tensor::TensorType;
use std::borrow::Cow;

/// Weights and biases of a weighted operator on bytes, known when it is prepared.
struct Constants<'a> {
    filter: Cow<'a, [u8]>,
    bias: Option<&'a [i32]>,
    activations: Element8,
    weights: Element8,
}

impl<'a> Constants<'a> {
    /// `None` where types are others or the model computes an operand.
    fn new(
        scaled: &Scaled<'a>,
        bias: Option<&NodeTensor<'a>>,
    ) -> Result<Option<Self>, PrepareError> {
        let element = |ty| match ty {
            TensorType::Int4 => Some(Element8::Int8),
            ty => element8(ty),
        };
        let constant = scaled.filter.is_constant() && bias.is_none_or(NodeTensor::is_constant);
        let (Some(activations), Some(weights), true) = (
            element(scaled.input.ty),
            element(scaled.filter.ty),
            constant && scaled.input.ty == scaled.output.ty,
        ) else {
            return Ok(None);
        };
        let filter = match scaled.filter.ty {
            TensorType::Int4 => {
                let unpacked = unpack_int4(scaled.filter)?;
                Cow::Owned(bytemuck::cast_slice(&unpacked).to_vec())
            }
            _ => Cow::Borrowed(scaled.filter.constant_bytes()?),
        };
        let bias = bias.map(|bias| bias.constant::<i32>()).transpose()?;
        Ok(Some(Self {
            filter,
            bias,
            activations,
            weights,
        }))
    }

    /// Whether the weights are bytes in the model.
    fn is_stored(&self) -> bool {
        matches!(self.filter, Cow::Borrowed(_))
    }
}

/// The fast kernel of a convolution; `None` where the reference has to do.
///
/// # Errors
/// As [`OutputStage::new`].
pub fn fast_convolution(
    problem: &Conv2d,
    scaled: &Scaled<'_>,
    bias: Option<&NodeTensor<'_>>,
    settings: &Settings,
) -> Result<Option<Box<dyn Kernel>>, PrepareError> {
    if scaled.input.ty == TensorType::Float32 {
        let axes = [problem.rows.window(), problem.columns.window()];
        let channels = [problem.input_channels, problem.filter_channels];
        return fast_float(axes, channels, scaled, bias, settings);
    }
    let Some(constants) = Constants::new(scaled, bias)? else {
        return Ok(None);
    };
    let product = ScaleProduct::of_convolution(scaled.input.ty);
    let stage = OutputStage::new(scaled, product, settings)?;
    let problem = fast::Conv2d {
        batches: problem.batches,
        rows: problem.rows.window(),
        columns: problem.columns.window(),
        input_channels: problem.input_channels,
        filter_channels: problem.filter_channels,
        output_channels: problem.output_channels,
        activations: constants.activations,
        weights: constants.weights,
        input_zero_point: narrow(scaled.input.per_tensor()?.1).into(),
        filter_zero_point: filter_zero_point(scaled.filter).into(),
        filter: &constants.filter,
        filter_is_stored: constants.is_stored(),
        bias: constants.bias,
        stage: stage.into(),
    };
    let kernel = fast::choose::<fast::Conv2dPrimitive>(settings.kernels, &problem);
    Ok(kernel.map(|kernel| FastConv::boxed(kernel, [0, 1])))
}

/// The fast kernel of a depthwise convolution; `None` where the reference has to do.
///
/// # Errors
/// As [`OutputStage::new`].
pub fn fast_depthwise_convolution(
    problem: &DepthwiseConv2d,
    scaled: &Scaled<'_>,
    bias: Option<&NodeTensor<'_>>,
    settings: &Settings,
) -> Result<Option<Box<dyn Kernel>>, PrepareError> {
    let Some(constants) = Constants::new(scaled, bias)? else {
        return Ok(None);
    };
    let product = ScaleProduct::of_convolution(scaled.input.ty);
    let stage = OutputStage::new(scaled, product, settings)?;
    let problem = fast::DepthwiseConv2d {
        batches: problem.batches,
        rows: problem.rows.window(),
        columns: problem.columns.window(),
        input_channels: problem.input_channels,
        multiplier: problem.multiplier,
        activations: constants.activations,
        weights: constants.weights,
        input_zero_point: narrow(scaled.input.per_tensor()?.1).into(),
        filter_zero_point: filter_zero_point(scaled.filter).into(),
        filter: &constants.filter,
        bias: constants.bias,
        stage: stage.into(),
    };
    let kernel = fast::choose::<fast::DepthwiseConv2dPrimitive>(settings.kernels, &problem);
    Ok(kernel.map(|kernel| FastConv::boxed(kernel, [0, 1])))
}

/// The fast kernel of a matrix product of `rows` x `depth` activations; `None` where the reference has to do.
///
/// # Errors
/// The bias is no int32, or a zero point is missing.
pub fn fast_fully_connected(
    problem: FullyConnected,
    rows: usize,
    scaled: &Scaled<'_>,
    bias: Option<&NodeTensor<'_>>,
    stage: impl Into<fast::Stage>,
    settings: &Settings,
) -> Result<Option<Box<dyn Kernel>>, PrepareError> {
    let Some(constants) = Constants::new(scaled, bias)? else {
        return Ok(None);
    };
    let problem = fast::Conv2d {
        batches: rows,
        rows: Window::point(1),
        columns: Window::point(1),
        input_channels: problem.depth,
        filter_channels: problem.depth,
        output_channels: problem.units,
        activations: constants.activations,
        weights: constants.weights,
        input_zero_point: narrow(scaled.input.per_tensor()?.1).into(),
        filter_zero_point: filter_zero_point(scaled.filter).into(),
        filter: &constants.filter,
        filter_is_stored: constants.is_stored(),
        bias: constants.bias,
        stage: stage.into(),
    };
    let kernel = fast::choose::<fast::FullyConnectedPrimitive>(settings.kernels, &problem);
    Ok(kernel.map(|kernel| FastConv::boxed(kernel, [0, 1])))
}

/// The fast kernel of a matrix product of `rows` x `depth` floats; `None` where the reference has to do.
///
/// # Errors
/// The model's weights are not aligned.
pub fn fast_float_fully_connected(
    problem: FullyConnected,
    rows: usize,
    scaled: &Scaled<'_>,
    bias: Option<&NodeTensor<'_>>,
    settings: &Settings,
) -> Result<Option<Box<dyn Kernel>>, PrepareError> {
    let axes = [Window::point(1), Window::point(rows)];
    fast_float(axes, [problem.depth; 2], scaled, bias, settings)
}

/// The fast kernel of a convolution of float32.
fn fast_float(
    [rows, columns]: [Window; 2],
    [input_channels, filter_channels]: [usize; 2],
    scaled: &Scaled<'_>,
    bias: Option<&NodeTensor<'_>>,
    settings: &Settings,
) -> Result<Option<Box<dyn Kernel>>, PrepareError> {
    if !scaled.filter.is_constant() || bias.is_some_and(|bias| !bias.is_constant()) {
        return Ok(None);
    }
    let problem = fast::Conv2dFloat {
        rows,
        columns,
        input_channels,
        filter_channels,
        output_channels: scaled.channels,
        filter: scaled.filter.constant()?,
        bias: bias.map(NodeTensor::constant).transpose()?,
        range: float_range(scaled.activation),
    };
    let kernel = fast::choose::<fast::Conv2dFloatPrimitive>(settings.kernels, &problem);
    Ok(kernel.map(|kernel| Box::new(FastPicture(kernel)) as Box<dyn Kernel>))
}

/// The fast kernel of a transposed convolution; `None` where the reference has to do.
///
/// # Errors
/// As [`OutputStage::new`].
pub fn fast_transpose_conv(
    problem: &TransposeConv,
    scaled: &Scaled<'_>,
    bias: Option<&NodeTensor<'_>>,
    settings: &Settings,
) -> Result<Option<Box<dyn Kernel>>, PrepareError> {
    let Some(constants) = Constants::new(scaled, bias)? else {
        return Ok(None);
    };
    let product = ScaleProduct::of_convolution(scaled.input.ty);
    let stage = OutputStage::new(scaled, product, settings)?;
    let spread = |axis: &Axis, input| Spread {
        input,
        taps: axis.taps,
        stride: axis.stride,
        before: axis.before,
        output: axis.input,
    };
    let problem = fast::TransposeConv {
        batches: problem.batches,
        rows: spread(&problem.rows, problem.input[0]),
        columns: spread(&problem.columns, problem.input[1]),
        input_channels: problem.input_channels,
        output_channels: problem.output_channels,
        element: constants.activations,
        input_zero_point: narrow(scaled.input.per_tensor()?.1).into(),
        filter_zero_point: filter_zero_point(scaled.filter).into(),
        filter: &constants.filter,
        bias: constants.bias,
        stage: stage.into(),
    };
    let kernel = fast::choose::<fast::TransposeConvPrimitive>(settings.kernels, &problem);
    Ok(kernel.map(|kernel| FastConv::boxed(kernel, [2, 1])))
}

struct FastConv {
    kernel: Box<dyn ConvKernel>,
    /// Of the input and of the filter.
    slots: [usize; 2],
    reads_filter: bool,
}

impl FastConv {
    fn boxed(kernel: Box<dyn ConvKernel>, slots: [usize; 2]) -> Box<dyn Kernel> {
        let reads_filter = kernel.reads_filter();
        Box::new(Self {
            kernel,
            slots,
            reads_filter,
        })
    }
}

impl Kernel for FastConv {
    fn eval(&self, io: &mut KernelIo<'_>) -> Result<(), EvalError> {
        let workers = io.workers();
        let (operands, output) = match self.reads_filter {
            true => {
                let ([input, filter], output) = io.elements(self.slots, 0)?;
                (Operands { input, filter }, output)
            }
            false => {
                let ([input], output) = io.elements([self.slots[0]], 0)?;
                (Operands { input, filter: &[] }, output)
            }
        };
        self.kernel.run_all(operands, output, workers);
        Ok(())
    }

    fn name(&self) -> &'static str {
        self.kernel.name()
    }

    fn memory(&self) -> KernelMemory {
        KernelMemory {
            packed: self.kernel.packed_bytes(),
            workspace: self.kernel.workspace_bytes(),
        }
    }
}
