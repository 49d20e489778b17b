//! IF, WHILE and CALL_ONCE: operators that run subgraphs.
//!
//! Here stands what their operands and their subgraphs must have in common; the interpreter runs them. Semantics: TFLite
//! `kernels/if.cc`, `while.cc`, `call_once.cc` (v2.14).

use super::shared::check;
use super::{ControlFlow, Node, OpDef, PrepareError, Prepared, Settings};
use crate::model::BuiltinOperator;
use crate::tensor::TensorType as T;

/// Of IF.
const CONDITION: usize = 0;

pub(super) const DEF_IF: OpDef = OpDef {
    code: BuiltinOperator::IF,
    name: "IF",
    versions: 1..=1,
    types: &[],
    check: check::none,
    prepare: prepare_if,
};

pub(super) const DEF_WHILE: OpDef = OpDef {
    code: BuiltinOperator::WHILE,
    name: "WHILE",
    versions: 1..=1,
    types: &[],
    check: check::none,
    prepare: prepare_while,
};

pub(super) const DEF_CALL_ONCE: OpDef = OpDef {
    code: BuiltinOperator::CALL_ONCE,
    name: "CALL_ONCE",
    versions: 1..=1,
    types: &[],
    check: check::none,
    prepare: prepare_call_once,
};

fn prepare_if(node: &Node<'_>, _: &Settings) -> Result<Prepared, PrepareError> {
    let &[then, otherwise] = node.operator().calls.as_slice() else {
        return Err(PrepareError::Options {
            expected: "IfOptions",
        });
    };
    let condition = node.input(CONDITION, "condition")?;
    if condition.ty != T::Bool {
        return Err(condition.type_error("bool"));
    }
    if condition.shape.count() != 1 {
        return Err(condition.shape_error("one element"));
    }
    let given = operand_types(node)?.split_off(1);
    let wanted = result_types(node);
    for (name, branch) in [("then_subgraph", then), ("else_subgraph", otherwise)] {
        let callee = Callee::of(node, name, branch);
        callee.takes(&given)?;
        callee.gives(&wanted)?;
    }
    Ok(Prepared::control(ControlFlow::If { then, otherwise }))
}

fn prepare_while(node: &Node<'_>, _: &Settings) -> Result<Prepared, PrepareError> {
    let &[condition, body] = node.operator().calls.as_slice() else {
        return Err(PrepareError::Options {
            expected: "WhileOptions",
        });
    };
    let carried = operand_types(node)?;
    if result_types(node) != carried {
        return Err(PrepareError::Attribute {
            name: "results",
            found: list(&result_types(node)),
            expected: "as many as operands and of their types",
        });
    }
    let callee = Callee::of(node, "cond_subgraph", condition);
    callee.takes(&carried)?;
    callee.gives(&[T::Bool])?;
    let callee = Callee::of(node, "body_subgraph", body);
    callee.takes(&carried)?;
    callee.gives(&carried)?;
    Ok(Prepared::control(ControlFlow::While { condition, body }))
}

fn prepare_call_once(node: &Node<'_>, _: &Settings) -> Result<Prepared, PrepareError> {
    let &[init] = node.operator().calls.as_slice() else {
        return Err(PrepareError::Options {
            expected: "CallOnceOptions",
        });
    };
    let callee = Callee::of(node, "init_subgraph", init);
    callee.takes(&[])?;
    callee.gives(&[])?;
    // Nothing would fill a result.
    callee.gives(&result_types(node))?;
    Ok(Prepared::control(ControlFlow::Once { init }))
}

/// Types of the operands, none of which may be left out.
fn operand_types(node: &Node<'_>) -> Result<Vec<T>, PrepareError> {
    (0..node.operator().inputs.len())
        .map(|slot| Ok(node.input(slot, "input")?.ty))
        .collect()
}

fn result_types(node: &Node<'_>) -> Vec<T> {
    let tensors = &node.subgraph().tensors;
    let outputs = node.operator().outputs.iter();
    outputs.map(|&tensor| tensors[tensor].ty).collect()
}

/// A subgraph that an operator runs: the types of its inputs and outputs.
struct Callee {
    name: &'static str,
    inputs: Vec<T>,
    outputs: Vec<T>,
    constant_input: Option<usize>,
}

impl Callee {
    fn of(node: &Node<'_>, name: &'static str, index: usize) -> Self {
        let subgraph = &node.graph().subgraphs()[index];
        let tensors = &subgraph.tensors;
        let types = |list: &[usize]| list.iter().map(|&tensor| tensors[tensor].ty).collect();
        let is_constant = |&tensor: &usize| node.graph().data(&tensors[tensor]).is_some();
        Self {
            name,
            inputs: types(&subgraph.inputs),
            outputs: types(&subgraph.outputs),
            constant_input: subgraph.inputs.iter().position(is_constant),
        }
    }

    /// Refuses a subgraph whose inputs cannot hold the operands.
    fn takes(&self, operands: &[T]) -> Result<(), PrepareError> {
        if let Some(input) = self.constant_input {
            return Err(PrepareError::Attribute {
                name: self.name,
                found: format!("a subgraph whose input {input} is a constant"),
                expected: "inputs that the operands can fill",
            });
        }
        if self.inputs != operands {
            return Err(PrepareError::Attribute {
                name: self.name,
                found: format!("a subgraph with inputs {}", list(&self.inputs)),
                expected: "one input for each operand, of its type",
            });
        }
        Ok(())
    }

    /// Refuses a subgraph whose outputs are no results.
    fn gives(&self, results: &[T]) -> Result<(), PrepareError> {
        if self.outputs != results {
            return Err(PrepareError::Attribute {
                name: self.name,
                found: format!("a subgraph with outputs {}", list(&self.outputs)),
                expected: "one output for each result, of its type",
            });
        }
        Ok(())
    }
}

fn list(types: &[T]) -> String {
    let names: Vec<String> = types.iter().map(ToString::to_string).collect();
    format!("({})", names.join(", "))
}
