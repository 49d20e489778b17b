//! The fast kernels of operators on one picture.

use crate::fast::PictureKernel;
use crate::ops::{EvalError, Kernel, KernelIo, KernelMemory};
use bytemuck::Pod;

const INPUT: usize = 0;
const OUTPUT: usize = 0;

/// A fast kernel from operand 0 to result 0.
pub struct FastPicture<E = u8>(pub Box<dyn PictureKernel<E>>);

impl<E: Pod + Send + Sync> Kernel for FastPicture<E> {
    fn eval(&self, io: &mut KernelIo<'_>) -> Result<(), EvalError> {
        let workers = io.workers();
        let ([input], output) = io.elements([INPUT], OUTPUT)?;
        self.0.run_all(input, output, workers);
        Ok(())
    }

    fn name(&self) -> &'static str {
        self.0.name()
    }

    /// No scratch is needed; a byte of it says that threads are used.
    fn memory(&self) -> KernelMemory {
        KernelMemory {
            packed: self.0.packed_bytes(),
            workspace: 1,
        }
    }
}
