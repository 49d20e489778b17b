//! The inner loop of matrix products with vectors along the depth.
#![expect(unsafe_code, reason = "pointers of the inner loop")]

use super::{Lanes, MOST_SUMS, Work, apart};
use bytemuck::Zeroable;
use std::array::from_fn;

/// Units whose sums callers ask for at a time: a multiple of any `N`.
pub const BLOCK: usize = 64;

/// The activations of a row of `depth` and the zeros behind them.
pub const fn padded<L: Lanes>(depth: usize) -> usize {
    depth.next_multiple_of(L::N * L::K)
}

/// Words of memory for [`padded`] activations.
pub const fn padded_words<L: Lanes>(depth: usize) -> usize {
    padded::<L>(depth) * size_of::<L::Activation>() / size_of::<i32>()
}

/// Stored bytes, int8 where `signed`, as the activations of a row of `depth`, in memory for [`padded`] ones.
#[inline(always)]
pub fn fill<'a, L: Lanes>(
    to: &mut [L::Activation],
    depth: usize,
    from: impl IntoIterator<Item = &'a u8>,
    signed: bool,
) {
    let (values, zeros) = to.split_at_mut(depth);
    let pairs = values.iter_mut().zip(from);
    match signed {
        true => pairs.for_each(|(to, &byte)| *to = L::activation(byte, true)),
        false => pairs.for_each(|(to, &byte)| *to = L::activation(byte, false)),
    }
    zeros.fill(Zeroable::zeroed());
}

/// A row of activations and the weights of units. An activation is the stored byte plus [`Lanes::activation_offset`], a weight is
/// multiplied as if [`Lanes::weight_offset`] of a zero point of 0 were added.
pub struct Rows<'a, L: Lanes> {
    /// [`padded`], as [`fill`] writes them.
    pub activations: &'a [L::Activation],
    /// Unit after unit, `depth` stored weights each.
    pub filter: &'a [u8],
    /// Weights of a unit.
    pub depth: usize,
    /// Whether weights are int8.
    pub signed: bool,
}

impl<L: Lanes> Rows<'_, L> {
    /// The sums of the units from `first` on, as many as there are and `to`, whole vectors, has room for; further ones up to a
    /// whole vector are anything.
    #[inline(always)]
    pub fn sums(&self, lanes: L, first: usize, to: &mut [i32]) {
        let rows = self;
        match self.signed {
            true => apart(
                lanes,
                Sums::<L, true> {
                    lanes,
                    rows,
                    first,
                    to,
                },
            ),
            false => apart(
                lanes,
                Sums::<L, false> {
                    lanes,
                    rows,
                    first,
                    to,
                },
            ),
        }
    }
}

/// One call of [`Rows::sums`].
struct Sums<'a, L: Lanes, const SIGNED: bool> {
    lanes: L,
    rows: &'a Rows<'a, L>,
    first: usize,
    to: &'a mut [i32],
}

impl<L: Lanes, const SIGNED: bool> Work for Sums<'_, L, SIGNED> {
    type Output = ();

    #[inline(always)]
    fn run<M: Lanes>(self, _: M) {
        let Self {
            lanes,
            rows,
            first,
            to,
        } = self;
        // A copy, so that loops keep it in registers.
        let rows = Rows::<L> { ..*rows };
        assert!(padded::<L>(rows.depth) <= rows.activations.len());
        let units = rows.filter.len() / rows.depth;
        let firsts = (first..units).step_by(L::N);
        for (first, to) in firsts.zip(to.chunks_exact_mut(L::N)) {
            let mut sums = lanes.splat_sum(0);
            for quad in (0..L::N / 4).step_by(2) {
                let first = first + 4 * quad;
                let left = units.saturating_sub(first);
                if L::N >= 8 && left > 4 {
                    // SAFETY: there is such a unit, and enough activations.
                    let products = unsafe { rows.products::<SIGNED, _>(lanes, first, left) };
                    let [a, b, c, d, e, f, g, h] = products;
                    sums = lanes.with_totals(sums, quad, [a, b, c, d]);
                    sums = lanes.with_totals(sums, quad + 1, [e, f, g, h]);
                } else if left > 0 {
                    // SAFETY: as above.
                    let products = unsafe { rows.products::<SIGNED, _>(lanes, first, left) };
                    sums = lanes.with_totals(sums, quad, products);
                }
            }
            lanes.store_sums(sums, to);
        }
    }
}

/// Bytes that a vector reads at most.
const MOST_WIDTH: usize = 4 * MOST_SUMS;

impl<L: Lanes> Rows<'_, L> {
    /// The sums of `U` units from `first` on, each spread over the lanes. Where fewer are `left`, the last stands for those behind.
    ///
    /// # Safety
    /// There is a unit `first`; activations are padded.
    #[inline(always)]
    unsafe fn products<const SIGNED: bool, const U: usize>(
        &self,
        lanes: L,
        first: usize,
        left: usize,
    ) -> [L::Sum; U] {
        const { assert!(L::N * L::K <= MOST_WIDTH) };
        let Self { filter, depth, .. } = *self;
        // Whole groups spare themselves a choice a unit.
        let begins: [usize; U] = match left >= U {
            true => from_fn(|unit| first * depth + unit * depth),
            false => from_fn(|unit| (first + unit.min(left - 1)) * depth),
        };
        let units = begins.map(|begin| filter.as_ptr().wrapping_add(begin));
        let mut sums = [lanes.splat_sum(0); U];
        let width = L::N * L::K;
        let whole = depth / width * width;
        for at in (0..whole).step_by(width) {
            // SAFETY: so many weights follow.
            unsafe { self.step::<SIGNED, U>(lanes, &mut sums, units, at) };
        }
        if whole == depth {
            return sums;
        }
        if begins[U - 1] + whole + width <= filter.len() {
            // What is read of the units behind meets zeros.
            // SAFETY: the filter goes on so far.
            unsafe { self.step::<SIGNED, U>(lanes, &mut sums, units, whole) };
            return sums;
        }
        let mut rest = [[0; MOST_WIDTH]; U];
        for (rest, begin) in rest.iter_mut().zip(begins) {
            let weights = &filter[begin..][whole..depth];
            rest[..weights.len()].copy_from_slice(weights);
        }
        let units = from_fn(|unit| rest[unit].as_ptr().wrapping_sub(whole));
        // SAFETY: `rest` has the bytes of the widest vector.
        unsafe { self.step::<SIGNED, U>(lanes, &mut sums, units, whole) };
        sums
    }

    /// Adds the products with `N * K` activations from `at` on. No closure, which could stay a call.
    ///
    /// # Safety
    /// Each of `units` is valid for reading `N * K` weights from `at` on, as are activations.
    #[inline(always)]
    unsafe fn step<const SIGNED: bool, const U: usize>(
        &self,
        lanes: L,
        sums: &mut [L::Sum; U],
        units: [*const u8; U],
        at: usize,
    ) {
        let activations = self.activations.as_ptr().wrapping_add(at);
        // SAFETY: the caller promises as many activations.
        let activations = unsafe { lanes.read_row(activations) };
        for (sum, unit) in sums.iter_mut().zip(units) {
            // SAFETY: the caller promises the weights.
            let weights = unsafe { lanes.read_unit(unit.wrapping_add(at), SIGNED) };
            *sum = lanes.multiply_row(*sum, activations, weights);
        }
    }
}
