//! The list of operators: one line each.

use super::{Node, OpDef};
use crate::model::{BuiltinOperator, OperatorKind};

/// Every operator that has a kernel, by TFLite's name.
pub const OPERATORS: &[&OpDef] = &[
    &super::add_sub::DEF_ADD,
    &super::average_pool_2d::DEF,
    &super::conv_2d::DEF,
    &super::depthwise_conv_2d::DEF,
    &super::dequantize::DEF,
    &super::fully_connected::DEF,
    &super::max_pool_2d::DEF,
    &super::mean::DEF,
    &super::pack::DEF,
    &super::pad::DEF,
    &super::pad::DEF_V2,
    &super::quantize::DEF,
    &super::reshape::DEF,
    &super::shape::DEF,
    &super::softmax::DEF,
    &super::strided_slice::DEF,
    &super::add_sub::DEF_SUB,
];

/// The definition that runs an operator: its code, its version and its types match.
pub fn find(node: &Node<'_>) -> Option<&'static OpDef> {
    OPERATORS.iter().copied().find(|def| {
        is(def, &node.operator().kind)
            && def.versions.contains(&node.operator().version)
            && def.types.iter().any(|row| row.matches(node))
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
