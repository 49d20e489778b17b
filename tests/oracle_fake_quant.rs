//! FakeQuant and its gradients, bit for bit, against TensorFlow 1.13.1, TensorFlow 2.15.1 and TFLite's FAKE_QUANT kernel.
//!
//! `tests/data/qat/fakequant_*.npz` hold what those answered (`make_fakequant.py` beside them asks); a larger set lies with
//! the test data.

mod archive;
mod corpus;

use archive::Archive;
use corallite::oracle::fake_quant::FakeQuantError;
use corallite::oracle::qparams::RangeError;
use corallite::oracle::{FakeQuant, FakeQuantProfile, Grid, Range};
use std::path::Path;

/// One node with its questions and answers.
struct Case<'a> {
    name: String,
    grid: Grid,
    min: &'a [f32],
    max: &'a [f32],
    x: &'a [f32],
    gradient: &'a [f32],
    y: &'a [f32],
    /// dx, dmin, dmax.
    back: Option<[&'a [f32]; 3]>,
}

impl Case<'_> {
    fn node(&self, profile: FakeQuantProfile, per_channel: bool) -> FakeQuant {
        let range = |(&min, &max): (&f32, &f32)| Range::new(min, max).expect("range");
        let ranges: Vec<Range> = self.min.iter().zip(self.max).map(range).collect();
        let node = if per_channel {
            FakeQuant::per_channel(profile, self.grid, &ranges)
        } else {
            FakeQuant::per_tensor(profile, self.grid, ranges[0])
        };
        node.unwrap_or_else(|e| panic!("{}: {e}", self.name))
    }

    fn check(&self, profile: FakeQuantProfile, per_channel: bool) {
        let node = self.node(profile, per_channel);
        let y = node.forward(self.x).expect("numbers");
        assert_eq!(bits(&y), bits(self.y), "{} forward, {profile}", self.name);
        if let Some([dx, dmin, dmax]) = self.back {
            let back = node.backward(self.x, self.gradient).expect("numbers");
            assert_eq!(bits(&back.input), bits(dx), "{} dx", self.name);
            assert_eq!(bits(&back.min), bits(dmin), "{} dmin", self.name);
            assert_eq!(bits(&back.max), bits(dmax), "{} dmax", self.name);
        }
    }
}

/// The bits, with one zero: 0 and -0 are the same real number.
fn bits(values: &[f32]) -> Vec<u32> {
    values.iter().map(|v| (v + 0.0).to_bits()).collect()
}

/// The arrays of one question set; rows are cases.
struct Columns {
    bits: Vec<i32>,
    narrow: Vec<bool>,
    floats: [Vec<f32>; 8],
}

impl Columns {
    fn read(archive: &mut Archive, questions: [&str; 6], answers: [&str; 4]) -> Self {
        let [bits, narrow, ..] = questions;
        let mut float = |name: &str| archive.floats_or_none(name);
        let names = questions[2..].iter().chain(&answers);
        let floats: Vec<Vec<f32>> = names.map(|name| float(name)).collect();
        Self {
            bits: archive.ints(bits),
            narrow: archive.bools(narrow),
            floats: floats.try_into().expect("eight"),
        }
    }

    /// How many cases passed.
    fn check(
        &self,
        profile: FakeQuantProfile,
        per_channel: bool,
        skip: impl Fn(usize) -> bool,
    ) -> usize {
        let count = self.bits.len();
        let row = |column: usize, index: usize| {
            let values = &self.floats[column];
            let length = values.len() / count;
            &values[index * length..][..length]
        };
        let mut checked = 0;
        for index in (0..count).filter(|&index| !skip(index)) {
            let bits = u32::try_from(self.bits[index]).expect("bits");
            let back = [row(5, index), row(6, index), row(7, index)];
            let case = Case {
                name: format!("case {index}"),
                grid: Grid::unsigned(bits, self.narrow[index]).expect("grid"),
                min: row(0, index),
                max: row(1, index),
                x: row(2, index),
                gradient: row(3, index),
                y: row(4, index),
                back: (!back[0].is_empty()).then_some(back),
            };
            case.check(profile, per_channel);
            checked += 1;
        }
        checked
    }
}

#[test]
fn committed_answers_are_reproduced() {
    use FakeQuantProfile::{Tf2, Tf113, Tflite};
    let questions = ["bits", "narrow", "min", "max", "x", "gradient"];
    let answers = ["y", "dx", "dmin", "dmax"];
    let of_channels = questions.map(|name| format!("channel_{name}"));
    let channel_answers = answers.map(|name| format!("channel_{name}"));
    for (file, profile, expected) in [
        ("tf113", Tf113, 88),
        ("tf215", Tf2, 88),
        ("tflite", Tflite, 40),
    ] {
        let path = format!("tests/data/qat/fakequant_{file}.npz");
        let mut archive = Archive::open(Path::new(&path));
        let columns = Columns::read(&mut archive, questions, answers);
        assert_eq!(columns.check(profile, false, |_| false), expected, "{file}");
        if profile != Tflite {
            let questions = of_channels.each_ref().map(String::as_str);
            let answers = channel_answers.each_ref().map(String::as_str);
            let columns = Columns::read(&mut archive, questions, answers);
            assert_eq!(columns.check(profile, true, |_| false), 4, "{file}");
        }
    }
}

/// 296 nodes per tensor and 6 per channel. Those in denormal numbers depend on the flush-to-zero mode of TensorFlow's
/// threads: they are not compared.
#[test]
fn the_large_set_is_reproduced() {
    let Some(folder) = corpus::test_data() else {
        return;
    };
    let mut archive = Archive::open(&folder.join("qat/fakequant.npz"));
    let tags = archive.strings("tag");
    let questions = ["num_bits", "narrow", "min", "max", "x", "g"];
    let of_channels = [
        "pc_num_bits",
        "pc_narrow",
        "pc_min",
        "pc_max",
        "pc_x",
        "pc_g",
    ];
    for (prefix, profile) in [
        ("tf113", FakeQuantProfile::Tf113),
        ("tf215", FakeQuantProfile::Tf2),
    ] {
        let names = ["y", "dx", "dmin", "dmax"];
        let answers = names.map(|name| format!("{prefix}_{name}"));
        let answers = answers.each_ref().map(String::as_str);
        let columns = Columns::read(&mut archive, questions, answers);
        let denormal = |index: usize| tags[index].contains("denormal");
        let compared = columns.check(profile, false, denormal);
        let mut refused = 0;
        for index in (0..tags.len()).filter(|&index| denormal(index)) {
            let bits = u32::try_from(columns.bits[index]).expect("bits");
            let grid = Grid::unsigned(bits, columns.narrow[index]).expect("grid");
            let range = Range::new(columns.floats[0][index], columns.floats[1][index]);
            if let Err(error) = FakeQuant::per_tensor(profile, grid, range.expect("range")) {
                let FakeQuantError::Range { source, .. } = error else {
                    panic!("{index}: {error}");
                };
                assert!(matches!(source, RangeError::TooNarrow { .. }), "{index}");
                refused += 1;
            }
        }
        // The sixteenth has a step of 1.5e-38, just normal, but an end and intermediate results that are not.
        assert_eq!((compared, refused), (280, 15), "{prefix}");
        let answers = names.map(|name| format!("{prefix}_pc_{name}"));
        let answers = answers.each_ref().map(String::as_str);
        let mut columns = Columns::read(&mut archive, of_channels, answers);
        // One of 42 channels has its minimum, 0.25, above its maximum: TensorFlow computes on, we refuse. Channel 4 of 7 of
        // the last node goes back to zeros on both sides.
        let reversed = 5 * 7 + 4;
        let [min, max] = [0, 1].map(|column| columns.floats[column][reversed]);
        assert_eq!(Range::new(min, max), Err(RangeError::Reversed { min, max }));
        for column in &mut columns.floats {
            let rows = column.len() / 7;
            for row in rows / 6 * 5..rows {
                column[row * 7 + 4] = 0.0;
            }
        }
        assert_eq!(columns.check(profile, true, |_| false), 6, "{prefix}");
    }
}
