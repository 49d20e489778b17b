//! Pictures against Pillow and pycoral: vectors of tests/data/pillow (made by make.py there) and the test material.

mod corpus;

use std::path::Path;

use corallite::oracle::npy::{NpyArray, NpyType};
use corallite::oracle::npz::NpzReader;
use corallite::vision::{Channels, Filter, Image, Labels, Normalization, PixelTable};

const FILTERS: [(&str, Filter); 5] = [
    ("nearest", Filter::Nearest),
    ("box", Filter::Box),
    ("bilinear", Filter::Bilinear),
    ("bicubic", Filter::Bicubic),
    ("lanczos", Filter::Lanczos),
];

/// Every array of a file in tests/data/pillow.
fn vectors(file: &str) -> Vec<(String, NpyArray)> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/data/pillow")
        .join(file);
    let mut archive = NpzReader::open(path).expect("the file is in the repository");
    let names: Vec<String> = archive.names().map(str::to_owned).collect();
    names
        .into_iter()
        .map(|name| (name.clone(), archive.array(&name).expect("an array")))
        .collect()
}

/// A picture of shape [height, width] or [height, width, 3].
fn image(array: &NpyArray) -> Image {
    let (height, width, channels) = match array.shape[..] {
        [height, width] => (height, width, Channels::Grey),
        [height, width, 3] => (height, width, Channels::Rgb),
        _ => panic!("shape {:?}", array.shape),
    };
    Image::new(width, height, channels, array.data.clone()).expect("a whole picture")
}

#[test]
fn resize_is_bit_exact_with_pillow() {
    let vectors = vectors("resize.npz");
    let mut compared = 0;
    for (name, expected) in &vectors {
        let mut parts = name.split('/');
        let (Some(source), Some(filter), Some(_)) = (parts.next(), parts.next(), parts.next())
        else {
            continue;
        };
        let source = &vectors
            .iter()
            .find(|(other, _)| other == source)
            .expect("the picture")
            .1;
        let filter = FILTERS
            .iter()
            .find(|(other, _)| *other == filter)
            .expect("the filter")
            .1;
        let expected = image(expected);
        let resized = image(source)
            .resize(expected.width(), expected.height(), filter)
            .expect(name);
        assert_eq!(resized, expected, "{name}");
        compared += 1;
    }
    // 18 sizes by five filters.
    assert_eq!(compared, 90);
}

#[test]
fn grey_is_bit_exact_with_pillow() {
    let vectors = vectors("grey.npz");
    let [(_, rgb), (_, grey)] = &vectors[..] else {
        panic!("two arrays")
    };
    assert_eq!(image(rgb).into_grey(), image(grey));
}

#[test]
fn input_values_are_those_of_pycoral() {
    let pixels: Vec<u8> = (0..=255).collect();
    let vectors = vectors("pixels.npz");
    for (name, expected) in &vectors {
        let parts: Vec<&str> = name.split('/').collect();
        let number = |part: usize| parts[part].parse::<f64>().expect("a number");
        let (scale, zero_point) = (number(1) as f32, number(2) as i32);
        let normalization = Normalization {
            mean: number(3),
            std: number(4),
        };
        if parts[0] == "uint8" {
            let mut values = [0; 256];
            PixelTable::uint8(scale, zero_point, normalization)
                .unwrap()
                .apply(&pixels, &mut values)
                .unwrap();
            assert_eq!(values[..], *expected.as_slice::<u8>().unwrap(), "{name}");
        } else {
            let mut values = [0.0; 256];
            PixelTable::float32(normalization)
                .unwrap()
                .apply(&pixels, &mut values)
                .unwrap();
            assert_eq!(values[..], *expected.as_slice::<f32>().unwrap(), "{name}");
        }
    }
    assert_eq!(vectors.len(), 10);
}

#[test]
fn int8_values_are_pixels_less_128_where_the_parameters_mean_it() {
    let shifted = PixelTable::int8_shifted();
    let cases = [
        (1.0 / 128.0, 0, 128.0, 128.0),
        (0.003_921_569, -128, 0.0, 255.0),
        (0.007_843_138, 0, 128.0, 127.5),
    ];
    for (scale, zero_point, mean, std) in cases {
        let table = PixelTable::int8(scale, zero_point, Normalization { mean, std }).unwrap();
        for pixel in 0..=255 {
            let expected = i8::try_from(i16::from(pixel) - 128).unwrap();
            assert_eq!(
                table.value(pixel),
                expected,
                "{scale} {zero_point} {mean} {std}: {pixel}"
            );
            assert_eq!(shifted.value(pixel), expected);
        }
    }
    // Clipped, and rounded half away from zero: (1 - 0) / (255 * 2/255) - 1 = -0.5.
    let table = PixelTable::int8(
        2.0 / 255.0,
        -1,
        Normalization {
            mean: 0.0,
            std: 255.0,
        },
    )
    .unwrap();
    assert_eq!(
        [0, 1, 2, 255].map(|pixel| table.value(pixel)),
        [-1, -1, 0, 127]
    );
}

#[test]
fn parameters_without_meaning_are_refused() {
    let usual = Normalization::default();
    let cases = [
        (
            PixelTable::uint8(1.0, 0, Normalization { std: 0.0, ..usual }).unwrap_err(),
            "mean 128 and standard deviation 0, expected finite numbers and a deviation above 0",
        ),
        (
            PixelTable::float32(Normalization {
                mean: f64::NAN,
                ..usual
            })
            .unwrap_err(),
            "mean NaN and standard deviation 128, expected finite numbers and a deviation above 0",
        ),
        (
            PixelTable::uint8(0.0, 0, usual).unwrap_err(),
            "uint8 input with scale 0 and zero point 0, expected a scale above 0 and a zero point within the type",
        ),
        (
            PixelTable::int8(1.0, 128, usual).unwrap_err(),
            "int8 input with scale 1 and zero point 128, expected a scale above 0 and a zero point within the type",
        ),
        (
            PixelTable::int8_shifted()
                .apply(&[0; 3], &mut [0; 2])
                .unwrap_err(),
            "3 pixel values given for 2 input values",
        ),
    ];
    for (error, message) in cases {
        assert_eq!(error.to_string(), message);
    }
}

/// The corpus made its real inputs with Pillow: convert, resize BILINEAR, pixel (uint8) or pixel - 128 (int8).
#[test]
fn photographs_become_the_inputs_of_the_goldens() {
    let Some(corpus) = corpus::test_data().map(|folder| folder.join("corpus")) else {
        return;
    };
    let mut compared = 0;
    for folder in std::fs::read_dir(corpus.join("golden")).expect("goldens") {
        let folder = folder.expect("a folder").path();
        let golden = std::fs::read_to_string(folder.join("golden.json")).expect("a description");
        let golden: serde_json::Value = serde_json::from_str(&golden).expect("json");
        for case in golden["cases"].as_array().expect("cases") {
            let Some(source) = case["source"].as_str() else {
                continue;
            };
            // "github:google-coral/test_data:cat.bmp; Pillow 3-ch convert, ...": files with a folder are not in media.
            let Some(file) = source
                .split(';')
                .next()
                .and_then(|origin| origin.rsplit(':').next())
            else {
                continue;
            };
            let path = corpus.join("media").join(file);
            if !source.contains("3-ch") || !file.ends_with(".bmp") || !path.is_file() {
                continue;
            }
            let name = format!("{} from {file}", folder.display());
            let input =
                NpyArray::read(folder.join(case["inputs"][0]["file"].as_str().expect("a file")))
                    .expect(&name);
            let [1, height, width, 3] = input.shape[..] else {
                panic!("{name}: {:?}", input.shape)
            };
            let decoded = image::open(path).expect("a photograph").into_rgb8();
            let size = [decoded.width(), decoded.height()]
                .map(|side| usize::try_from(side).expect("a side"));
            let photograph =
                Image::new(size[0], size[1], Channels::Rgb, decoded.into_raw()).expect(&name);
            let resized = photograph
                .resize(width, height, Filter::Bilinear)
                .expect(&name);
            match input.dtype {
                NpyType::U8 => assert!(resized.data() == input.data, "{name}"),
                NpyType::I8 => {
                    let mut values = vec![0; resized.data().len()];
                    PixelTable::int8_shifted()
                        .apply(resized.data(), &mut values)
                        .expect(&name);
                    assert!(values == *input.as_slice::<i8>().expect(&name), "{name}");
                }
                // Float inputs have a scaling of their own.
                _ => continue,
            }
            compared += 1;
        }
    }
    assert!(compared > 0, "no golden was made from a picture at hand");
}

#[test]
fn label_files_of_the_test_material_are_read() {
    let Some(corpus) = corpus::test_data().map(|folder| folder.join("corpus")) else {
        return;
    };
    let cases = [
        ("imagenet_labels.txt", 1001, 89, "macaw"),
        (
            "inat_bird_labels.txt",
            965,
            0,
            "Haemorhous cassinii (Cassin's Finch)",
        ),
        ("coco_labels.txt", 90, 0, "person"),
    ];
    for (file, len, id, label) in cases {
        let labels = Labels::read(corpus.join("media").join(file)).unwrap();
        assert_eq!((labels.len(), labels.get(id)), (len, Some(label)), "{file}");
    }
}
