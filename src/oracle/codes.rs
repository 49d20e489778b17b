//! The grid of a quantized activation: which real number each code stands for.

use crate::model::Tensor;
use crate::tensor::TensorType;

/// A value of the training side, and the code it stands for.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Reference {
    /// `value / scale + zero_point`.
    pub lsb: f64,
    /// Whether it lies on the tensor's own grid, as a value behind a FakeQuant node does.
    pub on_grid: bool,
}

/// How far from a code, in LSB, a value behind FakeQuant may be and still mean it: float32 values divided by scales that two
/// programs rounded differently.
const GRID_TOLERANCE: f64 = 0.02;

/// The scale, zero point and codes of a tensor.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Codes {
    /// One LSB.
    pub scale: f64,
    /// The code of real zero.
    pub zero_point: i32,
    /// The lowest and the highest code.
    pub range: (i32, i32),
}

impl Codes {
    /// The grid of a tensor of 8 or 16 bits with one finite scale above zero; `None` of other tensors.
    pub fn of(tensor: &Tensor) -> Option<Self> {
        let quantization = tensor.quantization.as_deref()?;
        let is_activation = matches!(
            tensor.ty,
            TensorType::UInt8 | TensorType::Int8 | TensorType::Int16
        );
        if quantization.is_per_channel() || !is_activation {
            return None;
        }
        let scale = quantization.scale();
        let scale = scale.filter(|scale| scale.is_finite() && *scale > 0.0)?;
        Some(Self {
            scale: scale.into(),
            zero_point: quantization.zero_point(),
            range: tensor.ty.integer_range()?,
        })
    }

    /// What a value of the training side is on this grid.
    pub fn reference(&self, value: f32) -> Reference {
        let lsb = f64::from(value) / self.scale + f64::from(self.zero_point);
        let rounded = lsb.round();
        let on_grid = (lsb - rounded).abs() <= GRID_TOLERANCE;
        Reference {
            lsb: if on_grid { rounded } else { lsb },
            on_grid,
        }
    }

    /// The code nearest to a value of the training side, ties away from zero, clamped.
    pub fn quantize(&self, value: f32) -> i32 {
        let code = (f64::from(value) / self.scale).round() + f64::from(self.zero_point);
        code.clamp(self.range.0.into(), self.range.1.into()) as i32
    }

    /// The largest distance, in LSB, between codes and the values they were made from.
    pub fn largest_distance(&self, codes: &[i32], values: &[f32]) -> f64 {
        let pairs = codes.iter().zip(values);
        pairs.fold(0.0, |largest: f64, (&code, &value)| {
            largest.max((f64::from(code) - self.reference(value).lsb).abs())
        })
    }

    /// The real number a code stands for.
    pub fn real(&self, code: i32) -> f64 {
        (f64::from(code) - f64::from(self.zero_point)) * self.scale
    }

    /// How many codes there are.
    pub fn count(&self) -> i32 {
        self.range.1 - self.range.0 + 1
    }
}
