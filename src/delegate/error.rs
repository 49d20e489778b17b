//! Why a delegate could not take its operators.

use crate::ops::PrepareError;
use std::fmt;

/// Why a delegate could not prepare the operators it claimed.
#[derive(Debug)]
#[non_exhaustive]
pub enum DelegateError {
    /// One of the operators is not as it must be; `index` counts the claimed operators.
    Operator { index: usize, source: PrepareError },
    /// The device or its library refused.
    Device {
        device: String,
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The delegate did not give one result per claimed operator.
    Count { claimed: usize, prepared: usize },
}

impl DelegateError {
    #[cfg(unix)]
    pub(super) fn device(
        device: &str,
        source: impl std::error::Error + Send + Sync + 'static,
    ) -> Self {
        Self::Device {
            device: device.to_owned(),
            source: Box::new(source),
        }
    }
}

impl fmt::Display for DelegateError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Operator { index, source } => write!(f, "delegated operator {index}: {source}"),
            Self::Device { device, source } => write!(f, "{device}: {source}"),
            Self::Count { claimed, prepared } => {
                write!(
                    f,
                    "{prepared} operators prepared, expected the {claimed} that were claimed"
                )
            }
        }
    }
}

impl std::error::Error for DelegateError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Operator { source, .. } => Some(source),
            Self::Device { source, .. } => Some(source.as_ref()),
            Self::Count { .. } => None,
        }
    }
}
