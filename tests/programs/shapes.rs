use crate::model_builder::{INT32, Model, Operator, RESHAPE, Tensor, doubling};
use crate::models::{add, constant, numbers_below, places, tensor};
use crate::{interpreter, load, run, try_run};
use corallite::Interpreter;
use corallite::tensor::Shape;

#[test]
fn an_output_has_the_shape_that_the_last_inference_gave_it() {
    let mut places = interpreter(&places());
    let error = places.output(0).expect_err("no inference yet");
    assert_eq!(
        error.to_string(),
        "output 0 has no shape yet, it depends on the inputs' values; invoke first"
    );
    assert_eq!(
        run::<i32, i64>(&mut places, &[0, 5, -1]),
        (vec![2, 1], vec![1, 2])
    );
    assert_eq!(
        run::<i32, i64>(&mut places, &[0, 0, 0]),
        (vec![0, 1], vec![])
    );
    assert_eq!(
        run::<i32, i64>(&mut places, &[1, 1, 1]),
        (vec![3, 1], vec![0, 1, 2])
    );
}

#[test]
fn operators_behind_an_open_shape_follow_it() {
    let mut model = numbers_below();
    model.tensors.extend([constant(&[], &[100]), tensor(&[0])]);
    model.operators.push(add(&[3, 4], &[5]));
    model.outputs = vec![5];
    let mut numbers = interpreter(&model);
    for count in [3, 0, 5, 3] {
        let expected: Vec<i32> = (100..100 + count).collect();
        assert_eq!(
            run::<i32, i32>(&mut numbers, &[count]),
            (vec![count as usize], expected)
        );
    }
}

#[test]
fn a_value_that_no_shape_can_have_is_refused_where_it_arises() {
    let error = try_run::<i32, i32>(&mut interpreter(&numbers_below()), &[-1]).expect_err("-1");
    assert_eq!(
        error.to_string(),
        "operator 0 RANGE: attribute range is 0 to -1 in steps of 1, expected a step other than 0 that leads from the start to the limit"
    );
}

/// Six elements under the shape that input 1 holds.
fn reshaping() -> Model {
    Model {
        tensors: vec![tensor(&[6]), tensor(&[2]), tensor(&[6, 1])],
        operators: vec![Operator::new(RESHAPE, &[0, 1], &[2])],
        inputs: vec![0, 1],
        outputs: vec![2],
        ..Model::default()
    }
}

#[test]
fn a_shape_may_be_an_input() {
    let mut reshaping = interpreter(&reshaping());
    for (dims, expected) in [([2, 3], [2, 3]), ([3, 2], [3, 2]), ([-1, 1], [6, 1])] {
        let mut shape = reshaping.input_mut(1).expect("input");
        shape.copy_from(&dims).expect("two");
        let found = run::<i32, i32>(&mut reshaping, &[1, 2, 3, 4, 5, 6]);
        assert_eq!(found, (expected.to_vec(), vec![1, 2, 3, 4, 5, 6]));
    }
    let mut shape = reshaping.input_mut(1).expect("input");
    shape.copy_from(&[4, 2]).expect("two");
    let error = try_run::<i32, i32>(&mut reshaping, &[0; 6]).expect_err("eight elements");
    assert_eq!(
        error.to_string(),
        "operator 0 RESHAPE: operand input has shape [6], expected 8 elements for result shape [4, 2]"
    );
}

fn shape(dims: &[usize]) -> Shape {
    Shape::new(dims).expect("small")
}

#[test]
fn an_input_takes_another_shape_before_and_after_building() {
    // The model doubles and adds 1.
    let model = load(&doubling());
    let wide = shape(&[2, 1, 4, 1]);
    let expected = vec![3, 5, 7, 9, 3, 5, 7, 9];
    let mut built = Interpreter::builder(&model)
        .input_shape(0, wide)
        .build()
        .expect("built");
    let found = run::<i8, i8>(&mut built, &[1, 2, 3, 4, 1, 2, 3, 4]);
    assert_eq!(found, (vec![2, 1, 4, 1], expected.clone()));

    let mut resized = interpreter(&doubling());
    resized.resize_input(0, wide).expect("resized");
    let found = run::<i8, i8>(&mut resized, &[1, 2, 3, 4, 1, 2, 3, 4]);
    assert_eq!(found, (vec![2, 1, 4, 1], expected));
    resized
        .resize_input(0, shape(&[1, 1, 1, 1]))
        .expect("resized");
    assert_eq!(
        run::<i8, i8>(&mut resized, &[5]),
        (vec![1, 1, 1, 1], vec![11])
    );
}

#[test]
fn a_refused_shape_names_the_axis_and_changes_nothing() {
    let mut interpreter = interpreter(&doubling());
    let error = interpreter
        .resize_input(0, shape(&[1, 1, 3, 2]))
        .expect_err("two channels");
    let text = error.to_string();
    let expected =
        "input 0 was given 2 along axis 3, the model expects 1 there: operator 0 CONV_2D: ";
    assert!(text.starts_with(expected), "{text}");
    let error = interpreter
        .resize_input(0, shape(&[3]))
        .expect_err("one axis");
    assert_eq!(
        error.to_string(),
        "input 0 was given shape [3], the model declares [1, 1, 3, 1]; give as many axes"
    );
    let error = interpreter
        .resize_input(1, shape(&[3]))
        .expect_err("one input");
    assert_eq!(
        error.to_string(),
        "input 1 was given a shape, the model has 1 input(s)"
    );
    assert_eq!(
        run::<i8, i8>(&mut interpreter, &[1, 2, 3]),
        (vec![1, 1, 3, 1], vec![3, 5, 7])
    );
}

#[test]
fn an_input_whose_rank_the_file_leaves_open_takes_any() {
    let unranked = Tensor {
        is_unranked: true,
        ..Tensor::new("", INT32, &[])
    };
    let model = Model {
        tensors: vec![unranked, constant(&[], &[1]), tensor(&[])],
        operators: vec![add(&[0, 1], &[2])],
        inputs: vec![0],
        outputs: vec![2],
        ..Model::default()
    };
    let mut interpreter = interpreter(&model);
    interpreter
        .resize_input(0, shape(&[2, 2]))
        .expect("resized");
    assert_eq!(
        run::<i32, i32>(&mut interpreter, &[1, 2, 3, 4]),
        (vec![2, 2], vec![2, 3, 4, 5])
    );
}

#[test]
fn resource_variables_outlive_a_resize() {
    let mut sum = interpreter(&crate::models::running_sum(10));
    assert_eq!(run::<i32, i32>(&mut sum, &[1]).1, [11]);
    sum.resize_input(0, shape(&[2])).expect("resized");
    // [11] + [1, 2]: the sum takes the shape of what is added.
    assert_eq!(run::<i32, i32>(&mut sum, &[1, 2]), (vec![2], vec![12, 13]));
    assert_eq!(run::<i32, i32>(&mut sum, &[1, 2]), (vec![2], vec![13, 15]));
}
