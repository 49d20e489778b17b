//! The inner loop of matrix products with vectors along the depth.
#![expect(unsafe_code, reason = "pointers of the inner loop")]

use super::{Lanes, MOST_SUMS, Work, apart};
use std::array::from_fn;

/// Units whose sums callers ask for at a time: a multiple of any `N`.
pub const BLOCK: usize = 64;

/// A row of activations and the weights of units.
#[derive(Clone, Copy)]
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
    /// The sums of the units from `first` on, as many as there are and `to`, whole vectors, has room for; further ones up to a
    /// whole vector are anything.
    #[inline(always)]
    pub fn sums<L: Lanes>(&self, lanes: L, first: usize, to: &mut [i32]) {
        let rows = *self;
        match self.signed {
            true => apart(lanes, Sums::<true> { rows, first, to }),
            false => apart(lanes, Sums::<false> { rows, first, to }),
        }
    }
}

/// One call of [`Rows::sums`].
struct Sums<'a, const SIGNED: bool> {
    rows: Rows<'a>,
    first: usize,
    to: &'a mut [i32],
}

impl<const SIGNED: bool> Work for Sums<'_, SIGNED> {
    type Output = ();

    #[inline(always)]
    fn run<L: Lanes>(self, lanes: L) {
        let Self { rows, first, to } = self;
        assert!(rows.depth.next_multiple_of(2 * L::N) <= rows.activations.len());
        let units = rows.filter.len() / rows.depth;
        let firsts = (first..units).step_by(L::N);
        for (first, to) in firsts.zip(to.chunks_exact_mut(L::N)) {
            let mut sums = lanes.splat_sum(0);
            for quad in (0..L::N / 4).step_by(2) {
                let first = first + 4 * quad;
                let left = units.saturating_sub(first);
                if L::N >= 8 && left > 4 {
                    // SAFETY: there is such a unit, and enough activations.
                    let products = unsafe { rows.products::<L, SIGNED, _>(lanes, first, left) };
                    let [a, b, c, d, e, f, g, h] = products;
                    sums = lanes.with_totals(sums, quad, [a, b, c, d]);
                    sums = lanes.with_totals(sums, quad + 1, [e, f, g, h]);
                } else if left > 0 {
                    // SAFETY: as above.
                    let products = unsafe { rows.products::<L, SIGNED, _>(lanes, first, left) };
                    sums = lanes.with_totals(sums, quad, products);
                }
            }
            lanes.store_sums(sums, to);
        }
    }
}

impl Rows<'_> {
    /// The sums of `U` units from `first` on, each spread over the lanes. Where fewer are `left`, the last stands for those behind.
    ///
    /// # Safety
    /// There is a unit `first`; activations go on to a multiple of `2 * N`.
    #[inline(always)]
    unsafe fn products<L: Lanes, const SIGNED: bool, const U: usize>(
        &self,
        lanes: L,
        first: usize,
        left: usize,
    ) -> [L::Sum; U] {
        let Self { filter, depth, .. } = *self;
        let mut begin = first * depth;
        let begins: [usize; U] = from_fn(|unit| {
            begin += if (1..left).contains(&unit) { depth } else { 0 };
            begin
        });
        let units = begins.map(|begin| filter.as_ptr().wrapping_add(begin));
        let mut sums = [lanes.splat_sum(0); U];
        let width = 2 * L::N;
        let whole = depth / width * width;
        for at in (0..whole).step_by(width) {
            // SAFETY: so many weights follow.
            unsafe { self.step::<L, SIGNED, U>(lanes, &mut sums, units, at) };
        }
        if whole == depth {
            return sums;
        }
        if begins[U - 1] + whole + width <= filter.len() {
            // What is read of the units behind meets zeros.
            // SAFETY: the filter goes on so far.
            unsafe { self.step::<L, SIGNED, U>(lanes, &mut sums, units, whole) };
            return sums;
        }
        let mut rest = [[0; 2 * MOST_SUMS]; U];
        for (rest, begin) in rest.iter_mut().zip(begins) {
            let weights = &filter[begin..][whole..depth];
            rest[..weights.len()].copy_from_slice(weights);
        }
        let units = from_fn(|unit| rest[unit].as_ptr().wrapping_sub(whole));
        // SAFETY: `rest` has the words of the greatest vector.
        unsafe { self.step::<L, SIGNED, U>(lanes, &mut sums, units, whole) };
        sums
    }

    /// Adds the products with `2 * N` activations from `at` on. No closure, which could stay a call.
    ///
    /// # Safety
    /// Each of `units` is valid for reading `2 * N` weights from `at` on, as are activations.
    #[inline(always)]
    unsafe fn step<L: Lanes, const SIGNED: bool, const U: usize>(
        &self,
        lanes: L,
        sums: &mut [L::Sum; U],
        units: [*const u8; U],
        at: usize,
    ) {
        let activations = self.activations.as_ptr().wrapping_add(at);
        // SAFETY: the caller promises as many activations.
        let activations = unsafe { lanes.read_words(activations) };
        for (sum, unit) in sums.iter_mut().zip(units) {
            // SAFETY: the caller promises the weights.
            let weights = unsafe { lanes.load_words(unit.wrapping_add(at), 2 * L::N, SIGNED) };
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
