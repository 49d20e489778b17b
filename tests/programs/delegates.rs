use crate::model_builder::{CUSTOM, Model, Operator, Subgraph};
use crate::models::{ADD, constant, either, numbers_below, tensor, verdict, with_constant};
use crate::{load, run, try_run};
use corallite::Interpreter;
use corallite::delegate::{Delegate, DelegateError};
use corallite::ops::{EvalError, Kernel, KernelIo, Node, Prepared, Settings};

/// Runs `times-ten`, on the shape it was prepared for.
struct TimesTen;

struct Tenfold;

impl Kernel for Tenfold {
    fn eval(&self, io: &mut KernelIo<'_>) -> Result<(), EvalError> {
        let (input, output) = io.unary::<i32, i32>()?;
        for (to, from) in output.iter_mut().zip(input) {
            *to = 10 * from;
        }
        Ok(())
    }

    fn name(&self) -> &'static str {
        "times-ten"
    }
}

impl Delegate for TimesTen {
    fn name(&self) -> &str {
        "a device"
    }

    fn claims(&self, node: &Node<'_>) -> bool {
        node.operator().kind.to_string() == "times-ten"
    }

    fn prepare(
        &mut self,
        nodes: &[Node<'_>],
        _: &Settings,
    ) -> Result<Vec<Prepared>, DelegateError> {
        let prepared = nodes.iter().map(|node| {
            let input = node.input(0, "input").expect("an input");
            Prepared::new(Tenfold, [input.shape])
        });
        Ok(prepared.collect())
    }
}

fn times_ten(input: i32, output: i32) -> Operator {
    Operator {
        custom: Some("times-ten"),
        ..Operator::new(CUSTOM, &[input], &[output])
    }
}

#[test]
fn delegates_run_operators_of_every_subgraph() {
    let delegated = Subgraph {
        tensors: vec![tensor(&[2]), tensor(&[2])],
        operators: vec![times_ten(0, 1)],
        inputs: vec![0],
        outputs: vec![1],
    };
    let model = load(&Model {
        tensors: vec![
            verdict(),
            constant(&[2], &[1, 5]),
            tensor(&[2]),
            tensor(&[2]),
        ],
        operators: vec![either(&[0, 1], &[2], [1, 2]), times_ten(2, 3)],
        inputs: vec![0],
        outputs: vec![3],
        others: vec![delegated, with_constant(ADD, &[2], 1)],
        ..Model::default()
    });
    let mut interpreter = Interpreter::builder(&model)
        .delegate(TimesTen)
        .build()
        .expect("built");
    // 10 * 10 * [1, 5], or 10 * ([1, 5] + 1).
    assert_eq!(run::<u8, i32>(&mut interpreter, &[1]).1, [100, 500]);
    assert_eq!(run::<u8, i32>(&mut interpreter, &[0]).1, [20, 60]);
    let error = Interpreter::builder(&model)
        .build()
        .err()
        .expect("nothing runs them");
    assert_eq!(
        error.to_string(),
        "1 operator(s) without a kernel: times-ten version 1 (int32) -> (int32) x 2"
    );
}

#[test]
fn a_device_keeps_the_shape_it_was_prepared_for() {
    let mut model = numbers_below();
    model.tensors[3].shape = vec![3];
    model.tensors.push(tensor(&[3]));
    model.operators.push(times_ten(3, 4));
    model.outputs = vec![4];
    let model = load(&model);
    let mut interpreter = Interpreter::builder(&model)
        .delegate(TimesTen)
        .build()
        .expect("built");
    assert_eq!(run::<i32, i32>(&mut interpreter, &[3]).1, [0, 10, 20]);
    let error = try_run::<i32, i32>(&mut interpreter, &[4]).expect_err("four numbers");
    assert_eq!(
        error.to_string(),
        "operator 1 times-ten: operand input has shape [4], expected [3], which the operator was compiled for"
    );
    assert_eq!(run::<i32, i32>(&mut interpreter, &[3]).1, [0, 10, 20]);
}
