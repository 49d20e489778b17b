//! Real models against golden outputs of TFLite's reference kernels, bit for bit.

mod corpus;

use corallite::Interpreter;
use corallite::fixedpoint::Profile;
use corallite::interpreter::BuildError;
use corallite::model::{Candidate, Model};
use corallite::ops::KernelChoice;
use corpus::{Case, Golden};

/// Models whose operators are all implemented: these must run.
const REQUIRED: &[&str] = &[
    "aeq_conv_fc_mnist_srq_a8w8",
    "aeq_mnist_dw_a16w8",
    "aeq_resnet8_a16w8",
    "aeq_two_signatures_a8w8",
    "arm_cnn_s_quantized",
    "bigsine_quant",
    "blazeface_front_128",
    "bodypix_mobilenet_v1_075_480_352_16_nodecoder",
    "deeplab_mobilenet_edgetpu_slim_cityscapes_quant",
    "deeplabv3_mnv2_dm05_pascal_quant",
    "face_landmarks_192",
    "force_int_quant",
    "hello_world_int8",
    "lrt_add_a16w8",
    "lrt_add_a8w8",
    "lrt_rsqrt_a8w8",
    "micro_speech_custom",
    "micro_speech_quantized",
    "micro_speech_u8",
    "mlperf_ad01_int8",
    "mlperf_kws_ref",
    "mlperf_resnet8_int8",
    "mlperf_vww_96_int8",
    "mltk_anomaly_detection",
    "mltk_audio_example1",
    "mltk_autoencoder_example",
    "mltk_keyword_spotting_mobilenetv2",
    "mltk_keyword_spotting_pacman_v3",
    "mnistnet_u8",
    "mobilenet_quant_v1_224_head_layers",
    "mobilenet_v1_0.25_128_quant",
    "mobilenet_v1_0.5_160_quant",
    "mobilenet_v2_1.0_224_quant",
    "mobilenet_v2_f32io_mlonmcu",
    "model_with_logistic_u8",
    "movenet_single_pose_lightning_ptq",
    "mww_okay_nabu_pypi",
    "mww_okay_nabu_v2",
    "mww_vad_v2",
    "palm_detection_full_192",
    "person_detect",
    "rnnoise_int8",
    "seanet_add0",
    "seanet_conv0",
    "seanet_conv17",
    "seanet_conv7",
    "seanet_leaky_relu0",
    "seanet_leaky_relu14",
    "seanet_pad0",
    "seanet_quantize0",
    "seanet_quantize1",
    "seanet_strided_slice0",
    "seanet_strided_slice15",
    "seanet_sub0",
    "seanet_transpose_conv0",
    "seanet_transpose_conv4",
    "simple_add_model",
    "split_concat",
    "tf2_mobilenet_v2_1.0_224_ptq",
    "tfmot_ic_f32io_ptq_image_classification_mltk",
    "tinymaix_cifar10",
    "tinymaix_mbnet128_0.25",
    "tinymaix_mnist_arduino",
    "tinymaix_mnist_dw",
    "yamnet_spectra_in",
    "yolo_lc_192",
];

/// Elements that differ, over all outputs and steps of a case.
fn differing(interpreter: &mut Interpreter, case: &Case) -> usize {
    interpreter.reset();
    let mut differing = 0;
    for step in 0..case.steps {
        let part = |bytes: &[u8], i: usize| {
            let len = bytes.len() / case.steps;
            assert_eq!(len * case.steps, bytes.len(), "{} array {i}", case.name);
            step * len..(step + 1) * len
        };
        for (i, input) in case.inputs.iter().enumerate() {
            let bytes = &input.data[part(&input.data, i)];
            let mut tensor = interpreter.input_mut(i).expect("input");
            tensor
                .copy_from_bytes(bytes)
                .unwrap_or_else(|e| panic!("{}: {e}", case.name));
        }
        interpreter
            .invoke()
            .unwrap_or_else(|e| panic!("{}: {e}", case.name));
        for (i, expected) in case.outputs.iter().enumerate() {
            let expected = &expected.data[part(&expected.data, i)];
            let output = interpreter.output(i).expect("output");
            assert_eq!(
                output.bytes().len(),
                expected.len(),
                "{} output {i}",
                case.name
            );
            let size = output.ty().size().expect("sized");
            let pairs = output.bytes().chunks(size).zip(expected.chunks(size));
            differing += pairs.filter(|(a, b)| a != b).count();
        }
    }
    differing
}

fn run(
    golden: &Golden,
    profile: &str,
    kernels: KernelChoice,
    failures: &mut Vec<String>,
) -> Result<usize, BuildError> {
    let model = Model::from_file(&golden.model).unwrap_or_else(|e| panic!("{}: {e}", golden.name));
    let profile_value: Profile = profile.parse().expect("profile");
    let mut interpreter = Interpreter::builder(&model)
        .profile(profile_value)
        .kernels(kernels)
        .build()?;
    let cases = golden.cases(profile);
    for case in &cases {
        let count = differing(&mut interpreter, case);
        if count > 0 {
            failures.push(format!(
                "{} under {profile}, {kernels:?} kernels: {count} elements differ",
                case.name
            ));
        }
    }
    Ok(cases.len())
}

/// Runs every chosen model of the corpus under a profile and fails with all differences.
fn compare_with_goldens(profile: &str, kernels: KernelChoice) {
    let Some(folder) = corpus::test_data() else {
        return;
    };
    let chosen = corpus::chosen_models();
    let required: Vec<&str> = match &chosen {
        Some(names) => names.iter().map(String::as_str).collect(),
        None => REQUIRED.to_vec(),
    };
    let mut failures = Vec::new();
    let (mut ran, mut cases) = (Vec::new(), 0);
    for golden in corpus::goldens(&folder)
        .iter()
        .filter(|golden| golden.counts_for(profile) && golden.is_chosen())
    {
        match run(golden, profile, kernels, &mut failures) {
            Ok(count) => {
                ran.push(golden.name.clone());
                cases += count;
            }
            Err(e) if required.contains(&golden.name.as_str()) => {
                failures.push(format!("{}: {e}", golden.name));
            }
            Err(e) => eprintln!("NOT RUN: {}: {e}", golden.name),
        }
    }
    eprintln!("{profile}: {} models, {cases} cases", ran.len());
    for name in required {
        if !ran.iter().any(|other| other == name) {
            failures.push(format!("{name} under {profile}: not run"));
        }
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

#[test]
fn goldens_are_reproduced_bit_for_bit_under_tflite() {
    compare_with_goldens("tflite", KernelChoice::Fastest);
}

#[test]
fn goldens_are_reproduced_bit_for_bit_by_the_reference_kernels() {
    compare_with_goldens("tflite", KernelChoice::Reference);
}

#[test]
fn goldens_are_reproduced_bit_for_bit_under_litert() {
    compare_with_goldens("litert", KernelChoice::Fastest);
}

#[test]
fn every_model_loads() {
    let Some(folder) = corpus::test_data() else {
        return;
    };
    let mut count = 0;
    for entry in std::fs::read_dir(folder.join("corpus/models")).expect("models") {
        let path = entry.expect("entry").path();
        let candidate =
            Candidate::from_file(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
        candidate
            .into_model()
            .unwrap_or_else(|e| panic!("{}: {e}", path.display()));
        count += 1;
    }
    assert!(count > 80, "{count} models");
}
