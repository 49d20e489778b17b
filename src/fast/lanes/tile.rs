//! The inner loop of matrix products: a tile of rows by vectors of output channels.
#![expect(unsafe_code, reason = "pointers of the inner loop")]

use super::Lanes;
use crate::fast::stage::StageVectors;

/// The operands of the tiles of one panel.
pub struct Panel<'a, L: Lanes> {
    /// Rows of `stride` activations each.
    pub activations: &'a [L::Activation],
    /// Activations from one row to the next, at least `steps * K`.
    pub stride: usize,
    /// Added to every sum of a row; empty where there is nothing to add.
    pub row_terms: &'a [i32],
    /// Vector after vector of output channels, each of `steps` times `N * K` weights.
    pub weights: &'a [L::Weight],
    /// Dot steps of one sum.
    pub steps: usize,
    /// Added to every sum of an output channel, padded to whole vectors.
    pub bias: &'a [i32],
    /// From sums to results.
    pub stage: &'a StageVectors,
}

/// Where a tile's results go.
pub struct Target<'a> {
    /// Results, starting with the first of the tile.
    pub output: &'a mut [u8],
    /// Results from one row to the next.
    pub stride: usize,
}

impl<L: Lanes> Panel<'_, L> {
    /// Computes rows `row..row + R` of the vectors `vector..vector + C`, of which the first `columns` channels exist.
    #[inline(always)]
    pub fn tile<const R: usize, const C: usize>(
        &self,
        lanes: L,
        row: usize,
        vector: usize,
        columns: usize,
        target: Target<'_>,
    ) {
        let activations = &self.activations[row * self.stride..];
        let per_vector = self.steps * L::N * L::K;
        let weights = &self.weights[vector * per_vector..];
        // What the pointers below read.
        assert!((R - 1) * self.stride + self.steps * L::K <= activations.len());
        assert!(C * per_vector <= weights.len());
        let from: [*const L::Activation; R] =
            std::array::from_fn(|r| activations.as_ptr().wrapping_add(r * self.stride));
        let with: [*const L::Weight; C] =
            std::array::from_fn(|c| weights.as_ptr().wrapping_add(c * per_vector));
        let bias: [L::Sum; C] =
            std::array::from_fn(|c| lanes.load_sums(&self.bias[(vector + c) * L::N..]));
        let mut sums: [[L::Sum; C]; R] = [bias; R];
        if !self.row_terms.is_empty() {
            for (r, sums) in sums.iter_mut().enumerate() {
                let term = lanes.splat_sum(self.row_terms[row + r]);
                for sum in sums {
                    *sum = lanes.add(*sum, term);
                }
            }
        }
        for step in 0..self.steps {
            let weights: [L::Weights; C] = std::array::from_fn(|c| {
                // SAFETY: vector `c` has `steps * N * K` weights, as asserted.
                unsafe { lanes.load_weights(with[c].wrapping_add(step * L::N * L::K)) }
            });
            for (r, sums) in sums.iter_mut().enumerate() {
                // SAFETY: row `r` has `steps * K` activations, as asserted.
                let activations = unsafe { lanes.splat(from[r].wrapping_add(step * L::K)) };
                for (sum, &weights) in sums.iter_mut().zip(&weights) {
                    *sum = lanes.dot(*sum, activations, weights);
                }
            }
        }
        let limits = self.stage.limits(lanes);
        let codes = self.stage.codes(lanes, sums, vector * L::N);
        let mut codes = codes.chunks_exact(2);
        let mut rows = 0;
        for pair in &mut codes {
            let (above, below) = target.output[rows * target.stride..].split_at_mut(target.stride);
            let to = [&mut above[..columns], &mut below[..columns]];
            lanes.store_rows(pair[0], pair[1], limits, to);
            rows += 2;
        }
        if let [codes] = codes.remainder() {
            let to = target.output[rows * target.stride..][..columns].chunks_mut(L::N);
            for (&codes, to) in codes.iter().zip(to) {
                lanes.store_codes(codes, limits, to);
            }
        }
    }
}
