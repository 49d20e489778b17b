//! What a layer is, and what the differences of an unexplained one look like.

use super::Codes;

/// What a layer is, on the training side's own inputs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// Every code is the training side's.
    Exact,
    /// Every difference is rounding, by the error law or by the operator's tolerance.
    Explained,
    /// Some differences are not rounding.
    Unexplained,
    /// Not all inputs of the layer are known from the training side.
    NotJudged,
}

impl std::fmt::Display for Verdict {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(match self {
            Self::Exact => "exact",
            Self::Explained => "explained",
            Self::Unexplained => "UNEXPLAINED",
            Self::NotJudged => "-",
        })
    }
}

/// Sums over a layer's elements from which causes are read: by channel the training side's value (y) beside the real number
/// of the integer layer (x), both in LSB, clipped ones left out.
#[derive(Debug, Clone, Default)]
pub(super) struct Evidence {
    channels: Vec<Channel>,
    /// Elements whose value on the training side lies beyond the codes.
    pub(super) beyond: u64,
    pub(super) count: u64,
}

#[derive(Debug, Clone, Copy, Default)]
struct Channel {
    n: f64,
    x: f64,
    y: f64,
    xx: f64,
    xy: f64,
    yy: f64,
}

/// Spread, in LSB, of differences that are constant but for rounding: a uniform error of one LSB has 0.29.
const CONSTANT: f64 = 0.45;

impl Evidence {
    pub(super) fn add(&mut self, codes: &Codes, y: f64, x: f64, channel: usize, channels: usize) {
        self.count += 1;
        let (low, high) = (f64::from(codes.range.0), f64::from(codes.range.1));
        if y > high + 0.5 || y < low - 0.5 {
            self.beyond += 1;
            return;
        }
        let inside = |value: f64| value > low && value < high;
        if !inside(x) || !inside(y) || y == f64::from(codes.zero_point) {
            return;
        }
        if self.channels.len() != channels {
            self.channels = vec![Channel::default(); channels];
        }
        let sums = &mut self.channels[channel];
        sums.n += 1.0;
        sums.x += x;
        sums.y += y;
        sums.xx += x * x;
        sums.xy += x * y;
        sums.yy += y * y;
    }

    /// The fraction of the training side's values that the tensor cannot represent.
    pub(super) fn fraction_beyond(&self) -> f64 {
        self.beyond as f64 / self.count.max(1) as f64
    }

    /// By channel the mean of `x - y`, where each channel's differences are constant but for rounding.
    pub(super) fn channel_offsets(&self) -> Option<Vec<f64>> {
        let mut offsets = Vec::with_capacity(self.channels.len());
        for sums in &self.channels {
            if sums.n < 2.0 {
                offsets.push(f64::NAN);
                continue;
            }
            let mean = (sums.x - sums.y) / sums.n;
            let squares = sums.xx - 2.0 * sums.xy + sums.yy;
            let variance = (squares / sums.n - mean * mean).max(0.0);
            if variance.sqrt() > CONSTANT {
                return None;
            }
            offsets.push(mean);
        }
        offsets.iter().any(|o| o.is_finite()).then_some(offsets)
    }

    /// The slope of `x` over `y` around the zero point, where one line fits all elements to within rounding.
    pub(super) fn slope(&self, zero_point: i32) -> Option<f64> {
        let z = f64::from(zero_point);
        let (mut n, mut xx, mut xy, mut yy) = (0.0, 0.0, 0.0, 0.0);
        for s in &self.channels {
            n += s.n;
            xx += s.xx - 2.0 * z * s.x + s.n * z * z;
            xy += s.xy - z * (s.x + s.y) + s.n * z * z;
            yy += s.yy - 2.0 * z * s.y + s.n * z * z;
        }
        if n < 8.0 || yy <= 0.0 {
            return None;
        }
        let slope = xy / yy;
        let residual = ((xx - slope * xy) / n).max(0.0).sqrt();
        (residual <= 2.0 * CONSTANT).then_some(slope)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CODES: Codes = Codes {
        scale: 1.0,
        zero_point: 0,
        range: (0, 255),
    };

    fn evidence(pairs: &[(f64, f64)], channels: usize) -> Evidence {
        let mut evidence = Evidence::default();
        for (index, &(y, x)) in pairs.iter().enumerate() {
            evidence.add(&CODES, y, x, index % channels, channels);
        }
        evidence
    }

    #[test]
    fn constant_differences_by_channel_are_offsets() {
        let pairs = [(10.0, 13.0), (20.0, 19.0), (30.0, 33.0), (50.0, 49.0)];
        let found = evidence(&pairs, 2);
        assert_eq!(found.channel_offsets(), Some(vec![3.0, -1.0]));
        assert_eq!(evidence(&pairs, 1).channel_offsets(), None);
    }

    #[test]
    fn proportional_values_have_a_slope() {
        let pairs: Vec<_> = (1..20)
            .map(|i| (4.0 * f64::from(i), 6.0 * f64::from(i)))
            .collect();
        assert_eq!(evidence(&pairs, 1).slope(0), Some(1.5));
        assert_eq!(evidence(&pairs, 1).channel_offsets(), None);
    }

    #[test]
    fn values_beyond_the_codes_are_counted_apart() {
        let found = evidence(&[(300.0, 255.0), (100.0, 100.0)], 1);
        assert_eq!(found.fraction_beyond(), 0.5);
    }
}
