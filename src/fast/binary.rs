//! Operators that combine two tensors element by element.

use super::lanes::{Lanes, Work};

/// A prepared combination of two operands, of bytes unless `E` says otherwise.
pub trait BinaryKernel<E = u8>: Send + Sync {
    /// `<primitive>.<isa>`.
    fn name(&self) -> &'static str;
    /// Computes as many results as `output` has room for; operands are as long.
    fn run(&self, left: &[E], right: &[E], output: &mut [E]);
}

/// A combination as lanes compute it: what it needs, prepared.
pub trait Elements<L: Lanes, E = u8>: Send + Sync {
    /// As [`BinaryKernel::run`]; implementations are `#[inline(always)]`.
    fn run(&self, lanes: L, operands: [&[E]; 2], output: &mut [E]);
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

    fn run(&self, left: &[E], right: &[E], output: &mut [E]) {
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
    operands: [&'a [E]; 2],
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

/// Combines the bytes of two operands, which are as long as `output`.
#[inline(always)]
pub fn combine<L: Lanes, const SIGNED: bool>(
    lanes: L,
    by: &impl Combine<L>,
    limits: L::Limits,
    [left, right]: [&[u8]; 2],
    output: &mut [u8],
) {
    let (left, right) = (&left[..output.len()], &right[..output.len()]);
    let block = 2 * L::N;
    // Two blocks at a time: what one waits for the other fills.
    let mut outputs = output.chunks_exact_mut(2 * block);
    let operands = left
        .chunks_exact(2 * block)
        .zip(right.chunks_exact(2 * block));
    for (to, (left, right)) in (&mut outputs).zip(operands) {
        let words = |operand: &[u8], from: usize| lanes.words(&operand[from..][..block], SIGNED);
        let first = by.codes(lanes, words(left, 0), words(right, 0));
        let second = by.codes(lanes, words(left, block), words(right, block));
        let (to, later) = to.split_at_mut(block);
        lanes.store_block(first, limits, to);
        lanes.store_block(second, limits, later);
    }
    let rest = outputs.into_remainder();
    let from = left.len() - rest.len();
    let operands = left[from..].chunks(block).zip(right[from..].chunks(block));
    for (to, (left, right)) in rest.chunks_mut(block).zip(operands) {
        let (left, right) = (lanes.words(left, SIGNED), lanes.words(right, SIGNED));
        lanes.store_block(by.codes(lanes, left, right), limits, to);
    }
}
