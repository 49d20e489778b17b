//! SOFTMAX of bytes: an exponential depends on a difference to the row's maximum, of which there are 256.
//!
//! Neither exponentials nor the reciprocal of their sum are negative, so every rounding is upward from a half. A row of more
//! elements than differences has its results computed once per difference.

use super::lanes::{Lanes, Work, for_each_isa};
use super::{Element8, Primitive, Variant};
use crate::fixedpoint::{get_reciprocal, rounding_divide_by_pot};

/// Rows of bytes and the exponentials of their differences.
#[derive(Debug, Clone, Copy)]
pub struct Softmax<'a> {
    /// Type of the elements.
    pub element: Element8,
    /// Elements of a row.
    pub extent: usize,
    /// By how much an element is below the row's maximum: the exponential in Q0.31.
    pub exponentials: &'a [i32; 256],
}

/// The results, as many as elements.
#[derive(Debug)]
pub enum Probabilities<'a> {
    /// In the type of the elements.
    Bytes(&'a mut [u8]),
    /// As int16.
    Int16(&'a mut [i16]),
}

/// A prepared operator.
pub trait SoftmaxKernel: Send + Sync {
    /// `softmax.<isa>`.
    fn name(&self) -> &'static str;
    /// Computes the rows of `input`.
    fn run(&self, input: &[u8], output: Probabilities<'_>);
}

macro_rules! list {
    ($($(#[$cfg:meta])* $isa:literal => $lanes:ty,)*) => {
        &[$($(#[$cfg])* Variant {
            name: concat!("softmax.", $isa),
            isa: <$lanes as Lanes>::ISA,
            prepare: |problem| prepare::<$lanes>(concat!("softmax.", $isa), problem),
        },)*]
    };
}

/// SOFTMAX of bytes along the innermost axis.
pub struct SoftmaxPrimitive;

impl Primitive for SoftmaxPrimitive {
    type Problem<'a> = Softmax<'a>;
    type Kernel = dyn SoftmaxKernel;

    fn variants() -> &'static [Variant<Self>] {
        for_each_isa!(list)
    }
}

/// Integer bits of a sum of exponentials.
const SUM_BITS: i32 = 12;

/// As many exponentials of at most 1 have a sum below 2^12.
const MOST_ELEMENTS: usize = (1 << SUM_BITS) - 1;

fn prepare<L: Lanes>(name: &'static str, problem: &Softmax<'_>) -> Option<Box<dyn SoftmaxKernel>> {
    let lanes = L::detect()?;
    let suits = (1..=MOST_ELEMENTS).contains(&problem.extent)
        && problem.exponentials.iter().all(|&number| number >= 0);
    suits.then(|| {
        let exponentials = problem.exponentials.map(i32::cast_unsigned);
        let terms = problem.exponentials.map(|exponential| {
            rounding_divide_by_pot(exponential, SUM_BITS.cast_unsigned()).cast_unsigned()
        });
        Box::new(Tables {
            name,
            lanes,
            extent: problem.extent,
            signed: problem.element.is_signed(),
            exponentials: Box::new(exponentials),
            terms: Box::new(terms),
        }) as Box<dyn SoftmaxKernel>
    })
}

struct Tables<L: Lanes> {
    name: &'static str,
    lanes: L,
    extent: usize,
    signed: bool,
    /// In Q0.31.
    exponentials: Box<[u32; 256]>,
    /// The same in the format of their sum, Q12.19.
    terms: Box<[u32; 256]>,
}

impl<L: Lanes> SoftmaxKernel for Tables<L> {
    fn name(&self) -> &'static str {
        self.name
    }

    fn run(&self, input: &[u8], output: Probabilities<'_>) {
        match output {
            Probabilities::Bytes(output) => self.lanes.run(Run {
                tables: self,
                lowest: if self.signed { 0x80 } else { 0 },
                input,
                output,
            }),
            Probabilities::Int16(output) => self.lanes.run(Run {
                tables: self,
                lowest: i16::MIN,
                input,
                output,
            }),
        }
    }
}

/// One call of [`SoftmaxKernel::run`].
struct Run<'a, L: Lanes, C> {
    tables: &'a Tables<L>,
    /// The code of 0.
    lowest: C,
    input: &'a [u8],
    output: &'a mut [C],
}

impl<L: Lanes, C: Code> Work for Run<'_, L, C> {
    type Output = ();

    #[inline(always)]
    fn run<M: Lanes>(self, _: M) {
        let extent = self.tables.extent;
        let rows = self.input.chunks_exact(extent);
        for (row, to) in rows.zip(self.output.chunks_exact_mut(extent)) {
            self.tables.row(self.lowest, row, to);
        }
    }
}

impl<L: Lanes> Tables<L> {
    #[inline(always)]
    fn row<C: Code>(&self, lowest: C, row: &[u8], to: &mut [C]) {
        let flip = if self.signed { 0x80 } else { 0 };
        let max = row.iter().fold(0, |max, &byte| (byte ^ flip).max(max)) ^ flip;
        // Bytes of either type have their difference modulo 256.
        let difference = |byte: u8| usize::from(max.wrapping_sub(byte));
        let sum: u32 = row.iter().map(|&byte| self.terms[difference(byte)]).sum();
        let scale = Scale::new::<C>(sum);
        if row.len() <= self.exponentials.len() {
            for (to, &byte) in to.iter_mut().zip(row) {
                *to = C::above(lowest, scale.steps(self.exponentials[difference(byte)]));
            }
            return;
        }
        let mut codes = [lowest; 256];
        for (code, &exponential) in codes.iter_mut().zip(&*self.exponentials) {
            *code = C::above(lowest, scale.steps(exponential));
        }
        for (to, &byte) in to.iter_mut().zip(row) {
            *to = codes[difference(byte)];
        }
    }
}

/// What turns the exponentials of a row into results.
#[derive(Clone, Copy)]
struct Scale {
    reciprocal: u32,
    shift: u32,
    half: u64,
}

impl Scale {
    #[inline(always)]
    fn new<C: Code>(sum: u32) -> Self {
        let (reciprocal, bits_over_unit) = get_reciprocal(sum.cast_signed(), SUM_BITS);
        // Beyond 31 the reference's shift stays there.
        let shift = (bits_over_unit + 31 - C::BITS).clamp(0, 31).cast_unsigned();
        Self {
            reciprocal: reciprocal.cast_unsigned(),
            shift,
            half: 1 << shift >> 1,
        }
    }

    /// The share of `exponential` in the sum, in steps of the result: the rounded doubling high product with the reciprocal,
    /// rounded again by the shift.
    #[inline(always)]
    fn steps(self, exponential: u32) -> u32 {
        let product = u64::from(self.reciprocal) * u64::from(exponential);
        let product = (product + (1 << 30)) >> 31;
        ((product + self.half) >> self.shift) as u32
    }
}

/// A type of results.
trait Code: Copy {
    const BITS: i32;
    /// The code `steps` above `lowest`, or the highest.
    fn above(lowest: Self, steps: u32) -> Self;
}

impl Code for u8 {
    const BITS: i32 = 8;

    #[inline(always)]
    fn above(lowest: Self, steps: u32) -> Self {
        lowest.wrapping_add(steps.min(0xff) as u8)
    }
}

impl Code for i16 {
    const BITS: i32 = 16;

    #[inline(always)]
    fn above(lowest: Self, steps: u32) -> Self {
        lowest.wrapping_add(steps.min(0xffff) as u16 as i16)
    }
}
