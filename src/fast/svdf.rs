//! SVDF of int8 with a state of int16: filters over the features of the newest input and over the time that the state remembers.

use super::lanes::rows::{fill, padded_words};
use super::lanes::{Lanes, Work, for_each_isa};
use super::scaled_products::{ScaledProducts, scale_to_int8};
use super::stage::Scale;
use super::{Primitive, Variant};
use crate::fixedpoint::QuantizedMultiplier;

/// A layer whose sums are scaled with two roundings.
#[derive(Debug, Clone, Copy)]
pub struct Svdf<'a> {
    /// Values of an input.
    pub inputs: usize,
    /// Filters of all units.
    pub filters: usize,
    /// Entries that the state has of a filter.
    pub memory: usize,
    /// Filters of a unit.
    pub rank: usize,
    /// Zero point of the input.
    pub input_zero_point: i32,
    /// Zero point of the output.
    pub output_zero_point: i32,
    /// Feature weights: int8, filters x inputs.
    pub features: &'a [u8],
    /// One per unit.
    pub bias: Option<&'a [i32]>,
    /// From the sum over the features to an entry of the state.
    pub to_state: QuantizedMultiplier,
    /// From the sum over the time to a result.
    pub to_output: QuantizedMultiplier,
}

/// A prepared layer.
pub trait SvdfKernel: Send + Sync {
    /// `svdf.<isa>`.
    fn name(&self) -> &'static str;
    /// One input, int8. `features`: as they were when the kernel was prepared; `times`: filters x memory; `state`: filters x memory,
    /// the newest entry last; `output`: one int8 per unit; `scratch`: as many words as [`scratch_words`](Self::scratch_words) says.
    fn run(
        &self,
        input: &[u8],
        weights: (&[u8], &[i16]),
        state: &mut [i16],
        output: &mut [u8],
        scratch: &mut [i32],
    );
    /// Words of scratch memory.
    fn scratch_words(&self) -> usize;
    /// Bytes of packed biases.
    fn packed_bytes(&self) -> usize;
}

macro_rules! list {
    ($($(#[$cfg:meta])* $isa:literal => $lanes:ty,)*) => {
        &[$($(#[$cfg])* Variant {
            name: concat!("svdf.", $isa),
            isa: <$lanes as Lanes>::ISA,
            prepare: |problem| prepare::<$lanes>(concat!("svdf.", $isa), problem),
        },)*]
    };
}

/// SVDF of int8.
pub struct SvdfPrimitive;

impl Primitive for SvdfPrimitive {
    type Problem<'a> = Svdf<'a>;
    type Kernel = dyn SvdfKernel;

    fn variants() -> &'static [Variant<Self>] {
        for_each_isa!(list)
    }
}

fn prepare<L: Lanes>(name: &'static str, problem: &Svdf<'_>) -> Option<Box<dyn SvdfKernel>> {
    let lanes = L::detect()?;
    let p = problem;
    let is_sound = p.inputs > 0
        && p.filters > 0
        && p.memory > 0
        && p.rank > 0
        && p.filters.is_multiple_of(p.rank)
        && p.features.len() == p.filters * p.inputs
        && [p.to_state, p.to_output].into_iter().all(Scale::<L>::suits);
    is_sound.then(|| Box::new(Vectors::new(name, lanes, problem)) as Box<dyn SvdfKernel>)
}

struct Vectors<L: Lanes> {
    name: &'static str,
    lanes: L,
    inputs: usize,
    filters: usize,
    memory: usize,
    rank: usize,
    output_zero_point: i32,
    /// From the features to the state; the input's zero point is worked in.
    newest: ScaledProducts,
    to_output: QuantizedMultiplier,
    /// One per unit.
    bias: Box<[i32]>,
}

impl<L: Lanes> Vectors<L> {
    fn new(name: &'static str, lanes: L, problem: &Svdf<'_>) -> Self {
        let p = problem;
        let offset = |features: &[u8]| {
            let weights = features.iter().map(|&w| i32::from(w.cast_signed()));
            let sum = weights.fold(0, i32::wrapping_add);
            sum.wrapping_mul(p.input_zero_point).wrapping_neg()
        };
        let offsets: Vec<i32> = p.features.chunks_exact(p.inputs).map(offset).collect();
        Self {
            name,
            lanes,
            inputs: p.inputs,
            filters: p.filters,
            memory: p.memory,
            rank: p.rank,
            output_zero_point: p.output_zero_point,
            newest: ScaledProducts::new::<L>(p.to_state, &offsets, p.features, p.inputs),
            to_output: p.to_output,
            bias: match p.bias {
                Some(bias) => bias.into(),
                None => vec![0; p.filters / p.rank].into(),
            },
        }
    }
}

impl<L: Lanes> SvdfKernel for Vectors<L> {
    fn name(&self) -> &'static str {
        self.name
    }

    fn run(
        &self,
        input: &[u8],
        (features, times): (&[u8], &[i16]),
        state: &mut [i16],
        output: &mut [u8],
        scratch: &mut [i32],
    ) {
        self.lanes.run(Run {
            vectors: self,
            input,
            features,
            times,
            state,
            output,
            scratch,
        });
    }

    fn scratch_words(&self) -> usize {
        self.filters.next_multiple_of(L::N) + padded_words::<L>(self.inputs)
    }

    fn packed_bytes(&self) -> usize {
        self.newest.bytes() + size_of_val(&*self.bias)
    }
}

/// One call of [`SvdfKernel::run`].
struct Run<'a, L: Lanes> {
    vectors: &'a Vectors<L>,
    input: &'a [u8],
    features: &'a [u8],
    times: &'a [i16],
    state: &'a mut [i16],
    output: &'a mut [u8],
    scratch: &'a mut [i32],
}

impl<L: Lanes> Work for Run<'_, L> {
    type Output = ();

    #[inline(always)]
    fn run<M: Lanes>(self, _: M) {
        let v = self.vectors;
        let (sums, row) = self.scratch.split_at_mut(v.filters.next_multiple_of(L::N));
        let row: &mut [L::Activation] = bytemuck::cast_slice_mut(row);
        fill::<L>(row, v.inputs, self.input, true);
        v.newest.run(v.lanes, self.features, v.inputs, row, sums);
        // Every filter forgets its oldest entry; its last place gets what is not its own, and then the newest.
        self.state.copy_within(1.., 0);
        for (memory, &newest) in self.state.chunks_exact_mut(v.memory).zip(&*sums) {
            memory[v.memory - 1] = newest.clamp(i16::MIN.into(), i16::MAX.into()) as i16;
        }
        v.recall(self.state, self.times, sums);
        scale_to_int8(v.lanes, sums, v.to_output, v.output_zero_point, self.output);
    }
}

impl<L: Lanes> Vectors<L> {
    /// The sums of the units over the time.
    #[inline(always)]
    fn recall(&self, state: &[i16], times: &[i16], to: &mut [i32]) {
        let filters = self.rank * self.memory;
        let units = state.chunks_exact(filters).zip(times.chunks_exact(filters));
        for ((to, &bias), (entries, weights)) in to.iter_mut().zip(&self.bias).zip(units) {
            *to = bias.wrapping_add(dot(entries, weights));
        }
    }
}

/// The sum of the products of two rows; pairs side by side, as vectors add them.
#[inline(always)]
fn dot(entries: &[i16], weights: &[i16]) -> i32 {
    let (entries, last_entries) = entries.as_chunks::<8>();
    let (weights, last_weights) = weights.as_chunks::<8>();
    let mut sums = [0i32; 4];
    for (entries, weights) in entries.iter().zip(weights) {
        for (lane, sum) in sums.iter_mut().enumerate() {
            let product = |at: usize| i32::from(entries[at]) * i32::from(weights[at]);
            let pair = product(2 * lane).wrapping_add(product(2 * lane + 1));
            *sum = sum.wrapping_add(pair);
        }
    }
    let last = last_entries.iter().zip(last_weights);
    let last = last.fold(0i32, |sum, (&entry, &weight)| {
        sum.wrapping_add(i32::from(entry) * i32::from(weight))
    });
    sums.into_iter().fold(last, i32::wrapping_add)
}
