//! The differences between a tensor's codes and the training side's, as moments.

use std::f64::consts::PI;

/// Moments of the differences in a tensor, in LSB. Elements follow each other in the order of the tensor, and the list
/// repeats: one entry stands for all elements, as many as there are channels for the channels of all pixels.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Errors {
    moments: Vec<Moments>,
}

/// Of one element.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub(super) struct Moments {
    /// Mean square.
    pub(super) square: f64,
    /// Mean magnitude. Differences of codes are rare and whole, so it is far below the root of the mean square.
    pub(super) magnitude: f64,
}

impl Errors {
    /// No differences.
    pub(super) fn none() -> Self {
        Self::of(vec![Moments::default()])
    }

    /// `moments` again and again; none stands for no differences.
    pub(super) fn of(moments: Vec<Moments>) -> Self {
        match moments.is_empty() {
            true => Self::none(),
            false => Self { moments },
        }
    }

    /// Of the element at this place of the tensor.
    pub(super) fn at(&self, element: usize) -> Moments {
        self.moments[element % self.moments.len()]
    }

    /// How many elements follow each other before the list repeats.
    pub(super) fn period(&self) -> usize {
        self.moments.len()
    }

    /// The same for all elements.
    pub(super) fn mean(&self) -> Moments {
        let count = self.moments.len() as f64;
        Moments {
            square: self.moments.iter().map(|m| m.square).sum::<f64>() / count,
            magnitude: self.moments.iter().map(|m| m.magnitude).sum::<f64>() / count,
        }
    }

    /// What `change` makes of each element.
    pub(super) fn map(&self, change: impl Fn(Moments) -> Moments) -> Self {
        Self::of(self.moments.iter().map(|&m| change(m)).collect())
    }

    /// Root mean square of all elements.
    pub(super) fn rms(&self) -> f64 {
        self.mean().square.sqrt()
    }
}

impl Moments {
    /// Of a number anywhere within `half_width` of zero.
    pub(super) fn uniform(half_width: f64) -> Self {
        Self {
            square: half_width * half_width / 3.0,
            magnitude: half_width / 2.0,
        }
    }

    /// Of the difference times `factor`.
    pub(super) fn times(self, factor: f64) -> Self {
        Self {
            square: self.square * factor * factor,
            magnitude: self.magnitude * factor.abs(),
        }
    }

    /// Of the sum of two independent differences. The magnitude of a sum is at most the sum of magnitudes, and of many
    /// terms that of a normal distribution.
    pub(super) fn plus(self, other: Self) -> Self {
        Self {
            square: self.square + other.square,
            magnitude: self.magnitude + other.magnitude,
        }
        .normal_at_most()
    }

    /// Where only a fraction of the elements lets its differences through.
    pub(super) fn in_fraction(self, fraction: f64) -> Self {
        Self {
            square: self.square * fraction,
            magnitude: self.magnitude * fraction,
        }
    }

    fn normal_at_most(self) -> Self {
        let normal = (self.square * 2.0 / PI).sqrt();
        Self {
            magnitude: self.magnitude.min(normal),
            ..self
        }
    }

    /// Of the difference of two codes whose real numbers differ by this, wherever between two codes they lie.
    ///
    /// A difference of `d = k + f` (`k` whole, `0 <= f < 1`) becomes `k` or, with probability `f`, `k + 1`. Its mean
    /// magnitude stays `|d|`, its mean square becomes `d^2 + f (1 - f)`. For a normal `d` of variance `v` the second term
    /// is `1/6 - sum of exp(-2 pi^2 n^2 v) / (pi^2 n^2)` over n = 1, 2, ..., from the Fourier series of `f (1 - f)`; it is
    /// at most `|d|`, which decides where differences are rare.
    pub(super) fn rounded(self) -> Self {
        let term = |n: u32| {
            let n = f64::from(n);
            (-2.0 * PI * PI * n * n * self.square).exp() / (PI * PI * n * n)
        };
        let normal = 1.0 / 6.0 - (1..=200).map(term).sum::<f64>();
        Self {
            square: self.square + normal.clamp(0.0, 1.0 / 6.0).min(self.magnitude),
            ..self
        }
    }

    /// Of a code against the real number that the training side did not round, where the two real numbers differ by this.
    pub(super) fn against_real(self) -> Self {
        self.plus(Self::uniform(0.5))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Codes of `x` and `x + d` for `x` on a fine grid between two codes and `d` of a normal distribution, by summation.
    fn by_summation(sigma: f64) -> Moments {
        let (mut square, mut magnitude, mut weight) = (0.0, 0.0, 0.0);
        for step in -400..=400 {
            let d = f64::from(step) * sigma / 80.0;
            let density = (-0.5 * (d / sigma) * (d / sigma)).exp();
            for x in 0..500 {
                let x = (f64::from(x) + 0.5) / 500.0;
                let difference = (x + d).round() - x.round();
                square += density * difference * difference;
                magnitude += density * difference.abs();
                weight += density;
            }
        }
        Moments {
            square: square / weight,
            magnitude: magnitude / weight,
        }
    }

    #[test]
    fn rounding_adds_what_summation_finds() {
        for sigma in [0.05, 0.2, 0.5, 1.0, 3.0] {
            let expected = by_summation(sigma);
            let normal = Moments {
                square: sigma * sigma,
                magnitude: (2.0 / PI).sqrt() * sigma,
            };
            let found = normal.rounded();
            assert!(
                (found.square / expected.square - 1.0).abs() < 0.01,
                "{sigma}: {found:?}, {expected:?}"
            );
            assert!(
                (found.magnitude / expected.magnitude - 1.0).abs() < 0.01,
                "{sigma}: {found:?}, {expected:?}"
            );
        }
    }

    #[test]
    fn rare_differences_stay_rare() {
        // One element in a hundred is off by 0.1: one in a thousand codes is off by 1.
        let rare = Moments {
            square: 0.01 * 0.01,
            magnitude: 0.01 * 0.1,
        };
        let found = rare.rounded();
        assert!((found.square - 0.001).abs() < 2e-4, "{found:?}");
        assert_eq!(found.magnitude, rare.magnitude);
    }

    #[test]
    fn moments_of_uniform_numbers() {
        // The integral of x^2 and |x| over [-1/2, 1/2]: 1/12 and 1/4.
        let found = Moments::uniform(0.5);
        assert!((found.square - 1.0 / 12.0).abs() < 1e-15);
        assert_eq!(found.magnitude, 0.25);
    }

    #[test]
    fn lists_repeat() {
        let one = Moments::uniform(1.0);
        let errors = Errors::of(vec![Moments::default(), one]);
        assert_eq!((errors.at(6), errors.at(7)), (Moments::default(), one));
        assert_eq!(errors.rms(), (1.0f64 / 6.0).sqrt());
    }
}
