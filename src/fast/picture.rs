//! Operators whose result is computed row by row from whole pictures of bytes.

use super::Workers;

/// A prepared operator on pictures (NHWC).
pub trait PictureKernel: Send + Sync {
    /// `<primitive>.<isa>`.
    fn name(&self) -> &'static str;
    /// Bytes of a row of the result.
    fn row_bytes(&self) -> usize;
    /// Bytes of the result that are worth a thread's attention.
    fn task_bytes(&self) -> usize;
    /// Computes as many rows of the result as `output` has room for, from row `first` over all pictures on.
    fn run(&self, input: &[u8], output: &mut [u8], first: usize);
}

impl dyn PictureKernel {
    /// Computes the whole result, shared among `workers`.
    pub fn run_all(&self, input: &[u8], output: &mut [u8], workers: &Workers) {
        let row = self.row_bytes().max(1);
        let rows = output.len() / row;
        // Several pieces a thread, so that an interrupted one delays the others little.
        let tasks = match workers.threads() {
            1 => 1,
            threads => (output.len() / self.task_bytes()).clamp(1, threads * 3),
        };
        let step = rows.div_ceil(tasks).max(1);
        workers.split(output, step * row, &|number, piece, _| {
            self.run(input, piece, number * step);
        });
    }
}
