//! Layers with weights.

use super::error::check_values;
use super::network::{Info, int, nhwc, shape_error, window_output};
use super::{ConvertError, NetworkBuilder, QuantizedBias, QuantizedWeights, Value};
use crate::model::write::{ActivationFunctionType, Operation, TensorId, Window};
use crate::oracle::qparams::{ConverterParams, Grid, Range};
use crate::tensor::{Quantization, TensorType};

/// What training leaves of a convolution or a dense layer, batch normalization folded.
#[derive(Debug, Clone, Copy)]
pub struct Weighted<'a> {
    /// The name of the layer's result; weights and bias get it with a suffix.
    pub name: &'a str,
    /// In TensorFlow's order: HWIO, for depthwise \[height, width, channel, multiplier\], for dense \[input, output\]. The
    /// last axes are the output channels.
    pub weights: &'a [f32],
    /// One range, or one per output channel (int8, convolutions). For int8 they must be symmetric around zero.
    pub weight_ranges: &'a [Range],
    /// One per output channel.
    pub bias: &'a [f32],
    /// Fused into the layer; `output` is the range behind it.
    pub activation: ActivationFunctionType,
    /// The range of the result.
    pub output: Range,
}

/// Where output channels stand in a filter of a model file.
#[derive(Clone, Copy)]
enum Channels {
    /// First, as in OHWI and \[output, input\].
    First,
    /// Last, as in depthwise filters.
    Last,
}

impl NetworkBuilder {
    /// CONV_2D over NHWC; there are as many output channels as biases. `filter`: height, width.
    ///
    /// # Errors
    /// Shapes or numbers of values do not fit, or values or ranges cannot be quantized.
    pub fn conv_2d(
        &mut self,
        input: Value,
        layer: &Weighted<'_>,
        filter: [usize; 2],
        window: Window,
    ) -> Result<Value, ConvertError> {
        let x = self.info(input)?;
        let mut build = || {
            let [batch, height, width, channels] = nhwc(&x.shape)?;
            let outputs = layer.bias.len();
            let [height, width] = window_output([height, width], filter, window)?;
            let filter = [outputs, filter[0], filter[1], channels];
            let operation = Operation::conv_2d(window, layer.activation);
            let y = [batch, height, width, outputs];
            self.weighted(&x, layer, &filter, Channels::First, operation, &y)
        };
        build().map_err(|error| error.in_layer(layer.name))
    }

    /// DEPTHWISE_CONV_2D over NHWC; every channel makes as many results as there are biases per channel. toco writes
    /// convolutions of one input channel this way. `filter`: height, width.
    ///
    /// # Errors
    /// As for [`conv_2d`](Self::conv_2d).
    pub fn depthwise_conv_2d(
        &mut self,
        input: Value,
        layer: &Weighted<'_>,
        filter: [usize; 2],
        window: Window,
    ) -> Result<Value, ConvertError> {
        let x = self.info(input)?;
        let mut build = || {
            let [batch, height, width, channels] = nhwc(&x.shape)?;
            let outputs = layer.bias.len();
            if channels == 0 || outputs == 0 || !outputs.is_multiple_of(channels) {
                let expected = "as many biases as channels, or a multiple";
                return Err(shape_error(&x.shape, expected));
            }
            let [height, width] = window_output([height, width], filter, window)?;
            let filter = [1, filter[0], filter[1], outputs];
            let multiplier = int(outputs / channels);
            let operation = Operation::depthwise_conv_2d(window, multiplier, layer.activation);
            let y = [batch, height, width, outputs];
            self.weighted(&x, layer, &filter, Channels::Last, operation, &y)
        };
        build().map_err(|error| error.in_layer(layer.name))
    }

    /// FULLY_CONNECTED over \[batch, inputs\]; there are as many outputs as biases.
    ///
    /// # Errors
    /// As for [`conv_2d`](Self::conv_2d).
    pub fn fully_connected(
        &mut self,
        input: Value,
        layer: &Weighted<'_>,
    ) -> Result<Value, ConvertError> {
        let x = self.info(input)?;
        let mut build = || {
            let &[batch, inputs] = x.shape.as_slice() else {
                return Err(shape_error(&x.shape, "[batch, inputs]; reshape it first"));
            };
            let outputs = layer.bias.len();
            let operation = Operation::fully_connected(layer.activation);
            let filter = [outputs, inputs];
            let y = [batch, outputs];
            self.weighted(&x, layer, &filter, Channels::First, operation, &y)
        };
        build().map_err(|error| error.in_layer(layer.name))
    }

    /// The part that all have in common. `filter`: the shape in the file.
    fn weighted(
        &mut self,
        x: &Info,
        layer: &Weighted<'_>,
        filter: &[usize],
        channels: Channels,
        operation: Operation,
        shape: &[usize],
    ) -> Result<Value, ConvertError> {
        let outputs = layer.bias.len();
        let count = filter.iter().try_fold(1usize, |n, &dim| n.checked_mul(dim));
        check_values("weights", layer.weights, count.unwrap_or(usize::MAX))?;
        let ranges = layer.weight_ranges.len();
        let per_channel = self.ty == TensorType::Int8 && ranges == outputs;
        if ranges != 1 && !per_channel {
            return Err(ConvertError::Count {
                what: "weight ranges",
                found: ranges,
                expected: if self.ty == TensorType::Int8 {
                    outputs
                } else {
                    1
                },
            });
        }
        let grid = Grid::of(self.ty, true)?;
        let weights = QuantizedWeights::new(layer.weights, layer.weight_ranges, grid)?;
        let scales: Vec<f64> = weights
            .params()
            .iter()
            .map(ConverterParams::scale)
            .collect();
        let bias = QuantizedBias::new(layer.bias, x.scale, &scales)?;

        let filter_id = self.filter(layer.name, &weights, filter, channels)?;
        let zero_points = vec![0; scales.len()];
        let quantization = Quantization::new(bias.stored_scales(), zero_points, 0);
        let bias_id = self.writer.constant(
            &format!("{}/bias", layer.name),
            TensorType::Int32,
            &[outputs],
            Some(quantization),
            bias.codes()
                .iter()
                .flat_map(|code| code.to_le_bytes())
                .collect(),
        )?;
        let y = self.ranged(layer.name, shape, layer.output)?;
        self.operator(operation, &[x.tensor, filter_id, bias_id], y)
    }

    fn filter(
        &mut self,
        name: &str,
        weights: &QuantizedWeights,
        shape: &[usize],
        channels: Channels,
    ) -> Result<TensorId, ConvertError> {
        // The low byte of a code within uint8 or int8.
        let byte = |code: &i32| code.to_le_bytes()[0];
        let codes = weights.codes();
        let (axis, data) = match channels {
            Channels::Last => (shape.len() - 1, codes.iter().map(byte).collect()),
            Channels::First => {
                let outputs = shape[0];
                let of = |channel| codes.iter().skip(channel).step_by(outputs.max(1)).map(byte);
                (0, (0..outputs).flat_map(of).collect())
            }
        };
        let params = weights.params();
        let quantization = Quantization::new(
            params.iter().map(ConverterParams::stored_scale).collect(),
            params
                .iter()
                .map(|params| params.zero_point().into())
                .collect(),
            axis,
        );
        let name = format!("{name}/weights");
        Ok(self
            .writer
            .constant(&name, self.ty, shape, Some(quantization), data)?)
    }
}
