//! The fast kernels of pools.

use super::pool::ParsedPool;
use super::{FastPicture, Pool2d, element8, float_range};
use crate::fast::{self, Element8, Pool2dFloatPrimitive, Pool2dPrimitive, PoolWindows, Pooling};
use crate::ops::{PrepareError, Prepared, Settings};
use crate::tensor::TensorType;

/// The fast kernel; `None` where the reference has to do.
///
/// # Errors
/// As [`ParsedPool::clamp`].
pub fn fast_pool(
    parsed: &ParsedPool<'_>,
    pooling: Pooling,
    settings: &Settings,
) -> Result<Option<Prepared>, PrepareError> {
    let prepared = if let Some(element) = element8(parsed.ty()) {
        let problem = parsed.pool.fast(element, pooling, parsed.clamp()?);
        fast::choose::<Pool2dPrimitive>(settings.kernels, &problem)
            .map(|kernel| Prepared::new(FastPicture(kernel), [parsed.shape]))
    } else if parsed.ty() == TensorType::Float32 {
        let problem = fast::Pool2dFloat {
            pooling,
            windows: parsed.pool.windows(),
            range: float_range(parsed.activation),
        };
        fast::choose::<Pool2dFloatPrimitive>(settings.kernels, &problem)
            .map(|kernel| Prepared::new(FastPicture(kernel), [parsed.shape]))
    } else {
        None
    };
    Ok(prepared.map(|prepared| prepared.visits(parsed.visits())))
}

impl Pool2d {
    /// The same in plain numbers, for the fast kernels.
    pub(super) fn fast(
        &self,
        element: Element8,
        pooling: Pooling,
        clamp: (i32, i32),
    ) -> fast::Pool2d {
        fast::Pool2d {
            element,
            pooling,
            windows: self.windows(),
            clamp,
        }
    }

    pub(super) fn windows(&self) -> PoolWindows {
        PoolWindows {
            rows: self.rows.window(),
            columns: self.columns.window(),
            channels: self.channels,
        }
    }
}
