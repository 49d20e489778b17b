//! The fast kernels of operators on one picture.

use crate::fast::PictureKernel;
use crate::ops::{EvalError, Kernel, KernelIo, KernelMemory, Views, required};

const INPUT: usize = 0;
const OUTPUT: usize = 0;

/// A fast kernel from operand 0 to result 0.
pub struct FastPicture(pub Box<dyn PictureKernel>);

impl Kernel for FastPicture {
    fn eval(&self, io: &mut KernelIo<'_>) -> Result<(), EvalError> {
        let workers = io.workers();
        let Views {
            inputs: [input],
            outputs: [mut output],
            ..
        } = io.views([INPUT], [OUTPUT], [])?;
        let input = required(input, INPUT)?.bytes();
        self.0.run_all(input, output.bytes_mut(), workers);
        Ok(())
    }

    fn name(&self) -> &'static str {
        self.0.name()
    }

    /// No scratch is needed; a byte of it says that threads are used.
    fn memory(&self) -> KernelMemory {
        KernelMemory {
            packed: 0,
            workspace: 1,
        }
    }
}
