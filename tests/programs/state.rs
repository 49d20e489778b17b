use crate::model_builder::{Field, Model, Operator};
use crate::models::{
    ASSIGN_VARIABLE, MAXIMUM, PAD, READ_VARIABLE, add, constant, handle, initial, once, repeat,
    running_sum, tensor, variable, with_constant,
};
use crate::{interpreter, run, try_run};

#[test]
fn variables_outlive_an_inference_and_reset_forgets_them() {
    let mut sum = interpreter(&running_sum(10));
    for _ in 0..2 {
        // 10 + 1, + 2, + 3: what initialises the variable runs once, and again after a reset.
        for (x, expected) in [(1, 11), (2, 13), (3, 16)] {
            assert_eq!(run::<i32, i32>(&mut sum, &[x]).1, [expected]);
        }
        sum.reset();
    }
}

#[test]
fn interpreters_of_one_model_have_variables_of_their_own() {
    let model = running_sum(0);
    let (mut a, mut b) = (interpreter(&model), interpreter(&model));
    assert_eq!(run::<i32, i32>(&mut a, &[5]).1, [5]);
    assert_eq!(run::<i32, i32>(&mut b, &[1]).1, [1]);
    assert_eq!(run::<i32, i32>(&mut a, &[5]).1, [10]);
}

#[test]
fn a_variable_that_nothing_assigned_is_no_zero() {
    let mut model = running_sum(0);
    model.operators.remove(0);
    let error = try_run::<i32, i32>(&mut interpreter(&model), &[1]).expect_err("unassigned");
    assert_eq!(
        error.to_string(),
        "operator 1 READ_VARIABLE: variable \"sum\" is read before anything assigned it; run what initialises it first"
    );
}

#[test]
fn a_variable_of_another_type_is_refused() {
    let mut model = running_sum(0);
    // What initialises it assigns float32.
    model.others[0].tensors[1].ty = crate::model_builder::FLOAT32;
    let error = try_run::<i32, i32>(&mut interpreter(&model), &[1]).expect_err("float32");
    assert_eq!(
        error.to_string(),
        "operator 2 READ_VARIABLE: variable \"sum\" holds float32, the operator expects int32; convert the model again"
    );
}

/// Reads a variable, appends a zero to it, assigns it; gives what was read, but at least -1.
fn growing(is_open: bool) -> Model {
    let read = match is_open {
        true => tensor(&[1]).open(&[-1]),
        false => tensor(&[1]),
    };
    Model {
        tensors: vec![
            handle(),
            read,
            constant(&[1, 2], &[0, 1]),
            tensor(&[2]),
            constant(&[], &[-1]),
            tensor(&[1]),
            tensor(&[1]),
        ],
        operators: vec![
            once(1),
            variable("v", 0),
            Operator::new(READ_VARIABLE, &[0], &[1]),
            Operator::new(PAD, &[1, 2], &[3]),
            Operator::new(ASSIGN_VARIABLE, &[0, 3], &[]),
            Operator::new(MAXIMUM, &[1, 4], &[5]),
        ],
        inputs: vec![6],
        outputs: vec![5],
        others: vec![initial("v", &[1], &[7])],
        ..Model::default()
    }
}

#[test]
fn a_variable_may_change_its_shape_whatever_the_file_declares() {
    for is_open in [false, true] {
        let mut growing = interpreter(&growing(is_open));
        for _ in 0..2 {
            for expected in [&[7][..], &[7, 0], &[7, 0, 0], &[7, 0, 0, 0]] {
                let (shape, values) = run::<i32, i32>(&mut growing, &[0]);
                assert_eq!((shape, values.as_slice()), (vec![expected.len()], expected));
            }
            growing.reset();
        }
    }
}

#[test]
fn subgraphs_share_variables_by_name() {
    // While the number is below 30: sum = sum + number, number = number + 10. Then the sum is read.
    let mut model = running_sum(1);
    let condition = with_constant(crate::models::LESS, &[], 30);
    let mut condition = condition;
    condition.tensors[2] = crate::models::verdict();
    let body = crate::model_builder::Subgraph {
        tensors: vec![
            tensor(&[]),
            constant(&[], &[10]),
            tensor(&[]),
            handle(),
            tensor(&[1]),
            tensor(&[1]),
        ],
        operators: vec![
            variable("sum", 3),
            Operator::new(READ_VARIABLE, &[3], &[4]),
            add(&[4, 0], &[5]),
            Operator::new(ASSIGN_VARIABLE, &[3, 5], &[]),
            add(&[0, 1], &[2]),
        ],
        inputs: vec![0],
        outputs: vec![2],
    };
    model.others.extend([condition, body]);
    model.tensors.extend([tensor(&[]), tensor(&[])]);
    model.operators.insert(1, repeat(&[4], &[5], [2, 3]));
    model.inputs = vec![0, 4];
    let mut interpreter = interpreter(&model);
    let mut number = interpreter.input_mut(1).expect("input");
    number.copy_from(&[5]).expect("one");
    // 1 + (5 + 15 + 25) + 100, then again from there.
    assert_eq!(run::<i32, i32>(&mut interpreter, &[100]).1, [146]);
    assert_eq!(run::<i32, i32>(&mut interpreter, &[0]).1, [191]);
}

#[test]
fn a_handle_without_options_is_refused() {
    let mut model = running_sum(0);
    model.operators[1].options = Some((92, vec![(0, Field::Int(0))]));
    let model = crate::load(&model);
    let error = corallite::Interpreter::builder(&model).build().err();
    assert_eq!(
        error.expect("refused").to_string(),
        "operator 1 VAR_HANDLE: option table VarHandleOptions expected but not found; convert the model again"
    );
}
