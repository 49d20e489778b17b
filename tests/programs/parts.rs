//! Slices that are a part of their operand, and those that have to be copies.

use crate::load;
use crate::model_builder::{Model, Operator};
use crate::models::{add, constant, tensor};
use corallite::Interpreter;

const STRIDED_SLICE: i32 = 45;
/// StridedSliceOptions, without masks.
const OPTIONS: u8 = 32;

/// `x + x` of int32 [6, 4], `count` of its rows from `first` on, and these plus 100; outputs as given: 1 is `x + x`, 5 the slice and
/// 7 the last sum.
fn model(first: i32, count: i32, outputs: &[i32]) -> Model {
    Model {
        tensors: vec![
            tensor(&[6, 4]),
            tensor(&[6, 4]),
            constant(&[2], &[first, 0]),
            constant(&[2], &[first + count, 4]),
            constant(&[2], &[1, 1]),
            tensor(&[count, 4]),
            constant(&[], &[100]),
            tensor(&[count, 4]),
        ],
        operators: vec![
            add(&[0, 0], &[1]),
            Operator {
                options: Some((OPTIONS, vec![])),
                ..Operator::new(STRIDED_SLICE, &[1, 2, 3, 4], &[5])
            },
            add(&[5, 6], &[7]),
        ],
        inputs: vec![0],
        outputs: outputs.to_vec(),
        ..Model::default()
    }
}

/// The kernel of the slice, and the outputs for 0, 1, 2 ...
fn run(model: &Model) -> (String, Vec<Vec<i32>>) {
    let mut interpreter = Interpreter::builder(&load(model))
        .build()
        .expect("an interpreter");
    let kernel = interpreter.operators().nth(1).expect("a slice").kernel;
    let input: Vec<i32> = (0..24).collect();
    let mut to = interpreter.input_mut(0).expect("an input");
    to.copy_from(&input).expect("as many elements");
    interpreter.invoke().expect("an inference");
    let outputs = (0..interpreter.output_count()).map(|number| {
        let output = interpreter.output(number).expect("an output");
        output.as_slice::<i32>().expect("int32").to_vec()
    });
    (kernel.to_owned(), outputs.collect())
}

#[test]
fn a_large_part_is_no_copy() {
    // Rows 2 to 5: 2 * 8 + 100 and so on.
    let expected: Vec<i32> = (8..24).map(|x| 2 * x + 100).collect();
    assert_eq!(
        run(&model(2, 4, &[7])),
        ("alias".to_owned(), vec![expected])
    );
}

#[test]
fn a_small_part_and_what_a_caller_reads_are_copies() {
    let copy = "strided_slice.reference".to_owned();
    let plus = |range: std::ops::Range<i32>, more| range.map(|x| 2 * x + more).collect::<Vec<_>>();
    // Rows 1 and 2 of six.
    let outputs = vec![plus(4..12, 100)];
    assert_eq!(run(&model(1, 2, &[7])), (copy.clone(), outputs));
    let outputs = vec![plus(8..24, 100), plus(0..24, 0)];
    assert_eq!(run(&model(2, 4, &[7, 1])), (copy.clone(), outputs));
    let outputs = vec![plus(8..24, 100), plus(8..24, 0)];
    assert_eq!(run(&model(2, 4, &[7, 5])), (copy, outputs));
}
