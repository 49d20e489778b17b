//! The inner loop of matrix products with vectors along the depth.
#![expect(unsafe_code, reason = "pointers of the inner loop")]

use super::Lanes;

/// Units whose weights are read side by side: what [`Lanes::with_totals`] takes.
const UNITS: usize = 4;

/// A row of activations and the weights of some units.
pub struct Rows<'a> {
    /// Widened, followed by zeros up to a multiple of `2 * N`.
    pub activations: &'a [i16],
    /// Unit after unit, `depth` stored weights each; best with those behind, which may be read.
    pub filter: &'a [u8],
    /// Weights of a unit.
    pub depth: usize,
    /// Whether weights are int8.
    pub signed: bool,
}

impl Rows<'_> {
    /// The sums of the first `units` (at most `N`) units; further lanes are anything.
    #[inline(always)]
    pub fn sums<L: Lanes>(&self, lanes: L, units: usize) -> L::Sum {
        assert!((1..=L::N).contains(&units) && units * self.depth <= self.filter.len());
        assert!(self.depth.next_multiple_of(2 * L::N) <= self.activations.len());
        let mut sums = lanes.splat_sum(0);
        for quad in 0..units.div_ceil(UNITS) {
            let first = quad * UNITS;
            // Behind the last unit, it is computed again.
            let last = (units - first - 1).min(UNITS - 1);
            let unit = [0, last.min(1), last.min(2), last];
            // SAFETY: the filter has these units, and there are activations for them.
            let products = unsafe { self.products(lanes, first * self.depth, unit) };
            sums = lanes.with_totals(sums, quad, products);
        }
        sums
    }

    /// The sums of some units, counted from that whose weights are `at`, each spread over the lanes. The last is the greatest.
    ///
    /// # Safety
    /// The filter has these units; activations go on to a multiple of `2 * N`.
    #[inline(always)]
    unsafe fn products<L: Lanes>(
        &self,
        lanes: L,
        at: usize,
        unit: [usize; UNITS],
    ) -> [L::Sum; UNITS] {
        let width = 2 * L::N;
        let filter = self.filter.as_ptr().wrapping_add(at);
        let filter = unit.map(|unit| filter.wrapping_add(unit * self.depth));
        let mut sums = [lanes.splat_sum(0); UNITS];
        let whole = self.depth / width * width;
        for at in (0..whole).step_by(width) {
            // SAFETY: so many weights follow.
            unsafe { self.step(lanes, &mut sums, filter, at, width) };
        }
        if whole < self.depth {
            let behind_last = at + unit[UNITS - 1] * self.depth + whole + width;
            if behind_last <= self.filter.len() {
                // What is read of the units behind meets zeros.
                // SAFETY: the filter goes on so far.
                unsafe { self.step(lanes, &mut sums, filter, whole, width) };
            } else {
                // SAFETY: as above.
                unsafe { self.step(lanes, &mut sums, filter, whole, self.depth - whole) };
            }
        }
        sums
    }

    /// Adds the products with `len` (at most `2 * N`) activations from `at` on. No closure, which could stay a call.
    ///
    /// # Safety
    /// Each of `filter` is valid for reading `len` weights from `at` on; activations go on to the next multiple of `2 * N`.
    #[inline(always)]
    unsafe fn step<L: Lanes>(
        &self,
        lanes: L,
        sums: &mut [L::Sum; UNITS],
        filter: [*const u8; UNITS],
        at: usize,
        len: usize,
    ) {
        // SAFETY: the caller promises as many activations.
        let activations = unsafe { lanes.read_words(self.activations.as_ptr().wrapping_add(at)) };
        for (sum, filter) in sums.iter_mut().zip(filter) {
            // SAFETY: the caller promises the weights.
            let weights = unsafe { lanes.load_words(filter.wrapping_add(at), len, self.signed) };
            *sum = lanes.multiply_words(*sum, activations, weights);
        }
    }
}

/// Widens as many stored bytes as there is room for, each to its `value`; their sum.
#[inline(always)]
pub fn widen<'a>(
    to: &mut [i16],
    from: impl IntoIterator<Item = &'a u8>,
    value: impl Fn(u8) -> i16,
) -> i32 {
    let mut sum = 0i32;
    for (to, &byte) in to.iter_mut().zip(from) {
        *to = value(byte);
        sum = sum.wrapping_add(i32::from(*to));
    }
    sum
}

/// The value of an int8 byte.
#[inline(always)]
pub fn int8(byte: u8) -> i16 {
    byte.cast_signed().into()
}
