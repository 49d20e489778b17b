//! The inner loop of matrix products: tiles of rows by vectors of output channels.
#![expect(unsafe_code, reason = "pointers of the inner loop")]

use super::Lanes;
use crate::fast::stage::{Scales, StageView};

/// Where the activations of a row stand: runs of neighbours, one behind the other at equal distances.
#[derive(Debug, Clone, Copy)]
pub struct Runs {
    /// How many there are.
    pub count: usize,
    /// Activations from the beginning of a run to that of the next.
    pub stride: usize,
    /// Dot steps of one run. Where its activations do not fill the last step, their neighbours meet weights of 0.
    pub steps: usize,
}

impl Runs {
    /// Dot steps of a row.
    pub fn all_steps(self) -> usize {
        self.count * self.steps
    }

    /// Activations from the first to behind the last, where a step takes `k`.
    pub fn reach(self, k: usize) -> usize {
        (self.count - 1) * self.stride + self.steps * k
    }
}

/// Where rows begin.
#[derive(Debug, Clone, Copy)]
pub struct Rows<'a> {
    begins: &'a [u32],
    /// The greatest of them, and that of all but the last three.
    last: usize,
    last_of_tiles: usize,
}

impl<'a> Rows<'a> {
    /// Rows that begin at `begins` in a panel's activations.
    #[inline(always)]
    pub fn new(begins: &'a [u32]) -> Self {
        let greatest = |begins: &[u32]| begins.iter().copied().fold(0, u32::max) as usize;
        let (tiles, rest) = begins.split_at(begins.len().saturating_sub(3));
        let last_of_tiles = greatest(tiles);
        Self {
            begins,
            last: last_of_tiles.max(greatest(rest)),
            last_of_tiles,
        }
    }
}

/// The operands of the tiles of one panel.
pub struct Panel<'a, L: Lanes> {
    /// What rows are read from.
    pub activations: &'a [L::Activation],
    /// Where rows begin in `activations`.
    pub rows: Rows<'a>,
    /// What stands there.
    pub runs: Runs,
    /// Added to every sum of a row; empty where there is nothing to add.
    pub row_terms: &'a [i32],
    /// Vector after vector of output channels, each of as many times `N * K` weights as a row has steps; then those of one step
    /// more.
    pub weights: &'a [L::Weight],
    /// By vector: whether [`Lanes::whole_tiles`] may have it.
    pub suits_whole_tile: &'a [bool],
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

/// The tiles of some vectors as [`Lanes::whole_tiles`] takes them, from the first product to the stored byte.
#[repr(C)]
pub struct WholeTiles<A, W> {
    /// See [`Panel`].
    pub activations: *const A,
    /// Of the first vector.
    pub weights: *const W,
    /// Bytes from a vector's weights to those of the next.
    pub vector: usize,
    /// Of the first vector.
    pub bias: *const i32,
    /// Of the first vector, for a scaling by [`Lanes::scale_right`].
    pub multipliers: *const i32,
    /// Of the first vector.
    pub rights: *const i32,
    /// Runs of a row.
    pub runs: usize,
    /// Dot steps of a run.
    pub steps: usize,
    /// Bytes from the end of a run to the beginning of the next.
    pub gap: usize,
    /// 1 where results are positive numbers that a byte's limits alone limit, see [`StageView::is_positive`]; otherwise 0.
    pub positive: u64,
    /// Added to scaled sums.
    pub zero: i16,
    /// The lowest result.
    pub low: i16,
    /// The highest result.
    pub high: i16,
}

/// What the tiles of neighbouring vectors share.
struct Columns<'a, L: Lanes, const C: usize> {
    panel: &'a Panel<'a, L>,
    weights: [*const L::Weight; C],
    bias: [L::Sum; C],
    scales: Scales<'a, L, C>,
    limits: L::Limits,
    /// Output channels, at most `C * N`.
    channels: usize,
}

impl<L: Lanes> Panel<'_, L> {
    /// Computes all rows of the vectors `vector..vector + C`, of which the first `channels` channels exist.
    #[inline(always)]
    pub fn columns<const C: usize>(
        &self,
        lanes: L,
        vector: usize,
        channels: usize,
        mut target: Target<'_>,
    ) {
        let rows = self.rows.begins.len();
        if C > L::VECTORS || rows == 0 {
            return;
        }
        let per_vector = self.runs.all_steps() * L::N * L::K;
        let weights = &self.weights[vector * per_vector..];
        // What the pointers below read and write.
        assert!(C * per_vector + L::N * L::K <= weights.len() && channels <= C * L::N);
        assert!(self.rows.last + self.runs.reach(L::K) <= self.activations.len());
        assert!((rows - 1) * target.stride + channels <= target.output.len());
        assert!(self.row_terms.is_empty() || rows <= self.row_terms.len());
        let mut row = self.whole_tiles::<C>(lanes, vector, channels, &mut target);
        if row == rows {
            return;
        }
        let bias = &self.bias[vector * L::N..][..C * L::N];
        let columns = Columns::<L, C> {
            panel: self,
            weights: std::array::from_fn(|c| weights.as_ptr().wrapping_add(c * per_vector)),
            bias: std::array::from_fn(|c| lanes.load_sums(&bias[c * L::N..])),
            scales: self.stage.at(lanes, vector * L::N),
            limits: self.stage.limits(lanes),
            channels,
        };
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

    /// Leaves what it can of [`columns`](Self::columns), which has found that operands are there, to the lanes; the rows that are
    /// done.
    #[inline(always)]
    fn whole_tiles<const C: usize>(
        &self,
        lanes: L,
        vector: usize,
        channels: usize,
        target: &mut Target<'_>,
    ) -> usize {
        // Lanes read one step more of each tile's first row, which is none of the last three.
        let longer =
            self.rows.last_of_tiles + self.runs.reach(L::K) + L::K <= self.activations.len();
        let suits = |vector: &[bool]| vector.iter().all(|&suits| suits);
        let first = vector * L::N;
        let Some(right) = self.stage.right(first, C * L::N) else {
            return 0;
        };
        if !L::WHOLE_TILES || !suits(&self.suits_whole_tile[vector..vector + C]) || !longer {
            return 0;
        }
        let per_vector = self.runs.all_steps() * L::N * L::K;
        let run = self.runs.steps * L::K;
        let tiles = WholeTiles {
            activations: self.activations.as_ptr(),
            weights: self.weights[vector * per_vector..].as_ptr(),
            vector: per_vector * size_of::<L::Weight>(),
            bias: self.bias[first..][..C * L::N].as_ptr(),
            multipliers: right.multipliers.as_ptr(),
            rights: right.rights.as_ptr(),
            runs: self.runs.count,
            steps: self.runs.steps,
            gap: self
                .runs
                .stride
                .wrapping_sub(run)
                .wrapping_mul(size_of::<L::Activation>()),
            positive: right.positive.into(),
            zero: right.zero,
            low: right.low,
            high: right.high,
        };
        let begins = self.rows.begins;
        let terms = self.row_terms.get(..begins.len()).unwrap_or(&[]);
        let stride = target.stride;
        // SAFETY: `columns` has asserted that rows, weights and results are there; rows and weights go on for a step more.
        unsafe {
            lanes.whole_tiles::<C>(
                &tiles,
                begins,
                terms,
                channels,
                target.output.as_mut_ptr(),
                stride,
            )
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
        let begins = &panel.rows.begins[row..][..R];
        let rows: [*const L::Activation; R] =
            std::array::from_fn(|r| panel.activations.as_ptr().wrapping_add(begins[r] as usize));
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
        self.products(lanes, &mut sums, rows);
        // With a length that the compiler knows it need not ask whether a vector fits.
        match (self.channels == C * L::N, self.scales.are_right()) {
            (true, true) => self.finish::<R, true>(lanes, sums, to, C * L::N),
            (true, false) => self.finish::<R, false>(lanes, sums, to, C * L::N),
            (false, true) => self.finish::<R, true>(lanes, sums, to, self.channels),
            (false, false) => self.finish::<R, false>(lanes, sums, to, self.channels),
        }
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
        let runs = self.panel.runs;
        let mut weights = self.weights;
        for run in 0..runs.count {
            for step in 0..runs.steps {
                let at = run * runs.stride + step * L::K;
                let loaded: [L::Weights; C] = std::array::from_fn(|c| {
                    // SAFETY: vector `c` has weights for all steps of all runs.
                    unsafe { lanes.load_weights(weights[c].wrapping_add(step * L::N * L::K)) }
                });
                for (r, sums) in sums.iter_mut().enumerate() {
                    // SAFETY: row `r` has activations for all steps of all runs.
                    let activations = unsafe { lanes.splat(rows[r].wrapping_add(at)) };
                    for (sum, &weights) in sums.iter_mut().zip(&loaded) {
                        *sum = lanes.dot(*sum, activations, weights);
                    }
                }
            }
            weights = weights.map(|vector| vector.wrapping_add(runs.steps * L::N * L::K));
        }
    }

    /// Scales, limits and writes the results of `R` rows; `RIGHT` where every shift is to the right.
    #[inline(always)]
    fn finish<const R: usize, const RIGHT: bool>(
        &self,
        lanes: L,
        sums: [[L::Sum; C]; R],
        to: (*mut u8, usize),
        channels: usize,
    ) {
        const { assert!(R <= 12) };
        // Neither a loop nor a closure: with rows that are constants the sums stay in registers.
        self.finish_pair::<R, RIGHT>(lanes, &sums, 0, to, channels);
        self.finish_pair::<R, RIGHT>(lanes, &sums, 2, to, channels);
        self.finish_pair::<R, RIGHT>(lanes, &sums, 4, to, channels);
        self.finish_pair::<R, RIGHT>(lanes, &sums, 6, to, channels);
        self.finish_pair::<R, RIGHT>(lanes, &sums, 8, to, channels);
        self.finish_pair::<R, RIGHT>(lanes, &sums, 10, to, channels);
    }

    /// [`finish`](Self::finish) for `row` and the one after it, as far as they are there.
    #[inline(always)]
    fn finish_pair<const R: usize, const RIGHT: bool>(
        &self,
        lanes: L,
        sums: &[[L::Sum; C]; R],
        row: usize,
        (output, stride): (*mut u8, usize),
        channels: usize,
    ) {
        if row >= R {
            return;
        }
        let next = (row + 1).min(R - 1);
        let pair = [sums[row], sums[next]];
        let [above, below] = match RIGHT {
            true => self.scales.right(lanes, pair),
            false => self.scales.any(lanes, pair),
        };
        let from = output.wrapping_add(row * stride);
        // SAFETY: the output has `channels` results in each row, and rows do not overlap.
        let first = unsafe { std::slice::from_raw_parts_mut(from, channels) };
        if next == row {
            for (&codes, to) in above.iter().zip(first.chunks_mut(L::N)) {
                lanes.store_codes(codes, self.limits, to);
            }
            return;
        }
        let from = from.wrapping_add(stride);
        // SAFETY: as above.
        let second = unsafe { std::slice::from_raw_parts_mut(from, channels) };
        lanes.store_rows(above, below, self.limits, [first, second]);
    }
}
