//! The affine map between stored integers and real numbers.

/// Scale and zero point of a tensor: `real = scale * (stored - zero_point)`.
///
/// One pair holds for the whole tensor, or one pair per slice along [`axis`](Self::axis) (per channel). Real zero is
/// always exactly representable, which is why the zero point is an integer (arXiv 1712.05877, section 2.1).
///
/// ```
/// use corallite::tensor::Quantization;
/// let q = Quantization::per_tensor(0.5, 10);
/// assert_eq!(q.dequantize(12), Some(1.0));
/// assert!(!q.is_per_channel());
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct Quantization {
    scales: Vec<f32>,
    zero_points: Vec<i64>,
    axis: usize,
}

impl Quantization {
    /// One scale and zero point for the whole tensor.
    pub fn per_tensor(scale: f32, zero_point: i32) -> Self {
        Self {
            scales: vec![scale],
            zero_points: vec![zero_point.into()],
            axis: 0,
        }
    }

    /// Parameters as a file declares them, not yet judged: counts may differ and values may be meaningless.
    /// Verification of a model reports what is wrong with them.
    pub fn new(scales: Vec<f32>, zero_points: Vec<i64>, axis: usize) -> Self {
        Self {
            scales,
            zero_points,
            axis,
        }
    }

    /// The scales: one, or one per slice along the axis.
    pub fn scales(&self) -> &[f32] {
        &self.scales
    }

    /// The zero points as stored in the file: 64-bit there, within the tensor's type once verified.
    pub fn zero_points(&self) -> &[i64] {
        &self.zero_points
    }

    /// The axis the slices of a per-channel quantization lie along.
    pub fn axis(&self) -> usize {
        self.axis
    }

    /// Whether there is more than one scale.
    pub fn is_per_channel(&self) -> bool {
        self.scales.len() > 1
    }

    /// The first scale: the tensor's where it is quantized as a whole.
    pub fn scale(&self) -> Option<f32> {
        self.scales.first().copied()
    }

    /// The first zero point, 0 where none is stored, limited to `i32`.
    pub fn zero_point(&self) -> i32 {
        let first = self.zero_points.first().copied().unwrap_or(0);
        i32::try_from(first).unwrap_or(if first < 0 { i32::MIN } else { i32::MAX })
    }

    /// The real number that `stored` stands for under the first scale, rounded once to float32.
    pub fn dequantize(&self, stored: i32) -> Option<f32> {
        let offset = i64::from(stored) - i64::from(self.zero_point());
        Some((f64::from(self.scale()?) * offset as f64) as f32)
    }
}
