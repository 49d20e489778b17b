//! The fast kernels of PRELU of bytes.

use super::Broadcast;
use crate::fast::{self, Prelu, PreluKernel, PreluPrimitive};
use crate::ops::{EvalError, Kernel, KernelIo, KernelMemory, Prepared, Settings};

/// The fast kernel; `None` where the reference has to do, such as for factors that do not lie along the innermost axes.
pub fn fast_prelu(
    problem: &Prelu<'_>,
    broadcast: &Broadcast<2>,
    settings: &Settings,
) -> Option<Prepared> {
    if broadcast.row() != (problem.factors.len(), [true, true]) {
        return None;
    }
    let kernel = fast::choose::<PreluPrimitive>(settings.kernels, problem)?;
    let channels = problem.factors.len();
    let prepared = Prepared::new(FastPrelu { kernel, channels }, [broadcast.output()]);
    Some(match fast::copies_hold::<u8>(channels) {
        true => prepared.in_place(&[INPUT]),
        false => prepared,
    })
}

const INPUT: usize = 0;

struct FastPrelu {
    kernel: Box<dyn PreluKernel>,
    channels: usize,
}

impl Kernel for FastPrelu {
    fn eval(&self, io: &mut KernelIo<'_>) -> Result<(), EvalError> {
        let ([input], output) = io.elements_in_place([INPUT], 0)?;
        match input {
            Some(input) => self.kernel.run(input, output),
            None => fast::over_copies(output, self.channels, |_, copy, block| {
                self.kernel.run(copy, block);
            }),
        }
        Ok(())
    }

    fn name(&self) -> &'static str {
        self.kernel.name()
    }

    fn memory(&self) -> KernelMemory {
        KernelMemory {
            packed: self.kernel.packed_bytes(),
            ..KernelMemory::default()
        }
    }
}
