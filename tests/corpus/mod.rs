//! The test data that lies beside the project: real models with golden outputs.
#![allow(dead_code, reason = "each test file uses a part")]

use corallite::oracle::npy::NpyArray;
use serde_json::Value;
use std::path::{Path, PathBuf};

/// The folder named by `CORALLITE_TEST_DATA`, by default `../shared`; `None`, said aloud, where it is absent.
pub fn test_data() -> Option<PathBuf> {
    let folder = match std::env::var_os("CORALLITE_TEST_DATA") {
        Some(folder) => PathBuf::from(folder),
        None => Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared"),
    };
    if folder.join("corpus").is_dir() {
        return Some(folder);
    }
    eprintln!(
        "SKIPPED: no test data in {}; set CORALLITE_TEST_DATA to the folder that holds corpus/",
        folder.display()
    );
    None
}

/// The models that `CORALLITE_TEST_MODELS` names, comma-separated: a short list for slow machines and emulators.
/// `None` stands for all.
pub fn chosen_models() -> Option<Vec<String>> {
    let names = std::env::var("CORALLITE_TEST_MODELS").ok()?;
    Some(names.split(',').map(str::to_owned).collect())
}

/// One golden case: inputs and the outputs expected under a profile.
pub struct Case {
    pub name: String,
    /// Inferences in a row with state kept; arrays then have a leading axis of this length.
    pub steps: usize,
    pub inputs: Vec<NpyArray>,
    pub outputs: Vec<NpyArray>,
}

/// A model of the corpus with its cases.
pub struct Golden {
    pub name: String,
    pub model: PathBuf,
    folder: PathBuf,
    description: Value,
}

impl Golden {
    /// Whether `CORALLITE_TEST_MODELS` leaves it in.
    pub fn is_chosen(&self) -> bool {
        chosen_models().is_none_or(|names| names.contains(&self.name))
    }

    /// Whether the expected outputs hold for a profile. Two einsum models load in LiteRT alone, and TFLite 2.14 reads the
    /// scales of per-channel weights beside floats as 0: it answers 0.1 everywhere, which is not what the operator says.
    pub fn counts_for(&self, profile: &str) -> bool {
        let litert_alone =
            self.name.contains("einsum") || self.name == "aeq_partly_quantized_mnist";
        profile == "litert" || !litert_alone
    }

    /// The cases with the outputs expected under `profile` (`tflite` or `litert`).
    pub fn cases(&self, profile: &str) -> Vec<Case> {
        let cases = self.description["cases"].as_array().expect("cases");
        cases
            .iter()
            .enumerate()
            .map(|(i, case)| self.case(i, case, profile))
            .collect()
    }

    fn case(&self, index: usize, case: &Value, profile: &str) -> Case {
        let file = |entry: &Value| entry["file"].as_str().expect("file").to_owned();
        let list = |key: &str| case[key].as_array().expect("arrays").clone();
        let expected = |entry: &Value| {
            let own = self.folder.join("tflite-2.14").join(file(entry));
            if profile == "tflite" && own.exists() {
                return read(&own);
            }
            read(&self.folder.join(file(entry)))
        };
        Case {
            name: format!("{} case {index}", self.name),
            steps: case["steps"].as_u64().expect("steps") as usize,
            inputs: list("inputs")
                .iter()
                .map(|e| read(&self.folder.join(file(e))))
                .collect(),
            outputs: list("outputs").iter().map(expected).collect(),
        }
    }
}

/// Every model of the corpus that has golden outputs, by name.
pub fn goldens(test_data: &Path) -> Vec<Golden> {
    let folder = test_data.join("corpus/golden");
    let mut goldens = Vec::new();
    for entry in std::fs::read_dir(&folder).expect("golden folder") {
        let folder = entry.expect("entry").path();
        let text = std::fs::read_to_string(folder.join("golden.json")).expect("golden.json");
        let description: Value = serde_json::from_str(&text).expect("JSON");
        let name = description["name"].as_str().expect("name").to_owned();
        goldens.push(Golden {
            model: test_data
                .join("corpus/models")
                .join(format!("{name}.tflite")),
            name,
            folder,
            description,
        });
    }
    goldens.sort_by(|a, b| a.name.cmp(&b.name));
    goldens
}

/// An array, from `FILE` or from `FILE.gz`; a name may itself end in `.gz`.
fn read(path: &Path) -> NpyArray {
    let is_packed = path.extension().is_some_and(|extension| extension == "gz");
    if path.exists() && !is_packed {
        return NpyArray::read(path).unwrap_or_else(|e| panic!("{e}"));
    }
    let packed = if is_packed {
        path.to_owned()
    } else {
        path.with_extension("npy.gz")
    };
    let packed = std::fs::read(&packed).unwrap_or_else(|e| panic!("{}: {e}", packed.display()));
    NpyArray::from_bytes(&gunzip(&packed)).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}

/// The content of a gzip member: RFC 1952, section 2.3, header with an optional file name.
fn gunzip(packed: &[u8]) -> Vec<u8> {
    assert_eq!(packed[..3], [0x1f, 0x8b, 8], "gzip with deflate");
    let name = if packed[3] & 8 != 0 {
        packed[10..].iter().position(|&b| b == 0).expect("name end") + 1
    } else {
        0
    };
    miniz_oxide::inflate::decompress_to_vec(&packed[10 + name..]).expect("deflate stream")
}
