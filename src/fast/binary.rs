//! Operators that combine two tensors element by element.

use super::lanes::places::Places;
use super::lanes::{Lanes, Work};

/// The elements of two operands, left first; `None` where they are what the result holds before it is computed.
pub type Pair<'a, E> = [Option<&'a [E]>; 2];

/// A prepared combination of two operands, of bytes unless `E` says otherwise.
pub trait BinaryKernel<E = u8>: Send + Sync {
    /// `<primitive>.<isa>`.
    fn name(&self) -> &'static str;
    /// Computes as many results as `output` has room for; operands are as long, or `None` where they are what `output` holds before.
    fn run(&self, left: Option<&[E]>, right: Option<&[E]>, output: &mut [E]);
}

/// A combination as lanes compute it: what it needs, prepared.
pub trait Elements<L: Lanes, E = u8>: Send + Sync {
    /// As [`BinaryKernel::run`]; implementations are `#[inline(always)]`.
    fn run(&self, lanes: L, operands: Pair<'_, E>, output: &mut [E]);
}

/// The kernel of `by` for some lanes.
pub struct Vectors<L: Lanes, B> {
    name: &'static str,
    lanes: L,
    by: B,
}

impl<L: Lanes, B> Vectors<L, B> {
    pub fn boxed<E>(name: &'static str, lanes: L, by: B) -> Box<dyn BinaryKernel<E>>
    where
        B: Elements<L, E> + 'static,
    {
        Box::new(Self { name, lanes, by })
    }
}

impl<L: Lanes, E, B: Elements<L, E>> BinaryKernel<E> for Vectors<L, B> {
    fn name(&self) -> &'static str {
        self.name
    }

    fn run(&self, left: Option<&[E]>, right: Option<&[E]>, output: &mut [E]) {
        self.lanes.run(Run {
            vectors: self,
            operands: [left, right],
            output,
        });
    }
}

/// One call of [`BinaryKernel::run`].
struct Run<'a, L: Lanes, B, E> {
    vectors: &'a Vectors<L, B>,
    operands: Pair<'a, E>,
    output: &'a mut [E],
}

impl<L: Lanes, E, B: Elements<L, E>> Work for Run<'_, L, B, E> {
    type Output = ();

    #[inline(always)]
    fn run<M: Lanes>(self, _: M) {
        let Vectors { lanes, by, .. } = self.vectors;
        by.run(*lanes, self.operands, self.output);
    }
}

/// How a block of words is combined with another.
pub trait Combine<L: Lanes> {
    /// The results, not yet limited.
    fn codes(&self, lanes: L, left: L::Words, right: L::Words) -> [L::Sum; 2];
}

/// Combines the bytes of two operands.
#[inline(always)]
pub fn combine<L: Lanes, const SIGNED: bool>(
    lanes: L,
    by: &impl Combine<L>,
    limits: L::Limits,
    operands: Pair<'_, u8>,
    output: &mut [u8],
) {
    let block = 2 * L::N;
    let mut places = Places::new(operands, output);
    // Two blocks at a time: what one waits for the other fills.
    while places.left() >= 2 * block {
        let [left, right] = places.operands(2 * block);
        let words = |operand: &[u8], from: usize| lanes.words(&operand[from..][..block], SIGNED);
        let first = by.codes(lanes, words(left, 0), words(right, 0));
        let second = by.codes(lanes, words(left, block), words(right, block));
        let (to, later) = places.next(2 * block).split_at_mut(block);
        lanes.store_block(first, limits, to);
        lanes.store_block(second, limits, later);
    }
    while places.left() > 0 {
        let len = places.left().min(block);
        let [left, right] = places.operands(len);
        let (left, right) = (lanes.words(left, SIGNED), lanes.words(right, SIGNED));
        let codes = by.codes(lanes, left, right);
        lanes.store_block(codes, limits, places.next(len));
    }
}
