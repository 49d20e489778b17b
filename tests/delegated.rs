//! Models with operators for the Edge TPU, through the interpreter: several operators and interpreters, batches, state,
//! inputs that stay as they are, and no allocation. All of it in this process and in a worker process alike.
#![cfg(all(
    target_os = "linux",
    not(all(target_env = "musl", target_feature = "crt-static"))
))]

mod compiled_model;
mod model_builder;
mod standin;

use compiled_model::{edge_tpu_operator, layer};
use corallite::delegate::EdgeTpuDelegate;
use corallite::delegate::isolated::{IsolatedEdgeTpu, Isolation, IsolationError, worker_main};
use corallite::ffi::{DelegateOptions, EdgeTpu, EdgeTpuLibrary, SearchPath};
use corallite::interpreter::InterpreterBuilder;
use corallite::ops::RunsOn;
use corallite::tensor::Shape;
use corallite::{Interpreter, Model};
use model_builder::{INT8, INT16, Operator, QUANTIZE, Tensor, UINT8};
use standin::StandIn;
use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

#[test]
fn worker_process() {
    worker_main();
}

thread_local! {
    static ALLOCATIONS: Cell<u64> = const { Cell::new(0) };
}

/// Counts this thread's allocations. The stand-in has an allocator of its own.
struct Counting;

// SAFETY: passes everything on to the system's allocator.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // A thread that is ending has no counter any more.
        let _ = ALLOCATIONS.try_with(|count| count.set(count.get() + 1));
        // SAFETY: the caller's promise.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        // SAFETY: the caller's promise.
        unsafe { System.dealloc(block, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// An open device, in either place.
enum Opened {
    Here(EdgeTpu),
    Isolated(IsolatedEdgeTpu),
}

impl Opened {
    fn delegate(&self) -> EdgeTpuDelegate {
        match self {
            Self::Here(edge_tpu) => EdgeTpuDelegate::new(edge_tpu.clone()),
            Self::Isolated(edge_tpu) => EdgeTpuDelegate::isolated(edge_tpu.clone()),
        }
    }

    fn builder(&self, model: &model_builder::Model) -> InterpreterBuilder {
        let model = Model::from_bytes(&model.to_bytes()).expect("a model");
        Interpreter::builder(&model).delegate(self.delegate())
    }

    fn interpreter(&self, model: &model_builder::Model) -> Interpreter {
        self.builder(model).build().expect("an interpreter")
    }
}

/// The first device of `standin`, opened in both places.
fn in_both_places(standin: &StandIn) -> [(&'static str, Opened); 2] {
    let search = SearchPath::named(standin.library());
    let library = EdgeTpuLibrary::open(&search).expect("the stand-in loads");
    let device = library.devices().remove(0);
    let here = EdgeTpu::open(library, &device, DelegateOptions::default()).expect("it opens");
    let isolated = Isolation::default()
        .worker(standin::worker(standin))
        .library(search)
        .open(&device)
        .expect("it opens");
    [
        ("in this process", Opened::Here(here)),
        ("isolated", Opened::Isolated(isolated)),
    ]
}

/// The stand-in's function: see `hardware-tests/standin/engine.rs`.
fn digest(inputs: &[&[u8]], output: u64, len: u64) -> Vec<u8> {
    let parts = inputs.iter().flat_map(|input| input.iter().enumerate());
    let sum: u64 = parts
        .map(|(place, &byte)| (2 * place as u64 + 1) * u64::from(byte))
        .sum();
    (0..len)
        .map(|place| (((output + 1) * sum + place) % 256) as u8)
        .collect()
}

fn pattern(len: usize, seed: u8) -> Vec<u8> {
    (0..len)
        .map(|place| (place as u8).wrapping_mul(37).wrapping_add(seed))
        .collect()
}

fn write(interpreter: &mut Interpreter, input: usize, bytes: &[u8]) {
    let mut tensor = interpreter.input_mut(input).expect("an input");
    tensor.copy_from_bytes(bytes).expect("bytes that fit");
}

fn read(interpreter: &Interpreter, output: usize) -> Vec<u8> {
    interpreter
        .output(output)
        .expect("an output")
        .bytes()
        .to_vec()
}

/// Two operators of the device; between them one of the CPU, which reads the input after libedgetpu has had it.
fn two_operators(ty: i8) -> model_builder::Model {
    let tensor = |name, len| Tensor::new(name, ty, &[1, len]).quantized(1.0, 0);
    model_builder::Model {
        tensors: vec![
            tensor("in", 16),
            tensor("middle", 8),
            tensor("copy", 16),
            tensor("out", 4),
        ],
        operators: vec![
            edge_tpu_operator(
                &[0],
                &[1],
                &[layer("in", ty, 16)],
                &[layer("middle", ty, 8)],
            ),
            Operator::new(QUANTIZE, &[0], &[2]),
            edge_tpu_operator(
                // Out of order: libedgetpu gets them in the order of the tensors.
                &[2, 1],
                &[3],
                &[layer("middle", ty, 8), layer("copy", ty, 16)],
                &[layer("out", ty, 4)],
            ),
        ],
        inputs: vec![0],
        outputs: vec![3, 2, 1],
        ..model_builder::Model::default()
    }
}

#[test]
fn several_operators_of_one_model_run_with_the_cpu_between_them() {
    let standin = StandIn::new(&[]);
    for (place, opened) in in_both_places(&standin) {
        for (ty, width) in [(UINT8, 1), (INT8, 1), (INT16, 2)] {
            let mut interpreter = opened.interpreter(&two_operators(ty));
            let places: Vec<RunsOn> = interpreter
                .operators()
                .map(|operator| operator.runs_on)
                .collect();
            assert_eq!(places, [RunsOn::EdgeTpu, RunsOn::Cpu, RunsOn::EdgeTpu]);
            let input = pattern(16 * width, 5);
            write(&mut interpreter, 0, &input);
            // The input is written once: what libedgetpu does to signs must not show.
            for round in 0..3 {
                interpreter.invoke().expect(place);
                let case = format!("{place}, type {ty}, round {round}");
                let middle = digest(&[&input], 0, 8 * width as u64);
                assert_eq!(read(&interpreter, 1), input, "{case}");
                assert_eq!(read(&interpreter, 2), middle, "{case}");
                let expected = digest(&[&middle, &input], 0, 4 * width as u64);
                assert_eq!(read(&interpreter, 0), expected, "{case}");
                assert_eq!(
                    interpreter.input(0).expect("an input").bytes(),
                    input,
                    "{case}"
                );
            }
        }
    }
}

#[test]
fn several_interpreters_on_one_device_do_not_mix() {
    let standin = StandIn::new(&[]);
    for (place, opened) in in_both_places(&standin) {
        let mut interpreters: Vec<Interpreter> = (0..3)
            .map(|_| opened.interpreter(&two_operators(INT8)))
            .collect();
        for (seed, interpreter) in interpreters.iter_mut().enumerate() {
            write(interpreter, 0, &pattern(16, seed as u8));
        }
        // One goes: the others stay.
        for round in 0..3 {
            for (seed, interpreter) in interpreters.iter_mut().enumerate() {
                interpreter.invoke().expect(place);
                let middle = digest(&[&pattern(16, seed as u8)], 0, 8);
                assert_eq!(
                    read(interpreter, 2),
                    middle,
                    "{place}, round {round}, {seed}"
                );
            }
            interpreters.pop();
        }
    }
}

#[test]
fn a_batch_of_inputs_gives_a_batch_of_outputs() {
    let standin = StandIn::new(&[]);
    for (place, opened) in in_both_places(&standin) {
        for ty in [UINT8, INT8] {
            let shape = Shape::new(&[3, 16]).expect("a shape");
            let mut interpreter = opened
                .builder(&compiled_model::single(ty, 16, 4))
                .input_shape(0, shape)
                .build()
                .expect(place);
            let input = pattern(48, 9);
            write(&mut interpreter, 0, &input);
            for _ in 0..2 {
                interpreter.invoke().expect(place);
                let output = interpreter.output(0).expect("an output");
                assert_eq!(output.shape().dims(), [3, 4], "{place}");
                for (element, input) in input.chunks(16).enumerate() {
                    let found = &output.bytes()[4 * element..][..4];
                    assert_eq!(found, digest(&[input], 0, 4), "{place}, element {element}");
                }
            }
        }
    }
}

/// An LSTM as the device sees it: an input that is state, and an output that is the next state.
fn stateful() -> model_builder::Model {
    let mut state = Tensor::new("s", INT8, &[1, 8]).quantized(0.5, -3);
    state.is_variable = true;
    model_builder::Model {
        tensors: vec![
            Tensor::new("in", UINT8, &[1, 8]).quantized(1.0, 0),
            state,
            Tensor::new("out", UINT8, &[1, 4]).quantized(1.0, 0),
        ],
        operators: vec![edge_tpu_operator(
            &[0, 1],
            &[2],
            &[layer("in", UINT8, 8), layer("s", INT8, 8)],
            &[layer("out", UINT8, 4), layer("s_variable_output", INT8, 8)],
        )],
        inputs: vec![0],
        outputs: vec![2],
        ..model_builder::Model::default()
    }
}

#[test]
fn state_goes_from_one_inference_to_the_next_until_reset_and_survives_its_worker() {
    let standin = StandIn::new(&[]);
    for (place, opened) in in_both_places(&standin) {
        let mut interpreter = opened.interpreter(&stateful());
        let input = pattern(8, 7);
        write(&mut interpreter, 0, &input);
        for run in 0..2 {
            // -3 in two's complement.
            let mut state = vec![0xfd_u8; 8];
            for round in 0..4 {
                if let (2, Opened::Isolated(edge_tpu)) = (round, &opened) {
                    edge_tpu.restart();
                }
                interpreter.invoke().expect(place);
                let expected = digest(&[&input, &state], 0, 4);
                assert_eq!(
                    read(&interpreter, 0),
                    expected,
                    "{place}, run {run}, round {round}"
                );
                state = digest(&[&input, &state], 1, 8);
            }
            interpreter.reset();
        }
    }
}

#[test]
fn a_delegated_inference_allocates_nothing() {
    let standin = StandIn::new(&[]);
    for (place, opened) in in_both_places(&standin) {
        for model in [two_operators(INT8), two_operators(UINT8), stateful()] {
            let mut interpreter = opened.interpreter(&model);
            interpreter.invoke().expect(place);
            let before = ALLOCATIONS.get();
            assert!(before > 0, "the counter counts");
            for _ in 0..10 {
                interpreter.invoke().expect(place);
            }
            assert_eq!(ALLOCATIONS.get(), before, "{place}");
        }
    }
}

/// This process may open a device again, which it then shares; its worker, another process, may not.
#[test]
fn a_device_opened_in_this_process_is_locked_to_others() {
    let standin = StandIn::new(&[("devices", "usb:/sys/bus/usb/devices/77-1.4")]);
    let search = SearchPath::named(standin.library());
    let library = EdgeTpuLibrary::open(&search).expect("the stand-in loads");
    let device = library.devices().remove(0);
    let open = || EdgeTpuDelegate::open(library, &device, DelegateOptions::default());
    let handles = [open().expect("it opens"), open().expect("it is shared")];
    // With the directory for locks that this process uses.
    let isolation = Isolation::default()
        .worker(standin::this_test_as_worker())
        .library(search);
    let error = isolation.clone().open(&device).expect_err("it is open");
    let IsolationError::DeviceBusy {
        holder: Some(holder),
        ..
    } = &error
    else {
        panic!("{error:?}")
    };
    assert_eq!(holder.pid, std::process::id());
    drop(handles);
    isolation.open(&device).expect("it is free");
}
