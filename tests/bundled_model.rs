//! The bundled model: TFLite's own outputs on 400 test images, and the accuracy its description states.

use corallite::oracle::npy::NpyArray;
use corallite::{Interpreter, Model};
use std::path::Path;

#[test]
fn bundled_model_answers_as_tflite_and_names_clothes() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let model =
        Model::from_file(root.join("examples/data/fashion_mnist_int8.tflite")).expect("model");
    let mut interpreter = Interpreter::builder(&model).build().expect("interpreter");
    let array = |name: &str| NpyArray::read(root.join("tests/data").join(name)).expect("array");
    let images = array("fashion_test_400.npy");
    let labels = array("fashion_test_400_labels.npy");
    let expected = array("fashion_test_400_tflite.npy");
    let mut correct = 0;
    let cases = images
        .data
        .chunks_exact(28 * 28)
        .zip(&labels.data)
        .zip(expected.data.chunks_exact(10));
    for (index, ((image, &label), expected)) in cases.enumerate() {
        let mut input = interpreter.input_mut(0).expect("input");
        for (to, &pixel) in input
            .as_slice_mut::<i8>()
            .expect("int8")
            .iter_mut()
            .zip(image)
        {
            *to = (i16::from(pixel) - 128) as i8;
        }
        interpreter.invoke().expect("invoke");
        let scores = interpreter.output(0).expect("output");
        assert_eq!(scores.bytes(), expected, "image {index}");
        let scores = scores.as_slice::<i8>().expect("int8");
        let best = (0..10).max_by_key(|&class| (scores[class], std::cmp::Reverse(class)));
        correct += usize::from(best == Some(usize::from(label)));
    }
    // The description states the accuracy on all 10 000 test images; these are the first 400 of them.
    assert!(correct >= 360, "{correct} of 400 correct");
}
