//! The accessors on real models: `corpus/` in the test data (CORALLITE_TEST_DATA).

use std::collections::BTreeMap;
use std::path::PathBuf;

use super::super::tflite::VerifiedModel;
use super::super::{darwinn, metadata, read_root, verifier_options};
use super::contents;

/// The corpus, or a loud word that it is missing.
fn corpus() -> Option<PathBuf> {
    let folder = std::env::var_os("CORALLITE_TEST_DATA").map(PathBuf::from);
    let folder =
        folder.unwrap_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../shared"));
    let corpus = folder.join("corpus");
    if corpus.is_dir() {
        return Some(corpus);
    }
    eprintln!(
        "SKIPPED: no corpus in {} (set CORALLITE_TEST_DATA)",
        corpus.display()
    );
    None
}

#[test]
fn corpus_verifies_and_reads_as_its_manifest_says() {
    let Some(corpus) = corpus() else {
        return;
    };
    let manifest = std::fs::read(corpus.join("MANIFEST.json")).unwrap();
    let manifest: serde_json::Value = serde_json::from_slice(&manifest).unwrap();
    let (mut models, mut misaligned) = (0, 0);
    for entry in manifest.as_array().unwrap() {
        let file = entry["file"].as_str().unwrap();
        if !file.ends_with(".tflite") {
            continue;
        }
        let bytes = std::fs::read(corpus.join(file)).unwrap();
        let model = VerifiedModel::new(bytes).unwrap_or_else(|error| panic!("{file}: {error}"));
        let found = contents(model.root(), model.bytes());
        let expected: BTreeMap<String, u64> =
            serde_json::from_value(entry["op_hist"].clone()).unwrap();
        assert_eq!(found.operators, expected, "{file}");
        assert_eq!(found.unknown_options, 0, "{file}");
        misaligned += found.misaligned;
        let inputs = entry["inputs"].as_array().unwrap();
        assert_eq!(found.inputs.len(), inputs.len(), "{file}");
        for ((name, shape, zero_point), expected) in found.inputs.iter().zip(inputs) {
            assert_eq!(
                expected["name"].as_str().unwrap_or_default(),
                name,
                "{file}"
            );
            assert_eq!(expected["shape"], serde_json::json!(shape), "{file}");
            // A tensor without quantization stands as null.
            let expected = expected["zero_point"]
                .as_array()
                .cloned()
                .unwrap_or_default();
            assert_eq!(
                serde_json::Value::from(expected),
                serde_json::json!(zero_point),
                "{file}"
            );
        }
        models += 1;
    }
    let files = std::fs::read_dir(corpus.join("models")).unwrap().count();
    assert_eq!(
        models, files,
        "the manifest and the folder name different models"
    );
    assert!(
        misaligned > 0,
        "no model has an int64 vector off its alignment any more"
    );
}

/// The custom options of the `edgetpu-custom-op` of a model. They are a map of FlexBuffers; the package is found by its
/// identifier here, and runs on to the end: the verifier does not mind what follows.
fn package(model: &VerifiedModel<Vec<u8>>) -> &[u8] {
    let graph = model.root().subgraphs().unwrap().get(0);
    let options = graph
        .operators()
        .unwrap()
        .iter()
        .filter_map(|operator| operator.custom_options());
    let mut found = options.filter_map(|options| {
        let bytes = options.bytes();
        let identifier = bytes.windows(4).position(|window| window == b"DWN1")?;
        bytes.get(identifier.checked_sub(4)?..)
    });
    found.next().unwrap()
}

#[test]
fn packages_of_compiled_models_read_as_the_protocol_notes_say() {
    /// One executable: type, bytes of instructions, bytes of parameters.
    type Exe = (darwinn::ExecutableType, usize, usize);
    struct Case {
        model: &'static str,
        min_runtime: i32,
        executables: &'static [Exe],
        scratch: i32,
        /// Y, x, z and padded bytes of each layer of the first executable.
        inputs: &'static [[i32; 4]],
        outputs: &'static [[i32; 4]],
    }
    const ONLY: darwinn::ExecutableType = darwinn::ExecutableType::EXECUTION_ONLY;
    const CACHING: darwinn::ExecutableType = darwinn::ExecutableType::PARAMETER_CACHING;
    // specs/edgetpu-protocol.md of the test data, section 1.4.
    let cases = [
        Case {
            model: "mobilenet_v1_0.25_128_quant_edgetpu",
            min_runtime: 12,
            executables: &[(ONLY, 170_032, 0), (CACHING, 12_624, 566_912)],
            scratch: 0,
            inputs: &[[128, 128, 3, 49_152]],
            outputs: &[[1, 1, 1001, 1008]],
        },
        Case {
            model: "deeplabv3_mnv2_dm05_pascal_quant_edgetpu",
            min_runtime: 12,
            executables: &[(ONLY, 160_672, 0), (CACHING, 8016, 766_720)],
            scratch: 0,
            inputs: &[[513, 513, 3, 789_512]],
            outputs: &[[33, 33, 256, 278_784], [1, 1, 256, 256]],
        },
        Case {
            model: "keras_lstm_mnist_ptq_edgetpu",
            min_runtime: 12,
            executables: &[(ONLY, 60_864, 576), (CACHING, 3152, 43_968)],
            scratch: 672,
            inputs: &[[1, 28, 28, 784], [1, 1, 20, 24], [1, 1, 20, 40]],
            outputs: &[[1, 1, 10, 16], [1, 1, 20, 24], [1, 1, 20, 40]],
        },
        Case {
            model: "split_concat_edgetpu",
            min_runtime: 13,
            executables: &[(ONLY, 23_648, 0), (CACHING, 1232, 192)],
            scratch: 0,
            inputs: &[[8, 8, 3, 192], [8, 8, 1, 64], [8, 8, 2, 128]],
            outputs: &[
                [8, 8, 1, 256],
                [8, 8, 1, 256],
                [8, 8, 1, 256],
                [8, 8, 1, 256],
                [8, 8, 2, 256],
            ],
        },
        Case {
            model: "testconv1_edgetpu",
            min_runtime: 13,
            executables: &[(darwinn::ExecutableType::STAND_ALONE, 15_984, 640)],
            scratch: 0,
            inputs: &[[32, 32, 3, 3072]],
            outputs: &[[30, 30, 16, 14_400]],
        },
    ];
    let Some(corpus) = corpus() else {
        return;
    };
    let mut shapes = 0;
    for case in cases {
        let model = case.model;
        let bytes = std::fs::read(corpus.join(format!("models/{model}.tflite"))).unwrap();
        let verified = VerifiedModel::new(bytes).unwrap();
        let bytes = package(&verified);
        let package = darwinn::root_as_package(bytes, &verifier_options(bytes.len())).unwrap();
        assert_eq!(package.min_runtime_version(), case.min_runtime, "{model}");
        assert_eq!(package.virtual_chip_id(), 0, "{model}");
        let bytes = package.serialized_multi_executable().unwrap().bytes();
        let options = verifier_options(bytes.len());
        let multi = read_root::<darwinn::MultiExecutable>(bytes, &options).unwrap();
        let mut found = Vec::new();
        for (i, bytes) in multi.serialized_executables().unwrap().iter().enumerate() {
            let bytes = bytes.bytes();
            let options = verifier_options(bytes.len());
            let executable = read_root::<darwinn::Executable>(bytes, &options).unwrap();
            let chunks: Vec<_> = executable
                .instruction_bitstreams()
                .unwrap()
                .iter()
                .collect();
            let instructions = chunks
                .iter()
                .map(|chunk| chunk.bitstream().unwrap().len())
                .sum();
            let parameters = executable
                .parameters()
                .map_or(0, |parameters| parameters.len());
            found.push((executable.type_(), instructions, parameters));
            assert_eq!(
                (executable.chip(), executable.batch_size()),
                (Some("beagle"), 1),
                "{model}"
            );
            // Every address is the immediate at bit 70 of a bundle of 128 bits.
            for place in chunks
                .iter()
                .flat_map(|chunk| chunk.field_offsets())
                .flatten()
            {
                assert_eq!(place.offset_bit() % 128, 70, "{model}");
                assert!(
                    place.meta().unwrap().desc().variant_name().is_some(),
                    "{model}"
                );
            }
            let hints: Vec<_> = executable
                .dma_hints()
                .unwrap()
                .hints()
                .unwrap()
                .iter()
                .collect();
            assert_eq!(
                hints[0].any_hint_type(),
                darwinn::AnyHint::INSTRUCTION_HINT,
                "{model}"
            );
            let instruction = hints[0].any_hint_as_instruction_hint().unwrap();
            assert_eq!(instruction.instruction_chunk_index(), 0, "{model}");
            if i > 0 {
                continue;
            }
            assert_eq!(executable.scratch_size_bytes(), case.scratch, "{model}");
            let dimensions = |layer: darwinn::Layer<'_>| {
                assert_eq!(layer.execution_count_per_inference(), 1, "{model}");
                [
                    layer.y_dim(),
                    layer.x_dim(),
                    layer.z_dim(),
                    layer.size_bytes(),
                ]
            };
            let inputs: Vec<_> = executable
                .input_layers()
                .unwrap()
                .iter()
                .map(dimensions)
                .collect();
            let outputs: Vec<_> = executable
                .output_layers()
                .unwrap()
                .iter()
                .map(dimensions)
                .collect();
            assert_eq!(
                (&inputs[..], &outputs[..]),
                (case.inputs, case.outputs),
                "{model}"
            );
            for layer in executable.output_layers().unwrap() {
                let output = layer.any_layer_as_output_layer().unwrap();
                let layout = output.layout().unwrap();
                let rows = layout.y_coordinate_to_linear_tile_id_map().unwrap();
                assert_eq!(
                    rows.len(),
                    usize::try_from(layer.y_dim()).unwrap(),
                    "{model}"
                );
                // The last range of the shape, which the oldest packages lack, is that of z; both ends are included.
                let Some(shape) = layer.shape() else {
                    continue;
                };
                let z = shape.dimension().unwrap().iter().next_back().unwrap();
                assert_eq!(z.end() - z.start() + 1, layer.z_dim(), "{model}");
                shapes += 1;
            }
        }
        assert_eq!(found, case.executables, "{model}");
    }
    assert!(shapes > 0, "no layer has a shape");
}

#[test]
fn metadata_of_models_names_their_label_files() {
    let Some(corpus) = corpus() else {
        return;
    };
    let (mut described, mut labelled) = (0, 0);
    for entry in std::fs::read_dir(corpus.join("models")).unwrap() {
        let path = entry.unwrap().path();
        let verified = VerifiedModel::new(std::fs::read(&path).unwrap()).unwrap();
        let model = verified.root();
        let named = |name: &str| {
            let mut all = model.metadata().into_iter().flatten();
            all.find(|metadata| metadata.name() == Some(name))
        };
        let Some(entry) = named("TFLITE_METADATA") else {
            continue;
        };
        let buffer = model
            .buffers()
            .unwrap()
            .get(usize::try_from(entry.buffer()).unwrap());
        let bytes = buffer.data().unwrap().bytes();
        let root = metadata::root_as_model_metadata(bytes, &verifier_options(bytes.len())).unwrap();
        let subgraph = root.subgraph_metadata().unwrap().get(0);
        let outputs = model.subgraphs().unwrap().get(0).outputs().unwrap();
        let tensors = subgraph.output_tensor_metadata().unwrap();
        assert_eq!(tensors.len(), outputs.len(), "{}", path.display());
        for file in tensors
            .iter()
            .flat_map(|tensor| tensor.associated_files())
            .flatten()
        {
            let name = file.name().unwrap();
            assert!(file.type_().variant_name().is_some(), "{}", path.display());
            // The archive behind the model stores the name of each file as it is.
            let stored = verified
                .bytes()
                .windows(name.len())
                .filter(|w| *w == name.as_bytes());
            assert!(stored.count() > 1, "{} has no {name}", path.display());
            labelled += 1;
        }
        described += 1;
    }
    assert!(
        described > 0 && labelled > 0,
        "no model of the corpus has labels"
    );
}
