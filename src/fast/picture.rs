//! Operators whose result is computed row by row from whole pictures.

use super::Workers;
use super::lanes::{Lanes, Work};

/// Values that are worth a thread's attention where they are summed or compared.
pub(super) const TASK_VALUES: usize = 100_000;

/// A prepared operator on pictures (NHWC), of bytes unless `E` says otherwise.
pub trait PictureKernel<E = u8>: Send + Sync {
    /// `<primitive>.<isa>`.
    fn name(&self) -> &'static str;
    /// Elements of a row of the result.
    fn row_elements(&self) -> usize;
    /// Elements of the result that are worth a thread's attention.
    fn task_elements(&self) -> usize;
    /// Computes as many rows of the result as `output` has room for, from row `first` over all pictures on.
    fn run(&self, input: &[E], output: &mut [E], first: usize);
    /// Bytes of packed weights.
    fn packed_bytes(&self) -> usize {
        0
    }
}

impl<E: Sync + Send> dyn PictureKernel<E> {
    /// Computes the whole result, shared among `workers`.
    pub fn run_all(&self, input: &[E], output: &mut [E], workers: &Workers) {
        let row = self.row_elements().max(1);
        let rows = output.len() / row;
        let tasks = workers.pieces(output.len(), self.task_elements());
        let step = rows.div_ceil(tasks).max(1);
        workers.split(output, step * row, &|number, piece, _| {
            self.run(input, piece, number * step);
        });
    }
}

/// Rows of a result as lanes compute them: what they need, prepared.
pub trait Rows<L: Lanes, E = u8>: Send + Sync {
    /// As [`PictureKernel::row_elements`].
    fn row_elements(&self) -> usize;
    /// As [`PictureKernel::task_elements`].
    fn task_elements(&self) -> usize;
    /// As [`PictureKernel::packed_bytes`].
    fn packed_bytes(&self) -> usize {
        0
    }
    /// As [`PictureKernel::run`]; implementations are `#[inline(always)]`.
    fn run(&self, lanes: L, input: &[E], output: &mut [E], first: usize);
}

/// The kernel of `by` for some lanes.
pub struct Vectors<L: Lanes, B> {
    name: &'static str,
    lanes: L,
    by: B,
}

impl<L: Lanes, B> Vectors<L, B> {
    pub fn boxed<E>(name: &'static str, lanes: L, by: B) -> Box<dyn PictureKernel<E>>
    where
        B: Rows<L, E> + 'static,
    {
        Box::new(Self { name, lanes, by })
    }
}

impl<L: Lanes, E, B: Rows<L, E>> PictureKernel<E> for Vectors<L, B> {
    fn name(&self) -> &'static str {
        self.name
    }

    fn row_elements(&self) -> usize {
        self.by.row_elements()
    }

    fn task_elements(&self) -> usize {
        self.by.task_elements()
    }

    fn packed_bytes(&self) -> usize {
        self.by.packed_bytes()
    }

    fn run(&self, input: &[E], output: &mut [E], first: usize) {
        self.lanes.run(Run {
            vectors: self,
            input,
            output,
            first,
        });
    }
}

/// One call of [`PictureKernel::run`].
struct Run<'a, L: Lanes, B, E> {
    vectors: &'a Vectors<L, B>,
    input: &'a [E],
    output: &'a mut [E],
    first: usize,
}

impl<L: Lanes, E, B: Rows<L, E>> Work for Run<'_, L, B, E> {
    type Output = ();

    #[inline(always)]
    fn run<M: Lanes>(self, _: M) {
        let Vectors { lanes, by, .. } = self.vectors;
        by.run(*lanes, self.input, self.output, self.first);
    }
}
