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

use corallite::schema::darwinn::{
    DataType, Executable, ExecutableType, MultiExecutable, root_as_package,
};
use corallite::schema::{read_root, verifier_options};

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

    /// Bytes of one element.
    fn size(self) -> usize {
        match self {
            Self::UInt8 | Self::Int8 => 1,
            Self::Int16 => 2,
            Self::Float32 | Self::Int32 => 4,
        }
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
        let read = match std::str::from_utf8(options) {
            Ok(text) if text.starts_with(TEXT) => Self::from_text(text),
            _ => Self::from_package(options),
        };
        read.ok_or_else(|| "Internal: Package verification failed.".to_owned())
    }

    /// Reads the layers of the executable that runs inferences. The package is found by its identifier, not through the
    /// map around it: that is checked by the host before it hands the options over.
    fn from_package(options: &[u8]) -> Option<Self> {
        let identifier = options.windows(4).position(|window| window == b"DWN1")?;
        let package = options.get(identifier.checked_sub(4)?..)?;
        let package = root_as_package(package, &verifier_options(package.len())).ok()?;
        let multi = package.serialized_multi_executable()?.bytes();
        let multi = read_root::<MultiExecutable>(multi, &verifier_options(multi.len())).ok()?;
        for executable in multi.serialized_executables()? {
            let executable = executable.bytes();
            let executable =
                read_root::<Executable>(executable, &verifier_options(executable.len())).ok()?;
            if executable.type_() == ExecutableType::PARAMETER_CACHING {
                continue;
            }
            return Some(Self {
                inputs: executable
                    .input_layers()?
                    .iter()
                    .map(layer)
                    .collect::<Option<_>>()?,
                outputs: executable
                    .output_layers()?
                    .iter()
                    .map(layer)
                    .collect::<Option<_>>()?,
                runtime: u32::try_from(package.min_runtime_version()).ok()?,
            });
        }
        None
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

/// A layer of a package: dense, one element of the batch.
fn layer(layer: corallite::schema::darwinn::Layer<'_>) -> Option<Layer> {
    let kind = match layer.data_type() {
        DataType::FIXED_POINT8 => Kind::UInt8,
        DataType::SIGNED_FIXED_POINT8 => Kind::Int8,
        DataType::FIXED_POINT16 | DataType::SIGNED_FIXED_POINT16 => Kind::Int16,
        DataType::SIGNED_FIXED_POINT32 => Kind::Int32,
        DataType::SINGLE => Kind::Float32,
        _ => return None,
    };
    let mut bytes = kind.size();
    for dim in [layer.y_dim(), layer.x_dim(), layer.z_dim()] {
        bytes = bytes.checked_mul(usize::try_from(dim).ok()?)?;
    }
    Some(Layer {
        name: layer.name()?.to_owned(),
        kind,
        bytes,
    })
}
