//! Shapes whose element count is known not to overflow.

use super::ShapeError;
use std::fmt;

/// The highest rank a tensor may have.
pub const MAX_RANK: usize = 8;

/// The extent of a tensor along each axis, outermost first; rank 0 is a scalar.
///
/// A `Shape` has at most [`MAX_RANK`] axes and at most `i32::MAX` elements, so products of its dimensions need no
/// further check.
///
/// ```
/// use corallite::tensor::Shape;
/// let nhwc = Shape::new(&[1, 224, 224, 3])?;
/// assert_eq!(nhwc.count(), 150_528);
/// assert_eq!(nhwc.to_string(), "[1, 224, 224, 3]");
/// # Ok::<(), corallite::tensor::ShapeError>(())
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Shape {
    rank: u8,
    dims: [usize; MAX_RANK],
}

impl Shape {
    /// The shape of a single value.
    pub const SCALAR: Self = Self {
        rank: 0,
        dims: [1; MAX_RANK],
    };

    /// Checks the rank and the element count.
    ///
    /// # Errors
    /// More than [`MAX_RANK`] axes, or a product of dimensions beyond `i32::MAX`, TFLite's own limit. A dimension of
    /// zero hides no overflow: the product is taken as if it were one.
    pub fn new(dims: &[usize]) -> Result<Self, ShapeError> {
        if dims.len() > MAX_RANK {
            return Err(ShapeError::Rank { rank: dims.len() });
        }
        let mut shape = Self::SCALAR;
        let mut product = 1usize;
        for (to, &dim) in shape.dims.iter_mut().zip(dims) {
            product = product
                .checked_mul(dim.max(1))
                .filter(|&count| count <= i32::MAX as usize)
                .ok_or_else(|| ShapeError::Count {
                    dims: dims.to_vec(),
                })?;
            *to = dim;
        }
        shape.rank = dims.len() as u8;
        Ok(shape)
    }

    /// The same from the signed dimensions that model files hold.
    ///
    /// # Errors
    /// As [`Shape::new`], and a negative dimension.
    pub fn from_i32(dims: &[i32]) -> Result<Self, ShapeError> {
        if dims.len() > MAX_RANK {
            return Err(ShapeError::Rank { rank: dims.len() });
        }
        let mut unsigned = [0usize; MAX_RANK];
        for (axis, (to, &dim)) in unsigned.iter_mut().zip(dims).enumerate() {
            *to = usize::try_from(dim).map_err(|_| ShapeError::Negative { axis, dim })?;
        }
        Self::new(&unsigned[..dims.len()])
    }

    /// The dimensions, outermost first.
    pub fn dims(&self) -> &[usize] {
        &self.dims[..self.rank()]
    }

    /// The number of axes.
    pub fn rank(&self) -> usize {
        usize::from(self.rank)
    }

    /// The number of elements; 1 for a scalar.
    pub fn count(&self) -> usize {
        self.dims().iter().product()
    }

    /// The extent along `axis`, or `None` past the last axis.
    pub fn dim(&self, axis: usize) -> Option<usize> {
        self.dims().get(axis).copied()
    }

    /// The extent along the innermost axis; 1 for a scalar.
    pub fn last(&self) -> usize {
        self.dims().last().copied().unwrap_or(1)
    }

    /// The dimensions padded with leading ones to exactly `N` axes, or `None` when the rank is above `N`.
    pub fn extended<const N: usize>(&self) -> Option<[usize; N]> {
        let lead = N.checked_sub(self.rank())?;
        let mut dims = [1; N];
        dims[lead..].copy_from_slice(self.dims());
        Some(dims)
    }

    /// An axis as models write it, negative counting from the end, as an index below the rank.
    ///
    /// ```
    /// # use corallite::tensor::Shape;
    /// assert_eq!(Shape::new(&[1, 10])?.axis(-1), Some(1));
    /// assert_eq!(Shape::new(&[1, 10])?.axis(2), None);
    /// # Ok::<(), corallite::tensor::ShapeError>(())
    /// ```
    pub fn axis(&self, axis: i32) -> Option<usize> {
        let from_front = if axis < 0 {
            axis.checked_add(i32::from(self.rank))?
        } else {
            axis
        };
        usize::try_from(from_front)
            .ok()
            .filter(|&a| a < self.rank())
    }
}

impl fmt::Display for Shape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&format!("{:?}", self.dims()))
    }
}

impl fmt::Debug for Shape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.dims())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shape_refuses_counts_beyond_i32() {
        // 46341^2 = 2_147_488_281 > 2^31 - 1; 46340^2 = 2_147_395_600 fits.
        assert!(Shape::new(&[46_341, 46_341]).is_err());
        assert_eq!(
            Shape::new(&[46_340, 46_340]).map(|s| s.count()),
            Ok(2_147_395_600)
        );
    }

    #[test]
    fn zero_dimension_hides_no_overflow() {
        assert!(Shape::new(&[0, 1 << 20, 1 << 20]).is_err());
        assert_eq!(Shape::new(&[0, 5]).map(|s| s.count()), Ok(0));
    }

    #[test]
    fn rank_nine_and_negative_dimensions_are_named() {
        assert_eq!(Shape::new(&[1; 9]), Err(ShapeError::Rank { rank: 9 }));
        assert_eq!(
            Shape::from_i32(&[1, -1]),
            Err(ShapeError::Negative { axis: 1, dim: -1 })
        );
    }

    #[test]
    fn extension_pads_in_front() {
        let shape = Shape::new(&[2, 3]).expect("small");
        assert_eq!(shape.extended::<4>(), Some([1, 1, 2, 3]));
        assert_eq!(shape.extended::<1>(), None);
    }
}
