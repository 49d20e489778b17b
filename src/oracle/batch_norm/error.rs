//! What folding refuses.

use std::fmt;

/// Why a batch normalization cannot be folded.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub enum FoldError {
    /// There is not one value per channel.
    Channels {
        /// What was given.
        what: &'static str,
        /// Values found.
        found: usize,
        /// Channels expected.
        channels: usize,
    },
    /// The number of values is no multiple of the channels, or there is none.
    Length {
        /// What was given.
        what: &'static str,
        /// Values found.
        found: usize,
        /// Channels that must divide it.
        channels: usize,
    },
    /// Two arrays that belong together differ in length.
    Counts {
        /// What was given.
        what: &'static str,
        /// Values found.
        found: usize,
        /// Values expected.
        expected: usize,
    },
    /// A batch of one value per channel has no variance that could be corrected.
    SingleValue,
    /// A value is infinite or not a number.
    NotFinite {
        /// What was given.
        what: &'static str,
        /// Its index.
        index: usize,
        /// The value.
        value: f32,
    },
    /// Variance plus epsilon is not above zero.
    Variance {
        /// The channel.
        channel: usize,
        /// The sum found.
        found: f32,
    },
}

impl fmt::Display for FoldError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Channels {
                what,
                found,
                channels,
            } => write!(
                f,
                "{what} has {found} values for {channels} channels, expected one each"
            ),
            Self::Length {
                what,
                found,
                channels,
            } => write!(
                f,
                "{what} has {found} values, expected some, in {channels} channels along the last axis"
            ),
            Self::Counts {
                what,
                found,
                expected,
            } => write!(f, "{what} has {found} values, expected {expected}"),
            Self::SingleValue => write!(
                f,
                "the batch has one value per channel, expected at least two; use a larger batch"
            ),
            Self::NotFinite { what, index, value } => write!(
                f,
                "value {index} of {what} is {value}, expected finite numbers"
            ),
            Self::Variance { channel, found } => write!(
                f,
                "variance plus epsilon of channel {channel} is {found}, expected above 0; check the statistics and epsilon"
            ),
        }
    }
}

impl std::error::Error for FoldError {}

/// Refuses values that are infinite or not a number.
pub(super) fn finite(what: &'static str, values: &[f32]) -> Result<(), FoldError> {
    match values.iter().position(|value| !value.is_finite()) {
        Some(index) => Err(FoldError::NotFinite {
            what,
            index,
            value: values[index],
        }),
        None => Ok(()),
    }
}

/// Refuses arrays without one finite value per channel.
pub(super) fn per_channel(
    what: &'static str,
    values: &[f32],
    channels: usize,
) -> Result<(), FoldError> {
    if values.len() != channels {
        return Err(FoldError::Channels {
            what,
            found: values.len(),
            channels,
        });
    }
    finite(what, values)
}

/// Refuses arrays that are empty, do not divide into channels, or hold what is not finite.
pub(super) fn channels_fastest(
    what: &'static str,
    values: &[f32],
    channels: usize,
) -> Result<(), FoldError> {
    if channels == 0 || values.is_empty() || !values.len().is_multiple_of(channels) {
        return Err(FoldError::Length {
            what,
            found: values.len(),
            channels,
        });
    }
    finite(what, values)
}

/// Refuses arrays of another length, or that hold what is not finite.
pub(super) fn as_many(
    what: &'static str,
    values: &[f32],
    expected: usize,
) -> Result<(), FoldError> {
    if values.len() != expected {
        return Err(FoldError::Counts {
            what,
            found: values.len(),
            expected,
        });
    }
    finite(what, values)
}
