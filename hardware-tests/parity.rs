//! The device's numbers beside those of the integer kernels.

use corallite::Interpreter;

use crate::rig::{Rig, fill, outputs};

/// How far an element may be off, in quantization steps. The chip requantizes with other arithmetic than TFLite, so a
/// difference of one step in a layer is in its nature; after the layers of an image classifier few are left at three.
const FARTHEST: u8 = 3;

/// How many elements may be off at all, of a hundred.
const OFF_PERCENT: usize = 25;

/// Five inputs through the compiled model on the device and its uncompiled twin on the CPU.
pub fn the_device_answers_like_the_uncompiled_model(rig: &mut Rig) {
    let edge_tpu = rig.open();
    let mut found = rig.isolated(&edge_tpu);
    let mut expected = Interpreter::builder(&rig.twin)
        .build()
        .unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(found.output_count(), expected.output_count());
    for seed in 0..5 {
        fill(&mut found, seed);
        fill(&mut expected, seed);
        found.invoke().unwrap_or_else(|error| panic!("{error}"));
        expected.invoke().unwrap_or_else(|error| panic!("{error}"));
        for (output, (left, right)) in outputs(&found).iter().zip(outputs(&expected)).enumerate() {
            assert_eq!(left.len(), right.len());
            // 8-bit elements of either sign: the distance on the circle of 256 is the distance in steps.
            let distances = left.iter().zip(&right).map(|(&a, &b)| {
                let distance = a.wrapping_sub(b);
                distance.min(distance.wrapping_neg())
            });
            let farthest = distances.clone().max().unwrap_or(0);
            let off = distances.filter(|&distance| distance > 0).count();
            eprintln!(
                "input {seed}, output {output}: {off} of {} off, by at most {farthest}",
                left.len()
            );
            assert!(
                farthest <= FARTHEST,
                "input {seed}, output {output}: off by {farthest} steps"
            );
            assert!(
                off * 100 <= left.len() * OFF_PERCENT,
                "input {seed}, output {output}: {off} of {} elements off",
                left.len()
            );
            if rig.is_simulated() {
                assert_eq!(left, &right);
            }
        }
    }
}

/// libedgetpu flips the signs of int8 inputs where they lie: a host that lets it sends wrong numbers the second time.
pub fn an_input_that_is_not_rewritten_gives_the_same_answer(rig: &mut Rig) {
    let edge_tpu = rig.open();
    let mut interpreter = rig.isolated(&edge_tpu);
    fill(&mut interpreter, 4);
    let input =
        |interpreter: &Interpreter| interpreter.input(0).expect("an input").bytes().to_vec();
    let before = input(&interpreter);
    interpreter
        .invoke()
        .unwrap_or_else(|error| panic!("{error}"));
    let first = outputs(&interpreter);
    for _ in 0..3 {
        interpreter
            .invoke()
            .unwrap_or_else(|error| panic!("{error}"));
        assert_eq!(outputs(&interpreter), first);
        assert_eq!(input(&interpreter), before);
    }
}
