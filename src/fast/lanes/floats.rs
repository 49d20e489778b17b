//! Sums of products of float32, each in the order of its steps. Vectors of numbers are [`Lanes::Sum`]s that hold their bits.
#![expect(unsafe_code, reason = "pointers of the inner loop")]

use super::Lanes;
use std::ops::Range;

/// Where what a window reads stands, step by step: an input channel of a tap each.
pub struct Steps {
    offsets: Box<[u32]>,
    /// Whether every step reads behind the one before.
    ascend: bool,
    greatest: u32,
}

/// Steps that follow each other.
#[derive(Clone, Copy)]
pub struct Run<'a> {
    offsets: &'a [u32],
    least: u32,
    greatest: u32,
}

impl Steps {
    /// Steps that read so far behind the beginning of a window.
    pub fn new(offsets: Box<[u32]>) -> Self {
        Self {
            ascend: offsets.is_sorted(),
            greatest: offsets.iter().copied().max().unwrap_or(0),
            offsets,
        }
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.offsets.len()
    }

    /// Bytes that they take.
    pub fn bytes(&self) -> usize {
        size_of_val(&*self.offsets)
    }

    /// All steps.
    #[inline(always)]
    pub fn all(&self) -> Run<'_> {
        Run {
            offsets: &self.offsets,
            least: 0,
            greatest: self.greatest,
        }
    }

    /// Some steps.
    #[inline(always)]
    pub fn part(&self, range: Range<usize>) -> Run<'_> {
        let offsets = &self.offsets[range];
        let ends = match self.ascend {
            true => (offsets.first().copied(), offsets.last().copied()),
            false => (offsets.iter().copied().min(), offsets.iter().copied().max()),
        };
        Run {
            offsets,
            least: ends.0.unwrap_or(0),
            greatest: ends.1.unwrap_or(0),
        }
    }
}

impl Run<'_> {
    /// How far behind the beginning of a window the steps begin to read.
    #[inline(always)]
    pub fn begin(self) -> usize {
        self.least as usize
    }
}

/// Adds products to the sums of `V` vectors of output channels at each of `P` positions. `activations` start where the first
/// position's steps begin to read; positions are `stride` apart. A step has `V` vectors of `weights`. Where `SPREAD`, it has as many
/// of activations, too, otherwise one number.
#[inline(always)]
pub fn add_products<L: Lanes, const V: usize, const P: usize, const SPREAD: bool>(
    lanes: L,
    sums: &mut [[L::Sum; V]; P],
    activations: &[f32],
    stride: usize,
    steps: Run<'_>,
    weights: &[f32],
) {
    let read = if SPREAD { V * L::N } else { 1 };
    let reach = (steps.greatest - steps.least) as usize + read;
    let reach = (P - 1).saturating_mul(stride).saturating_add(reach);
    let weights = &weights[..steps.offsets.len() * V * L::N];
    let inside = reach <= activations.len() || steps.offsets.is_empty();
    assert!(inside, "steps reach beyond the activations");
    let (activations, mut weights) = (activations.as_ptr(), weights.as_ptr());
    let mut totals = *sums;
    for &offset in steps.offsets {
        let mut step = [lanes.splat_sum(0); V];
        for (number, step) in step.iter_mut().enumerate() {
            // SAFETY: there are as many weights, and `number` is below `V`.
            let vector = unsafe { weights.add(number * L::N) };
            // SAFETY: as above.
            *step = unsafe { load(lanes, vector) };
        }
        // SAFETY: at most the end, which is not read then.
        weights = unsafe { weights.add(V * L::N) };
        // SAFETY: no offset is below the least, nor above the greatest, up to which all positions can read.
        let first = unsafe { activations.add((offset - steps.least) as usize) };
        for (position, totals) in totals.iter_mut().enumerate() {
            // SAFETY: as above.
            let window = unsafe { first.add(position * stride) };
            // SAFETY: as above.
            let activation = lanes.splat_sum(unsafe { *window }.to_bits().cast_signed());
            for (number, total) in totals.iter_mut().enumerate() {
                let activations = if SPREAD {
                    // SAFETY: as above, and `number` is below `V`.
                    let vector = unsafe { window.add(number * L::N) };
                    // SAFETY: as above.
                    unsafe { load(lanes, vector) }
                } else {
                    activation
                };
                *total = lanes.add_float_products(*total, activations, step[number]);
            }
        }
    }
    *sums = totals;
}

/// Reads a vector.
///
/// # Safety
/// `from` is valid for reading `N` numbers.
#[inline(always)]
unsafe fn load<L: Lanes>(lanes: L, from: *const f32) -> L::Sum {
    // SAFETY: the caller promises as many numbers, and numbers and bits are alike in size.
    lanes.load_sums(unsafe { std::slice::from_raw_parts(from.cast(), L::N) })
}

/// The lowest and the highest number in every lane.
#[inline(always)]
pub fn limits<L: Lanes>(lanes: L, range: (f32, f32)) -> [L::Sum; 2] {
    let [low, high] = [range.0, range.1];
    [
        lanes.splat_sum(low.to_bits().cast_signed()),
        lanes.splat_sum(high.to_bits().cast_signed()),
    ]
}

/// The results of the sums of a position: with their biases, within limits, written as far as `to` has room.
#[inline(always)]
pub fn store<L: Lanes, const V: usize>(
    lanes: L,
    sums: [L::Sum; V],
    bias: &[f32],
    [low, high]: [L::Sum; 2],
    to: &mut [f32],
) {
    let (bias, to) = (bytemuck::cast_slice(bias), bytemuck::cast_slice_mut(to));
    for (number, sums) in sums.into_iter().enumerate() {
        let first = number * L::N;
        let bias = lanes.load_sums(&bias[first..]);
        let results = lanes.finish_floats(sums, bias, low, high);
        let Some(to) = to.get_mut(first..) else {
            return;
        };
        if to.len() >= L::N {
            lanes.store_sums(results, to);
        } else {
            let mut array = [0; super::MOST_SUMS];
            lanes.store_sums(results, &mut array);
            to.copy_from_slice(&array[..to.len()]);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fast::lanes::Portable;

    const N: usize = Portable::N;

    fn numbers(len: usize, by: f32) -> Vec<f32> {
        (0..len).map(|i| (i * i % 11) as f32 * by - 1.0).collect()
    }

    /// The results of positions `stride` apart, computed one by one.
    fn check<const V: usize, const P: usize, const SPREAD: bool>(stride: usize, offsets: &[u32]) {
        let steps = Steps::new(offsets.into());
        let weights = numbers(offsets.len() * V * N, 0.25);
        let most = offsets.iter().copied().max().unwrap_or(0) as usize;
        let width = if SPREAD { V * N } else { 1 };
        let activations = numbers((P - 1) * stride + most + width, 0.5);
        let bias = numbers(V * N, 3.0);
        let mut sums = [[Portable.splat_sum(0); V]; P];
        let run = steps.all();
        add_products::<_, V, P, SPREAD>(Portable, &mut sums, &activations, stride, run, &weights);
        let range = (-20.0, 30.0);
        for (position, sums) in sums.into_iter().enumerate() {
            let expected: Vec<f32> = (0..V * N)
                .map(|lane| {
                    let mut sum = 0.0;
                    for (step, &offset) in offsets.iter().enumerate() {
                        let at = position * stride + offset as usize;
                        let activation = activations[at + if SPREAD { lane } else { 0 }];
                        sum += activation * weights[step * V * N + lane];
                    }
                    (sum + bias[lane]).clamp(-20.0, 30.0)
                })
                .collect();
            for room in [V * N, V * N - 3] {
                let mut results = vec![0.0; room];
                let limits = limits(Portable, range);
                store(Portable, sums, &bias, limits, &mut results);
                assert_eq!(results, expected[..room], "position {position}");
            }
        }
    }

    #[test]
    fn positions_read_one_number_a_step_or_a_vector() {
        check::<1, 3, false>(2, &[0, 1, 5, 6]);
        check::<2, 2, false>(1, &[3, 0, 7]);
        check::<1, 2, true>(N, &[0, 8, 2]);
        check::<2, 1, true>(0, &[1, 4]);
        check::<1, 1, false>(0, &[]);
    }

    #[test]
    fn parts_begin_where_their_least_step_reads() {
        let ascending = Steps::new([2, 3, 7].into());
        assert_eq!(ascending.part(1..3).begin(), 3);
        let mixed = Steps::new([4, 9, 1].into());
        assert_eq!(mixed.part(0..3).begin(), 1);
        assert_eq!(mixed.part(0..2).begin(), 4);
    }

    #[test]
    #[should_panic(expected = "reach")]
    fn steps_beyond_the_activations_are_refused() {
        let steps = Steps::new([0, 4].into());
        let mut sums = [[Portable.splat_sum(0)]; 2];
        let weights = [1.0; 2 * N];
        add_products::<_, 1, 2, false>(Portable, &mut sums, &[0.0; 5], 1, steps.all(), &weights);
    }
}
