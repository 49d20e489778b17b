//! Any bytes: refused or a candidate whose report and graph can be read.
#![no_main]

use corallite::model::Candidate;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|file: &[u8]| {
    let Ok(candidate) = Candidate::from_bytes(file) else {
        return;
    };
    let graph = candidate.graph();
    for subgraph in graph.subgraphs() {
        for tensor in &subgraph.tensors {
            let _ = (graph.tensor_name(tensor), graph.constant(tensor));
        }
    }
    for metadata in graph.metadata() {
        let _ = graph.metadata_bytes(metadata);
    }
});
