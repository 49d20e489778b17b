//! Corrupted models: every finding can be told, and what passes has only operators that can be judged.
#![no_main]

#[path = "../../tests/mutants/mod.rs"]
mod mutants;

use corallite::model::{Candidate, Report};
use corallite::ops::check_graph;
use libfuzzer_sys::{fuzz_mutator, fuzz_target};
use mutants::{Random, mutate};

fuzz_target!(|file: &[u8]| {
    let Ok(candidate) = Candidate::from_bytes(file) else {
        return;
    };
    let mut report = Report::default();
    let _ = check_graph(candidate.graph(), &mut report);
    for finding in candidate.report().findings().iter().chain(report.findings()) {
        assert!(!finding.to_string().is_empty());
    }
    let _ = candidate.into_model();
});

fuzz_mutator!(|file: &mut [u8], size: usize, max_size: usize, seed: u32| {
    if seed % 4 == 0 {
        return libfuzzer_sys::fuzzer_mutate(file, size, max_size);
    }
    mutate(&mut file[..size], &mut Random::new(seed.into()));
    size
});
