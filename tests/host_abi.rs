//! The host against stand-ins of libedgetpu, in every binary form and with every defect of the real one.
//!
//! What a stand-in computes (its `digest`): byte j of output k is (k + 1) * S + j modulo 256, where S is the sum over
//! all inputs of (2p + 1) times byte p. The test computes it from the bytes it passed in.
#![cfg(all(unix, not(all(target_env = "musl", target_feature = "crt-static"))))]

mod standin;

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::process::Stdio;
use std::time::{Duration, Instant};

use corallite::ffi::host::Side;
use corallite::ffi::{
    DelegateOptions, DeviceKind, DeviceRecord, EdgeTpu, EdgeTpuLibrary, HostError, LibraryError,
    NodeId, OpenError, Performance, SearchPath, Session, SessionBuilder, TensorSpec,
};
use corallite::tensor::{Shape, TensorType};
use standin::StandIn;

/// The binary forms: TFLite releases at which a struct changed.
const RELEASES: [&str; 4] = ["2.5", "2.10", "2.13", "2.14"];

fn open_library(standin: &StandIn) -> &'static EdgeTpuLibrary {
    EdgeTpuLibrary::open(&SearchPath::named(standin.library())).expect("the stand-in loads")
}

fn open_device(standin: &StandIn) -> EdgeTpu {
    let library = open_library(standin);
    let devices = library.devices();
    EdgeTpu::open(library, &devices[0], DelegateOptions::default()).expect("the stand-in opens")
}

fn spec(ty: TensorType, dims: &[usize]) -> TensorSpec {
    TensorSpec::new(ty, Shape::new(dims).expect("a shape"))
}

/// Custom options that a stand-in understands.
fn options(layers: &[&str]) -> Vec<u8> {
    format!("corallite-standin\n{}\n", layers.join("\n")).into_bytes()
}

/// One node with one u8 input of 16 bytes and one u8 output of 4.
fn small_session(edge_tpu: EdgeTpu) -> (Session, NodeId) {
    let mut builder = SessionBuilder::new(edge_tpu);
    let (input, output) = (
        spec(TensorType::UInt8, &[1, 16]),
        spec(TensorType::UInt8, &[1, 4]),
    );
    let node = builder
        .add_node(&options(&["in a u8 16", "out b u8 4"]), &[input], &[output])
        .expect("a node");
    (builder.prepare().expect("prepared"), node)
}

fn digest(inputs: &[&[u8]], output: usize, len: usize) -> Vec<u8> {
    let mut sum = 0_u64;
    for input in inputs {
        sum += input
            .iter()
            .enumerate()
            .map(|(place, &byte)| (2 * place as u64 + 1) * u64::from(byte))
            .sum::<u64>();
    }
    (0..len as u64)
        .map(|place| (((output as u64 + 1) * sum + place) % 256) as u8)
        .collect()
}

/// Bytes that differ from each other and from one seed to the next.
fn pattern(len: usize, seed: u8) -> Vec<u8> {
    (0..len)
        .map(|place| (place as u8).wrapping_mul(37).wrapping_add(seed))
        .collect()
}

#[test]
fn every_release_runs_with_unchanged_inputs_and_right_outputs() {
    for release in RELEASES {
        let standin = StandIn::new(&[("abi", release)]);
        let mut builder = SessionBuilder::new(open_device(&standin));
        let layers = [
            "in a u8 15",
            "in b i8 33",
            "in c i16 10",
            "out d u8 5",
            "out e i8 7",
        ];
        let inputs = [
            spec(TensorType::UInt8, &[1, 15]),
            spec(TensorType::Int8, &[1, 3, 11, 1]),
            spec(TensorType::Int16, &[1, 5]),
        ];
        let outputs = [
            spec(TensorType::UInt8, &[1, 5]),
            spec(TensorType::Int8, &[1, 7]),
        ];
        let node = builder
            .add_node(&options(&layers), &inputs, &outputs)
            .expect("a node");
        let mut session = builder.prepare().expect(release);
        assert_eq!(session.node_count(), 1, "{release}");

        // The same buffers again and again, not written between inferences.
        let inputs = [pattern(15, 1), pattern(33, 2), pattern(10, 3)];
        let before = inputs.clone();
        for round in 0..4 {
            let (mut d, mut e) = (vec![0; 5], vec![0; 7]);
            session
                .invoke(
                    node,
                    inputs.iter().map(Vec::as_slice),
                    [&mut d[..], &mut e[..]],
                )
                .expect(release);
            let given = [&before[0][..], &before[1][..], &before[2][..]];
            assert_eq!(d, digest(&given, 0, 5), "{release}, round {round}");
            assert_eq!(e, digest(&given, 1, 7), "{release}, round {round}");
            assert_eq!(inputs, before, "{release}, round {round}");
        }
    }
}

#[test]
fn int8_input_in_read_only_memory_and_at_any_address_is_left_alone() {
    static CONSTANT: [u8; 24] = [200; 24];
    let standin = StandIn::new(&[]);
    let mut builder = SessionBuilder::new(open_device(&standin));
    let (input, output) = (spec(TensorType::Int8, &[16]), spec(TensorType::Int8, &[4]));
    let node = builder
        .add_node(&options(&["in a i8 16", "out b i8 4"]), &[input], &[output])
        .expect("a node");
    let mut session = builder.prepare().expect("prepared");
    for start in 0..8 {
        let mut result = [0; 4];
        session
            .invoke(node, [&CONSTANT[start..start + 16]], [&mut result[..]])
            .expect("an inference");
        assert_eq!(result[..], digest(&[&[200; 16]], 0, 4), "start {start}");
    }
    assert_eq!(CONSTANT, [200; 24]);
}

/// libedgetpu reads to the end of the last 8 bytes of an aligned uint8 input. The stand-in does too; behind the page
/// is none.
#[test]
fn uint8_input_is_not_read_behind_its_last_page() {
    let page = 4096 * 16;
    // SAFETY: an anonymous mapping at an address of the system's choice.
    let map = unsafe {
        libc::mmap(
            std::ptr::null_mut(),
            2 * page,
            libc::PROT_READ | libc::PROT_WRITE,
            libc::MAP_PRIVATE | libc::MAP_ANONYMOUS,
            -1,
            0,
        )
    };
    assert_ne!(map, libc::MAP_FAILED);
    // SAFETY: the second half of the mapping just made.
    assert_eq!(
        unsafe { libc::mprotect(map.byte_add(page), page, libc::PROT_NONE) },
        0
    );
    // SAFETY: the first half of the mapping, readable, zero, unused by anyone else.
    let bytes: &[u8] = unsafe { std::slice::from_raw_parts(map.cast(), page) };

    let standin = StandIn::new(&[]);
    let mut builder = SessionBuilder::new(open_device(&standin));
    let (input, output) = (
        spec(TensorType::UInt8, &[13]),
        spec(TensorType::UInt8, &[4]),
    );
    let node = builder
        .add_node(&options(&["in a u8 13", "out b u8 4"]), &[input], &[output])
        .expect("a node");
    let mut session = builder.prepare().expect("prepared");
    // At the page's very end (odd address); in the last word but one (aligned, exact); with its padding (in place).
    for input in [
        &bytes[page - 13..],
        &bytes[page - 16..page - 3],
        &bytes[page - 16..],
    ] {
        let mut result = [0; 4];
        session
            .invoke(node, [input], [&mut result[..]])
            .expect("an inference");
        assert_eq!(result[..], digest(&[&[0; 13]], 0, 4));
    }
    drop(session);
    // SAFETY: the whole mapping; the slice is not used after this.
    assert_eq!(unsafe { libc::munmap(map, 2 * page) }, 0);
}

#[test]
fn several_nodes_of_one_model_run_in_any_order() {
    for release in RELEASES {
        let standin = StandIn::new(&[("abi", release)]);
        let mut builder = SessionBuilder::new(open_device(&standin));
        let nodes: Vec<NodeId> = (1..=3)
            .map(|count| {
                let (ins, outs) = (
                    format!("in a i8 {}", 8 * count),
                    format!("out b u8 {count}"),
                );
                let inputs = [spec(TensorType::Int8, &[1, 8 * count])];
                let outputs = [spec(TensorType::UInt8, &[1, count])];
                builder
                    .add_node(&options(&[&ins, &outs]), &inputs, &outputs)
                    .expect("a node")
            })
            .collect();
        let mut session = builder.prepare().expect(release);
        for which in [2, 0, 1, 1, 0, 2] {
            let input = pattern(8 * (which + 1), which as u8);
            let mut result = vec![0; which + 1];
            session
                .invoke(nodes[which], [&input[..]], [&mut result[..]])
                .expect(release);
            assert_eq!(
                result,
                digest(&[&input], 0, which + 1),
                "{release}, node {which}"
            );
        }
    }
}

#[test]
fn several_sessions_share_a_device_from_several_threads() {
    let standin = StandIn::new(&[]);
    let edge_tpu = open_device(&standin);
    let threads: Vec<_> = (0..4)
        .map(|thread| {
            let (mut session, node) = small_session(edge_tpu.clone());
            std::thread::spawn(move || {
                for round in 0..50 {
                    let input = pattern(16, thread * 50 + round);
                    let mut result = [0; 4];
                    session
                        .invoke(node, [&input[..]], [&mut result[..]])
                        .expect("an inference");
                    assert_eq!(result[..], digest(&[&input], 0, 4));
                }
            })
        })
        .collect();
    // The sessions keep the device open; the stand-in aborts if a kernel outlives it.
    drop(edge_tpu);
    for thread in threads {
        thread.join().expect("all results right");
    }
}

#[test]
fn devices_are_opened_by_their_own_path() {
    let standin = StandIn::new(&[(
        "devices",
        "usb:/sys/bus/usb/devices/1-2.4,pci:/dev/apex_0,usb:/sys/bus/usb/devices/2-1",
    )]);
    let library = open_library(&standin);
    let devices = library.devices();
    let expected = [
        DeviceRecord {
            kind: DeviceKind::Usb,
            path: "/sys/bus/usb/devices/1-2.4".into(),
        },
        DeviceRecord {
            kind: DeviceKind::Pci,
            path: "/dev/apex_0".into(),
        },
        DeviceRecord {
            kind: DeviceKind::Usb,
            path: "/sys/bus/usb/devices/2-1".into(),
        },
    ];
    assert_eq!(devices, expected);
    let options = DelegateOptions::default()
        .performance(Performance::Low)
        .always_dfu(true)
        .max_bulk_in_queue_length(0)
        .expect("0 is allowed");
    let sessions: Vec<_> = devices
        .iter()
        .map(|device| {
            small_session(EdgeTpu::open(library, device, options).expect("the device opens"))
        })
        .collect();
    for (mut session, node) in sessions {
        let mut result = [0; 4];
        session
            .invoke(node, [&[9; 16][..]], [&mut result[..]])
            .expect("an inference");
        assert_eq!(result[..], digest(&[&[9; 16]], 0, 4));
        assert!(devices.contains(session.edge_tpu().device()));
    }
}

#[test]
fn null_delegate_comes_with_the_reason_from_stderr() {
    let standin = StandIn::new(&[("fault", "null")]);
    let library = open_library(&standin);
    let device = library.devices().remove(0);
    let error = EdgeTpu::open(library, &device, DelegateOptions::default())
        .expect_err("the stand-in refuses");
    assert_eq!(
        error.to_string(),
        "libedgetpu did not open usb /sys/bus/usb/devices/2-1: Failed to open device [Apex (USB)] at \
         [/sys/bus/usb/devices/2-1]: Permission denied: USB error -3 [OpenDevice]"
    );
}

#[test]
fn path_that_is_not_listed_is_refused_without_the_stall() {
    let standin = StandIn::new(&[("stall_ms", "60000")]);
    let library = open_library(&standin);
    let device = DeviceRecord {
        kind: DeviceKind::Usb,
        path: "/sys/bus/usb/devices/9-9".into(),
    };
    let start = Instant::now();
    let error =
        EdgeTpu::open(library, &device, DelegateOptions::default()).expect_err("no such device");
    assert!(start.elapsed() < Duration::from_secs(30));
    assert_eq!(
        error,
        OpenError::NotListed {
            device,
            listed: library.devices()
        }
    );
}

#[test]
fn unplugged_device_is_not_listed() {
    let standin = StandIn::new(&[]);
    let unplugged = standin.file("unplugged");
    let settings = format!("unplugged = {}\n", unplugged.display());
    std::fs::write(standin.file("libedgetpu.so.1.conf"), settings)
        .expect("settings of the stand-in");
    let library = open_library(&standin);
    assert_eq!(library.devices().len(), 1);
    std::fs::write(&unplugged, "").expect("the unplugging");
    assert_eq!(library.devices(), []);
}

#[test]
fn library_version_decides_whether_it_is_driven() {
    let cases = [
        ("BuildLabel(COMPILER=6.3.0), RuntimeVersion(14)", true),
        ("BuildLabel(COMPILER=12.2.0), RuntimeVersion(15)", true),
        ("BuildLabel(COMPILER=6.3.0), RuntimeVersion(13)", true),
        (
            "BuildLabel(COMPILER=6.3.0,CL_NUMBER=291256449), RuntimeVersion(13)",
            false,
        ),
        (
            "BuildLabel(COMPILER=6.3.0,CL_NUMBER=267685300), RuntimeVersion(12)",
            false,
        ),
        ("nonsense", false),
    ];
    for (version, supported) in cases {
        let standin = StandIn::new(&[("version", version)]);
        let path = standin.library();
        match EdgeTpuLibrary::open(&SearchPath::named(&path)) {
            Ok(library) => {
                assert!(supported, "{version}");
                assert_eq!(library.version().text(), version);
            }
            Err(error) => {
                assert!(!supported, "{version}");
                let message = format!(
                    "libedgetpu {} is not supported: found \"{version}\", expected RuntimeVersion 14 or newer, or 13 \
                     of release 15.0; install libedgetpu 16.0",
                    path.display()
                );
                assert_eq!(error.to_string(), message);
                assert_eq!(
                    error,
                    LibraryError::UnsupportedVersion {
                        path,
                        version: version.into()
                    }
                );
            }
        }
    }
}

#[test]
fn library_is_opened_once_and_others_are_told_apart() {
    let standin = StandIn::new(&[]);
    let first = open_library(&standin);
    assert!(std::ptr::eq(first, open_library(&standin)));
    let link = standin.file("link.so");
    std::os::unix::fs::symlink(standin.library(), &link).expect("a link");
    let linked = EdgeTpuLibrary::open(&SearchPath::named(link)).expect("the same library");
    assert!(std::ptr::eq(first, linked));

    let error = EdgeTpuLibrary::open(&SearchPath::named("libc.so.6")).expect_err("no libedgetpu");
    assert_eq!(
        error.to_string(),
        "libc.so.6 is no libedgetpu: it does not export edgetpu_list_devices"
    );
}

#[test]
fn refused_program_is_an_error_with_the_librarys_words_and_a_new_session_works() {
    for release in RELEASES {
        let standin = StandIn::new(&[("abi", release)]);
        let edge_tpu = open_device(&standin);
        let cases: [(&[u8], &str); 3] = [
            (
                b"",
                "Failed to prepare for TPU. Invalid argument: Missing raw model data.",
            ),
            (
                b"\x01\x02",
                "Failed to prepare for TPU. Internal: Package verification failed.",
            ),
            (
                b"corallite-standin\nruntime 99\n",
                "Failed to prepare for TPU. Failed precondition: Package requires runtime version (99), which is newer \
                 than this runtime version (14).",
            ),
        ];
        for (options, words) in cases {
            let mut builder = SessionBuilder::new(edge_tpu.clone());
            let node = builder.add_node(options, &[], &[]).expect("a node");
            let error = builder.prepare().expect_err("a bad program");
            assert_eq!(
                error,
                HostError::KernelPrepare {
                    node: node.index(),
                    reported: words.into()
                },
                "{release}"
            );
        }
        let (mut session, node) = small_session(edge_tpu);
        session
            .invoke(node, [&[0; 16][..]], [&mut [0; 4][..]])
            .expect("a good program after bad ones");
    }
}

#[test]
fn tensors_that_do_not_fit_the_program_are_refused_with_percent_signs_as_they_are() {
    let standin = StandIn::new(&[]);
    let edge_tpu = open_device(&standin);
    let layers = options(&["in a u8 16", "out b u8 4"]);
    let good = [spec(TensorType::UInt8, &[1, 16])];
    let output = [spec(TensorType::UInt8, &[1, 4])];
    let cases: [(&[TensorSpec], &[TensorSpec], &str); 4] = [
        (&[], &output, "node->inputs->size != num_inputs (0 != 1)"),
        (&good, &[], "node->outputs->size < num_outputs (0 < 1)"),
        (
            &[spec(TensorType::Int8, &[1, 16])],
            &output,
            "input->type != layer type (9 != 3)",
        ),
        (
            &[spec(TensorType::UInt8, &[1, 15])],
            &output,
            "batches * single_input_size != input->bytes (16 != 15)",
        ),
    ];
    for (inputs, outputs, words) in cases {
        let mut builder = SessionBuilder::new(edge_tpu.clone());
        builder.add_node(&layers, inputs, outputs).expect("a node");
        let error = builder.prepare().expect_err("tensors that do not fit");
        let reported = format!("Internal: tflite/custom_op.cc:205 {words} 100%s %n");
        assert_eq!(error, HostError::KernelPrepare { node: 0, reported });
    }
}

#[test]
fn batch_of_the_inputs_resizes_the_outputs() {
    for release in RELEASES {
        let standin = StandIn::new(&[("abi", release)]);
        let mut builder = SessionBuilder::new(open_device(&standin));
        let layers = ["in a u8 8", "in b i8 4", "out c u8 6", "out d u8 2"];
        let inputs = [
            spec(TensorType::UInt8, &[3, 2, 4]),
            spec(TensorType::Int8, &[3, 4]),
        ];
        let outputs = [
            spec(TensorType::UInt8, &[1, 2, 3]),
            spec(TensorType::UInt8, &[3, 2]),
        ];
        let node = builder
            .add_node(&options(&layers), &inputs, &outputs)
            .expect("a node");
        let mut session = builder.prepare().expect(release);
        assert_eq!(
            session.output_shape(node, 0).expect("an output").dims(),
            [3, 2, 3]
        );
        assert_eq!(
            session.output_shape(node, 1).expect("an output").dims(),
            [3, 2]
        );
        assert_eq!(session.output_shape(node, 2), None);

        let (a, b) = (pattern(24, 5), pattern(12, 6));
        let (mut c, mut d) = ([0; 18], [0; 6]);
        session
            .invoke(node, [&a[..], &b[..]], [&mut c[..], &mut d[..]])
            .expect(release);
        for element in 0..3 {
            let given = [&a[8 * element..][..8], &b[4 * element..][..4]];
            assert_eq!(
                c[6 * element..][..6],
                digest(&given, 0, 6),
                "{release}, element {element}"
            );
            assert_eq!(
                d[2 * element..][..2],
                digest(&given, 1, 2),
                "{release}, element {element}"
            );
        }
    }
}

#[test]
fn state_is_kept_between_inferences_and_reset_to_its_zero_point() {
    let standin = StandIn::new(&[]);
    let mut builder = SessionBuilder::new(open_device(&standin));
    let layers = [
        "in a u8 8",
        "in s i8 8",
        "out b u8 4",
        "out s_variable_output i8 8",
    ];
    let inputs = [
        spec(TensorType::UInt8, &[1, 8]),
        spec(TensorType::Int8, &[1, 8])
            .quantized(0.5, -3)
            .variable(),
    ];
    let node = builder
        .add_node(
            &options(&layers),
            &inputs,
            &[spec(TensorType::UInt8, &[1, 4])],
        )
        .expect("a node");
    let mut session = builder.prepare().expect("prepared");

    let input = pattern(8, 7);
    let zero_point = vec![0xfd_u8; 8];
    let mut state = zero_point.clone();
    for round in 0..3 {
        let mut result = [0; 4];
        // The caller's bytes for the state are not looked at.
        session
            .invoke(node, [&input[..], &[]], [&mut result[..]])
            .expect("an inference");
        assert_eq!(result[..], digest(&[&input, &state], 0, 4), "round {round}");
        state = digest(&[&input, &state], 1, 8);
        assert_eq!(
            session.variable_mut(node, 1).expect("state"),
            state,
            "round {round}"
        );
    }
    session.reset_variables();
    assert_eq!(session.variable_mut(node, 1).expect("state"), zero_point);
    assert_eq!(
        session.variable_mut(node, 0).map(|_| ()),
        Err(HostError::NotVariable { node: 0, index: 0 })
    );
}

#[test]
fn failed_inference_is_an_error_and_the_next_one_works() {
    let standin = StandIn::new(&[("fault", "error@2")]);
    let (mut session, node) = small_session(open_device(&standin));
    let mut result = [0; 4];
    session
        .invoke(node, [&[1; 16][..]], [&mut result[..]])
        .expect("the first inference");
    let error = session
        .invoke(node, [&[1; 16][..]], [&mut result[..]])
        .expect_err("the second fails");
    assert_eq!(
        error.to_string(),
        "inference on Edge TPU node 0 failed: Failed to execute request. Deadline exceeded: the stand-in was told to \
         fail 100%n."
    );
    session
        .invoke(node, [&[1; 16][..]], [&mut result[..]])
        .expect("the third inference");
    assert_eq!(result[..], digest(&[&[1; 16]], 0, 4));
}

#[test]
fn slices_that_do_not_fit_are_refused() {
    let standin = StandIn::new(&[]);
    let (mut session, node) = small_session(open_device(&standin));
    let input = [0_u8; 32];
    let mut output = [0; 8];
    let length = |side, found, expected| HostError::OperandLength {
        node: 0,
        side,
        index: 0,
        found,
        expected,
    };
    let count = |side, found| HostError::OperandCount {
        node: 0,
        side,
        found,
        expected: 1,
    };
    type Case<'a> = (&'a [&'a [u8]], &'a [usize], HostError);
    let cases: [Case<'_>; 6] = [
        (&[], &[4], count(Side::Input, 0)),
        (&[&input[..16], &input[..16]], &[4], count(Side::Input, 2)),
        (&[&input[..15]], &[4], length(Side::Input, 15, 16)),
        (&[&input[..17]], &[4], length(Side::Input, 17, 16)),
        (&[&input[..16]], &[], count(Side::Output, 0)),
        (&[&input[..16]], &[5], length(Side::Output, 5, 4)),
    ];
    for (inputs, outputs, expected) in cases {
        let outputs = outputs.first().map(|&len| &mut output[..len]);
        assert_eq!(
            session.invoke(node, inputs.iter().copied(), outputs),
            Err(expected)
        );
    }
    let mut builder = SessionBuilder::new(session.edge_tpu().clone());
    let (ty, shape) = (TensorType::UInt8, Shape::new(&[0]).expect("a shape"));
    let error = builder
        .add_node(&[], &[], &[TensorSpec::new(ty, shape)])
        .expect_err("no bytes");
    assert_eq!(
        error,
        HostError::Tensor {
            node: 0,
            side: Side::Output,
            index: 0,
            ty,
            shape
        }
    );
}

/// Counts this thread's allocations. The stand-in has an allocator of its own.
struct Counting;

thread_local! {
    static ALLOCATIONS: Cell<u64> = const { Cell::new(0) };
}

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

#[test]
fn inference_allocates_nothing() {
    let standin = StandIn::new(&[]);
    let (mut session, node) = small_session(open_device(&standin));
    let (input, mut result) = ([3; 16], [0; 4]);
    let before = ALLOCATIONS.get();
    assert!(before > 0, "the counter counts");
    for _ in 0..10 {
        session
            .invoke(node, [&input[..]], [&mut result[..]])
            .expect("an inference");
    }
    assert_eq!(ALLOCATIONS.get(), before);
}

/// What a process does whose device fails, by the fault: it ends by a signal, or does not end.
#[test]
fn failing_device_takes_the_process_with_it() {
    let cases = [
        (
            "abort@2",
            Some(libc::SIGABRT),
            "F driver/usb/usb_driver.cc:857] HandleQueuedBulkIn transfer in failed",
        ),
        (
            "abort-hib@2",
            Some(libc::SIGABRT),
            "E driver/usb/usb_driver.cc:1208] HIB Error",
        ),
        ("abort-idle@2", Some(libc::SIGABRT), "USB transfer error 5"),
        ("crash@2", Some(libc::SIGSEGV), ""),
        ("hang@2", None, ""),
        ("hang-next@2", None, ""),
        ("hang-create", None, ""),
    ];
    for (fault, signal, words) in cases {
        let standin = StandIn::new(&[("fault", fault)]);
        let mut child = standin::this_test()
            .args([
                "--exact",
                "child_that_infers_for_ever",
                "--ignored",
                "--nocapture",
            ])
            .env("CORALLITE_LIBEDGETPU", standin.library())
            .env("CORALLITE_TEST_CHILD", "1")
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .expect("this test runs again");
        let start = Instant::now();
        let patience = if signal.is_some() {
            Duration::from_secs(60)
        } else {
            Duration::from_secs(2)
        };
        let status = loop {
            match child.try_wait().expect("a child") {
                Some(status) => break Some(status),
                None if start.elapsed() > patience => break None,
                None => std::thread::sleep(Duration::from_millis(5)),
            }
        };
        if status.is_none() {
            child.kill().expect("a child that hangs");
        }
        let output = child.wait_with_output().expect("a child");
        let errors = String::from_utf8_lossy(&output.stderr);
        let ended = status.map(|status| std::os::unix::process::ExitStatusExt::signal(&status));
        assert_eq!(ended, signal.map(Some), "{fault}: {errors}");
        assert!(errors.contains(words), "{fault}: {errors}");
    }
}

#[test]
#[ignore = "run by failing_device_takes_the_process_with_it, in a process of its own"]
fn child_that_infers_for_ever() {
    if std::env::var_os("CORALLITE_TEST_CHILD").is_none() {
        return;
    }
    let library =
        EdgeTpuLibrary::open(&SearchPath::from_environment()).expect("the stand-in loads");
    let device = library.devices().remove(0);
    let edge_tpu =
        EdgeTpu::open(library, &device, DelegateOptions::default()).expect("the stand-in opens");
    let (mut session, node) = small_session(edge_tpu);
    loop {
        session
            .invoke(node, [&[1; 16][..]], [&mut [0; 4][..]])
            .expect("an inference");
        std::thread::sleep(Duration::from_millis(1));
    }
}

/// Extra output bytes: nothing says so, later results are wrong.
#[test]
fn shifted_outputs_are_wrong_without_an_error() {
    let standin = StandIn::new(&[("fault", "shift@2")]);
    let (mut session, node) = small_session(open_device(&standin));
    let right = digest(&[&[1; 16]], 0, 4);
    for (inference, is_right) in [true, true, false, false].into_iter().enumerate() {
        let mut result = [0; 4];
        session
            .invoke(node, [&[1; 16][..]], [&mut result[..]])
            .expect("an inference");
        assert_eq!(result[..] == right[..], is_right, "inference {inference}");
    }
    // Closing the device would hang.
    std::mem::forget(session);
}

/// A libedgetpu that is not ours: it is accepted, its list is read, and a device that is not there is diagnosed.
#[test]
#[ignore = "needs a real libedgetpu, named in CORALLITE_LIBEDGETPU"]
fn real_library_is_accepted_and_an_absent_device_is_named() {
    let library = EdgeTpuLibrary::open(&SearchPath::from_environment()).expect("a libedgetpu");
    eprintln!("{}: {}", library.path().display(), library.version());
    assert!(library.version().runtime() >= Some(13));
    let devices = library.devices();
    eprintln!("{} devices: {devices:?}", devices.len());

    let absent = DeviceRecord {
        kind: DeviceKind::Usb,
        path: "/sys/bus/usb/devices/99-1".into(),
    };
    let error = EdgeTpu::open(library, &absent, DelegateOptions::default()).expect_err("no device");
    assert!(
        error
            .to_string()
            .starts_with("usb /sys/bus/usb/devices/99-1 is not plugged in"),
        "{error}"
    );
}

/// Time of the host per inference, with a library that does nothing but ask for its context.
#[test]
#[ignore = "prints a time; run alone with --release -- --ignored --nocapture"]
fn overhead_of_one_inference() {
    let standin = StandIn::new(&[("engine", "nothing")]);
    let mut builder = SessionBuilder::new(open_device(&standin));
    for (ty, name) in [(TensorType::UInt8, "u8"), (TensorType::Int8, "i8")] {
        let layers = [format!("in a {name} 49152"), format!("out b {name} 1001")];
        let layers = options(&[&layers[0], &layers[1]]);
        let (input, output) = (spec(ty, &[1, 128, 128, 3]), spec(ty, &[1, 1001]));
        builder
            .add_node(&layers, &[input], &[output])
            .expect("a node");
    }
    let mut session = builder.prepare().expect("prepared");
    let (input, mut output) = (vec![0_u64; 49_152 / 8], [0; 1001]);
    // SAFETY: the same memory as bytes.
    let input = unsafe { std::slice::from_raw_parts(input.as_ptr().cast::<u8>(), 49_152) };
    for (node, name) in session
        .nodes()
        .zip(["uint8, in place", "int8, copied"])
        .collect::<Vec<_>>()
    {
        let mut times: Vec<Duration> = (0..10_001)
            .map(|_| {
                let start = Instant::now();
                session
                    .invoke(node, [input], [&mut output[..]])
                    .expect("an inference");
                start.elapsed()
            })
            .collect();
        times.sort();
        eprintln!(
            "49152 bytes of {name}: median {:?}, 99 % {:?}",
            times[5_000], times[9_900]
        );
    }
}
