//! Operators with their options, field by field as `schema/tflite.fbs` numbers them.

use super::{ActivationFunctionType, BuiltinOptions, Padding};
use crate::schema::tflite::BuiltinOperator;
use crate::tensor::TensorType;

/// What an operator computes: its code, its options and the version that its types need.
///
/// ```
/// use corallite::model::write::{ActivationFunctionType, Operation, Padding, Window};
/// let window = Window { padding: Padding::SAME, stride: [2, 2], dilation: [1, 1] };
/// let conv = Operation::conv_2d(window, ActivationFunctionType::RELU6);
/// # let _ = conv;
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct Operation {
    pub(super) code: BuiltinOperator,
    pub(super) options: BuiltinOptions,
    pub(super) fields: Vec<(u16, Field)>,
    versions: Versions,
}

/// The value of an option.
#[derive(Debug, Clone, PartialEq)]
pub enum Field {
    /// `bool`
    Bool(bool),
    /// `byte`, and every enumeration of options
    Byte(i8),
    /// `int`
    Int(i32),
    /// `float`
    Float(f32),
    /// `[int]`
    Ints(Vec<i32>),
}

/// How a window moves; heights first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Window {
    /// What happens at the border.
    pub padding: Padding,
    /// Steps: height, width.
    pub stride: [i32; 2],
    /// Distances between taps: height, width; pools have none.
    pub dilation: [i32; 2],
}

/// The first version of an operator that takes a type (TFLite's `tools/versioning/op_version.cc`, TF 2.14).
#[derive(Debug, Clone, Copy, PartialEq)]
enum Versions {
    /// One for all types.
    Fixed(i32),
    /// By the type of the first operand; 1 for uint8 and floats.
    ByType { int8: i32, int16: i32 },
}

impl Operation {
    /// Any operator of TFLite's list: `fields` are numbers and values of its option table.
    pub fn new(
        code: BuiltinOperator,
        version: i32,
        options: BuiltinOptions,
        fields: Vec<(u16, Field)>,
    ) -> Self {
        Self {
            code,
            options,
            fields,
            versions: Versions::Fixed(version),
        }
    }

    fn typed(
        code: BuiltinOperator,
        (int8, int16): (i32, i32),
        options: BuiltinOptions,
        fields: Vec<(u16, Field)>,
    ) -> Self {
        Self {
            code,
            options,
            fields,
            versions: Versions::ByType { int8, int16 },
        }
    }

    /// With this version instead of the one the types need.
    pub fn version(mut self, version: i32) -> Self {
        self.versions = Versions::Fixed(version);
        self
    }

    /// The version for a first operand of type `ty`.
    pub(super) fn version_for(&self, ty: Option<TensorType>) -> i32 {
        match (self.versions, ty) {
            (Versions::Fixed(version), _) => version,
            (Versions::ByType { int8, .. }, Some(TensorType::Int8)) => int8,
            (Versions::ByType { int16, .. }, Some(TensorType::Int16)) => int16,
            _ => 1,
        }
    }

    /// CONV_2D: input NHWC, filter OHWI, bias O.
    pub fn conv_2d(window: Window, activation: ActivationFunctionType) -> Self {
        let [stride_h, stride_w] = window.stride;
        let [dilation_h, dilation_w] = window.dilation;
        let fields = vec![
            (0, Field::Byte(window.padding.0)),
            (1, Field::Int(stride_w)),
            (2, Field::Int(stride_h)),
            (3, Field::Byte(activation.0)),
            (4, Field::Int(dilation_w)),
            (5, Field::Int(dilation_h)),
        ];
        let options = BuiltinOptions::CONV2D_OPTIONS;
        Self::typed(BuiltinOperator::CONV_2D, (3, 4), options, fields)
    }

    /// DEPTHWISE_CONV_2D: input NHWC, filter \[1, h, w, channels * multiplier\], bias.
    pub fn depthwise_conv_2d(
        window: Window,
        multiplier: i32,
        activation: ActivationFunctionType,
    ) -> Self {
        let [stride_h, stride_w] = window.stride;
        let [dilation_h, dilation_w] = window.dilation;
        let fields = vec![
            (0, Field::Byte(window.padding.0)),
            (1, Field::Int(stride_w)),
            (2, Field::Int(stride_h)),
            (3, Field::Int(multiplier)),
            (4, Field::Byte(activation.0)),
            (5, Field::Int(dilation_w)),
            (6, Field::Int(dilation_h)),
        ];
        let options = BuiltinOptions::DEPTHWISE_CONV2D_OPTIONS;
        Self::typed(BuiltinOperator::DEPTHWISE_CONV_2D, (3, 5), options, fields)
    }

    /// FULLY_CONNECTED: weights \[outputs, inputs\], bias.
    pub fn fully_connected(activation: ActivationFunctionType) -> Self {
        let fields = vec![(0, Field::Byte(activation.0))];
        let options = BuiltinOptions::FULLY_CONNECTED_OPTIONS;
        Self::typed(BuiltinOperator::FULLY_CONNECTED, (4, 7), options, fields)
    }

    /// ADD of two tensors.
    pub fn add(activation: ActivationFunctionType) -> Self {
        // Without pot_scale_int16, whose default is true.
        let fields = vec![(0, Field::Byte(activation.0)), (1, Field::Bool(false))];
        let options = BuiltinOptions::ADD_OPTIONS;
        Self::typed(BuiltinOperator::ADD, (2, 3), options, fields)
    }

    /// SUB of two tensors.
    pub fn sub(activation: ActivationFunctionType) -> Self {
        let fields = vec![(0, Field::Byte(activation.0)), (1, Field::Bool(false))];
        let options = BuiltinOptions::SUB_OPTIONS;
        Self::typed(BuiltinOperator::SUB, (2, 5), options, fields)
    }

    /// MUL of two tensors.
    pub fn mul(activation: ActivationFunctionType) -> Self {
        let fields = vec![(0, Field::Byte(activation.0))];
        let options = BuiltinOptions::MUL_OPTIONS;
        Self::typed(BuiltinOperator::MUL, (2, 4), options, fields)
    }

    /// AVERAGE_POOL_2D; `filter`: height, width.
    pub fn average_pool_2d(
        window: Window,
        filter: [i32; 2],
        activation: ActivationFunctionType,
    ) -> Self {
        Self::pool(BuiltinOperator::AVERAGE_POOL_2D, window, filter, activation)
    }

    /// MAX_POOL_2D; `filter`: height, width.
    pub fn max_pool_2d(
        window: Window,
        filter: [i32; 2],
        activation: ActivationFunctionType,
    ) -> Self {
        Self::pool(BuiltinOperator::MAX_POOL_2D, window, filter, activation)
    }

    fn pool(
        code: BuiltinOperator,
        window: Window,
        [height, width]: [i32; 2],
        activation: ActivationFunctionType,
    ) -> Self {
        let [stride_h, stride_w] = window.stride;
        let fields = vec![
            (0, Field::Byte(window.padding.0)),
            (1, Field::Int(stride_w)),
            (2, Field::Int(stride_h)),
            (3, Field::Int(width)),
            (4, Field::Int(height)),
            (5, Field::Byte(activation.0)),
        ];
        Self::typed(code, (2, 3), BuiltinOptions::POOL2D_OPTIONS, fields)
    }

    /// MEAN over the axes that the second operand, int32, lists.
    pub fn mean(keep_dims: bool) -> Self {
        let fields = vec![(0, Field::Bool(keep_dims))];
        let options = BuiltinOptions::REDUCER_OPTIONS;
        Self::typed(BuiltinOperator::MEAN, (2, 3), options, fields)
    }

    /// RESHAPE; the second operand, int32, holds the same shape.
    pub fn reshape(shape: &[i32]) -> Self {
        let fields = vec![(0, Field::Ints(shape.to_vec()))];
        let options = BuiltinOptions::RESHAPE_OPTIONS;
        Self::new(BuiltinOperator::RESHAPE, 1, options, fields)
    }

    /// SOFTMAX over the last axis.
    pub fn softmax(beta: f32) -> Self {
        let fields = vec![(0, Field::Float(beta))];
        let options = BuiltinOptions::SOFTMAX_OPTIONS;
        Self::typed(BuiltinOperator::SOFTMAX, (2, 3), options, fields)
    }

    /// CONCATENATION along `axis`.
    pub fn concatenation(axis: i32) -> Self {
        let fields = vec![(0, Field::Int(axis)), (1, Field::Byte(0))];
        let options = BuiltinOptions::CONCATENATION_OPTIONS;
        Self::typed(BuiltinOperator::CONCATENATION, (2, 3), options, fields)
    }

    /// PAD; the second operand, int32 \[rank, 2\], says how much.
    pub fn pad() -> Self {
        let options = BuiltinOptions::PAD_OPTIONS;
        Self::typed(BuiltinOperator::PAD, (2, 4), options, Vec::new())
    }

    /// QUANTIZE: from floats, or from one quantization to another.
    pub fn quantize() -> Self {
        let options = BuiltinOptions::QUANTIZE_OPTIONS;
        Self::typed(BuiltinOperator::QUANTIZE, (1, 2), options, Vec::new())
    }

    /// DEQUANTIZE.
    pub fn dequantize() -> Self {
        let options = BuiltinOptions::DEQUANTIZE_OPTIONS;
        Self::typed(BuiltinOperator::DEQUANTIZE, (2, 3), options, Vec::new())
    }

    /// LOGISTIC, the sigmoid.
    pub fn logistic() -> Self {
        let none = BuiltinOptions::NONE;
        Self::typed(BuiltinOperator::LOGISTIC, (2, 3), none, Vec::new())
    }

    /// TANH.
    pub fn tanh() -> Self {
        let none = BuiltinOptions::NONE;
        Self::typed(BuiltinOperator::TANH, (2, 3), none, Vec::new())
    }

    /// RELU as an operator of its own.
    pub fn relu() -> Self {
        let none = BuiltinOptions::NONE;
        Self::typed(BuiltinOperator::RELU, (2, 3), none, Vec::new())
    }

    /// RELU6 as an operator of its own.
    pub fn relu6() -> Self {
        let none = BuiltinOptions::NONE;
        Self::typed(BuiltinOperator::RELU6, (2, 3), none, Vec::new())
    }

    /// FAKE_QUANT on floats.
    pub fn fake_quant(min: f32, max: f32, bits: i32, narrow: bool) -> Self {
        let fields = vec![
            (0, Field::Float(min)),
            (1, Field::Float(max)),
            (2, Field::Int(bits)),
            (3, Field::Bool(narrow)),
        ];
        let version = if narrow { 2 } else { 1 };
        let options = BuiltinOptions::FAKE_QUANT_OPTIONS;
        Self::new(BuiltinOperator::FAKE_QUANT, version, options, fields)
    }
}
