//! Reads archives of cases; the format is described in `archive.py`, which writes them.

use corallite::fixedpoint::Profile;
use corallite::tensor::{Shape, TensorType};
use std::path::{Path, PathBuf};

const MAGIC: &[u8; 8] = b"CASES\x00\x01\n";

/// Which profiles a peer stands for, in the order of the archive.
pub const PROFILES: [Profile; 2] = [Profile::Tflite, Profile::Litert];

/// All cases of one operator.
pub struct Archive {
    /// What the cases were drawn with.
    pub seed: u64,
    pub cases: Vec<Case>,
}

/// A model, the values of its inputs, and what each peer made of them.
pub struct Case {
    /// `OPERATOR/generator/index`.
    pub name: String,
    pub model: Vec<u8>,
    /// The library must not run it.
    pub must_refuse: bool,
    /// Inferences in a row.
    pub steps: usize,
    pub inputs: Vec<Input>,
    /// By place in [`PROFILES`].
    pub answers: [Answer; 2],
}

pub struct Input {
    pub shape: Shape,
    /// One value for each step.
    pub values: Vec<Vec<u8>>,
}

/// What a peer said.
#[derive(Clone)]
pub enum Answer {
    /// The case is not for this profile, or it killed the peer.
    Absent,
    Refused,
    /// For each step the outputs.
    Outputs(Vec<Vec<Output>>),
}

#[derive(Clone)]
pub struct Output {
    pub ty: TensorType,
    pub shape: Vec<usize>,
    pub bytes: Vec<u8>,
}

/// The archives of a folder, by operator: those that `is_wanted` takes by the operator's name.
pub fn read_folder(folder: &Path, is_wanted: impl Fn(&str) -> bool) -> Vec<Archive> {
    let entries = std::fs::read_dir(folder).unwrap_or_else(|e| panic!("{}: {e}", folder.display()));
    let mut paths: Vec<PathBuf> = entries
        .map(|entry| entry.expect("entry").path())
        .filter(|path| path.extension().is_some_and(|e| e == "cases"))
        .filter(|path| {
            path.file_stem()
                .is_some_and(|name| is_wanted(&name.to_string_lossy()))
        })
        .collect();
    paths.sort();
    paths.iter().map(|path| read(path)).collect()
}

fn read(path: &Path) -> Archive {
    let file = std::fs::read(path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    let packed = file.strip_prefix(MAGIC).expect("an archive of cases");
    let mut header = Reader(packed);
    let (seed, count, len) = (header.u64(), header.u32(), header.u32());
    let content = miniz_oxide::inflate::decompress_to_vec(header.0).expect("deflate stream");
    assert_eq!(content.len(), len, "{}", path.display());
    let mut reader = Reader(&content);
    let cases = (0..count).map(|_| reader.case()).collect();
    assert!(reader.0.is_empty(), "{}", path.display());
    Archive { seed, cases }
}

struct Reader<'a>(&'a [u8]);

impl Reader<'_> {
    fn take(&mut self, len: usize) -> &[u8] {
        let (taken, rest) = self.0.split_at(len);
        self.0 = rest;
        taken
    }

    fn u8(&mut self) -> u8 {
        self.take(1)[0]
    }

    fn u32(&mut self) -> usize {
        u32::from_le_bytes(self.take(4).try_into().expect("four")) as usize
    }

    fn u64(&mut self) -> u64 {
        u64::from_le_bytes(self.take(8).try_into().expect("eight"))
    }

    fn blob(&mut self) -> Vec<u8> {
        let len = self.u32();
        self.take(len).to_vec()
    }

    fn dims(&mut self) -> Vec<usize> {
        (0..self.u8()).map(|_| self.u32()).collect()
    }

    fn case(&mut self) -> Case {
        let name = String::from_utf8(self.blob()).expect("name");
        let model = self.blob();
        let must_refuse = self.u8() != 0;
        let (inputs, steps) = (self.u8(), self.u8().into());
        let inputs = (0..inputs).map(|_| self.input(steps)).collect();
        let first = self.answer(steps, &Answer::Absent);
        let second = self.answer(steps, &first);
        let answers = [first, second];
        Case {
            name,
            model,
            must_refuse,
            steps,
            inputs,
            answers,
        }
    }

    fn input(&mut self, steps: usize) -> Input {
        Input {
            shape: Shape::new(&self.dims()).expect("shape"),
            values: (0..steps).map(|_| self.blob()).collect(),
        }
    }

    fn answer(&mut self, steps: usize, before: &Answer) -> Answer {
        match self.u8() {
            0 => Answer::Absent,
            1 => Answer::Refused,
            2 => Answer::Outputs((0..steps).map(|_| self.outputs()).collect()),
            3 => before.clone(),
            other => panic!("answer {other}"),
        }
    }

    fn outputs(&mut self) -> Vec<Output> {
        (0..self.u8()).map(|_| self.output()).collect()
    }

    fn output(&mut self) -> Output {
        Output {
            ty: tensor_type(self.u8()),
            shape: self.dims(),
            bytes: self.blob(),
        }
    }
}

/// The type of a number in `src/schema/tflite.fbs`.
fn tensor_type(number: u8) -> TensorType {
    match number {
        0 => TensorType::Float32,
        1 => TensorType::Float16,
        2 => TensorType::Int32,
        3 => TensorType::UInt8,
        4 => TensorType::Int64,
        6 => TensorType::Bool,
        7 => TensorType::Int16,
        9 => TensorType::Int8,
        10 => TensorType::Float64,
        12 => TensorType::UInt64,
        15 => TensorType::UInt32,
        16 => TensorType::UInt16,
        other => panic!("an output of type {other}"),
    }
}
