//! From the bytes of a picture to the values of an input tensor.
//!
//! Training scaled pixels as `(pixel - mean) / std`; the input tensor holds that real number as
//! `real / scale + zero_point`. A byte has 256 values, so the whole map is a table made once.
//!
//! The rule is that of pycoral's `examples/classify_image.py`: where `scale * std` is 1 and `mean` is the zero point, each
//! within 1e-5, the pixel itself is the value; otherwise `(pixel - mean) / (std * scale) + zero_point`, clipped to the type
//! and cut off (not rounded) to an integer. pycoral knows only uint8. For int8 the formula is the same and the result is
//! rounded to nearest, so that `pixel - 128` comes out exactly where the parameters mean it.

use super::VisionError;
use crate::tensor::TensorType;

/// What training did to pixels: `(pixel - mean) / std`, in units of a byte.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Normalization {
    pub mean: f64,
    pub std: f64,
}

/// pycoral's own: from [0, 255] to about [-1, 1].
impl Default for Normalization {
    fn default() -> Self {
        Self {
            mean: 128.0,
            std: 128.0,
        }
    }
}

impl Normalization {
    fn check(self) -> Result<Self, VisionError> {
        let Self { mean, std } = self;
        if mean.is_finite() && std.is_finite() && std > 0.0 {
            Ok(self)
        } else {
            Err(VisionError::Normalization { mean, std })
        }
    }
}

/// The input value for each of the 256 values of a byte.
///
/// ```
/// use corallite::vision::{Normalization, PixelTable};
///
/// // The usual input of Coral's classifiers: scale 1/128, zero point 128.
/// let table = PixelTable::uint8(1.0 / 128.0, 128, Normalization::default())?;
/// let mut input = [0; 3];
/// table.apply(&[0, 100, 255], &mut input)?;
/// assert_eq!(input, [0, 100, 255]);
/// # Ok::<(), corallite::vision::VisionError>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct PixelTable<T> {
    values: [T; 256],
}

impl PixelTable<u8> {
    /// For a uint8 input of this scale and zero point.
    ///
    /// # Errors
    ///
    /// The scale, the zero point or the normalization has no meaning.
    pub fn uint8(
        scale: f32,
        zero_point: i32,
        normalization: Normalization,
    ) -> Result<Self, VisionError> {
        let affine = Affine::new(scale, zero_point, normalization, TensorType::UInt8)?;
        Ok(Self::from_fn(|pixel| {
            if affine.is_identity {
                pixel
            } else {
                affine.value(pixel).clamp(0.0, 255.0) as u8
            }
        }))
    }
}

impl PixelTable<i8> {
    /// For an int8 input of this scale and zero point.
    ///
    /// # Errors
    ///
    /// The scale, the zero point or the normalization has no meaning.
    pub fn int8(
        scale: f32,
        zero_point: i32,
        normalization: Normalization,
    ) -> Result<Self, VisionError> {
        let affine = Affine::new(scale, zero_point, normalization, TensorType::Int8)?;
        Ok(Self::from_fn(|pixel| {
            affine.value(pixel).clamp(-128.0, 127.0).round() as i8
        }))
    }

    /// `pixel - 128`: the whole range of a byte onto the whole range of the type, whatever the input's scale.
    pub fn int8_shifted() -> Self {
        Self::from_fn(|pixel| (pixel ^ 0x80) as i8)
    }
}

impl PixelTable<f32> {
    /// For a float32 input.
    ///
    /// # Errors
    ///
    /// The normalization has no meaning.
    pub fn float32(normalization: Normalization) -> Result<Self, VisionError> {
        let Normalization { mean, std } = normalization.check()?;
        Ok(Self::from_fn(|pixel| {
            ((f64::from(pixel) - mean) / std) as f32
        }))
    }
}

impl<T: Copy> PixelTable<T> {
    fn from_fn(value: impl Fn(u8) -> T) -> Self {
        Self {
            values: std::array::from_fn(|pixel| value(pixel as u8)),
        }
    }

    /// The value for a pixel.
    pub fn value(&self, pixel: u8) -> T {
        self.values[usize::from(pixel)]
    }

    /// Writes the value of each of `pixels` into `input`, in order.
    ///
    /// # Errors
    ///
    /// The two differ in length.
    pub fn apply(&self, pixels: &[u8], input: &mut [T]) -> Result<(), VisionError> {
        if pixels.len() != input.len() {
            return Err(VisionError::Length {
                expected: input.len(),
                found: pixels.len(),
            });
        }
        for (value, pixel) in input.iter_mut().zip(pixels) {
            *value = self.value(*pixel);
        }
        Ok(())
    }
}

/// `(pixel - mean) / divisor + zero_point`.
struct Affine {
    mean: f64,
    divisor: f64,
    zero_point: f64,
    is_identity: bool,
}

impl Affine {
    fn new(
        scale: f32,
        zero_point: i32,
        normalization: Normalization,
        ty: TensorType,
    ) -> Result<Self, VisionError> {
        let Normalization { mean, std } = normalization.check()?;
        let in_type = ty
            .integer_range()
            .is_some_and(|(low, high)| (low..=high).contains(&zero_point));
        // numpy multiplies a float32 array by a Python number in float32, and divides float64 by the result.
        let divisor = std as f32 * scale;
        if !(in_type && scale > 0.0 && divisor > 0.0 && divisor.is_finite()) {
            return Err(VisionError::Quantization {
                scale,
                zero_point,
                ty,
            });
        }
        let zero_point = f64::from(zero_point);
        let is_identity = (divisor - 1.0).abs() < 1e-5 && (mean - zero_point).abs() < 1e-5;
        Ok(Self {
            mean,
            divisor: f64::from(divisor),
            zero_point,
            is_identity,
        })
    }

    fn value(&self, pixel: u8) -> f64 {
        (f64::from(pixel) - self.mean) / self.divisor + self.zero_point
    }
}
