//! Floats and layers that cannot become integers.

use crate::model::write::WriteError;
use crate::oracle::fake_quant::FakeQuantError;
use crate::oracle::qparams::RangeError;
use std::fmt;

/// Why tensors or a network cannot be converted.
#[derive(Debug)]
#[non_exhaustive]
pub enum ConvertError {
    /// A range, of a channel where there are several.
    Range {
        /// The channel; 0 for a whole tensor.
        channel: usize,
        /// What is wrong with it.
        source: RangeError,
    },
    /// The weights themselves.
    Weights(FakeQuantError),
    /// The number of values is another than the shapes need.
    Count {
        /// What was given.
        what: &'static str,
        /// How many were found.
        found: usize,
        /// How many were expected.
        expected: usize,
    },
    /// A value is infinite or not a number.
    NotFinite {
        /// What was given.
        what: &'static str,
        /// Its index.
        index: usize,
        /// The value.
        value: f32,
    },
    /// A bias needs more than 32 bits: its scale, input times weight, is too fine for it.
    BiasOverflow {
        /// The channel.
        channel: usize,
        /// The bias.
        value: f32,
        /// Its scale.
        scale: f64,
    },
    /// A shape that the layer does not take.
    Shape {
        /// The shape found.
        found: Vec<usize>,
        /// What was expected.
        expected: &'static str,
    },
    /// Operands that must share scale and zero point do not.
    Unequal {
        /// Which operand differs from the first.
        operand: usize,
    },
    /// A value of another builder.
    UnknownValue,
    /// In a layer: its name and what is wrong.
    InLayer {
        /// The layer's name.
        layer: String,
        /// What is wrong.
        source: Box<ConvertError>,
    },
    /// The model could not be written.
    Write(WriteError),
}

impl ConvertError {
    pub(super) fn in_layer(self, layer: &str) -> Self {
        Self::InLayer {
            layer: layer.to_owned(),
            source: Box::new(self),
        }
    }
}

impl fmt::Display for ConvertError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Range { channel, source } => write!(f, "channel {channel}: {source}"),
            Self::Weights(source) => write!(f, "weights: {source}"),
            Self::Count {
                what,
                found,
                expected,
            } => write!(f, "{found} {what} found, expected {expected}"),
            Self::NotFinite { what, index, value } => {
                write!(f, "{what} {index} is {value}, expected finite numbers")
            }
            Self::BiasOverflow {
                channel,
                value,
                scale,
            } => write!(
                f,
                "bias {value} of channel {channel} in steps of {scale:e} needs more than 32 bits; widen the range of the \
                 channel's weights"
            ),
            Self::Shape { found, expected } => {
                write!(f, "shape {found:?} found, expected {expected}")
            }
            Self::Unequal { operand } => write!(
                f,
                "operand {operand} has another scale or zero point than operand 0, expected the same; requantize it first"
            ),
            Self::UnknownValue => {
                write!(
                    f,
                    "a value is none of this network's; use what its own builder returned"
                )
            }
            Self::InLayer { layer, source } => write!(f, "layer {layer:?}: {source}"),
            Self::Write(source) => source.fmt(f),
        }
    }
}

impl std::error::Error for ConvertError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Range { source, .. } => Some(source),
            Self::Weights(source) => Some(source),
            Self::InLayer { source, .. } => Some(source.as_ref()),
            Self::Write(source) => Some(source),
            _ => None,
        }
    }
}

impl From<WriteError> for ConvertError {
    fn from(source: WriteError) -> Self {
        Self::Write(source)
    }
}

impl From<RangeError> for ConvertError {
    fn from(source: RangeError) -> Self {
        Self::Range { channel: 0, source }
    }
}

/// Refuses arrays of another length or with what is not finite.
pub(super) fn check_values(
    what: &'static str,
    values: &[f32],
    expected: usize,
) -> Result<(), ConvertError> {
    if values.len() != expected {
        return Err(ConvertError::Count {
            what,
            found: values.len(),
            expected,
        });
    }
    match values.iter().position(|value| !value.is_finite()) {
        Some(index) => Err(ConvertError::NotFinite {
            what,
            index,
            value: values[index],
        }),
        None => Ok(()),
    }
}
