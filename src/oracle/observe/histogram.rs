//! Counts of values in bins of equal width, bounded in memory whatever is observed.

/// Bins on either side of zero. With 8-bit grids a step is then at least eight bins, unless outliers widen the bins.
const HALF: usize = 2048;

/// A histogram around zero whose bins double in width when a value falls outside. Widths are powers of two, so old counts
/// move into new bins without error.
#[derive(Clone, Debug)]
pub(super) struct Histogram {
    /// `counts[HALF + i]` counts values in `[i, i + 1) * width`.
    counts: Vec<u64>,
    width: f64,
}

impl Histogram {
    pub(super) fn new() -> Self {
        Self {
            counts: vec![0; 2 * HALF],
            // The smallest number of float32: the first batch sets the width.
            width: f64::from(f32::from_bits(1)),
        }
    }

    /// Counts a finite value.
    pub(super) fn count(&mut self, value: f32) {
        let value = f64::from(value);
        loop {
            // Division by a power of two is exact.
            let bin = (value / self.width).floor() + HALF as f64;
            if (0.0..2.0 * HALF as f64).contains(&bin) {
                self.counts[bin as usize] += 1;
                return;
            }
            self.double();
        }
    }

    fn double(&mut self) {
        self.width *= 2.0;
        let mut merged = vec![0; 2 * HALF];
        for (pair, counts) in self.counts.chunks_exact(2).enumerate() {
            merged[HALF / 2 + pair] = counts[0] + counts[1];
        }
        self.counts = merged;
    }

    /// Bins that hold something, lowest first: lower end, upper end, count.
    pub(super) fn bins(&self) -> impl DoubleEndedIterator<Item = (f64, f64, u64)> {
        let filled = self
            .counts
            .iter()
            .enumerate()
            .filter(|(_, count)| **count > 0);
        filled.map(|(bin, &count)| {
            let low = (bin as f64 - HALF as f64) * self.width;
            (low, low + self.width, count)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bins_widen_until_every_value_fits() {
        let mut histogram = Histogram::new();
        for value in [0.0, 0.75, -0.25, 1000.0, -1000.0, 1000.25] {
            histogram.count(value);
        }
        // 1000.25 needs bins of 0.5: 2048 * 0.5 = 1024.
        let bins: Vec<_> = histogram.bins().collect();
        let expected = [
            (-1000.0, -999.5, 1),
            (-0.5, 0.0, 1),
            (0.0, 0.5, 1),
            (0.5, 1.0, 1),
            (1000.0, 1000.5, 2),
        ];
        assert_eq!(bins, expected);
        histogram.count(f32::MAX);
        assert_eq!(histogram.bins().map(|(_, _, count)| count).sum::<u64>(), 7);
    }
}
