//! Corrupted models are refused or run: no panic, no hang, no unbounded memory.
//!
//! `CORALLITE_MUTANTS` multiplies how many are made of each model; a failure names model and seed, which make it again.

#[allow(dead_code, reason = "the answers are for the conformance test")]
#[path = "conformance/archive.rs"]
mod archive;
mod corpus;
mod mutants;

use corallite::model::{Candidate, LoadError, SparseError};
use corallite::{Interpreter, Model};
use mutants::{Random, mutate, sites};
use std::alloc::{GlobalAlloc, Layout, System};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Bytes in use, and the most there were since the mutant began.
static IN_USE: AtomicUsize = AtomicUsize::new(0);
static PEAK: AtomicUsize = AtomicUsize::new(0);

/// The system's allocator, with books.
struct Counting;

// SAFETY: every call is handed to the system's allocator unchanged; the books are atomics.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let now = IN_USE.fetch_add(layout.size(), Ordering::Relaxed) + layout.size();
        PEAK.fetch_max(now, Ordering::Relaxed);
        // SAFETY: the caller's contract is the system allocator's.
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        let now = IN_USE.fetch_add(layout.size(), Ordering::Relaxed) + layout.size();
        PEAK.fetch_max(now, Ordering::Relaxed);
        // SAFETY: the caller's contract is the system allocator's.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn dealloc(&self, ptr: *mut u8, layout: Layout) {
        IN_USE.fetch_sub(layout.size(), Ordering::Relaxed);
        // SAFETY: `ptr` came from the system's allocator with this layout.
        unsafe { System.dealloc(ptr, layout) }
    }
}

#[global_allocator]
static COUNTING: Counting = Counting;

/// What a mutant may take.
const ARENA_LIMIT: usize = 256 << 20;
const MEMORY_LIMIT: usize = 1 << 30;
const TIME_LIMIT: Duration = Duration::from_secs(5);

/// Units of work of one inference: some hundred times what the corpus's small models need, well under a second.
const WORK_LIMIT: u64 = 200_000_000;

/// How far a mutant came.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Reached {
    Refused,
    Loaded,
    Built,
    Ran,
}

fn run(file: &[u8]) -> Reached {
    let Ok(candidate) = Candidate::from_bytes(file) else {
        return Reached::Refused;
    };
    for finding in candidate.report().findings() {
        assert!(!finding.to_string().is_empty());
    }
    let Ok(model) = candidate.into_model() else {
        return Reached::Refused;
    };
    let built = Interpreter::builder(&model)
        .arena_limit(ARENA_LIMIT)
        .work_limit(WORK_LIMIT)
        .build();
    let Ok(mut interpreter) = built else {
        return Reached::Loaded;
    };
    for round in 0..2u8 {
        for index in 0..interpreter.input_count() {
            if let Ok(mut input) = interpreter.input_mut(index) {
                for (at, byte) in input.bytes_mut().iter_mut().enumerate() {
                    *byte = (at as u8).wrapping_mul(31).wrapping_add(round);
                }
            }
        }
        if interpreter.invoke().is_err() {
            return Reached::Built;
        }
    }
    for index in 0..interpreter.output_count() {
        let _ = interpreter.output(index).map(|output| output.dequantize());
    }
    Reached::Ran
}

/// What runs now, for the watch: model, seed, start.
static RUNNING: Mutex<Option<(String, u64, Instant)>> = Mutex::new(None);

/// Ends the process with the mutant's name when one takes too long: a loop cannot be stopped otherwise.
fn watch() {
    std::thread::spawn(|| {
        loop {
            std::thread::sleep(Duration::from_millis(200));
            let running = RUNNING.lock().expect("lock").clone();
            if let Some((model, seed, start)) = running
                && start.elapsed() > 2 * TIME_LIMIT
            {
                eprintln!(
                    "{model} seed {seed}: still running after {:?}",
                    start.elapsed()
                );
                std::process::abort();
            }
        }
    });
}

/// One test at a time: memory and panics are the process's.
static ALONE: Mutex<()> = Mutex::new(());

/// A model file to make mutants of.
struct Original {
    name: String,
    file: Vec<u8>,
}

impl Original {
    fn read(path: &Path) -> Self {
        let name = path.file_name().expect("name").to_string_lossy().into();
        let file = std::fs::read(path).expect("model");
        Self { name, file }
    }
}

/// How many times the usual number of mutants.
fn factor() -> u64 {
    std::env::var("CORALLITE_MUTANTS").map_or(1, |n| n.parse().expect("a number"))
}

/// Runs mutants of the models and fails with those that panic, take too long or too much.
fn run_mutants(models: &[Original], per_model: u64) {
    let per_model = per_model * factor();
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    watch();
    std::panic::set_hook(Box::new(|_| ()));
    let mut failures = Vec::new();
    let mut reached = [0u64; 4];
    let (mut slowest, mut largest) = (Duration::ZERO, 0);
    for Original { name, file } in models {
        for seed in 0..per_model {
            let mut file = file.clone();
            mutate(&mut file, &mut Random::new(seed));
            let start = Instant::now();
            *RUNNING.lock().expect("lock") = Some((name.clone(), seed, start));
            let before = IN_USE.load(Ordering::Relaxed);
            PEAK.store(before, Ordering::Relaxed);
            let result = std::panic::catch_unwind(|| run(&file));
            let took = start.elapsed();
            *RUNNING.lock().expect("lock") = None;
            let peak = PEAK.load(Ordering::Relaxed) - before;
            (slowest, largest) = (slowest.max(took), largest.max(peak));
            match result {
                Ok(how_far) => reached[how_far as usize] += 1,
                Err(cause) => {
                    let text = cause
                        .downcast_ref::<String>()
                        .cloned()
                        .unwrap_or_else(|| cause.downcast_ref::<&str>().unwrap_or(&"").to_string());
                    failures.push(format!("{name} seed {seed}: panic: {text}"));
                }
            }
            if took > TIME_LIMIT {
                failures.push(format!("{name} seed {seed}: took {took:?}"));
            }
            if peak > MEMORY_LIMIT {
                failures.push(format!("{name} seed {seed}: took {peak} bytes"));
            }
        }
    }
    let _ = std::panic::take_hook();
    let [refused, loaded, built, ran] = reached;
    eprintln!(
        "{} models, {} mutants: {refused} refused, {loaded} loaded but not built, {built} built but stopped, {ran} ran; \
         the slowest took {slowest:.2?}, the largest {largest} bytes",
        models.len(),
        models.len() as u64 * per_model
    );
    assert!(failures.is_empty(), "{}", failures.join("\n"));
    assert!(
        refused > 0 && ran > 0,
        "mutants that are all alike prove nothing"
    );
}

#[test]
fn mutants_of_the_bundled_model_do_no_harm() {
    let model =
        Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/data/fashion_mnist_int8.tflite");
    run_mutants(&[Original::read(&model)], 300);
}

#[test]
fn mutants_of_every_operator_do_no_harm() {
    let vectors = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/conformance/vectors");
    let models: Vec<Original> = archive::read_folder(&vectors, |_| true)
        .into_iter()
        .flat_map(|archive| archive.cases)
        .map(|case| Original {
            name: case.name,
            file: case.model,
        })
        .collect();
    assert!(models.len() > 3000, "{} models", models.len());
    run_mutants(&models, 1);
}

/// Models up to this size: mutants of large ones differ in nothing but time.
const LARGEST: u64 = 400 << 10;

#[test]
fn mutants_of_the_corpus_do_no_harm() {
    let Some(folder) = corpus::test_data() else {
        return;
    };
    let mut paths: Vec<PathBuf> = std::fs::read_dir(folder.join("corpus/models"))
        .expect("models")
        .map(|entry| entry.expect("entry").path())
        .filter(|path| path.metadata().is_ok_and(|m| m.len() <= LARGEST))
        .collect();
    paths.sort();
    assert!(paths.len() > 20, "{} models", paths.len());
    let models: Vec<Original> = paths.iter().map(|path| Original::read(path)).collect();
    run_mutants(&models, 20);
}

#[test]
fn mutator_finds_the_numbers_of_a_model() {
    let path =
        Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/data/fashion_mnist_int8.tflite");
    let file = std::fs::read(&path).expect("model");
    let model = Model::from_file(&path).expect("model");
    let found = sites(&file);
    // Every dimension of every tensor stands in the file as four bytes that were found.
    let tensors = &model.graph().subgraphs()[0].tensors;
    for size in tensors.iter().flat_map(|t| t.shape.dims().to_vec()) {
        let bytes = u32::try_from(size).expect("small").to_le_bytes();
        assert!(
            found
                .iter()
                .any(|s| s.width == 4 && file[s.position..s.position + 4] == bytes),
            "{size}"
        );
    }
    assert!(sites(b"no model").is_empty());
}

/// Mutants of sparse constants get as far as the rules on their encoding.
#[test]
fn mutator_reaches_sparse_encodings() {
    let vectors = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/conformance/vectors");
    let archives = archive::read_folder(&vectors, |operator| operator == "DENSIFY");
    let mut refusals = [0; 4];
    for case in archives.iter().flat_map(|archive| &archive.cases) {
        for seed in 0..200 {
            let mut file = case.model.clone();
            mutate(&mut file, &mut Random::new(seed));
            if let Err(LoadError::Sparse { source, .. }) = Candidate::from_bytes(&file) {
                let kind = match source {
                    SparseError::Length { .. } => 0,
                    SparseError::Number { place, .. } if place.entry.is_some() => 1,
                    SparseError::Number { .. } => 2,
                    _ => 3,
                };
                refusals[kind] += 1;
            }
        }
    }
    assert!(refusals.iter().all(|&count| count > 20), "{refusals:?}");
}

/// Every word leads 4096 bytes on, as an offset, and stands for 4096 entries, as a length: a subgraph of the 4096 has 4096
/// tensors, each with 2046 fields. The walk ends all the same.
#[test]
fn mutator_does_not_lose_itself_in_tables_that_lie_in_each_other() {
    let file = 4096u32.to_le_bytes().repeat(64 << 10);
    assert!(sites(&file).len() > 1000);
}
