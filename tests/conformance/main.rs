//! Conformance: models of single operators, drawn at random, against the answers of TFLite's own reference kernels.
//!
//! Plain `cargo test` runs the committed subset, which has vectors of every operator and type. `CORALLITE_CONFORMANCE` names a
//! folder of further archives as `generate.py` writes them; `CORALLITE_CONFORMANCE_ONLY` is a comma-separated list of operators.

mod archive;
mod coverage;
mod exceptions;
mod run;

use archive::{Archive, PROFILES};
use exceptions::{Exceptions, Rule};
use run::{Outcome, Tally};
use std::path::{Path, PathBuf};

/// The archives that are part of the repository.
fn committed(is_wanted: impl Fn(&str) -> bool) -> Vec<Archive> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/conformance/vectors");
    archive::read_folder(&folder, is_wanted)
}

/// Every case counts; under Miri, where one takes seconds, every 16th of an operator, its first always.
const STEP: usize = if cfg!(miri) { 16 } else { 1 };

/// Runs every case under every profile; fails with all differences and how to see each again.
fn reproduce(archives: &[Archive]) -> Tally {
    let exceptions = Exceptions::read();
    let mut tally = Tally::default();
    let mut failures = Vec::new();
    for archive in archives {
        for case in archive.cases.iter().step_by(STEP) {
            for (profile, answer) in PROFILES.iter().zip(&case.answers) {
                let outcome = run::run(case, *profile, answer, &exceptions);
                if let Outcome::Failed(why) = &outcome {
                    failures.push(format!(
                        "{} under {profile}, seed {}: {why}",
                        case.name, archive.seed
                    ));
                }
                tally.enter(case, *profile, &outcome);
            }
        }
    }
    eprintln!("{tally}");
    const SHOWN: usize = 40;
    let shown = &failures[..failures.len().min(SHOWN)];
    assert!(
        failures.is_empty(),
        "{} of the cases differ; python tests/conformance/generate.py --seed SEED --case NAME shows one:\n{}",
        failures.len(),
        shown.join("\n")
    );
    tally
}

/// Whether `CORALLITE_CONFORMANCE_ONLY` leaves an operator in.
fn is_chosen(operator: &str) -> bool {
    std::env::var("CORALLITE_CONFORMANCE_ONLY")
        .map_or(true, |only| only.split(',').any(|name| name == operator))
}

#[test]
fn committed_vectors_are_reproduced() {
    let tally = reproduce(&committed(is_chosen));
    assert!(tally.compared() > 0, "no case ran");
}

#[test]
fn generated_cases_are_reproduced() {
    let Some(folder) = std::env::var_os("CORALLITE_CONFORMANCE").map(PathBuf::from) else {
        eprintln!("SKIPPED: no generated cases; see tests/conformance/README.md");
        return;
    };
    let tally = reproduce(&archive::read_folder(&folder, is_chosen));
    assert!(tally.compared() > 0, "no case ran");
}

#[test]
fn every_registered_row_has_vectors() {
    let exceptions = Exceptions::read();
    let missing = coverage::rows_without_vectors(&committed(|_| true));
    let missing: Vec<String> = missing
        .into_iter()
        .filter(|row| !exceptions.has_no_peer(row))
        .collect();
    assert!(
        missing.is_empty(),
        "no committed vectors for\n{}",
        missing.join("\n")
    );
    assert_eq!(
        exceptions.unused(Rule::NoPeer),
        [""; 0],
        "rows that have vectors, or do not exist"
    );
}
