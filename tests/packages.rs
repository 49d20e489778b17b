//! Edge TPU packages of real compiled models: what is read of them, and that no damaged one is accepted whose numbers
//! lead out of their places.

mod corpus;

use corallite::Model;
use corallite::package::{ExecutableKind, Layer, Package};
use corallite::schema::ForwardsUOffset;
use corallite::schema::darwinn::{
    self as schema, AnyHint, Description, Executable, Meta, MultiExecutable, root_as_package,
};
use corallite::schema::{read_root, verifier_options};
use std::path::Path;

/// What a package holds, from the table in specs/edgetpu-protocol.md, section 1.4 (measured on the files with other code);
/// of the co-compiled model, which is an older build than the table's, read with the Python package flatbuffers.
struct Expected {
    model: &'static str,
    runtime: i32,
    kinds: &'static [ExecutableKind],
    chunks: &'static [usize],
    parameters: usize,
    /// Instructions and parameters of the caching program.
    caching: Option<(usize, usize)>,
    scratch: usize,
    /// Height, width, channels and padded bytes.
    inputs: &'static [([u32; 3], usize)],
    outputs: &'static [([u32; 3], usize)],
}

use ExecutableKind::{ExecutionOnly, ParameterCaching, StandAlone};

const PAIR: &[ExecutableKind] = &[ExecutionOnly, ParameterCaching];

const EXPECTED: [Expected; 7] = [
    Expected {
        model: "mobilenet_v1_0.25_128_quant",
        runtime: 12,
        kinds: PAIR,
        chunks: &[170_032],
        parameters: 0,
        caching: Some((12_624, 566_912)),
        scratch: 0,
        inputs: &[([128, 128, 3], 49_152)],
        outputs: &[([1, 1, 1001], 1008)],
    },
    Expected {
        model: "mobilenet_v1_0.25_128_cocompiled_3quant",
        runtime: 12,
        kinds: PAIR,
        chunks: &[47_760],
        parameters: 0,
        caching: Some((4432, 518_656)),
        scratch: 0,
        inputs: &[([128, 128, 3], 49_152)],
        outputs: &[([1, 1, 1001], 1008)],
    },
    Expected {
        model: "deeplabv3_mnv2_dm05_pascal_quant",
        runtime: 12,
        kinds: PAIR,
        chunks: &[160_672],
        parameters: 0,
        caching: Some((8016, 766_720)),
        scratch: 0,
        inputs: &[([513, 513, 3], 789_512)],
        outputs: &[([33, 33, 256], 278_784), ([1, 1, 256], 256)],
    },
    Expected {
        model: "keras_lstm_mnist_ptq",
        runtime: 12,
        kinds: PAIR,
        chunks: &[60_864],
        parameters: 576,
        caching: Some((3152, 43_968)),
        scratch: 672,
        inputs: &[([1, 28, 28], 784), ([1, 1, 20], 24), ([1, 1, 20], 40)],
        outputs: &[([1, 1, 10], 16), ([1, 1, 20], 24), ([1, 1, 20], 40)],
    },
    Expected {
        model: "movenet_single_pose_lightning_ptq",
        runtime: 12,
        kinds: PAIR,
        chunks: &[133_408],
        parameters: 2368,
        caching: Some((10_032, 2_862_656)),
        scratch: 0,
        inputs: &[([192, 192, 3], 110_592)],
        outputs: &[
            ([1, 2304, 1], 9216),
            ([48, 48, 17], 46_080),
            ([48, 48, 17], 46_080),
            ([48, 48, 34], 82_944),
            ([48, 48, 34], 82_944),
        ],
    },
    Expected {
        model: "split_concat",
        runtime: 13,
        kinds: PAIR,
        chunks: &[23_648],
        parameters: 0,
        caching: Some((1232, 192)),
        scratch: 0,
        inputs: &[([8, 8, 3], 192), ([8, 8, 1], 64), ([8, 8, 2], 128)],
        outputs: &[
            ([8, 8, 1], 256),
            ([8, 8, 1], 256),
            ([8, 8, 1], 256),
            ([8, 8, 1], 256),
            ([8, 8, 2], 256),
        ],
    },
    Expected {
        model: "testconv1",
        runtime: 13,
        kinds: &[StandAlone],
        chunks: &[15_984],
        parameters: 640,
        caching: None,
        scratch: 0,
        inputs: &[([32, 32, 3], 3072)],
        outputs: &[([30, 30, 16], 14_400)],
    },
];

/// The custom options of the first `edgetpu-custom-op` of a model.
fn options(model: &Path) -> Vec<u8> {
    let model = Model::from_file(model).expect("a model");
    let operators = &model.graph().subgraphs()[0].operators;
    let operator = operators
        .iter()
        .position(|operator| operator.kind.to_string() == "edgetpu-custom-op")
        .expect("a compiled model");
    let table = model
        .graph()
        .operator_table(0, operator)
        .expect("its table");
    table
        .custom_options()
        .expect("custom options")
        .bytes()
        .to_vec()
}

fn compiled(name: &str) -> Option<Vec<u8>> {
    let data = corpus::test_data()?;
    Some(options(
        &data.join(format!("corpus/models/{name}_edgetpu.tflite")),
    ))
}

#[test]
fn packages_hold_what_the_notes_on_the_format_say() {
    for expected in EXPECTED {
        let name = expected.model;
        let Some(options) = compiled(name) else {
            return;
        };
        let package = Package::from_custom_options(&options).expect(name);
        assert_eq!(package.min_runtime_version, expected.runtime, "{name}");
        let kinds: Vec<_> = package.executables.iter().map(|e| e.kind).collect();
        assert_eq!(kinds, expected.kinds, "{name}");
        let main = package.main();
        assert_eq!(main.chip, "beagle", "{name}");
        assert_eq!(main.chunks, expected.chunks, "{name}");
        assert_eq!(main.parameter_bytes, expected.parameters, "{name}");
        assert_eq!(main.scratch_bytes, expected.scratch, "{name}");
        let caching = package
            .caching()
            .map(|caching| (caching.instruction_bytes(), caching.parameter_bytes));
        assert_eq!(caching, expected.caching, "{name}");
        assert_eq!(
            package.cached_bytes(),
            expected.caching.map_or(0, |(_, bytes)| bytes),
            "{name}"
        );
        // Both programs of a package carry the same token, and it is not zero.
        let tokens = package.executables.iter().map(|e| e.caching_token);
        match package.caching_token() {
            Some(token) => assert!(
                token != 0 && tokens.into_iter().all(|t| t == token),
                "{name}"
            ),
            None => assert!(expected.caching.is_none(), "{name}"),
        }
        let layers = |layers: &[Layer]| -> Vec<_> {
            layers.iter().map(|l| (l.yxz, l.padded_bytes)).collect()
        };
        assert_eq!(layers(&main.inputs), expected.inputs, "{name}");
        assert_eq!(layers(&main.outputs), expected.outputs, "{name}");
    }
}

/// Read with the Python package flatbuffers: 64 bits that no smaller number type holds, and cycles in the wide field.
#[test]
fn token_and_estimate_are_read_whole() {
    let Some(options) = compiled("mobilenet_v1_0.25_128_cocompiled_3quant") else {
        return;
    };
    let package = Package::from_custom_options(&options).expect("a package");
    assert_eq!(package.caching_token(), Some(3_816_577_682_256_353_917));
    assert_eq!(package.main().estimated_cycles, Some(21_568));
}

/// Section 1.6 of the notes: movenet sends its 2368 bytes of constants in two pieces, between input and outputs.
#[test]
fn transfers_are_summed_by_what_they_carry() {
    let Some(options) = compiled("movenet_single_pose_lightning_ptq") else {
        return;
    };
    let transfers = Package::from_custom_options(&options)
        .expect("a package")
        .main()
        .transfers;
    assert_eq!(transfers.instructions, 133_408);
    assert_eq!(transfers.inputs, 110_592);
    assert_eq!(transfers.parameters, 64 + 2304);
    assert_eq!(transfers.outputs, 9216 + 2 * 46_080 + 2 * 82_944);
    assert_eq!(transfers.scratch, 0);
}

/// The layers are the operands of the operator: same types, same quantization, section 1.8 of the notes.
#[test]
fn layers_are_quantized_as_the_operands_are() {
    let Some(data) = corpus::test_data() else {
        return;
    };
    for expected in EXPECTED {
        let name = expected.model;
        let path = data.join(format!("corpus/models/{name}_edgetpu.tflite"));
        let package = Package::from_custom_options(&options(&path)).expect(name);
        let model = Model::from_file(&path).expect(name);
        let subgraph = &model.graph().subgraphs()[0];
        let operator = subgraph
            .operators
            .iter()
            .find(|operator| operator.kind.to_string() == "edgetpu-custom-op")
            .expect(name);
        let inputs = operator.inputs.iter().flatten().zip(&package.main().inputs);
        let outputs = operator.outputs.iter().zip(&package.main().outputs);
        for (&tensor, layer) in inputs.chain(outputs) {
            let tensor = &subgraph.tensors[tensor];
            let quantization = tensor.quantization.as_deref().expect("quantization");
            assert_eq!(
                tensor.ty.to_string(),
                layer.ty.to_string(),
                "{name} {layer}"
            );
            assert_eq!(
                quantization.zero_point(),
                layer.zero_point,
                "{name} {layer}"
            );
            assert_eq!(quantization.scale(), Some(layer.scale), "{name} {layer}");
            assert_eq!(
                tensor.shape.count(),
                layer.bytes() / layer.ty.bytes(),
                "{name} {layer}"
            );
        }
    }
}

/// Xorshift, seeded: a failure names seed and number of the damage.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    fn below(&mut self, limit: usize) -> usize {
        usize::try_from(self.next() % limit as u64).expect("a usize")
    }
}

/// Bytes of `options` that say where things are: all but instructions and constants, which nobody reads as numbers.
fn structure(options: &[u8]) -> Vec<usize> {
    let mut is_payload = vec![false; options.len()];
    let base = options.as_ptr() as usize;
    visit(options, |executable| {
        let chunks = executable.instruction_bitstreams().into_iter().flatten();
        let chunks = chunks.filter_map(|chunk| chunk.bitstream());
        for payload in chunks.chain(executable.parameters()) {
            let start = payload.bytes().as_ptr() as usize - base;
            // Edges stay in: a wrong length shows there.
            for byte in is_payload
                .iter_mut()
                .skip(start + 16)
                .take(payload.len().saturating_sub(32))
            {
                *byte = true;
            }
        }
    });
    // Packages are padded to pages with zeros that mean nothing either.
    let in_padding = |place: usize| {
        let from = place.saturating_sub(32);
        options[from..(place + 32).min(options.len())]
            .iter()
            .all(|&byte| byte == 0)
    };
    let structure = (0..options.len()).filter(|&place| !is_payload[place] && !in_padding(place));
    structure.collect()
}

/// Hands every executable of sound options to `see`. The package is found by its identifier, without our FlexBuffer
/// reader.
fn visit<'a>(options: &'a [u8], mut see: impl FnMut(Executable<'a>)) {
    let identifier = options
        .windows(4)
        .position(|w| w == b"DWN1")
        .expect("a package");
    let package = &options[identifier - 4..];
    let package = root_as_package(package, &verifier_options(package.len())).expect("a package");
    let multi = package
        .serialized_multi_executable()
        .expect("executables")
        .bytes();
    let multi =
        read_root::<MultiExecutable>(multi, &verifier_options(multi.len())).expect("a list");
    for executable in multi.serialized_executables().expect("a list") {
        let bytes = executable.bytes();
        see(read_root::<Executable>(bytes, &verifier_options(bytes.len())).expect("an executable"));
    }
}

/// Every number that leads somewhere, followed the slow way: each address in its chunk, each transfer in its buffer, each
/// element of each output in what the device sends (the formula of section 1.9 of the notes, element by element).
fn assert_in_range(options: &[u8], context: &str) {
    visit(options, |executable| {
        let sizes: Vec<usize> = executable
            .instruction_bitstreams()
            .into_iter()
            .flatten()
            .map(|chunk| chunk.bitstream().expect(context).len())
            .collect();
        let size_of = |meta: Meta<'_>| -> i64 {
            let layer = |layers: Option<flatbuffers::Vector<'_, _>>| -> i64 {
                let layers: flatbuffers::Vector<'_, ForwardsUOffset<schema::Layer<'_>>> =
                    layers.expect(context);
                let layer = layers
                    .iter()
                    .find(|layer| layer.name() == meta.name())
                    .expect(context);
                i64::from(layer.size_bytes()) * i64::from(layer.execution_count_per_inference())
            };
            match meta.desc() {
                Description::OUTPUT_ACTIVATION => layer(executable.output_layers()),
                Description::INPUT_ACTIVATION => layer(executable.input_layers()),
                Description::PARAMETER => executable.parameters().map_or(0, |p| p.len() as i64),
                Description::SCRATCH => executable.scratch_size_bytes().into(),
                other => panic!("{context}: buffer {other:?}"),
            }
        };
        for chunk in executable.instruction_bitstreams().into_iter().flatten() {
            let bits = chunk.bitstream().expect(context).len() as i64 * 8;
            for field in chunk.field_offsets().into_iter().flatten() {
                let bit = i64::from(field.offset_bit());
                assert!(
                    bit >= 0 && bit + 32 <= bits,
                    "{context}: bit {bit} of {bits}"
                );
                assert!(size_of(field.meta().expect(context)) >= 0, "{context}");
            }
        }
        for hint in executable
            .dma_hints()
            .and_then(|h| h.hints())
            .into_iter()
            .flatten()
        {
            match hint.any_hint_type() {
                AnyHint::INSTRUCTION_HINT => {
                    let hint = hint.any_hint_as_instruction_hint().expect(context);
                    let chunk = usize::try_from(hint.instruction_chunk_index()).expect(context);
                    assert!(chunk < sizes.len(), "{context}: chunk {chunk}");
                }
                AnyHint::DMA_DESCRIPTOR_HINT => {
                    let hint = hint.any_hint_as_dma_descriptor_hint().expect(context);
                    let (offset, size) = (
                        i64::from(hint.offset_in_bytes()),
                        i64::from(hint.size_in_bytes()),
                    );
                    let available = size_of(hint.meta().expect(context));
                    assert!(
                        offset >= 0 && size >= 0 && offset + size <= available,
                        "{context}"
                    );
                }
                _ => {}
            }
        }
        for layer in executable.output_layers().into_iter().flatten() {
            let (height, width, channels) = (layer.y_dim(), layer.x_dim(), layer.z_dim());
            assert!(height > 0 && width > 0 && channels > 0, "{context}");
            let bytes = |index: i64| {
                let element = match layer.data_type().0 {
                    0 | 8 => 1,
                    1 | 3 | 4 | 9 => 2,
                    2 | 5 => 4,
                    other => panic!("{context}: type {other}"),
                };
                index * element
            };
            if (height, width) == (1, 1) {
                assert!(
                    bytes(channels.into()) <= layer.size_bytes().into(),
                    "{context}"
                );
                continue;
            }
            let output = layer.any_layer_as_output_layer().expect(context);
            if output.shape_info().is_some() {
                continue;
            }
            let layout = output.layout().expect(context);
            let table = |values: Option<flatbuffers::Vector<'_, i32>>, at: usize| -> i64 {
                let values = values.expect(context);
                assert!(
                    at < values.len(),
                    "{context}: entry {at} of {}",
                    values.len()
                );
                values.get(at).into()
            };
            for y in 0..height as usize {
                for x in 0..width as usize {
                    let tile = table(layout.y_coordinate_to_linear_tile_id_map(), y)
                        + table(layout.x_coordinate_to_linear_tile_id_map(), x);
                    let tile = usize::try_from(tile).expect(context);
                    let index = table(layout.linearized_tile_byte_offset(), tile)
                        + table(layout.y_coordinate_to_local_y_offset(), y)
                            * table(layout.x_coordinate_to_local_y_row_size(), x)
                        + table(layout.x_coordinate_to_local_byte_offset(), x);
                    let end = bytes(index + i64::from(channels));
                    assert!(
                        index >= 0 && end <= layer.size_bytes().into(),
                        "{context}: ({y}, {x})"
                    );
                }
            }
        }
    });
}

/// Thousands of damages per package to the bytes that hold structure: each is refused, or leads nowhere it must not.
#[test]
fn no_damaged_package_is_accepted_with_numbers_out_of_range() {
    const DAMAGES: usize = 1500;
    for (number, expected) in EXPECTED.iter().enumerate() {
        let name = expected.model;
        let Some(sound) = compiled(name) else { return };
        assert_in_range(&sound, name);
        let places = structure(&sound);
        let mut random = Random(0x9E37_79B9_7F4A_7C15 ^ number as u64);
        let mut damaged = sound.clone();
        let (mut refused, mut accepted) = (0, 0);
        for damage in 0..DAMAGES {
            let count = 1 + random.below(3);
            let mut touched = Vec::with_capacity(count);
            for _ in 0..count {
                let place = places[random.below(places.len())];
                touched.push(place);
                damaged[place] = match random.below(4) {
                    0 => 0,
                    1 => 0xff,
                    2 => damaged[place] ^ (1 << random.below(8)),
                    _ => random.next() as u8,
                };
            }
            match Package::from_custom_options(&damaged) {
                Err(_) => refused += 1,
                // The walk below finds the package by its identifier, so that has to be there.
                Ok(_) => {
                    accepted += 1;
                    assert_in_range(&damaged, &format!("{name}, damage {damage} at {touched:?}"));
                }
            }
            for place in touched {
                damaged[place] = sound[place];
            }
        }
        assert!(
            refused > DAMAGES / 10,
            "{name}: {refused} refused, {accepted} accepted"
        );
        assert!(
            accepted > 0,
            "{name}: not one damage left the package whole, so nothing was walked"
        );
    }
}

/// Cut short anywhere: never accepted, since the map's root stands at the end; never a panic.
#[test]
fn packages_cut_short_are_refused() {
    let Some(sound) = compiled("mobilenet_v1_0.25_128_quant") else {
        return;
    };
    let mut random = Random(7);
    for _ in 0..500 {
        let len = random.below(sound.len());
        let result = Package::from_custom_options(&sound[..len]);
        assert!(result.is_err(), "{len} of {} bytes", sound.len());
    }
}
