//! One inference allocates nothing: a counting allocator watches.

mod corpus;
mod model_builder;
#[path = "programs/models.rs"]
mod models;

use corallite::interpreter::OperatorEvent;
use corallite::{Interpreter, Model};
use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::path::Path;

thread_local! {
    static ALLOCATIONS: Cell<usize> = const { Cell::new(0) };
}

/// The system's allocator, counting what this thread asks for.
struct Counting;

// SAFETY: every call is handed to the system's allocator unchanged; counting touches a thread-local cell alone.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATIONS.set(ALLOCATIONS.get() + 1);
        // SAFETY: the caller's contract is the system allocator's.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, ptr: *mut u8, layout: Layout) {
        // SAFETY: `ptr` came from `alloc`, that is, from the system's allocator, with this layout.
        unsafe { System.dealloc(ptr, layout) }
    }
}

#[global_allocator]
static COUNTING: Counting = Counting;

fn allocations(work: impl FnOnce()) -> usize {
    let before = ALLOCATIONS.get();
    work();
    ALLOCATIONS.get() - before
}

/// Allocations of three inferences with access to every input and output, plain and observed.
fn allocations_of(interpreter: &mut Interpreter) -> usize {
    // The first observed inference finds room for what observers alone see.
    let mut observer = |_: &OperatorEvent<'_>| {};
    interpreter.invoke_observed(&mut observer).expect("invoke");
    let mut seen = 0;
    let count = allocations(|| {
        for _ in 0..3 {
            for index in 0..interpreter.input_count() {
                let mut input = interpreter.input_mut(index).expect("input");
                input.bytes_mut().fill(1);
            }
            interpreter.invoke().expect("invoke");
            let mut observer = |event: &OperatorEvent<'_>| seen += event.outputs().count();
            interpreter.invoke_observed(&mut observer).expect("invoke");
            for index in 0..interpreter.output_count() {
                interpreter.output(index).expect("output");
            }
        }
    });
    assert!(seen > 0);
    count
}

#[test]
fn counter_counts() {
    assert_eq!(allocations(|| drop(Vec::<u8>::with_capacity(10))), 1);
}

#[test]
fn inference_on_the_bundled_model_allocates_nothing() {
    let file =
        Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/data/fashion_mnist_int8.tflite");
    let model = Model::from_file(file).expect("model");
    let mut interpreter = Interpreter::builder(&model).build().expect("interpreter");
    assert_eq!(allocations_of(&mut interpreter), 0);
}

#[test]
fn loops_and_variables_allocate_nothing() {
    // The inputs are 16,843,009: four steps of 2^28 lead to the bound.
    for model in [
        models::count(1_000_000_000, 1 << 28),
        models::running_sum(10),
    ] {
        let model = Model::from_bytes(&model.to_bytes()).expect("model");
        let mut interpreter = Interpreter::builder(&model).build().expect("interpreter");
        assert_eq!(allocations_of(&mut interpreter), 0);
    }
}

#[test]
fn inference_on_the_corpus_allocates_nothing() {
    let Some(folder) = corpus::test_data() else {
        return;
    };
    let mut models = 0;
    for golden in corpus::goldens(&folder)
        .iter()
        .filter(|golden| golden.is_chosen())
    {
        let model = Model::from_file(&golden.model).expect("model");
        let Ok(mut interpreter) = Interpreter::builder(&model).build() else {
            continue;
        };
        // Shapes that depend on values are decided, and memory is found for them, at each inference.
        if interpreter.operators().any(|o| o.kernel == "dynamic") {
            continue;
        }
        assert_eq!(allocations_of(&mut interpreter), 0, "{}", golden.name);
        models += 1;
    }
    assert!(models > 0);
}
