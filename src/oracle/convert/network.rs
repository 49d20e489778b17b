//! A quantized network, layer by layer.

use super::ConvertError;
use crate::model::write::{
    ActivationFunctionType, ModelWriter, Operation, Padding, TensorId, Window,
};
use crate::oracle::qparams::{ConverterParams, Grid, Range};
use crate::tensor::{Quantization, TensorType};

/// A network in the making, with the rules of TFLite's converters for scales and zero points.
///
/// ```
/// use corallite::model::write::{ActivationFunctionType, Padding, Window};
/// use corallite::oracle::Range;
/// use corallite::oracle::convert::{NetworkBuilder, Weighted};
/// use corallite::tensor::TensorType;
///
/// let mut network = NetworkBuilder::new("a 1x1 convolution", TensorType::Int8)?;
/// let x = network.input("x", &[1, 2, 2, 1], Range::new(-1.0, 127.0 / 128.0)?)?;
/// let layer = Weighted {
///     name: "y",
///     weights: &[0.5, -2.0], // [height 1, width 1, 1 input, 2 outputs]
///     weight_ranges: &[Range::new(-0.5, 0.5)?, Range::new(-2.0, 2.0)?],
///     bias: &[0.25, 0.0],
///     activation: ActivationFunctionType::NONE,
///     output: Range::new(-2.0, 2.0)?,
/// };
/// let window = Window { padding: Padding::VALID, stride: [1, 1], dilation: [1, 1] };
/// let y = network.conv_2d(x, &layer, [1, 1], window)?;
/// let y = network.softmax("probabilities", y, 1.0)?;
/// let model = corallite::Model::from_bytes(&network.finish(&[y])?)?;
/// # let _ = corallite::Interpreter::builder(&model).build()?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct NetworkBuilder {
    pub(super) ty: TensorType,
    pub(super) writer: ModelWriter,
    values: Vec<Info>,
    inputs: Vec<TensorId>,
}

/// A quantized tensor of a [`NetworkBuilder`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Value(usize);

/// What is known of a value.
#[derive(Debug, Clone)]
pub(super) struct Info {
    pub(super) tensor: TensorId,
    pub(super) shape: Vec<usize>,
    pub(super) scale: f64,
    pub(super) zero_point: i32,
}

impl NetworkBuilder {
    /// An empty network on uint8 (per-tensor weights, as toco) or int8 (symmetric weights, per channel where so many
    /// ranges are given).
    ///
    /// # Errors
    /// Another type.
    pub fn new(description: &str, ty: TensorType) -> Result<Self, ConvertError> {
        if !matches!(ty, TensorType::UInt8 | TensorType::Int8) {
            return Err(crate::oracle::qparams::RangeError::Type { found: ty }.into());
        }
        Ok(Self {
            ty,
            writer: ModelWriter::new(description),
            values: Vec::new(),
            inputs: Vec::new(),
        })
    }

    /// An input of the network.
    ///
    /// # Errors
    /// The range or the shape cannot be used.
    pub fn input(
        &mut self,
        name: &str,
        shape: &[usize],
        range: Range,
    ) -> Result<Value, ConvertError> {
        let value = self.ranged(name, shape, range)?;
        self.inputs.push(self.values[value.0].tensor);
        Ok(value)
    }

    /// ADD of two values of one shape.
    ///
    /// # Errors
    /// The shapes differ or the range cannot be used.
    pub fn add(
        &mut self,
        name: &str,
        operands: [Value; 2],
        activation: ActivationFunctionType,
        output: Range,
    ) -> Result<Value, ConvertError> {
        let [a, b] = [self.info(operands[0])?, self.info(operands[1])?];
        if a.shape != b.shape {
            let expected = "the shape of the other operand";
            return Err(shape_error(&b.shape, expected).in_layer(name));
        }
        let y = self.ranged(name, &a.shape, output)?;
        self.operator(Operation::add(activation), &[a.tensor, b.tensor], y)
    }

    /// AVERAGE_POOL_2D over NHWC; the result has the input's scale and zero point. `filter`: height, width.
    ///
    /// # Errors
    /// The input is not NHWC or smaller than the filter.
    pub fn average_pool_2d(
        &mut self,
        name: &str,
        input: Value,
        filter: [usize; 2],
        window: Window,
    ) -> Result<Value, ConvertError> {
        let none = ActivationFunctionType::NONE;
        let operation = Operation::average_pool_2d(window, filter.map(int), none);
        self.pool(name, input, filter, window, operation)
    }

    /// MAX_POOL_2D; see [`average_pool_2d`](Self::average_pool_2d).
    ///
    /// # Errors
    /// The input is not NHWC or smaller than the filter.
    pub fn max_pool_2d(
        &mut self,
        name: &str,
        input: Value,
        filter: [usize; 2],
        window: Window,
    ) -> Result<Value, ConvertError> {
        let none = ActivationFunctionType::NONE;
        let operation = Operation::max_pool_2d(window, filter.map(int), none);
        self.pool(name, input, filter, window, operation)
    }

    fn pool(
        &mut self,
        name: &str,
        input: Value,
        filter: [usize; 2],
        window: Window,
        operation: Operation,
    ) -> Result<Value, ConvertError> {
        let x = self.info(input)?;
        let [batch, height, width, channels] = nhwc(&x.shape).map_err(|e| e.in_layer(name))?;
        let [height, width] =
            window_output([height, width], filter, window).map_err(|error| error.in_layer(name))?;
        let y = self.alike(name, &[batch, height, width, channels], &x)?;
        self.operator(operation, &[x.tensor], y)
    }

    /// MEAN over `axes`. Without a range the result has the input's scale and zero point, as toco leaves it.
    ///
    /// # Errors
    /// There is no such axis or the range cannot be used.
    pub fn mean(
        &mut self,
        name: &str,
        input: Value,
        axes: &[usize],
        keep_dims: bool,
        output: Option<Range>,
    ) -> Result<Value, ConvertError> {
        let x = self.info(input)?;
        if axes.iter().any(|&axis| axis >= x.shape.len()) {
            let expected = "an axis for every axis that is averaged over";
            return Err(shape_error(&x.shape, expected).in_layer(name));
        }
        let mut shape = Vec::new();
        for (axis, &size) in x.shape.iter().enumerate() {
            match (axes.contains(&axis), keep_dims) {
                (false, _) => shape.push(size),
                (true, true) => shape.push(1),
                (true, false) => {}
            }
        }
        let y = match output {
            Some(range) => self.ranged(name, &shape, range)?,
            None => self.alike(name, &shape, &x)?,
        };
        let axes: Vec<i32> = axes.iter().copied().map(int).collect();
        let axes = self.int_constant(&format!("{name}/axes"), &axes)?;
        self.operator(Operation::mean(keep_dims), &[x.tensor, axes], y)
    }

    /// RESHAPE.
    ///
    /// # Errors
    /// The shape holds another number of elements.
    pub fn reshape(
        &mut self,
        name: &str,
        input: Value,
        shape: &[usize],
    ) -> Result<Value, ConvertError> {
        let x = self.info(input)?;
        let count = |shape: &[usize]| shape.iter().try_fold(1usize, |n, &d| n.checked_mul(d));
        if count(shape) != count(&x.shape) {
            let expected = "as many elements as the input has";
            return Err(shape_error(shape, expected).in_layer(name));
        }
        let y = self.alike(name, shape, &x)?;
        let new_shape: Vec<i32> = shape.iter().copied().map(int).collect();
        let operand = self.int_constant(&format!("{name}/shape"), &new_shape)?;
        self.operator(Operation::reshape(&new_shape), &[x.tensor, operand], y)
    }

    /// SOFTMAX over the last axis: scale 1/256, the lowest code stands for 0.
    ///
    /// # Errors
    /// The value is another builder's.
    pub fn softmax(&mut self, name: &str, input: Value, beta: f32) -> Result<Value, ConvertError> {
        let x = self.info(input)?;
        let probabilities = Info {
            scale: 1.0 / 256.0,
            zero_point: if self.ty == TensorType::Int8 { -128 } else { 0 },
            ..x.clone()
        };
        let y = self.alike(name, &x.shape, &probabilities)?;
        self.operator(Operation::softmax(beta), &[x.tensor], y)
    }

    /// CONCATENATION of values with one scale and zero point, which the result keeps.
    ///
    /// # Errors
    /// There is no value, scales or zero points differ, or shapes differ beside `axis`.
    pub fn concatenation(
        &mut self,
        name: &str,
        inputs: &[Value],
        axis: usize,
    ) -> Result<Value, ConvertError> {
        let infos = inputs.iter().map(|&value| self.info(value));
        let infos = infos.collect::<Result<Vec<_>, _>>()?;
        let expected = "values with this axis, alike on all others";
        let Some(first) = infos.first().filter(|first| axis < first.shape.len()) else {
            return Err(shape_error(&[], expected).in_layer(name));
        };
        let mut shape = first.shape.clone();
        shape[axis] = 0;
        for (operand, info) in infos.iter().enumerate() {
            if (info.scale, info.zero_point) != (first.scale, first.zero_point) {
                return Err(ConvertError::Unequal { operand }.in_layer(name));
            }
            let fits = info.shape.len() == shape.len()
                && (0..shape.len()).all(|i| i == axis || info.shape[i] == shape[i]);
            if !fits {
                return Err(shape_error(&info.shape, expected).in_layer(name));
            }
            shape[axis] += info.shape[axis];
        }
        let first = first.clone();
        let tensors: Vec<TensorId> = infos.iter().map(|info| info.tensor).collect();
        let y = self.alike(name, &shape, &first)?;
        self.operator(Operation::concatenation(int(axis)), &tensors, y)
    }

    /// QUANTIZE from one range to another.
    ///
    /// # Errors
    /// The range cannot be used.
    pub fn requantize(
        &mut self,
        name: &str,
        input: Value,
        output: Range,
    ) -> Result<Value, ConvertError> {
        let x = self.info(input)?;
        let y = self.ranged(name, &x.shape, output)?;
        self.operator(Operation::quantize(), &[x.tensor], y)
    }

    /// The model file with these outputs, loaded and verified.
    ///
    /// # Errors
    /// A value is another builder's, or what was built is refused on loading; the message says what.
    pub fn finish(self, outputs: &[Value]) -> Result<Vec<u8>, ConvertError> {
        let outputs = outputs.iter().map(|&value| Ok(self.info(value)?.tensor));
        let outputs = outputs.collect::<Result<Vec<_>, ConvertError>>()?;
        Ok(self.writer.finish(&self.inputs, &outputs)?)
    }

    /// What is known of a value.
    pub(super) fn info(&self, value: Value) -> Result<Info, ConvertError> {
        let info = self.values.get(value.0).cloned();
        info.ok_or(ConvertError::UnknownValue)
    }

    /// A new value with the converter's parameters of a range.
    pub(super) fn ranged(
        &mut self,
        name: &str,
        shape: &[usize],
        range: Range,
    ) -> Result<Value, ConvertError> {
        let params = Grid::of(self.ty, false).and_then(|grid| ConverterParams::new(range, grid));
        let params = params.map_err(|error| ConvertError::from(error).in_layer(name))?;
        self.value(name, shape, params.scale(), params.zero_point())
    }

    /// A new value with the parameters of another.
    fn alike(&mut self, name: &str, shape: &[usize], as_: &Info) -> Result<Value, ConvertError> {
        self.value(name, shape, as_.scale, as_.zero_point)
    }

    fn value(
        &mut self,
        name: &str,
        shape: &[usize],
        scale: f64,
        zero_point: i32,
    ) -> Result<Value, ConvertError> {
        let quantization = Quantization::per_tensor(scale as f32, zero_point);
        let tensor = self
            .writer
            .tensor(name, self.ty, shape, Some(quantization))?;
        self.values.push(Info {
            tensor,
            shape: shape.to_vec(),
            scale,
            zero_point,
        });
        Ok(Value(self.values.len() - 1))
    }

    fn int_constant(&mut self, name: &str, values: &[i32]) -> Result<TensorId, ConvertError> {
        let bytes = values
            .iter()
            .flat_map(|value| value.to_le_bytes())
            .collect();
        let shape = [values.len()];
        let id = self
            .writer
            .constant(name, TensorType::Int32, &shape, None, bytes)?;
        Ok(id)
    }

    /// Appends an operator whose result is `y`.
    pub(super) fn operator(
        &mut self,
        operation: Operation,
        inputs: &[TensorId],
        y: Value,
    ) -> Result<Value, ConvertError> {
        let inputs: Vec<_> = inputs.iter().copied().map(Some).collect();
        let y_tensor = self.info(y)?.tensor;
        self.writer.operator(operation, &inputs, &[y_tensor])?;
        Ok(y)
    }
}

/// A size as the file stores it; sizes beyond are refused when the tensor is made.
pub(super) fn int(size: usize) -> i32 {
    i32::try_from(size).unwrap_or(i32::MAX)
}

pub(super) fn shape_error(found: &[usize], expected: &'static str) -> ConvertError {
    ConvertError::Shape {
        found: found.to_vec(),
        expected,
    }
}

/// The axes of a batch of pictures.
pub(super) fn nhwc(shape: &[usize]) -> Result<[usize; 4], ConvertError> {
    let shape_error = || shape_error(shape, "[batch, height, width, channels]");
    shape.try_into().map_err(|_| shape_error())
}

/// Height and width of what a window gives.
pub(super) fn window_output(
    size: [usize; 2],
    filter: [usize; 2],
    window: Window,
) -> Result<[usize; 2], ConvertError> {
    let mut output = [0; 2];
    for axis in 0..2 {
        let expected =
            "a picture no smaller than the window, and strides and dilations of 1 or more";
        let refused = || shape_error(&size, expected);
        let positive = |number: i32| usize::try_from(number).ok().filter(|&number| number > 0);
        let stride = positive(window.stride[axis]).ok_or_else(refused)?;
        let dilation = positive(window.dilation[axis]).ok_or_else(refused)?;
        let span = filter[axis]
            .checked_sub(1)
            .and_then(|taps| taps.checked_mul(dilation));
        let span = span.ok_or_else(refused)?;
        output[axis] = if window.padding == Padding::SAME {
            size[axis].div_ceil(stride)
        } else {
            size[axis]
                .checked_sub(span)
                .ok_or_else(refused)?
                .div_ceil(stride)
        };
        if output[axis] == 0 {
            return Err(refused());
        }
    }
    Ok(output)
}
