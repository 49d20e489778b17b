//! How far codes are from the training side's values, in LSB: counts, moments, a histogram and what they say.

use crate::oracle::codes::{Codes, Reference};

/// Differences of codes and reference values of one tensor. One LSB is one step of the tensor's scale.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Statistics {
    /// Elements seen.
    pub count: u64,
    /// Elements whose code is not the reference's.
    pub differing: u64,
    /// Largest magnitude of a difference.
    pub max: f64,
    sum: f64,
    sum_of_magnitudes: f64,
    sum_of_squares: f64,
    reference_energy: f64,
    error_energy: f64,
    /// Differences from -8 to 8, rounded; the ends hold those beyond.
    pub histogram: [u64; 17],
    /// Elements at the lowest code, other than a ReLU's zero.
    pub saturated_low: u64,
    /// Elements at the highest code.
    pub saturated_high: u64,
    /// By code minus the lowest code, whether it occurred; 8-bit tensors alone.
    used: [u64; 4],
    reference_span: (f64, f64),
    represented_span: f64,
}

/// How far, in LSB, a float32 value half way between two codes may be told from the half: 2^15 codes, each within 2^-24 of
/// itself.
const FLOAT_ERROR: f64 = 2e-3;

impl Statistics {
    pub(super) fn new(codes: &Codes) -> Self {
        Self {
            count: 0,
            differing: 0,
            max: 0.0,
            sum: 0.0,
            sum_of_magnitudes: 0.0,
            sum_of_squares: 0.0,
            reference_energy: 0.0,
            error_energy: 0.0,
            histogram: [0; 17],
            saturated_low: 0,
            saturated_high: 0,
            used: [0; 4],
            reference_span: (f64::INFINITY, f64::NEG_INFINITY),
            represented_span: f64::from(codes.range.1 - codes.range.0) * codes.scale,
        }
    }

    pub(super) fn add(&mut self, codes: &Codes, code: i32, value: f32, reference: Reference) {
        let difference = f64::from(code) - reference.lsb;
        let magnitude = difference.abs();
        self.count += 1;
        // Off the grid half a step is the rounding that the training side did not do.
        let same = if reference.on_grid {
            0.0
        } else {
            0.5 + FLOAT_ERROR
        };
        self.differing += u64::from(magnitude > same);
        self.max = self.max.max(magnitude);
        self.sum += difference;
        self.sum_of_magnitudes += magnitude;
        self.sum_of_squares += difference * difference;
        let value = f64::from(value);
        self.reference_energy += value * value;
        let error = value - codes.real(code);
        self.error_energy += error * error;
        let bin = difference.round().clamp(-8.0, 8.0) as i32 + 8;
        self.histogram[bin as usize] += 1;
        let (low, high) = codes.range;
        self.saturated_low += u64::from(code == low && low != codes.zero_point);
        self.saturated_high += u64::from(code == high);
        if let Some(word) = self.used.get_mut((code - low) as usize / 64) {
            *word |= 1 << ((code - low) % 64);
        }
        self.reference_span.0 = self.reference_span.0.min(value);
        self.reference_span.1 = self.reference_span.1.max(value);
    }

    fn per_element(&self, sum: f64) -> f64 {
        if self.count == 0 {
            return 0.0;
        }
        sum / self.count as f64
    }

    /// Mean difference with its sign: far from 0 it says bias or zero point.
    pub fn mean(&self) -> f64 {
        self.per_element(self.sum)
    }

    /// Mean magnitude of the differences.
    pub fn mean_magnitude(&self) -> f64 {
        self.per_element(self.sum_of_magnitudes)
    }

    /// Root mean square of the differences.
    pub fn rms(&self) -> f64 {
        self.per_element(self.sum_of_squares).sqrt()
    }

    /// The fraction of elements whose code is not the reference's.
    pub fn fraction_differing(&self) -> f64 {
        self.per_element(self.differing as f64)
    }

    /// Signal to quantization noise in dB: `10 log10(sum of squares / sum of squared errors)`; infinite without errors.
    pub fn sqnr_db(&self) -> f64 {
        10.0 * (self.reference_energy / self.error_energy).log10()
    }

    /// Bits that a full-scale sine of this signal to noise ratio would need: `(SQNR - 1.76) / 6.02`.
    pub fn effective_bits(&self) -> f64 {
        (self.sqnr_db() - 1.76) / 6.02
    }

    /// The fraction of elements at the lowest code, other than a ReLU's zero.
    pub fn fraction_saturated_low(&self) -> f64 {
        self.per_element(self.saturated_low as f64)
    }

    /// The fraction of elements at the highest code.
    pub fn fraction_saturated_high(&self) -> f64 {
        self.per_element(self.saturated_high as f64)
    }

    /// Codes that occurred, of 8-bit tensors.
    pub fn codes_used(&self) -> u32 {
        self.used.iter().map(|word| word.count_ones()).sum()
    }

    /// The training side's span of values over the span that the codes represent.
    pub fn range_use(&self) -> f64 {
        if self.count == 0 {
            return 0.0;
        }
        (self.reference_span.1 - self.reference_span.0) / self.represented_span
    }

    /// The lowest and the highest value of the training side.
    pub fn reference_span(&self) -> (f64, f64) {
        self.reference_span
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CODES: Codes = Codes {
        scale: 0.5,
        zero_point: 0,
        range: (0, 255),
    };

    fn of(pairs: &[(i32, f32)]) -> Statistics {
        let mut statistics = Statistics::new(&CODES);
        for &(code, value) in pairs {
            statistics.add(&CODES, code, value, CODES.reference(value));
        }
        statistics
    }

    #[test]
    fn differences_are_counted_in_steps_of_the_scale() {
        // 10 against 5.0 = 10 LSB, 12 against 10 LSB, 7 against 8 LSB, 0 against 0.
        let statistics = of(&[(10, 5.0), (12, 5.0), (7, 4.0), (0, 0.0)]);
        assert_eq!((statistics.count, statistics.differing), (4, 2));
        assert_eq!(statistics.max, 2.0);
        assert_eq!(statistics.mean(), 0.25);
        assert_eq!(statistics.mean_magnitude(), 0.75);
        assert_eq!(statistics.rms(), (5.0f64 / 4.0).sqrt());
        assert_eq!(statistics.histogram[8 + 2], 1);
        assert_eq!(statistics.histogram[8 - 1], 1);
        assert_eq!(statistics.codes_used(), 4);
        // Energy 25 + 25 + 16 against errors of 1 and 0.5: 10 log10(66 / 1.25).
        assert!((statistics.sqnr_db() - 17.2263).abs() < 1e-3);
    }

    #[test]
    fn values_off_the_grid_differ_beyond_half_a_step() {
        // 10.5 LSB in float32, and a last place more.
        assert_eq!(
            of(&[(10, 5.25), (10, 5.250_000_5), (11, 5.25)]).differing,
            0
        );
        assert_eq!(of(&[(10, 5.2)]).differing, 0);
        assert_eq!(of(&[(10, 5.3)]).differing, 1);
    }

    #[test]
    fn zero_of_a_relu_is_no_saturation() {
        let statistics = of(&[(0, 0.0), (255, 127.5), (255, 200.0)]);
        assert_eq!(
            (statistics.saturated_low, statistics.saturated_high),
            (0, 2)
        );
        assert_eq!(statistics.range_use(), 200.0 / 127.5);
    }
}
