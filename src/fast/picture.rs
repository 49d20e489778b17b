//! Operators whose result is computed row by row from whole pictures.

use super::Workers;

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
