//! The integer codes of a quantized tensor.

use super::RangeError;
use crate::tensor::TensorType;

/// A row of consecutive codes: 2 to 16 bits, signed or not, with or without the lowest.
///
/// Narrow grids leave the lowest code out. Weights are narrow: unsigned 1 to 255 is signed -127 to 127, so that a product
/// never is -128 * -128 and two products fit 16 bits (arXiv 1712.05877, appendix B).
///
/// ```
/// use corallite::oracle::Grid;
/// let weights = Grid::signed(8, true)?;
/// assert_eq!((weights.min(), weights.max(), weights.steps()), (-127, 127, 254));
/// # Ok::<(), corallite::oracle::qparams::RangeError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Grid {
    bits: u32,
    narrow: bool,
    signed: bool,
}

impl Grid {
    /// Codes from 0 (narrow: 1) to 2^bits - 1: what TensorFlow's FakeQuant operators count in.
    ///
    /// # Errors
    /// `bits` is not 2 to 16.
    pub fn unsigned(bits: u32, narrow: bool) -> Result<Self, RangeError> {
        Self::new(bits, narrow, false)
    }

    /// Codes from -2^(bits-1) (narrow: one more) to 2^(bits-1) - 1.
    ///
    /// # Errors
    /// `bits` is not 2 to 16.
    pub fn signed(bits: u32, narrow: bool) -> Result<Self, RangeError> {
        Self::new(bits, narrow, true)
    }

    /// All codes (narrow: all but the lowest) of uint8, int8 or int16.
    ///
    /// # Errors
    /// Any other type.
    pub fn of(ty: TensorType, narrow: bool) -> Result<Self, RangeError> {
        match ty {
            TensorType::UInt8 => Self::unsigned(8, narrow),
            TensorType::Int8 => Self::signed(8, narrow),
            TensorType::Int16 => Self::signed(16, narrow),
            found => Err(RangeError::Type { found }),
        }
    }

    fn new(bits: u32, narrow: bool, signed: bool) -> Result<Self, RangeError> {
        if !(2..=16).contains(&bits) {
            return Err(RangeError::Bits { found: bits });
        }
        Ok(Self {
            bits,
            narrow,
            signed,
        })
    }

    /// Bits of a code.
    pub fn bits(self) -> u32 {
        self.bits
    }

    /// Whether the lowest code is left out.
    pub fn is_narrow(self) -> bool {
        self.narrow
    }

    /// What to subtract from an unsigned code to get this grid's: 0, or 2^(bits-1).
    pub fn offset(self) -> i32 {
        if self.signed { 1 << (self.bits - 1) } else { 0 }
    }

    /// The lowest code.
    pub fn min(self) -> i32 {
        i32::from(self.narrow) - self.offset()
    }

    /// The highest code.
    pub fn max(self) -> i32 {
        (1 << self.bits) - 1 - self.offset()
    }

    /// Steps from the lowest code to the highest: one less than there are codes.
    pub fn steps(self) -> i32 {
        self.max() - self.min()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn grids_hold_the_codes_of_their_types() {
        let cases = [
            (TensorType::UInt8, false, 0, 255),
            (TensorType::UInt8, true, 1, 255),
            (TensorType::Int8, false, -128, 127),
            (TensorType::Int8, true, -127, 127),
            (TensorType::Int16, false, -32768, 32767),
            (TensorType::Int16, true, -32767, 32767),
        ];
        for (ty, narrow, min, max) in cases {
            let grid = Grid::of(ty, narrow).expect("quantized");
            assert_eq!((grid.min(), grid.max()), (min, max), "{ty} {narrow}");
        }
        let grid = Grid::unsigned(2, true).expect("bits");
        assert_eq!((grid.min(), grid.max()), (1, 3));
    }

    #[test]
    fn grids_of_other_sizes_and_types_are_refused() {
        for bits in [0, 1, 17, u32::MAX] {
            let error = Grid::unsigned(bits, false).unwrap_err();
            assert_eq!(error.to_string(), format!("{bits} bits, expected 2 to 16"));
        }
        let error = Grid::of(TensorType::Float32, false).unwrap_err();
        let message = "float32 is not quantized, expected uint8, int8 or int16";
        assert_eq!(error.to_string(), message);
    }
}
