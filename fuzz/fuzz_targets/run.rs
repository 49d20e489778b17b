//! Corrupted models that still load are built within limits and run twice.
#![no_main]

#[path = "../../tests/mutants/mod.rs"]
mod mutants;

use corallite::{Interpreter, Model};
use libfuzzer_sys::{fuzz_mutator, fuzz_target};
use mutants::{Random, mutate};

/// What a mutant may take.
const ARENA_LIMIT: usize = 64 << 20;
const WORK_LIMIT: u64 = 20_000_000;
const LOOP_LIMIT: u64 = 100;

fuzz_target!(|file: &[u8]| {
    let Ok(model) = Model::from_bytes(file) else {
        return;
    };
    let built = Interpreter::builder(&model)
        .arena_limit(ARENA_LIMIT)
        .work_limit(WORK_LIMIT)
        .loop_limit(LOOP_LIMIT)
        .build();
    let Ok(mut interpreter) = built else {
        return;
    };
    for round in 0..2u8 {
        for index in 0..interpreter.input_count() {
            if let Ok(mut input) = interpreter.input_mut(index) {
                for (at, byte) in input.bytes_mut().iter_mut().enumerate() {
                    *byte = (at as u8).wrapping_mul(37).wrapping_add(round);
                }
            }
        }
        if interpreter.invoke().is_err() {
            return;
        }
    }
    for index in 0..interpreter.output_count() {
        let _ = interpreter.output(index).map(|output| output.dequantize());
    }
});

fuzz_mutator!(|file: &mut [u8], size: usize, max_size: usize, seed: u32| {
    if seed % 8 == 0 {
        return libfuzzer_sys::fuzzer_mutate(file, size, max_size);
    }
    mutate(&mut file[..size], &mut Random::new(seed.into()));
    size
});
