//! Requantization against TFLite: 60 QUANTIZE models with 256 values each, run on BUILTIN_REF (qat/requant.npz).

use std::path::{Path, PathBuf};

use corallite::fixedpoint::{QuantizedMultiplier, Rounding};
use corallite::oracle::npz::NpzReader;

/// One model: `y` is QUANTIZE of `x` from the first scale and zero point to the second.
struct Model {
    kind: String,
    scales: (f32, f32),
    zero_points: (i32, i32),
    multiplier: QuantizedMultiplier,
    x: Vec<i32>,
    y: Vec<i32>,
}

/// The models, or nothing (said loudly) where the test data are not there.
fn models() -> Option<Vec<Model>> {
    let root = std::env::var_os("CORALLITE_TEST_DATA").map_or_else(
        || Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared"),
        PathBuf::from,
    );
    if !root.is_dir() {
        eprintln!(
            "SKIPPED: no folder {}; set CORALLITE_TEST_DATA to compare requantization with TFLite",
            root.display()
        );
        return None;
    }
    let path = root.join("qat/requant.npz");
    let mut archive = NpzReader::open(&path).expect("the vectors can be read");
    let mut array = |name: &str| archive.array(name).expect("the vectors hold this array");
    let kinds = array("kind").to_strings().expect("names");
    let (s1, s2, z1, z2) = (array("s1"), array("s2"), array("z1"), array("z2"));
    let (q, shift, x, y) = (array("q"), array("shift"), array("x"), array("y"));
    let scales = |i: usize| {
        (
            s1.as_slice::<f32>().unwrap()[i],
            s2.as_slice::<f32>().unwrap()[i],
        )
    };
    let integer = |array: &corallite::oracle::npy::NpyArray, i: usize| {
        i32::try_from(array.as_slice::<i64>().unwrap()[i]).unwrap()
    };
    let row = |array: &corallite::oracle::npy::NpyArray, i: usize| {
        array.as_slice::<i32>().unwrap()[i * 256..][..256].to_vec()
    };
    let model = |(i, kind): (usize, String)| Model {
        kind,
        scales: scales(i),
        zero_points: (integer(&z1, i), integer(&z2, i)),
        multiplier: QuantizedMultiplier {
            multiplier: integer(&q, i),
            shift: integer(&shift, i),
        },
        x: row(&x, i),
        y: row(&y, i),
    };
    Some(kinds.into_iter().enumerate().map(model).collect())
}

/// The range of the type that a kind such as `i8u8` ends in.
fn output_range(kind: &str) -> (i32, i32) {
    match kind {
        kind if kind.ends_with("u8") => (0, 255),
        kind if kind.ends_with("i8") => (-128, 127),
        kind if kind.ends_with("i16") => (-32768, 32767),
        kind => panic!("unknown output type in {kind:?}"),
    }
}

#[test]
fn multipliers_equal_the_vectors() {
    let Some(models) = models() else { return };
    assert_eq!(models.len(), 60);
    for (
        i,
        Model {
            kind,
            scales: (s1, s2),
            multiplier,
            ..
        },
    ) in models.iter().enumerate()
    {
        let found = QuantizedMultiplier::from_real(f64::from(*s1) / f64::from(*s2));
        assert_eq!(found, Ok(*multiplier), "model {i}, {kind}, {s1} / {s2}");
    }
}

#[test]
fn double_rounding_equals_tflite_and_single_rounding_differs_where_expected() {
    let Some(models) = models() else { return };
    let mut compared = 0;
    let mut changed_by_single_rounding = 0;
    for (i, model) in models.iter().enumerate() {
        let (min, max) = output_range(&model.kind);
        for (&x, &y) in model.x.iter().zip(&model.y) {
            let requantize = |rounding| {
                let scaled = model
                    .multiplier
                    .apply(x.wrapping_sub(model.zero_points.0), rounding);
                scaled.wrapping_add(model.zero_points.1).clamp(min, max)
            };
            assert_eq!(
                requantize(Rounding::Double),
                y,
                "model {i}, {}, x = {x}",
                model.kind
            );
            compared += 1;
            changed_by_single_rounding += i32::from(requantize(Rounding::Single) != y);
        }
    }
    assert_eq!(compared, 15_360);
    // Counted by the makers of the vectors with their own single rounding.
    assert_eq!(changed_by_single_rounding, 621);
}
