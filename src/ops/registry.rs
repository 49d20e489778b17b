//! The list of operators: one line each.

use super::{Node, OpDef};
use crate::model::{BuiltinOperator, OperatorKind};

/// Every operator that has a kernel, by TFLite's name.
pub const OPERATORS: &[&OpDef] = &[
    &super::elementwise::DEF_ABS,
    &super::add_sub::DEF_ADD,
    &super::add_n::DEF,
    &super::arg_max::DEF_MAX,
    &super::arg_max::DEF_MIN,
    &super::resources::DEF_ASSIGN_VARIABLE,
    &super::atan2::DEF,
    &super::average_pool_2d::DEF,
    &super::batch_matmul::DEF,
    &super::space_to_batch_nd::DEF_BATCH_TO_SPACE,
    &super::bitcast::DEF,
    &super::bitwise::DEF_XOR,
    &super::broadcast_args::DEF,
    &super::tile::DEF_BROADCAST_TO,
    &super::control_flow::DEF_CALL_ONCE,
    &super::cast::DEF,
    &super::elementwise::DEF_CEIL,
    &super::concatenation::DEF,
    &super::conv_2d::DEF,
    &super::conv_3d::DEF,
    &super::elementwise::DEF_COS,
    &super::cumsum::DEF,
    &super::densify::DEF,
    &super::depthwise_conv_2d::DEF,
    &super::space_to_depth::DEF_DEPTH_TO_SPACE,
    &super::dequantize::DEF,
    &super::div::DEF,
    &super::dynamic_update_slice::DEF,
    &super::elu::DEF,
    &super::embedding_lookup::DEF,
    &super::comparisons::DEF_EQUAL,
    &super::elementwise::DEF_EXP,
    &super::squeeze::DEF_EXPAND_DIMS,
    &super::fake_quant::DEF,
    &super::fill::DEF,
    &super::elementwise::DEF_FLOOR,
    &super::floor_div_mod::DEF_DIV,
    &super::floor_div_mod::DEF_MOD,
    &super::fully_connected::DEF,
    &super::gather::DEF,
    &super::gather::DEF_ND,
    &super::gelu::DEF,
    &super::comparisons::DEF_GREATER,
    &super::comparisons::DEF_GREATER_EQUAL,
    &super::hard_swish::DEF,
    &super::hashtable_lookup::DEF,
    &super::control_flow::DEF_IF,
    &super::l2_normalization::DEF,
    &super::leaky_relu::DEF,
    &super::comparisons::DEF_LESS,
    &super::comparisons::DEF_LESS_EQUAL,
    &super::elementwise::DEF_LOG,
    &super::logical::DEF_AND,
    &super::logical::DEF_NOT,
    &super::logical::DEF_OR,
    &super::logistic::DEF,
    &super::log_softmax::DEF,
    &super::lstm::DEF,
    &super::matrix_diag::DEF,
    &super::matrix_diag::DEF_SET,
    &super::maximum_minimum::DEF_MAXIMUM,
    &super::max_pool_2d::DEF,
    &super::mean_sum::DEF_MEAN,
    &super::maximum_minimum::DEF_MINIMUM,
    &super::mirror_pad::DEF,
    &super::mul::DEF,
    &super::elementwise::DEF_NEG,
    &super::comparisons::DEF_NOT_EQUAL,
    &super::one_hot::DEF,
    &super::pack::DEF,
    &super::pad::DEF,
    &super::pad::DEF_V2,
    &super::pow::DEF,
    &super::leaky_relu::DEF_PRELU,
    &super::quantize::DEF,
    &super::range::DEF,
    &super::shape::DEF_RANK,
    &super::resources::DEF_READ_VARIABLE,
    &super::reduce::DEF_ALL,
    &super::reduce::DEF_ANY,
    &super::reduce::DEF_MAX,
    &super::reduce::DEF_MIN,
    &super::reduce::DEF_PROD,
    &super::relu::DEF_RELU,
    &super::relu::DEF_RELU6,
    &super::relu::DEF_0_TO_1,
    &super::relu::DEF_N1_TO_1,
    &super::reshape::DEF,
    &super::resize_bilinear::DEF,
    &super::resize_nearest_neighbor::DEF,
    &super::reverse::DEF_SEQUENCE,
    &super::reverse::DEF_V2,
    &super::bitwise::DEF_RIGHT_SHIFT,
    &super::elementwise::DEF_ROUND,
    &super::sqrt_rsqrt::DEF_RSQRT,
    &super::scatter_nd::DEF,
    &super::select::DEF,
    &super::select::DEF_V2,
    &super::shape::DEF,
    &super::elementwise::DEF_SIGN,
    &super::elementwise::DEF_SIN,
    &super::slice::DEF,
    &super::softmax::DEF,
    &super::space_to_batch_nd::DEF,
    &super::space_to_depth::DEF,
    &super::sparse_to_dense::DEF,
    &super::split::DEF,
    &super::split::DEF_V,
    &super::sqrt_rsqrt::DEF_SQRT,
    &super::elementwise::DEF_SQUARE,
    &super::squared_difference::DEF,
    &super::squeeze::DEF,
    &super::strided_slice::DEF,
    &super::add_sub::DEF_SUB,
    &super::mean_sum::DEF_SUM,
    &super::svdf::DEF,
    &super::logistic::DEF_TANH,
    &super::detection_postprocess::DEF,
    &super::tile::DEF,
    &super::topk_v2::DEF,
    &super::transpose::DEF,
    &super::transpose_conv::DEF,
    &super::lstm::DEF_SEQUENCE,
    &super::unique::DEF,
    &super::unpack::DEF,
    &super::resources::DEF_VAR_HANDLE,
    &super::where_::DEF,
    &super::control_flow::DEF_WHILE,
    &super::fill::DEF_ZEROS_LIKE,
];

/// The definition that runs an operator: its code, its version and its types match.
pub fn find(node: &Node<'_>) -> Option<&'static OpDef> {
    OPERATORS.iter().copied().find(|def| {
        is(def, &node.operator().kind)
            && def.versions.contains(&node.operator().version)
            && (def.types.is_empty() || def.types.iter().any(|row| row.matches(node)))
    })
}

/// Whether a definition is of this operator: by code, custom operators by name.
fn is(def: &OpDef, kind: &OperatorKind) -> bool {
    match kind {
        OperatorKind::Builtin(code) => def.code == *code,
        OperatorKind::Custom(name) => def.code == BuiltinOperator::CUSTOM && def.name == name,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn operators_are_listed_once_in_order_of_name() {
        for pair in OPERATORS.windows(2) {
            assert!(
                pair[0].name < pair[1].name,
                "{} before {}",
                pair[0].name,
                pair[1].name
            );
        }
    }

    #[test]
    fn names_are_tflites() {
        for def in OPERATORS
            .iter()
            .filter(|def| def.code != BuiltinOperator::CUSTOM)
        {
            assert_eq!(def.code.variant_name(), Some(def.name));
        }
    }
}
