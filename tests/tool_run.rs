//! `corallite run`: arrays in, arrays out, and what it says when something is wrong.

mod corpus;
mod model_builder;
mod tool;

use corallite::interpreter::BuildError;
use corallite::oracle::npy::{NpyArray, NpyElement, NpyType};
use corallite::{Interpreter, Model};
use model_builder::{BOOL, INT8, Operator, Signature, Subgraph, Tensor, doubling};
use std::path::{Path, PathBuf};
use tool::{Folder, Ran, tool};

fn array<T: NpyElement>(folder: &Folder, name: &str, elements: &[T], shape: &[usize]) -> PathBuf {
    let path = folder.path(name);
    let array = NpyArray::from_slice(elements, shape).expect("array");
    array.write(&path).expect("file");
    path
}

/// Runs `model` on `inputs` into the folder `out`.
fn run(folder: &Folder, model: &Path, inputs: &[&Path], options: &[&str]) -> Ran {
    let mut arguments = vec!["run".into(), model.as_os_str().to_owned()];
    for input in inputs {
        arguments.extend(["--input".into(), input.as_os_str().to_owned()]);
    }
    arguments.extend(["--output-dir".into(), folder.path("out").into_os_string()]);
    arguments.extend(options.iter().map(Into::into));
    tool(&arguments)
}

fn output(folder: &Folder, name: &str) -> NpyArray {
    NpyArray::read(folder.path(name)).unwrap_or_else(|e| panic!("{e}"))
}

#[test]
fn outputs_have_the_tensors_type_and_shape() {
    let folder = Folder::new();
    let model = folder.write("model.tflite", doubling().to_bytes());
    let input = array(&folder, "in.npy", &[3i8, -5, 100], &[1, 1, 3, 1]);
    for options in [
        &[][..],
        &[
            "--profile",
            "litert",
            "--kernels",
            "reference",
            "--threads",
            "2",
        ],
        &["--profile=single-rounding", "--kernels=fastest"],
    ] {
        run(&folder, &model, &[&input], options).succeeded();
        assert_eq!(folder.names("out"), ["out0.npy"]);
        let out = output(&folder, "out/out0.npy");
        assert_eq!(
            (out.dtype, out.shape.as_slice()),
            (NpyType::I8, &[1, 1, 3, 1][..])
        );
        // 2x + 1, saturated: 7, -9, 201 -> 127.
        assert_eq!(*out.as_slice::<i8>().expect("int8"), [7, -9, 127]);
    }
}

#[test]
fn several_sets_of_inputs_are_invocations_numbered_on() {
    let folder = Folder::new();
    let mut two = doubling();
    // The input itself is a second output.
    two.outputs = vec![3, 0];
    let model = folder.write("model.tflite", two.to_bytes());
    let a = array(&folder, "a.npy", &[1i8, 2, 3], &[1, 1, 3, 1]);
    let b = array(&folder, "b.npy", &[4i8, 5, 6], &[1, 1, 3, 1]);
    run(&folder, &model, &[&a, &b], &[]).succeeded();
    let names = ["out0.npy", "out1.npy", "out2.npy", "out3.npy"];
    assert_eq!(folder.names("out"), names);
    let expected = [[3, 5, 7], [1, 2, 3], [9, 11, 13], [4, 5, 6]];
    for (name, expected) in names.iter().zip(expected) {
        let out = output(&folder, &format!("out/{name}"));
        assert_eq!(*out.as_slice::<i8>().expect("int8"), expected, "{name}");
    }
}

#[test]
fn model_without_inputs_runs_once() {
    let folder = Folder::new();
    let mut model = doubling();
    model.tensors[0].data = Some(vec![1, 2, 3]);
    model.inputs = Vec::new();
    let model = folder.write("model.tflite", model.to_bytes());
    run(&folder, &model, &[], &[]).succeeded();
    let out = output(&folder, "out/out0.npy");
    assert_eq!(*out.as_slice::<i8>().expect("int8"), [3, 5, 7]);
    let input = array(&folder, "in.npy", &[3i8], &[1]);
    let ran = run(&folder, &model, &[&input], &[]);
    assert!(
        ran.refused(1)
            .contains("1 input array(s) given, the model takes none")
    );
}

#[test]
fn bool_tensors_are_bool_arrays() {
    let folder = Folder::new();
    let model = model_builder::Model {
        tensors: vec![
            Tensor::new("in", BOOL, &[1, 2]),
            Tensor::new("out", BOOL, &[2]),
        ],
        operators: vec![Operator::reshape(0, 1, &[2])],
        inputs: vec![0],
        outputs: vec![1],
        ..model_builder::Model::default()
    };
    let model = folder.write("model.tflite", model.to_bytes());
    let bools = NpyArray {
        dtype: NpyType::Bool,
        shape: vec![1, 2],
        data: vec![1, 0],
    };
    let input = folder.write("in.npy", bools.to_bytes().expect("array"));
    run(&folder, &model, &[&input], &[]).succeeded();
    let out = output(&folder, "out/out0.npy");
    assert_eq!(
        (out.dtype, out.shape, out.data),
        (NpyType::Bool, vec![2], vec![1, 0])
    );
    let bytes = array(&folder, "bytes.npy", &[1u8, 0], &[1, 2]);
    let ran = run(&folder, &model, &[&bytes], &[]);
    assert!(
        ran.refused(1)
            .contains("elements |u1 found, input 0 \"in\" is bool and expects |b1")
    );
}

#[test]
fn open_axes_take_the_arrays_shape() {
    let folder = Folder::new();
    let mut open = doubling();
    open.tensors[0].signature = Some(vec![-1, 1, 3, 1]);
    let model = folder.write("model.tflite", open.to_bytes());
    let two = array(&folder, "two.npy", &[1i8, 2, 3, 4, 5, 6], &[2, 1, 3, 1]);
    run(&folder, &model, &[&two], &[]).succeeded();
    let out = output(&folder, "out/out0.npy");
    assert_eq!(out.shape, [2, 1, 3, 1]);
    assert_eq!(*out.as_slice::<i8>().expect("int8"), [3, 5, 7, 9, 11, 13]);

    let one = array(&folder, "one.npy", &[1i8, 2, 3], &[1, 1, 3, 1]);
    let ran = run(&folder, &model, &[&two, &one], &[]);
    assert!(
        ran.refused(1)
            .contains("one.npy: shape [1, 1, 3, 1] found, input 0 \"in\" had [2, 1, 3, 1]")
    );
    let wide = array(&folder, "wide.npy", &[1i8; 8], &[2, 1, 4, 1]);
    let ran = run(&folder, &model, &[&wide], &[]);
    assert!(ran.refused(1).contains(
        "expects [1, 1, 3, 1], open as [-1, 1, 3, 1]; reshape the array, or try --resize"
    ));
}

#[test]
fn inputs_are_resized_on_request() {
    let folder = Folder::new();
    let model = folder.write("model.tflite", doubling().to_bytes());
    let four = array(&folder, "four.npy", &[1i8, 2, 3, 4], &[2, 2, 1, 1]);
    run(&folder, &model, &[&four], &[]).refused(1);
    // 2x + 1
    run(&folder, &model, &[&four], &["--resize"]).succeeded();
    let out = output(&folder, "out/out0.npy");
    assert_eq!(out.shape, [2, 2, 1, 1]);
    assert_eq!(*out.as_slice::<i8>().expect("int8"), [3, 5, 7, 9]);
    // The weights have one channel.
    let channels = array(&folder, "channels.npy", &[1i8, 2], &[1, 1, 1, 2]);
    let ran = run(&folder, &model, &[&channels], &["--resize"]);
    assert!(ran.refused(1).contains("CONV_2D"), "{ran:?}");
}

#[test]
fn a_signature_runs_by_its_name() {
    let folder = Folder::new();
    let mut two = doubling();
    let mut other = Subgraph {
        tensors: two.tensors.clone(),
        operators: two.operators.clone(),
        inputs: two.inputs.clone(),
        outputs: two.outputs.clone(),
    };
    other.tensors[2].data = Some(20i32.to_le_bytes().to_vec());
    two.others = vec![other];
    let signature = |key, subgraph| Signature {
        key,
        subgraph,
        inputs: vec![("x", 0)],
        outputs: vec![("y", 3)],
    };
    two.signatures = vec![signature("one", 0), signature("twenty", 1)];
    let model = folder.write("model.tflite", two.to_bytes());
    let input = array(&folder, "in.npy", &[1i8, 2, 3], &[1, 1, 3, 1]);
    // 2x + 1, 2x + 20.
    for (options, expected) in [
        (&[][..], [3i8, 5, 7]),
        (&["--signature", "one"], [3, 5, 7]),
        (&["--signature", "twenty"], [22, 24, 26]),
    ] {
        run(&folder, &model, &[&input], options).succeeded();
        let out = output(&folder, "out/out0.npy");
        assert_eq!(
            *out.as_slice::<i8>().expect("int8"),
            expected,
            "{options:?}"
        );
    }
    let ran = run(&folder, &model, &[&input], &["--signature", "two"]);
    assert!(
        ran.refused(1)
            .contains("signature \"two\" asked for, the model has \"one\", \"twenty\"")
    );
}

#[test]
fn inputs_that_do_not_fit_are_named() {
    let folder = Folder::new();
    let model = folder.write("model.tflite", doubling().to_bytes());
    let good = array(&folder, "good.npy", &[1i8, 2, 3], &[1, 1, 3, 1]);
    let cases = [
        (
            array(&folder, "type.npy", &[1u8, 2, 3], &[1, 1, 3, 1]),
            "type.npy: elements |u1 found, input 0 \"in\" is int8 and expects |i1",
        ),
        (
            array(&folder, "rank.npy", &[1i8, 2, 3], &[1, 3, 1]),
            "rank.npy: shape [1, 3, 1] found, input 0 \"in\" expects [1, 1, 3, 1]",
        ),
        (
            array(&folder, "order.npy", &[1i8, 2, 3], &[1, 3, 1, 1]),
            "order.npy: shape [1, 3, 1, 1] found",
        ),
        (
            array(&folder, "long.npy", &[1i8; 4], &[1, 1, 4, 1]),
            "long.npy: shape [1, 1, 4, 1] found",
        ),
        (
            folder.write("empty.npy", b""),
            "empty.npy: empty, expected a .npy file",
        ),
        (
            folder.write("text.npy", b"1 2 3\n"),
            "text.npy: not a .npy file",
        ),
        (folder.path("absent.npy"), "absent.npy: No such file"),
        (folder.path(""), "Is a directory"),
    ];
    for (input, expected) in &cases {
        let ran = run(&folder, &model, &[input], &[]);
        assert!(ran.refused(1).contains(expected), "{ran:?}");
        // A later failure takes the earlier outputs with it.
        let ran = run(&folder, &model, &[&good, input], &[]);
        ran.refused(1);
        assert!(folder.names("out").is_empty(), "{ran:?}");
    }
    let ran = run(&folder, &model, &[], &[]);
    assert!(
        ran.refused(1)
            .contains("0 input array(s) given, expected 1 per invocation")
    );
}

#[test]
fn files_that_are_no_models_are_refused_in_one_line() {
    let folder = Folder::new();
    let input = array(&folder, "in.npy", &[1i8, 2, 3], &[1, 1, 3, 1]);
    for (name, bytes, expected) in tool::no_models(&doubling()) {
        let model = folder.write("model.tflite", bytes);
        let ran = run(&folder, &model, &[&input], &[]);
        let line = ran.refused(1);
        assert!(
            line.contains("model.tflite") && line.contains(expected),
            "{name}: {ran:?}"
        );
        assert!(folder.names("out").is_empty(), "{name}");
    }
    for (model, expected) in [
        (folder.path("absent.tflite"), "absent.tflite: No such file"),
        (folder.path(""), "Is a directory"),
    ] {
        let ran = run(&folder, &model, &[&input], &[]);
        assert!(ran.refused(1).contains(expected), "{ran:?}");
    }
}

/// No file makes the tool take more than twice its size plus 64 MB: here of address space, which is more than memory.
#[cfg(all(target_os = "linux", target_arch = "x86_64"))]
#[test]
fn bad_files_take_little_memory() {
    let folder = Folder::new();
    let good = array(&folder, "in.npy", &[1i8, 2, 3], &[1, 1, 3, 1]);
    let limited = |model: &Path, input: &Path| -> Ran {
        let size = |path: &Path| std::fs::metadata(path).map_or(0, |file| file.len());
        let limit = (64 << 20) + 2 * (size(model) + size(input));
        let output = std::process::Command::new("sh")
            .args(["-c", "ulimit -v $1; shift; exec \"$@\"", "sh"])
            .arg((limit >> 10).to_string())
            .args([env!("CARGO_BIN_EXE_corallite"), "run"])
            .arg(model)
            .arg("--input")
            .arg(input)
            .arg("--output-dir")
            .arg(folder.path("out"))
            .output();
        output.expect("a shell").into()
    };
    let model = folder.write("sound.tflite", doubling().to_bytes());
    limited(&model, &good).succeeded();

    let mut files = tool::no_models(&doubling());
    // The largest tensors that are shapes: 2 GiB each, as input and as result.
    let mut large = doubling();
    for tensor in [0, 3] {
        large.tensors[tensor].shape = vec![1, 1, i32::MAX, 1];
    }
    files.push(("2 GiB tensors".into(), large.to_bytes(), ""));
    files.push(("a large file of noise".into(), vec![0xa5; 20 << 20], ""));
    for (name, bytes, _) in files {
        let model = folder.write("model.tflite", bytes);
        let ran = limited(&model, &good);
        assert_eq!(ran.code, 1, "{name}: {ran:?}");
        ran.refused(1);
    }

    // Arrays whose headers claim more than they hold.
    let header = "{'descr': '|i1', 'fortran_order': False, 'shape': (1, 1, 4294967296, 1), }";
    let mut claims = b"\x93NUMPY\x01\x00".to_vec();
    claims.extend(
        u16::try_from(header.len() + 1)
            .expect("short")
            .to_le_bytes(),
    );
    claims.extend(header.as_bytes());
    claims.extend(b"\n123");
    let claims = folder.write("claims.npy", claims);
    assert!(limited(&model, &claims).refused(1).contains("claims.npy"));
    let long = array(&folder, "long.npy", &vec![0i8; 30 << 20], &[30 << 20]);
    assert!(
        limited(&model, &long)
            .refused(1)
            .contains("long.npy: shape [31457280]")
    );
}

#[test]
fn output_folder_that_cannot_be_is_named() {
    let folder = Folder::new();
    let model = folder.write("model.tflite", doubling().to_bytes());
    let input = array(&folder, "in.npy", &[1i8, 2, 3], &[1, 1, 3, 1]);
    folder.write("out", b"a file");
    let ran = run(&folder, &model, &[&input], &[]);
    assert!(ran.refused(1).contains("/out: "), "{ran:?}");
}

#[test]
fn names_in_a_file_break_no_lines() {
    let folder = Folder::new();
    let mut model = doubling();
    model.tensors[0].name = "two\nlines\u{1b}[2J";
    let model = folder.write("model.tflite", model.to_bytes());
    let input = array(&folder, "in.npy", &[1u8], &[1]);
    let ran = run(&folder, &model, &[&input], &[]);
    assert!(ran.refused(1).contains("two\\nlines\\u{1b}[2J"), "{ran:?}");
}

#[test]
fn operators_without_a_kernel_are_all_listed() {
    let folder = Folder::new();
    let mut model = doubling();
    for name in ["Alpha", "Beta"] {
        let last = model.tensors.len() as i32 - 1;
        model
            .tensors
            .push(Tensor::new(name, INT8, &[1, 1, 3, 1]).quantized(1.0, 0));
        model.operators.push(Operator {
            custom: Some(name),
            ..Operator::new(model_builder::CUSTOM, &[last], &[last + 1])
        });
    }
    let model = folder.write("model.tflite", model.to_bytes());
    let input = array(&folder, "in.npy", &[1i8, 2, 3], &[1, 1, 3, 1]);
    let ran = run(&folder, &model, &[&input], &[]);
    let line = ran.refused(1);
    assert!(
        line.contains("Alpha version 1 (int8) -> (int8)") && line.contains("Beta"),
        "{line}"
    );
}

#[test]
fn batch_goes_on_after_failures() {
    let folder = Folder::new();
    let model = folder.write("model.tflite", doubling().to_bytes());
    let other = folder.write("broken.tflite", b"");
    array(&folder, "in.npy", &[1i8, 2, 3], &[1, 1, 3, 1]);
    array(&folder, "wrong.npy", &[1u8, 2, 3], &[1, 1, 3, 1]);
    let (model, other) = (model.display(), other.display());
    let at = |name: &str| folder.path(name).display().to_string();
    let list = format!(
        "# a comment\n\n{model}\t{i}\t{a}\n{other}\t{i}\t{b}\r\n{model}\t{w}\t{c}\nlonely\n{model}\t\t{c}\n{model}\t{i}\t{i}\t{d}",
        i = at("in.npy"),
        w = at("wrong.npy"),
        a = at("a"),
        b = at("b"),
        c = at("c"),
        d = at("d"),
    );
    let list = folder.write("list", list);
    std::fs::create_dir(folder.path("a")).expect("folder");
    folder.write("a/error.txt", "of an earlier batch\n");
    let ran = tool(&["run", "--batch", &list.display().to_string()]);
    let line = ran.refused(1);
    assert!(
        line.contains("list: 4 of 6 case(s) failed") && line.contains("first on line 4: "),
        "{line}"
    );
    assert_eq!(folder.names("a"), ["out0.npy"]);
    assert_eq!(folder.names("b"), ["error.txt"]);
    assert_eq!(folder.names("c"), ["error.txt"]);
    assert_eq!(folder.names("d"), ["out0.npy", "out1.npy"]);
    let text = std::fs::read_to_string(folder.path("c/error.txt")).expect("reason");
    assert!(
        text.contains("wrong.npy: elements |u1 found") && text.ends_with('\n'),
        "{text}"
    );
    assert_eq!(text.lines().count(), 1);

    let list = folder.write("good", format!("{model}\t{}\t{}\n", at("in.npy"), at("e")));
    let ran = tool(&[
        "run",
        "--batch",
        &list.display().to_string(),
        "--kernels",
        "reference",
    ]);
    assert_eq!((ran.code, ran.stdout.as_str()), (0, ""), "{ran:?}");
    assert!(ran.stderr.ends_with("good: 1 case(s) ran\n"), "{ran:?}");
    assert_eq!(folder.names("e"), ["out0.npy"]);
    for list in ["absent", ""] {
        tool(&["run", "--batch", &folder.path(list).display().to_string()]).refused(1);
    }
}

#[test]
fn wrong_usage_is_code_2_and_says_where_help_is() {
    let cases: &[(&[&str], &str)] = &[
        (&[], "a command is missing; see `corallite --help`"),
        (&["fly"], "unknown command \"fly\"; see `corallite --help`"),
        (&["--fly"], "'--fly'; see `corallite --help`"),
        (&["run"], "MODEL is missing; see `corallite run --help`"),
        (
            &["run", "m"],
            "--output-dir is missing; see `corallite run --help`",
        ),
        (&["run", "m", "n", "-o", "o"], "unexpected argument \"n\""),
        (
            &["run", "m", "--fly"],
            "'--fly'; see `corallite run --help`",
        ),
        (&["run", "m", "--input"], "'--input'"),
        (&["run", "m", "--profile", "x"], "--profile \"x\": "),
        (
            &["run", "m", "--kernels", "x"],
            "--kernels \"x\": unknown kernels \"x\", expected fastest, reference, ",
        ),
        (
            &["run", "m", "--threads", "0"],
            "--threads \"0\": expected a number from 1 to 256",
        ),
        (&["run", "m", "--threads", "-1"], "--threads \"-1\": "),
        (&["run", "--batch", "l", "-o", "o"], "--batch takes"),
    ];
    for (arguments, expected) in cases {
        let ran = tool(arguments);
        assert!(ran.refused(2).contains(expected), "{arguments:?}: {ran:?}");
    }
}

#[test]
fn help_and_version_are_for_stdout() {
    for arguments in [
        &["--help"][..],
        &["-h"],
        &["help"],
        &["run", "--help"],
        &["run", "m", "-h"],
    ] {
        assert!(
            tool(arguments).succeeded().contains("usage: corallite"),
            "{arguments:?}"
        );
    }
    let version = format!("corallite {}\n", env!("CARGO_PKG_VERSION"));
    assert_eq!(tool(&["--version"]).succeeded(), version);
}

/// Golden outputs of TFLite's reference kernels, through the tool: the same numbers as through the library.
#[test]
fn goldens_come_out_of_the_tool() {
    let Some(data) = corpus::test_data() else {
        return;
    };
    let folder = Folder::new();
    let goldens = corpus::goldens(&data);
    // One operator, many operators with uint8 pictures, and one whose state lasts from step to step.
    for name in ["simple_add_model", "mnistnet_u8", "keyword_scrambled"] {
        let golden = goldens.iter().find(|g| g.name == name).expect("golden");
        let model = Model::from_file(&golden.model).expect("model");
        if let Err(error @ BuildError::MissingOperators { .. }) =
            Interpreter::builder(&model).build()
        {
            assert_ne!(name, "simple_add_model", "{error}");
            eprintln!("NOT RUN: {name}: {error}");
            continue;
        }
        let case = &golden.cases("tflite")[0];
        let mut inputs = Vec::new();
        for step in 0..case.steps {
            for (i, input) in case.inputs.iter().enumerate() {
                let path = folder.path(&format!("{name}-{step}-{i}.npy"));
                let part = NpyArray {
                    dtype: input.dtype,
                    shape: input.shape[usize::from(case.steps > 1)..].to_vec(),
                    data: input
                        .data
                        .chunks(input.data.len() / case.steps)
                        .nth(step)
                        .expect("step")
                        .to_vec(),
                };
                part.write(&path).expect("file");
                inputs.push(path);
            }
        }
        let inputs: Vec<&Path> = inputs.iter().map(PathBuf::as_path).collect();
        run(&folder, &golden.model, &inputs, &[]).succeeded();
        for (j, expected) in case.outputs.iter().enumerate() {
            let mut data = Vec::new();
            for step in 0..case.steps {
                let number = step * case.outputs.len() + j;
                let out = output(&folder, &format!("out/out{number}.npy"));
                assert_eq!(out.dtype, expected.dtype, "{name}");
                assert_eq!(
                    out.shape,
                    expected.shape[usize::from(case.steps > 1)..],
                    "{name}"
                );
                data.extend(out.data);
            }
            assert_eq!(data, expected.data, "{name} output {j}");
        }
    }
}
