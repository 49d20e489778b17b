//! The inner loop of matrix products: tiles of rows by vectors of output channels.
#![expect(unsafe_code, reason = "pointers of the inner loop")]

use super::Lanes;
use crate::fast::stage::{Scales, StageView};

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
    /// By vector: whether [`Lanes::whole_tile`] may have it.
    pub suits_whole_tile: &'a [bool],
    /// Dot steps of one sum.
    pub steps: usize,
    /// Added to every sum of an output channel, padded to whole vectors.
    pub bias: &'a [i32],
    /// From sums to results.
    pub stage: StageView<'a>,
}

/// Where results go.
pub struct Target<'a> {
    /// Results, starting with the first that is computed.
    pub output: &'a mut [u8],
    /// Results from one row to the next.
    pub stride: usize,
}

/// What the tiles of neighbouring vectors share.
struct Columns<'a, L: Lanes, const C: usize> {
    panel: &'a Panel<'a, L>,
    weights: [*const L::Weight; C],
    bias: [L::Sum; C],
    scales: Scales<'a, L, C>,
    limits: L::Limits,
    /// Rows, from the first on, that [`Lanes::whole_tile`] may be called with.
    whole_rows: usize,
    /// Output channels, at most `C * N`.
    channels: usize,
}

impl<L: Lanes> Panel<'_, L> {
    /// Computes the first `rows` rows of the vectors `vector..vector + C`, of which the first `channels` channels exist.
    #[inline(always)]
    pub fn columns<const C: usize>(
        &self,
        lanes: L,
        vector: usize,
        [rows, channels]: [usize; 2],
        target: Target<'_>,
    ) {
        if C > L::VECTORS || rows == 0 {
            return;
        }
        let per_vector = self.steps * L::N * L::K;
        let weights = &self.weights[vector * per_vector..];
        // What the pointers below read and write.
        let last_row = (rows - 1) * self.stride;
        assert!(last_row + self.steps * L::K <= self.activations.len());
        assert!(C * per_vector <= weights.len() && channels <= C * L::N);
        assert!((rows - 1) * target.stride + channels <= target.output.len());
        assert!(self.row_terms.is_empty() || rows <= self.row_terms.len());
        // A loop of the lanes' own reads one step more.
        let suits = &self.suits_whole_tile[vector..vector + C];
        let suits =
            suits.iter().all(|&suits| suits) && C * per_vector + L::N * L::K <= weights.len();
        let longer = (self.steps + 1) * L::K;
        let whole_rows = match self.activations.len().checked_sub(longer) {
            Some(room) if suits => room / self.stride + 1,
            _ => 0,
        };
        let bias = &self.bias[vector * L::N..][..C * L::N];
        let columns = Columns::<L, C> {
            panel: self,
            weights: std::array::from_fn(|c| weights.as_ptr().wrapping_add(c * per_vector)),
            bias: std::array::from_fn(|c| lanes.load_sums(&bias[c * L::N..])),
            scales: self.stage.at(lanes, vector * L::N),
            limits: self.stage.limits(lanes),
            whole_rows,
            channels,
        };
        let mut row = 0;
        while row < rows {
            let output = target.output.as_mut_ptr().wrapping_add(row * target.stride);
            let to = (output, target.stride);
            row += match (rows - row).min(L::ROWS) {
                12.. => columns.tile::<12>(lanes, row, to),
                8.. => columns.tile::<8>(lanes, row, to),
                6.. => columns.tile::<6>(lanes, row, to),
                4.. => columns.tile::<4>(lanes, row, to),
                2.. => columns.tile::<2>(lanes, row, to),
                _ => columns.tile::<1>(lanes, row, to),
            };
        }
    }
}

impl<L: Lanes, const C: usize> Columns<'_, L, C> {
    /// Computes rows `row..row + R`, which [`Panel::columns`] has found to be there, as has the output from its pointer on; gives
    /// `R`.
    #[inline(always)]
    fn tile<const R: usize>(&self, lanes: L, row: usize, to: (*mut u8, usize)) -> usize {
        if R > L::ROWS {
            return R;
        }
        let panel = self.panel;
        let activations = panel.activations.as_ptr().wrapping_add(row * panel.stride);
        let rows: [*const L::Activation; R] =
            std::array::from_fn(|r| activations.wrapping_add(r * panel.stride));
        let mut sums: [[L::Sum; C]; R] = [self.bias; R];
        if !panel.row_terms.is_empty() {
            let terms = &panel.row_terms[row..][..R];
            for (sums, &term) in sums.iter_mut().zip(terms) {
                let term = lanes.splat_sum(term);
                for sum in sums {
                    *sum = lanes.add(*sum, term);
                }
            }
        }
        // SAFETY: rows and vectors go on for one more step and their weights suit.
        let done = row + R <= self.whole_rows
            && unsafe { lanes.whole_tile(&mut sums, rows, self.weights, panel.steps) };
        if !done {
            self.products(lanes, &mut sums, rows);
        }
        self.scales
            .apply(lanes, sums, |codes| self.store(lanes, codes, to));
        R
    }

    /// Adds the products of `rows`.
    #[inline(always)]
    fn products<const R: usize>(
        &self,
        lanes: L,
        sums: &mut [[L::Sum; C]; R],
        rows: [*const L::Activation; R],
    ) {
        for step in 0..self.panel.steps {
            let weights: [L::Weights; C] = std::array::from_fn(|c| {
                // SAFETY: vector `c` has `steps * N * K` weights.
                unsafe { lanes.load_weights(self.weights[c].wrapping_add(step * L::N * L::K)) }
            });
            for (r, sums) in sums.iter_mut().enumerate() {
                // SAFETY: row `r` has `steps * K` activations.
                let activations = unsafe { lanes.splat(rows[r].wrapping_add(step * L::K)) };
                for (sum, &weights) in sums.iter_mut().zip(&weights) {
                    *sum = lanes.dot(*sum, activations, weights);
                }
            }
        }
    }

    /// Limits and writes the results of `R` rows.
    #[inline(always)]
    fn store<const R: usize>(
        &self,
        lanes: L,
        codes: [[L::Sum; C]; R],
        (output, stride): (*mut u8, usize),
    ) {
        let slice = |row: usize, len: usize| {
            let from = output.wrapping_add(row * stride);
            // SAFETY: the output has `channels` results in each row, and rows do not overlap.
            unsafe { std::slice::from_raw_parts_mut(from, len) }
        };
        let store = |len: usize| {
            for pair in 0..R / 2 {
                let to = [slice(2 * pair, len), slice(2 * pair + 1, len)];
                lanes.store_rows(codes[2 * pair], codes[2 * pair + 1], self.limits, to);
            }
            if R % 2 == 1 {
                let to = slice(R - 1, len).chunks_mut(L::N);
                for (&codes, to) in codes[R - 1].iter().zip(to) {
                    lanes.store_codes(codes, self.limits, to);
                }
            }
        };
        // With a length that the compiler knows it need not ask whether a vector fits.
        if self.channels == C * L::N {
            store(C * L::N);
        } else {
            store(self.channels);
        }
    }
}
