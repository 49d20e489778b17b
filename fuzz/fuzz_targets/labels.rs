//! Any bytes as a label file: refused or labels that can be looked up.
#![no_main]

use corallite::vision::Labels;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|file: &[u8]| {
    if let Ok(labels) = Labels::parse(file) {
        for id in 0..labels.len().min(1000) {
            assert!(labels.get(id).is_some() || !labels.name(id).is_empty());
        }
    }
});
