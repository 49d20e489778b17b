//! The inner loop of matrix products with vectors along the depth.
#![expect(unsafe_code, reason = "pointers of the inner loop")]

use super::{Lanes, MOST_SUMS};

/// Units whose weights are read side by side.
pub const UNITS: usize = 4;

/// A row of activations and the weights of some units.
pub struct Rows<'a> {
    /// Widened, followed by zeros up to a multiple of `2 * N`.
    pub activations: &'a [i16],
    /// Unit after unit, `depth` stored weights each.
    pub filter: &'a [u8],
    /// Weights of a unit.
    pub depth: usize,
    /// Whether weights are int8.
    pub signed: bool,
}

impl Rows<'_> {
    /// The sums of the first `units` (at most `N`) units.
    #[inline(always)]
    pub fn sums<L: Lanes>(&self, lanes: L, units: usize) -> [i32; MOST_SUMS] {
        assert!(units * self.depth <= self.filter.len() && units <= MOST_SUMS);
        assert!(self.depth.next_multiple_of(2 * L::N) <= self.activations.len());
        let mut sums = [0; MOST_SUMS];
        let mut unit = 0;
        while unit + UNITS <= units {
            sums[unit..unit + UNITS].copy_from_slice(&self.products::<L, UNITS>(lanes, unit));
            unit += UNITS;
        }
        while unit < units {
            [sums[unit]] = self.products::<L, 1>(lanes, unit);
            unit += 1;
        }
        sums
    }

    /// The sums of `U` units from `unit` on, which [`sums`](Self::sums) has found to be there.
    #[inline(always)]
    fn products<L: Lanes, const U: usize>(&self, lanes: L, unit: usize) -> [i32; U] {
        let width = 2 * L::N;
        let filter: [*const u8; U] =
            std::array::from_fn(|u| self.filter.as_ptr().wrapping_add((unit + u) * self.depth));
        let mut sums = [lanes.splat_sum(0); U];
        let mut at = 0;
        while at < self.depth {
            let len = width.min(self.depth - at);
            // SAFETY: activations go on to the next multiple of the width.
            let activations =
                unsafe { lanes.read_words(self.activations.as_ptr().wrapping_add(at)) };
            for (sum, filter) in sums.iter_mut().zip(filter) {
                // SAFETY: `len` weights of the unit follow `at`.
                let weights =
                    unsafe { lanes.load_words(filter.wrapping_add(at), len, self.signed) };
                *sum = lanes.multiply_words(*sum, activations, weights);
            }
            at += width;
        }
        sums.map(|sum| lanes.total(sum))
    }
}
