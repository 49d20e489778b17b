//! The list of operators: one line each.

use super::{Node, OpDef};
use crate::model::{BuiltinOperator, OperatorKind};

/// Every operator that has a kernel, by TFLite's name.
pub const OPERATORS: &[&OpDef] = &[
    &super::elementwise::DEF_ABS,
    &super::add_sub::DEF_ADD,
    &super::add_n::DEF,
    &super::atan2::DEF,
    &super::average_pool_2d::DEF,
    &super::bitwise::DEF_XOR,
    &super::resources::DEF_ASSIGN_VARIABLE,
    &super::average_pool_2d::DEF,
    &super::control_flow::DEF_CALL_ONCE,
    &super::cast::DEF,
    &super::elementwise::DEF_CEIL,
    &super::conv_2d::DEF,
    &super::elementwise::DEF_COS,
    &super::cumsum::DEF,
    &super::depthwise_conv_2d::DEF,
    &super::dequantize::DEF,
    &super::div::DEF,
    &super::elu::DEF,
    &super::comparisons::DEF_EQUAL,
    &super::elementwise::DEF_EXP,
    &super::fake_quant::DEF,
    &super::elementwise::DEF_FLOOR,
    &super::floor_div_mod::DEF_DIV,
    &super::floor_div_mod::DEF_MOD,
    &super::fully_connected::DEF,
    &super::gelu::DEF,
    &super::comparisons::DEF_GREATER,
    &super::comparisons::DEF_GREATER_EQUAL,
    &super::hard_swish::DEF,
    &super::l2_normalization::DEF,
    &super::control_flow::DEF_IF,
    &super::leaky_relu::DEF,
    &super::comparisons::DEF_LESS,
    &super::comparisons::DEF_LESS_EQUAL,
    &super::elementwise::DEF_LOG,
    &super::logical::DEF_AND,
    &super::logical::DEF_NOT,
    &super::logical::DEF_OR,
    &super::logistic::DEF,
    &super::log_softmax::DEF,
    &super::maximum_minimum::DEF_MAXIMUM,
    &super::max_pool_2d::DEF,
    &super::mean_sum::DEF_MEAN,
    &super::maximum_minimum::DEF_MINIMUM,
    &super::mul::DEF,
    &super::elementwise::DEF_NEG,
    &super::comparisons::DEF_NOT_EQUAL,
    &super::pack::DEF,
    &super::pad::DEF,
    &super::pad::DEF_V2,
    &super::pow::DEF,
    &super::leaky_relu::DEF_PRELU,
    &super::quantize::DEF,
    &super::reduce::DEF_ALL,
    &super::reduce::DEF_ANY,
    &super::reduce::DEF_MAX,
    &super::reduce::DEF_MIN,
    &super::reduce::DEF_PROD,
    &super::range::DEF,
    &super::resources::DEF_READ_VARIABLE,
    &super::relu::DEF_RELU,
    &super::relu::DEF_RELU6,
    &super::relu::DEF_0_TO_1,
    &super::relu::DEF_N1_TO_1,
    &super::reshape::DEF,
    &super::bitwise::DEF_RIGHT_SHIFT,
    &super::elementwise::DEF_ROUND,
    &super::sqrt_rsqrt::DEF_RSQRT,
    &super::select::DEF,
    &super::select::DEF_V2,
    &super::shape::DEF,
    &super::elementwise::DEF_SIGN,
    &super::elementwise::DEF_SIN,
    &super::softmax::DEF,
    &super::sqrt_rsqrt::DEF_SQRT,
    &super::elementwise::DEF_SQUARE,
    &super::squared_difference::DEF,
    &super::strided_slice::DEF,
    &super::add_sub::DEF_SUB,
    &super::mean_sum::DEF_SUM,
    &super::logistic::DEF_TANH,
    &super::topk_v2::DEF,
    &super::transpose_conv::DEF,
    &super::unique::DEF,
    &super::resources::DEF_VAR_HANDLE,
    &super::where_::DEF,
    &super::control_flow::DEF_WHILE,
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
