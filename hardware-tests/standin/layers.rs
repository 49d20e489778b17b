//! What the custom options say about a node: its input and output layers.
//!
//! Two kinds of custom options are understood: the ones compiled models carry, and a text for tests:
//!
//! ```text
//! corallite-standin
//! runtime 14
//! in image u8 192
//! out scores i8 10
//! ```

/// One input or output of one inference (of one element of a batch).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Layer {
    pub name: String,
    pub kind: Kind,
    /// Bytes of one element of the batch.
    pub bytes: usize,
}

impl Layer {
    /// The input whose state this output is the next value of.
    pub fn state_of(&self) -> Option<&str> {
        self.name.strip_suffix("_variable_output")
    }
}

/// Element type of a layer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Float32,
    Int32,
    UInt8,
    Int16,
    Int8,
}

impl Kind {
    fn named(name: &str) -> Option<Self> {
        Some(match name {
            "f32" => Self::Float32,
            "i32" => Self::Int32,
            "u8" => Self::UInt8,
            "i16" => Self::Int16,
            "i8" => Self::Int8,
            _ => return None,
        })
    }

    /// The value of `TfLiteType`.
    pub fn code(self) -> i32 {
        match self {
            Self::Float32 => 1,
            Self::Int32 => 2,
            Self::UInt8 => 3,
            Self::Int16 => 7,
            Self::Int8 => 9,
        }
    }

    /// Bytes of an element whose top bit the library flips in the host's memory; `None` for other types.
    pub fn flipped(self) -> Option<usize> {
        match self {
            Self::Int8 => Some(1),
            Self::Int16 => Some(2),
            _ => None,
        }
    }
}

/// A node's layers and what it needs.
#[derive(Debug, Clone, Default)]
pub struct Layers {
    pub inputs: Vec<Layer>,
    pub outputs: Vec<Layer>,
    /// Oldest runtime version that can run it.
    pub runtime: u32,
}

/// First line of the text form.
const TEXT: &str = "corallite-standin\n";

impl Layers {
    /// Reads custom options; the error is the text libedgetpu would report.
    pub fn read(options: &[u8]) -> Result<Self, String> {
        if options.is_empty() {
            return Err("Invalid argument: Missing raw model data.".to_owned());
        }
        match std::str::from_utf8(options) {
            Ok(text) if text.starts_with(TEXT) => Self::from_text(text)
                .ok_or_else(|| "Internal: Package verification failed.".to_owned()),
            _ => Err("Internal: Package verification failed.".to_owned()),
        }
    }

    fn from_text(text: &str) -> Option<Self> {
        let mut layers = Self::default();
        for line in text.lines().skip(1) {
            let words: Vec<&str> = line.split_whitespace().collect();
            match words[..] {
                ["runtime", version] => layers.runtime = version.parse().ok()?,
                [side, name, kind, bytes] => {
                    let layer = Layer {
                        name: name.to_owned(),
                        kind: Kind::named(kind)?,
                        bytes: bytes.parse().ok()?,
                    };
                    match side {
                        "in" => layers.inputs.push(layer),
                        "out" => layers.outputs.push(layer),
                        _ => return None,
                    }
                }
                _ => return None,
            }
        }
        Some(layers)
    }
}
