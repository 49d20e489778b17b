//! Models of this test: small graphs on int32, whose arithmetic needs no scales.
#![allow(dead_code, reason = "each test file uses a part")]

use crate::model_builder::{
    BOOL, Field, INT32, INT64, Model, Operator, RESOURCE, Subgraph, Tensor,
};

/// Numbers of TFLite's operators.
pub const ADD: i32 = 0;
pub const PAD: i32 = 34;
pub const MAXIMUM: i32 = 55;
pub const LESS: i32 = 58;
pub const RANGE: i32 = 96;
pub const UNIQUE: i32 = 103;
pub const WHERE: i32 = 109;
pub const IF: i32 = 118;
pub const WHILE: i32 = 119;
pub const CALL_ONCE: i32 = 129;
pub const VAR_HANDLE: i32 = 142;
pub const READ_VARIABLE: i32 = 143;
pub const ASSIGN_VARIABLE: i32 = 144;

pub fn tensor(shape: &[i32]) -> Tensor {
    Tensor::new("", INT32, shape)
}

pub fn constant(shape: &[i32], values: &[i32]) -> Tensor {
    let bytes: Vec<u8> = values.iter().flat_map(|v| v.to_le_bytes()).collect();
    tensor(shape).constant(&bytes)
}

pub fn verdict() -> Tensor {
    Tensor::new("", BOOL, &[])
}

pub fn handle() -> Tensor {
    Tensor::new("", RESOURCE, &[])
}

/// IfOptions (92) and WhileOptions (93): 0 and 1 are the subgraphs.
fn two(code: i32, options: u8, inputs: &[i32], outputs: &[i32], subgraphs: [i32; 2]) -> Operator {
    let fields = vec![(0, Field::Int(subgraphs[0])), (1, Field::Int(subgraphs[1]))];
    Operator {
        options: Some((options, fields)),
        ..Operator::new(code, inputs, outputs)
    }
}

pub fn either(inputs: &[i32], outputs: &[i32], branches: [i32; 2]) -> Operator {
    two(IF, 92, inputs, outputs, branches)
}

pub fn repeat(carried: &[i32], outputs: &[i32], condition_and_body: [i32; 2]) -> Operator {
    two(WHILE, 93, carried, outputs, condition_and_body)
}

/// CallOnceOptions (103): 0 is the subgraph.
pub fn once(subgraph: i32) -> Operator {
    Operator {
        options: Some((103, vec![(0, Field::Int(subgraph))])),
        ..Operator::new(CALL_ONCE, &[], &[])
    }
}

/// VarHandleOptions (111): 1 is the name.
pub fn variable(name: &'static str, output: i32) -> Operator {
    Operator {
        options: Some((111, vec![(1, Field::Text(name))])),
        ..Operator::new(VAR_HANDLE, &[], &[output])
    }
}

/// Assigns `values` to the variable `name`.
pub fn initial(name: &'static str, shape: &[i32], values: &[i32]) -> Subgraph {
    Subgraph {
        tensors: vec![handle(), constant(shape, values)],
        operators: vec![
            variable(name, 0),
            Operator::new(ASSIGN_VARIABLE, &[0, 1], &[]),
        ],
        ..Subgraph::default()
    }
}

/// AddOptions (11), without an activation.
pub fn add(inputs: &[i32], outputs: &[i32]) -> Operator {
    Operator {
        options: Some((11, vec![])),
        ..Operator::new(ADD, inputs, outputs)
    }
}

/// A subgraph of one operator on its input and a constant.
pub fn with_constant(code: i32, shape: &[i32], value: i32) -> Subgraph {
    Subgraph {
        tensors: vec![tensor(shape), constant(&[], &[value]), tensor(shape)],
        operators: vec![match code {
            ADD => add(&[0, 1], &[2]),
            _ => Operator::new(code, &[0, 1], &[2]),
        }],
        inputs: vec![0],
        outputs: vec![2],
    }
}

/// While the number is below `bound`: add `step`.
pub fn count(bound: i32, step: i32) -> Model {
    let condition = Subgraph {
        tensors: vec![tensor(&[]), constant(&[], &[bound]), verdict()],
        operators: vec![Operator::new(LESS, &[0, 1], &[2])],
        inputs: vec![0],
        outputs: vec![2],
    };
    Model {
        tensors: vec![tensor(&[]), tensor(&[])],
        operators: vec![repeat(&[0], &[1], [1, 2])],
        inputs: vec![0],
        outputs: vec![1],
        others: vec![condition, with_constant(ADD, &[], step)],
        ..Model::default()
    }
}

/// Adds the input to the variable `sum`, which starts at `start`, and gives the sum.
pub fn running_sum(start: i32) -> Model {
    Model {
        tensors: vec![tensor(&[1]), handle(), tensor(&[1]), tensor(&[1])],
        operators: vec![
            once(1),
            variable("sum", 1),
            Operator::new(READ_VARIABLE, &[1], &[2]),
            add(&[0, 2], &[3]),
            Operator::new(ASSIGN_VARIABLE, &[1, 3], &[]),
        ],
        inputs: vec![0],
        outputs: vec![3],
        others: vec![initial("sum", &[1], &[start])],
        ..Model::default()
    }
}

/// The numbers from 0 to below the input.
pub fn numbers_below() -> Model {
    Model {
        tensors: vec![
            tensor(&[]),
            constant(&[], &[0]),
            constant(&[], &[1]),
            tensor(&[0]),
        ],
        operators: vec![Operator::new(RANGE, &[1, 0, 2], &[3])],
        inputs: vec![0],
        outputs: vec![3],
        ..Model::default()
    }
}

/// Where three elements are not zero.
pub fn places() -> Model {
    Model {
        tensors: vec![tensor(&[3]), Tensor::new("", INT64, &[0, 1])],
        operators: vec![Operator::new(WHERE, &[0], &[1])],
        inputs: vec![0],
        outputs: vec![1],
        ..Model::default()
    }
}
