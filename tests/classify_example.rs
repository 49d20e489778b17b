//! The example `classify` as a user meets it: output, messages, exit codes.

mod corpus;
#[cfg(not(all(target_env = "musl", target_feature = "crt-static")))]
mod standin;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use image::{DynamicImage, ImageFormat, RgbImage};

/// The example, built beside this test by `cargo test`.
fn binary() -> PathBuf {
    let test = std::env::current_exe().expect("this test's own path");
    let profile = test
        .parent()
        .and_then(Path::parent)
        .expect("target/<profile>/deps");
    let path = profile
        .join("examples")
        .join(format!("classify{}", std::env::consts::EXE_SUFFIX));
    assert!(
        path.is_file(),
        "{} is missing: plain `cargo test` builds it, with --test run `cargo build --example classify` first",
        path.display()
    );
    path
}

/// The emulator that cargo runs foreign binaries with, such as qemu-aarch64, from the environment.
fn runner() -> Option<Vec<String>> {
    let (_, command) = std::env::vars().find(|(name, _)| {
        let target = name
            .strip_prefix("CARGO_TARGET_")
            .and_then(|name| name.strip_suffix("_RUNNER"));
        target.is_some_and(|target| target.to_lowercase().starts_with(std::env::consts::ARCH))
    })?;
    Some(command.split_whitespace().map(str::to_owned).collect())
}

fn classify(arguments: &[&str]) -> Output {
    let mut command = classify_command(arguments);
    command.output().expect("the example starts")
}

fn classify_command(arguments: &[&str]) -> Command {
    let mut command = match runner().as_deref() {
        Some([program, options @ ..]) => {
            let mut command = Command::new(program);
            command.args(options).arg(binary());
            command
        }
        _ => Command::new(binary()),
    };
    command.env_remove("RUST_LOG").args(arguments);
    command
}

fn stdout(output: &Output) -> &str {
    std::str::from_utf8(&output.stdout).expect("UTF-8")
}

fn stderr(output: &Output) -> &str {
    std::str::from_utf8(&output.stderr).expect("UTF-8")
}

/// A run that works: the lines of its output.
fn lines(arguments: &[&str]) -> Vec<String> {
    let output = classify(arguments);
    assert!(
        output.status.success(),
        "{arguments:?}: {}",
        stderr(&output)
    );
    stdout(&output).lines().map(str::to_owned).collect()
}

/// The results of a run of one inference, as (label, score).
fn results(arguments: &[&str]) -> Vec<(String, f64)> {
    let lines = lines(&[&["-c", "1"], arguments].concat());
    let start = lines
        .iter()
        .position(|line| line == "-------RESULTS--------")
        .expect("results");
    let result = |line: &String| {
        let (label, score) = line.rsplit_once(": ").expect("label and score");
        (label.to_owned(), score.parse().expect("a score"))
    };
    lines[start + 1..].iter().map(result).collect()
}

fn bundled(file: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("examples/data")
        .join(file);
    path.to_str().expect("UTF-8").to_owned()
}

/// A file of these bytes.
fn file(name: &str, bytes: &[u8]) -> String {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("classify_example");
    fs::create_dir_all(&folder).expect("a folder");
    let path = folder.join(name);
    fs::write(&path, bytes).expect("a file");
    path.to_str().expect("UTF-8").to_owned()
}

fn encoded(format: ImageFormat) -> Vec<u8> {
    let pixels = RgbImage::from_fn(64, 48, |x, y| {
        image::Rgb([x as u8 * 4, y as u8 * 5, (x * y) as u8])
    });
    let mut bytes = std::io::Cursor::new(Vec::new());
    DynamicImage::from(pixels)
        .write_to(&mut bytes, format)
        .expect("encodes");
    bytes.into_inner()
}

#[test]
fn without_arguments_the_bundled_picture_is_named_in_pycorals_format() {
    let lines = lines(&[]);
    let [placement, place, heading, note, times @ .., results, class] = &lines[..] else {
        panic!("{lines:?}")
    };
    let operators = placement
        .strip_prefix("Operators: ")
        .and_then(|rest| rest.strip_suffix(" on CPU, 0 on Edge TPU"));
    assert!(
        operators.is_some_and(|count| count.parse::<u32>().is_ok_and(|count| count > 0)),
        "{placement}"
    );
    assert_eq!(
        place,
        "Running on CPU: the model is not compiled for the Edge TPU"
    );
    assert_eq!(heading, "----INFERENCE TIME----");
    assert_eq!(
        note,
        "Note: The first inference on Edge TPU is slow because it includes loading the model into Edge TPU memory."
    );
    assert_eq!(times.len(), 5);
    for time in times {
        let digits = time
            .strip_suffix("ms")
            .and_then(|time| time.split_once('.'))
            .expect(time);
        assert!(
            digits.0.parse::<u32>().is_ok() && digits.1.len() == 1,
            "{time}"
        );
    }
    assert_eq!(results, "-------RESULTS--------");
    let (label, score) = class.split_once(": ").expect(class);
    assert_eq!(label, "Ankle boot");
    assert_eq!(score.len(), "0.77734".len(), "{score}");
    assert!(
        score
            .parse::<f32>()
            .is_ok_and(|score| score > 0.5 && score <= 1.0),
        "{score}"
    );
}

#[test]
fn bundled_pictures_are_named_by_the_bundled_model() {
    let cases = [
        ("ankle_boot.png", "Ankle boot"),
        ("bag.png", "Bag"),
        ("trouser.png", "Trouser"),
        ("dress.png", "Dress"),
        ("large_ankle_boot.png", "Ankle boot"),
        ("large_bag.png", "Bag"),
        ("large_trouser.png", "Trouser"),
    ];
    for (picture, label) in cases {
        let results = results(&["-i", &bundled(picture), "-c", "1"]);
        assert_eq!(results[0].0, label, "{picture}");
    }
}

#[test]
fn options_have_pycorals_names_and_ours() {
    let boot = bundled("ankle_boot.png");
    // Scores are sorted, and no more than asked for.
    let three = results(&["--input", &boot, "--top_k", "3", "--count", "1"]);
    assert_eq!(three.len(), 3);
    assert!(
        three.windows(2).all(|pair| pair[0].1 >= pair[1].1),
        "{three:?}"
    );
    assert_eq!(results(&["-i", &boot, "-k3", "-c1"]), three);
    assert_eq!(
        results(&[
            &format!("--input={boot}"),
            "--top-k=3",
            "--threads",
            "2",
            "--device",
            "cpu"
        ]),
        three
    );
    // Ten classes, all of them, and none above every score.
    assert_eq!(results(&["-i", &boot, "-k", "99", "-c", "1"]).len(), 10);
    assert_eq!(results(&["-i", &boot, "-k", "99", "-t", "1.5"]), []);
    // Another model has no labels unless they are given, and the part behind the @ is the device.
    let model = bundled("fashion_mnist_int8.tflite@cpu");
    assert_eq!(results(&["-m", &model, "-i", &boot])[0].0, "9");
    assert_eq!(
        results(&[
            "-m",
            &model,
            "-i",
            &boot,
            "-l",
            &bundled("fashion_labels.txt")
        ])[0]
            .0,
        "Ankle boot"
    );
    // The model's input has scale 1/128 and zero point 0, so mean and deviation 128 are what it gets without them.
    let all = results(&["-i", &boot, "-k", "10"]);
    assert_eq!(
        results(&["-i", &boot, "-k", "10", "-a", "128", "-s", "128"]),
        all
    );
    let other = [
        "-i",
        &boot,
        "-k",
        "10",
        "--input_mean",
        "0",
        "--input_std",
        "255",
    ];
    assert_ne!(results(&other), all);
    let help = classify(&["--help"]);
    assert!(help.status.success() && stdout(&help).contains("--input-mean"));
}

#[test]
fn bright_backgrounds_are_inverted_and_said_to_be() {
    let mut boot = image::open(bundled("ankle_boot.png"))
        .expect("a picture")
        .into_luma8();
    let dark = results(&["-i", &bundled("ankle_boot.png"), "-k", "10"]);
    image::imageops::invert(&mut boot);
    let mut bytes = std::io::Cursor::new(Vec::new());
    boot.write_to(&mut bytes, ImageFormat::Png)
        .expect("encodes");
    let bright = file("bright_boot.png", bytes.get_ref());
    assert_eq!(results(&["-i", &bright, "-k", "10"]), dark);
    assert_eq!(
        results(&["-i", &bright, "-k", "10", "--invert", "yes"]),
        dark
    );
    assert_ne!(
        results(&["-i", &bright, "-k", "10", "--invert", "no"]),
        dark
    );
    let output = classify(&["-i", &bright]);
    assert_eq!(
        stderr(&output),
        format!(
            "note: {bright} has a bright background and is inverted; --invert no leaves it as it is\n"
        )
    );
    assert_eq!(stderr(&classify(&["-i", &bundled("ankle_boot.png")])), "");
}

#[test]
fn wrong_command_lines_end_with_status_2() {
    let cases: [(&[&str], &str); 12] = [
        (&["--modle", "x"], "'--modle'"),
        (&["picture.jpg"], "\"picture.jpg\""),
        (&["--model"], "'--model'"),
        (
            &["-m", "x.tflite"],
            "--input is missing, the bundled picture is for the bundled model",
        ),
        (
            &["-m", "x.tflite@tpu", "-i", "y"],
            "--model x.tflite@tpu: device `tpu`: this word is not known",
        ),
        (&["-k", "0"], "-k \"0\", expected a whole number above 0"),
        (
            &["--count=-1"],
            "--count \"-1\", expected a whole number above 0",
        ),
        (
            &["--threads", "two"],
            "--threads \"two\", expected a whole number above 0",
        ),
        (&["-t", "high"], "-t \"high\", expected a number"),
        (
            &["--input_std", "0"],
            "--input-std must be a finite number above 0",
        ),
        (
            &["--device", "usb:x"],
            "device `usb:x`: the number must have digits only",
        ),
        (
            &["--invert", "maybe"],
            "--invert \"maybe\", expected auto, yes or no",
        ),
    ];
    for (arguments, message) in cases {
        let output = classify(arguments);
        assert_eq!(
            output.status.code(),
            Some(2),
            "{arguments:?}: {}",
            stderr(&output)
        );
        assert_eq!(stdout(&output), "", "{arguments:?}");
        assert!(
            stderr(&output).starts_with("classify: "),
            "{arguments:?}: {}",
            stderr(&output)
        );
        assert!(
            stderr(&output).contains(message),
            "{arguments:?}: {}",
            stderr(&output)
        );
        assert_eq!(
            stderr(&output).lines().count(),
            1,
            "{arguments:?}: {}",
            stderr(&output)
        );
    }
}

/// Each of these is one line that names the file, and status 1.
#[test]
fn bad_files_end_with_status_1_and_one_line() {
    let model = fs::read(bundled("fashion_mnist_int8.tflite")).expect("the model");
    let (png, jpeg, bmp) = (
        encoded(ImageFormat::Png),
        encoded(ImageFormat::Jpeg),
        encoded(ImageFormat::Bmp),
    );
    let half = |bytes: &[u8]| bytes[..bytes.len() / 2].to_vec();
    // PNG: bytes 16 to 24 are width and height. The header's checksum is the last four of its chunk, up to 33.
    let mut bomb = png.clone();
    bomb[16..24].copy_from_slice(&[0, 0, 0xc3, 0x50, 0, 0, 0xc3, 0x50]);
    bomb[29..33].copy_from_slice(&PNG_BOMB_CRC);
    // A progressive frame header of 6000 x 6000 x 3, the start of a scan, the end.
    let progressive =
        b"\xff\xd8\xff\xc2\x00\x11\x08\x17\x70\x17\x70\x03\x01\x11\x00\x02\x11\x00\x03\x11\x00\
        \xff\xda\x00\x0c\x03\x01\x00\x02\x00\x03\x00\x00\x00\x00\x00\xff\xd9";
    let mut large_bmp = bmp.clone();
    large_bmp[18..26].copy_from_slice(&[0x40, 0x9c, 0, 0, 0x40, 0x9c, 0, 0]);
    struct Case {
        option: &'static str,
        file: String,
        message: &'static str,
    }
    let cases = [
        Case {
            option: "-i",
            file: "no_such_picture.jpg".into(),
            message: "No such file or directory",
        },
        Case {
            option: "-i",
            file: env!("CARGO_TARGET_TMPDIR").into(),
            message: "directory",
        },
        Case {
            option: "-i",
            file: file("empty.png", b""),
            message: "0 bytes found, expected a JPEG, PNG or BMP picture",
        },
        Case {
            option: "-i",
            file: file("text.jpg", b"no picture at all"),
            message: "begins with \"no pictu\", expected a JPEG, PNG or BMP picture: convert it to one",
        },
        Case {
            option: "-i",
            file: file("half.jpg", &half(&jpeg)),
            message: "Jpeg picture is truncated: copy it again",
        },
        Case {
            option: "-i",
            file: file("half.png", &half(&png)),
            message: "Png picture is truncated: copy it again",
        },
        Case {
            option: "-i",
            file: file("half.bmp", &half(&bmp)),
            message: "Bmp picture is truncated: copy it again",
        },
        Case {
            option: "-i",
            file: file("short.jpg", &jpeg[..20]),
            message: "Jpeg picture is truncated: copy it again",
        },
        Case {
            option: "-i",
            file: file("bomb.png", &bomb),
            message: "picture of 50000 x 50000 pixels needs 7500000000 bytes",
        },
        Case {
            option: "-i",
            file: file("progressive.jpg", progressive),
            // Three bytes a pixel and two for each of its three coefficients.
            message: "picture of 6000 x 6000 pixels needs 324000000 bytes",
        },
        Case {
            option: "-i",
            file: file("large.bmp", &large_bmp),
            message: "picture of 40000 x 40000 pixels needs 4800000000 bytes",
        },
        Case {
            option: "-l",
            file: "no_such_labels.txt".into(),
            message: "No such file or directory",
        },
        Case {
            option: "-l",
            file: file("empty.txt", b""),
            message: "no label found, expected one a line",
        },
        Case {
            option: "-l",
            file: file("short.txt", b"one\ntwo\n"),
            message: "2 labels, expected 10 for the classes of fashion_mnist_int8.tflite (bundled): give its own labels",
        },
        Case {
            option: "-l",
            file: file("picture.txt", &png),
            message: "line 1 is not UTF-8, expected a list of labels",
        },
        Case {
            option: "-m",
            file: "no_such_model.tflite".into(),
            message: "No such file or directory",
        },
        Case {
            option: "-m",
            file: file("empty.tflite", b""),
            message: "0 bytes found, expected a .tflite model",
        },
        Case {
            option: "-m",
            file: file("half.tflite", &half(&model)),
            message: ".tflite model",
        },
        Case {
            option: "-m",
            file: file("picture.tflite", &png),
            message: ".tflite model",
        },
    ];
    for Case {
        option,
        file,
        message,
    } in cases
    {
        let picture = bundled("ankle_boot.png");
        let mut arguments = vec![option, &file];
        if option == "-m" {
            arguments.extend(["-i", &picture]);
        }
        let output = classify(&arguments);
        assert_eq!(
            output.status.code(),
            Some(1),
            "{arguments:?}: {}",
            stderr(&output)
        );
        assert_eq!(stdout(&output), "", "{arguments:?}");
        let found = stderr(&output);
        assert!(
            found.starts_with(&format!("classify: {file}: ")),
            "{arguments:?}: {found}"
        );
        assert!(found.contains(message), "{arguments:?}: {found}");
        assert_eq!(found.lines().count(), 1, "{arguments:?}: {found}");
    }
}

/// `zlib.crc32(b"IHDR\0\0\xc3\x50\0\0\xc3\x50\x08\2\0\0\0")`, big-endian: a true-colour header of 50000 x 50000.
const PNG_BOMB_CRC: [u8; 4] = [0xc4, 0xcd, 0xaa, 0x9d];

#[test]
fn every_format_is_read() {
    for (name, format) in [
        ("p.png", ImageFormat::Png),
        ("p.jpeg", ImageFormat::Jpeg),
        ("p.bmp", ImageFormat::Bmp),
    ] {
        // The name does not matter, the bytes do.
        assert_eq!(
            results(&["-i", &file(&format!("{name}.dat"), &encoded(format))]).len(),
            1,
            "{name}"
        );
    }
    // 16 bits a channel, transparency, one channel.
    let rgb = image::load_from_memory(&encoded(ImageFormat::Png)).expect("a picture");
    let expected = results(&[
        "-k",
        "10",
        "-i",
        &file("rgb8.png", &encoded(ImageFormat::Png)),
    ]);
    for (name, picture) in [
        ("rgb16.png", DynamicImage::from(rgb.to_rgb16())),
        ("rgba8.png", DynamicImage::from(rgb.to_rgba8())),
        ("rgba16.png", DynamicImage::from(rgb.to_rgba16())),
    ] {
        let mut bytes = std::io::Cursor::new(Vec::new());
        picture
            .write_to(&mut bytes, ImageFormat::Png)
            .expect("encodes");
        assert_eq!(
            results(&["-k", "10", "-i", &file(name, bytes.get_ref())]),
            expected,
            "{name}"
        );
    }
}

#[test]
fn parrot_is_a_macaw() {
    let Some(corpus) = corpus::test_data().map(|folder| folder.join("corpus")) else {
        return;
    };
    let path = |file: &str| corpus.join(file).to_str().expect("UTF-8").to_owned();
    let results = results(&[
        "--model",
        &path("models/mobilenet_v2_1.0_224_quant.tflite"),
        "--labels",
        &path("media/imagenet_labels.txt"),
        "--input",
        &path("media/parrot.jpg"),
        "--count",
        "1",
    ]);
    assert_eq!(results.len(), 1);
    assert_eq!(results[0].0, "macaw");
}

/// Model and picture of the corpus as arguments.
fn compiled_pair() -> Option<(String, String)> {
    let models = corpus::test_data()?.join("corpus/models");
    let path = |name: &str| models.join(name).to_str().expect("UTF-8").to_owned();
    Some((
        path("mobilenet_v1_0.25_128_quant_edgetpu.tflite"),
        path("mobilenet_v1_0.25_128_quant.tflite"),
    ))
}

#[test]
fn compiled_model_on_the_cpu_says_what_to_do() {
    let Some((model, _)) = compiled_pair() else {
        return;
    };
    let output = classify(&["-m", &model, "-i", &bundled("bag.png"), "--device", "cpu"]);
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(
        stderr(&output),
        format!(
            "classify: {model}: compiled for the Edge TPU, and device cpu was asked for: give the model it was compiled from, or \
             a device\n"
        )
    );
    let output = classify(&["-i", &bundled("bag.png"), "--device", "usb:0"]);
    assert_eq!(output.status.code(), Some(1));
    let expected = "device `usb:0` was asked for, and the model has nothing for an Edge TPU";
    assert!(stderr(&output).contains(expected), "{}", stderr(&output));
}

#[cfg(not(all(target_env = "musl", target_feature = "crt-static")))]
mod on_the_stand_in {
    use super::*;
    use crate::standin::StandIn;

    /// Runs with a stand-in for libedgetpu, and with locks of its own.
    fn classify_with(standin: &StandIn, arguments: &[&str]) -> Output {
        let mut command = classify_command(arguments);
        command
            .env("CORALLITE_LIBEDGETPU", standin.library())
            .env("CORALLITE_LOCK_DIR", standin.file(""))
            .env_remove("CORALLITE_EDGETPU_OPTIONS");
        command.output().expect("the example starts")
    }

    /// The lines of the results, whatever the times were.
    fn classes(output: &Output) -> Vec<&str> {
        assert!(output.status.success(), "{}", stderr(output));
        let lines = stdout(output).lines();
        lines
            .skip_while(|line| *line != "-------RESULTS--------")
            .collect()
    }

    #[test]
    fn compiled_model_answers_like_its_twin_and_says_where_it_ran() {
        let Some((model, twin)) = compiled_pair() else {
            return;
        };
        let standin = StandIn::new(&[
            ("twin", &twin),
            ("devices", "usb:/sys/bus/usb/devices/2-1,pci:/dev/apex_0"),
        ]);
        let arguments = ["-i", &bundled("large_bag.png"), "-c", "1", "-k", "5"];
        let expected = classify(&[&arguments[..], &["-m", &twin]].concat());
        let expected = classes(&expected);
        assert_eq!(expected.len(), 6);
        for (device, place) in [
            ("", "usb /sys/bus/usb/devices/2-1"),
            ("@pci:0", "pci /dev/apex_0"),
            ("@/sys/bus/usb/devices/2-1", "usb /sys/bus/usb/devices/2-1"),
            ("@:1", "pci /dev/apex_0"),
        ] {
            let model = format!("{model}{device}");
            let output = classify_with(&standin, &[&arguments[..], &["-m", &model]].concat());
            assert_eq!(classes(&output), expected, "{model}");
            let placement: Vec<&str> = stdout(&output).lines().take(2).collect();
            assert_eq!(
                placement,
                [
                    "Operators: 0 on CPU, 1 on Edge TPU",
                    &format!("Running on Edge TPU {place}")
                ]
            );
        }

        // Not there, with and without a model for the CPU.
        let missing = format!("{model}@usb:1");
        let output = classify_with(&standin, &["-m", &missing, "-i", &bundled("bag.png")]);
        assert_eq!(output.status.code(), Some(1));
        assert!(
            stderr(&output).contains(
                "device `usb:1`: not present, found usb:0 = /sys/bus/usb/devices/2-1, pci:0 = /dev/apex_0, choose one"
            ),
            "{}",
            stderr(&output)
        );
        let unplugged = StandIn::new(&[("devices", "")]);
        let both = ["-m", &model, "--cpu-model", &twin];
        let output = classify_with(&unplugged, &[&arguments[..], &both].concat());
        assert_eq!(classes(&output), expected);
        let place = stdout(&output).lines().nth(1).unwrap_or_default();
        assert!(
            place.starts_with("Running on CPU: the uncompiled model, because no Edge TPU "),
            "{place}"
        );
        let output = classify_with(&unplugged, &[&arguments[..], &both[..2]].concat());
        assert_eq!(output.status.code(), Some(1));
        assert!(
            stderr(&output).contains("compiled for the Edge TPU, and no Edge TPU "),
            "{}",
            stderr(&output)
        );
    }

    #[test]
    fn options_of_the_device_are_checked_before_anything_is_opened() {
        let Some((model, twin)) = compiled_pair() else {
            return;
        };
        let standin = StandIn::new(&[("twin", &twin)]);
        let picture = bundled("bag.png");
        let run = |option: &str| {
            let arguments = [
                "-m",
                &model,
                "-i",
                &picture,
                "-c",
                "1",
                "--device-option",
                option,
            ];
            classify_with(&standin, &arguments)
        };
        for good in [
            "Performance=Low",
            "Usb.AlwaysDfu=True",
            "Usb.MaxBulkInQueueLength=0",
        ] {
            classes(&run(good));
        }
        for (bad, message) in [
            (
                "Performance=Fast",
                "Performance: found \"Fast\", expected Low, Medium, High or Max",
            ),
            (
                "Usb.MaxBulkInQueueLength=257",
                "found \"257\", expected 0 to 256",
            ),
            ("Clock=1", "no libedgetpu option \"Clock\""),
            ("Performance", "found \"\", expected Low"),
        ] {
            let output = run(bad);
            assert_eq!(output.status.code(), Some(2), "{bad}");
            assert!(
                stderr(&output).contains(message),
                "{bad}: {}",
                stderr(&output)
            );
        }
        // From the environment, too.
        let mut command = classify_command(&["-m", &model, "-i", &picture]);
        command
            .env("CORALLITE_LIBEDGETPU", standin.library())
            .env("CORALLITE_EDGETPU_OPTIONS", "Usb.AlwaysDfu=1");
        let output = command.output().expect("the example starts");
        assert_eq!(output.status.code(), Some(2));
        assert!(
            stderr(&output).contains("expected True or False"),
            "{}",
            stderr(&output)
        );
    }
}

#[test]
fn models_without_a_picture_as_input_are_refused() {
    let Some(corpus) = corpus::test_data().map(|folder| folder.join("corpus")) else {
        return;
    };
    let model = corpus
        .join("models/hello_world_int8.tflite")
        .to_str()
        .expect("UTF-8")
        .to_owned();
    let output = classify(&["-m", &model, "-i", &bundled("bag.png")]);
    assert_eq!(output.status.code(), Some(1));
    let expected = "input 0 is int8 [1, 1], expected a picture [1, height, width, 1 or 3] of uint8, int8 or float32";
    assert!(
        stderr(&output).contains(&format!("classify: {model}: {expected}")),
        "{}",
        stderr(&output)
    );
}
