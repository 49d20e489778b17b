//! What observers refuse.

use crate::oracle::qparams::RangeError;
use std::fmt;

/// Why values could not be observed or a range not be told.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub enum ObserveError {
    /// A batch without values.
    EmptyBatch,
    /// A value that is infinite or not a number.
    NotFinite {
        /// Its index in the batch.
        index: usize,
        /// The value.
        value: f32,
    },
    /// A range was asked for before any batch was seen.
    NothingObserved,
    /// The number of values is no multiple of the number of channels.
    ChannelCount {
        /// Values found.
        values: usize,
        /// Channels expected along the last axis.
        channels: usize,
    },
    /// A percentage outside (50, 100].
    Percentage {
        /// The number found.
        found: f64,
    },
    /// A decay outside \[0, 1).
    Decay {
        /// The number found.
        found: f64,
    },
    /// What was averaged is no range.
    Range(RangeError),
}

impl fmt::Display for ObserveError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::EmptyBatch => write!(f, "the batch is empty, expected at least one value"),
            Self::NotFinite { index, value } => write!(
                f,
                "value {index} of the batch is {value}, expected finite numbers; look for divergence before this layer"
            ),
            Self::NothingObserved => {
                write!(
                    f,
                    "no batch was observed; observe data before asking for a range"
                )
            }
            Self::ChannelCount { values, channels } => write!(
                f,
                "{values} values do not divide into {channels} channels along the last axis; use as many observers as channels"
            ),
            Self::Percentage { found } => {
                write!(f, "percentile {found}, expected above 50 and at most 100")
            }
            Self::Decay { found } => write!(f, "decay {found}, expected at least 0 and below 1"),
            Self::Range(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for ObserveError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Range(error) => Some(error),
            _ => None,
        }
    }
}

impl From<RangeError> for ObserveError {
    fn from(error: RangeError) -> Self {
        Self::Range(error)
    }
}
