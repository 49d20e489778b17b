//! What option tables say, read the same way of all operators: for rules that look at whole graphs.

use super::Node;
use super::shared::fused_activation;
use crate::fixedpoint::FusedActivation;
use crate::model::{BuiltinOperator as Op, OperatorKind};
use crate::schema::tflite::FullyConnectedOptionsWeightsFormat as WeightsFormat;

/// Attributes of an operator that rules on graphs ask for; what an operator does not have is what it would leave alone.
#[derive(Debug, Clone, Copy, PartialEq)]
#[non_exhaustive]
pub struct Attributes {
    /// What the results are clamped to.
    pub activation: FusedActivation,
    /// Distance between the taps of a window, along H and W.
    pub dilation: [i32; 2],
    /// H and W of the window of a pool.
    pub window: [i32; 2],
    /// The axis along which operands are joined.
    pub axis: i32,
    /// Whether a matrix product reads its weights in the order of the file.
    pub plain_weights: bool,
    /// Whether a slice is described with ellipses or new axes.
    pub ellipsis_or_new_axis: bool,
}

impl Default for Attributes {
    fn default() -> Self {
        Self {
            activation: FusedActivation::None,
            dilation: [1, 1],
            window: [1, 1],
            axis: 0,
            plain_weights: true,
            ellipsis_or_new_axis: false,
        }
    }
}

impl Node<'_> {
    /// The operator's attributes; the defaults where its option table is missing or holds an activation unknown here.
    pub fn attributes(&self) -> Attributes {
        self.declared_attributes().unwrap_or_default()
    }

    fn declared_attributes(&self) -> Option<Attributes> {
        let OperatorKind::Builtin(code) = self.operator().kind else {
            return None;
        };
        let table = self.table().ok()?;
        let mut found = Attributes::default();
        let activation = match code {
            Op::CONV_2D => {
                let options = table.builtin_options_as_conv2d_options()?;
                found.dilation = [options.dilation_h_factor(), options.dilation_w_factor()];
                options.fused_activation_function()
            }
            Op::DEPTHWISE_CONV_2D => {
                let options = table.builtin_options_as_depthwise_conv2d_options()?;
                found.dilation = [options.dilation_h_factor(), options.dilation_w_factor()];
                options.fused_activation_function()
            }
            Op::FULLY_CONNECTED => {
                let options = table.builtin_options_as_fully_connected_options()?;
                found.plain_weights = options.weights_format() == WeightsFormat::DEFAULT;
                options.fused_activation_function()
            }
            Op::CONCATENATION => {
                let options = table.builtin_options_as_concatenation_options()?;
                found.axis = options.axis();
                options.fused_activation_function()
            }
            Op::PACK => {
                found.axis = table.builtin_options_as_pack_options()?.axis();
                return Some(found);
            }
            Op::STRIDED_SLICE => {
                let options = table.builtin_options_as_strided_slice_options()?;
                found.ellipsis_or_new_axis =
                    options.ellipsis_mask() != 0 || options.new_axis_mask() != 0;
                return Some(found);
            }
            Op::TRANSPOSE_CONV => table
                .builtin_options_as_transpose_conv_options()?
                .fused_activation_function(),
            Op::AVERAGE_POOL_2D | Op::MAX_POOL_2D => {
                let options = table.builtin_options_as_pool2d_options()?;
                found.window = [options.filter_height(), options.filter_width()];
                options.fused_activation_function()
            }
            Op::ADD => table
                .builtin_options_as_add_options()?
                .fused_activation_function(),
            Op::SUB => table
                .builtin_options_as_sub_options()?
                .fused_activation_function(),
            Op::MUL => table
                .builtin_options_as_mul_options()?
                .fused_activation_function(),
            Op::DIV => table
                .builtin_options_as_div_options()?
                .fused_activation_function(),
            _ => return None,
        };
        found.activation = fused_activation(activation).ok()?;
        Some(found)
    }
}
