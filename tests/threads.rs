//! Several interpreters of one model on several threads, and one interpreter that moves between them.

use corallite::{Interpreter, Model};
use std::path::Path;

fn model() -> Model {
    let data = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/data");
    Model::from_file(data.join("fashion_mnist_int8.tflite")).expect("model")
}

fn scores(interpreter: &mut Interpreter, seed: i8) -> Vec<i8> {
    let mut input = interpreter.input_mut(0).expect("input");
    for (i, to) in input
        .as_slice_mut::<i8>()
        .expect("int8")
        .iter_mut()
        .enumerate()
    {
        *to = (i as i8).wrapping_mul(seed);
    }
    interpreter.invoke().expect("invoke");
    interpreter
        .output(0)
        .expect("output")
        .as_slice()
        .expect("int8")
        .to_vec()
}

#[test]
fn interpreters_of_one_model_agree_on_every_thread() {
    let model = model();
    let mut here = Interpreter::builder(&model).build().expect("interpreter");
    let expected: Vec<_> = (1..=8).map(|seed| scores(&mut here, seed)).collect();
    assert!(
        expected.iter().any(|scores| *scores != expected[0]),
        "the inputs make no difference"
    );
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                let mut interpreter = Interpreter::builder(&model).build().expect("interpreter");
                for (seed, expected) in (1..=8).zip(&expected) {
                    assert_eq!(scores(&mut interpreter, seed), *expected);
                }
            });
        }
    });
}

#[test]
fn an_interpreter_moves_to_another_thread() {
    let model = model();
    let mut interpreter = Interpreter::builder(&model).build().expect("interpreter");
    let expected = scores(&mut interpreter, 3);
    let found = std::thread::spawn(move || scores(&mut interpreter, 3)).join();
    assert_eq!(found.expect("thread"), expected);
}

#[test]
fn the_number_of_threads_changes_no_result() {
    let model = model();
    let mut one = Interpreter::builder(&model).build().expect("interpreter");
    let mut four = Interpreter::builder(&model)
        .threads(4)
        .build()
        .expect("interpreter");
    assert_eq!(scores(&mut one, 5), scores(&mut four, 5));
}
