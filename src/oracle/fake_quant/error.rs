//! What FakeQuant refuses.

use crate::oracle::qparams::RangeError;
use std::fmt;

/// Why values cannot be fake-quantized.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum FakeQuantError {
    /// The range of a channel cannot be used.
    Range {
        /// The channel; 0 for a whole tensor.
        channel: usize,
        /// What is wrong with it.
        source: RangeError,
    },
    /// No range was given.
    NoRange,
    /// The number of values is no multiple of the number of channels.
    ChannelCount {
        /// Values found.
        values: usize,
        /// Channels expected along the last axis.
        channels: usize,
    },
    /// An input is not a number; TensorFlow's result would depend on the machine.
    NotANumber {
        /// Its index.
        index: usize,
    },
    /// There is not one gradient per value.
    GradientCount {
        /// Gradients found.
        gradients: usize,
        /// Values, each of which expects one.
        values: usize,
    },
}

impl fmt::Display for FakeQuantError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Range { channel, source } => write!(f, "channel {channel}: {source}"),
            Self::NoRange => write!(f, "no range, expected one, or one per channel"),
            Self::ChannelCount { values, channels } => write!(
                f,
                "{values} values do not divide into {channels} channels along the last axis; give one range per channel"
            ),
            Self::NotANumber { index } => write!(
                f,
                "value {index} is not a number, expected numbers; look for divergence before this layer"
            ),
            Self::GradientCount { gradients, values } => write!(
                f,
                "{gradients} gradients for {values} values, expected one each"
            ),
        }
    }
}

impl std::error::Error for FakeQuantError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Range { source, .. } => Some(source),
            _ => None,
        }
    }
}
